//! The only place where the engine's outputs become browser calls.
//!
//! No borrow of the engine is held while anything outside runs: outputs are taken out one by one, and what they
//! start reports back through [`Driver::hand`]. All events of one turn reach the store together, because the
//! draining of the engine is put off to the end of the turn.

use super::canary;
use super::channel::{Channel, Word};
use super::health::{self, Health};
use super::values::{self, NoticeOut};
use super::{errors, fault, records};
use crate::browser::lock::{Claim, Lock, LockChange};
use crate::browser::promise::{Outcome, Waiter, ended, outcome, promise};
use crate::browser::store::Store;
use crate::browser::sys::{self, Function, Promise};
use crate::browser::value::Value;
use crate::browser::wakes::{Wake, Wakes, is_visible};
use crate::browser::work::spawn;
use crate::browser::{clock, fetch};
use crate::event::{EventId, Sequence};
use crate::limits::HEALTH_EVERY_WRITES;
use crate::outbox::Engine;
use crate::outbox::canary::{Alarm, compare};
use crate::outbox::engine::{EmitFault, Final, Hint, Input, Notice, Output, Request, Ticket};
use crate::outbox::feed::Heard;
use crate::outbox::port::{Batch, Load, Opened, StoreFault};
use crate::outbox::record::Status;
use crate::pace::{Link, Now, Watched};
use crate::wire::Reply;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;

/// What the page set up.
pub(super) struct Setup {
    /// Base address of the city, without a trailing slash; or the address of a server that knows nothing of us.
    pub(super) city: String,
    /// Whether it is the latter.
    pub(super) single: bool,
    /// Asks the page for a token.
    pub(super) credentials: Option<Function>,
    /// Name of the database.
    pub(super) database: String,
    /// Says what an event of the feed does to the page's records.
    pub(super) apply: Option<Function>,
}

/// One open outbox of one context.
pub(super) struct Driver {
    pub(super) engine: RefCell<Engine>,
    pub(super) store: Store,
    setup: Setup,
    token: RefCell<Option<String>>,
    /// The page's answer that is awaited.
    asking: RefCell<Option<Promise>>,
    /// Numbers whatever can be given up or ends later.
    last_number: Cell<u64>,
    waiting: RefCell<Vec<Waiting>>,
    listeners: RefCell<Vec<Listener>>,
    /// Requests under way, by their numbers.
    requests: RefCell<Vec<(u64, fetch::Abort)>>,
    turn: Cell<bool>,
    /// Writes under way.
    writing: Cell<usize>,
    closing: Cell<bool>,
    /// Who waits for the end of all writes, to be closed.
    closers: RefCell<Vec<Waiter>>,
    closed: Cell<bool>,
    health: Cell<Health>,
    /// The browser is being asked how full it is.
    weighing: Cell<bool>,
    /// Writes since the browser was asked how full it is.
    writes: Cell<u32>,
    /// What the page must hear of the database before it is noted anew.
    alarm: Cell<Option<Alarm>>,
    /// What was noted of the outbox before it was opened.
    seen: RefCell<Option<String>>,
    /// What was noted last.
    noted: Cell<Option<(Sequence, u64)>>,
    /// Everything that listens to the browser; gone once closed.
    ears: RefCell<Option<Ears>>,
}

/// A promise of this page that has not ended.
struct Waiting {
    number: u64,
    /// The event whose verdict ends it; without one the engine's word does.
    event: Option<EventId>,
    waiter: Waiter,
}

/// What a listener hears.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Snapshots,
    Notices,
    Outcomes,
}

struct Listener {
    number: u64,
    told: Told,
    call: Function,
}

struct Ears {
    wakes: Wakes,
    channel: Channel,
    lock: Option<Lock>,
}

impl Driver {
    pub(super) fn new(engine: Engine, store: Store, setup: Setup) -> Rc<Self> {
        Rc::new(Self {
            engine: RefCell::new(engine),
            store,
            setup,
            token: RefCell::default(),
            asking: RefCell::default(),
            last_number: Cell::default(),
            waiting: RefCell::default(),
            listeners: RefCell::default(),
            requests: RefCell::default(),
            turn: Cell::default(),
            writing: Cell::default(),
            closing: Cell::default(),
            closers: RefCell::default(),
            closed: Cell::default(),
            health: Cell::default(),
            weighing: Cell::default(),
            writes: Cell::default(),
            alarm: Cell::default(),
            seen: RefCell::default(),
            noted: Cell::default(),
            ears: RefCell::default(),
        })
    }

    /// Starts with what was found on disk, to listen and to compete for the lead.
    pub(super) fn start(self: &Rc<Self>, opened: Opened, seen: Option<String>) {
        fault::watch(self);
        let alarm = seen.as_ref().and_then(|seen| compare(seen, self.store.life(), &opened.counter));
        self.alarm.set(alarm);
        self.seen.replace(seen);
        self.hand(Input::Opened(opened));
        let wakes = {
            let weak = Rc::downgrade(self);
            Wakes::listen(move |wake| with(&weak, |driver| driver.woken(wake)))
        };
        let channel = {
            let weak = Rc::downgrade(self);
            Channel::open(&self.setup.database, move |word| with(&weak, |driver| driver.heard(word)))
        };
        self.ears.replace(Some(Ears { wakes, channel, lock: None }));
        self.watch();
        self.compete(Claim::Queue);
        self.ask_space();
        // Firefox asks a person, which may take for ever.
        self.spawn(async |driver| {
            let persisted = health::persist().await;
            driver.health.set(Health { persisted, ..driver.health.get() });
        });
    }

    /// Asks the browser how full it is, once at a time.
    fn ask_space(self: &Rc<Self>) {
        if self.weighing.replace(true) {
            return;
        }
        self.spawn(async |driver| {
            let (usage, quota) = health::estimate().await;
            driver.weighing.set(false);
            let health = Health { usage, quota, ..driver.health.get() };
            driver.health.set(health);
            if let Some(space) = health.space() {
                driver.hand(Input::Space(space));
            }
        });
    }

    /// Asks for the lock. Where the browser has or gives no locks (an insecure page) the engine chooses the leader by
    /// a beat in the database. Either way the epoch there keeps two contexts from settling the same row.
    fn compete(self: &Rc<Self>, claim: Claim) {
        let weak = Rc::downgrade(self);
        let gained = Cell::new(false);
        let asked = Lock::request(&self.setup.database, claim, move |change| {
            with(&weak, |driver| match change {
                LockChange::Gained => {
                    gained.set(true);
                    driver.hand(Input::LeadGained);
                }
                LockChange::Lost if gained.get() => {
                    driver.hand(Input::LeadLost);
                    driver.compete(Claim::Queue);
                }
                LockChange::Lost => driver.hand(Input::NoLocks),
            });
        });
        match asked {
            Ok(lock) => self.keep_lock(Some(lock)),
            Err(_) => self.hand(Input::NoLocks),
        }
    }

    fn compete_anew(self: &Rc<Self>, claim: Claim) {
        self.keep_lock(None);
        self.compete(claim);
    }

    fn keep_lock(&self, lock: Option<Lock>) {
        if let Some(ears) = self.ears.borrow_mut().as_mut() {
            ears.lock = lock;
        }
    }

    // What happened.

    /// Hands something to the engine and performs what follows from it.
    pub(super) fn hand(self: &Rc<Self>, input: Input) {
        if self.closed.get() {
            return;
        }
        self.engine.borrow_mut().handle(input, now());
        self.drain();
    }

    fn woken(self: &Rc<Self>, wake: Wake) {
        match wake {
            Wake::Timer => self.hand(Input::Wake),
            Wake::Hidden => self.watch(),
            Wake::Leaving => self.hand(Input::Leaving),
            Wake::Online => self.perk_up(Hint::Online),
            Wake::Visible | Wake::Shown | Wake::Focused => self.perk_up(Hint::Person),
        }
    }

    fn perk_up(self: &Rc<Self>, hint: Hint) {
        self.watch();
        self.hand(Input::LinkHint(hint));
        // A timer that slept with the page is late by now.
        self.hand(Input::Wake);
    }

    fn watch(self: &Rc<Self>) {
        self.hand(Input::Watched(if is_visible() { Watched::Visible } else { Watched::Hidden }));
    }

    /// Another context changed the outbox, or says that it leads.
    fn heard(self: &Rc<Self>, word: Word) {
        match word {
            Word::Beat => return self.hand(Input::Beat),
            Word::Flush => return self.hand(Input::Flush),
            Word::Heard(body) => return self.tell_outcome(&body),
            Word::Changed => {}
        }
        self.hand(Input::Changed);
        let mut ids = Vec::new();
        for waiting in self.waiting.borrow().iter() {
            ids.extend(waiting.event);
        }
        for id in ids {
            self.look_up(id);
        }
    }

    /// A person says "send now", here or to whoever leads.
    pub(super) fn flush(self: &Rc<Self>) {
        self.hand(Input::Flush);
        self.tell_others(&Word::Flush);
    }

    // What is to be done.

    /// Performs the outputs at the end of this turn, so that all of its events go into one transaction.
    pub(super) fn drain_later(self: &Rc<Self>) {
        if !self.turn.replace(true) {
            self.spawn(async |driver| {
                driver.turn.set(false);
                driver.drain();
            });
        }
    }

    fn drain(self: &Rc<Self>) {
        let mut changed = false;
        loop {
            // The borrow ends with the statement: what is performed may call back into the engine.
            let output = self.engine.borrow_mut().poll(now());
            let Some(output) = output else { break };
            changed |= matches!(output, Output::Notice(Notice::Changed));
            self.perform(output);
        }
        self.set_timer();
        if changed {
            self.note();
            self.tell(Told::Snapshots, || Some(self.snapshot()));
        }
    }

    /// Notes what is seen in another store, once the page knows what was found there, and only when it is news.
    fn note(&self) {
        let counter = self.engine.borrow().counter();
        let news = Some((counter.next, counter.owed));
        if self.alarm.get().is_none() && self.noted.replace(news) != news {
            canary::note(&self.setup.database, self.seen.borrow().as_deref(), self.store.life(), &counter);
        }
    }

    fn set_timer(&self) {
        let wake = self.engine.borrow().next_wake();
        if let Some(ears) = self.ears.borrow().as_ref() {
            match wake {
                Some(at) => ears.wakes.set(at.saturating_sub(clock::monotonic_ms())),
                None => ears.wakes.clear(),
            }
        }
    }

    fn perform(self: &Rc<Self>, output: Output) {
        match output {
            // Who leads next goes on with it; it would keep the end waiting.
            Output::Apply { batch: Batch::Prune { .. }, .. } if self.closing.get() => {}
            Output::Apply { op, batch } => {
                self.writing.set(self.writing.get() + 1);
                self.spawn(async move |driver| {
                    let shared = concerns_others(&batch);
                    let result = driver.store.apply(batch).await;
                    driver.writes.set(driver.writes.get() + 1);
                    if driver.writes.get() >= HEALTH_EVERY_WRITES || matches!(result, Err(StoreFault::Quota))
                    {
                        driver.writes.set(0);
                        driver.ask_space();
                    }
                    if shared && result.is_ok() {
                        driver.tell_others(&Word::Changed);
                    }
                    driver.hand(Input::Applied { op, result });
                    driver.written();
                });
            }
            Output::Load { op, load } => self.spawn(async move |driver| {
                let result = driver.store.load(load).await;
                driver.hand(Input::Loaded { op, result });
            }),
            Output::Reread { op } => self.spawn(async move |driver| {
                let result = driver.store.opened().await;
                driver.hand(Input::Reread { op, result });
            }),
            // What was not sent yet waits for the next opening.
            Output::Send(_) if self.closing.get() => {}
            Output::Send(request) => self.spawn(async move |driver| {
                let number = request.number;
                let reply = driver.send(request).await;
                driver.hand(Input::Replied { request: number, reply });
            }),
            Output::Effects(heard) => self.effects(heard),
            Output::YieldLead => self.compete_anew(Claim::Queue),
            Output::StealLead => self.compete_anew(Claim::Steal),
            Output::Beat => self.tell_others(&Word::Beat),
            Output::Emitted(ticket, done) => {
                self.taken(ticket, done.map(|receipt| values::receipt(&receipt)));
            }
            Output::Committed(ticket, done) => {
                let told = done.map(|receipts| values::array(&receipts, |one| Some(values::receipt(one))));
                self.taken(ticket, told);
            }
            Output::Closed(ticket, done) => {
                let told = done.map(|()| JsValue::UNDEFINED);
                self.end_wait(ticket.0, &told.map_err(|fault| errors::of_store(&fault)));
            }
            Output::Notice(notice) => self.notice(notice),
        }
    }

    /// Tells a caller what became of its wish. One that found no room may find some now: the page may have made it.
    fn taken(self: &Rc<Self>, ticket: Ticket, told: Result<JsValue, EmitFault>) {
        if matches!(told, Err(EmitFault::Full)) {
            self.ask_space();
        }
        self.end_wait(ticket.0, &told.map_err(|fault| errors::of_emit(&fault)));
    }

    /// Asks the page what the events of the feed do to its records. A page that throws gets the event without effect,
    /// and hears of it: the feed must not stop at what one release cannot read.
    fn effects(self: &Rc<Self>, mut heard: Vec<Heard>) {
        if let Some(apply) = &self.setup.apply {
            for own in &mut heard {
                let Some(event) = values::outcome(&own.event.body) else { continue };
                match records::effects(apply, &event) {
                    Ok(put) => own.put = put,
                    Err(thrown) => {
                        report(&thrown);
                        self.tell_notice(&NoticeOut {
                            kind: "feed",
                            code: "apply-failed".to_owned(),
                            detail: "`apply` threw or was async: this event changed no records.".to_owned(),
                            id: Some(own.event.id),
                        });
                    }
                }
            }
        }
        self.hand(Input::Effects(heard));
    }

    async fn send(&self, request: Request) -> Reply {
        let Request { number, path, mut headers, body, fresh_credentials, timeout_ms, .. } = request;
        if let Some(ask) = &self.setup.credentials {
            if fresh_credentials {
                self.token.replace(None);
            }
            let Some(token) = self.ask_token(ask).await else { return Reply::NoCredentials };
            headers.push(("authorization", format!("Bearer {token}")));
        }
        let url = format!("{}{path}", self.setup.city);
        let abort = fetch::Abort::new();
        self.requests.borrow_mut().extend(abort.clone().map(|abort| (number, abort)));
        let cookies = self.setup.single;
        let reply = fetch::send(&fetch::Request { url, headers, body, timeout_ms, cookies, abort }).await;
        self.requests.borrow_mut().retain(|(own, _)| *own != number);
        reply
    }

    /// The token that is held, or what the page says; requests beside each other ask it once.
    async fn ask_token(&self, ask: &Function) -> Option<String> {
        let held = self.token.borrow().clone();
        if held.is_some() {
            return held;
        }
        let asked = self.asking.borrow().clone();
        let answer = asked.unwrap_or_else(|| ended(&sys::call_back(ask, &[])));
        self.asking.replace(Some(answer.clone()));
        let told = outcome(&answer).await;
        self.asking.replace(None);
        // What no header can hold is no token: a request with it would never leave.
        let visible = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = told.ok()?.as_string().filter(visible)?;
        self.token.replace(Some(token.clone()));
        Some(token)
    }

    // Who waits.

    fn next_number(&self) -> u64 {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        number
    }

    fn wait(&self, event: Option<EventId>) -> (u64, Promise) {
        let number = self.next_number();
        let (promise, waiter) = Waiter::new();
        self.waiting.borrow_mut().push(Waiting { number, event, waiter });
        (number, promise)
    }

    /// A ticket whose promise ends with the engine's word.
    pub(super) fn ticket(&self) -> (Ticket, Promise) {
        let (number, promise) = self.wait(None);
        (Ticket(number), promise)
    }

    /// Waits for an event's verdict. Rewrites the number by which the wait can be given up.
    pub(super) fn await_verdict(self: &Rc<Self>, id: EventId) -> (u64, Promise) {
        let wait = self.wait(Some(id));
        self.look_up(id);
        wait
    }

    /// Ends a wait, if it has not ended yet.
    pub(super) fn end_wait(&self, number: u64, told: &Outcome) {
        if let Some(waiter) = self.take_wait(|waiting| waiting.number == number) {
            waiter.end(told);
        }
    }

    fn take_wait(&self, ends: impl Fn(&Waiting) -> bool) -> Option<Waiter> {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(ends)?;
        Some(waiting.swap_remove(place).waiter)
    }

    /// Looks on disk for the verdict of an event someone waits for.
    fn look_up(self: &Rc<Self>, id: EventId) {
        self.spawn(async move |driver| {
            let told = match driver.store.find(id.to_bytes()).await {
                Ok(Some(fate)) if fate.kept.id == id => match final_of(fate.status, fate.note.as_deref()) {
                    Some(verdict) => Ok(values::verdict(id, &verdict)),
                    None => return,
                },
                Ok(_) => {
                    let text = "No event here has this id, or it settled long ago.";
                    Err(errors::error("not-found", text, errors::Retry::IsVain))
                }
                Err(fault) => Err(errors::of_store(&fault)),
            };
            driver.end_waits_for(id, &told);
        });
    }

    fn end_waits_for(&self, id: EventId, told: &Outcome) {
        while let Some(waiter) = self.take_wait(|waiting| waiting.event == Some(id)) {
            waiter.end(told);
        }
    }

    /// Owed events in their order, at most so many.
    pub(super) async fn owed(&self, limit: u32) -> Outcome {
        let mut rows = Vec::new();
        let mut after = Sequence(0);
        loop {
            let mut page =
                self.store.load(Load::After(after)).await.map_err(|fault| errors::of_store(&fault))?;
            for row in &mut page.rows {
                row.maybe_sent &= !self.engine.borrow().awaits_answer(row.row.sequence);
            }
            rows.append(&mut page.rows);
            match page.last {
                Some(last) if page.more && rows.len() < limit as usize => after = last,
                _ => {
                    rows.truncate(limit as usize);
                    return Ok(values::array(&rows, values::owed));
                }
            }
        }
    }

    // Who listens.

    /// Tells a function from now on. Rewrites the number by which it is forgotten.
    pub(super) fn listen(&self, told: Told, call: Function) -> u64 {
        let number = self.next_number();
        self.listeners.borrow_mut().push(Listener { number, told, call });
        number
    }

    /// Tells what was found when the database was opened, until somebody has heard it.
    pub(super) fn tell_alarm(&self) {
        if let Some(alarm) = self.alarm.take() {
            self.tell_notice(&alarm_notice(alarm));
            self.note();
        }
    }

    pub(super) fn forget_listener(&self, number: u64) {
        self.listeners.borrow_mut().retain(|listener| listener.number != number);
    }

    /// Calls every listener; one that throws is the page's fault and reported as such, and spoils no other.
    fn tell(&self, told: Told, value: impl FnOnce() -> Option<JsValue>) {
        let mut calls = Vec::new();
        for listener in self.listeners.borrow().iter() {
            if listener.told == told {
                calls.push(listener.call.clone());
            }
        }
        if calls.is_empty() {
            return;
        }
        let Some(value) = value() else { return };
        for call in calls {
            if let Err(thrown) = sys::call_back(&call, &[&value]) {
                report(&thrown);
            }
        }
    }

    pub(super) fn snapshot(&self) -> JsValue {
        let now = now();
        let storage = self.health.get().to_plain(self.alarm.get().map(|alarm| alarm.code));
        values::snapshot(&self.engine.borrow().snapshot(now), now.wall.0, storage)
    }

    fn notice(self: &Rc<Self>, notice: Notice) {
        let told = match notice {
            Notice::Changed => return,
            Notice::Settled { id, verdict } => {
                return self.end_waits_for(id, &Ok(values::verdict(id, &verdict)));
            }
            Notice::DeadLetter { id, sequence, reason, problem } => NoticeOut {
                kind: "dead-letter",
                code: problem
                    .as_ref()
                    .map_or_else(|| reason.as_str().to_owned(), |problem| problem.code().to_owned()),
                detail: format!(
                    "Event {} will not be sent again by itself ({}).",
                    sequence.0,
                    reason.as_str()
                ),
                id: Some(id),
            },
            Notice::Heard(event) => {
                self.tell_outcome(&event.body);
                return self.tell_others(&Word::Heard(event.body));
            }
            Notice::Resync => NoticeOut {
                kind: "feed",
                code: "resync".to_owned(),
                detail: "The feed starts over: ask the city how things stand.".to_owned(),
                id: None,
            },
            Notice::Link(link) => NoticeOut {
                kind: "link",
                code: link.as_str().to_owned(),
                detail: link_text(link).to_owned(),
                id: None,
            },
            Notice::Storage(fault) => storage_notice(&fault),
        };
        self.tell_notice(&told);
    }

    fn tell_notice(&self, told: &NoticeOut) {
        self.tell(Told::Notices, || Some(values::notice(told)));
    }

    fn tell_outcome(&self, body: &str) {
        self.tell(Told::Outcomes, || values::outcome(body));
    }

    fn tell_others(&self, word: &Word) {
        if let Some(ears) = self.ears.borrow().as_ref() {
            ears.channel.tell(word);
        }
    }

    // The end.

    /// Stops everything of this context. What was begun on disk ends first, and its callers hear how; what is owed
    /// stays on disk.
    pub(super) fn close(self: &Rc<Self>) -> Promise {
        let (promise, waiter) = Waiter::new();
        self.spawn(async move |driver| {
            if !driver.closing.replace(true) {
                driver.hand(Input::Leaving);
            }
            driver.closers.borrow_mut().push(waiter);
            driver.end_if_idle();
        });
        promise
    }

    /// One write less is under way.
    fn written(&self) {
        self.writing.set(self.writing.get() - 1);
        if self.closing.get() {
            self.end_if_idle();
        }
    }

    fn end_if_idle(&self) {
        // After a panic nothing ends any more.
        if self.writing.get() == 0 || self.closed.get() {
            self.end(&errors::closed());
        }
    }

    /// After a panic anything may be borrowed, so nothing here insists on its turn.
    fn end(&self, error: &JsValue) {
        if !self.closed.replace(true) {
            if let Ok(mut engine) = self.engine.try_borrow_mut() {
                engine.handle(Input::Closed, now());
            }
            drop(taken(&self.ears));
            for (_, request) in taken(&self.requests) {
                request.abort();
            }
            for waiting in taken(&self.waiting) {
                waiting.waiter.end(&Err(error.clone()));
            }
            drop(taken(&self.listeners));
            self.store.close();
        }
        for waiter in taken(&self.closers) {
            waiter.end(&Ok(JsValue::UNDEFINED));
        }
    }

    /// The instance ends here; the page hears why, and what is on disk stays there.
    pub(super) fn died(&self, place: &str) {
        let detail =
            format!("Conch stopped at {place}. What is owed is safe on disk: go on with edge.reopen().");
        let error = errors::error("fault", &detail, errors::Retry::Helps);
        let listeners = taken(&self.listeners);
        self.closing.set(true);
        self.end(&error);
        let told = values::notice(&NoticeOut { kind: "fault", code: "fault".to_owned(), detail, id: None });
        for listener in listeners {
            if listener.told == Told::Notices {
                // Whatever it throws, there is nobody left to report it.
                let _ = sys::call_back(&listener.call, &[&told]);
            }
        }
    }

    /// Whether it takes anything new.
    pub(super) fn check_open(&self) -> Result<(), JsValue> {
        if self.closing.get() { Err(errors::closed()) } else { Ok(()) }
    }

    /// The promise of work that begins at the end of this turn.
    pub(super) fn later<F>(self: &Rc<Self>, work: F) -> Promise
    where
        F: AsyncFnOnce(Rc<Self>) -> Outcome + 'static,
    {
        let driver = Rc::clone(self);
        promise(Box::pin(async move { work(driver).await }))
    }

    pub(super) fn spawn<F>(self: &Rc<Self>, work: F)
    where
        F: AsyncFnOnce(Rc<Self>) + 'static,
    {
        let driver = Rc::clone(self);
        spawn(Box::pin(async move { work(driver).await }));
    }
}

/// What a cell holds, unless somebody holds the cell.
fn taken<T: Default>(cell: &RefCell<T>) -> T {
    cell.try_borrow_mut().map(|mut held| core::mem::take(&mut *held)).unwrap_or_default()
}

/// The moment by both clocks.
pub(super) fn now() -> Now {
    Now { mono_ms: clock::monotonic_ms(), wall: clock::wall() }
}

fn with(weak: &Weak<Driver>, call: impl FnOnce(&Rc<Driver>)) {
    if let Some(driver) = weak.upgrade() {
        call(&driver);
    }
}

/// Whether other contexts must look again after this write.
fn concerns_others(batch: &Batch) -> bool {
    !matches!(
        batch,
        Batch::Sent { .. }
            | Batch::Pace(_)
            | Batch::Offer(..)
            | Batch::Buried(_)
            | Batch::Ages(_)
            | Batch::Beat { .. }
            | Batch::Feed { .. }
            | Batch::Prune { .. }
            | Batch::Lead
    )
}

fn final_of(status: Status, note: Option<&str>) -> Option<Final> {
    match status {
        Status::Owed => None,
        Status::Accepted => Some(Final::Accepted),
        Status::Duplicate => Some(Final::Duplicate),
        Status::Dead | Status::Redriven => Some(Final::Refused(note.and_then(values::problem_of))),
        Status::Discarded => Some(Final::Discarded),
    }
}

fn link_text(link: Link) -> &'static str {
    match link {
        Link::Unknown => "Nothing was sent yet.",
        Link::Up => "The server answers.",
        Link::Down => "The server does not answer, or fails.",
        Link::Captive => "A portal or proxy answers in the server's place: sign in to the network.",
        Link::Misconfigured => "What answers here is not the server: check its address.",
    }
}

fn alarm_notice(alarm: Alarm) -> NoticeOut {
    let what = if alarm.code == "evicted" {
        "The outbox of this device is gone and began anew"
    } else {
        "An older copy of this outbox was brought back"
    };
    let detail =
        format!("{what}. When last seen it owed {} events: check them against the server.", alarm.owed);
    NoticeOut { kind: "storage", code: alarm.code.to_owned(), detail, id: None }
}

fn storage_notice(fault: &StoreFault) -> NoticeOut {
    let error = Value::of(&errors::of_store(fault));
    let text = |name: &str| error.as_ref().and_then(|error| error.text(name)).unwrap_or_default();
    NoticeOut { kind: "storage", code: text("code"), detail: text("message"), id: None }
}

fn report(thrown: &JsValue) {
    // Where nothing takes reports there is nobody to tell.
    let _ = sys::call(&sys::scope(), "reportError", &[thrown]);
}
