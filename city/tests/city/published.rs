//! `contracts/openapi.json` held against the running city: every answer that any test here gets is as published, and every
//! published address is there.

use crate::town::{Answer, BATCH, SINGLE, Town};
use city_domain::Role;
use conch::event::{EventId, time};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| read(&contracts().join("openapi.json")))
}

/// Fails unless the answer is one that is published for its address. What no city said and what only the weather of
/// development says is not looked at.
pub(crate) fn hold(method: &str, path: &str, answer: &Answer) {
    if answer.header("conch-city").is_none() || answer.body.contains("\"Bad weather\"") {
        return;
    }
    let Some(operation) = operation(&method.to_lowercase(), path.split('?').next().unwrap()) else { return };
    let wrong = |what: String| panic!("{method} {path}: {what}: {answer:?}");
    let Some(published) = operation["responses"].get(answer.status.to_string()) else {
        return wrong("this status is not published".to_owned());
    };
    for (name, header) in published["headers"].as_object().unwrap() {
        if header["required"] == true && answer.header(name).is_none() {
            wrong(format!("without {name}"));
        }
    }
    let Some(content) = published["content"].as_object() else {
        return assert_eq!(answer.body, "", "{method} {path}");
    };
    let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap();
    let Some(published) = content.get(kind) else { return wrong(format!("{kind} is not published")) };
    let body = if kind.ends_with("json") { answer.json() } else { json!(answer.body) };
    if let Err(what) = check(&published["schema"], &body, document()) {
        wrong(what);
    }
}

/// What is published for a path, by its form.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let fits = |form: &str| {
        let (form, path): (Vec<_>, Vec<_>) = (form.split('/').collect(), path.split('/').collect());
        form.len() == path.len()
            && form.iter().zip(&path).all(|(form, part)| form.starts_with('{') || form == part)
    };
    let (_, methods) = document()["paths"].as_object()?.iter().find(|(form, _)| fits(form))?;
    methods.get(method)
}

/// JSON Schema (draft 2020-12), as far as the document uses it. A keyword it does not know is a failure and no pass.
fn check(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return if schema == false { Err(format!("{value} may not be there")) } else { Ok(()) };
    };
    let fits = |schema: &Value| check(schema, value, root).is_ok();
    for (keyword, given) in keywords {
        let good = match keyword.as_str() {
            "$ref" => {
                referred(given.as_str().unwrap(), value, root)?;
                true
            }
            "allOf" => {
                given.as_array().unwrap().iter().try_for_each(|schema| check(schema, value, root))?;
                true
            }
            "anyOf" => given.as_array().unwrap().iter().any(fits),
            "not" => !fits(given),
            "if" => !fits(given) || fits(&schema["then"]),
            "type" => is_of(given, value),
            "const" => given == value,
            "enum" => given.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= given.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= given.as_f64().unwrap()),
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= given.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= given.as_u64().unwrap())
            }
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= given.as_u64().unwrap()),
            "format" => value.as_str().is_none_or(|text| is_form(given.as_str().unwrap(), text)),
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| check(given, item, root))?;
                true
            }
            "properties" | "required" | "additionalProperties" => {
                members(schema, value, root)?;
                true
            }
            // Regular expressions are left to the checkers from outside.
            "pattern" | "propertyNames" => true,
            "then" | "description" | "title" | "$schema" | "$id" => true,
            other => panic!("the check does not know `{other}`"),
        };
        if !good {
            return Err(format!("{value} is not {keyword} {given}"));
        }
    }
    Ok(())
}

fn referred(to: &str, value: &Value, root: &Value) -> Result<(), String> {
    match to.strip_prefix('#') {
        Some(pointer) => check(root.pointer(pointer).unwrap(), value, root),
        None => {
            let file = read(&contracts().join(to));
            check(&file, value, &file)
        }
    }
}

fn members(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    let Some(own) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        own.get(name.as_str().unwrap()).ok_or_else(|| format!("without {name}"))?;
    }
    for (name, value) in own {
        let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
        if !schema.is_null() {
            check(schema, value, root).map_err(|what| format!("{name}: {what}"))?;
        }
    }
    Ok(())
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the check does not know the type `{other}`"),
    };
    kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is))
}

fn is_form(form: &str, text: &str) -> bool {
    match form {
        "uuid" => EventId::parse(text).is_some(),
        "date-time" => time::from_rfc3339(text).is_some(),
        other => panic!("the check does not know the format `{other}`"),
    }
}

#[test]
fn every_published_address_is_there_and_takes_no_other_method() {
    let town = Town::open();
    let ops = town.enrol("ops-1", Role::Ops);
    for (form, methods) in document()["paths"].as_object().unwrap() {
        let path = form.replace("{number}", "1").replace("{key}", "k-1").replace("{txn}", "txn-1");
        let mut allowed: Vec<_> =
            methods.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        if allowed.iter().any(|name| name == "GET") {
            allowed.push("HEAD".to_owned());
        }
        allowed.sort();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            let answer = ops.ask(method, &path, &[], "");
            if allowed.iter().any(|name| name == method) {
                assert_ne!(answer.status, 405, "{method} {form}");
                let nothing = answer.body.contains("nothing at this address");
                assert!(!nothing, "{method} {form} is published and not there");
            } else {
                assert_eq!(answer.status, 405, "{method} {form}");
                let mut told: Vec<_> =
                    answer.header("allow").unwrap().split(',').map(str::to_owned).collect();
                told.sort();
                assert_eq!(told, allowed, "{form}");
            }
        }
    }
}

#[test]
fn an_address_opens_to_whom_it_is_published_to_open() {
    let town = Town::open();
    let devices = [Role::Gate, Role::Vendor, Role::Ops].map(|role| (role, town.enrol(role.as_str(), role)));
    for (form, methods) in document()["paths"].as_object().unwrap() {
        let path = form.replace("{number}", "1").replace("{key}", "k-1").replace("{txn}", "txn-1");
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let Some(roles) = operation["security"].get(0).map(|needs| needs["token"].as_array().unwrap())
            else {
                assert_ne!(town.ask(&method, &path, &[], "").status, 401, "{method} {form}");
                continue;
            };
            assert_eq!(town.ask(&method, &path, &[], "").status, 401, "{method} {form}");
            for (role, device) in &devices {
                let open = roles.is_empty() || roles.contains(&json!(role.as_str()));
                let status = device.ask(&method, &path, &[], "").status;
                assert_eq!(status != 403, open, "{method} {form} {role:?}: {status}");
            }
        }
    }
}

#[test]
fn what_is_sent_and_what_is_heard_is_as_published() {
    let town = Town::open();
    let (till, gate) = (town.enrol("till-1", Role::Vendor), town.enrol("gate-n1", Role::Gate));
    let ops = town.enrol("ops-1", Role::Ops);
    let event = &document()["components"]["schemas"]["Event"];
    let sent = [till.pay("o-1"), gate.scan("t-1", "n1")];
    for event_sent in &sent {
        check(event, &serde_json::from_str(&event_sent.body).unwrap(), document()).unwrap();
    }
    // Each answer was held against the document when it came; here it is only seen to be a good one.
    assert_eq!((till.send(&sent[0]).status, gate.send(&sent[1]).status), (202, 202));
    assert_eq!(till.send_all(&[till.pay("o-2"), till.pay("o-1")]).status, 200);
    for (path, device) in [
        ("/v1/edge", &till),
        ("/v1/feed?wait=1", &till),
        ("/v1/orders/o-1", &till),
        ("/v1/orders?ending=none", &ops),
        ("/v1/tickets/t-1", &gate),
        ("/v1/dead-letters?all=true", &ops),
        ("/v1/sagas?all=true", &ops),
        ("/metrics", &ops),
        ("/health", &ops),
        ("/pages", &ops),
    ] {
        assert_eq!(device.get(path).status, 200, "{path}");
    }
    for (path, status) in [("/v1/feed?wait=x", 400), ("/v1/feed?after=x", 410), ("/v1/orders/o-9", 404)] {
        assert_eq!(till.get(path).status, status, "{path}");
    }
    assert_eq!(till.ask("POST", "/v1/events", &[SINGLE], &sent[0].body).status, 400);
    assert_eq!(till.ask("POST", "/v1/events", &[BATCH], "{}").status, 400);
}

#[test]
fn the_check_finds_what_is_wrong() {
    let verdicts =
        |value: Value| check(&json!({ "$ref": "#/components/schemas/Verdicts" }), &value, document());
    let id = "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11";
    let of = |verdict: Value| json!({ "verdicts": [verdict], "pace": { "windowMs": 1 }, "new": 1 });
    assert_eq!(verdicts(of(json!({ "id": id, "verdict": "accepted" }))), Ok(()));
    for wrong in [
        of(json!({ "id": id, "verdict": "perhaps" })),
        of(json!({ "id": "7", "verdict": "accepted" })),
        of(json!({ "verdict": "accepted" })),
        of(json!({ "id": id, "verdict": "retry", "retryAfterMs": -1 })),
        json!({ "verdicts": {}, "pace": { "windowMs": 1 } }),
    ] {
        assert!(verdicts(wrong.clone()).is_err(), "{wrong}");
    }
    let event = &document()["components"]["schemas"]["Event"];
    let sale = json!({ "specversion": "1.0", "id": id, "source": "conch://device/till-1/life-1",
        "type": "pay.txn.v2.requested", "partitionkey": "o-1", "data": { "amount": 0 } });
    assert!(check(event, &sale, document()).is_err(), "no payload of its contract");
}
