//! The city's answers, read from JSON: verdicts, problems and its offer.

use crate::event::EventId;
use crate::event::json::{Json, write_text};
use crate::limits::CURSOR_CHARS_MAX;
use crate::wire::headers::PROBLEM_PREFIX;

/// One of the five words a city says about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictWord {
    /// Durably in the city's inbox.
    Accepted,
    /// The city had this intent before; nothing happened twice.
    Duplicate,
    /// Not now: ask again later.
    Retry,
    /// Credentials are needed first.
    Hold,
    /// Never: the reason is in the problem.
    Refused,
}

impl VerdictWord {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Refused => "refused",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Duplicate, Self::Retry, Self::Hold, Self::Refused]
            .into_iter()
            .find(|own| own.as_str() == word)
    }
}

/// RFC 9457 problem details, of our own type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// `urn:conch:problem:<code>`
    pub kind: String,
    /// Short text for a person.
    pub title: String,
    /// HTTP status, when given.
    pub status: Option<u16>,
    /// What exactly, and what to do.
    pub detail: String,
}

impl Problem {
    /// Reads a problem document, if its type is one of ours.
    pub fn read(value: &Json) -> Option<Self> {
        let text = |name| value.text(name).unwrap_or("").to_owned();
        let kind = text("type");
        kind.starts_with(PROBLEM_PREFIX).then(|| Self {
            kind,
            title: text("title"),
            status: value.whole("status").and_then(|status| u16::try_from(status).ok()),
            detail: text("detail"),
        })
    }

    /// The code after the prefix.
    pub fn code(&self) -> &str {
        self.kind.strip_prefix(PROBLEM_PREFIX).unwrap_or(&self.kind)
    }

    /// The document as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = "{\"type\":".to_owned();
        write_text(&self.kind, &mut out);
        out.push_str(",\"title\":");
        write_text(&self.title, &mut out);
        if let Some(status) = self.status {
            out.push_str(",\"status\":");
            // Printed as all other numbers are: each width of its own would cost the module a printer.
            out.push_str(&u64::from(status).to_string());
        }
        out.push_str(",\"detail\":");
        write_text(&self.detail, &mut out);
        out.push('}');
        out
    }
}

/// The city's answer for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The event.
    pub id: EventId,
    /// The word.
    pub word: VerdictWord,
    /// Why, for `refused`.
    pub problem: Option<Problem>,
    /// When to ask again, in ms, for `retry`.
    pub retry_after_ms: Option<u64>,
}

impl Verdict {
    fn read(value: &Json) -> Option<Self> {
        Some(Self {
            id: EventId::parse(value.text("id")?)?,
            word: VerdictWord::parse(value.text("verdict")?)?,
            problem: value.get("problem").and_then(Problem::read),
            retry_after_ms: value.whole("retryAfterMs"),
        })
    }
}

/// A list of verdicts with the pace that came along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// One per event the city judged.
    pub verdicts: Vec<Verdict>,
    /// Window for the first send after an outage, in ms.
    pub window_ms: Option<u64>,
}

impl Answer {
    /// Reads a verdict list. A verdict that cannot be read is left out, so its event stays owed.
    pub fn read(value: &Json) -> Option<Self> {
        let mut verdicts = Vec::new();
        for entry in value.get("verdicts")?.as_array()? {
            verdicts.extend(Verdict::read(entry));
        }
        Some(Self { verdicts, window_ms: window_ms(value) })
    }
}

fn window_ms(value: &Json) -> Option<u64> {
    value.get("pace")?.whole("windowMs")
}

/// What `GET /v1/edge` offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeConfig {
    /// The city's id.
    pub city: String,
    /// Most events in one batch; 1 means batches are not solicited.
    pub batch_events_max: u64,
    /// Most bytes in one batch.
    pub batch_bytes_max: u64,
    /// Window for the first send after an outage, in ms.
    pub window_ms: Option<u64>,
}

impl EdgeConfig {
    /// Reads the offer.
    pub fn read(value: &Json) -> Option<Self> {
        let batch = value.get("batch");
        let limit = |name, otherwise| {
            batch.and_then(|batch| batch.get(name)).and_then(Json::as_whole).unwrap_or(otherwise)
        };
        Some(Self {
            city: value.text("city")?.to_owned(),
            batch_events_max: limit("maxEvents", 1).max(1),
            batch_bytes_max: limit("maxBytes", 0),
            window_ms: window_ms(value),
        })
    }
}

/// One event the city says to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its delivery identity, by which it is applied once.
    pub id: EventId,
    /// The device's event it answers.
    pub cause: Option<EventId>,
    /// The encoded event.
    pub body: String,
}

/// One answer of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<FeedEvent>,
    /// Where the next answer begins.
    pub cursor: String,
}

impl FeedPage {
    /// Reads an answer. None when it is no feed, or one of its events has no identity.
    pub fn read(value: &Json) -> Option<Self> {
        let cursor = value.text("cursor").filter(|text| is_cursor(text))?.to_owned();
        let mut events = Vec::new();
        for event in value.get("events")?.as_array()? {
            let id = |name: &str| EventId::parse(event.text(name)?);
            let mut body = String::new();
            event.write(&mut body);
            events.push(FeedEvent { id: id("id")?, cause: id("causationid"), body });
        }
        Some(Self { events, cursor })
    }
}

/// A cursor goes into an address as it is.
fn is_cursor(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !text.is_empty() && text.len() <= CURSOR_CHARS_MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_verdict_leaves_its_event_owed() {
        let id = "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11";
        let text = format!(
            r#"{{"verdicts":[{{"id":"{id}","verdict":"retry","retryAfterMs":250}},{{"id":"{id}","verdict":"maybe"}},{{"verdict":"accepted"}}],"pace":{{"windowMs":900}}}}"#
        );
        let answer = Answer::read(&Json::parse(&text).unwrap()).unwrap();
        assert_eq!(answer.verdicts.len(), 1);
        assert_eq!(answer.verdicts[0].retry_after_ms, Some(250));
        assert_eq!(answer.window_ms, Some(900));
        assert_eq!(Answer::read(&Json::parse("{}").unwrap()), None);
    }

    #[test]
    fn a_foreign_problem_is_not_ours() {
        let ours = r#"{"type":"urn:conch:problem:bad-payload","title":"Bad","status":422,"detail":"amount"}"#;
        let problem = Problem::read(&Json::parse(ours).unwrap()).unwrap();
        assert_eq!((problem.code(), problem.to_json().as_str()), ("bad-payload", ours));
        assert_eq!(Problem::read(&Json::parse(r#"{"type":"about:blank"}"#).unwrap()), None);
    }
}
