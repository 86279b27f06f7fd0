//! What the city keeps, as rows, and the transaction that reads and writes them.

use crate::books::Books;
use crate::bus::Message;
use crate::claim::Claimed;
use crate::clones::{Life, Why};
use crate::directory::Agent;
use crate::ticket::{Flaw, Policy, Ticket};
use conch::event::{Device, EventId, EventType, IntentKey, Key, Sequence, Topic, UnixMillis};
use conch::wire::Verdict;

/// The storage failed. Nothing of the transaction may count; the same question may be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// Within which bounds an intent is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In the whole market, from whatever device.
    Market,
    /// On one device.
    Device(Device),
}

/// What the city answered for one delivery, so that the same delivery gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// The event's source.
    pub source: String,
    /// The verdict, with the event's id.
    pub verdict: Verdict,
    /// SHA-256 over type, key, intent and payload: an id stands for one content.
    pub digest: [u8; 32],
    /// The pace window that went out with the answer, in ms, so that a replay is the same body.
    pub window_ms: u64,
    /// When it arrived, by the city's clock.
    pub received: UnixMillis,
}

/// An accepted event.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its source.
    pub source: String,
    /// Its delivery identity.
    pub id: EventId,
    /// The device that sent it.
    pub device: Device,
    /// Topic with version.
    pub topic: Topic,
    /// Type within the topic.
    pub kind: EventType,
    /// Business key.
    pub key: Key,
    /// What was meant.
    pub intent: IntentKey,
    /// Place in the device's outbox, when given.
    pub sequence: Option<Sequence>,
    /// When it happened by the device's clock, when given.
    pub device_time: Option<UnixMillis>,
    /// When it happened, corrected by how far the device's clock was off when it sent.
    pub corrected: UnixMillis,
    /// When it arrived, by the city's clock.
    pub received: UnixMillis,
    /// The event as it came, unknown attributes included.
    pub body: String,
}

/// The first event that carried an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentRow {
    /// SHA-256 over the payload members that make the meaning.
    pub fingerprint: [u8; 32],
    /// The event's source.
    pub source: String,
    /// The event.
    pub id: EventId,
}

/// How an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// The money is on the books.
    Captured,
    /// Promised: a receivable.
    Open,
    /// Nothing was taken; a new attempt may succeed.
    Failed,
    /// The acquirer was asked and has not answered.
    Pending,
}

impl OrderState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Open => "open",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Captured, Self::Open, Self::Failed, Self::Pending]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// An order and the event whose effect it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Order id.
    pub key: Key,
    /// How it stands.
    pub state: OrderState,
    /// The event whose effect this is.
    pub event: EventId,
    /// What was meant.
    pub intent: IntentKey,
    /// The till.
    pub device: Device,
    /// Minor units, when the event said so.
    pub amount: Option<u64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// The way it was paid.
    pub method: Option<String>,
    /// The city's reference, once captured.
    pub txn_id: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it happened, corrected.
    pub at: UnixMillis,
}

/// Money that went onto the books, once per order and for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Order id.
    pub order: Key,
    /// The city's reference.
    pub txn_id: String,
    /// The event that caused it.
    pub event: EventId,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// When it happened, corrected.
    pub at: UnixMillis,
}

/// The one admission of a ticket: the earliest scan that let somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Ticket id.
    pub ticket: Key,
    /// The scan that did it.
    pub event: EventId,
    /// The scanner.
    pub device: Device,
    /// The gate.
    pub gate: String,
    /// When it happened, corrected.
    pub at: UnixMillis,
}

/// What became of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanResult {
    /// The ticket's first admission.
    Admitted,
    /// The ticket was used before.
    Duplicate,
    /// The gate did not let it in.
    Refused,
}

impl ScanResult {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Admitted, Self::Duplicate, Self::Refused].into_iter().find(|result| result.as_str() == word)
    }
}

/// One scan of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Ticket id.
    pub ticket: Key,
    /// The event.
    pub event: EventId,
    /// The scanner.
    pub device: Device,
    /// The gate.
    pub gate: String,
    /// What became of it.
    pub result: ScanResult,
    /// What was wrong with the ticket, whatever became of the scan.
    pub flaw: Option<Flaw>,
    /// Whether somebody walked in with it, as far as anybody said.
    pub inside: bool,
    /// When it happened, corrected.
    pub at: UnixMillis,
}

/// How a civic case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseState {
    /// A unit was told.
    Routed,
    /// The unit takes care of it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl CaseState {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Routed, Self::Acknowledged, Self::Resolved].into_iter().find(|state| state.as_str() == word)
    }
}

/// A civic report and all that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Case id.
    pub key: Key,
    /// What it is about.
    pub kind: String,
    /// Where.
    pub place: String,
    /// Who takes care of it.
    pub unit: String,
    /// How it stands.
    pub state: CaseState,
    /// How often it was reported.
    pub reports: u64,
    /// Until when somebody must have taken care of it.
    pub due: UnixMillis,
    /// Until when it must be over, once somebody takes care of it and if its rule says so.
    pub resolve_by: Option<UnixMillis>,
    /// It was late, and that was told.
    pub escalated: bool,
    /// When the city first heard of it.
    pub reported_at: UnixMillis,
    /// When it last changed.
    pub changed_at: UnixMillis,
}

impl Case {
    /// Whether somebody still has to do something.
    pub fn is_open(&self) -> bool {
        self.state != CaseState::Resolved
    }

    /// When it is late, if it can be.
    pub fn deadline(&self) -> Option<UnixMillis> {
        match self.state {
            CaseState::Routed => Some(self.due),
            CaseState::Acknowledged => self.resolve_by,
            CaseState::Resolved => None,
        }
    }
}

/// What was answered to somebody who filled in the public form under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormRow {
    /// SHA-256 over what the form said.
    pub digest: [u8; 32],
    /// The case it went to.
    pub case: Key,
    /// The unit that was named.
    pub unit: String,
    /// Whether the case was known before.
    pub known: bool,
    /// When.
    pub at: UnixMillis,
}

/// What one stall draws on its circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The circuit.
    pub circuit: Key,
    /// The stall's device.
    pub stall: Device,
    /// What it draws, or drew before it was shed, in watts.
    pub watts: u64,
    /// What it said last, in watts.
    pub drawn: u64,
    /// When it was last measured, corrected.
    pub at: UnixMillis,
    /// When it was shed, while it is.
    pub shed_at: Option<UnixMillis>,
    /// When it was last shed or restored.
    pub changed_at: Option<UnixMillis>,
}

/// An event from the city to one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Whom it is for.
    pub device: Device,
    /// Place in that device's feed, from 1.
    pub sequence: u64,
    /// Its id.
    pub id: EventId,
    /// The encoded CloudEvent.
    pub body: String,
}

/// One life of a device's database, as far as the city heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// The highest epoch of a leading context.
    pub epoch: u64,
    /// Every sequence up to here arrived, was given up, or lies in a recorded gap.
    pub scanned: u64,
}

/// Sequences the device no longer owes and the city never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first missing sequence.
    pub first: u64,
    /// The last missing sequence.
    pub last: u64,
}

/// One transaction. Whatever is written through it becomes durable together, or not at all.
///
/// `put_*` inserts and fails on a row that is there, except where it says otherwise: the store's unique
/// constraints are the last line of defence behind the decisions.
pub trait Tx: Books {
    /// The answer given to a delivery.
    fn inbox(&mut self, source: &str, id: EventId) -> Result<Option<InboxRow>, Fault>;
    /// Records an answer.
    fn put_inbox(&mut self, row: &InboxRow, device: &Device) -> Result<(), Fault>;
    /// Keeps an accepted event.
    fn put_event(&mut self, event: &Kept) -> Result<(), Fault>;
    /// When an accepted event happened, corrected.
    fn happened(&mut self, source: &str, id: EventId) -> Result<Option<UnixMillis>, Fault>;
    /// Notes that an event was refused; a second note of the same is no fault.
    fn put_refusal(&mut self, device: &Device, id: EventId, code: &str, at: UnixMillis) -> Result<(), Fault>;

    /// The first event of an intent.
    fn intent(&mut self, scope: &Scope, intent: IntentKey) -> Result<Option<IntentRow>, Fault>;
    /// Records the first event of an intent.
    fn put_intent(&mut self, scope: &Scope, intent: IntentKey, row: &IntentRow) -> Result<(), Fault>;

    /// An order.
    fn order(&mut self, key: &Key) -> Result<Option<Order>, Fault>;
    /// Writes an order, over an earlier one whose money is not on the books if there is one.
    fn put_order(&mut self, order: &Order) -> Result<(), Fault>;
    /// Puts money onto the books.
    fn put_capture(&mut self, capture: &Capture) -> Result<(), Fault>;

    /// A ticket's admission.
    fn admission(&mut self, ticket: &Key) -> Result<Option<Admission>, Fault>;
    /// Admits a ticket.
    fn put_admission(&mut self, admission: &Admission) -> Result<(), Fault>;
    /// Gives a ticket's admission to another scan.
    fn move_admission(&mut self, admission: &Admission) -> Result<(), Fault>;
    /// Takes a ticket's admission back: nobody was let in.
    fn drop_admission(&mut self, ticket: &Key) -> Result<(), Fault>;
    /// Records a scan.
    fn put_scan(&mut self, scan: &Scan) -> Result<(), Fault>;
    /// A scan by its event.
    fn scan(&mut self, device: &Device, event: EventId) -> Result<Option<Scan>, Fault>;
    /// Writes a scan, over what was there under its device and event.
    fn change_scan(&mut self, scan: &Scan) -> Result<(), Fault>;
    /// The earliest scan of a ticket that was not refused, by time, event and device.
    fn first_scan(&mut self, ticket: &Key) -> Result<Option<Scan>, Fault>;
    /// What the device of a scan did with its ticket besides, but for what was refused; the latest first, at most so many.
    fn beside(&mut self, scan: &Scan, limit: usize) -> Result<Vec<Scan>, Fault>;

    /// An issued ticket.
    fn ticket(&mut self, key: &Key) -> Result<Option<Ticket>, Fault>;
    /// What is thought of tickets that were not issued here.
    fn ticket_policy(&mut self) -> Result<Policy, Fault>;
    /// A claim, by the event of its scan.
    fn claim(&mut self, device: &Device, event: EventId) -> Result<Option<Claimed>, Fault>;
    /// Records a claim and its answer.
    fn put_claim(&mut self, claimed: &Claimed) -> Result<(), Fault>;
    /// Notes a ticket of whose admission other gates are to hear until a time; once, however often it is noted before
    /// that.
    fn put_digest(&mut self, ticket: &Key, until: UnixMillis) -> Result<(), Fault>;
    /// Removes and returns the oldest of these.
    fn take_digest(&mut self) -> Result<Option<(Key, UnixMillis)>, Fault>;
    /// Devices of gates that were heard since, the latest first, at most so many.
    fn gates_since(&mut self, since: UnixMillis, limit: usize) -> Result<Vec<Device>, Fault>;

    /// A civic case.
    fn case(&mut self, key: &Key) -> Result<Option<Case>, Fault>;
    /// Writes it, over what was there.
    fn put_case(&mut self, case: &Case) -> Result<(), Fault>;
    /// The open case whose deadline comes first, of those that were not escalated.
    fn next_case(&mut self) -> Result<Option<Case>, Fault>;
    /// The case that reports of a kind about a place went to last.
    fn spot(&mut self, kind: &str, spot: &str) -> Result<Option<Key>, Fault>;
    /// Writes it, over what was there.
    fn put_spot(&mut self, kind: &str, spot: &str, case: &Key) -> Result<(), Fault>;
    /// What was answered to a form; `asker` stands for an address and its idempotency key.
    fn form(&mut self, asker: &[u8; 32]) -> Result<Option<FormRow>, Fault>;
    /// Records it.
    fn put_form(&mut self, asker: &[u8; 32], row: &FormRow) -> Result<(), Fault>;
    /// Keeps how somebody can be reached about a case; a second note of the same is no fault.
    fn put_contact(&mut self, case: &Key, contact: &str, at: UnixMillis) -> Result<(), Fault>;
    /// Forgets who can be reached about a case.
    fn drop_contacts(&mut self, case: &Key) -> Result<(), Fault>;

    /// All agents of the directory, those too whose lease ran out.
    fn agents(&mut self) -> Result<Vec<Agent>, Fault>;
    /// Writes an agent, over what was there.
    fn put_agent(&mut self, agent: &Agent) -> Result<(), Fault>;
    /// Removes an agent.
    fn drop_agent(&mut self, device: &Device) -> Result<(), Fault>;

    /// What a stall draws.
    fn load(&mut self, circuit: &Key, stall: &Device) -> Result<Option<Load>, Fault>;
    /// What all stalls of a circuit draw, by their names.
    fn loads(&mut self, circuit: &Key) -> Result<Vec<Load>, Fault>;
    /// Writes it, over what was there.
    fn put_load(&mut self, load: &Load) -> Result<(), Fault>;
    /// The circuits with a stall that is shed.
    fn shedding(&mut self) -> Result<Vec<Key>, Fault>;

    /// Says an event to the other services, once this transaction is durable.
    fn put_outgoing(&mut self, message: &Message) -> Result<(), Fault>;

    /// The last sequence of a device's feed, 0 when empty.
    fn feed_head(&mut self, device: &Device) -> Result<u64, Fault>;
    /// Appends to a device's feed.
    fn put_feed(&mut self, event: &FeedEvent) -> Result<(), Fault>;
    /// Appends what may be forgotten after a time.
    fn put_passing(&mut self, event: &FeedEvent, until: UnixMillis) -> Result<(), Fault>;
    /// Forgets at most so many of those whose time has come, never a feed's last event, and tells how many.
    fn drop_passed(&mut self, now: UnixMillis, limit: usize) -> Result<usize, Fault>;

    /// One life of a device's database.
    fn incarnation(&mut self, device: &Device, name: &str) -> Result<Option<Incarnation>, Fault>;
    /// Writes it, over what was there.
    fn put_incarnation(&mut self, device: &Device, name: &str, row: Incarnation) -> Result<(), Fault>;
    /// Notes that a sequence arrived; a second note of the same is no fault.
    fn put_arrival(&mut self, device: &Device, name: &str, sequence: u64) -> Result<(), Fault>;
    /// Removes and returns the noted sequences below a bound, in rising order.
    fn take_arrivals(&mut self, device: &Device, name: &str, below: u64) -> Result<Vec<u64>, Fault>;
    /// The gap a sequence lies in.
    fn gap_at(&mut self, device: &Device, name: &str, sequence: u64) -> Result<Option<Gap>, Fault>;
    /// Whether a life of a device's database has a gap.
    fn has_gaps(&mut self, device: &Device, name: &str) -> Result<bool, Fault>;
    /// All gaps of a device, in all lives of its database; of many, so many.
    fn gaps_of(&mut self, device: &Device, limit: usize) -> Result<Vec<(String, Gap)>, Fault>;
    /// Keeps who gave a gap up, and why.
    fn put_written_off(
        &mut self,
        device: &Device,
        name: &str,
        gap: Gap,
        at: UnixMillis,
        word: (&str, &str),
    ) -> Result<(), Fault>;
    /// Records a gap.
    fn put_gap(&mut self, device: &Device, name: &str, gap: Gap, at: UnixMillis) -> Result<(), Fault>;
    /// Removes a gap that begins there.
    fn drop_gap(&mut self, device: &Device, name: &str, first: u64) -> Result<(), Fault>;

    /// When and how one life of a device's database spoke.
    fn life(&mut self, device: &Device, name: &str) -> Result<Option<Life>, Fault>;
    /// The lives of a device that first spoke after a time; of many, those that spoke last.
    fn younger_lives(&mut self, device: &Device, than: UnixMillis) -> Result<Vec<Life>, Fault>;
    /// Writes a life, over what was there.
    fn put_life(&mut self, device: &Device, life: &Life) -> Result<(), Fault>;
    /// Forgets all lives of a device.
    fn drop_lives(&mut self, device: &Device) -> Result<(), Fault>;
    /// Whether another event than this was accepted at a place of an outbox.
    fn place_taken(&mut self, source: &str, sequence: u64, id: EventId) -> Result<bool, Fault>;
    /// Why another device is believed to bear this one's name, if so.
    fn clone_of(&mut self, device: &Device) -> Result<Option<Why>, Fault>;
    /// Notes that.
    fn put_clone(&mut self, device: &Device, why: Why, at: UnixMillis) -> Result<(), Fault>;
    /// Takes that note back.
    fn drop_clone(&mut self, device: &Device) -> Result<(), Fault>;
}
