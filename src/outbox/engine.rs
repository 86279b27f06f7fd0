//! The engine: every decision of one outbox, without touching anything.
//!
//! **After every call that takes the engine by `&mut`, drain [`Engine::poll`] and then look at
//! [`Engine::next_wake`].** The loop of a driver:
//!
//! 1. [`Engine::emit`] collects the events of one turn; at the turn's end drain `poll`.
//! 2. [`Output::Apply`] and [`Output::Load`] go to the store; their results come back as [`Input::Applied`] and
//!    [`Input::Loaded`].
//! 3. [`Output::Send`] goes to the network; its outcome comes back as [`Input::Replied`].
//! 4. [`Output::Emitted`], [`Output::Closed`] and [`Output::Notice`] go to the page.
//! 5. At [`Engine::next_wake`] hand in [`Input::Wake`].
//!
//! Methods are of four kinds: getters; `handle`, which takes what happened; the callers' wishes (`emit`, `redrive`,
//! `discard`); and `poll`, which gives what is to be done.

use super::append::{Commit, Guard, Put};
use super::feed::{Ear, Heard};
use super::port::{Applied, Batch, Load, Opened, Page, StoreFault};
use super::record::{AgeMark, Counter, DeadLetter, DeadReason, PaceRecord, RowRef, take_out};
use super::transact::{Appended, Closed, Done, Kept, Outcome, Refusal, Settlement};
use super::window::{Doing, Window, earlier};
use crate::event::contract::OnDead;
use crate::event::json::Json;
use crate::event::{
    Emit, EmitProblem, EventId, Identity, LaneHash, Prepared, Sequence, Stored, UnixMillis, prepare,
};
use crate::limits::{
    AGE_MARK_EVERY_MS, AGE_MARKS_MAX, AGE_MAX_MS, BACKOFF_BASE_MS, BACKOFF_CAP_HIDDEN_MS, BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX, BEAT_EVERY_MS, EDGE_CONFIG_KEEP_MS, FEED_WAIT_S, LANE_RETRY_BASE_MS,
    LEADER_SILENT_HIDDEN_MS, LEADER_SILENT_MS, PRUNE_EVERY_ROWS, REASON_CHARS_MAX, REQUEST_TIMEOUT_MS,
    RETRY_AFTER_JITTER_MS, RETRY_AFTER_MAX_MS, SERVER_FAULTS_BEFORE_BISECT, SINGLE_REQUESTS_MAX,
    STORAGE_HEADROOM_BYTES, TOMBSTONES_TOLD_MAX,
};
use crate::pace::{Jitter, Link, Now, Watched, backoff_ms, return_window_ms, told_ms};
use crate::wire::answer::{Answer, EdgeConfig, FeedEvent, Problem, Verdict, VerdictWord};
use crate::wire::classify::{Asked, Reply, ReplyClass, Unsettled, classify};
use crate::wire::{headers, single};
use std::collections::VecDeque;
use std::rc::Rc;

/// Names one wish of a caller, chosen by the driver; its result carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The store is open, or open again.
    Opened(Opened),
    /// A batch was applied, or not.
    Applied {
        /// The operation.
        op: u64,
        /// Its result.
        result: Applied,
    },
    /// A page was read, or not.
    Loaded {
        /// The operation.
        op: u64,
        /// Its result.
        result: Result<Page, StoreFault>,
    },
    /// A request ended.
    Replied {
        /// The request.
        request: u64,
        /// How.
        reply: Reply,
    },
    /// The time of [`Engine::next_wake`] has come.
    Wake,
    /// Something suggests that the link is back. Only a hint.
    LinkHint(Hint),
    /// Whether a person can see the page.
    Watched(Watched),
    /// This context may lead from now on.
    LeadGained,
    /// This context leads no more.
    LeadLost,
    /// This browser gives no locks here: the epoch and a beat in the store choose who leads.
    NoLocks,
    /// The leading context shows that it lives.
    Beat,
    /// This context is about to go, perhaps to be shown again.
    Leaving,
    /// This context takes part no more.
    Closed,
    /// Another context of the origin wrote something.
    Changed,
    /// The answer to [`Output::Reread`].
    Reread {
        /// The operation.
        op: u64,
        /// What the store holds now.
        result: Result<Opened, StoreFault>,
    },
    /// The answer to [`Output::Effects`]: the same events with what they do to the application's records.
    Effects(Vec<Heard>),
    /// What the browser said: so many bytes the origin's storage can still take.
    Space(u64),
    /// A person says "send now".
    Flush,
}

/// What suggests that the link is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The browser says that it is online, as it may say to a whole market at once.
    Online,
    /// A person looks at the page again.
    Person,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Apply this batch in one transaction.
    Apply {
        /// Hand it back with the result.
        op: u64,
        /// The batch.
        batch: Batch,
    },
    /// Read this page.
    Load {
        /// Hand it back with the result.
        op: u64,
        /// The page.
        load: Load,
    },
    /// Read again what [`Input::Opened`] told.
    Reread {
        /// Hand it back with the result.
        op: u64,
    },
    /// Send this request.
    Send(Request),
    /// Say what these events of the feed do to the application's records.
    Effects(Vec<Heard>),
    /// The lead is lost: release the lock and ask for it again.
    YieldLead,
    /// The leader is silent: take the lock from it.
    StealLead,
    /// Tell the other contexts that the leader lives.
    Beat,
    /// An emitted event, or a redriven one, is safe, or was not taken.
    Emitted(Ticket, Result<Receipt, EmitFault>),
    /// A commit is safe, with a receipt for each of its events, or nothing of it was taken.
    Committed(Ticket, Result<Vec<Receipt>, EmitFault>),
    /// A dead letter was discarded or a pause noted, or not.
    Closed(Ticket, Result<(), StoreFault>),
    /// Something worth telling.
    Notice(Notice),
}

/// What `emit` gives once the event is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What is kept of the event.
    pub kept: Kept,
    /// Whether the intent was on disk before and nothing new was written.
    pub replayed: bool,
}

/// Why an event is not in the outbox. Nothing of it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum EmitFault {
    /// The caller's mistake.
    Problem(EmitProblem),
    /// The intent is stored with another meaning.
    Conflict(Kept),
    /// Two events of the commit share an intent and differ in meaning.
    Contradiction,
    /// The intent was given up by a person.
    IntentClosed(Kept),
    /// The outbox owes too much.
    Full,
    /// The record that this guard of the commit names, by place, is not as expected.
    Guard(usize),
    /// The store failed.
    Store(StoreFault),
    /// This dead letter cannot be sent again as it is.
    NotRedrivable,
    /// This dead letter may have reached the city: it goes again unchanged or not at all.
    MustNotChange,
    /// The engine is not open.
    NotOpen,
}

/// A request to the city.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Hand it back with the reply.
    pub number: u64,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path below the city's address.
    pub path: String,
    /// Headers except authorization.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Option<String>,
    /// How long it may take, in ms.
    pub timeout_ms: u64,
    /// Whether credentials must be asked for again, because the last ones were refused.
    pub fresh_credentials: bool,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The totals or states changed.
    Changed,
    /// An event has its final verdict, and it is on disk.
    Settled {
        /// The event.
        id: EventId,
        /// The verdict.
        verdict: Final,
    },
    /// An event became a dead letter, and it is on disk: an alert.
    DeadLetter {
        /// The event.
        id: EventId,
        /// Its place.
        sequence: Sequence,
        /// Why.
        reason: DeadReason,
        /// The city's words.
        problem: Option<Problem>,
    },
    /// The city said something to this device, and it is on disk with its effect.
    Heard(FeedEvent),
    /// The city's feed starts over: ask how things stand.
    Resync,
    /// The link changed.
    Link(Link),
    /// The store failed where no caller waits for it.
    Storage(StoreFault),
}

/// The end of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Final {
    /// In the city's inbox.
    Accepted,
    /// The city had the intent before.
    Duplicate,
    /// A dead letter now.
    Refused(Option<Problem>),
    /// Given up by a person.
    Discarded,
}

/// Why nothing is being sent right now. There is always an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNotSending {
    /// Nothing is owed.
    NothingOwed,
    /// It is sending.
    Sending,
    /// A person paused it.
    Paused,
    /// Another context of the origin sends.
    NotLeader,
    /// The store is not open yet.
    Opening,
    /// Waiting after failures.
    WaitingBackoff,
    /// Waiting because the city said so.
    WaitingTold,
    /// Waiting for its moment within the city's window after an outage.
    WaitingWindow,
    /// All that is owed waits in its lane.
    WaitingLane,
    /// Waiting for credentials.
    Held,
    /// All that is owed waits for a person's decision.
    NeedsAttention,
    /// The store failed; it is asked again.
    StorageFault,
    /// The outbox was closed in this context.
    Closed,
}

impl WhyNotSending {
    /// The word on screens and in the TypeScript types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingOwed => "nothing-owed",
            Self::Sending => "sending",
            Self::Paused => "paused",
            Self::NotLeader => "not-leader",
            Self::Opening => "opening",
            Self::WaitingBackoff => "waiting-backoff",
            Self::WaitingTold => "waiting-told",
            Self::WaitingWindow => "waiting-window",
            Self::WaitingLane => "waiting-lane",
            Self::Held => "held",
            Self::NeedsAttention => "needs-attention",
            Self::StorageFault => "storage-fault",
            Self::Closed => "closed",
        }
    }
}

/// The state of the outbox at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The totals on disk.
    pub counter: Counter,
    /// When the oldest owed event we know of was stored.
    pub oldest: Option<UnixMillis>,
    /// Owed events that may have reached the city without an answer, as far as the disk knows; those whose first try
    /// is under way here are not among them.
    pub unknown: u64,
    /// Events that wait for credentials.
    pub held: u64,
    /// Our view of the link.
    pub link: Link,
    /// Whether this context sends.
    pub leader: bool,
    /// Whether a person paused it.
    pub paused: bool,
    /// When the engine wants to be woken.
    pub next_wake: Option<UnixMillis>,
    /// Why nothing is being sent.
    pub why: WhyNotSending,
}

/// What an engine holds in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Owed rows.
    pub rows: usize,
    /// Bytes of their events.
    pub bytes: usize,
    /// Lanes that do not simply flow.
    pub lanes: usize,
    /// Segments noted for those lanes.
    pub parked: usize,
    /// Store operations under way that settle nothing.
    pub operations: usize,
    /// And those that do, each at least one event.
    pub settles: usize,
    /// Requests under way.
    pub requests: usize,
    /// What is to be done and was not asked for yet.
    pub outputs: usize,
    /// Notes of times, of verdicts and words on their way to the disk, and rows under suspicion.
    pub notes: usize,
    /// Dead events the city was not told of.
    pub tombstones: usize,
}

/// Why we wait before the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Free,
    Backoff,
    Window,
    Told,
    Held,
    Storage,
}

#[derive(Debug)]
enum Flight {
    /// The rows are being marked as perhaps sent.
    Marking { op: u64, rows: Vec<RowRef> },
    /// On the wire.
    Sent { number: u64, rows: Vec<(RowRef, EventId)>, tombstones: Vec<Sequence> },
    /// Asking for the city's offer.
    Asking { number: u64 },
}

/// What an outstanding store operation is for.
#[derive(Debug)]
enum Purpose {
    Append(Appending),
    Settle(Rc<Vec<Settlement>>),
    Redrive(Ticket, Again),
    Feed(Rc<Vec<Heard>>, String),
    Beat,
    /// So many marks are being taken back.
    TakeBack(u64),
    Discard(Ticket, EventId),
    Pause(Ticket),
    Lead,
    Aside,
    Prune,
}

/// The wishes of one turn.
#[derive(Debug, Default)]
struct Group {
    wishes: Vec<Wish>,
    events: Vec<Prepared>,
    commits: Vec<Commit>,
}

/// A group on its way to the disk.
#[derive(Debug)]
struct Appending {
    wishes: Vec<Wish>,
    events: Rc<Vec<Prepared>>,
    commits: Rc<Vec<Commit>>,
    /// The groups that go in after it, the next one last: the commits of a turn keep their order.
    rest: Vec<Group>,
}

/// One wish of a group: its caller, and how many events are its own.
#[derive(Clone, Copy, Debug)]
struct Wish {
    ticket: Ticket,
    events: usize,
    answer: Answers,
}

/// How a wish is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    One,
    Many,
}

/// As what a dead letter is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// The next attempt, a new event.
    New,
    /// The very same event.
    Same,
}

/// The engine of one outbox.
#[derive(Debug)]
pub struct Engine {
    identity: Identity,
    jitter: Jitter,
    open: bool,
    counter: Counter,
    epoch: Option<u64>,
    /// The epoch we lead with once the lanes are read, by a reading with a higher number than this.
    elected: Option<(u64, u64)>,
    /// The last reading that was asked for, and whether a write of ours began since.
    reading: u64,
    overtaken: bool,
    /// Another context wrote while we were busy.
    reread_when_idle: bool,
    /// The page holds the lock, whether or not the epoch is ours yet.
    locked: bool,
    paused: bool,
    watched: Watched,
    link: Link,
    window: Window,
    loading: Option<u64>,
    /// Requests under way, and rows on their way to one.
    flights: Vec<Flight>,
    /// For a server that knows nothing of us: the statuses by which it refuses.
    single: Option<Vec<u16>>,
    /// Rows under suspicion, the next group last: one of each makes a whole request fail.
    suspects: Vec<Vec<RowRef>>,
    /// Rows whose request made the city fail repeatedly; split once the city proves to be well.
    accused: Option<Vec<RowRef>>,
    server_faults: u32,
    /// Verdicts of which nobody knows whether they are on disk.
    unwritten: Vec<Settlement>,
    /// The last that was heard of the store is that this context cannot reach it.
    cut_off: bool,
    /// Failures of the store in a row; good answers of the city do not end them.
    store_failures: u32,
    failures: u32,
    not_before_ms: u64,
    waiting: Waiting,
    /// When the outage began that still lasts.
    down_since_ms: Option<u64>,
    /// The city's window for the first send after an outage.
    window_ms: u64,
    ages: Vec<AgeMark>,
    /// Events with a lower sequence are too old.
    expired_below: Sequence,
    ear: Ear,
    /// What the city said while nobody knew whether it was written, so that nobody was told.
    untold: Vec<EventId>,
    /// Where the answer that is being applied ends.
    next_cursor: String,
    lockless: bool,
    left: bool,
    /// The last beat seen in the store.
    beat: u64,
    /// When the leader was last heard, or nothing was owed.
    heard_ms: u64,
    /// When to beat, or to look for a beat, again.
    next_beat_ms: u64,
    lead_retry_ms: Option<u64>,
    load_retry_ms: Option<u64>,
    fresh_credentials: bool,
    offer: Option<(EdgeConfig, u64)>,
    /// Nobody asks for the offer before: the last answer was no offer.
    ask_again_ms: u64,
    batch_limit: usize,
    group: Group,
    /// Dead events the city has not been told of.
    tombstones: Vec<Sequence>,
    pending: Vec<(u64, Purpose)>,
    next_op: u64,
    next_request: u64,
    settled_since_prune: u64,
    /// Bytes the storage has for further events; the rest is for verdicts.
    space: u64,
    oldest_own: Option<UnixMillis>,
    /// A word that something changed is on its way; one is enough for all changes not yet told.
    change_told: bool,
    out: VecDeque<Output>,
}

impl Engine {
    /// A closed engine. `seed` feeds the jitter, nothing else.
    pub fn new(identity: Identity, seed: u64) -> Self {
        Self {
            identity,
            jitter: Jitter::new(seed),
            open: false,
            counter: Counter::default(),
            epoch: None,
            elected: None,
            reading: 0,
            overtaken: false,
            reread_when_idle: false,
            locked: false,
            paused: false,
            watched: Watched::Visible,
            link: Link::Unknown,
            window: Window::default(),
            loading: None,
            flights: Vec::new(),
            single: None,
            suspects: Vec::new(),
            accused: None,
            server_faults: 0,
            unwritten: Vec::new(),
            cut_off: false,
            store_failures: 0,
            failures: 0,
            not_before_ms: 0,
            waiting: Waiting::Free,
            down_since_ms: None,
            window_ms: 0,
            ages: Vec::new(),
            expired_below: Sequence(0),
            ear: Ear::default(),
            untold: Vec::new(),
            next_cursor: String::new(),
            lockless: false,
            left: false,
            beat: 0,
            heard_ms: 0,
            next_beat_ms: 0,
            lead_retry_ms: None,
            load_retry_ms: None,
            fresh_credentials: false,
            offer: None,
            ask_again_ms: 0,
            batch_limit: BATCH_EVENTS_MAX,
            group: Group::default(),
            tombstones: Vec::new(),
            pending: Vec::new(),
            next_op: 0,
            next_request: 0,
            settled_since_prune: PRUNE_EVERY_ROWS,
            space: u64::MAX,
            oldest_own: None,
            change_told: false,
            out: VecDeque::new(),
        }
    }

    // Getters.

    /// Who speaks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The totals on disk, as far as we know.
    pub fn counter(&self) -> Counter {
        self.counter
    }

    /// The state at this moment.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let held = match self.waiting {
            Waiting::Held => self.counter.owed,
            _ => self.window.lanes.values().filter(|lane| lane.held && lane.due_ms.is_some()).count() as u64,
        };
        let mut awaited = self.window.iter().filter(|row| row.awaits_answer()).count() as u64;
        for (_, purpose) in &self.pending {
            awaited += if let Purpose::TakeBack(marks) = purpose { *marks } else { 0 };
        }
        Snapshot {
            counter: self.counter,
            oldest: self.oldest(),
            unknown: self.counter.unknown.saturating_sub(awaited),
            held,
            link: self.link,
            leader: self.epoch.is_some(),
            paused: self.paused,
            next_wake: self.next_send().or_else(|| self.next_wake()).map(|at| now.wall_of(at)),
            why: self.why_not_sending(now),
        }
    }

    /// What it holds in memory at this moment, for whoever checks that it stays small.
    pub fn weight(&self) -> Weight {
        let [rows, bytes, lanes, parked] = self.window.weight();
        let suspects = self.suspects.iter().map(Vec::len).sum::<usize>();
        let settling = |(_, purpose): &&(u64, Purpose)| matches!(purpose, Purpose::Settle(_));
        let settles = self.pending.iter().filter(settling).count();
        Weight {
            rows,
            bytes,
            lanes,
            parked,
            operations: self.pending.len() - settles + usize::from(self.loading.is_some()),
            settles,
            requests: self.flights.len(),
            outputs: self.out.len() + self.group.wishes.len(),
            notes: self.ages.len() + self.untold.len() + self.unwritten.len() + suspects,
            tombstones: self.tombstones.len(),
        }
    }

    /// Whether an owed event's answer may still come, to its first try or to the disk: then the mark says too much.
    pub fn awaits_answer(&self, sequence: Sequence) -> bool {
        self.window.row(sequence).is_some_and(|row| row.awaits_answer())
    }

    /// Why nothing is being sent.
    pub fn why_not_sending(&self, now: Now) -> WhyNotSending {
        if !self.open {
            WhyNotSending::Opening
        } else if self.left {
            WhyNotSending::Closed
        } else if !self.flights.is_empty() {
            WhyNotSending::Sending
        } else if self.paused {
            WhyNotSending::Paused
        } else if self.counter.owed == 0 {
            WhyNotSending::NothingOwed
        } else if self.lead_retry_ms.or(self.load_retry_ms).is_some() {
            WhyNotSending::StorageFault
        } else if self.epoch.is_none() {
            WhyNotSending::NotLeader
        } else if now.mono_ms < self.not_before_ms {
            match self.waiting {
                Waiting::Told => WhyNotSending::WaitingTold,
                Waiting::Window => WhyNotSending::WaitingWindow,
                Waiting::Held => WhyNotSending::Held,
                Waiting::Storage => WhyNotSending::StorageFault,
                _ => WhyNotSending::WaitingBackoff,
            }
        } else if self.loading.is_some() || self.window.iter().next().is_some() || self.window.may_find_more()
        {
            WhyNotSending::Sending
        } else if self.window.next_due_ms().is_some() {
            let held = self.window.lanes.values().any(|lane| lane.held && lane.due_ms.is_some());
            if held { WhyNotSending::Held } else { WhyNotSending::WaitingLane }
        } else {
            WhyNotSending::NeedsAttention
        }
    }

    /// Whether a store operation or a request is under way, whose end will be handed in.
    pub fn is_busy(&self) -> bool {
        let electing = self.elected.is_some() || self.reread_when_idle;
        electing || !self.flights.is_empty() || self.loading.is_some() || !self.pending.is_empty()
    }

    /// The monotonic time at which to hand in [`Input::Wake`].
    pub fn next_wake(&self) -> Option<u64> {
        let needed = self.needs_a_leader();
        let beats = needed && !self.paused && (self.epoch.is_some() || self.lockless);
        let beat = beats.then_some(self.next_beat_ms);
        let watches = needed && (!self.locked || self.waits_for_a_word());
        let silent = watches.then_some(self.heard_ms + self.patience_ms());
        let chores = [silent, self.lead_retry_ms, self.load_retry_ms, self.next_send(), self.next_question()];
        chores.into_iter().fold(beat, earlier)
    }

    /// When the feed is asked next: never before sends may go.
    fn next_question(&self) -> Option<u64> {
        let own = self.ear.next_ms().filter(|_| self.open && self.epoch.is_some())?;
        Some(if self.waiting == Waiting::Free { own } else { own.max(self.not_before_ms) })
    }

    /// When something may be sent next, as far as it depends on time alone.
    fn next_send(&self) -> Option<u64> {
        if !self.open || self.epoch.is_none() || self.paused {
            return None;
        }
        let sends = self.room() > 0 && self.counter.owed > 0 && self.has_work();
        let send = (sends || !self.unwritten.is_empty()).then_some(self.not_before_ms);
        earlier(send, self.window.next_due_ms())
    }

    /// Whether a leader must show that it lives: something is owed, or, where no lock tells that it is gone, the feed is
    /// listened to.
    fn needs_a_leader(&self) -> bool {
        self.open && (self.counter.owed > 0 || (self.lockless && self.ear.listens()))
    }

    /// How long a silent leader is borne.
    fn patience_ms(&self) -> u64 {
        match self.watched {
            Watched::Visible => LEADER_SILENT_MS,
            Watched::Hidden => LEADER_SILENT_HIDDEN_MS,
        }
    }

    /// Whether only a person can make what is owed go on, who may have done so in another context.
    fn waits_for_a_word(&self) -> bool {
        let window = &self.window;
        let nothing_to_send =
            || self.flights.is_empty() && self.loading.is_none() && window.iter().next().is_none();
        let nothing_to_find = || !window.may_find_more() && window.next_due_ms().is_none();
        self.paused || (self.epoch.is_some() && nothing_to_send() && nothing_to_find())
    }

    fn has_work(&self) -> bool {
        self.accused.is_some() || self.window.iter().any(|row| row.doing == Doing::Pending)
    }

    fn oldest(&self) -> Option<UnixMillis> {
        if self.counter.owed == 0 {
            return None;
        }
        self.window.iter().map(|row| row.stored_at).min().or(self.oldest_own)
    }

    // Callers' wishes.

    /// Takes an event in. It joins the group of this turn, which the next `poll` writes in one transaction; its
    /// result comes as [`Output::Emitted`].
    pub fn emit(&mut self, ticket: Ticket, emit: &Emit, now: Now, entropy: [u8; 10]) {
        if !self.open {
            return self.out.push_back(Output::Emitted(ticket, Err(EmitFault::NotOpen)));
        }
        match prepare(emit, &self.identity, now.wall, entropy) {
            Ok(prepared) => {
                self.group.wishes.push(Wish { ticket, events: 1, answer: Answers::One });
                self.group.events.push(prepared);
            }
            Err(problem) => self.out.push_back(Output::Emitted(ticket, Err(EmitFault::Problem(problem)))),
        }
    }

    /// Takes events in together with the application's records, all of it or nothing. At least one event; the limits
    /// are the caller's to check. Its result comes as [`Output::Committed`].
    ///
    /// A commit whose events were all stored before is a replay: its guards are not asked and its records stay as they
    /// are by now.
    pub fn commit(
        &mut self,
        ticket: Ticket,
        emits: &[(Emit, [u8; 10])],
        expect: Vec<Guard>,
        put: Vec<Put>,
        now: Now,
    ) {
        if !self.open {
            return self.out.push_back(Output::Committed(ticket, Err(EmitFault::NotOpen)));
        }
        let first = self.group.events.len();
        for (emit, entropy) in emits {
            match prepare(emit, &self.identity, now.wall, *entropy) {
                Ok(prepared) => self.group.events.push(prepared),
                Err(problem) => {
                    self.group.events.truncate(first);
                    let fault = EmitFault::Problem(problem);
                    return self.out.push_back(Output::Committed(ticket, Err(fault)));
                }
            }
        }
        self.group.wishes.push(Wish { ticket, events: emits.len(), answer: Answers::Many });
        self.group.commits.push(Commit { first, events: emits.len(), expect, put });
    }

    /// Listens to the city's feed from now on, whenever this context leads.
    pub fn listen(&mut self) {
        self.ear.listen();
    }

    /// Speaks from now on to a server that knows nothing of us, each event as a request of its own, up to
    /// [`SINGLE_REQUESTS_MAX`] of them at once. `refused` are the statuses by which it refuses an event for good.
    pub fn speak_single(&mut self, refused: Vec<u16>) {
        self.single = Some(refused);
    }

    /// Sends a dead letter again. After a definite refusal as a new event: the next attempt, in the old one's place in
    /// its lane, which `payload` may correct. Without a definite answer as the very same event.
    pub fn redrive(
        &mut self,
        ticket: Ticket,
        letter: &DeadLetter,
        payload: Option<String>,
        now: Now,
        entropy: [u8; 10],
    ) {
        let Some(Stored { id, emit: old, .. }) =
            Stored::read(&letter.body).filter(|_| letter.closed.is_none())
        else {
            return self.out.push_back(Output::Emitted(ticket, Err(EmitFault::NotRedrivable)));
        };
        if letter.reason == DeadReason::Expired {
            if payload.is_some_and(|payload| payload != old.payload) {
                return self.out.push_back(Output::Emitted(ticket, Err(EmitFault::MustNotChange)));
            }
            let batch = Batch::Revive { sequence: letter.row.sequence, id, at: now.wall };
            return self.apply(batch, Purpose::Redrive(ticket, Again::Same));
        }
        let emit = Emit {
            payload: payload.unwrap_or(old.payload),
            causation: Some(id.to_string()),
            attempt: Some(old.attempt.unwrap_or(1) + 1),
            ..old
        };
        match prepare(&emit, &self.identity, now.wall, entropy) {
            Ok(event) => {
                let batch =
                    Batch::Redrive { sequence: letter.row.sequence, event: Box::new(event), at: now.wall };
                self.apply(batch, Purpose::Redrive(ticket, Again::New));
            }
            Err(problem) => self.out.push_back(Output::Emitted(ticket, Err(EmitFault::Problem(problem)))),
        }
    }

    /// Gives a dead letter up for good. Its intent stays closed.
    pub fn discard(&mut self, ticket: Ticket, sequence: Sequence, id: EventId, reason: &str, now: Now) {
        let mut kept = String::new();
        for sign in reason.chars().take(REASON_CHARS_MAX) {
            kept.push(sign);
        }
        self.apply(Batch::Discard { sequence, reason: kept, at: now.wall }, Purpose::Discard(ticket, id));
    }

    /// Stops or goes on sending. [`Output::Closed`] says that it is on disk and survives a reload.
    pub fn pause(&mut self, ticket: Ticket, paused: bool, now: Now) {
        self.paused = paused;
        self.apply(Batch::Pause(paused), Purpose::Pause(ticket));
        self.tell(Notice::Changed);
        self.pump(now);
    }

    // What happened.

    /// Takes what happened. Drain `poll` afterwards.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.note_store(&input);
        match input {
            Input::Opened(opened) => self.opened(opened, now),
            Input::Applied { op, result } => self.applied(op, result, now),
            Input::Loaded { op, result } => self.loaded(op, result, now),
            Input::Replied { request, reply } => self.replied(request, &reply, now),
            Input::Wake => self.wake(now),
            Input::LinkHint(hint) => self.link_hint(hint, now),
            Input::Watched(watched) => self.watched = watched,
            Input::NoLocks => self.no_locks(),
            Input::Beat => self.heard_ms = now.mono_ms,
            Input::Leaving => self.leave(),
            Input::Closed => self.left = true,
            Input::LeadGained => {
                self.locked = true;
                self.ask_lead();
            }
            Input::LeadLost => {
                self.heard_ms = now.mono_ms;
                self.lose_lead();
            }
            Input::Changed => self.reread(),
            Input::Reread { op, result } => self.was_reread(op, result, now),
            Input::Effects(heard) => self.hear(heard, now),
            Input::Space(bytes) => self.space = bytes.saturating_sub(STORAGE_HEADROOM_BYTES),
            Input::Flush => self.flush(now),
        }
        self.pump(now);
    }

    /// Whether the store can be reached from here. A full disk is one that can.
    fn note_store(&mut self, input: &Input) {
        let fault = match input {
            Input::Applied { result, .. } => result.as_ref().err(),
            Input::Loaded { result, .. } => result.as_ref().err(),
            Input::Reread { result, .. } => result.as_ref().err(),
            _ => return,
        };
        self.cut_off = !matches!(fault, None | Some(StoreFault::Refused(_) | StoreFault::Quota));
    }

    /// What is to be done next; `None` when all is said. Writes the group of the turn first.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        if !self.group.wishes.is_empty() {
            let group = core::mem::take(&mut self.group);
            self.append(group, Vec::new(), now);
        }
        let output = self.out.pop_front();
        if matches!(output, Some(Output::Notice(Notice::Changed))) {
            self.change_told = false;
        }
        output
    }

    fn opened(&mut self, opened: Opened, now: Now) {
        self.open = true;
        self.counter = opened.counter;
        self.paused = opened.paused;
        self.tombstones = opened.tombstones;
        self.ages = opened.ages;
        self.beat = opened.beat;
        self.ear.cursor = opened.cursor;
        self.ear.rest();
        self.heard_ms = now.mono_ms;
        let pace = opened.pace;
        self.failures = pace.failures;
        self.window_ms = pace.window_ms;
        self.down_since_ms =
            pace.down_since.map(|at| now.mono_ms.saturating_sub(now.wall.0.saturating_sub(at.0)));
        let longest_ms = match (pace.drawn, pace.told) {
            (true, _) => pace.window_ms,
            (_, true) => TOLD_MAX_MS,
            _ => BACKOFF_CAP_HIDDEN_MS,
        };
        self.not_before_ms = mono_of(now, longest_ms)(pace.not_before);
        self.waiting = match (pace.drawn, pace.told) {
            _ if self.not_before_ms <= now.mono_ms => Waiting::Free,
            (true, _) => Waiting::Window,
            (_, true) => Waiting::Told,
            _ => Waiting::Backoff,
        };
        self.offer = opened.offer.map(|(offer, at)| {
            let age = now.wall.0.saturating_sub(at.0);
            (offer, (now.mono_ms + EDGE_CONFIG_KEEP_MS).saturating_sub(age))
        });
        // A store that was opened again interrupted whatever was under way; what was sent stays marked on disk.
        self.loading = None;
        self.flights.clear();
        self.epoch = None;
        self.elected = None;
        self.unwritten.clear();
        self.ask_lead();
        self.tell(Notice::Changed);
    }

    fn under_way(&self, wanted: fn(&Purpose) -> bool) -> bool {
        self.pending.iter().any(|(_, purpose)| wanted(purpose))
    }

    fn ask_lead(&mut self) {
        let asking = self.under_way(|purpose| matches!(purpose, Purpose::Lead));
        if self.open && self.locked && self.epoch.is_none() && self.elected.is_none() && !asking {
            self.lead_retry_ms = None;
            self.apply(Batch::Lead, Purpose::Lead);
        }
    }

    fn lose_lead(&mut self) {
        self.locked = false;
        self.epoch = None;
        self.elected = None;
        self.flights.clear();
        self.loading = None;
        self.lead_retry_ms = None;
        self.load_retry_ms = None;
        self.suspects.clear();
        self.accused = None;
        self.unwritten.clear();
        self.untold.clear();
        self.ear.rest();
        self.window.forget_rows();
        self.tell(Notice::Changed);
    }

    fn reread(&mut self) {
        if self.open {
            let op = self.op();
            self.reading = op;
            self.overtaken = false;
            self.out.push_back(Output::Reread { op });
        }
    }

    /// Totals and lanes are only believed when no write of ours began since the reading was asked for; else they are
    /// read again, unless that is under way. Before the first page every new leader reads them, for another context may
    /// have changed them.
    fn was_reread(&mut self, op: u64, result: Result<Opened, StoreFault>, now: Now) {
        let opened = match result {
            Ok(opened) => opened,
            Err(fault) => {
                self.tell(Notice::Storage(fault));
                self.elected = None;
                self.lead_retry_ms = Some(now.mono_ms + self.step_back_ms());
                return;
            }
        };
        if opened.counter.next > self.counter.next {
            self.window.grew();
        }
        if opened.counter.dead < self.counter.dead || (opened.ages.is_empty() && !self.ages.is_empty()) {
            self.window.rescan();
        }
        self.paused = opened.paused;
        if opened.beat != self.beat {
            self.beat = opened.beat;
            self.heard_ms = now.mono_ms;
        }
        let last = op == self.reading;
        let fresh = last && !self.overtaken && self.pending.is_empty();
        if fresh {
            self.counter = opened.counter;
            self.age(opened.ages.clone());
        } else if last {
            self.reread_when_idle = true;
        }
        let mono_of = mono_of(now, TOLD_MAX_MS);
        if let Some((epoch, _)) = self.elected.take_if(|(_, since)| op > *since) {
            self.tombstones = opened.tombstones.clone();
            self.ear.cursor.clone_from(&opened.cursor);
            self.window.restart(&opened, mono_of);
            self.epoch = Some(epoch);
        } else if self.epoch.is_some() && fresh {
            self.window.refresh(&opened, mono_of);
        }
        self.tell(Notice::Changed);
    }

    /// A person's word goes before any wait, once.
    fn flush(&mut self, now: Now) {
        self.not_before_ms = now.mono_ms;
        self.waiting = Waiting::Free;
        for lane in self.window.lanes.values_mut() {
            if lane.dead.is_none() && lane.due_ms.is_some() {
                lane.due_ms = Some(now.mono_ms);
            }
        }
        self.wake(now);
    }

    /// The link may be back: try soon, but not all devices at once and never before the city's word. After an outage
    /// the moment is drawn once from the city's window and kept when the link flaps.
    fn link_hint(&mut self, hint: Hint, now: Now) {
        let window_ms = if hint == Hint::Online { self.window_ms } else { 0 };
        self.ear.perk_up(window_ms, &mut self.jitter, now.mono_ms);
        if !matches!(self.waiting, Waiting::Backoff | Waiting::Held) || self.not_before_ms <= now.mono_ms {
            return;
        }
        let outage_ms = self.down_since_ms.map_or(0, |since| now.mono_ms.saturating_sub(since));
        if let (Waiting::Backoff, Some(most)) = (self.waiting, return_window_ms(outage_ms, window_ms)) {
            let wait = self.jitter.up_to(most);
            return self.wait(wait, Waiting::Window, now);
        }
        let soon = now.mono_ms + self.jitter.up_to(BACKOFF_BASE_MS);
        self.not_before_ms = self.not_before_ms.min(soon);
    }

    // Who leads.

    fn no_locks(&mut self) {
        // Whoever yields is told so once more: by then another context leads.
        let begins = !core::mem::replace(&mut self.lockless, true);
        // Whoever led before has left in good order, or nobody ever led.
        if begins && self.beat == 0 {
            self.locked = true;
            self.ask_lead();
        }
    }

    /// A leader without a lock leaves in good order, so that the next one need not wait.
    fn leave(&mut self) {
        if let (true, Some(epoch)) = (self.lockless, self.epoch) {
            self.apply(Batch::Beat { epoch, leaves: true }, Purpose::Aside);
        }
    }

    /// A store that stands still is given one beat and not one for each that was due.
    fn beat_once(&mut self, epoch: u64) {
        if !self.under_way(|purpose| matches!(purpose, Purpose::Beat)) {
            self.apply(Batch::Beat { epoch, leaves: false }, Purpose::Beat);
        }
    }

    /// Shows that the leader lives, or watches whether it does.
    fn beat(&mut self, now: Now) {
        let needed = self.needs_a_leader();
        let waits = needed && self.waits_for_a_word();
        if !needed || (self.locked && !waits) {
            self.heard_ms = now.mono_ms;
        } else if waits && now.mono_ms >= self.heard_ms + self.patience_ms() {
            // Word of it may have been lost, so it is looked for on disk.
            self.heard_ms = now.mono_ms;
            self.reread();
        }
        if !needed || self.paused {
            return;
        }
        let due = now.mono_ms >= self.next_beat_ms;
        if due {
            self.next_beat_ms = now.mono_ms + BEAT_EVERY_MS;
        }
        match self.epoch {
            Some(epoch) if due && self.lockless => self.beat_once(epoch),
            // Another context may reach the store: an older release's page cannot once a newer one has upgraded it.
            Some(_) if due && !self.cut_off => self.out.push_back(Output::Beat),
            Some(_) => {}
            None if self.locked => {}
            None if now.mono_ms >= self.heard_ms + self.patience_ms() => {
                self.heard_ms = now.mono_ms;
                if self.lockless {
                    self.locked = true;
                    self.ask_lead();
                } else {
                    self.out.push_back(Output::StealLead);
                }
            }
            None if due && self.lockless => self.reread(),
            None => {}
        }
    }

    fn wake(&mut self, now: Now) {
        self.window.wake_lanes(now.mono_ms);
        if self.lead_retry_ms.is_some_and(|at| at <= now.mono_ms) {
            self.lead_retry_ms = None;
            if self.locked && self.epoch.is_none() {
                if self.cut_off && !self.lockless {
                    // The lock goes round to whoever reaches the store; it comes back when nobody else wants it.
                    self.yield_lead();
                } else {
                    self.ask_lead();
                }
            } else {
                self.reread();
            }
        }
        if self.load_retry_ms.is_some_and(|at| at <= now.mono_ms) {
            self.load_retry_ms = None;
        }
    }

    // Store results.

    /// Takes totals over that came with a result of ours. They may tell of what other contexts did in between: new
    /// events, or decisions that made dead ones owed again.
    fn take_counter(&mut self, counter: Counter, dead_expected: u64) {
        if counter.next > self.counter.next {
            self.window.grew();
        }
        if counter.dead < dead_expected {
            self.window.rescan();
        }
        self.counter = counter;
    }

    fn append(&mut self, group: Group, rest: Vec<Group>, now: Now) {
        let Group { wishes, events, commits } = group;
        let own = Appending { wishes, events: Rc::new(events), commits: Rc::new(commits), rest };
        let (events, commits) = (Rc::clone(&own.events), Rc::clone(&own.commits));
        // An event takes its bytes twice at most: once itself, and the rest for what is noted about it.
        let room = self.space / 2;
        self.apply(Batch::Append { events, commits, room, at: now.wall }, Purpose::Append(own));
    }

    fn applied(&mut self, op: u64, result: Applied, now: Now) {
        let marking = |flight: &Flight| matches!(flight, Flight::Marking { op: own, .. } if *own == op);
        if let Some(place) = self.flights.iter().position(marking) {
            return self.marked(place, result, now);
        }
        let Some(place) = self.pending.iter().position(|(own, _)| *own == op) else { return };
        let (_, purpose) = self.pending.swap_remove(place);
        // What nobody heard of may have been done.
        self.reread_when_idle |= matches!(result, Err(StoreFault::Lost(_)));
        match purpose {
            Purpose::Append(mut own) => {
                // One bad event never fails its neighbours: a full disk may still have room for some.
                if matches!(result, Err(StoreFault::Quota)) && own.wishes.len() > 1 {
                    own.halve();
                } else {
                    let mut records = 0;
                    for commit in own.commits.iter() {
                        records += commit.bytes();
                    }
                    self.appended(own.wishes, records, result, now);
                }
                if let Some(next) = own.rest.pop() {
                    self.append(next, own.rest, now);
                }
            }
            Purpose::Settle(rows) => self.settled(&rows, result, now),
            Purpose::Redrive(ticket, again) => self.redriven(ticket, again, result),
            Purpose::Feed(heard, cursor) => self.applied_feed(&heard, cursor, result, now),
            Purpose::Beat => {
                if matches!(result, Err(StoreFault::Refused(Refusal::StaleEpoch))) {
                    self.lose_lead();
                    self.reread();
                }
            }
            Purpose::Discard(ticket, id) => self.discarded(ticket, id, result),
            Purpose::Pause(ticket) => self.out.push_back(Output::Closed(ticket, result.map(drop))),
            Purpose::Lead => self.leading(result, now),
            Purpose::Prune => {
                if let Ok(Done::Pruned(Some(after))) = result {
                    self.apply(Batch::Prune { after, at: now.wall }, Purpose::Prune);
                }
            }
            Purpose::Aside | Purpose::TakeBack(_) => match result {
                Ok(Done::Marked(counter)) => self.take_counter(counter, self.counter.dead),
                Ok(_) | Err(StoreFault::Refused(Refusal::StaleEpoch)) => {}
                Err(fault) => self.tell(Notice::Storage(fault)),
            },
        }
    }

    fn appended(&mut self, wishes: Vec<Wish>, records: u64, result: Applied, now: Now) {
        match result {
            Ok(Done::Appended(results, counter)) => {
                let grown = counter.bytes.saturating_sub(self.counter.bytes);
                if grown > 0 {
                    self.space = self.space.saturating_sub(2 * (grown + records));
                }
                self.take_counter(counter, self.counter.dead);
                self.oldest_own =
                    self.oldest_own.filter(|_| counter.owed > results.len() as u64).or(Some(now.wall));
                let mut results = results.as_slice();
                for wish in &wishes {
                    let (own, others) = results.split_at(wish.events.min(results.len()));
                    results = others;
                    self.out.push_back(wish.answer(receipts(own)));
                }
                self.tell(Notice::Changed);
            }
            Err(fault) => {
                for wish in &wishes {
                    self.out.push_back(wish.answer(Err(EmitFault::Store(fault.clone()))));
                }
            }
            Ok(_) => {}
        }
    }

    fn leading(&mut self, result: Applied, now: Now) {
        match result {
            Ok(Done::Leading(epoch)) if self.locked => {
                self.elected = Some((epoch, self.next_op));
                self.reread();
            }
            Ok(_) => {}
            Err(fault) => {
                self.tell(Notice::Storage(fault));
                self.lead_retry_ms = Some(now.mono_ms + self.step_back_ms());
            }
        }
    }

    fn redriven(&mut self, ticket: Ticket, again: Again, result: Applied) {
        let outcome = match result {
            Ok(Done::Closed(Closed { lane, waited, appended: Some(appended), counter })) => {
                self.take_counter(counter, self.counter.dead.saturating_sub(1));
                match (&appended, again) {
                    (Appended::Stored(kept), Again::Same) => {
                        self.age(Vec::new());
                        self.window.revive(lane, kept.row);
                    }
                    (Appended::Stored(kept), Again::New) if waited => self.window.lead_with(lane, kept.row),
                    _ => {}
                }
                self.tell(Notice::Changed);
                receipt(&appended)
            }
            Ok(_) => Err(EmitFault::NotRedrivable),
            Err(StoreFault::Refused(Refusal::NotFound | Refusal::IntentTaken)) => {
                Err(EmitFault::NotRedrivable)
            }
            Err(fault) => Err(EmitFault::Store(fault)),
        };
        self.out.push_back(Output::Emitted(ticket, outcome));
    }

    fn discarded(&mut self, ticket: Ticket, id: EventId, result: Applied) {
        let outcome = match result {
            Ok(Done::Closed(Closed { lane, waited, counter, .. })) => {
                self.take_counter(counter, self.counter.dead.saturating_sub(1));
                if waited {
                    self.window.unblock(lane);
                }
                self.tell(Notice::Settled { id, verdict: Final::Discarded });
                self.tell(Notice::Changed);
                Ok(())
            }
            Ok(_) => Err(StoreFault::Refused(Refusal::Broken)),
            Err(fault) => Err(fault),
        };
        self.out.push_back(Output::Closed(ticket, outcome));
    }

    fn marked(&mut self, place: usize, result: Applied, now: Now) {
        let Flight::Marking { rows, .. } = self.flights.swap_remove(place) else { return };
        match result {
            Ok(done) => {
                if let Done::Marked(counter) = done {
                    self.take_counter(counter, self.counter.dead);
                }
                if self.single.is_none() {
                    return self.send(&rows, now);
                }
                for row in &rows {
                    self.send_single(*row, now);
                }
                self.tell(Notice::Changed);
            }
            Err(fault) => {
                self.revert(&rows);
                self.storage_trouble(fault, now);
            }
        }
    }

    fn settled(&mut self, rows: &[Settlement], result: Applied, now: Now) {
        match result {
            Ok(Done::Settled(counter)) => {
                let died = rows.iter().filter(|own| matches!(own.outcome, Outcome::Dead { .. })).count();
                self.take_counter(counter, self.counter.dead + died as u64);
                self.store_failures = 0;
                self.settled_since_prune += rows.len() as u64;
                for settlement in rows {
                    self.settle_row(settlement);
                }
                if self.settled_since_prune >= PRUNE_EVERY_ROWS {
                    self.settled_since_prune = 0;
                    self.apply(Batch::Prune { after: Sequence(0), at: now.wall }, Purpose::Prune);
                }
                self.tell(Notice::Changed);
            }
            Ok(_) => {}
            // Perhaps they are on disk: written once more they are for certain, and nothing is told or sent before.
            Err(fault @ StoreFault::Lost(_)) => {
                self.unwritten.extend_from_slice(rows);
                self.storage_trouble(fault, now);
            }
            // The verdicts are not on disk, so the rows are still owed: the same ids go again, and the city knows them.
            Err(fault) => {
                for settlement in rows {
                    self.revert(&[settlement.row]);
                }
                self.storage_trouble(fault, now);
            }
        }
    }

    /// Tells the end of an event, whether or not its row is still held: another context may lead by now.
    fn settle_row(&mut self, settlement: &Settlement) {
        let Settlement { row: RowRef { sequence, .. }, id, lane, outcome, .. } = settlement;
        let (sequence, id, lane) = (*sequence, *id, *lane);
        self.window.settled_meanwhile(sequence);
        let held = self.window.remove(sequence).is_some();
        let verdict = match outcome {
            Outcome::Accepted => Final::Accepted,
            Outcome::Duplicate => Final::Duplicate,
            Outcome::Dead { reason, problem, blocks, .. } => {
                let problem = problem.as_ref().and_then(|text| Problem::read(&Json::parse(text).ok()?));
                if self.single.is_none() {
                    self.tombstones.push(sequence);
                }
                if *blocks {
                    self.window.block(lane, |lane| lane.wait_for(sequence));
                } else if held {
                    self.window.unblock(lane);
                }
                self.tell(Notice::DeadLetter { id, sequence, reason: *reason, problem: problem.clone() });
                return self.tell(Notice::Settled { id, verdict: Final::Refused(problem) });
            }
        };
        if held {
            self.window.unblock(lane);
        }
        self.tell(Notice::Settled { id, verdict });
    }

    /// Another context leads by now.
    fn yield_lead(&mut self) {
        self.lose_lead();
        self.out.push_back(Output::YieldLead);
    }

    /// A store that failed under the sender: step back and wait, or yield to the context that leads by now.
    fn storage_trouble(&mut self, fault: StoreFault, now: Now) {
        if matches!(fault, StoreFault::Refused(Refusal::StaleEpoch)) {
            return self.yield_lead();
        }
        self.tell(Notice::Storage(fault));
        self.store_failures = self.store_failures.saturating_add(1);
        let wait =
            backoff_ms(self.store_failures, self.watched, &mut self.jitter).max(LANE_RETRY_BASE_MS / 4);
        self.wait(wait, Waiting::Storage, now);
    }

    fn revert(&mut self, rows: &[RowRef]) {
        for at in rows {
            if let Some(row) = self.window.row_mut(at.sequence) {
                row.doing = Doing::Pending;
            }
        }
    }

    fn loaded(&mut self, op: u64, result: Result<Page, StoreFault>, now: Now) {
        if self.loading != Some(op) {
            return;
        }
        self.loading = None;
        match result {
            Ok(Page { rows, last, more }) => self.window.take(rows, last, more),
            Err(fault) => {
                self.window.page_failed();
                self.tell(Notice::Storage(fault));
                self.load_retry_ms = Some(now.mono_ms + self.step_back_ms());
            }
        }
    }

    // Sending.

    fn pump(&mut self, now: Now) {
        self.beat(now);
        if self.reread_when_idle && self.pending.is_empty() {
            self.reread_when_idle = false;
            self.reread();
        }
        self.ask_feed(now);
        if !self.open || self.epoch.is_none() || self.paused {
            return;
        }
        if self.loading.is_none()
            && self.load_retry_ms.is_none()
            && let Some(load) = self.window.next_page()
        {
            let op = self.op();
            self.loading = Some(op);
            self.out.push_back(Output::Load { op, load });
        }
        if now.mono_ms < self.not_before_ms {
            return;
        }
        let unwritten = core::mem::take(&mut self.unwritten);
        self.settle(unwritten, now);
        if self.room() == 0 {
            return;
        }
        if self.must_ask(now) {
            return self.ask(now);
        }
        let (mut old, mut rows) = (Vec::new(), Vec::new());
        for row in &self.next_rows() {
            if row.sequence < self.expired_below {
                old.push(*row);
            } else {
                rows.push(*row);
            }
        }
        self.expire(&old, now);
        if !rows.is_empty() {
            self.mark(rows);
        }
    }

    /// Events that are too old are not sent any more.
    fn expire(&mut self, rows: &[RowRef], now: Now) {
        let mut dead = Vec::new();
        for row in rows {
            self.death(*row, DeadReason::Expired, None, &mut dead);
        }
        self.settle(dead, now);
    }

    /// Takes the notes of the city's time over. Without any nothing is too old: a person gave what is owed a new week.
    fn age(&mut self, ages: Vec<AgeMark>) {
        if ages.is_empty() {
            self.expired_below = Sequence(0);
        }
        self.ages = ages;
    }

    /// What the city's clock says. It is the only clock by which events age: the device's own may jump.
    fn note_time(&mut self, at: UnixMillis) {
        let marks = self.ages.len();
        // A city whose clock was set back has not lived what it said before.
        self.ages.retain(|mark| mark.at <= at);
        let since = |mark: &AgeMark| at.0 - mark.at.0;
        if self.ages.last().is_none_or(|last| since(last) >= AGE_MARK_EVERY_MS) {
            self.ages.push(AgeMark { at, next: self.counter.next });
        }
        let excess = self.ages.len().saturating_sub(AGE_MARKS_MAX);
        for _ in 0..excess {
            self.ages.remove(0);
        }
        if let Some(old) = self.ages.iter().rev().find(|mark| since(mark) >= AGE_MAX_MS) {
            self.expired_below = old.next;
        }
        if self.ages.len() != marks || excess > 0 {
            self.apply(Batch::Ages(self.ages.clone()), Purpose::Aside);
        }
    }

    /// The city's offer is asked for when it is unknown or old and would make a difference, or to learn whether
    /// the city is well after it failed on the same rows again and again. Where no offer is to be had, things go on as
    /// last offered, or one by one.
    fn must_ask(&self, now: Now) -> bool {
        if self.accused.is_some() {
            return true;
        }
        let known = self.offer.as_ref().is_some_and(|(_, until)| *until > now.mono_ms);
        let asks = self.single.is_none() && now.mono_ms >= self.ask_again_ms;
        asks && !known && self.counter.owed > 1 && self.has_work()
    }

    fn ask(&mut self, now: Now) {
        let number = self.request_number();
        self.flights.push(Flight::Asking { number });
        let headers = vec![(headers::SENT_AT, now.wall.0.to_string())];
        self.request(number, "/v1/edge".to_owned(), headers, None, REQUEST_TIMEOUT_MS);
    }

    /// With a body it is a `POST`.
    fn request(
        &mut self,
        number: u64,
        path: String,
        headers: Vec<(&'static str, String)>,
        body: Option<String>,
        timeout_ms: u64,
    ) {
        let method = if body.is_some() { "POST" } else { "GET" };
        let fresh_credentials = core::mem::take(&mut self.fresh_credentials);
        let request = Request { number, method, path, headers, body, timeout_ms, fresh_credentials };
        self.out.push_back(Output::Send(request));
    }

    fn next_rows(&mut self) -> Vec<RowRef> {
        while let Some(group) = self.suspects.last() {
            let mut rows = Vec::new();
            for row in group {
                if self.window.row(row.sequence).is_some_and(|own| own.doing == Doing::Pending) {
                    rows.push(*row);
                }
            }
            if !rows.is_empty() {
                return rows;
            }
            self.suspects.pop();
        }
        let (events, bytes) = match &self.offer {
            _ if self.single.is_some() => (self.room() as u64, u64::MAX),
            Some((offer, _)) => (offer.batch_events_max, offer.batch_bytes_max),
            None => (1, 0),
        };
        let events =
            usize::try_from(events).unwrap_or(usize::MAX).min(BATCH_EVENTS_MAX).min(self.batch_limit);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(BATCH_BYTES_MAX);
        self.window.select(events, bytes)
    }

    /// The mark goes to the store before the first byte goes to the network.
    fn mark(&mut self, rows: Vec<RowRef>) {
        let Some(epoch) = self.epoch else { return };
        for row in &rows {
            if let Some(own) = self.window.row_mut(row.sequence) {
                own.doing = Doing::InFlight;
            }
        }
        let op = self.op();
        self.flights.push(Flight::Marking { op, rows: rows.clone() });
        self.out.push_back(Output::Apply { op, batch: Batch::Sent { epoch, rows, maybe: true } });
    }

    fn send(&mut self, rows: &[RowRef], now: Now) {
        let number = self.request_number();
        let tries = rows.first().and_then(|row| self.window.row(row.sequence)).map_or(0, |row| row.tries);
        let lowest = self.window.lowest_owed().unwrap_or_default();
        let mut list = vec![
            (headers::SENT_AT, now.wall.0.to_string()),
            (headers::EPOCH, self.epoch.unwrap_or_default().to_string()),
            (headers::OWED, format!("{}-{}", lowest.0, self.counter.next.0.saturating_sub(1))),
            (headers::TRIES, u64::from(tries).to_string()),
        ];
        let tombstones = self.tombstones.chunks(TOMBSTONES_TOLD_MAX).next().unwrap_or_default().to_vec();
        if !tombstones.is_empty() {
            let mut told = String::new();
            for sequence in &tombstones {
                join(&mut told, &sequence.0.to_string());
            }
            list.push((headers::TOMBSTONES, told));
        }
        let mut intent = None;
        let mut sent = Vec::with_capacity(rows.len());
        let mut body = String::new();
        for at in rows {
            if let Some(row) = self.window.row_mut(at.sequence) {
                row.begin_try();
                intent = Some(row.intent);
                sent.push((*at, row.id));
                join(&mut body, &row.body);
            }
        }
        let mut media_type = headers::EVENT;
        match intent {
            Some(intent) if sent.len() == 1 => list.push((headers::IDEMPOTENCY_KEY, format!("\"{intent}\""))),
            _ => {
                media_type = headers::BATCH;
                body = format!("[{body}]");
            }
        }
        list.push(("content-type", media_type.to_owned()));
        self.flights.push(Flight::Sent { number, rows: sent, tombstones });
        self.request(number, "/v1/events".to_owned(), list, Some(body), REQUEST_TIMEOUT_MS);
        self.tell(Notice::Changed);
    }

    /// How many more requests may start now.
    fn room(&self) -> usize {
        let most = if self.single.is_some() { SINGLE_REQUESTS_MAX } else { 1 };
        let marking = self.flights.iter().any(|flight| matches!(flight, Flight::Marking { .. }));
        if marking { 0 } else { most.saturating_sub(self.flights.len()) }
    }

    /// One event as a request of its own, which is the same on every try.
    fn send_single(&mut self, at: RowRef, now: Now) {
        let Some(row) = self.window.row_mut(at.sequence) else { return };
        row.begin_try();
        let (id, made) = (row.id, single::request(&row.body));
        let Some((headers, body)) = made else {
            let mut dead = Vec::new();
            self.death(at, DeadReason::Poison, None, &mut dead);
            return self.settle(dead, now);
        };
        let number = self.request_number();
        self.flights.push(Flight::Sent { number, rows: vec![(at, id)], tombstones: Vec::new() });
        self.request(number, String::new(), headers, Some(body), REQUEST_TIMEOUT_MS);
    }

    fn replied(&mut self, request: u64, reply: &Reply, now: Now) {
        if self.ear.asked(request) {
            return self.answered_feed(reply, now);
        }
        let own = |flight: &Flight| match flight {
            Flight::Sent { number, .. } | Flight::Asking { number } => *number == request,
            Flight::Marking { .. } => false,
        };
        let Some(place) = self.flights.iter().position(own) else { return };
        let (rows, told) = match self.flights.swap_remove(place) {
            Flight::Sent { rows, tombstones, .. } => (rows, tombstones),
            _ => (Vec::new(), Vec::new()),
        };
        if let (Some(refused), [(at, id)]) = (&self.single, rows.as_slice()) {
            let class = single::classify(reply, *id, refused, now.wall);
            return self.replied_single(*at, *id, reply, class, now);
        }
        let (mut refs, mut ids) = (Vec::new(), Vec::new());
        for (at, id) in &rows {
            refs.push(*at);
            ids.push(*id);
        }
        let asked = if ids.is_empty() { Asked::Offer } else { Asked::Verdicts(&ids) };
        let class = classify(reply, asked, now.wall);
        self.note_link(&class);
        if let (Reply::Http { date: Some(date), .. }, false) = (reply, matches!(class, ReplyClass::Link(_))) {
            self.note_time(*date);
        }
        if matches!(class, ReplyClass::Hold) {
            self.never_came(&refs);
        }
        self.revert(&refs);
        let vain = matches!(
            class,
            ReplyClass::Link(Unsettled::Misconfigured) | ReplyClass::ServerFault | ReplyClass::Rejected(_)
        );
        if refs.is_empty() && vain {
            self.ask_again_ms = now.mono_ms + BACKOFF_CAP_HIDDEN_MS;
        }
        match class {
            ReplyClass::Judged(answer) => {
                self.bury(told);
                self.judged(&rows, answer, now);
            }
            ReplyClass::Offer(offer) => self.offered(offer, now),
            ReplyClass::Told(Some(wait)) => self.told(wait, now),
            ReplyClass::Told(None) => self.back_off(now),
            ReplyClass::Slot(wait) => self.come_back(wait, now),
            ReplyClass::Hold => self.hold(now),
            ReplyClass::InFlight(wait) => self.told(wait.unwrap_or(LANE_RETRY_BASE_MS), now),
            ReplyClass::Rejected(_) if refs.is_empty() => self.back_off(now),
            ReplyClass::Rejected(problem) => self.rejected(&refs, &problem, now),
            ReplyClass::ServerFault => self.server_fault(refs, now),
            ReplyClass::Feed(_) | ReplyClass::CursorGone => self.back_off(now),
            ReplyClass::Link(unsettled) => {
                if unsettled == Unsettled::TimedOut {
                    self.batch_limit = (refs.len() / 2).max(1);
                }
                self.back_off(now);
            }
        }
        self.tell(Notice::Changed);
    }

    /// Requests run beside each other here, so one reply must not undo what another one has just taught.
    fn replied_single(&mut self, at: RowRef, id: EventId, reply: &Reply, class: ReplyClass, now: Now) {
        self.note_link(&class);
        self.revert(&[at]);
        let waits = now.mono_ms < self.not_before_ms;
        match class {
            ReplyClass::Judged(answer) => {
                if let Reply::Http { date: Some(date), .. } = reply {
                    self.note_time(*date);
                }
                self.judged(&[(at, id)], answer, now);
            }
            ReplyClass::Told(Some(wait)) => self.told(wait, now),
            ReplyClass::Hold => {
                self.never_came(&[at]);
                if !matches!(reply, Reply::NoCredentials) {
                    // Its key alone may be locked: it waits a little, and then behind the others.
                    self.lane_waits_alone(at, Some(LANE_RETRY_BASE_MS), now);
                }
                if !waits {
                    self.hold(now);
                }
            }
            _ => {
                // A server that answers, only not for this event, has perhaps trouble with this event alone; and one
                // that failed on it before proves by the next failure nothing about the others.
                let again = self.window.waited(at);
                if !matches!(reply, Reply::NoAnswer) {
                    self.lane_waits_alone(at, None, now);
                }
                if !waits && (self.failures > 0 || !again) {
                    self.back_off(now);
                }
            }
        }
        self.tell(Notice::Changed);
    }

    // Listening.

    fn ask_feed(&mut self, now: Now) {
        if self.next_question().is_none_or(|at| at > now.mono_ms) {
            return;
        }
        let number = self.request_number();
        let path = self.ear.ask(number, now.mono_ms);
        self.request(number, path, Vec::new(), None, FEED_WAIT_S * 1_000 + REQUEST_TIMEOUT_MS);
    }

    /// An answer of the feed says little about sending, so its troubles hold nothing up. Good news is welcome.
    fn answered_feed(&mut self, reply: &Reply, now: Now) {
        let class = classify(reply, Asked::Feed, now.wall);
        let proven = matches!(class, ReplyClass::Feed(_) | ReplyClass::CursorGone);
        if proven || self.counter.owed == 0 {
            self.note_link(&class);
        }
        match class {
            ReplyClass::Feed(page) => {
                self.ear.applies();
                self.next_cursor = page.cursor;
                let mut heard = Vec::new();
                for event in page.events {
                    heard.push(Heard { event, put: Vec::new() });
                }
                self.out.push_back(Output::Effects(heard));
                self.link_hint(Hint::Online, now);
            }
            ReplyClass::CursorGone => {
                self.tell(Notice::Resync);
                self.ear.applies();
                self.next_cursor.clear();
                self.hear(Vec::new(), now);
            }
            ReplyClass::Told(Some(wait)) | ReplyClass::Slot(wait) => {
                self.ear.told(wait, &mut self.jitter, now.mono_ms)
            }
            ReplyClass::Hold => {
                self.fresh_credentials = true;
                self.ear.failed(self.watched, &mut self.jitter, now.mono_ms);
            }
            _ => self.ear.failed(self.watched, &mut self.jitter, now.mono_ms),
        }
        self.tell(Notice::Changed);
    }

    fn hear(&mut self, heard: Vec<Heard>, now: Now) {
        let Some(epoch) = self.epoch else { return self.ear.rest() };
        let cursor = self.next_cursor.clone();
        if heard.is_empty() && cursor == self.ear.cursor {
            return self.ear.applied(cursor, self.watched, now.mono_ms);
        }
        let heard = Rc::new(heard);
        let batch = Batch::Feed { epoch, heard: Rc::clone(&heard), cursor: cursor.clone(), at: now.wall };
        self.apply(batch, Purpose::Feed(heard, cursor));
    }

    fn applied_feed(&mut self, heard: &[Heard], cursor: String, result: Applied, now: Now) {
        match result {
            Ok(Done::Heard(fresh)) => {
                self.ear.applied(cursor, self.watched, now.mono_ms);
                for (place, own) in heard.iter().enumerate() {
                    let untold = self.untold.iter().position(|id| *id == own.event.id);
                    if let Some(place) = untold {
                        self.untold.swap_remove(place);
                    }
                    if untold.is_some() || fresh.contains(&place) {
                        self.tell(Notice::Heard(own.event.clone()));
                    }
                }
            }
            Ok(_) => self.ear.failed(self.watched, &mut self.jitter, now.mono_ms),
            Err(StoreFault::Refused(Refusal::StaleEpoch)) => self.yield_lead(),
            Err(fault) => {
                // Perhaps they are on disk: told again by the city they would count as heard.
                for own in heard {
                    if matches!(fault, StoreFault::Lost(_)) && !self.untold.contains(&own.event.id) {
                        self.untold.push(own.event.id);
                    }
                }
                let for_long = self.ear.unwritten(self.watched, &mut self.jitter, now.mono_ms);
                self.tell(Notice::Storage(fault));
                if self.cut_off && for_long && !self.lockless && self.flights.is_empty() {
                    // Whoever owes nothing would bear with us for ever, and hear nothing of the city.
                    self.yield_lead();
                }
            }
        }
    }

    /// Without credentials no request was made, and one with refused ones had no effect.
    fn never_came(&mut self, rows: &[RowRef]) {
        let mut first = Vec::new();
        for at in rows {
            if let Some(row) = self.window.row_mut(at.sequence) {
                row.take_try_back();
                if !row.maybe_sent {
                    first.push(*at);
                }
            }
        }
        if let (false, Some(epoch)) = (first.is_empty(), self.epoch) {
            let marks = first.len() as u64;
            self.apply(Batch::Sent { epoch, rows: first, maybe: false }, Purpose::TakeBack(marks));
        }
    }

    fn note_link(&mut self, class: &ReplyClass) {
        let link = match class {
            ReplyClass::Link(Unsettled::Captive) => Link::Captive,
            ReplyClass::Link(Unsettled::Misconfigured) => Link::Misconfigured,
            ReplyClass::Link(_) => Link::Down,
            // Missing credentials prove nothing about the link.
            ReplyClass::Hold => self.link,
            _ => Link::Up,
        };
        if link != self.link {
            self.link = link;
            self.tell(Notice::Link(link));
        }
    }

    fn judged(&mut self, sent: &[(RowRef, EventId)], answer: Answer, now: Now) {
        // What another request was told, or met, meanwhile holds.
        let holds = matches!(self.waiting, Waiting::Told | Waiting::Held | Waiting::Storage);
        if !holds || self.not_before_ms <= now.mono_ms {
            self.went_well(answer.window_ms);
        }
        let (mut settlements, mut waits) = (Vec::new(), Vec::new());
        for (at, id) in sent {
            // The last word about an event counts.
            match answer.verdicts.iter().rfind(|verdict| verdict.id == *id) {
                Some(Verdict { word: VerdictWord::Accepted, .. }) => {
                    self.settlement(*at, Outcome::Accepted, &mut settlements);
                }
                Some(Verdict { word: VerdictWord::Duplicate, .. }) => {
                    self.settlement(*at, Outcome::Duplicate, &mut settlements);
                }
                Some(Verdict { word: VerdictWord::Refused, problem, .. }) => {
                    self.death(*at, DeadReason::Refused, problem.as_ref(), &mut settlements);
                }
                Some(Verdict { word: VerdictWord::Retry, retry_after_ms, .. }) => {
                    self.lane_waits(*at, *retry_after_ms, false, now, &mut waits);
                }
                Some(Verdict { word: VerdictWord::Hold, .. }) => {
                    self.fresh_credentials = true;
                    self.lane_waits(*at, None, true, now, &mut waits);
                }
                // Its lane waits, so that a city which never answers for it is not asked without pause.
                None => self.lane_waits(*at, None, false, now, &mut waits),
            }
        }
        self.settle(settlements, now);
        self.apply_waits(waits);
    }

    fn apply_waits(&mut self, lanes: Vec<(LaneHash, UnixMillis)>) {
        if let (false, Some(epoch)) = (lanes.is_empty(), self.epoch) {
            self.apply(Batch::Wait { epoch, lanes }, Purpose::Aside);
        }
    }

    /// A city that judged the request has read its header.
    fn bury(&mut self, told: Vec<Sequence>) {
        if !told.is_empty() {
            take_out(&mut self.tombstones, &told);
            self.apply(Batch::Buried(told), Purpose::Aside);
        }
    }

    fn settlement(&mut self, at: RowRef, outcome: Outcome, to: &mut Vec<Settlement>) {
        let lane_recorded =
            self.window.row(at.sequence).is_some_and(|row| self.window.lanes.contains_key(&row.lane));
        if let Some(row) = self.window.row_mut(at.sequence) {
            row.doing = Doing::Settling;
            let (id, lane, bytes) = (row.id, row.lane, row.body.len());
            to.push(Settlement { row: at, id, bytes, lane, lane_recorded, outcome });
        }
    }

    fn death(&mut self, at: RowRef, reason: DeadReason, problem: Option<&Problem>, to: &mut Vec<Settlement>) {
        if let Some(row) = self.window.row(at.sequence) {
            let (body, blocks) = (row.body.clone(), row.on_dead == OnDead::Block);
            let problem = problem.map(Problem::to_json);
            self.settlement(at, Outcome::Dead { reason, problem, body, blocks }, to);
        }
    }

    fn settle(&mut self, rows: Vec<Settlement>, now: Now) {
        let Some(epoch) = self.epoch else { return };
        if !rows.is_empty() {
            let rows = Rc::new(rows);
            self.apply(Batch::Settle { epoch, rows: Rc::clone(&rows), at: now.wall }, Purpose::Settle(rows));
        }
    }

    fn lane_waits(
        &mut self,
        at: RowRef,
        told: Option<u64>,
        held: bool,
        now: Now,
        to: &mut Vec<(LaneHash, UnixMillis)>,
    ) {
        let Some(lane) = self.window.row(at.sequence).map(|row| row.lane) else { return };
        let waits = self.window.lanes.get(&lane).map_or(0, |state| state.waits) + 1;
        let wait = match told {
            Some(told) => told_ms(told, &mut self.jitter),
            None => backoff_ms(waits, self.watched, &mut self.jitter).max(LANE_RETRY_BASE_MS / 4),
        };
        let due = now.mono_ms + wait;
        self.window.block(lane, |state| {
            state.due_ms = Some(due);
            state.waits = waits;
            state.held = held;
        });
        to.push((lane, now.wall_of(due)));
    }

    fn lane_waits_alone(&mut self, at: RowRef, told: Option<u64>, now: Now) {
        let mut waits = Vec::new();
        self.lane_waits(at, told, told.is_some(), now, &mut waits);
        self.apply_waits(waits);
    }

    fn offered(&mut self, offer: EdgeConfig, now: Now) {
        self.went_well(offer.window_ms);
        self.offer = Some((offer.clone(), now.mono_ms + EDGE_CONFIG_KEEP_MS));
        self.apply(Batch::Offer(offer, now.wall), Purpose::Aside);
        if let Some(rows) = self.accused.take() {
            self.server_faults = SERVER_FAULTS_BEFORE_BISECT;
            self.split(&rows, now);
        }
    }

    fn told(&mut self, wait_ms: u64, now: Now) {
        let wait = told_ms(wait_ms, &mut self.jitter);
        self.come_back(wait, now);
    }

    fn come_back(&mut self, wait: u64, now: Now) {
        // A hint from the city resets the ladder (gRPC A6): it knows better than our count of failures.
        self.failures = 0;
        self.down_since_ms = None;
        // One that ran beside this may have been told to wait longer.
        if self.waiting != Waiting::Told || self.not_before_ms < now.mono_ms + wait {
            self.wait(wait, Waiting::Told, now);
        }
    }

    fn hold(&mut self, now: Now) {
        self.fresh_credentials = true;
        self.failures = self.failures.saturating_add(1);
        let wait = backoff_ms(self.failures, self.watched, &mut self.jitter);
        self.wait(wait.max(LANE_RETRY_BASE_MS / 4), Waiting::Held, now);
    }

    fn back_off(&mut self, now: Now) {
        self.failures = self.failures.saturating_add(1);
        self.down_since_ms.get_or_insert(now.mono_ms);
        let wait = backoff_ms(self.failures, self.watched, &mut self.jitter);
        self.wait(wait, Waiting::Backoff, now);
    }

    fn wait(&mut self, wait_ms: u64, waiting: Waiting, now: Now) {
        self.not_before_ms = now.mono_ms + wait_ms;
        self.waiting = waiting;
        let pace = PaceRecord {
            not_before: now.wall_of(self.not_before_ms),
            failures: self.failures,
            window_ms: self.window_ms,
            down_since: self.down_since_ms.map(|at| now.wall_of(at)),
            drawn: waiting == Waiting::Window,
            told: waiting == Waiting::Told,
        };
        self.apply(Batch::Pace(pace), Purpose::Aside);
    }

    fn went_well(&mut self, window_ms: Option<u64>) {
        let window_ms = window_ms.unwrap_or(self.window_ms);
        // Small changes of the window are not worth a write.
        let moved = window_ms.abs_diff(self.window_ms) > self.window_ms / 8;
        self.window_ms = window_ms;
        if self.failures > 0 || self.waiting != Waiting::Free || moved {
            self.apply(Batch::Pace(PaceRecord { window_ms, ..PaceRecord::default() }), Purpose::Aside);
        }
        self.failures = 0;
        self.down_since_ms = None;
        self.server_faults = if self.suspects.is_empty() { 0 } else { self.server_faults };
        self.waiting = Waiting::Free;
        self.not_before_ms = 0;
        self.batch_limit = (self.batch_limit + self.batch_limit / 4 + 1).min(BATCH_EVENTS_MAX);
    }

    /// The city cannot take the request as a whole: halve it until the poison stands alone.
    fn rejected(&mut self, rows: &[RowRef], problem: &Problem, now: Now) {
        self.failures = 0;
        self.down_since_ms = None;
        self.waiting = Waiting::Free;
        self.not_before_ms = 0;
        match rows {
            [single] => {
                self.cleared(rows);
                let reason =
                    if problem.status == Some(422) { DeadReason::Refused } else { DeadReason::Poison };
                let mut dead = Vec::new();
                self.death(*single, reason, Some(problem), &mut dead);
                self.settle(dead, now);
            }
            many => self.halve(many),
        }
    }

    fn halve(&mut self, rows: &[RowRef]) {
        self.cleared(rows);
        let (first, second) = rows.split_at(rows.len() / 2);
        self.suspects.push(second.to_vec());
        self.suspects.push(first.to_vec());
    }

    /// The group under suspicion that holds these rows, if any, is no longer asked about as a whole.
    fn cleared(&mut self, rows: &[RowRef]) {
        if self.suspects.last().is_some_and(|group| rows.iter().all(|row| group.contains(row))) {
            self.suspects.pop();
        }
    }

    /// The city failed. Whether these rows make it fail is only clear once it answers another question.
    fn server_fault(&mut self, rows: Vec<RowRef>, now: Now) {
        self.server_faults = self.server_faults.saturating_add(1);
        if self.server_faults >= SERVER_FAULTS_BEFORE_BISECT && !rows.is_empty() {
            if self.suspects.is_empty() {
                self.accused = Some(rows);
            } else {
                return self.split(&rows, now);
            }
        }
        self.back_off(now);
    }

    fn split(&mut self, rows: &[RowRef], now: Now) {
        match rows {
            // It makes the city fail all by itself: only its lane waits.
            [single] => {
                self.cleared(rows);
                self.lane_waits_alone(*single, None, now);
                if self.suspects.is_empty() {
                    self.server_faults = 0;
                }
            }
            many => self.halve(many),
        }
    }

    // Small things.

    fn apply(&mut self, batch: Batch, purpose: Purpose) {
        let op = self.op();
        self.overtaken = true;
        self.pending.push((op, purpose));
        self.out.push_back(Output::Apply { op, batch });
    }

    /// A short wait before a store that failed is asked again.
    fn step_back_ms(&mut self) -> u64 {
        LANE_RETRY_BASE_MS / 4 + self.jitter.up_to(LANE_RETRY_BASE_MS)
    }

    fn op(&mut self) -> u64 {
        self.next_op += 1;
        self.next_op
    }

    fn request_number(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    fn tell(&mut self, notice: Notice) {
        if matches!(notice, Notice::Changed) && core::mem::replace(&mut self.change_told, true) {
            return;
        }
        self.out.push_back(Output::Notice(notice));
    }
}

impl Wish {
    fn answer(self, outcome: Result<Vec<Receipt>, EmitFault>) -> Output {
        match self.answer {
            Answers::Many => Output::Committed(self.ticket, outcome),
            Answers::One => {
                let only = outcome.and_then(|receipts| receipts.first().copied().ok_or(EmitFault::NotOpen));
                Output::Emitted(self.ticket, only)
            }
        }
    }
}

impl Appending {
    /// Its wishes in two groups, which go in next.
    fn halve(&mut self) {
        let (first, second) = self.wishes.split_at(self.wishes.len() / 2);
        let kept = first.iter().map(|wish| wish.events).sum::<usize>().min(self.events.len());
        let (own, others) = self.events.split_at(kept);
        let mut before = Group { wishes: first.to_vec(), events: own.to_vec(), commits: Vec::new() };
        let mut after = Group { wishes: second.to_vec(), events: others.to_vec(), commits: Vec::new() };
        for commit in self.commits.iter() {
            let mut commit = commit.clone();
            if commit.first < kept {
                before.commits.push(commit);
            } else {
                commit.first -= kept;
                after.commits.push(commit);
            }
        }
        self.rest.push(after);
        self.rest.push(before);
    }
}

/// The receipts of a wish's events, or why nothing of it was taken.
fn receipts(appended: &[Appended]) -> Result<Vec<Receipt>, EmitFault> {
    let (mut receipts, mut undone) = (Vec::new(), None);
    for one in appended {
        match receipt(one) {
            Ok(receipt) => receipts.push(receipt),
            // What was undone only says that another one is the reason.
            Err(EmitFault::Contradiction) => undone = Some(EmitFault::Contradiction),
            Err(reason) => return Err(reason),
        }
    }
    undone.map_or(Ok(receipts), Err)
}

/// Appends to a comma-separated list.
fn join(list: &mut String, one: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(one);
}

/// Longest wait the city can impose, with its jitter.
const TOLD_MAX_MS: u64 = RETRY_AFTER_MAX_MS + RETRY_AFTER_JITTER_MS;

/// Turns a stored wall-clock time into a monotonic one. A time further ahead than any wait of its kind is the word of a
/// wall clock that was set back since, and says nothing: held to it, or to a part of it, every new leader would begin
/// the wait anew.
fn mono_of(now: Now, longest_ms: u64) -> impl Fn(UnixMillis) -> u64 {
    move |at| {
        let ahead = at.0.saturating_sub(now.wall.0);
        now.mono_ms + if ahead > longest_ms { 0 } else { ahead }
    }
}

fn receipt(appended: &Appended) -> Result<Receipt, EmitFault> {
    match *appended {
        Appended::Stored(kept) => Ok(Receipt { kept, replayed: false }),
        Appended::Replayed(kept) => Ok(Receipt { kept, replayed: true }),
        Appended::Conflict(kept) => Err(EmitFault::Conflict(kept)),
        Appended::Closed(kept) => Err(EmitFault::IntentClosed(kept)),
        Appended::Full => Err(EmitFault::Full),
        // Nothing else is the reason, so the commit stands in its own way.
        Appended::Undone => Err(EmitFault::Contradiction),
        Appended::Guarded(place) => Err(EmitFault::Guard(place)),
    }
}
