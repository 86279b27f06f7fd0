//! The directory: requests on free topics find who serves them, or are told at once that nobody does.

use crate::town::{Caller, Event, Town, altered};
use city_domain::Role;
use conch::event::Emit;
use serde_json::{Value, json};
use std::thread;

const JSON: (&str, &str) = ("content-type", "application/json");

fn help(from: &Caller<'_>, key: &str, performative: &str) -> Event {
    let event = from.event(&Emit {
        topic: "stall.help.v1".into(),
        kind: "ice_wanted".into(),
        key: key.into(),
        payload: json!({ "kilograms": 5 }).to_string(),
        ..Emit::default()
    });
    let attribute = format!("{{\"performative\":\"{performative}\",\"specversion\"");
    altered(&event, "{\"specversion\"", &attribute)
}

fn register(agent: &Caller<'_>, lease_s: u64) -> Value {
    let body =
        json!({ "topics": ["stall.help.*"], "performatives": ["request", "inform"], "leaseS": lease_s });
    let answer = agent.ask("POST", "/v1/directory", &[JSON], &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn heard(device: &Caller<'_>) -> Vec<Value> {
    device.get("/v1/feed").json()["events"].as_array().unwrap().clone()
}

#[test]
fn a_request_nobody_serves_is_not_understood_at_once() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let asked = help(&till, "k-1", "request");
    assert_eq!(till.send(&asked).verdicts(), ["accepted"]);
    let events = heard(&till);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "market.directory.v1.not_understood");
    assert_eq!(
        events[0]["data"],
        json!({ "topic": "stall.help.v1", "type": "ice_wanted", "performative": "request" })
    );
    assert_eq!((&events[0]["causationid"], &events[0]["subject"]), (&json!(asked.id), &json!("k-1")));
    till.send(&asked);
    till.send(&help(&till, "k-2", "inform"));
    assert_eq!(heard(&till).len(), 1, "a replay is no request, and what is no request needs no answer");
    let made_up = town.enrol("gate-1", Role::Gate).event(&Emit {
        topic: "market.directory.v1".into(),
        kind: "not_understood".into(),
        key: "k".into(),
        payload: "{}".into(),
        ..Emit::default()
    });
    let answer = town.enrol("gate-1", Role::Gate).send_all(&[made_up]).json();
    assert_eq!(answer["verdicts"][0]["problem"]["type"], "urn:conch:problem:city-only-type");
}

#[test]
fn a_request_arrives_at_whoever_serves_it_as_it_was_said() {
    let town = Town::open();
    let (till, ops) = (town.enrol("till-1", Role::Vendor), town.enrol("ops-1", Role::Ops));
    register(&ops, 60);
    let asked = help(&till, "k-1", "request");
    let events = thread::scope(|scope| {
        let poll = scope.spawn(|| ops.get("/v1/feed?wait=25").json());
        town.until_health("listening", 1);
        till.send(&asked);
        poll.join().unwrap()["events"].as_array().unwrap().clone()
    });
    assert_eq!(events.len(), 1, "the poll is rung");
    let event = &events[0];
    assert_eq!((&event["type"], &event["subject"]), (&json!("stall.help.v1.ice_wanted"), &json!("k-1")));
    assert_eq!((&event["data"], &event["performative"]), (&json!({ "kilograms": 5 }), &json!("request")));
    assert_eq!((&event["causationid"], &event["requester"]), (&json!(asked.id), &json!("till-1")));
    assert!(event["source"].as_str().unwrap().starts_with("conch://city/") && event["id"] != json!(asked.id));
    assert!(heard(&till).is_empty());
    while town.count("SELECT count(*) FROM outgoing") > 0 {
        thread::yield_now();
    }
    assert_eq!(town.count("SELECT count(*) FROM log WHERE topic = 'stall.help.v1'"), 1, "once on the bus");
}

#[test]
fn a_lease_runs_out_or_is_given_back_and_is_renewed() {
    let town = Town::open();
    let (till, ops) = (town.enrol("till-1", Role::Vendor), town.enrol("ops-1", Role::Ops));
    let first = register(&ops, 60)["until"].as_u64().unwrap();
    assert!(register(&ops, 600)["until"].as_u64().unwrap() > first + 500_000);
    let agents = |topic: &str| -> Vec<String> {
        let list = till.get(&format!("/v1/directory?topic={topic}")).json()["agents"].clone();
        list.as_array().unwrap().iter().map(|agent| agent["agent"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(agents("stall.help.v1"), ["ops-1"]);
    assert_eq!(
        (agents("pay.txn.v2"), agents("civic.events.v1")),
        (vec!["payments".into()], vec!["civic".into()])
    );
    assert_eq!(till.get("/v1/directory").json()["agents"].as_array().unwrap().len(), 5);
    town.meddle().execute("UPDATE agents SET until = 1", []).unwrap();
    assert!(agents("stall.help.v1").is_empty());
    till.send(&help(&till, "k-1", "request"));
    assert_eq!(heard(&till)[0]["type"], "market.directory.v1.not_understood");
    register(&ops, 60);
    assert_eq!(ops.ask("DELETE", "/v1/directory", &[], "").status, 204);
    assert!(agents("stall.help.v1").is_empty());
}

#[test]
fn a_device_speaks_for_itself_and_on_topics_of_its_role() {
    let town = Town::open();
    let (till, ops) = (town.enrol("till-1", Role::Vendor), town.enrol("ops-1", Role::Ops));
    let ask = |who: &Caller<'_>, body: Value| who.ask("POST", "/v1/directory", &[JSON], &body.to_string());
    let body = |agent: &str| json!({ "topics": ["stall.>"], "performatives": ["request"], "agent": agent });
    assert_eq!(ask(&till, body("ops-1")).problem(), "role-forbids");
    assert_eq!(ask(&till, body("till-1")).status, 200);
    assert_eq!(ask(&ops, body("till-2")).json()["agent"], "till-2");
    let gate = json!({ "topics": ["gate.>"], "performatives": ["request"] });
    assert_eq!(ask(&till, gate).problem(), "role-forbids-topic");
    let word = json!({ "topics": ["stall.>"], "performatives": ["shout"] });
    assert_eq!(ask(&till, word).problem(), "bad-request");
    assert_eq!(town.ask("GET", "/v1/directory", &[], "").status, 401);
}

#[test]
fn a_device_with_another_role_serves_no_more_what_it_served_before() {
    let town = Town::open();
    let (till, other) = (town.enrol("till-1", Role::Vendor), town.enrol("till-2", Role::Vendor));
    let body = json!({ "topics": ["pay.>"], "performatives": ["request"], "leaseS": 86_400 });
    assert_eq!(till.ask("POST", "/v1/directory", &[JSON], &body.to_string()).status, 200);
    let agents = || other.get("/v1/directory?topic=pay.help.v1").json()["agents"].as_array().unwrap().len();
    assert_eq!(agents(), 1);
    town.enrol("till-1", Role::Vendor);
    assert_eq!(agents(), 1, "the same device, the same business");
    town.enrol("till-1", Role::Gate);
    assert_eq!(agents(), 0);
}
