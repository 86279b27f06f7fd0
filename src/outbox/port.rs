//! What the engine and a store say to each other. A store knows two primitives: apply one [`Batch`] in one
//! transaction, and load one page of owed rows.

use super::record::{AgeMark, Counter, LaneRecord, PaceRecord, RowRef};
use super::transact::{Done, Refusal};
use crate::event::contract::OnDead;
use crate::event::{EventId, IntentKey, LaneHash, Sequence, UnixMillis};
use crate::wire::EdgeConfig;

pub use super::transact::{Batch, Durability};

/// What a store reports when it has opened.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Opened {
    /// The running totals.
    pub counter: Counter,
    /// The epoch on disk.
    pub epoch: u64,
    /// Whether a person paused sending.
    pub paused: bool,
    /// When we may send.
    pub pace: PaceRecord,
    /// What the city offered, and when.
    pub offer: Option<(EdgeConfig, UnixMillis)>,
    /// What was stored by which time of the city, oldest first.
    pub ages: Vec<AgeMark>,
    /// Rises while a context leads that has no lock to show for it.
    pub beat: u64,
    /// Where we stand in the city's feed; empty at its beginning.
    pub cursor: String,
    /// Dead events the city has not been told of, oldest first.
    pub tombstones: Vec<Sequence>,
    /// Lanes that do not simply flow, at most `BLOCKED_LANES_MAX`.
    pub lanes: Vec<LaneRecord>,
}

/// A question for one page of owed rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Of the segments after this one, at most `LOAD_SEGMENTS_MAX`.
    After(Sequence),
    /// Of exactly these segments, ascending, at most `LOAD_SEGMENTS_MAX`.
    These(Vec<Sequence>),
}

/// One page of owed rows, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Page {
    /// The owed rows of the segments found.
    pub rows: Vec<LoadedRow>,
    /// Last segment looked at; the next page starts after it.
    pub last: Option<Sequence>,
    /// Whether there may be more segments after it.
    pub more: bool,
}

/// One owed row as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedRow {
    /// The row.
    pub row: RowRef,
    /// Delivery identity.
    pub id: EventId,
    /// Idempotency key.
    pub intent: IntentKey,
    /// The lane.
    pub lane: LaneHash,
    /// What its dead letter does to the lane.
    pub on_dead: OnDead,
    /// Deliveries tried.
    pub tries: u8,
    /// Whether a try may have reached the city without an answer.
    pub maybe_sent: bool,
    /// Its place in the lane, when not its sequence.
    pub place: Option<Sequence>,
    /// When it was stored.
    pub stored_at: UnixMillis,
    /// The encoded event.
    pub body: String,
}

/// The result of one [`Batch`].
pub type Applied = Result<Done, StoreFault>;

/// Why a store could not do as asked. Unless said otherwise nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// The transaction's own decision.
    Refused(Refusal),
    /// The disk or the origin's quota is full.
    Quota,
    /// The connection is gone and could not be opened again; whether the write went in is not known.
    Lost(String),
    /// The database was written by a newer release.
    Newer,
    /// Another context holds the database and does not let go, though this release must change it.
    Blocked,
    /// The database belongs to this other device.
    OtherDevice(String),
    /// There is no usable database here.
    Unavailable(String),
}
