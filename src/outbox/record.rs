//! What lies on disk, as plain data. The layout is frozen: rows outlive releases.
//!
//! One *segment* holds the events of one group commit. Its key is the sequence of its first event, and it is three
//! records: the body (the events' JSON, one a line), the intents (written once) and the marks (rewritten as the
//! events settle). Rewriting a small marks record is what keeps settling fast.

use crate::event::contract::OnDead;
use crate::event::{EventId, IntentKey, LaneHash, Prepared, Sequence, UnixMillis};
use crate::flat::FlatMap;

/// Bytes of one event in [`Intents::packed`]: id 16, intent 16, fingerprint 32, lane 8, flags 1.
pub const STRIDE: usize = 73;
const FLAG_BLOCKS: u8 = 1;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Owed to the city.
    Owed = 0,
    /// The city took it.
    Accepted = 1,
    /// The city had its intent before.
    Duplicate = 2,
    /// A dead letter that waits for a person.
    Dead = 3,
    /// Given up by a person; its intent stays closed.
    Discarded = 4,
    /// A person sent it again as another event.
    Redriven = 5,
}

/// Set in a status byte once a try may have reached the city without an answer.
pub const MAYBE_SENT: u8 = 0x80;

impl Status {
    /// Reads a status byte; an unknown one counts as owed, so that nothing is lost by a misreading.
    pub fn of(byte: u8) -> Self {
        match byte & !MAYBE_SENT {
            1 => Self::Accepted,
            2 => Self::Duplicate,
            3 => Self::Dead,
            4 => Self::Discarded,
            5 => Self::Redriven,
            _ => Self::Owed,
        }
    }
}

/// What identifies one stored event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identities {
    /// Delivery identity.
    pub id: EventId,
    /// Idempotency key.
    pub intent: IntentKey,
    /// What must be equal for a replay.
    pub fingerprint: [u8; 32],
    /// The lane.
    pub lane: LaneHash,
    /// What its dead letter does to the lane.
    pub on_dead: OnDead,
}

/// `intents`: who the events of a segment are. Written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intents {
    /// Key: sequence of the first event.
    pub first: Sequence,
    /// [`STRIDE`] bytes an event.
    pub packed: Vec<u8>,
    /// When the segment was stored.
    pub stored_at: UnixMillis,
}

impl Intents {
    /// A segment without events yet.
    pub fn new(first: Sequence, stored_at: UnixMillis) -> Self {
        Self { first, packed: Vec::new(), stored_at }
    }

    /// Packs an event behind those before it.
    pub fn push(&mut self, event: &Prepared) {
        self.packed.extend_from_slice(&event.id.to_bytes());
        self.packed.extend_from_slice(&event.intent.to_bytes());
        self.packed.extend_from_slice(&event.fingerprint);
        self.packed.extend_from_slice(&event.lane.0.to_be_bytes());
        self.packed.push(if event.on_dead == OnDead::Block { FLAG_BLOCKS } else { 0 });
    }

    /// How many events the segment has.
    pub fn len(&self) -> usize {
        self.packed.len() / STRIDE
    }

    /// Whether the segment has no event; a stored one always has.
    pub fn is_empty(&self) -> bool {
        self.packed.len() < STRIDE
    }

    /// The event at a place in the segment.
    pub fn get(&self, index: usize) -> Option<Identities> {
        let row = self.packed.get(index.checked_mul(STRIDE)?..)?.get(..STRIDE)?;
        let part = |from: usize, to: usize| row.get(from..to);
        Some(Identities {
            id: EventId::from_bytes(part(0, 16)?.try_into().ok()?),
            intent: IntentKey::from_bytes(part(16, 32)?.try_into().ok()?),
            fingerprint: part(32, 64)?.try_into().ok()?,
            lane: LaneHash(u64::from_be_bytes(part(64, 72)?.try_into().ok()?)),
            on_dead: if row.last()? & FLAG_BLOCKS == 0 { OnDead::Continue } else { OnDead::Block },
        })
    }

    /// All events of the segment, in order.
    pub fn iter(&self) -> impl Iterator<Item = Identities> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The entries of the unique index: each intent, and each id that differs from its intent.
    pub fn index_keys(&self) -> Vec<[u8; 16]> {
        let mut intents = Vec::new();
        let mut ids = Vec::new();
        for event in self.iter() {
            let (id, intent) = (event.id.to_bytes(), event.intent.to_bytes());
            intents.push(intent);
            if id != intent {
                ids.push(id);
            }
        }
        intents.append(&mut ids);
        intents
    }
}

/// `marks`: how the events of a segment stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Key: sequence of the first event.
    pub first: Sequence,
    /// One [`Status`] byte an event, perhaps with [`MAYBE_SENT`].
    pub status: Vec<u8>,
    /// Deliveries tried, one byte an event, stopping at 255.
    pub tries: Vec<u8>,
    /// Place in the lane, for events that took another one's place.
    pub places: FlatMap<u32, Sequence>,
    /// Problem document or reason, for events the city refused or a person discarded.
    pub notes: FlatMap<u32, String>,
    /// When the last event of the segment settled.
    pub settled_at: UnixMillis,
}

impl Marks {
    /// Marks for a new segment of so many owed events.
    pub fn owed(first: Sequence, events: usize) -> Self {
        Self { first, status: vec![Status::Owed as u8; events], tries: vec![0; events], ..Self::default() }
    }

    /// Whether any event is still owed: then the record is in the `owed` index.
    pub fn owes(&self) -> bool {
        self.status.iter().any(|byte| Status::of(*byte) == Status::Owed)
    }

    /// Whether a dead letter of the segment still waits for a person.
    pub fn has_dead(&self) -> bool {
        self.status.iter().any(|byte| Status::of(*byte) == Status::Dead)
    }

    /// The status of the event at a place in the segment.
    pub fn status_of(&self, index: u32) -> Option<Status> {
        self.status.get(index as usize).map(|byte| Status::of(*byte))
    }
}

/// `meta.counter`: next sequence and running totals, so that no total ever needs a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The sequence the next event gets.
    pub next: Sequence,
    /// Events owed.
    pub owed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Dead letters that wait for a person.
    pub dead: u64,
    /// Owed events with [`MAYBE_SENT`].
    pub unknown: u64,
}

impl Default for Counter {
    fn default() -> Self {
        Self { next: Sequence(1), owed: 0, bytes: 0, dead: 0, unknown: 0 }
    }
}

/// Why an event became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// The city refused this event.
    Refused,
    /// The city could not read it: it made a whole request fail until it stood alone.
    Poison,
    /// It was owed for too long by the city's clock, without a definite answer.
    Expired,
}

impl DeadReason {
    /// The word on disk and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Poison => "poison",
            Self::Expired => "expired",
        }
    }

    /// Reads the word; an unknown one is a refusal.
    pub fn parse(word: &str) -> Self {
        match word {
            "poison" => Self::Poison,
            "expired" => Self::Expired,
            _ => Self::Refused,
        }
    }
}

/// `dead`, keyed by `[closed, sequence]`: a dead letter, open until a person decides, then its audit record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub row: RowRef,
    /// When it died.
    pub at: UnixMillis,
    /// Why.
    pub reason: DeadReason,
    /// The city's problem document as JSON, if it gave one.
    pub problem: Option<String>,
    /// The encoded event.
    pub body: String,
    /// Its lane.
    pub lane: LaneHash,
    /// Whether its lane waits for the decision.
    pub blocks: bool,
    /// What was decided, once it was.
    pub closed: Option<Closing>,
}

/// A person's decision about a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: UnixMillis,
    /// Why it was discarded, or the id of the event that took its place.
    pub note: String,
    /// Whether it was sent again.
    pub redriven: bool,
}

/// `lanes`: a lane that does not simply flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRecord {
    /// Key.
    pub lane: LaneHash,
    /// The dead letter it waits for.
    pub dead: Option<Sequence>,
    /// The event that goes first although its sequence is higher.
    pub front: Option<Sequence>,
    /// Not before.
    pub due: Option<UnixMillis>,
}

/// `meta.pace`: when we may send, across reloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceRecord {
    /// Not before.
    pub not_before: UnixMillis,
    /// Failures in a row.
    pub failures: u32,
    /// Window of the first send after an outage, as the city last said, in ms.
    pub window_ms: u64,
    /// When the outage began that still lasts.
    pub down_since: Option<UnixMillis>,
    /// Whether `not_before` was drawn from the window.
    pub drawn: bool,
    /// Whether the city told it: then nothing but a person's word shortens it.
    pub told: bool,
}

/// What was stored by a moment of the city's clock: the only clock by which an event can grow too old. The device's
/// own may jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgeMark {
    /// The city's time.
    pub at: UnixMillis,
    /// Every event stored before has a lower sequence.
    pub next: Sequence,
}

/// Takes the sequences out of a list that stand in another.
pub(super) fn take_out(list: &mut Vec<Sequence>, gone: &[Sequence]) {
    list.retain(|sequence| !gone.contains(sequence));
}

/// Names one event on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef {
    /// The segment: sequence of its first event.
    pub segment: Sequence,
    /// The event's own sequence.
    pub sequence: Sequence,
}

impl RowRef {
    /// The event's place in its segment.
    pub fn index(self) -> u32 {
        u32::try_from(self.sequence.0.saturating_sub(self.segment.0)).unwrap_or(u32::MAX)
    }
}
