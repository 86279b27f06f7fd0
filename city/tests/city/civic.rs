//! The public form: a report without a token, its case, and how it stands.

use crate::town::{Answer, Town};
use city_domain::{Role, limits};
use conch::event::Emit;
use serde_json::{Value, json};
use std::thread::yield_now;

const JSON: (&str, &str) = ("content-type", "application/json");

fn file(town: &Town, key: Option<&str>, form: &Value) -> Answer {
    let mut head = vec![JSON];
    head.extend(key.map(|key| ("idempotency-key", key)));
    town.ask("POST", "/v1/civic", &head, &form.to_string())
}

fn noise() -> Value {
    json!({ "kind": "noise", "place": "N3" })
}

fn until_state(town: &Town, case: &str, state: &str) -> Value {
    loop {
        let answer = town.ask("GET", &format!("/v1/civic/{case}"), &[], "").json();
        if answer["state"] == state {
            return answer;
        }
        yield_now();
    }
}

#[test]
fn anybody_reports_and_hears_how_it_stands() {
    let town = Town::open();
    let filed =
        file(&town, None, &json!({ "kind": "noise", "place": "N3", "note": "", "contact": "0912345678" }));
    let case = filed.json()["case"].as_str().unwrap().to_owned();
    assert_eq!(
        (filed.status, filed.json()),
        (202, json!({ "case": case, "unit": "patrol", "known": false }))
    );
    assert!(filed.header("conch-city").is_some());
    let status = until_state(&town, &case, "routed");
    assert_eq!(status, json!({ "case": case, "state": "routed", "unit": "patrol" }), "and nothing else");
    let again = file(&town, None, &json!({ "kind": "NOISE", "place": " n3 " })).json();
    assert_eq!((&again["case"], &again["known"]), (&json!(case), &json!(true)));

    let ops = town.enrol("ops-1", Role::Ops);
    let shown = loop {
        let shown = ops.get(&format!("/v1/cases/{case}")).json();
        if shown["reports"] == 2 {
            break shown;
        }
    };
    assert_eq!(shown["contacts"], json!(["0912345678"]));
    let personal = "SELECT count(*) FROM log WHERE body LIKE '%0912345678%'";
    assert_eq!(town.count(personal), 0, "the bus does not hold it");
    let over = ops.event(&Emit {
        topic: "civic.events.v1".into(),
        kind: "resolved".into(),
        key: case.as_str().into(),
        payload: "{}".into(),
        ..Emit::default()
    });
    ops.send(&over);
    until_state(&town, &case, "resolved");
    assert_eq!(town.count("SELECT count(*) FROM contacts"), 0);
    assert!(!town.log().contains("0912345678"));
    assert_eq!(town.ask("GET", "/v1/civic/case-none", &[], "").status, 404);
}

#[test]
fn the_same_idempotency_key_is_the_same_report() {
    let town = Town::open();
    let first = file(&town, Some("\"walk-1\""), &noise());
    let again = file(&town, Some("\"walk-1\""), &noise());
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("idempotency-replayed"), None);
    let other = file(&town, Some("\"walk-1\""), &json!({ "kind": "noise", "place": "N4" }));
    assert_eq!((other.status, other.problem().as_str()), (422, "payload-changed"));
    for bad in ["\"\"", "walk-1", "\"walk-1", "\"a\"b\""] {
        assert_eq!(file(&town, Some(bad), &noise()).problem(), "idempotency-key-malformed", "{bad}");
    }
    let case = first.json()["case"].as_str().unwrap().to_owned();
    until_state(&town, &case, "routed");
    assert_eq!(town.count("SELECT reports FROM cases"), 1);
}

#[test]
fn a_form_that_says_nothing_is_refused_and_a_flood_is_told_when_to_come_back() {
    let town = Town::open();
    for (form, code) in [
        (json!({ "kind": "noise" }), "bad-request"),
        (json!({ "kind": "noise", "place": " " }), "bad-form"),
        (json!({ "kind": "noise", "place": "x".repeat(65) }), "bad-form"),
        (json!({ "kind": "noise", "place": "N3", "device": "gate-n1" }), "bad-request"),
    ] {
        let answer = file(&town, None, &form);
        assert_eq!((answer.status, answer.problem().as_str()), (400, code), "{form}");
    }
    assert_eq!(town.ask("POST", "/v1/civic", &[], "kind=noise").status, 415);
    let flood = (0..limits::FORMS_PER_MIN).map(|_| file(&town, None, &noise()));
    let late = flood.into_iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(late.problem(), "too-many-requests");
    assert!(late.header("retry-after").is_some());
}

/// What a power cut leaves between the answer and the service.
#[test]
fn a_case_that_was_answered_survives_a_power_cut() {
    let town = Town::open();
    let case = file(&town, None, &noise()).json()["case"].as_str().unwrap().to_owned();
    let town = town.pull_the_plug(&["--dev"]);
    until_state(&town, &case, "routed");
    assert_eq!(file(&town, None, &noise()).json()["case"], case);
}
