//! The names on disk. The layout is frozen: rows outlive releases, so a change is a new version with a step of
//! its own in `upgrade`.
//!
//! | store | key | value |
//! |---|---|---|
//! | `bodies` | first sequence of the segment | one string: the events' JSON, one a line (JSON has no raw line break) |
//! | `intents` | the same | `k` the index keys, `p` the packed identities, `t` stored at |
//! | `marks` | the same | `f` first, `o` first only while something is owed, `s` status bytes, `c` tries, `p` places, `n` notes, `t` settled at |
//! | `lanes` | lane, 8 bytes big-endian | `d` dead letter, `f` front, `w` wait until |
//! | `dead` | `[0 open or 1 closed, sequence]` | a dead letter in full words |
//! | `state` | `[collection, key]` | the record's canonical JSON |
//! | `inbox` | `[id of the event it answers or "", own id]` | an event of the feed, encoded |
//! | `meta` | one of the words below | |
//!
//! Whole numbers are JavaScript numbers, at most 2^53 - 1. Identities are `Uint8Array`s.

/// The version this release reads and writes.
pub(super) const VERSION: u32 = 1;

pub(super) const BODIES: &str = "bodies";
pub(super) const INTENTS: &str = "intents";
pub(super) const MARKS: &str = "marks";
pub(super) const LANES: &str = "lanes";
pub(super) const DEAD: &str = "dead";
pub(super) const STATE: &str = "state";
pub(super) const INBOX: &str = "inbox";
pub(super) const META: &str = "meta";

/// Unique, one entry per identity: from an intent or id to the segment that holds it.
pub(super) const HOLDER: &str = "holder";
/// From a first sequence to its marks, only for segments that owe something.
pub(super) const OWED: &str = "owed";

/// Next sequence and running totals: `n`, `o`wed, `b`ytes, `d`ead.
pub(super) const COUNTER: &str = "counter";
/// Number of the leading context.
pub(super) const EPOCH: &str = "epoch";
/// Whether a person paused sending.
pub(super) const PAUSED: &str = "paused";
/// When we may send.
pub(super) const PACE: &str = "pace";
/// What the city offers.
pub(super) const OFFER: &str = "offer";
/// Dead events the city has not been told of: an array of sequences.
pub(super) const TOMBSTONES: &str = "tombstones";
/// What was stored by which time of the city: an array of `[time, next sequence]`.
pub(super) const AGES: &str = "ages";
/// A number that rises while a context leads without a lock.
pub(super) const BEAT: &str = "beat";
/// Where we stand in the city's feed.
pub(super) const CURSOR: &str = "cursor";
/// Which life of the database this is: `incarnation`, `device`, `created`, `layout`.
pub(super) const LIFE: &str = "life";
