//! A desk to test the engine at: a disk in memory, a city played by hand, a clock that moves when told to.

use conch::event::json::Json;
use conch::event::{Device, Emit, EventId, Identity, Sequence, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::engine::{
    EmitFault, Final, Input, Notice, Output, Receipt, Request, Snapshot, Ticket, WhyNotSending,
};
use conch::outbox::port::Batch;
use conch::pace::{Jitter, Now};
use conch::wire::classify::Reply;
use sim::disk::Disk;
use std::collections::VecDeque;

/// A request as a city sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) path: &'static str,
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
    now: Now,
    chance: Jitter,
    tickets: u64,
    requests: VecDeque<Sent>,
    pub(crate) appends: usize,
    pub(crate) emitted: Vec<Result<Receipt, EmitFault>>,
    pub(crate) settled: Vec<(EventId, Final)>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) yielded: bool,
}

fn identity() -> Identity {
    Identity { device: Device::parse("till-1").unwrap(), incarnation: "life".into() }
}

impl Desk {
    pub(crate) fn open() -> Self {
        let mut desk = Self {
            engine: Engine::new(identity(), 1),
            disk: Disk::default(),
            now: Now { mono_ms: 1_000, wall: UnixMillis(1_790_000_000_000) },
            chance: Jitter::new(2),
            tickets: 0,
            requests: VecDeque::new(),
            appends: 0,
            emitted: Vec::new(),
            settled: Vec::new(),
            notices: Vec::new(),
            yielded: false,
        };
        desk.start();
        desk
    }

    fn start(&mut self) {
        self.input(Input::Opened(self.disk.opened()));
        self.input(Input::LeadGained);
    }

    /// The page is reloaded: the engine is gone, the disk is not.
    pub(crate) fn reload(&mut self) {
        self.engine = Engine::new(identity(), 3);
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

    pub(crate) fn emit_all(&mut self, emits: impl IntoIterator<Item = Emit>) {
        for emit in emits {
            self.tickets += 1;
            let entropy = self.entropy();
            self.engine.emit(Ticket(self.tickets), &emit, self.now, entropy);
        }
        self.drain();
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

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    pub(crate) fn why(&self) -> WhyNotSending {
        self.engine.why_not_sending(self.now)
    }

    /// Time until the engine wants to be woken; fails the test when it does not.
    pub(crate) fn wait_ms(&self) -> u64 {
        let why = self.why();
        let wake = self.engine.next_wake().unwrap_or_else(|| panic!("always-a-wake: {why:?}"));
        wake.saturating_sub(self.now.mono_ms)
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.input(Input::Wake);
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll(self.now) {
            match output {
                Output::Apply { op, batch } => {
                    self.appends += usize::from(matches!(batch, Batch::Append { .. }));
                    let result = self.disk.apply(&batch);
                    self.engine.handle(Input::Applied { op, result }, self.now);
                }
                Output::Load { op, load } => {
                    let result = Ok(self.disk.load(load));
                    self.engine.handle(Input::Loaded { op, result }, self.now);
                }
                Output::Reread { op } => {
                    let result = Ok(self.disk.opened());
                    self.engine.handle(Input::Reread { op, result }, self.now);
                }
                Output::Send(request) => self.requests.push_back(seen(request)),
                Output::YieldLead => self.yielded = true,
                Output::Emitted(_, outcome) => self.emitted.push(outcome),
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

fn seen(request: Request) -> Sent {
    let body = request.body.unwrap_or_default();
    let events = match Json::parse(&body) {
        Ok(Json::Array(list)) => list,
        Ok(single) => vec![single],
        Err(_) => Vec::new(),
    };
    let text = |event: &Json, name: &str| event.get(name).and_then(Json::as_text).unwrap().to_owned();
    Sent {
        number: request.number,
        path: request.path,
        ids: events.iter().map(|event| EventId::parse(&text(event, "id")).unwrap()).collect(),
        sequences: events.iter().map(|event| text(event, "sequence").parse().unwrap()).collect(),
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
    Reply::Http { status, city: Some("c".into()), retry_after: None, date: None, body: body.into() }
}

pub(crate) fn foreign(status: u16, body: &str) -> Reply {
    Reply::Http { status, city: None, retry_after: None, date: None, body: body.into() }
}

pub(crate) fn told(status: u16, seconds: &str) -> Reply {
    Reply::Http {
        status,
        city: Some("c".into()),
        retry_after: Some(seconds.into()),
        date: None,
        body: String::new(),
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
