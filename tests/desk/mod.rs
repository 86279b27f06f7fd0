//! A desk to test the engine at: a disk in memory, a city played by hand, a clock that moves when told to.
#![allow(dead_code, reason = "each suite uses its part of the desk")]

use conch::event::json::Json;
use conch::event::{Collection, Device, Emit, EventId, Identity, Key, RecordName, Sequence, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::append::{Guard, Put};
use conch::outbox::engine::{
    EmitFault, Final, Input, Notice, Output, Receipt, Request, Snapshot, Ticket, WhyNotSending,
};
use conch::outbox::port::{Batch, StoreFault};
use conch::outbox::transact::Done;
use conch::pace::{Jitter, Now};
use conch::wire::classify::Reply;
use sim::disk::Disk;
use std::collections::{BTreeMap, VecDeque};

/// A request as a city sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) path: String,
    pub(crate) ids: Vec<EventId>,
    pub(crate) sequences: Vec<u64>,
    pub(crate) body: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) fresh_credentials: bool,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Desk {
    engine: Engine,
    pub(crate) disk: Disk,
    pub(crate) now: Now,
    chance: Jitter,
    tickets: u64,
    requests: VecDeque<Sent>,
    pub(crate) appends: usize,
    pub(crate) committed: Vec<Result<Vec<Receipt>, EmitFault>>,
    pub(crate) emitted: Vec<Result<Receipt, EmitFault>>,
    pub(crate) settled: Vec<(EventId, Final)>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) yielded: bool,
    pub(crate) steals: u32,
    /// While set, the store takes no verdicts.
    pub(crate) full: bool,
    /// The lead is lost between a settle and the news of it.
    pub(crate) lose_lead_while_settling: bool,
    /// While set, the store takes nothing of the feed.
    pub(crate) deaf: bool,
    /// While set, the store takes what comes from the feed, but nobody hears of it.
    pub(crate) mute: bool,
    /// While set, the store answers no beat; so many it was given.
    pub(crate) stuck: Option<u32>,
    /// The store takes no more events at once.
    pub(crate) room: usize,
    /// When it beat, monotonic.
    pub(crate) beats: Vec<u64>,
    /// The statuses by which a server that knows nothing of us refuses.
    refused: Option<Vec<u16>>,
}

fn identity() -> Identity {
    Identity { device: Device::parse("till-1").unwrap(), incarnation: "life".into() }
}

impl Desk {
    pub(crate) fn open() -> Self {
        Self::seeded(1)
    }

    /// Opens with its own luck.
    pub(crate) fn seeded(seed: u64) -> Self {
        let mut desk = Self::closed(seed);
        desk.start();
        desk
    }

    /// Opens where the browser has no locks.
    pub(crate) fn without_locks() -> Self {
        let mut desk = Self::closed(1);
        desk.input(Input::Opened(desk.disk.opened()));
        desk.input(Input::NoLocks);
        desk
    }

    /// Opens for a server that knows nothing of us.
    pub(crate) fn single() -> Self {
        let mut desk = Self::closed(1);
        desk.refused = Some(vec![400, 422]);
        desk.reload();
        desk
    }

    /// Opens and listens to the city's feed.
    pub(crate) fn listening() -> Self {
        let mut desk = Self::closed(1);
        desk.engine.listen();
        desk.start();
        desk
    }

    pub(crate) fn listen(&mut self) {
        self.engine.listen();
        self.input(Input::Wake);
    }

    /// Time until the next wake-up, whatever it is for.
    pub(crate) fn next_wake_ms(&self) -> u64 {
        self.engine.next_wake().map_or(u64::MAX, |at| at.saturating_sub(self.now.mono_ms))
    }

    /// Another context on a copy of the same disk, which does not lead yet.
    pub(crate) fn beside(&self) -> Self {
        let mut other = Self { disk: self.disk.clone(), now: self.now, ..Self::closed(5) };
        other.input(Input::Opened(other.disk.opened()));
        other
    }

    fn closed(seed: u64) -> Self {
        Self {
            engine: Engine::new(identity(), seed),
            disk: Disk::default(),
            now: Now { mono_ms: 1_000, wall: UnixMillis(1_790_000_000_000) },
            chance: Jitter::new(2),
            tickets: 0,
            requests: VecDeque::new(),
            appends: 0,
            emitted: Vec::new(),
            committed: Vec::new(),
            settled: Vec::new(),
            notices: Vec::new(),
            yielded: false,
            steals: 0,
            full: false,
            lose_lead_while_settling: false,
            deaf: false,
            mute: false,
            stuck: None,
            room: usize::MAX,
            beats: Vec::new(),
            refused: None,
        }
    }

    fn start(&mut self) {
        self.input(Input::Opened(self.disk.opened()));
        self.input(Input::LeadGained);
    }

    /// The page is reloaded: the engine is gone, the disk is not.
    pub(crate) fn reload(&mut self) {
        self.engine = Engine::new(identity(), 3);
        if let Some(refused) = &self.refused {
            self.engine.speak_single(refused.clone());
        }
        self.requests.clear();
        self.start();
    }

    pub(crate) fn set_wall_back_ms(&mut self, ms: u64) {
        self.now.wall.0 -= ms;
    }

    /// The city has offered batches of so many before this page opened.
    pub(crate) fn offer(&mut self, events: u64) {
        let Ok(Json::Object(offer)) = Json::parse(&offer_text(events)) else { panic!() };
        let offer = conch::wire::EdgeConfig::read(&Json::Object(offer)).unwrap();
        self.disk.apply(&Batch::Offer(offer, self.now.wall)).unwrap();
        self.reload();
    }

    /// Answers a question for the offer.
    pub(crate) fn offer_to(&mut self, request: &Sent, events: u64) {
        self.reply(request, city(200, &offer_text(events)));
    }

    /// Whether this sequence is a dead letter nobody has decided about.
    pub(crate) fn is_dead(&self, sequence: u64) -> bool {
        self.disk.now.dead.contains_key(&(false, Sequence(sequence)))
    }

    /// Whether the engine waits for the end of something it began.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.engine.is_busy()
    }

    pub(crate) fn emit_all(&mut self, emits: impl IntoIterator<Item = Emit>) {
        for emit in emits {
            self.tickets += 1;
            let entropy = self.entropy();
            self.engine.emit(Ticket(self.tickets), &emit, self.now, entropy);
        }
        self.drain();
    }

    /// One commit of the turn; [`Desk::drain`] writes the turn.
    pub(crate) fn commit(
        &mut self,
        emits: Vec<Emit>,
        expect: &[(&str, Option<&str>)],
        put: &[(&str, Option<&str>)],
    ) {
        self.tickets += 1;
        let emits: Vec<_> = emits.into_iter().map(|emit| (emit, self.entropy())).collect();
        let value = |value: &Option<&str>| value.map(str::to_owned);
        let expect =
            expect.iter().map(|(key, own)| Guard { record: ticket(key), expected: value(own) }).collect();
        let put = put.iter().map(|(key, own)| Put { record: ticket(key), value: value(own) }).collect();
        self.engine.commit(Ticket(self.tickets), &emits, expect, put, self.now);
    }

    pub(crate) fn record(&self, key: &str) -> Option<&str> {
        self.disk.now.records.get(&ticket(key)).map(String::as_str)
    }

    pub(crate) fn redrive(&mut self, sequence: u64, payload: Option<&str>) {
        let letters = &self.disk.now.dead;
        let letter =
            letters.values().find(|letter| letter.row.sequence == Sequence(sequence)).unwrap().clone();
        let entropy = self.entropy();
        self.tickets += 1;
        self.engine.redrive(Ticket(self.tickets), &letter, payload.map(str::to_owned), self.now, entropy);
        self.drain();
    }

    pub(crate) fn discard(&mut self, sequence: u64, reason: &str) {
        self.tickets += 1;
        let id = EventId::mint(UnixMillis(1), [1; 10]);
        self.engine.discard(Ticket(self.tickets), Sequence(sequence), id, reason, self.now);
        self.drain();
    }

    pub(crate) fn pause(&mut self, paused: bool) {
        self.tickets += 1;
        self.engine.pause(Ticket(self.tickets), paused, self.now);
        self.drain();
    }

    /// Another context takes the lead behind our back.
    pub(crate) fn lead_elsewhere(&mut self) {
        self.disk.apply(&Batch::Lead).unwrap();
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        self.drain();
    }

    pub(crate) fn reply(&mut self, request: &Sent, reply: Reply) {
        self.input(Input::Replied { request: request.number, reply });
    }

    /// The next request; fails the test when there is none.
    pub(crate) fn sent(&mut self) -> Sent {
        let why = self.why();
        self.take_request().unwrap_or_else(|| panic!("nothing was sent: {why:?}"))
    }

    pub(crate) fn take_request(&mut self) -> Option<Sent> {
        self.requests.pop_front()
    }

    /// Where the next request goes.
    pub(crate) fn next_path(&self) -> Option<&str> {
        self.requests.front().map(|request| request.path.as_str())
    }

    /// How much the engine holds, in characters of its whole state in writing.
    pub(crate) fn memory(&self) -> usize {
        format!("{:?}", self.engine).len()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    pub(crate) fn why(&self) -> WhyNotSending {
        self.engine.why_not_sending(self.now)
    }

    /// Time until the engine wants to be woken; fails the test when it does not.
    pub(crate) fn wait_ms(&self) -> u64 {
        let why = self.why();
        let wake = self.snapshot().next_wake.unwrap_or_else(|| panic!("always-a-wake: {why:?}"));
        wake.0.saturating_sub(self.now.wall.0)
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.input(Input::Wake);
    }

    pub(crate) fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.engine.poll(self.now) {
            outputs += 1;
            assert!(outputs < 10_000, "one input never comes to an end: {output:?}");
            match output {
                Output::Apply { op, batch } => {
                    self.appends += usize::from(matches!(batch, Batch::Append { .. }));
                    if let (Batch::Beat { .. }, Some(beats)) = (&batch, &mut self.stuck) {
                        *beats += 1;
                        continue;
                    }
                    let result = match batch {
                        Batch::Feed { .. } if self.mute => {
                            self.disk.apply(&batch).unwrap();
                            Err(StoreFault::Lost("closed".to_owned()))
                        }
                        Batch::Feed { .. } if self.deaf => Err(StoreFault::Lost("closed".to_owned())),
                        Batch::Settle { .. } if self.full => Err(StoreFault::Quota),
                        Batch::Append { events, .. } if events.len() > self.room => Err(StoreFault::Quota),
                        _ => self.disk.apply(&batch),
                    };
                    if self.lose_lead_while_settling && matches!(result, Ok(Done::Settled(_))) {
                        self.engine.handle(Input::LeadLost, self.now);
                    }
                    self.engine.handle(Input::Applied { op, result }, self.now);
                }
                Output::Load { op, load } => {
                    let result = Ok(self.disk.load(&load));
                    self.engine.handle(Input::Loaded { op, result }, self.now);
                }
                Output::Reread { op } => {
                    let result = Ok(self.disk.opened());
                    self.engine.handle(Input::Reread { op, result }, self.now);
                }
                Output::Send(request) => self.requests.push_back(seen(request)),
                Output::Effects(mut heard) => {
                    for own in &mut heard {
                        let record = ticket(&format!("heard-{}", own.event.id));
                        let before =
                            self.disk.now.records.get(&record).map_or(0, |text| text.parse().unwrap());
                        own.put.push(Put { record, value: Some((before + 1).to_string()) });
                    }
                    self.engine.handle(Input::Effects(heard), self.now);
                }
                Output::YieldLead => self.yielded = true,
                Output::StealLead => self.steals += 1,
                Output::Beat => self.beats.push(self.now.mono_ms),
                Output::Emitted(_, outcome) => self.emitted.push(outcome),
                Output::Committed(_, outcome) => self.committed.push(outcome),
                Output::Closed(_, outcome) => outcome.unwrap(),
                Output::Notice(Notice::Settled { id, verdict }) => self.settled.push((id, verdict)),
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    fn entropy(&mut self) -> [u8; 10] {
        let bits = [self.chance.next_bits().to_be_bytes(), self.chance.next_bits().to_be_bytes()].concat();
        bits[..10].try_into().unwrap()
    }
}

fn ticket(key: &str) -> RecordName {
    RecordName { collection: Collection::parse("tickets").unwrap(), key: Key::parse(key).unwrap() }
}

fn seen(request: Request) -> Sent {
    let body = request.body.unwrap_or_default();
    let events = match Json::parse(&body) {
        Ok(Json::Array(list)) => list,
        Ok(single) => vec![single],
        Err(_) => Vec::new(),
    };
    let text = |event: &Json, name: &str| event.get(name).and_then(Json::as_text).unwrap().to_owned();
    let beside = request.headers.iter().find(|(name, _)| *name == "ce-id");
    let (ids, sequences) = match beside {
        Some((_, id)) => (vec![EventId::parse(id).unwrap()], Vec::new()),
        None => (
            events.iter().map(|event| EventId::parse(&text(event, "id")).unwrap()).collect(),
            events.iter().map(|event| text(event, "sequence").parse().unwrap()).collect(),
        ),
    };
    Sent {
        number: request.number,
        path: request.path,
        ids,
        sequences,
        body,
        headers: request.headers,
        fresh_credentials: request.fresh_credentials,
    }
}

pub(crate) fn pay(key: &str, amount: u64) -> Emit {
    Emit {
        topic: "pay.txn.v2".into(),
        kind: "requested".into(),
        key: key.into(),
        payload: format!(r#"{{"amount":{amount},"currency":"TWD","method":"cash"}}"#),
        ..Emit::default()
    }
}

pub(crate) fn note(key: &str) -> Emit {
    Emit {
        topic: "stall.note.v1".into(),
        kind: "written".into(),
        key: key.into(),
        payload: "{}".into(),
        ..Emit::default()
    }
}

pub(crate) fn poisoned(key: &str) -> Emit {
    Emit { payload: r#"{"poison":true}"#.into(), ..note(key) }
}

pub(crate) fn city(status: u16, body: &str) -> Reply {
    Reply::Http {
        status,
        city: Some("c".into()),
        retry_after: None,
        date: None,
        body: body.into(),
        html: false,
    }
}

pub(crate) fn foreign(status: u16, body: &str) -> Reply {
    Reply::Http { status, city: None, retry_after: None, date: None, body: body.into(), html: false }
}

/// The answer came when the city's clock showed this.
pub(crate) fn at(reply: Reply, time: UnixMillis) -> Reply {
    match reply {
        Reply::Http { status, city, retry_after, body, .. } => {
            Reply::Http { status, city, retry_after, date: Some(time), body, html: false }
        }
        other => other,
    }
}

/// Verdicts with the window that came along.
pub(crate) fn verdicts_in_window(ids: &[EventId], window_ms: u64) -> Reply {
    match verdicts(ids, "accepted") {
        Reply::Http { status, city, retry_after, date, body, .. } => {
            let body = body.replace("\"windowMs\":0", &format!("\"windowMs\":{window_ms}"));
            Reply::Http { status, city, retry_after, date, body, html: false }
        }
        other => other,
    }
}

pub(crate) fn told(status: u16, seconds: &str) -> Reply {
    come_back(city(status, ""), seconds)
}

/// The answer says when to come back.
pub(crate) fn come_back(reply: Reply, seconds: &str) -> Reply {
    match reply {
        Reply::Http { status, city, date, body, .. } => {
            Reply::Http { status, city, retry_after: Some(seconds.into()), date, body, html: false }
        }
        other => other,
    }
}

pub(crate) fn problem(status: u16, code: &str) -> Reply {
    city(
        status,
        &format!(r#"{{"type":"urn:conch:problem:{code}","title":"No","status":{status},"detail":"x"}}"#),
    )
}

pub(crate) fn verdicts(ids: &[EventId], word: &str) -> Reply {
    verdicts_with(&ids.iter().map(|id| (*id, word)).collect::<Vec<_>>())
}

pub(crate) fn verdicts_with(words: &[(EventId, &str)]) -> Reply {
    let list: Vec<String> =
        words.iter().map(|(id, word)| format!(r#"{{"id":"{id}","verdict":"{word}"}}"#)).collect();
    city(200, &format!(r#"{{"verdicts":[{}],"pace":{{"windowMs":0}}}}"#, list.join(",")))
}

pub(crate) fn offering(events: u64) -> Reply {
    city(200, &offer_text(events))
}

fn offer_text(events: u64) -> String {
    format!(r#"{{"city":"c","batch":{{"maxEvents":{events},"maxBytes":262144}},"pace":{{"windowMs":0}}}}"#)
}

/// A bank that charges whatever comes under a key it has not seen, and cannot be asked anything.
#[derive(Default)]
pub(crate) struct Bank {
    pub(crate) charged: BTreeMap<String, u32>,
}

impl Bank {
    /// Charges what a request carries, event by event.
    pub(crate) fn take(&mut self, request: &Sent) -> Reply {
        let events = match Json::parse(&request.body).unwrap() {
            Json::Array(list) => list,
            single => vec![single],
        };
        let mut words = Vec::new();
        for event in events {
            let key = event.get("idempotencykey").and_then(Json::as_text).unwrap().to_owned();
            let id = EventId::parse(event.get("id").and_then(Json::as_text).unwrap()).unwrap();
            let known = self.charged.contains_key(&key);
            if !known {
                self.charged.insert(key, 1);
            }
            words.push((id, if known { "duplicate" } else { "accepted" }));
        }
        verdicts_with(&words)
    }
}

/// Takes requests until none comes and time makes none come, answering each as the closure says.
pub(crate) fn drain(desk: &mut Desk, mut answer: impl FnMut(&Sent) -> Reply) {
    for _ in 0..2_000 {
        let Some(request) = desk.take_request() else {
            if matches!(desk.why(), WhyNotSending::NothingOwed | WhyNotSending::NeedsAttention) {
                return;
            }
            desk.advance(desk.wait_ms());
            continue;
        };
        match request.path.as_str() {
            "/v1/edge" => desk.offer_to(&request, 10),
            _ => {
                let reply = answer(&request);
                desk.reply(&request, reply);
            }
        }
    }
    panic!("it never comes to rest: {:?}", desk.snapshot());
}
