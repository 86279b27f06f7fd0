//! A market in memory: devices that speak through the SDK's own encoder, and a city that judges.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a panic is the report"
)]
#![allow(dead_code, reason = "each suite uses its own part")]
#![allow(unreachable_pub, reason = "a module of test suites")]

use city_domain::{City, Examined, Judged, Memory, Principal, Request, Role, ingest};
use conch::event::json::Json;
use conch::event::{Device, Emit, EventId, Identity, Key, Sequence, UnixMillis, prepare, with_sequence};
use conch::wire::VerdictWord;

/// The city's clock when nothing else is said.
pub const NOON: UnixMillis = UnixMillis(1_795_435_200_000);

/// One city and everybody who sends to it.
pub struct Market {
    pub books: Memory,
    pub city: City,
    pub now: UnixMillis,
    drawn: u64,
}

/// A device that speaks.
#[derive(Clone)]
pub struct Speaker {
    pub principal: Principal,
    identity: Identity,
}

impl Speaker {
    pub fn new(device: &str, role: Role) -> Self {
        let device = Device::parse(device).unwrap();
        Self {
            principal: Principal { device: device.clone(), role },
            identity: Identity { device, incarnation: "life-1".into() },
        }
    }

    /// An encoded event with an id made of `n`.
    pub fn event(&self, n: u64, emit: &Emit) -> Json {
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&n.to_be_bytes());
        let prepared = prepare(emit, &self.identity, NOON, entropy).unwrap();
        Json::parse(&with_sequence(&prepared.tail, Sequence(n))).unwrap()
    }

    pub fn pay(&self, n: u64, order: &str, attempt: u32, payload: &str) -> Json {
        self.event(n, &emit("pay.txn.v2", "requested", order, attempt, payload))
    }

    pub fn scan(&self, n: u64, ticket: &str, gate: &str) -> Json {
        let payload = format!(r#"{{"gateId":"{gate}","ticketId":"{ticket}"}}"#);
        self.event(n, &emit("gate.auth.v2", "scanned", ticket, 1, &payload))
    }
}

pub fn emit(topic: &str, kind: &str, key: &str, attempt: u32, payload: &str) -> Emit {
    Emit {
        topic: topic.into(),
        kind: kind.into(),
        key: key.into(),
        payload: payload.into(),
        attempt: Some(attempt),
        ..Emit::default()
    }
}

pub const CASH: &str = r#"{"amount":12000,"currency":"TWD","method":"cash"}"#;

impl Market {
    pub fn new() -> Self {
        let city = City { id: EventId::mint(NOON, [9; 10]) };
        Self { books: Memory::default(), city, now: NOON, drawn: 0 }
    }

    /// Sends one event and returns the whole judgement.
    pub fn judge(&mut self, from: &Speaker, event: &Json) -> Judged {
        let request = Request {
            principal: from.principal.clone(),
            received: self.now,
            sent_at: Some(self.now),
            window_ms: 0,
        };
        self.judge_as(&request, event)
    }

    pub fn judge_as(&mut self, request: &Request, event: &Json) -> Judged {
        let examined = Examined::read(event, &request.principal).expect("a readable id");
        let drawn = &mut self.drawn;
        let mut entropy = || {
            *drawn += 1;
            let mut bytes = [1; 10];
            bytes[2..].copy_from_slice(&drawn.to_be_bytes());
            bytes
        };
        ingest(&mut self.books, &self.city, request, &examined, &mut entropy).unwrap()
    }

    /// Sends one event and returns the word.
    pub fn send(&mut self, from: &Speaker, event: &Json) -> VerdictWord {
        self.judge(from, event).verdict.word
    }

    /// Sends one event that must be refused and returns the code.
    pub fn refusal(&mut self, from: &Speaker, event: &Json) -> String {
        let verdict = self.judge(from, event).verdict;
        assert_eq!(verdict.word, VerdictWord::Refused);
        verdict.problem.unwrap().code().to_owned()
    }

    /// What a device was told: type and payload, oldest first.
    pub fn heard(&self, by: &Speaker) -> Vec<(String, Json)> {
        self.books
            .feed(&by.principal.device)
            .iter()
            .map(|told| {
                let event = Json::parse(&told.body).unwrap();
                (
                    event.get("type").and_then(Json::as_text).unwrap().to_owned(),
                    event.get("data").unwrap().clone(),
                )
            })
            .collect()
    }

    /// The types a device was told.
    pub fn types_heard(&self, by: &Speaker) -> Vec<String> {
        self.heard(by).into_iter().map(|(kind, _)| kind).collect()
    }
}

pub fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// A copy of an event with one member set.
pub fn with(event: &Json, name: &str, value: Json) -> Json {
    let Json::Object(members) = event else { panic!("not an object") };
    let mut members: Vec<_> = members.iter().filter(|(own, _)| own != name).cloned().collect();
    members.push((name.to_owned(), value));
    Json::Object(members)
}

/// A copy of an event without one member.
pub fn without(event: &Json, name: &str) -> Json {
    let Json::Object(members) = event else { panic!("not an object") };
    Json::Object(members.iter().filter(|(own, _)| own != name).cloned().collect())
}
