//! What the city keeps about money that an acquirer moves, as rows: authorizations, what is asked of the acquirer, what it
//! says it moved, and what it moved twice.

use crate::tx::{Capture, Fault};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};

/// What the acquirer is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Hold an amount for an order.
    Authorize,
    /// Take what is held.
    Capture,
    /// Let go of what is held.
    Cancel,
    /// Give back what was taken.
    Refund,
}

impl Service {
    const ALL: [Self; 4] = [Self::Authorize, Self::Capture, Self::Cancel, Self::Refund];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == word)
    }
}

/// How something asked of the acquirer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The acquirer has not heard of it.
    Wanted,
    /// It may have heard of it: it is queried, never simply sent anew.
    Asked,
    /// It did it.
    Done,
    /// It said no. For ever: another try needs another id.
    Refused,
}

impl Stand {
    const ALL: [Self; 4] = [Self::Wanted, Self::Asked, Self::Done, Self::Refused];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stand| stand.as_str() == word)
    }
}

/// One thing asked of the acquirer, under an id of ours that it keeps for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Ours: the acquirer does the same id once.
    pub id: String,
    /// What it is to do.
    pub service: Service,
    /// The order it is for.
    pub order: Key,
    /// The authorization to take or let go, or the acquirer's reference of the money to give back. An authorization is
    /// about itself.
    pub about: String,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// What the payer reads on the statement.
    pub statement: String,
    /// How it stands.
    pub stand: Stand,
    /// Answers that said nothing.
    pub tries: u32,
    /// When it is looked after next; never once it is done or refused.
    pub due: Option<UnixMillis>,
    /// The acquirer's reference, once it is done.
    pub reference: Option<String>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The event it follows from: source and id.
    pub cause: Option<(String, EventId)>,
    /// It took too long, and that was told.
    pub told_late: bool,
    /// When it was first wanted.
    pub at: UnixMillis,
}

/// How an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The acquirer has not answered.
    Asked,
    /// The amount is held.
    Authorized,
    /// The acquirer said no.
    Declined,
    /// Its capture was commanded.
    Used,
    /// Its cancellation was commanded.
    Cancelled,
}

impl Hold {
    const ALL: [Self; 5] = [Self::Asked, Self::Authorized, Self::Declined, Self::Used, Self::Cancelled];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Authorized => "authorized",
            Self::Declined => "declined",
            Self::Used => "used",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hold| hold.as_str() == word)
    }
}

/// An amount that was to be held for an order, asked for while the till was online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Its name, made by the city; the `authRef` of the event that takes it.
    pub reference: String,
    /// The till.
    pub device: Device,
    /// The till's idempotency key.
    pub intent: IntentKey,
    /// The order.
    pub order: Key,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// How it stands.
    pub hold: Hold,
    /// Why it was declined.
    pub reason: Option<String>,
    /// How many captures of it were commanded; each has an id of its own.
    pub captures: u32,
    /// When it is let go unless it was used: soon, until the till knows of it.
    pub expires: UnixMillis,
    /// When it was asked for.
    pub at: UnixMillis,
}

/// Money the acquirer says it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Its reference, unique at the acquirer.
    pub reference: String,
    /// The id of ours it carries, whatever that says.
    pub operation: String,
    /// A capture or a refund.
    pub service: Service,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
}

/// How the refund of money that moved twice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// Found; the refund is not commanded yet.
    Found,
    /// A refund is under way.
    Commanded,
    /// The acquirer refused as often as it is asked: a person must look.
    Stuck,
    /// The money went back.
    Refunded,
    /// A person gave it back another way, and said how.
    Settled,
}

impl RefundState {
    /// All of them, in the order in which a refund goes.
    pub const ALL: [Self; 5] = [Self::Found, Self::Commanded, Self::Stuck, Self::Refunded, Self::Settled];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Commanded => "commanded",
            Self::Stuck => "stuck",
            Self::Refunded => "refunded",
            Self::Settled => "settled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Money that moved although its order was paid, and what is done to give it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The city's reference of the second capture.
    pub txn_id: String,
    /// The first one's.
    pub first_txn_id: String,
    /// The order.
    pub order: Key,
    /// The acquirer's reference of the second capture.
    pub reference: String,
    /// Minor units.
    pub amount: u64,
    /// What is going or went back: never more than was taken.
    pub refunding: u64,
    /// ISO 4217.
    pub currency: String,
    /// How its refund stands.
    pub state: RefundState,
    /// Refunds commanded so far; each has an id of its own.
    pub attempt: u32,
    /// The event the money followed from: source and id.
    pub cause: Option<(String, EventId)>,
    /// When it was found.
    pub at: UnixMillis,
}

/// A step of a refund, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundStep {
    /// What it came to.
    pub state: RefundState,
    /// Which refund it was about.
    pub attempt: u32,
    /// Why, or the acquirer's reference.
    pub detail: String,
    /// When.
    pub at: UnixMillis,
}

/// Who else waits for the outcome of an order: the sender of the same intent under another id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// Its event's source.
    pub source: String,
    /// Its event.
    pub id: EventId,
    /// The event as it came.
    pub body: String,
}

/// The rows about money that an acquirer moves. `put_*` writes over what was there, except where it says otherwise.
pub trait Books {
    /// An accepted event as it came.
    fn event_body(&mut self, source: &str, id: EventId) -> Result<Option<String>, Fault>;

    /// An authorization.
    fn authorization(&mut self, reference: &str) -> Result<Option<Authorization>, Fault>;
    /// The authorization a till asked for under a key.
    fn authorization_of(
        &mut self,
        device: &Device,
        intent: IntentKey,
    ) -> Result<Option<Authorization>, Fault>;
    /// Writes an authorization.
    fn put_authorization(&mut self, authorization: &Authorization) -> Result<(), Fault>;
    /// The authorization that is held, not used, and expires first.
    fn next_expiry(&mut self) -> Result<Option<Authorization>, Fault>;

    /// Something asked of the acquirer.
    fn operation(&mut self, id: &str) -> Result<Option<Operation>, Fault>;
    /// Writes it.
    fn put_operation(&mut self, operation: &Operation) -> Result<(), Fault>;
    /// What is to be looked after, the longest due first.
    fn due_operations(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<Operation>, Fault>;
    /// The city starts: whoever asked before is gone, so what was asked is looked after now.
    fn recall_operations(&mut self, now: UnixMillis) -> Result<(), Fault>;
    /// When something is to be looked after next.
    fn next_operation(&mut self) -> Result<Option<UnixMillis>, Fault>;
    /// What of an order is held and was not used.
    fn held_for(&mut self, order: &Key) -> Result<Vec<Authorization>, Fault>;
    /// The oldest one without an answer of which nobody was told that it takes long.
    fn oldest_open(&mut self) -> Result<Option<Operation>, Fault>;

    /// The money on the books of an order.
    fn capture(&mut self, order: &Key) -> Result<Option<Capture>, Fault>;

    /// What the acquirer said it moved, if it did before.
    fn movement(&mut self, reference: &str) -> Result<Option<Movement>, Fault>;
    /// Notes what it moved, from an answer or from its list. It must not be there.
    fn put_movement(&mut self, movement: &Movement, listed: bool, at: UnixMillis) -> Result<(), Fault>;
    /// Its list shows it too, or somebody was told that it does not.
    fn mark_listed(&mut self, reference: &str) -> Result<(), Fault>;
    /// What moved under an id of ours, and whether its list shows that.
    fn movements_of(&mut self, operation: &str) -> Result<Vec<(Movement, bool)>, Fault>;
    /// The oldest movement its list does not show, and when we heard of it.
    fn oldest_unlisted(&mut self) -> Result<Option<(Movement, UnixMillis)>, Fault>;
    /// Notes that a person was told of this. False when it was noted before.
    fn put_told(&mut self, what: &str) -> Result<bool, Fault>;
    /// How far the acquirer's list was read.
    fn settled_up_to(&mut self) -> Result<u64, Fault>;
    /// Moves it.
    fn put_settled_up_to(&mut self, number: u64) -> Result<(), Fault>;

    /// Money that moved twice, by its reference of ours.
    fn duplicate(&mut self, txn_id: &str) -> Result<Option<Duplicate>, Fault>;
    /// The same by the acquirer's reference.
    fn duplicate_of(&mut self, reference: &str) -> Result<Option<Duplicate>, Fault>;
    /// Writes it.
    fn put_duplicate(&mut self, duplicate: &Duplicate) -> Result<(), Fault>;
    /// Adds a step to its history.
    fn put_refund_step(&mut self, txn_id: &str, step: &RefundStep) -> Result<(), Fault>;

    /// Who else waits for an order's outcome.
    fn watchers(&mut self, order: &Key) -> Result<Vec<Watcher>, Fault>;
    /// Adds one; a second note of the same is no fault.
    fn put_watcher(&mut self, order: &Key, watcher: &Watcher) -> Result<(), Fault>;
    /// Nobody waits any more.
    fn drop_watchers(&mut self, order: &Key) -> Result<(), Fault>;
}
