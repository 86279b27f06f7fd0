//! What the city knows of its devices: a second one with the same name, and who may no longer speak.

use crate::town::{BATCH, Caller, Event, Town, altered, batch, paying};
use city_domain::Role;
use serde_json::{Value, json};
use std::thread::yield_now;
use std::time::Duration;

/// The alerts about clones, in their order: kind, device and reason.
fn alerts(town: &Town) -> Vec<(String, String, String)> {
    while town.count("SELECT count(*) FROM outgoing") > 0 {
        yield_now();
    }
    let books = town.meddle();
    let mut rows =
        books.prepare("SELECT type, body FROM log WHERE topic = 'ops.alerts.v1' ORDER BY offset").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.filter_map(|row| {
        let (kind, body): (String, String) = row.unwrap();
        let data = serde_json::from_str::<Value>(&body).unwrap()["data"].clone();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        (data["alert"] == "device_cloned").then(|| (kind, text("device"), text("code")))
    })
    .collect()
}

fn alert(kind: &str, why: &str) -> (String, String, String) {
    (kind.to_owned(), "till-1".to_owned(), why.to_owned())
}

/// The event as another life of the device's database would say it.
fn reborn(event: &Event) -> Event {
    altered(event, "/life-1", "/life-2")
}

fn time_passes(town: &Town) {
    let books = town.meddle();
    books.busy_timeout(Duration::from_secs(10)).unwrap();
    books.execute("UPDATE lives SET first_at = first_at - 120000, epoch_at = epoch_at - 120000", []).unwrap();
}

fn code(town: &Town, device: &str) -> String {
    let made = town.command(&["codes", "new", "--role", "vendor", "--device", device]);
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn enrol<'a>(town: &'a Town, device: &str) -> Caller<'a> {
    let body = json!({ "code": code(town, device), "device": device }).to_string();
    let answer = town.ask("POST", "/v1/enrol", &[("content-type", "application/json")], &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    Caller::new(town, device, answer.json()["token"].as_str().unwrap().to_owned())
}

#[test]
fn a_clone_is_told_once_its_events_count_and_a_new_enrolment_clears_it() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    till.send(&till.pay("o-1"));
    assert_eq!(till.send(&reborn(&till.pay("o-2"))).verdicts(), ["accepted"]);
    assert_eq!(till.send(&till.pay("o-3")).verdicts(), ["accepted"], "it was on its way");
    assert_eq!(alerts(&town), []);
    time_passes(&town);
    for order in ["o-4", "o-5"] {
        assert_eq!(till.send(&till.pay(order)).verdicts(), ["accepted"], "nothing is lost");
    }
    assert_eq!(alerts(&town), [alert("raised", "two_lives")]);
    assert!(town.log().contains("another device bears this name"), "{}", town.log());
    let again = enrol(&town, "till-1");
    assert_eq!(alerts(&town), [alert("raised", "two_lives"), alert("cleared", "two_lives")]);
    again.send(&again.pay("o-6"));
    time_passes(&town);
    again.send(&again.pay("o-7"));
    assert_eq!(alerts(&town).len(), 2, "the one that enrolled is alone");
}

#[test]
fn two_events_at_one_place_are_two_devices_and_a_batch_sent_again_is_one() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.event_at(&paying("o-1", 1, 100), 7);
    let send = |events: &[Event]| {
        till.ask("POST", "/v1/events", &[BATCH, ("conch-epoch", "3"), ("conch-owed", "7-9")], &batch(events))
    };
    send(std::slice::from_ref(&sale));
    send(&[sale]);
    assert_eq!(alerts(&town), []);
    assert_eq!(send(&[till.event_at(&paying("o-2", 1, 100), 7)]).verdicts(), ["accepted"]);
    assert_eq!(alerts(&town), [alert("raised", "two_events_at_one_place")]);
}

#[test]
fn a_gate_of_the_plan_hears_on_its_feed_that_its_power_goes() {
    let plan = json!([{
        "circuit": "c4", "limitWatts": 1000, "stalls": { "stall-1": 1, "gate-1": 9 }, "meters": ["meter-1"],
    }]);
    let path = std::env::temp_dir().join(format!("plan-of-a-gate-{}.json", std::process::id()));
    std::fs::write(&path, plan.to_string()).unwrap();
    let town = Town::open_with(&["--dev", "--circuits", path.to_str().unwrap()]);
    let (gate, other) = (town.enrol("gate-1", Role::Gate), town.enrol("gate-2", Role::Gate));
    let meter = town.enrol("meter-1", Role::Ops);
    for (stall, watts) in [("stall-1", 600), ("gate-1", 700)] {
        meter.send(&meter.event(&conch::event::Emit {
            topic: "ops.power.v1".into(),
            kind: "load_reported".into(),
            key: "c4".into(),
            payload: json!({ "stall": stall, "watts": watts }).to_string(),
            ..Default::default()
        }));
    }
    let heard = gate.get("/v1/feed?wait=25").json();
    let events = heard["events"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("ops.power.v1.shed")));
    assert_eq!(events[0]["data"]["graceS"], 20);
    assert_eq!(other.get("/v1/feed").json()["events"], json!([]), "only whom the plan names");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_circuit_says_what_it_carries_and_who_is_shed() {
    let plan = json!([{ "circuit": "c4", "limitWatts": 1000, "stalls": { "stall-1": 1, "stall-2": 9 } }]);
    let path = std::env::temp_dir().join(format!("plan-{}.json", std::process::id()));
    std::fs::write(&path, plan.to_string()).unwrap();
    let town = Town::open_with(&["--dev", "--circuits", path.to_str().unwrap()]);
    let ops = town.enrol("ops-1", Role::Ops);
    for (stall, watts) in [("stall-1", 600), ("stall-2", 700)] {
        let stall = town.enrol(stall, Role::Vendor);
        stall.send(&stall.event(&conch::event::Emit {
            topic: "ops.power.v1".into(),
            kind: "load_reported".into(),
            key: "c4".into(),
            payload: json!({ "watts": watts }).to_string(),
            ..Default::default()
        }));
    }
    let shown = loop {
        let shown = ops.get("/v1/circuits/c4").json();
        if shown["stalls"].as_array().is_some_and(|stalls| stalls.iter().any(|stall| stall["shed"] == true)) {
            break shown;
        }
    };
    assert_eq!((&shown["limitWatts"], &shown["drawnWatts"]), (&json!(1000), &json!(1300)));
    let stalls: Vec<_> =
        shown["stalls"].as_array().unwrap().iter().map(|stall| (&stall["stall"], &stall["shed"])).collect();
    assert_eq!(stalls, [(&json!("stall-1"), &json!(false)), (&json!("stall-2"), &json!(true))]);
    assert_eq!(ops.get("/v1/circuits/c9").status, 404);
    assert_eq!(town.enrol("till-1", Role::Vendor).get("/v1/circuits/c4").problem(), "ops-only");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_revoked_device_is_shut_out_while_the_city_runs_and_comes_back_with_a_code() {
    let town = Town::open();
    let (till, other) = (town.enrol("till-1", Role::Vendor), town.enrol("till-2", Role::Vendor));
    let waiting = code(&town, "till-1");
    till.send(&till.pay("o-1"));
    let revoked = town.command(&["devices", "revoke", "till-1"]);
    let said = String::from_utf8(revoked.stdout).unwrap();
    assert_eq!(said, "till-1: void are 1 of its tokens and 1 of its codes\n");
    let began = std::time::Instant::now();
    while till.get("/v1/edge").status != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "the running city has not noticed");
        yield_now();
    }
    assert_eq!(till.send(&till.pay("o-2")).problem(), "unauthenticated");
    assert_eq!(other.get("/v1/edge").status, 200, "nobody else is");
    let body = json!({ "code": waiting, "device": "till-1" }).to_string();
    let refused = town.ask("POST", "/v1/enrol", &[("content-type", "application/json")], &body);
    assert_eq!(refused.problem(), "code-refused", "a code made before is void too");
    let again = enrol(&town, "till-1");
    assert_eq!(again.send(&again.pay("o-3")).verdicts(), ["accepted"]);
    let nobody = town.command(&["devices", "revoke", "till-9"]);
    assert!(!nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("no device till-9"));
}

/// What the city has to say is not for whoever lost the token meanwhile.
#[test]
fn a_long_poll_that_outlives_its_token_hears_nothing() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| till.get("/v1/feed?wait=3"));
        town.until_health("listening", 1);
        assert!(town.command(&["devices", "revoke", "till-1"]).status.success());
        assert_eq!(poll.join().unwrap().problem(), "unauthenticated");
    });
}

#[test]
fn the_list_says_how_each_device_stands() {
    let town = Town::open();
    let (till, gate) = (town.enrol("till-1", Role::Vendor), town.enrol("gate-n1", Role::Gate));
    let sale = till.event_at(&paying("o-1", 1, 100), 7);
    let head = [BATCH, ("conch-epoch", "3"), ("conch-owed", "6-9")];
    till.ask("POST", "/v1/events", &head, &batch(&[sale]));
    till.send(&till.event_at(&paying("o-2", 1, 100), 7));
    gate.send(&gate.scan("t-1", "n1"));
    let list = String::from_utf8(town.command(&["devices", "list"]).stdout).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].starts_with("gate-n1 gate enrolled ") && lines[0].ends_with("owes: unknown, 1 token"),
        "{list}"
    );
    assert!(lines[1].contains("owes within 6-9, 1 token, 5 events never came"), "{list}");
    assert!(
        lines[2].contains("CLONED since") && lines[2].contains("two events came from one place"),
        "{list}"
    );
    let shown = town.command(&["devices", "show", "till-1"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["owed"], &shown["missing"]), (&json!({ "lowest": 6, "highest": 9 }), &json!(5)));
    assert_eq!(
        (&shown["lives"][0]["incarnation"], &shown["lives"][0]["epoch"]),
        (&json!("life-1"), &json!(3))
    );
    assert_eq!((&shown["gaps"][0]["first"], &shown["gaps"][0]["last"]), (&json!(1), &json!(5)));
    assert_eq!(shown["clone"]["why"], "two_events_at_one_place");
    let json = String::from_utf8(town.command(&["devices", "list", "--json"]).stdout).unwrap();
    assert_eq!(json.lines().count(), 2);
    assert!(!list.contains(&till.token) && !json.contains(&till.token));
}
