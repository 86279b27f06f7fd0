//! A city reduced to what the edge must get right: it remembers every id and intent, and counts effects.

use conch::event::json::Json;
use conch::event::{EventId, IntentKey, Sequence};
use conch::outbox::engine::Request;
use conch::wire::classify::Reply;
use conch::wire::cloudevents::Envelope;
use std::collections::BTreeMap;

/// What the city is like right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It works.
    Well,
    /// 429 with a Retry-After.
    Overloaded,
    /// 500.
    Failing,
    /// 401.
    Distrustful,
    /// 409, still at it.
    Busy,
    /// It leaves verdicts out, and says `retry` and `hold` to some.
    Forgetful,
}

/// One event as the city took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The source.
    pub source: String,
    /// The key.
    pub key: String,
    /// The sequence.
    pub sequence: Sequence,
    /// Whether it was refused.
    pub refused: bool,
}

/// The city.
#[derive(Debug, Default)]
pub struct City {
    /// Everything judged, by id, in the order of judging.
    pub judged: BTreeMap<EventId, Taken>,
    /// The order of judging.
    pub order: Vec<EventId>,
    /// How often each intent had its effect.
    pub effects: BTreeMap<IntentKey, u32>,
}

impl City {
    /// Answers a request.
    pub fn answer(&mut self, request: &Request, mood: Mood) -> Reply {
        match mood {
            Mood::Overloaded => return reply(429, Some("2"), String::new()),
            Mood::Failing if request.path == "/v1/events" => return reply(500, None, String::new()),
            Mood::Distrustful => return reply(401, None, String::new()),
            Mood::Busy if request.path == "/v1/events" => return reply(409, Some("1"), String::new()),
            _ => {}
        }
        if request.path == "/v1/edge" {
            let offer = r#"{"city":"c","batch":{"maxEvents":20,"maxBytes":65536},"pace":{"windowMs":0}}"#;
            return reply(200, None, offer.to_owned());
        }
        let Some(Ok(body)) = request.body.as_deref().map(Json::parse) else { return unreadable() };
        let list = match &body {
            Json::Array(list) => list.clone(),
            single => vec![single.clone()],
        };
        // Poison spoils the whole request, so that the edge must find it.
        if list.iter().any(|event| event.get("data").and_then(|data| data.get("poison")).is_some()) {
            return unreadable();
        }
        let forgetful = mood == Mood::Forgetful;
        let verdicts: Vec<String> = list
            .iter()
            .enumerate()
            .filter_map(|(place, event)| match place % 4 {
                0 if forgetful => self.judge(event).filter(|_| list.len() > 1 && place > 0),
                1 if forgetful => said_to(event, "retry"),
                2 if forgetful => said_to(event, "hold"),
                _ => self.judge(event),
            })
            .collect();
        reply(200, None, format!(r#"{{"verdicts":[{}],"pace":{{"windowMs":0}}}}"#, verdicts.join(",")))
    }

    fn judge(&mut self, event: &Json) -> Option<String> {
        let envelope = Envelope::read(event).ok()?;
        let id = envelope.id;
        if let Some(taken) = self.judged.get(&id) {
            return Some(word(id, if taken.refused { "refused" } else { "accepted" }));
        }
        let refused = envelope.data.get("refuse").is_some();
        self.order.push(id);
        self.judged.insert(
            id,
            Taken {
                source: envelope.source.clone(),
                key: envelope.key.as_str().to_owned(),
                sequence: envelope.sequence.unwrap_or_default(),
                refused,
            },
        );
        if refused {
            return Some(word(id, "refused"));
        }
        let effects = self.effects.entry(envelope.intent).or_insert(0);
        if *effects > 0 {
            return Some(word(id, "duplicate"));
        }
        *effects += 1;
        Some(word(id, "accepted"))
    }
}

/// A verdict without judging.
fn said_to(event: &Json, verdict: &str) -> Option<String> {
    Some(word(EventId::parse(event.get("id")?.as_text()?)?, verdict))
}

fn word(id: EventId, verdict: &str) -> String {
    format!(r#"{{"id":"{id}","verdict":"{verdict}"}}"#)
}

fn unreadable() -> Reply {
    reply(
        400,
        None,
        r#"{"type":"urn:conch:problem:unreadable","title":"Unreadable","status":400}"#.to_owned(),
    )
}

fn reply(status: u16, retry_after: Option<&str>, body: String) -> Reply {
    Reply::Http {
        status,
        city: Some("c".to_owned()),
        retry_after: retry_after.map(str::to_owned),
        date: None,
        body,
    }
}
