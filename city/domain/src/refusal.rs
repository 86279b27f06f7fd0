//! Why the city says no to an event, for good. Each reason has a code that outlives its wording.

use conch::event::IntentKey;
use conch::event::contract::TermsProblem;
use conch::wire::Problem;
use conch::wire::headers::PROBLEM_PREFIX;

/// A definite no. The device keeps the event as a dead letter with this as its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a CloudEvent we can read: attribute and expectation.
    Unreadable(&'static str, &'static str),
    /// Larger than an event may be, in bytes.
    TooLarge(usize),
    /// The source names another device than the one that is logged in.
    ForeignSource,
    /// The device's role does not write on this topic.
    Role,
    /// The topic or type is under contract, but this version or type is not known.
    Terms(TermsProblem),
    /// Only the city says this type.
    CityOnly,
    /// The payload breaks its contract: member and expectation.
    Payload(String, &'static str),
    /// The idempotency key is not the one the contract forms; this is.
    IntentMismatch(IntentKey),
    /// The same event id came before with other content.
    PayloadChanged,
    /// The same intent came before with another meaning.
    IntentConflict,
    /// It happened longer ago than the city remembers deliveries, so nobody could tell whether it came before.
    TooOld,
}

impl Refusal {
    /// The code in the problem's type.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "unreadable-event",
            Self::TooLarge(_) => "event-too-large",
            Self::ForeignSource => "foreign-source",
            Self::Role => "role-forbids-topic",
            Self::Terms(TermsProblem::UnknownVersion) => "unknown-version",
            Self::Terms(TermsProblem::UnknownType) => "unknown-type",
            Self::CityOnly => "city-only-type",
            Self::Payload(..) => "bad-payload",
            Self::IntentMismatch(_) => "intent-mismatch",
            Self::PayloadChanged => "payload-changed",
            Self::IntentConflict => "intent-conflict",
            Self::TooOld => "too-old",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "Not an event the city can read",
            Self::TooLarge(_) => "The event is too large",
            Self::ForeignSource => "The event names another device",
            Self::Role => "This device may not write on this topic",
            Self::Terms(TermsProblem::UnknownVersion) => "Unknown version of a topic",
            Self::Terms(TermsProblem::UnknownType) => "Unknown type of a topic",
            Self::CityOnly => "Only the city writes this type",
            Self::Payload(..) => "The payload breaks its contract",
            Self::IntentMismatch(_) => "The idempotency key does not belong to this event",
            Self::PayloadChanged => "The event changed after it was sent",
            Self::IntentConflict => "The same intent with another meaning",
            Self::TooOld => "The event is too old",
        }
    }

    /// What exactly, and what to do. Never a value of the payload.
    fn detail(&self) -> String {
        match self {
            Self::Unreadable(attribute, what) => format!("{attribute}: {what}"),
            Self::TooLarge(bytes) => {
                format!("{bytes} bytes; an event has at most {}", crate::limits::EVENT_BYTES_MAX)
            }
            Self::ForeignSource => {
                "source must be conch://device/<device>/<incarnation> of the device whose token was sent"
                    .into()
            }
            Self::Role => "enrol the device with the role that writes on this topic".into(),
            Self::Terms(TermsProblem::UnknownVersion) => {
                "this city does not know this version of the topic".into()
            }
            Self::Terms(TermsProblem::UnknownType) => "the contract of this topic has no such type".into(),
            Self::CityOnly => "outcomes come from the city; a device cannot say them".into(),
            Self::Payload(member, what) if member.is_empty() => format!("data {what}"),
            Self::Payload(member, what) => format!("data.{member} {what}"),
            Self::IntentMismatch(expected) => format!("by its contract idempotencykey is {expected}"),
            Self::PayloadChanged => {
                "an event id stands for one content for ever; emit a new event instead".into()
            }
            Self::IntentConflict => {
                "this key and attempt were used for something else; a second meaning needs a key of its own"
                    .into()
            }
            Self::TooOld => {
                let days = crate::limits::KEEP_MS / 86_400_000;
                format!("it happened more than {days} days ago; a person must look whether it was taken then")
            }
        }
    }

    /// The problem document of the verdict.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("{PROBLEM_PREFIX}{}", self.code()),
            title: self.title().to_owned(),
            status: None,
            detail: self.detail(),
        }
    }

    /// Whether it is about an idempotency key used twice for different things: the draft's 422.
    pub fn is_key_reuse(&self) -> bool {
        matches!(self, Self::PayloadChanged | Self::IntentConflict)
    }
}
