//! From what a caller asks to an event that never changes again.

use super::contract::{Form, IntentRule, OnDead, PayloadProblem, Terms, TermsProblem, Writer};
use super::fingerprint::meaning;
use super::ids::{EventId, IntentKey, LaneHash, Sequence, UnixMillis};
use super::intent::{self, Parts};
use super::json::{Json, write_text};
use super::names::{Device, EventType, Key, NameProblem, Topic};
use super::{pii, time};
use crate::limits::{ATTEMPT_MAX, EVENT_BYTES_MAX};

/// What every encoded event starts with; its sixteen-digit sequence follows, then [`Prepared::tail`].
pub const SEQUENCE_PREFIX: &str = "{\"specversion\":\"1.0\",\"sequence\":\"";

/// What a caller asks to have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emit {
    /// Topic name with version.
    pub topic: String,
    /// Type within the topic.
    pub kind: String,
    /// Business key.
    pub key: String,
    /// The payload as one JSON text.
    pub payload: String,
    /// The conversation it belongs to; by default its own id.
    pub correlation: Option<String>,
    /// The event it follows from.
    pub causation: Option<String>,
    /// The caller's own word for the intent.
    pub intent: Option<String>,
    /// The event's id, where somebody had to name it before it was stored; by default one is minted.
    pub id: Option<String>,
    /// Counts intents of the key, from 1.
    pub attempt: Option<u32>,
    /// W3C Trace Context of the start of this event.
    pub traceparent: Option<String>,
}

/// An event read back from its encoded body, which we or the city wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Delivery identity.
    pub id: EventId,
    /// When it happened, as it was written.
    pub time: Option<String>,
    /// What was asked; its payload is what was stored, masked where it had to be.
    pub emit: Emit,
}

impl Stored {
    /// Reads it back. None when it is no such event.
    pub fn read(body: &str) -> Option<Self> {
        let event = Json::parse(body).ok()?;
        let text = |name: &str| event.text(name).map(str::to_owned);
        let whole = text("type")?;
        let (topic, kind) = whole.rsplit_once(['.'])?;
        let mut payload = String::new();
        event.get("data").unwrap_or(&Json::Null).write(&mut payload);
        let emit = Emit {
            topic: topic.to_owned(),
            kind: kind.to_owned(),
            key: text("partitionkey")?,
            payload,
            correlation: text("correlationid"),
            causation: text("causationid"),
            intent: None,
            id: None,
            attempt: event.whole("attempt").and_then(|own| u32::try_from(own).ok()),
            traceparent: text("traceparent"),
        };
        Some(Self { id: EventId::parse(&text("id")?)?, time: text("time"), emit })
    }
}

/// Who speaks: the device and the life of its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: Device,
    /// Made once when the database was created; a wiped or restored one differs.
    pub incarnation: String,
}

impl Identity {
    /// The CloudEvents `source`.
    pub fn source(&self) -> String {
        format!("conch://device/{}/{}", self.device, self.incarnation)
    }
}

/// An event ready to be stored. It has no sequence yet: the store gives it one in the transaction that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Delivery identity.
    pub id: EventId,
    /// Idempotency key.
    pub intent: IntentKey,
    /// What must be equal for a replay.
    pub fingerprint: [u8; 32],
    /// The lane it travels in.
    pub lane: LaneHash,
    /// What its dead letter does to the lane.
    pub on_dead: OnDead,
    /// The encoded event after the sequence digits.
    pub tail: String,
    /// Bytes of the whole encoded event.
    pub bytes: usize,
    /// Whether personal data was masked in the payload.
    pub masked: bool,
}

/// Why an event was not taken. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitProblem {
    /// The topic's name.
    Topic(NameProblem),
    /// The type's name.
    Type(NameProblem),
    /// The key.
    Key(NameProblem),
    /// The correlation id, causation id, intent or trace.
    Reference(&'static str, NameProblem),
    /// The contract knows no such type or version.
    Terms(TermsProblem),
    /// Only the city says this type.
    NotForDevices,
    /// An intent was given where the contract forms it.
    IntentByContract,
    /// The id is no UUIDv7, or the event is known by another intent than its id.
    Id,
    /// The attempt is not 1 to 1,000.
    Attempt,
    /// The payload is not JSON.
    NotJson(&'static str),
    /// A number beyond 2^53 - 1, which browsers cannot hold exactly.
    Number(String),
    /// The payload breaks its contract.
    Payload(PayloadProblem),
    /// The encoded event has so many bytes, more than the limit.
    TooLarge(usize),
}

/// Builds the event: checks every name, forms id, intent and fingerprint, masks personal data and encodes it once.
pub fn prepare(
    emit: &Emit,
    identity: &Identity,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<Prepared, EmitProblem> {
    let topic = Topic::parse(&emit.topic).map_err(EmitProblem::Topic)?;
    let kind = EventType::parse(&emit.kind).map_err(EmitProblem::Type)?;
    let key = Key::parse(&emit.key).map_err(EmitProblem::Key)?;
    let terms = Terms::of(&topic, &kind).map_err(EmitProblem::Terms)?;
    for (name, value) in [
        ("correlationId", &emit.correlation),
        ("causationId", &emit.causation),
        ("intent", &emit.intent),
        ("traceparent", &emit.traceparent),
    ] {
        if let Some(text) = value {
            Key::parse(text).map_err(|problem| EmitProblem::Reference(name, problem))?;
        }
    }
    let attempt = emit.attempt.unwrap_or(1);
    if !(1..=ATTEMPT_MAX).contains(&attempt) {
        return Err(EmitProblem::Attempt);
    }
    let mut payload =
        Json::parse_payload(&emit.payload).map_err(|problem| EmitProblem::NotJson(problem.what))?;
    check_numbers(&payload)?;
    if let Terms::Contract(contract) = terms {
        if contract.writer == Writer::City {
            return Err(EmitProblem::NotForDevices);
        }
        if emit.intent.is_some() && contract.intent != IntentRule::Caller {
            return Err(EmitProblem::IntentByContract);
        }
        contract.check(&payload, key.as_str(), Form::Closed).map_err(EmitProblem::Payload)?;
    }
    let (opaque, members) = match terms {
        Terms::Contract(contract) => (contract.opaque(), contract.fingerprint),
        Terms::Free => (Vec::new(), [].as_slice()),
    };
    let masked = pii::mask(&mut payload, &opaque);
    let id = match &emit.id {
        Some(text) => EventId::parse(text).filter(|id| id.time().is_some()).ok_or(EmitProblem::Id)?,
        None => EventId::mint(now, entropy),
    };
    let parts = Parts { topic: &topic, kind: &kind, key: &key, attempt, device: &identity.device, id };
    let intent = intent::form(terms.intent(), parts, emit.intent.as_deref());
    // Given twice it must be found as the same intent, or two events would have one id.
    if emit.id.is_some() && intent.to_bytes() != id.to_bytes() {
        return Err(EmitProblem::Id);
    }
    let tail = encode(
        emit,
        &Encoded {
            identity,
            id,
            intent,
            attempt,
            now,
            payload: &payload,
            under_contract: matches!(terms, Terms::Contract(_)),
        },
    );
    let bytes = SEQUENCE_PREFIX.len() + 16 + tail.len();
    if bytes > EVENT_BYTES_MAX {
        return Err(EmitProblem::TooLarge(bytes));
    }
    Ok(Prepared {
        id,
        intent,
        fingerprint: meaning(emit.intent.is_some() || emit.id.is_some(), &kind, &key, &payload, members),
        lane: key.lane(),
        on_dead: terms.on_dead(),
        tail,
        bytes,
        masked,
    })
}

/// The whole encoded event, once its sequence is known.
pub fn with_sequence(tail: &str, sequence: Sequence) -> String {
    let mut whole = String::with_capacity(SEQUENCE_PREFIX.len() + 16 + tail.len());
    whole.push_str(SEQUENCE_PREFIX);
    whole.push_str(&sequence.to_string());
    whole.push_str(tail);
    whole
}

struct Encoded<'a> {
    identity: &'a Identity,
    id: EventId,
    intent: IntentKey,
    attempt: u32,
    now: UnixMillis,
    payload: &'a Json,
    under_contract: bool,
}

fn encode(emit: &Emit, parts: &Encoded<'_>) -> String {
    let mut out = String::with_capacity(420 + emit.payload.len());
    out.push('"');
    let mut attribute = |name: &str, value: &str| {
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        write_text(value, &mut out);
    };
    let id = parts.id.to_string();
    attribute("id", &id);
    attribute("source", &parts.identity.source());
    attribute("type", &format!("{}.{}", emit.topic, emit.kind));
    attribute("time", &time::to_rfc3339(parts.now));
    attribute("subject", &emit.key);
    attribute("partitionkey", &emit.key);
    attribute("idempotencykey", &parts.intent.to_string());
    attribute("correlationid", emit.correlation.as_deref().unwrap_or(&id));
    if let Some(causation) = &emit.causation {
        attribute("causationid", causation);
    }
    if let Some(trace) = &emit.traceparent {
        attribute("traceparent", trace);
    }
    if parts.under_contract {
        attribute("dataschema", &format!("urn:conch:contract:{}:{}", emit.topic, emit.kind));
    }
    attribute("datacontenttype", "application/json");
    out.push_str(",\"attempt\":");
    out.push_str(&parts.attempt.to_string());
    out.push_str(",\"data\":");
    parts.payload.write(&mut out);
    out.push('}');
    out
}

fn check_numbers(value: &Json) -> Result<(), EmitProblem> {
    match value {
        Json::Number(text) if value.is_inexact() => Err(EmitProblem::Number(text.clone())),
        Json::Array(elements) => elements.iter().try_for_each(check_numbers),
        Json::Object(members) => members.iter().try_for_each(|(_, value)| check_numbers(value)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11";

    fn scan(ticket: &str, id: Option<&str>) -> Emit {
        Emit {
            topic: "gate.auth.v2".into(),
            kind: "scanned".into(),
            key: ticket.into(),
            payload: format!(r#"{{"gateId":"n1","ticketId":"{ticket}"}}"#),
            id: id.map(Into::into),
            ..Emit::default()
        }
    }

    fn prepared(emit: &Emit) -> Result<Prepared, EmitProblem> {
        let identity =
            Identity { device: Device::parse("gate-n1").unwrap(), incarnation: "life-1".to_owned() };
        prepare(emit, &identity, UnixMillis(1_700_000_000_123), [7; 10])
    }

    #[test]
    fn an_id_that_was_named_before_is_the_events_id_and_intent() {
        let event = prepared(&scan("t-1", Some(ID))).unwrap();
        assert_eq!((event.id.to_string(), event.intent.to_string()), (ID.to_owned(), ID.to_owned()));
        assert!(event.tail.contains(&format!("\"id\":\"{ID}\"")));
        let minted = prepared(&scan("t-1", None)).unwrap();
        assert_ne!(minted.id, event.id);
    }

    #[test]
    fn one_id_for_two_tickets_is_two_meanings() {
        let [one, again, other] =
            ["t-1", "t-1", "t-2"].map(|ticket| prepared(&scan(ticket, Some(ID))).unwrap().fingerprint);
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_only_where_it_is_the_intent() {
        let other_forms = [ID.replace('-', ""), format!("{{{ID}}}"), format!("urn:uuid:{ID}")];
        let bad = ["", "7", "6f1d2b52-6a0c-5e0b-9a53-41c09c1e77a4"].map(str::to_owned);
        for bad in bad.iter().chain(&other_forms) {
            assert_eq!(prepared(&scan("t-1", Some(bad))), Err(EmitProblem::Id), "{bad}");
        }
        let paid = Emit {
            topic: "pay.txn.v2".into(),
            kind: "requested".into(),
            payload: r#"{"amount":1,"currency":"TWD","method":"cash"}"#.into(),
            ..scan("o-1", Some(ID))
        };
        assert_eq!(prepared(&paid), Err(EmitProblem::Id));
        let worded =
            Emit { topic: "stall.note.v1".into(), intent: Some("mine".into()), ..scan("n-1", Some(ID)) };
        assert_eq!(prepared(&worded), Err(EmitProblem::Id));
    }
}
