//! What the bus keeps, as rows.

use super::{Failure, Message};
use crate::tx::{Fault, Tx};
use conch::event::{EventId, Key, UnixMillis};

/// An event a consumer has not done yet: it is tried again at its time, or stands behind an earlier one of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whose.
    pub consumer: String,
    /// Where it lies.
    pub partition: u16,
    /// Its place there.
    pub offset: u64,
    /// Its key.
    pub key: Key,
    /// How often its handler failed.
    pub tries: u32,
    /// When it is tried again. Without a time it stands behind another one, unless it is dead.
    pub due: Option<UnixMillis>,
    /// It is dead and keeps its key back: only a person's decision lets it go on.
    pub dead: bool,
    /// What a person put in its place.
    pub body: Option<String>,
}

impl Wait {
    /// One that was not tried yet and stands behind another.
    pub(super) fn behind(consumer: &str, (partition, offset): (u16, u64), key: Key) -> Self {
        let consumer = consumer.to_owned();
        Self { consumer, partition, offset, key, tries: 0, due: None, dead: false, body: None }
    }
}

/// A person's decision about a dead letter, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub by: String,
    /// Whether it goes again; else it was discarded.
    pub redriven: bool,
    /// Why.
    pub reason: String,
}

/// An event that a consumer will not try again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, given when it is written.
    pub number: u64,
    /// Whose.
    pub consumer: String,
    /// Where the event lies.
    pub partition: u16,
    /// Its place there.
    pub offset: u64,
    /// The event, with personal data masked.
    pub message: Message,
    /// How often its handler tried.
    pub tries: u32,
    /// The stable word of its last problem.
    pub code: String,
    /// What a person should know of it.
    pub detail: String,
    /// The same for all failures of one kind.
    pub fingerprint: String,
    /// What a person had put in the payload's place, if so; not masked.
    pub mended: Option<String>,
    /// Whether the later events of its key wait for the decision.
    pub blocks: bool,
    /// When it died.
    pub at: UnixMillis,
    /// What was decided.
    pub closed: Option<Closing>,
}

/// The rows of the bus, beside those of the services.
pub trait BusTx: Tx {
    /// Does a piece of work that leaves nothing behind when it fails.
    fn piece(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Failure>) -> Result<(), Failure>;

    /// The partitions in which something was said that is not on the log.
    fn said_in(&mut self) -> Result<Vec<u16>, Fault>;
    /// What was said and is not on the log, in order, with its place.
    fn outgoing(&mut self, partition: u16, limit: usize) -> Result<Vec<(u64, Message)>, Fault>;
    /// Forgets what was said there.
    fn drop_outgoing(&mut self, partition: u16, place: u64) -> Result<(), Fault>;
    /// About how much was said and is not on the log.
    fn backlog(&mut self) -> Result<u64, Fault>;

    /// Who holds a lease, and until when.
    fn lease(&mut self, name: &str) -> Result<Option<(String, UnixMillis)>, Fault>;
    /// Writes a lease, over what was there.
    fn put_lease(&mut self, name: &str, holder: &str, until: UnixMillis) -> Result<(), Fault>;

    /// Appends to the log. An event that lies there already is not appended again: then false.
    fn append(&mut self, message: &Message, at: UnixMillis) -> Result<bool, Fault>;
    /// What lies behind an offset, in order. `None` stands for what this release cannot read.
    fn log_after(
        &mut self,
        partition: u16,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Option<Message>)>, Fault>;
    /// What lies there.
    fn log_at(&mut self, partition: u16, offset: u64) -> Result<Option<Message>, Fault>;

    /// The last offset of a partition, 0 when it is empty.
    fn head(&mut self, partition: u16) -> Result<u64, Fault>;

    /// The last offset a consumer has taken up.
    fn cursor(&mut self, consumer: &str, partition: u16) -> Result<u64, Fault>;
    /// Moves it.
    fn put_cursor(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault>;

    /// Notes that a consumer handles an event. False when it did before.
    fn put_handled(
        &mut self,
        consumer: &str,
        source: &str,
        id: EventId,
        at: UnixMillis,
    ) -> Result<bool, Fault>;

    /// Takes that note back.
    fn drop_handled(&mut self, consumer: &str, source: &str, id: EventId) -> Result<(), Fault>;

    /// A waiting event.
    fn wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<Option<Wait>, Fault>;
    /// The first waiting event of a key.
    fn first_wait(&mut self, consumer: &str, key: &Key) -> Result<Option<Wait>, Fault>;
    /// The waiting events whose time has come, the longest due first.
    fn due_waits(&mut self, consumer: &str, now: UnixMillis, limit: usize) -> Result<Vec<Wait>, Fault>;
    /// When the next one is due.
    fn next_due(&mut self, consumer: &str) -> Result<Option<UnixMillis>, Fault>;
    /// Writes a waiting event, over what was there.
    fn put_wait(&mut self, wait: &Wait) -> Result<(), Fault>;
    /// Removes it.
    fn drop_wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault>;

    /// Forgets up to `limit` deliveries and handled events from before a time, and what every consumer has taken up of
    /// the log since then and nobody waits for, up to `limit` rows of each table and partition. Tells how many rows it
    /// was, and whether there may be more. The last row of a partition stays: the next
    /// offset follows from it.
    fn forget(
        &mut self,
        consumers: &[&str],
        before: UnixMillis,
        limit: usize,
    ) -> Result<(usize, bool), Fault>;

    /// A consumer that is there no more is forgotten: its cursors and what waits for it.
    fn retire(&mut self, consumer: &str) -> Result<(), Fault>;

    /// Writes a dead letter and gives its number.
    fn put_dead(&mut self, letter: &DeadLetter) -> Result<u64, Fault>;
    /// How many open dead letters there are of one kind of failure, up to `most`.
    fn open_of_kind(&mut self, fingerprint: &str, most: u64) -> Result<u64, Fault>;
    /// A dead letter.
    fn dead(&mut self, number: u64) -> Result<Option<DeadLetter>, Fault>;
    /// Notes what was decided.
    fn close_dead(&mut self, number: u64, closing: &Closing) -> Result<(), Fault>;
}
