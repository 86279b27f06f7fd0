//! Faults planted into the world around the engine, each of which breaks one promise. They prove that the oracle can
//! fail; nothing of the product knows them.

/// One planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A context that leads no more settles all the same.
    StaleSettles,
    /// New events are handed to the disk without waiting for it.
    RelaxedEmit,
    /// The unique index lets every intent in.
    BlindIndex,
    /// A full disk is taken for a write.
    QuotaLies,
    /// A refused credential counts as delivered.
    DropsOn401,
    /// The id and key of an event are made when it is sent.
    KeyAtSend,
    /// No timer is set after a failure.
    SleepsAfterFailure,
    /// Nobody remembers which lanes wait.
    ForgetsLanes,
    /// A dead letter is not written down.
    LosesLetters,
    /// The application's records are not in the transaction of their events.
    TornCommit,
    /// What the city said before is applied again.
    HearsTwice,
    /// The cursor moves without the inbox.
    EagerCursor,
    /// An event is called settled when the answer comes, not when the verdict is on disk.
    EarlyWord,
    /// What was masked is written as it was typed.
    Unmasked,
    /// A request carries whatever is owed, not what the city offered.
    Overfull,
    /// The city answers before its transaction is durable.
    AckBeforeCommit,
    /// What a killed transaction of the city had written so far stays.
    TornCity,
    /// The relay forgets what was said before it lies on the log.
    RelayDropsFirst,
    /// A service's cursor moves before it has done its part.
    CursorFirst,
    /// A refund that is sent again has another id.
    RefundAnew,
    /// A capture that is sent again has another id.
    CaptureAnew,
    /// While one lane waits, the others of its device do too.
    HeadOfLine,
    /// An event leaves the outbox when it is sent, whatever is answered.
    DropsAsSent,
    /// A database that was thrown away begins anew without a word.
    SilentEviction,
    /// An upgrade forgets what is owed.
    UpgradeForgets,
    /// A page of an older release does not let go of the database.
    OldTabStays,
    /// A service that fails on one event takes up no other of its partition.
    PoisonBlocks,
    /// A relay that was killed behind its publishing publishes again.
    RelayTwice,
    /// A service notes what it has handled in a transaction behind that of the effect.
    InboxAfterEffect,
    /// A lane that flows again keeps its record.
    KeepsLanes,
}

impl Bug {
    /// Each is found within so many seeds. The rarest need the city killed in the very turn in which a service has work.
    pub const SEEDS_TO_FIND: u64 = 100;
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::StaleSettles,
        Self::RelaxedEmit,
        Self::BlindIndex,
        Self::QuotaLies,
        Self::DropsOn401,
        Self::KeyAtSend,
        Self::SleepsAfterFailure,
        Self::ForgetsLanes,
        Self::LosesLetters,
        Self::TornCommit,
        Self::HearsTwice,
        Self::EagerCursor,
        Self::EarlyWord,
        Self::Unmasked,
        Self::Overfull,
        Self::AckBeforeCommit,
        Self::TornCity,
        Self::RelayDropsFirst,
        Self::CursorFirst,
        Self::RefundAnew,
        Self::CaptureAnew,
        Self::HeadOfLine,
        Self::DropsAsSent,
        Self::SilentEviction,
        Self::UpgradeForgets,
        Self::OldTabStays,
        Self::PoisonBlocks,
        Self::RelayTwice,
        Self::InboxAfterEffect,
        Self::KeepsLanes,
    ];

    /// The promise it breaks, by name.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::StaleSettles => "one-sender",
            Self::RelaxedEmit | Self::QuotaLies => "durable-before-safe",
            Self::BlindIndex => "same-intent-same-receipt",
            Self::DropsOn401 | Self::DropsAsSent => "settle-in-one",
            Self::KeyAtSend => "key-before-send",
            Self::SleepsAfterFailure => "always-a-wake",
            Self::ForgetsLanes => "lane-order",
            Self::LosesLetters | Self::UpgradeForgets => "nothing-vanishes",
            Self::TornCommit => "state-with-event",
            Self::HearsTwice | Self::EagerCursor => "applied-once",
            Self::EarlyWord => "honest-words",
            Self::Unmasked => "no-pii-in-keys",
            Self::Overfull | Self::KeepsLanes => "bounded",
            Self::AckBeforeCommit => "settle-in-one",
            Self::TornCity => "effect",
            Self::RelayDropsFirst | Self::RelayTwice => "on-the-log",
            Self::CursorFirst | Self::PoisonBlocks | Self::InboxAfterEffect => "served",
            Self::HeadOfLine => "no-bystander",
            Self::SilentEviction => "evicted",
            Self::OldTabStays => "lets-go",
            Self::RefundAnew | Self::CaptureAnew => "books",
        }
    }
}
