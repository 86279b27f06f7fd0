//! May this event come in? Everything that can be said without looking anything up.
//!
//! Runs before the writer, so that parsing and hashing cost the one writing thread nothing.

use crate::contracts::contract;
use crate::directory::Performative;
use crate::limits::{EVENT_BYTES_MAX, SOURCE_BYTES_MAX};
use crate::refusal::Refusal;
use crate::role::{Principal, Role, Speaker, speaker};
use conch::event::contract::{Form, IntentRule, Writer};
use conch::event::fingerprint::{fingerprint, meaning};
use conch::event::intent::{self, Parts};
use conch::event::json::Json;
use conch::event::{EventId, IntentKey, Sequence};
use conch::wire::cloudevents::Envelope;

/// Characters of a UUID with its hyphens (RFC 9562).
const HYPHENATED: usize = 36;

/// One element of a request after the first look.
#[derive(Clone, Debug)]
pub struct Examined {
    pub(crate) id: EventId,
    pub(crate) finding: Finding,
    origin: Option<Origin>,
}

/// Where an event stands in the outbox it came from.
#[derive(Clone, Debug)]
struct Origin {
    incarnation: String,
    sequence: Option<Sequence>,
}

#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// Its source and content cannot be trusted, so nothing may be remembered under its id.
    Stranger(Refusal),
    /// It is this device's event; the terms say yes or no.
    Known(Box<Candidate>),
}

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) envelope: Envelope,
    pub(crate) digest: [u8; 32],
    pub(crate) body: String,
    pub(crate) performative: Option<Performative>,
    pub(crate) terms: Result<Admitted, Refusal>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) rule: IntentRule,
    pub(crate) fingerprint: [u8; 32],
}

impl Examined {
    /// Looks at one element. `None` when it has no readable id, so that no verdict could name it.
    pub fn read(element: &Json, principal: &Principal) -> Option<Self> {
        // Other ways to write a UUID would be another text for the same event, and no verdict would name it as it came.
        let id = element.get("id")?.as_text().filter(|text| text.len() == HYPHENATED)?;
        let id = EventId::parse(id)?;
        let finding = match candidate(element, principal) {
            Ok(candidate) => Finding::Known(Box::new(candidate)),
            Err(refusal) => Finding::Stranger(refusal),
        };
        Some(Self { id, finding, origin: origin(element, principal) })
    }

    /// The event's id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// What is wrong with it as a document, when it is no event at all.
    pub fn unreadable(&self) -> Option<&Refusal> {
        match &self.finding {
            Finding::Stranger(refusal @ (Refusal::Unreadable(..) | Refusal::TooLarge(_))) => Some(refusal),
            _ => None,
        }
    }

    /// Its idempotency key, when it could be read.
    pub fn intent(&self) -> Option<IntentKey> {
        match &self.finding {
            Finding::Known(candidate) => Some(candidate.envelope.intent),
            Finding::Stranger(_) => None,
        }
    }

    /// The life of the outbox it came from.
    pub fn incarnation(&self) -> Option<&str> {
        self.origin.as_ref().map(|origin| origin.incarnation.as_str())
    }

    /// Its place in that outbox.
    pub fn sequence(&self) -> Option<Sequence> {
        self.origin.as_ref().and_then(|origin| origin.sequence)
    }
}

fn candidate(element: &Json, principal: &Principal) -> Result<Candidate, Refusal> {
    let mut body = String::new();
    element.write(&mut body);
    if body.len() > EVENT_BYTES_MAX {
        return Err(Refusal::TooLarge(body.len()));
    }
    check_numbers(element)?;
    let envelope =
        Envelope::read(element).map_err(|problem| Refusal::Unreadable(problem.attribute, problem.what))?;
    if envelope.source.len() > SOURCE_BYTES_MAX || envelope.device().as_ref() != Some(&principal.device) {
        return Err(Refusal::ForeignSource);
    }
    let digest = digest(&envelope);
    let terms = admit(&envelope, principal);
    Ok(Candidate { envelope, digest, body, performative: Performative::of(element), terms })
}

/// Attributes hold whole numbers of 32 bits (CloudEvents 1.0.2, type system): another reader down the line would round
/// or refuse any other.
fn check_numbers(element: &Json) -> Result<(), Refusal> {
    let Json::Object(members) = element else { return Ok(()) };
    let mut numbers = members.iter().filter_map(|(name, value)| match value {
        Json::Number(text) if name != "data" => Some(text),
        _ => None,
    });
    if numbers.all(|text| text.parse::<i32>().is_ok()) {
        return Ok(());
    }
    Err(Refusal::Unreadable("event", "an attribute that is a number is whole and has 32 bits"))
}

fn admit(envelope: &Envelope, principal: &Principal) -> Result<Admitted, Refusal> {
    if !principal.role.may_write(&envelope.topic) {
        return Err(Refusal::Role);
    }
    match speaker(&envelope.topic, &envelope.kind) {
        Speaker::City => return Err(Refusal::CityOnly),
        Speaker::Ops if principal.role != Role::Ops => return Err(Refusal::Role),
        _ => {}
    }
    let contract = contract(&envelope.topic, &envelope.kind).map_err(Refusal::Terms)?;
    let members = match contract {
        Some(contract) => {
            if contract.writer != Writer::Device {
                return Err(Refusal::CityOnly);
            }
            contract
                .check(&envelope.data, envelope.key.as_str(), Form::Open)
                .map_err(|problem| Refusal::Payload(problem.member, problem.what))?;
            contract.fingerprint
        }
        None => &[],
    };
    let rule = contract.map_or(IntentRule::Fresh, |contract| contract.intent);
    if matches!(rule, IntentRule::OncePerKey | IntentRule::PerDevice) {
        let expected = intent::form(rule, parts(envelope, principal), None);
        if expected != envelope.intent {
            return Err(Refusal::IntentMismatch(expected));
        }
    }
    // Without a word of the caller's the intent is the event's own id.
    let own = matches!(rule, IntentRule::Fresh | IntentRule::Caller);
    let chosen = own && envelope.intent.to_bytes() != envelope.id.to_bytes();
    let fingerprint = meaning(chosen, &envelope.kind, &envelope.key, &envelope.data, members);
    Ok(Admitted { rule, fingerprint })
}

fn parts<'a>(envelope: &'a Envelope, principal: &'a Principal) -> Parts<'a> {
    Parts {
        topic: &envelope.topic,
        kind: &envelope.kind,
        key: &envelope.key,
        attempt: envelope.attempt,
        device: &principal.device,
        id: envelope.id,
    }
}

/// What may not change under one id. Attributes a hop may add, such as a trace, are left out.
fn digest(envelope: &Envelope) -> [u8; 32] {
    let text = |value: &str| Json::Text(value.to_owned());
    let content = Json::Object(vec![
        ("topic".into(), text(envelope.topic.as_str())),
        ("type".into(), text(envelope.kind.as_str())),
        ("key".into(), text(envelope.key.as_str())),
        ("intent".into(), Json::Text(envelope.intent.to_string())),
        ("data".into(), envelope.data.clone()),
    ]);
    fingerprint(&content, &[])
}

/// Read from the raw attributes, because a poisoned event has a place in its outbox too.
fn origin(element: &Json, principal: &Principal) -> Option<Origin> {
    let source = element.get("source")?.as_text().filter(|source| source.len() <= SOURCE_BYTES_MAX)?;
    let (device, incarnation) = source.strip_prefix("conch://device/")?.split_once('/')?;
    if device != principal.device.as_str() || incarnation.is_empty() {
        return None;
    }
    let sequence = element
        .get("sequence")
        .and_then(Json::as_text)
        .and_then(|digits| digits.parse().ok())
        .filter(|number| (1..=conch::limits::SAFE_INTEGER_MAX).contains(number))
        .map(Sequence);
    Some(Origin { incarnation: incarnation.to_owned(), sequence })
}
