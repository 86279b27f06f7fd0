//! Every contract of the market: those the SDK checks as well, and those that only the city holds. From them the schemas
//! of `contracts/` are made, and against what was released no change may break anybody.

use crate::limits::{KIND_CHARS_MAX, NOTE_CHARS_MAX, PLACE_CHARS_MAX, WATTS_MAX};
use conch::event::contract::{
    CONTRACTS, Contract, Field, IntentRule, OnDead, Shape, Terms, TermsProblem, Writer,
};
use conch::event::json::Json;
use conch::event::{EventType, Topic};
use conch::limits::SAFE_INTEGER_MAX;

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, opaque: false }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true, opaque: false }
}

const fn of(topic: &'static str, kind: &'static str, writer: Writer, fields: &'static [Field]) -> Contract {
    Contract {
        topic,
        kind,
        writer,
        intent: match writer {
            Writer::Device => IntentRule::Caller,
            Writer::City => IntentRule::Fresh,
        },
        fingerprint: &[],
        on_dead: OnDead::Continue,
        fields,
        key_field: None,
    }
}

const KIND: Shape = Shape::Text(KIND_CHARS_MAX);
const PLACE: Shape = Shape::Text(PLACE_CHARS_MAX);
const NOTE: Shape = Shape::Text(NOTE_CHARS_MAX);
const CIVIC_REPORTED: &[Field] = &[required("kind", KIND), required("place", PLACE), field("note", NOTE)];
const CIVIC_CARED: &[Field] = &[field("unit", KIND), field("note", NOTE)];
const CIVIC_CASE: &[Field] = &[
    required("kind", KIND),
    required("place", PLACE),
    required("unit", KIND),
    required("due", Shape::Time),
    required("reports", Shape::Whole(SAFE_INTEGER_MAX)),
];
const POWER_LOAD: &[Field] = &[required("watts", Shape::Whole(WATTS_MAX)), field("stall", Shape::Text(64))];
const POWER_SWITCHED: &[Field] = &[
    required("stall", Shape::Text(64)),
    required("watts", Shape::Whole(WATTS_MAX)),
    field("graceS", Shape::Whole(3_600)),
];
const ALERT: &[Field] = &[
    required("alert", Shape::Text(40)),
    field("fingerprint", Shape::Text(64)),
    field("deadLetter", Shape::Whole(SAFE_INTEGER_MAX)),
    field("open", Shape::Whole(SAFE_INTEGER_MAX)),
    field("consumer", Shape::Text(40)),
    field("topic", Shape::Text(64)),
    field("type", Shape::Text(40)),
    field("code", Shape::Text(40)),
    field("tries", Shape::Whole(SAFE_INTEGER_MAX)),
    field("kind", Shape::Text(40)),
    field("place", Shape::Text(64)),
    field("unit", Shape::Text(40)),
    field("due", Shape::Time),
    field("reports", Shape::Whole(SAFE_INTEGER_MAX)),
    field("reference", Shape::Text(128)),
    field("operation", Shape::Text(200)),
    field("dupTxnId", Shape::Text(128)),
    field("amount", Shape::Amount),
    field("currency", Shape::Currency),
    field("digest", Shape::Text(16)),
    field("gateId", Shape::Text(64)),
    field("at", Shape::Time),
    field("firstGateId", Shape::Text(64)),
    field("firstAt", Shape::Time),
    field("device", Shape::Text(64)),
    field("first", Shape::Whole(SAFE_INTEGER_MAX)),
    field("last", Shape::Whole(SAFE_INTEGER_MAX)),
];
const NOT_UNDERSTOOD: &[Field] = &[
    required("topic", Shape::Text(64)),
    required("type", Shape::Text(40)),
    required("performative", Shape::Text(20)),
];
const SEEN: &[Field] =
    &[required("digest", Shape::Text(16)), required("gateId", Shape::Text(64)), required("at", Shape::Time)];
const FREED: &[Field] = &[required("digest", Shape::Text(16)), required("at", Shape::Time)];

/// The contracts that only the city holds. To a device these topics are free.
const OWN: &[Contract] = &[
    of("civic.events.v1", "reported", Writer::Device, CIVIC_REPORTED),
    of("civic.events.v1", "acknowledged", Writer::Device, CIVIC_CARED),
    of("civic.events.v1", "resolved", Writer::Device, CIVIC_CARED),
    of("civic.events.v1", "routed", Writer::City, CIVIC_CASE),
    of("civic.events.v1", "escalated", Writer::City, CIVIC_CASE),
    of("gate.seen.v1", "admitted", Writer::City, SEEN),
    of("gate.seen.v1", "freed", Writer::City, FREED),
    of("ops.power.v1", "load_reported", Writer::Device, POWER_LOAD),
    of("ops.power.v1", "shed", Writer::City, POWER_SWITCHED),
    of("ops.power.v1", "restored", Writer::City, POWER_SWITCHED),
    of("ops.alerts.v1", "raised", Writer::City, ALERT),
    of("ops.alerts.v1", "cleared", Writer::City, ALERT),
    of("market.directory.v1", "not_understood", Writer::City, NOT_UNDERSTOOD),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Contract> {
    CONTRACTS.iter().chain(OWN)
}

/// The contract of a type, `None` where the topic is free.
pub(crate) fn contract(topic: &Topic, kind: &EventType) -> Result<Option<&'static Contract>, TermsProblem> {
    if let Terms::Contract(contract) = Terms::of(topic, kind)? {
        return Ok(Some(contract));
    }
    let mut problem = None;
    for contract in OWN {
        if contract.topic == topic.as_str() {
            if contract.kind == kind.as_str() {
                return Ok(Some(contract));
            }
            problem = Some(TermsProblem::UnknownType);
        } else if problem.is_none()
            && contract.topic.rsplit_once('.').is_some_and(|(family, _)| family == topic.family())
        {
            problem = Some(TermsProblem::UnknownVersion);
        }
    }
    problem.map_or(Ok(None), Err)
}

/// Who a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Who writes: an unknown member is a mistake.
    Writers,
    /// Who reads: an unknown member comes from the future.
    Readers,
}

/// The files of `contracts/`, by their paths.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for contract in all() {
        for (readers, word) in [(For::Writers, "writer"), (For::Readers, "reader")] {
            let path = format!("{}/{}.{word}.schema.json", contract.topic, contract.kind);
            files.push((path, text(&schema(contract, readers))));
        }
    }
    files.push(("asyncapi.json".to_owned(), text(&asyncapi())));
    files
}

fn text(json: &Json) -> String {
    let mut text = String::new();
    pretty(json, 0, &mut text);
    text.push('\n');
    text
}

/// With a member a line, so that a change shows as what it is.
fn pretty(json: &Json, depth: usize, to: &mut String) {
    let line = |to: &mut String, depth: usize| {
        to.push('\n');
        to.push_str(&"  ".repeat(depth));
    };
    match json {
        Json::Object(members) if !members.is_empty() => {
            to.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                line(to, depth + 1);
                Json::Text(name.clone()).write(to);
                to.push_str(": ");
                pretty(value, depth + 1, to);
            }
            line(to, depth);
            to.push('}');
        }
        Json::Array(items) if items.iter().any(|item| matches!(item, Json::Object(_))) => {
            to.push('[');
            for (place, item) in items.iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                line(to, depth + 1);
                pretty(item, depth + 1, to);
            }
            line(to, depth);
            to.push(']');
        }
        other => other.write(to),
    }
}

fn object(members: Vec<(&str, Json)>) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn word(text: &str) -> Json {
    Json::Text(text.to_owned())
}

fn number(number: u64) -> Json {
    Json::Number(number.to_string())
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Json {
    Json::Array(words.into_iter().map(word).collect())
}

/// The JSON Schema (draft 2020-12) of a payload.
pub fn schema(contract: &Contract, readers: For) -> Json {
    let who = if readers == For::Writers { "writer" } else { "reader" };
    let properties =
        contract.fields.iter().map(|field| (field.name.to_owned(), shape(field.shape))).collect();
    let needed: Vec<&str> =
        contract.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut members = vec![
        ("$schema", word("https://json-schema.org/draft/2020-12/schema")),
        ("$id", word(&format!("urn:conch:contract:{}:{}:{who}", contract.topic, contract.kind))),
        ("title", word(&format!("{}.{}", contract.topic, contract.kind))),
        ("type", word("object")),
        ("properties", Json::Object(properties)),
        ("required", words(needed)),
        ("additionalProperties", Json::Bool(readers == For::Readers)),
    ];
    if contract.writer == Writer::Device && contract.fields.iter().any(|field| field.name == "authRef") {
        let online = object(vec![("method", object(vec![("const", word("authorized_online"))]))]);
        members.push(("if", object(vec![("properties", online), ("required", words(["method"]))])));
        members.push(("then", object(vec![("required", words(["authRef"]))])));
    }
    object(members)
}

fn shape(shape: Shape) -> Json {
    let whole = |least, most| {
        object(vec![("type", word("integer")), ("minimum", number(least)), ("maximum", number(most))])
    };
    match shape {
        Shape::Amount => whole(1, SAFE_INTEGER_MAX),
        Shape::Currency => object(vec![("type", word("string")), ("pattern", word("^[A-Z]{3}$"))]),
        Shape::OneOf(list) => object(vec![("type", word("string")), ("enum", words(list.iter().copied()))]),
        Shape::Text(most) => object(vec![
            ("type", word("string")),
            ("minLength", number(1)),
            ("maxLength", number(most as u64)),
        ]),
        Shape::ZeroOrOne => whole(0, 1),
        Shape::Time => whole(0, SAFE_INTEGER_MAX),
        Shape::Whole(most) => whole(0, most),
    }
}

/// The bus and the feed as AsyncAPI 3: a channel a topic, a message a type.
fn asyncapi() -> Json {
    let mut channels: Vec<(String, Json)> = Vec::new();
    let mut operations: Vec<(String, Json)> = Vec::new();
    let name = |contract: &Contract| format!("{}.{}", contract.topic, contract.kind);
    for contract in all() {
        let reader = format!("./{}/{}.reader.schema.json", contract.topic, contract.kind);
        let message = object(vec![
            ("name", word(&name(contract))),
            ("contentType", word("application/cloudevents+json")),
            ("payload", object(vec![("$ref", word(&reader))])),
        ]);
        let at = channels.iter().position(|(own, _)| own == contract.topic);
        let at = at.unwrap_or_else(|| {
            let channel = object(vec![("address", word(contract.topic)), ("messages", object(Vec::new()))]);
            channels.push((contract.topic.to_owned(), channel));
            channels.len() - 1
        });
        if let Some((_, Json::Object(members))) = channels.get_mut(at)
            && let Some((_, Json::Object(messages))) = members.get_mut(1)
        {
            messages.push((name(contract), message));
        }
        // From the city's side: what devices write it receives, what it says it sends.
        let action = if contract.writer == Writer::City { "send" } else { "receive" };
        let channel = format!("#/channels/{}", contract.topic);
        let whole = format!("{channel}/messages/{}", name(contract));
        operations.push((
            format!("{action}.{}", name(contract)),
            object(vec![
                ("action", word(action)),
                ("channel", object(vec![("$ref", word(&channel))])),
                ("messages", Json::Array(vec![object(vec![("$ref", word(&whole))])])),
            ]),
        ));
    }
    let info = object(vec![
        ("title", word("Conch: the market's events")),
        ("version", word("1")),
        ("description", word("Each message is a CloudEvent 1.0 whose data is the payload named here.")),
    ]);
    object(vec![
        ("asyncapi", word("3.0.0")),
        ("info", info),
        ("channels", Json::Object(channels)),
        ("operations", Json::Object(operations)),
    ])
}

/// What a change would break, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// A type is gone.
    Type,
    /// An address of the city is gone.
    Address(String),
    /// A member is gone: a reader that waits for it waits in vain.
    Member(String),
    /// A member holds something else: an older reader cannot read it, or an older writer is refused.
    Retyped(String),
    /// A member is needed now: an older writer is refused.
    Needed(String),
    /// A member that was always there may be missing now: an older reader relies on it.
    Promised(String),
    /// The released file cannot be read.
    Unreadable,
}

/// Compares a released schema of a reader with the one of today, `None` when there is none today. What devices write may
/// come to need less; what the city writes may not, because devices read it.
pub fn breaks(released: &str, today: Option<&str>, writer: Writer) -> Vec<Break> {
    let Some(today) = today else { return vec![Break::Type] };
    let (Ok(old), Ok(new)) = (Json::parse(released), Json::parse(today)) else {
        return vec![Break::Unreadable];
    };
    let mut found = Vec::new();
    let (Some(Json::Object(members)), Some(now)) = (old.get("properties"), new.get("properties")) else {
        return vec![Break::Unreadable];
    };
    for (name, shape) in members {
        match now.get(name) {
            None => found.push(Break::Member(name.clone())),
            Some(other) if other != shape => found.push(Break::Retyped(name.clone())),
            Some(_) => {}
        }
    }
    let needed = |schema: &Json| -> Vec<String> {
        let list = schema.get("required").and_then(Json::as_array).unwrap_or_default();
        list.iter().filter_map(Json::as_text).map(str::to_owned).collect()
    };
    let (before, after) = (needed(&old), needed(&new));
    let lacks = |list: &[String], name: &String| !list.contains(name);
    found.extend(after.iter().filter(|name| lacks(&before, name)).cloned().map(Break::Needed));
    if writer == Writer::City {
        let there = |name: &&String| now.get(name).is_some();
        let loose = before.iter().filter(|name| lacks(&after, name)).filter(there);
        found.extend(loose.cloned().map(Break::Promised));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use conch::event::contract::Form;

    fn of(topic: &str, kind: &str) -> Result<Option<&'static Contract>, TermsProblem> {
        contract(&Topic::parse(topic).unwrap(), &EventType::parse(kind).unwrap())
    }

    #[test]
    fn a_topic_is_under_the_sdks_contract_the_citys_or_free() {
        assert_eq!(of("pay.txn.v2", "captured").unwrap().unwrap().kind, "captured");
        assert_eq!(of("civic.events.v1", "reported").unwrap().unwrap().kind, "reported");
        assert_eq!(of("civic.events.v1", "sung").map(|_| ()), Err(TermsProblem::UnknownType));
        assert_eq!(of("civic.events.v2", "reported").map(|_| ()), Err(TermsProblem::UnknownVersion));
        assert!(of("stall.note.v1", "said").unwrap().is_none());
    }

    #[test]
    fn each_type_has_a_schema_for_writers_and_one_for_readers() {
        let files = files();
        assert_eq!(files.len(), 2 * all().count() + 1);
        let find = |path: &str| {
            let (_, text) = files.iter().find(|(own, _)| own == path).unwrap();
            Json::parse(text).unwrap()
        };
        let writer = find("pay.txn.v2/requested.writer.schema.json");
        assert_eq!(writer.get("additionalProperties"), Some(&Json::Bool(false)));
        assert_eq!(writer.get("required"), Some(&words(["amount", "currency", "method"])));
        assert_eq!(
            find("pay.txn.v2/requested.reader.schema.json").get("additionalProperties"),
            Some(&Json::Bool(true))
        );
        assert_eq!(find("asyncapi.json").text("asyncapi"), Some("3.0.0"));
    }

    /// The table that checkers from outside are held against as well: `cargo xtask test foreign`.
    #[test]
    fn the_checker_takes_the_payloads_the_table_says_it_takes() {
        let table = Json::parse(include_str!("../../foreign/payloads.json")).unwrap();
        let payloads = table.get("payloads").and_then(Json::as_array).unwrap();
        for row in payloads {
            let (topic, kind) = row.text("type").unwrap().rsplit_once('.').unwrap();
            let contract = of(topic, kind).unwrap().unwrap();
            let data = row.get("data").unwrap();
            // That a key is a member as well is a rule of the envelope, which no schema of a payload can say.
            let key = contract.key_field.and_then(|name| data.text(name)).unwrap_or("");
            for (form, who) in [(Form::Closed, "writer"), (Form::Open, "reader")] {
                let took = contract.check(data, key, form).is_ok();
                assert_eq!(Some(&Json::Bool(took)), row.get(who), "{row:?}, by the {who}");
            }
        }
    }

    const RELEASED: &str =
        r#"{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}"#;

    #[test]
    fn break_a_type_is_removed() {
        assert_eq!(breaks(RELEASED, None, Writer::Device), [Break::Type]);
    }

    #[test]
    fn break_a_member_is_removed_or_renamed() {
        let today = r#"{"properties":{"a":{"type":"integer"},"c":{"type":"string"}},"required":["a"]}"#;
        assert_eq!(breaks(RELEASED, Some(today), Writer::Device), [Break::Member("b".into())]);
    }

    #[test]
    fn break_a_member_is_retyped() {
        let today = RELEASED.replace("string", "number");
        assert_eq!(breaks(RELEASED, Some(&today), Writer::Device), [Break::Retyped("b".into())]);
    }

    #[test]
    fn break_a_member_is_needed_now() {
        let today = RELEASED.replace(r#"["a"]"#, r#"["a","b"]"#);
        assert_eq!(breaks(RELEASED, Some(&today), Writer::Device), [Break::Needed("b".into())]);
    }

    #[test]
    fn break_a_member_the_city_always_said_may_be_missing() {
        let today = RELEASED.replace(r#"["a"]"#, "[]");
        assert_eq!(breaks(RELEASED, Some(&today), Writer::City), [Break::Promised("a".into())]);
    }

    #[test]
    fn an_optional_member_more_and_a_need_less_break_nobody() {
        let today = RELEASED.replace(r#""b":"#, r#""z":{"type":"string"},"b":"#).replace(r#"["a"]"#, "[]");
        assert_eq!(breaks(RELEASED, Some(&today), Writer::Device), []);
    }
}
