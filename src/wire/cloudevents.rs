//! Reading CloudEvents 1.0.2 in structured JSON, single and batch, from our devices and from foreign clients.

use crate::event::json::Json;
use crate::event::names::NameProblem;
use crate::event::{Device, EventId, EventType, IntentKey, Key, Sequence, Topic, UnixMillis, time};
use crate::limits::{ATTEMPT_MAX, SAFE_INTEGER_MAX};

/// An event as it arrived. Unknown attributes are kept in the stored text, not here.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Delivery identity, unique per source.
    pub id: EventId,
    /// `conch://device/<device>/<incarnation>` or a foreign source.
    pub source: String,
    /// Topic with version.
    pub topic: Topic,
    /// Type within the topic.
    pub kind: EventType,
    /// Business key, from `partitionkey` or else `subject`.
    pub key: Key,
    /// Idempotency key; without one the event's own id.
    pub intent: IntentKey,
    /// Counts intents of the key, from 1.
    pub attempt: u32,
    /// The device's clock when it happened.
    pub time: Option<UnixMillis>,
    /// Place in the device's outbox.
    pub sequence: Option<Sequence>,
    /// The conversation it belongs to.
    pub correlation: Option<String>,
    /// The event it follows from.
    pub causation: Option<String>,
    /// W3C Trace Context.
    pub traceparent: Option<String>,
    /// The payload; `null` when the event has none.
    pub data: Json,
}

/// Why a text is not an event we can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeProblem {
    /// The attribute.
    pub attribute: &'static str,
    /// What it should be.
    pub what: &'static str,
}

const fn problem(attribute: &'static str, what: &'static str) -> EnvelopeProblem {
    EnvelopeProblem { attribute, what }
}

impl Envelope {
    /// Reads one event from an already parsed object.
    pub fn read(value: &Json) -> Result<Self, EnvelopeProblem> {
        let Json::Object(members) = value else {
            return Err(problem("event", "must be a JSON object"));
        };
        check_attribute_names(members)?;
        if text(value, "specversion")? != Some("1.0") {
            return Err(problem("specversion", "must be \"1.0\""));
        }
        let id = text(value, "id")?.ok_or(problem("id", "is missing"))?;
        let id = EventId::parse(id).ok_or(problem("id", "must be a UUID"))?;
        let source = text(value, "source")?
            .filter(|source| !source.is_empty())
            .ok_or(problem("source", "is missing"))?;
        let (topic, kind) = topic_and_type(text(value, "type")?.ok_or(problem("type", "is missing"))?)?;
        let key = text(value, "partitionkey")?.or(text(value, "subject")?);
        let key = key.ok_or(problem("partitionkey", "is missing: it is the business key"))?;
        let key = Key::parse(key).map_err(|found| problem("partitionkey", name_problem(&found)))?;
        let intent = match text(value, "idempotencykey")? {
            Some(given) => IntentKey::parse(given).ok_or(problem("idempotencykey", "must be a UUID"))?,
            None => IntentKey::from_bytes(id.to_bytes()),
        };
        Ok(Self {
            id,
            source: source.to_owned(),
            topic,
            kind,
            key,
            intent,
            attempt: attempt(value)?,
            time: event_time(value)?,
            sequence: sequence(value)?,
            correlation: reference(value, "correlationid")?,
            causation: reference(value, "causationid")?,
            traceparent: reference(value, "traceparent")?,
            data: data(value)?,
        })
    }

    /// The device the source names, when it is one of ours.
    pub fn device(&self) -> Option<Device> {
        let path = self.source.strip_prefix("conch://device/")?;
        let (device, _) = path.split_once('/')?;
        Device::parse(device).ok()
    }

    /// The life of the device's database, when the source is one of ours.
    pub fn incarnation(&self) -> Option<&str> {
        self.source.strip_prefix("conch://device/")?.split_once('/').map(|(_, incarnation)| incarnation)
    }
}

fn text<'a>(value: &'a Json, name: &'static str) -> Result<Option<&'a str>, EnvelopeProblem> {
    match value.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(problem(name, "must be a string")),
    }
}

/// Attribute names are lower-case letters and digits (CloudEvents 1.0.2, naming conventions), `data` and
/// `data_base64` aside, and their values are never objects or arrays.
fn check_attribute_names(members: &[(String, Json)]) -> Result<(), EnvelopeProblem> {
    for (name, value) in members {
        if name == "data" || name == "data_base64" {
            continue;
        }
        let shaped =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !shaped {
            return Err(problem("event", "attribute names are lower-case letters and digits"));
        }
        if matches!(value, Json::Object(_) | Json::Array(_)) {
            return Err(problem("event", "attribute values are strings, whole numbers and booleans"));
        }
    }
    Ok(())
}

fn topic_and_type(whole: &str) -> Result<(Topic, EventType), EnvelopeProblem> {
    const FORM: &str =
        "must be a topic with its version, a dot and a type, for example \"pay.txn.v2.requested\"";
    let (topic, kind) = whole.rsplit_once('.').ok_or(problem("type", FORM))?;
    let topic = Topic::parse(topic).map_err(|_| problem("type", FORM))?;
    let kind = EventType::parse(kind).map_err(|_| problem("type", FORM))?;
    Ok((topic, kind))
}

fn attempt(value: &Json) -> Result<u32, EnvelopeProblem> {
    const RANGE: EnvelopeProblem = problem("attempt", "must be a whole number from 1 to 1000");
    match value.get("attempt") {
        None | Some(Json::Null) => Ok(1),
        Some(given) => {
            let number = given.as_whole().and_then(|number| u32::try_from(number).ok()).ok_or(RANGE)?;
            if (1..=ATTEMPT_MAX).contains(&number) { Ok(number) } else { Err(RANGE) }
        }
    }
}

fn event_time(value: &Json) -> Result<Option<UnixMillis>, EnvelopeProblem> {
    text(value, "time")?
        .map(|given| {
            time::from_rfc3339(given).ok_or(problem("time", "must be an RFC 3339 time from 1970 on"))
        })
        .transpose()
}

fn sequence(value: &Json) -> Result<Option<Sequence>, EnvelopeProblem> {
    const FORM: EnvelopeProblem = problem("sequence", "must be a zero-padded whole number from 1");
    let Some(given) = text(value, "sequence")? else { return Ok(None) };
    if !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    let number: u64 = given.parse().map_err(|_| FORM)?;
    if (1..=SAFE_INTEGER_MAX).contains(&number) { Ok(Some(Sequence(number))) } else { Err(FORM) }
}

fn reference(value: &Json, name: &'static str) -> Result<Option<String>, EnvelopeProblem> {
    text(value, name)?
        .map(|given| {
            Key::parse(given).map(|_| given.to_owned()).map_err(|found| problem(name, name_problem(&found)))
        })
        .transpose()
}

fn data(value: &Json) -> Result<Json, EnvelopeProblem> {
    if value.get("data_base64").is_some() {
        return Err(problem("data_base64", "is not read here: send the payload as JSON in data"));
    }
    match text(value, "datacontenttype")? {
        None => {}
        Some(kind) if is_json(kind) => {}
        Some(_) => return Err(problem("datacontenttype", "must be application/json")),
    }
    Ok(value.get("data").cloned().unwrap_or(Json::Null))
}

fn is_json(media_type: &str) -> bool {
    let bare = media_type.split(';').next().unwrap_or("").trim();
    bare.eq_ignore_ascii_case("application/json") || bare.to_ascii_lowercase().ends_with("+json")
}

fn name_problem(found: &NameProblem) -> &'static str {
    match found {
        NameProblem::Malformed(_) => {
            "must be 1 to 128 printable ASCII characters without spaces, quotes and backslashes"
        }
        NameProblem::Personal(_) => "holds personal data; use a made-up key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Emit, Identity, prepare, with_sequence};

    const VALID: &str = r#"{"specversion":"1.0","id":"0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11","source":"/till","type":"pay.txn.v2.requested","partitionkey":"o-1","data":{"amount":1}}"#;

    fn read(text: &str) -> Result<Envelope, &'static str> {
        Envelope::read(&Json::parse(text).unwrap()).map_err(|problem| problem.attribute)
    }

    #[test]
    fn what_the_sdk_encodes_the_city_reads() {
        let identity = Identity { device: Device::parse("gate-n1").unwrap(), incarnation: "life-1".into() };
        let emit = Emit {
            topic: "pay.txn.v2".into(),
            kind: "requested".into(),
            key: "o-1".into(),
            payload: r#"{"amount":12000,"currency":"TWD","method":"cash"}"#.into(),
            ..Emit::default()
        };
        let now = UnixMillis(1_700_000_000_123);
        let prepared = prepare(&emit, &identity, now, [7; 10]).unwrap();
        let whole = with_sequence(&prepared.tail, Sequence(42));
        assert_eq!(whole.len(), prepared.bytes);
        let envelope = Envelope::read(&Json::parse(&whole).unwrap()).unwrap();
        assert_eq!((envelope.id, envelope.intent, envelope.attempt), (prepared.id, prepared.intent, 1));
        assert_eq!((envelope.sequence, envelope.time), (Some(Sequence(42)), Some(now)));
        assert_eq!(envelope.device().map(|device| device.to_string()).as_deref(), Some("gate-n1"));
        assert_eq!(envelope.incarnation(), Some("life-1"));
        assert_eq!(envelope.data.get("amount").and_then(Json::as_whole), Some(12_000));
    }

    #[test]
    fn a_foreign_event_needs_only_the_required_attributes_and_a_key() {
        let envelope = read(VALID).unwrap();
        assert_eq!(envelope.intent.to_string(), envelope.id.to_string());
        assert_eq!((envelope.sequence, envelope.device()), (None, None));
    }

    #[test]
    fn malformed_events_name_their_attribute() {
        for (from, to, attribute) in [
            ("\"1.0\"", "\"0.9\"", "specversion"),
            ("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11", "", "id"),
            ("\"0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11\"", "1", "id"),
            ("/till", "", "source"),
            ("pay.txn.v2.requested", "requested", "type"),
            ("partitionkey", "PartitionKey", "event"),
            ("\"partitionkey\":\"o-1\"", "\"partitionkey\":\"\"", "partitionkey"),
            ("\"partitionkey\":\"o-1\"", "\"partitionkey\":\"0912345678\"", "partitionkey"),
            ("\"data\"", "\"time\":\"yesterday\",\"data\"", "time"),
            ("\"data\"", "\"sequence\":\"x\",\"data\"", "sequence"),
            ("\"data\"", "\"attempt\":0,\"data\"", "attempt"),
            ("\"data\"", "\"data_base64\":\"AA==\",\"data\"", "data_base64"),
            ("\"data\"", "\"datacontenttype\":\"xyz\",\"data\"", "datacontenttype"),
            ("\"data\"", "\"extra\":{},\"data\"", "event"),
        ] {
            assert_eq!(read(&VALID.replacen(from, to, 1)), Err(attribute), "{to}");
        }
    }
}
