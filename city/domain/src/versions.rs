//! Between the versions of a topic: a newer event as an older reader knows it, and the scans of the old ticketing as
//! the new one says them.
//!
//! A cast keeps id, source, causes and whatever the reader does not know; only topic, type, schema and the members that
//! the older version lacks change. It is made for one reader at the moment of delivery and never said on the bus, so
//! there is nothing that could go round in circles.

use crate::bus::Message;
use crate::contracts::all;
use conch::event::contract::{Contract, Form};
use conch::event::json::Json;
use conch::event::{EventType, Topic};

fn contract(family: &str, version: u32, kind: &str) -> Option<&'static Contract> {
    let topic = format!("{family}.v{version}");
    all().find(|contract| contract.topic == topic && contract.kind == kind)
}

/// The event as a reader of an older version of its topic knows it. `None` when that version cannot say it.
pub fn cast_down(message: &Message, version: u32) -> Option<Message> {
    let (family, own) = (message.topic.family(), message.topic.version());
    if version >= own {
        return None;
    }
    let envelope = message.envelope()?;
    let (kind, data) = match (family, own, version) {
        ("gate.auth", 2, 1) => scan_down(message.kind.as_str(), &envelope.data)?,
        _ => (
            message.kind.as_str(),
            without_newer(family, (own, version), message.kind.as_str(), &envelope.data)?,
        ),
    };
    contract(family, version, kind)?.check(&data, message.key.as_str(), Form::Open).ok()?;
    in_version(message, version, kind, data)
}

/// The scan of the old ticketing as the new one says it. `None` when it is none.
pub fn scan_up(message: &Message) -> Option<Message> {
    if message.topic.as_str() != "gate.auth.v1" {
        return None;
    }
    let data = message.envelope()?.data;
    let ok = data.whole("ok")?;
    let (decision, reason) = match (message.kind.as_str(), ok) {
        ("verified", 1) => ("admitted", None),
        ("verified", 0) => ("refused", Some(NOT_OK)),
        ("denied", 0) => ("refused", None),
        ("denied", 1) => ("refused", Some(DENIED_OK)),
        _ => return None,
    };
    let text = |name: &str| data.text(name).map(|text| Json::Text(text.to_owned()));
    let mut members = vec![
        ("gateId".to_owned(), text("gate")?),
        ("ticketId".to_owned(), text("code")?),
        ("decision".to_owned(), Json::Text(decision.to_owned())),
    ];
    members.extend(reason.map(|reason| ("reason".to_owned(), Json::Text(reason.to_owned()))));
    members.extend(strangers(&data, &["gate", "code", "ok"]));
    in_version(message, 2, "scanned", Json::Object(members))
}

/// What the old ticketing could say and the new one has no word for, kept as a reason.
const NOT_OK: &str = "v1_verified_not_ok";
const DENIED_OK: &str = "v1_denied_ok";

/// Only a scan is a word of the old ticketing; what the city decides is not.
fn scan_down(kind: &str, data: &Json) -> Option<(&'static str, Json)> {
    if kind != "scanned" {
        return None;
    }
    let (kind, ok) = match (data.text("decision"), data.text("reason")) {
        (None | Some("admitted"), _) => ("verified", 1),
        (_, Some(NOT_OK)) => ("verified", 0),
        (_, Some(DENIED_OK)) => ("denied", 1),
        _ => ("denied", 0),
    };
    let text = |name: &str| data.text(name).map(|text| Json::Text(text.to_owned()));
    let mut members = vec![
        ("gate".to_owned(), text("gateId")?),
        ("code".to_owned(), text("ticketId")?),
        ("ok".to_owned(), Json::Number(ok.to_string())),
    ];
    let known = ["gateId", "ticketId", "decision", "reason", "scannedAt", "firstGateId", "firstAt"];
    members.extend(strangers(data, &known));
    Some((kind, Json::Object(members)))
}

/// Members that no version knows: they come from the future and are kept.
fn strangers(data: &Json, known: &[&str]) -> Vec<(String, Json)> {
    let Json::Object(members) = data else { return Vec::new() };
    members.iter().filter(|(name, _)| !known.contains(&name.as_str())).cloned().collect()
}

/// The payload without the members that came with a newer version.
fn without_newer(family: &str, (own, version): (u32, u32), kind: &str, data: &Json) -> Option<Json> {
    let (newer, older) = (contract(family, own, kind)?, contract(family, version, kind)?);
    let Json::Object(members) = data else { return None };
    let has = |contract: &Contract, name: &str| contract.fields.iter().any(|field| field.name == name);
    let kept = members.iter().filter(|(name, _)| has(older, name) || !has(newer, name)).cloned();
    Some(Json::Object(kept.collect()))
}

/// The event in another version, type and payload of its topic.
fn in_version(message: &Message, version: u32, kind: &str, data: Json) -> Option<Message> {
    let topic = Topic::parse(&format!("{}.v{version}", message.topic.family())).ok()?;
    let kind = EventType::parse(kind).ok()?;
    let body = said_as(&message.body, &topic, &kind, data)?;
    Some(Message { topic, kind, body, ..message.clone() })
}

/// The encoded event with another topic, type and payload, everything else as it was. `None` when it is no event.
pub(crate) fn said_as(body: &str, topic: &Topic, kind: &EventType, data: Json) -> Option<String> {
    let Json::Object(members) = Json::parse(body).ok()? else { return None };
    let members = members.into_iter().filter(|(name, _)| name != "data").map(|(name, value)| {
        let value = match name.as_str() {
            "type" => Json::Text(format!("{topic}.{}", kind.as_str())),
            "dataschema" => Json::Text(format!("urn:conch:contract:{topic}:{}", kind.as_str())),
            _ => value,
        };
        (name, value)
    });
    let mut text = String::new();
    Json::Object(members.chain([("data".to_owned(), data)]).collect()).write(&mut text);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conch::event::{EventId, Key, UnixMillis};
    use proptest::prelude::*;

    fn message(topic: &str, kind: &str, key: &str, data: &str) -> Message {
        let id = EventId::mint(UnixMillis(1), [4; 10]);
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"{topic}.{kind}","partitionkey":"{key}","causationid":"why","dataschema":"urn:conch:contract:{topic}:{kind}","future":"kept","data":{data}}}"#
        );
        let (topic, kind) = (Topic::parse(topic).unwrap(), EventType::parse(kind).unwrap());
        Message { source: "s".to_owned(), id, topic, kind, key: Key::parse(key).unwrap(), body }
    }

    #[test]
    fn a_newer_payment_is_heard_by_an_older_reader_with_the_same_id_and_causes() {
        let new =
            message("pay.txn.v2", "captured", "o-1", r#"{"txnId":"t","amount":5,"currency":"TWD","tip":1}"#);
        let old = cast_down(&new, 1).unwrap();
        assert_eq!((old.topic.as_str(), old.kind.as_str(), old.id), ("pay.txn.v1", "captured", new.id));
        let body = Json::parse(&old.body).unwrap();
        assert_eq!((body.text("type"), body.text("causationid")), (Some("pay.txn.v1.captured"), Some("why")));
        assert_eq!(body.text("dataschema"), Some("urn:conch:contract:pay.txn.v1:captured"));
        assert_eq!(body.text("future"), Some("kept"));
        let data = body.get("data").unwrap();
        assert_eq!((data.text("txnId"), data.whole("tip"), data.get("amount")), (Some("t"), Some(1), None));
        assert_eq!(cast_down(&new, 2), None, "not to itself");
        assert_eq!(
            cast_down(&message("stall.note.v2", "said", "k", "{}"), 1),
            None,
            "there is no contract to cast by"
        );
    }

    #[test]
    fn what_the_city_decides_about_a_ticket_is_no_word_of_the_old_ticketing() {
        let data = r#"{"gateId":"n1","ticketId":"t-1","decision":"admitted"}"#;
        assert_eq!(cast_down(&message("gate.auth.v2", "admitted", "t-1", data), 1), None);
        let scan = cast_down(&message("gate.auth.v2", "scanned", "t-1", data), 1).unwrap();
        assert_eq!((scan.topic.as_str(), scan.kind.as_str()), ("gate.auth.v1", "verified"));
    }

    proptest! {
        /// v1 to v2 and back is the identity, for every scan the old ticketing can say.
        #[test]
        fn an_old_scan_comes_back_from_the_new_version_unchanged(
            kind in prop_oneof![Just("verified"), Just("denied")],
            ok in 0_u8..2,
            gate in "[a-z0-9]{1,8}",
            code in "[A-Za-z0-9]{1,12}",
            more in prop::option::of("[a-z]{1,5}"),
        ) {
            let more = more.map_or_else(String::new, |text| format!(r#","later":"{text}""#));
            let data = format!(r#"{{"gate":"{gate}","code":"{code}","ok":{ok}{more}}}"#);
            let old = message("gate.auth.v1", kind, &code, &data);
            let new = scan_up(&old).unwrap();
            prop_assert_eq!((new.topic.as_str(), new.kind.as_str(), new.id), ("gate.auth.v2", "scanned", old.id));
            let contract = contract("gate.auth", 2, "scanned").unwrap();
            prop_assert_eq!(contract.check(&new.envelope().unwrap().data, &code, Form::Open), Ok(()));
            prop_assert_eq!(cast_down(&new, 1), Some(old));
        }
    }
}
