//! The contracts: for each topic version and type, who may say it, how its intent is formed, which fields it has
//! and what a dead letter does to its lane.
//!
//! A device writes against the closed form (an unknown field is a mistake), the city reads the open form (an
//! unknown field comes from the future and is kept). Topics without a contract carry free JSON.

use super::json::Json;
use super::names::{EventType, Topic};

/// Who may write an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A device, at the edge.
    Device,
    /// The city alone.
    City,
}

/// How the intent of an event is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentRule {
    /// From topic family, type, key and attempt: unique in the whole market.
    OncePerKey,
    /// The same plus the device.
    PerDevice,
    /// Given by the caller.
    Caller,
    /// The event's own id: every event is meant.
    Fresh,
}

/// What a dead letter does to its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDead {
    /// The key waits until a person decides.
    Block,
    /// Later events of the key go on.
    Continue,
}

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Whole minor units, 1 to 2^53 - 1.
    Amount,
    /// ISO 4217: three capital letters.
    Currency,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text of 1 to so many characters.
    Text(usize),
    /// 0 or 1.
    ZeroOrOne,
    /// Milliseconds since 1970, whole.
    Time,
    /// Whole, from 0 to so much.
    Whole(u64),
}

/// One field of a payload.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The member's name.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
    /// Whether an event without it is refused.
    pub required: bool,
    /// Whether its value is exempt from the PII mask, because it is a reference that must stay as it is.
    pub opaque: bool,
}

/// The contract of one type of one topic version.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// `pay.txn.v2`
    pub topic: &'static str,
    /// `requested`
    pub kind: &'static str,
    /// Who may write it.
    pub writer: Writer,
    /// How its intent is formed.
    pub intent: IntentRule,
    /// The payload members whose change makes it another meaning; never time, gate or device.
    pub fingerprint: &'static [&'static str],
    /// What a dead letter does to its lane.
    pub on_dead: OnDead,
    /// The payload's members.
    pub fields: &'static [Field],
    /// The field that must equal the key, if any.
    pub key_field: Option<&'static str>,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, opaque: false }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true, opaque: false }
}

const fn reference(name: &'static str) -> Field {
    Field { name, shape: Shape::Text(128), required: false, opaque: true }
}

/// The ways a payment of `pay.txn.v2` is made.
pub const METHODS: &[&str] = &["cash", "confirmed_elsewhere", "promise", "authorized_online"];

const PAY_V1: &[Field] = &[reference("txnId"), reference("origTxnId"), reference("dupTxnId")];
const PAY_V2: &[Field] = &[
    reference("txnId"),
    reference("origTxnId"),
    reference("dupTxnId"),
    field("amount", Shape::Amount),
    field("currency", Shape::Currency),
    field("method", Shape::OneOf(METHODS)),
    field("stallId", Shape::Text(64)),
    reference("authRef"),
    field("reason", Shape::Text(200)),
];
/// Version 2 adds its fields as optional ones, so that a version 1 writer stays valid; a till that asks for money
/// must still say how much and by which method.
const PAY_V2_REQUESTED: &[Field] = &[
    reference("txnId"),
    reference("origTxnId"),
    reference("dupTxnId"),
    required("amount", Shape::Amount),
    required("currency", Shape::Currency),
    required("method", Shape::OneOf(METHODS)),
    field("stallId", Shape::Text(64)),
    reference("authRef"),
    field("reason", Shape::Text(200)),
];
const GATE_V1: &[Field] = &[
    required("gate", Shape::Text(64)),
    required("code", Shape::Text(128)),
    required("ok", Shape::ZeroOrOne),
];
const GATE_V2: &[Field] = &[
    required("gateId", Shape::Text(64)),
    required("ticketId", Shape::Text(128)),
    field("decision", Shape::OneOf(&["admitted", "refused"])),
    field("reason", Shape::Text(200)),
    field("scannedAt", Shape::Time),
    field("firstGateId", Shape::Text(64)),
    field("firstAt", Shape::Time),
];

const PAY_FINGERPRINT: &[&str] = &["amount", "currency", "method", "authRef"];

const fn pay(topic: &'static str, kind: &'static str, fields: &'static [Field]) -> Contract {
    Contract {
        topic,
        kind,
        writer: Writer::City,
        intent: IntentRule::Fresh,
        fingerprint: &[],
        on_dead: OnDead::Block,
        fields,
        key_field: None,
    }
}

const fn pay_requested(topic: &'static str, fields: &'static [Field]) -> Contract {
    Contract {
        writer: Writer::Device,
        intent: IntentRule::OncePerKey,
        fingerprint: PAY_FINGERPRINT,
        ..pay(topic, "requested", fields)
    }
}

const fn gate(topic: &'static str, kind: &'static str, writer: Writer, fields: &'static [Field]) -> Contract {
    Contract {
        topic,
        kind,
        writer,
        intent: IntentRule::Fresh,
        fingerprint: &[],
        on_dead: OnDead::Continue,
        fields,
        key_field: None,
    }
}

/// Every contract, in the order of topic, version and type.
pub const CONTRACTS: &[Contract] = &[
    Contract { key_field: Some("code"), ..gate("gate.auth.v1", "verified", Writer::Device, GATE_V1) },
    Contract { key_field: Some("code"), ..gate("gate.auth.v1", "denied", Writer::Device, GATE_V1) },
    Contract { key_field: Some("ticketId"), ..gate("gate.auth.v2", "scanned", Writer::Device, GATE_V2) },
    Contract { key_field: Some("ticketId"), ..gate("gate.auth.v2", "admitted", Writer::City, GATE_V2) },
    Contract { key_field: Some("ticketId"), ..gate("gate.auth.v2", "refused", Writer::City, GATE_V2) },
    Contract {
        key_field: Some("ticketId"),
        ..gate("gate.auth.v2", "duplicate_admission", Writer::City, GATE_V2)
    },
    pay_requested("pay.txn.v1", PAY_V1),
    pay("pay.txn.v1", "captured", PAY_V1),
    pay("pay.txn.v1", "duplicate_captured", PAY_V1),
    pay("pay.txn.v1", "refund_commanded", PAY_V1),
    pay("pay.txn.v1", "refunded", PAY_V1),
    pay("pay.txn.v1", "failed", PAY_V1),
    pay("pay.txn.v1", "result_replayed", PAY_V1),
    pay_requested("pay.txn.v2", PAY_V2_REQUESTED),
    pay("pay.txn.v2", "captured", PAY_V2),
    pay("pay.txn.v2", "duplicate_captured", PAY_V2),
    pay("pay.txn.v2", "refund_commanded", PAY_V2),
    pay("pay.txn.v2", "refunded", PAY_V2),
    pay("pay.txn.v2", "failed", PAY_V2),
    pay("pay.txn.v2", "result_replayed", PAY_V2),
];

/// What governs an event: a contract, or the rule for topics that have none.
#[derive(Clone, Copy, Debug)]
pub enum Terms {
    /// A published contract.
    Contract(&'static Contract),
    /// Free JSON: fresh intents unless the caller gives one, dead letters do not block.
    Free,
}

/// Why no terms were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermsProblem {
    /// The topic family is under contract, but not in this version.
    UnknownVersion,
    /// The topic is under contract, but has no such type.
    UnknownType,
}

impl Terms {
    /// Finds the terms of a topic and type.
    pub fn of(topic: &Topic, kind: &EventType) -> Result<Self, TermsProblem> {
        let mut problem = None;
        for contract in CONTRACTS {
            if contract.topic == topic.as_str() {
                if contract.kind == kind.as_str() {
                    return Ok(Self::Contract(contract));
                }
                problem = Some(TermsProblem::UnknownType);
            } else if problem.is_none()
                && contract.topic.rsplit_once(['.']).is_some_and(|(own, _)| own == topic.family())
            {
                problem = Some(TermsProblem::UnknownVersion);
            }
        }
        problem.map_or(Ok(Self::Free), Err)
    }

    /// How the intent is formed.
    pub fn intent(self) -> IntentRule {
        match self {
            Self::Contract(contract) => contract.intent,
            Self::Free => IntentRule::Fresh,
        }
    }

    /// What a dead letter does to its lane.
    pub fn on_dead(self) -> OnDead {
        match self {
            Self::Contract(contract) => contract.on_dead,
            Self::Free => OnDead::Continue,
        }
    }
}

/// Who checks a payload: the writer is held to the closed form, the reader accepts unknown members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// No member beyond the contract.
    Closed,
    /// Unknown members come from the future and are kept.
    Open,
}

/// What is wrong with a payload: the member and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadProblem {
    /// The member, or empty for the payload as a whole.
    pub member: String,
    /// What to change.
    pub what: &'static str,
}

impl Contract {
    /// Checks a payload and its key against the contract.
    pub fn check(&self, payload: &Json, key: &str, form: Form) -> Result<(), PayloadProblem> {
        let problem = |member: &str, what| Err(PayloadProblem { member: member.to_owned(), what });
        let Json::Object(members) = payload else {
            return problem("", "must be an object");
        };
        for (name, value) in members {
            match self.fields.iter().find(|field| field.name == name) {
                Some(field) => {
                    if let Err(what) = field.shape.check(value) {
                        return problem(name, what);
                    }
                }
                None if form == Form::Closed => return problem(name, "is not a member of this contract"),
                None => {}
            }
        }
        if let Some(missing) =
            self.fields.iter().find(|field| field.required && payload.get(field.name).is_none())
        {
            return problem(missing.name, "is missing");
        }
        if let Some(name) = self.key_field
            && payload.text(name) != Some(key)
        {
            return problem(name, "must equal the event's key");
        }
        let online = self.writer == Writer::Device && payload.text("method") == Some("authorized_online");
        if online && payload.get("authRef").is_none() {
            return problem("authRef", "is missing: authorized_online captures an authorisation made online");
        }
        Ok(())
    }

    /// The members the PII mask leaves alone.
    pub fn opaque(&self) -> Vec<&'static str> {
        let mut opaque = Vec::new();
        for field in self.fields {
            if field.opaque || self.key_field == Some(field.name) {
                opaque.push(field.name);
            }
        }
        opaque
    }
}

impl Shape {
    fn check(self, value: &Json) -> Result<(), &'static str> {
        let ok = match self {
            Self::Amount => value.as_whole().is_some_and(|amount| amount > 0),
            Self::Currency => value
                .as_text()
                .is_some_and(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())),
            Self::OneOf(words) => value.as_text().is_some_and(|word| words.contains(&word)),
            Self::Text(most) => value.as_text().is_some_and(|text| {
                // What continues a sign is not counted; the standard counter is made for long texts.
                let signs = text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
                (1..=most).contains(&signs)
            }),
            Self::ZeroOrOne => value.as_whole().is_some_and(|number| number < 2),
            Self::Time => value.as_whole().is_some(),
            Self::Whole(most) => value.as_whole().is_some_and(|number| number <= most),
        };
        if ok { Ok(()) } else { Err(self.expectation()) }
    }

    fn expectation(self) -> &'static str {
        match self {
            Self::Amount => "must be a whole number of minor units from 1 to 9007199254740991",
            Self::Currency => "must be an ISO 4217 code of three capital letters",
            Self::OneOf(METHODS) => "must be cash, confirmed_elsewhere, promise or authorized_online",
            Self::OneOf(_) => "is not one of the words of the contract",
            Self::Text(_) => "must be text that is not empty and not too long",
            Self::ZeroOrOne => "must be 0 or 1",
            Self::Time => "must be milliseconds since 1970, a whole number",
            Self::Whole(_) => "must be a whole number that is not too large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(topic: &str, kind: &str) -> Result<Terms, TermsProblem> {
        Terms::of(&Topic::parse(topic).unwrap(), &EventType::parse(kind).unwrap())
    }

    fn check(topic: &str, kind: &str, key: &str, payload: &str, form: Form) -> Result<(), String> {
        let Terms::Contract(contract) = terms(topic, kind).unwrap() else { panic!("no contract") };
        contract.check(&Json::parse(payload).unwrap(), key, form).map_err(|problem| problem.member)
    }

    #[test]
    fn unknown_types_and_versions_of_a_known_topic_are_told() {
        assert!(matches!(terms("pay.txn.v2", "requested"), Ok(Terms::Contract(_))));
        assert_eq!(terms("pay.txn.v2", "asked").unwrap_err(), TermsProblem::UnknownType);
        assert_eq!(terms("pay.txn.v3", "requested").unwrap_err(), TermsProblem::UnknownVersion);
        assert!(matches!(terms("ops.power.v1", "load_reported"), Ok(Terms::Free)));
    }

    #[test]
    fn a_payment_says_how_much_and_how() {
        let pay = |payload| check("pay.txn.v2", "requested", "o-1", payload, Form::Closed);
        assert_eq!(pay(r#"{"amount":12000,"currency":"TWD","method":"cash"}"#), Ok(()));
        assert_eq!(pay(r#"{"amount":0,"currency":"TWD","method":"cash"}"#), Err("amount".into()));
        assert_eq!(pay(r#"{"amount":1.5,"currency":"TWD","method":"cash"}"#), Err("amount".into()));
        assert_eq!(
            pay(r#"{"amount":9007199254740992,"currency":"TWD","method":"cash"}"#),
            Err("amount".into())
        );
        assert_eq!(pay(r#"{"amount":1,"currency":"twd","method":"cash"}"#), Err("currency".into()));
        assert_eq!(pay(r#"{"amount":1,"currency":"TWD","method":"barter"}"#), Err("method".into()));
        assert_eq!(pay(r#"{"amount":1,"currency":"TWD"}"#), Err("method".into()));
        assert_eq!(
            pay(r#"{"amount":1,"currency":"TWD","method":"authorized_online"}"#),
            Err("authRef".into())
        );
        assert_eq!(pay("[]"), Err(String::new()));
    }

    #[test]
    fn the_writer_is_closed_and_the_reader_is_open() {
        let payload = r#"{"amount":1,"currency":"TWD","method":"cash","tip":5}"#;
        assert_eq!(check("pay.txn.v2", "requested", "o", payload, Form::Closed), Err("tip".into()));
        assert_eq!(check("pay.txn.v2", "requested", "o", payload, Form::Open), Ok(()));
    }

    #[test]
    fn a_ticket_names_itself() {
        let scan = |key, payload| check("gate.auth.v2", "scanned", key, payload, Form::Closed);
        assert_eq!(scan("t-1", r#"{"gateId":"n1","ticketId":"t-1"}"#), Ok(()));
        assert_eq!(scan("t-2", r#"{"gateId":"n1","ticketId":"t-1"}"#), Err("ticketId".into()));
    }
}
