//! What is said: the event, its names, keys and identities.
//!
//! Everything here is pure: no clock, no random source, no storage. [`Emit`] is what a caller asks for;
//! [`prepare`] turns it into a [`Prepared`] event with identity, intent, fingerprint and encoded body, or into
//! an [`EmitProblem`] that says what to change. A prepared event never changes again.

pub mod contract;
pub mod fingerprint;
pub mod ids;
pub mod intent;
pub mod json;
pub mod names;
pub mod pii;
mod prepare;
pub mod time;

pub use ids::{EventId, IntentKey, LaneHash, Sequence, UnixMillis};
pub use names::{Collection, Device, EventType, Key, RecordName, Topic};
pub use prepare::{Emit, EmitProblem, Identity, Prepared, SEQUENCE_PREFIX, Stored, prepare, with_sequence};
