//! One of our devices: the real engine over a modelled disk, and what it lived through before the storm.

use super::storm::{Told, Verdict, ms};
use crate::disk::Disk;
use conch::event::json::Json;
use conch::event::{Device, Emit, Identity, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::engine::{Hint, Input, Output, Request, Ticket};
use conch::pace::{Jitter, Now};
use conch::wire::classify::Reply;

/// The wall clock when the devices' monotonic ones show nothing.
const WALL_MS: u64 = 1_790_000_000_000;

/// A moment of the virtual time.
pub(super) fn wall(now_us: u64) -> UnixMillis {
    UnixMillis(WALL_MS + ms(now_us))
}

pub(super) struct Edge {
    engine: Engine,
    disk: Disk,
    /// The wake-up that was asked for last, in ms; others are out of date.
    timer_ms: Option<u64>,
    /// The ids that the request under way carries.
    sent: Vec<String>,
    luck: Jitter,
}

impl Edge {
    /// A page that has just been opened and leads.
    pub(super) fn open(device: Device, now_us: u64, seed: u64) -> Self {
        let mut luck = Jitter::new(seed);
        let identity = Identity { device, incarnation: "life".to_owned() };
        let engine = Engine::new(identity, luck.next_bits());
        let mut edge = Self { engine, disk: Disk::default(), timer_ms: None, sent: Vec::new(), luck };
        edge.input(Input::Opened(edge.disk.opened()), now_us);
        edge.input(Input::LeadGained, now_us);
        edge
    }

    /// Somebody does something that is to be told. Returns the request that leaves because of it.
    pub(super) fn emit(&mut self, key: &str, now_us: u64) -> Option<u64> {
        let emit = Emit {
            topic: "stall.note.v1".to_owned(),
            kind: "written".to_owned(),
            key: key.to_owned(),
            payload: "{}".to_owned(),
            ..Emit::default()
        };
        let mut entropy = [0; 10];
        for (to, from) in entropy.iter_mut().zip(self.luck.next_bits().to_be_bytes()) {
            *to = from;
        }
        self.engine.emit(Ticket(0), &emit, at(now_us), entropy);
        self.drain(now_us)
    }

    /// The browser says that it is online.
    pub(super) fn online(&mut self, now_us: u64) -> Option<u64> {
        self.input(Input::LinkHint(Hint::Online), now_us)
    }

    pub(super) fn wake(&mut self, now_us: u64) -> Option<u64> {
        self.input(Input::Wake, now_us)
    }

    /// Nothing answers.
    pub(super) fn in_vain(&mut self, request: u64, now_us: u64) -> Option<u64> {
        self.input(Input::Replied { request, reply: Reply::NoAnswer }, now_us)
    }

    /// The city answers.
    pub(super) fn answered(&mut self, request: u64, told: Told, now_us: u64) -> Option<u64> {
        let (status, body) = match told.verdict {
            Verdict::Taken => {
                let verdict = |id: &String| format!(r#"{{"id":"{id}","verdict":"accepted"}}"#);
                let verdicts: Vec<String> = self.sent.iter().map(verdict).collect();
                let pace = format!(r#""pace":{{"windowMs":{}}}"#, told.window_ms);
                (200, format!(r#"{{"verdicts":[{}],{pace}}}"#, verdicts.join(",")))
            }
            Verdict::Refused { slot_ms: Some(wait) } => (503, format!(r#"{{"retryAfterMs":{wait}}}"#)),
            Verdict::Refused { slot_ms: None } => (503, String::new()),
        };
        let city = Some("city".to_owned());
        let reply =
            Reply::Http { status, city, retry_after: None, date: Some(wall(now_us)), body, html: false };
        self.input(Input::Replied { request, reply }, now_us)
    }

    /// Whether nothing is owed any more.
    pub(super) fn is_done(&self) -> bool {
        self.engine.counter().owed == 0 && !self.engine.is_busy()
    }

    /// When it wants to be woken, in µs, unless that was asked for already.
    pub(super) fn new_timer_us(&mut self) -> Option<u64> {
        let wanted = self.engine.next_wake();
        let is_new = wanted != self.timer_ms;
        self.timer_ms = wanted;
        wanted.filter(|_| is_new).map(|at_ms| at_ms.saturating_mul(1_000))
    }

    /// Whether this is the wake-up it asked for last. It is not asked for any more.
    pub(super) fn rings(&mut self, now_us: u64) -> bool {
        self.timer_ms.take_if(|at| *at == ms(now_us)).is_some()
    }

    fn input(&mut self, input: Input, now_us: u64) -> Option<u64> {
        self.engine.handle(input, at(now_us));
        self.drain(now_us)
    }

    /// The disk answers at once; its time is small beside that of the network.
    fn drain(&mut self, now_us: u64) -> Option<u64> {
        let now = at(now_us);
        let mut leaves = None;
        while let Some(output) = self.engine.poll(now) {
            match output {
                Output::Apply { op, batch } => {
                    let result = self.disk.apply(&batch);
                    self.engine.handle(Input::Applied { op, result }, now);
                }
                Output::Load { op, load } => {
                    let result = Ok(self.disk.load(&load));
                    self.engine.handle(Input::Loaded { op, result }, now);
                }
                Output::Reread { op } => {
                    let result = Ok(self.disk.opened());
                    self.engine.handle(Input::Reread { op, result }, now);
                }
                Output::Send(request) => {
                    self.sent = ids(&request);
                    leaves = Some(request.number);
                }
                _ => {}
            }
        }
        leaves
    }
}

fn at(now_us: u64) -> Now {
    Now { mono_ms: ms(now_us), wall: wall(now_us) }
}

fn ids(request: &Request) -> Vec<String> {
    let id = |event: &Json| Some(event.get("id")?.as_text()?.to_owned());
    match request.body.as_deref().map(Json::parse) {
        Some(Ok(Json::Array(events))) => events.iter().filter_map(id).collect(),
        Some(Ok(event)) => id(&event).into_iter().collect(),
        _ => Vec::new(),
    }
}
