//! The board: how the market stands at a glance, that it hears of news at once, and the levers of development.

use crate::bus::report;
use crate::money::{held, online};
use crate::town::{BATCH, Caller, SINGLE, Town, a_millisecond_later, batch, paying};
use city_domain::Role;
use conch::event::Emit;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const JSON: (&str, &str) = ("content-type", "application/json");

fn board(ops: &Caller<'_>) -> Value {
    let answer = ops.get("/v1/board");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The board as soon as it is as wanted, by long polls alone.
fn until_board(ops: &Caller<'_>, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut shown = board(ops);
    let until = Instant::now() + Duration::from_secs(60);
    while !wanted(&shown) {
        assert!(Instant::now() < until, "{shown:#}");
        let stamp = shown["stamp"].as_str().unwrap();
        shown = ops.get(&format!("/v1/board?wait=2&after={stamp}")).json();
    }
    shown
}

fn device<'a>(board: &'a Value, name: &str) -> &'a Value {
    let list = board["devices"]["list"].as_array().unwrap();
    list.iter().find(|device| device["device"] == name).unwrap_or(&Value::Null)
}

fn alerts(board: &Value) -> Vec<(&str, &str)> {
    let list = board["alerts"].as_array().unwrap();
    list.iter()
        .map(|alert| (alert["kind"].as_str().unwrap(), alert["data"]["alert"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_board_is_for_ops_alone_and_holds_no_payload() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    assert_eq!(till.get("/v1/board").problem(), "ops-only");
    till.send(&till.event(&Emit {
        payload: json!({ "amount": 98_765, "currency": "TWD", "method": "cash" }).to_string(),
        ..paying("o-1", 1, 1)
    }));
    let gate = town.enrol("gate-n1", Role::Gate);
    gate.send(&report(&gate, "case-1", &json!({ "kind": "noise", "place": "behind the bakery" })));
    gate.send(&gate.scan("T-secret", "N1"));
    let second = town.enrol("gate-n2", Role::Gate);
    second.send(&second.scan("T-secret", "N2"));
    let shown = until_board(&ops, |shown| {
        shown["units"].as_array().is_some_and(|units| units.len() == 1)
            && shown["doubleAdmissions"]["total"] == 1
            && alerts(shown).contains(&("raised", "double_admission"))
    });
    let text = shown.to_string();
    for hidden in ["98765", "bakery", "noise", "T-secret"] {
        assert!(!text.contains(hidden), "{hidden} stands on the board: {shown:#}");
    }
    assert_eq!(shown["accepted"], 4);
    assert_eq!(shown["units"][0], json!({ "unit": "patrol", "routed": 1, "acknowledged": 0, "overdue": 0 }));
    assert_eq!(ops.get("/v1/board?wait=soon").problem(), "bad-request");
}

#[test]
fn a_board_that_waits_hears_of_an_event_at_once_and_of_nothing_when_nothing_happens() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let before = until_board(&ops, |shown| shown["bus"]["outgoing"] == 0);
    let stamp = before["stamp"].as_str().unwrap().to_owned();
    let began = Instant::now();
    let heard = thread::scope(|scope| {
        let waits = scope.spawn(|| ops.get(&format!("/v1/board?wait=25&after={stamp}")).json());
        thread::sleep(Duration::from_millis(300));
        till.send(&till.pay("o-1"));
        waits.join().unwrap()
    });
    assert_ne!(heard["stamp"], before["stamp"]);
    assert!(began.elapsed() < Duration::from_secs(10), "it heard of it only when its time was up");
    let shown = until_board(&ops, |shown| {
        shown["throughput"]["topics"].as_array().is_some_and(|topics| !topics.is_empty())
    });
    let counted = shown["throughput"]["at"].as_u64().unwrap();
    assert!(counted <= shown["now"].as_u64().unwrap(), "counted at {counted}, before it was told: {shown}");
    let pay = &shown["throughput"]["topics"][0];
    assert_eq!((&pay["topic"], &pay["lastMinute"]), (&json!("pay.txn.v2"), &json!(2)), "asked and captured");
    let mut still = until_board(&ops, |shown| shown["bus"]["outgoing"] == 0);
    // What the services did after the answer comes first; then boards alone wake nobody, each other neither.
    let other = town.enrol("ops-2", Role::Ops);
    let silent = (0..20).any(|_| {
        let (began, stamp) = (Instant::now(), still["stamp"].as_str().unwrap().to_owned());
        let path = format!("/v1/board?wait=3&after={stamp}");
        still = thread::scope(|scope| {
            scope.spawn(|| other.get(&path));
            ops.get(&path).json()
        });
        still["stamp"] == stamp && began.elapsed() >= Duration::from_secs(3)
    });
    assert!(silent, "a board is woken although nothing happens: {still}");
}

#[test]
fn many_events_are_few_pictures() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let pictures = thread::scope(|scope| {
        let sending =
            scope.spawn(|| (0..200).for_each(|order| drop(till.send(&till.pay(&format!("o-{order}"))))));
        let (mut pictures, mut stamp, began) = (0_u32, String::new(), Instant::now());
        while !sending.is_finished() {
            let shown = ops.get(&format!("/v1/board?wait=1&after={stamp}")).json();
            shown["stamp"].as_str().unwrap().clone_into(&mut stamp);
            pictures += 1;
        }
        sending.join().unwrap();
        f64::from(pictures) / (began.elapsed().as_secs_f64() / 0.4 + 2.0)
    });
    assert!(pictures <= 1.0, "{pictures} times as many as the limit");
}

#[test]
fn a_gap_in_a_devices_sequence_is_an_alarm_until_what_was_missing_comes() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let event = |sequence: u64| till.event_at(&paying(&format!("o-{sequence}"), 1, 100), sequence);
    let send = |sequence: u64, owed: &str| {
        let head = [BATCH, ("conch-owed", owed)];
        assert_eq!(till.ask("POST", "/v1/events", &head, &batch(&[event(sequence)])).status, 200);
    };
    send(1, "1-3");
    let shown = until_board(&ops, |shown| device(shown, "till-1")["lastSequence"] == 1);
    let own = device(&shown, "till-1");
    assert_eq!((&own["owed"], &own["missing"]), (&json!(2), &json!(0)), "two of three are still to come");
    assert_eq!(shown["owed"], 2);
    assert_eq!(device(&shown, "ops-1")["owed"], Value::Null, "it never said");
    send(5, "5-5");
    let shown = until_board(&ops, |shown| !alerts(shown).is_empty());
    let own = device(&shown, "till-1");
    assert_eq!((&own["owed"], &own["missing"], &own["lastSequence"]), (&json!(0), &json!(3), &json!(5)));
    assert_eq!((&own["gaps"][0]["first"], &own["gaps"][0]["last"]), (&json!(2), &json!(4)));
    assert_eq!(shown["devices"]["list"][0]["device"], "till-1", "what is wrong stands first");
    assert_eq!(shown["missing"], 3);
    let raised = &shown["alerts"][0];
    assert_eq!((&raised["kind"], &raised["data"]["alert"]), (&json!("raised"), &json!("sequence_gap")));
    let data = &raised["data"];
    assert_eq!((&data["device"], &data["first"], &data["last"]), (&json!("till-1"), &json!(2), &json!(4)));
    for sequence in 2..=4 {
        send(sequence, "6-5");
    }
    let shown = until_board(&ops, |shown| alerts(shown).len() == 2);
    assert_eq!(alerts(&shown), [("cleared", "sequence_gap"), ("raised", "sequence_gap")]);
    assert_eq!((&device(&shown, "till-1")["missing"], &shown["missing"]), (&json!(0), &json!(0)));
}

#[test]
fn what_will_never_come_is_given_up_with_a_reason_that_is_kept() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let give_up = |device: &str, reason: &str| {
        let body = json!({ "reason": reason }).to_string();
        ops.ask("POST", &format!("/v1/devices/{device}/write-off"), &[JSON], &body)
    };
    assert_eq!(give_up("till-1", "nothing is missing").problem(), "not-found");
    let sale = till.event_at(&paying("o-5", 1, 100), 5);
    till.ask("POST", "/v1/events", &[BATCH, ("conch-owed", "5-5")], &batch(&[sale]));
    until_board(&ops, |shown| shown["missing"] == 4);
    assert_eq!(give_up("till-1", " ").problem(), "bad-request");
    assert_eq!(give_up("No-Device", "why").problem(), "not-found");
    let given_up = give_up("till-1", "the phone fell into the harbour");
    assert_eq!(given_up.json(), json!({ "device": "till-1", "writtenOff": 4 }));
    let shown = until_board(&ops, |shown| alerts(shown).len() == 2);
    assert_eq!(alerts(&shown)[0], ("cleared", "sequence_gap"));
    assert_eq!((&shown["missing"], &device(&shown, "till-1")["missing"]), (&json!(0), &json!(0)));
    let kept = "SELECT count(*) FROM written_off WHERE device = 'till-1' AND first = 1 AND last = 4
        AND by = 'ops-1' AND reason = 'the phone fell into the harbour'";
    assert_eq!(town.count(kept), 1);
    let gate = town.enrol("gate-1", Role::Gate);
    let refused = gate.ask("POST", "/v1/devices/till-1/write-off", &[JSON], r#"{"reason":"x"}"#);
    assert_eq!(refused.problem(), "ops-only");
}

#[test]
fn a_board_hears_what_was_decided_from_the_command_line() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let sale = till.event_at(&paying("o-3", 1, 100), 3);
    till.ask("POST", "/v1/events", &[BATCH, ("conch-owed", "3-3")], &batch(&[sale]));
    let shown = until_board(&ops, |shown| shown["missing"] == 2 && shown["bus"]["outgoing"] == 0);
    let given_up =
        |reason: &str| town.command(&["devices", "write-off", "till-1", "--reason", reason, "--by", "ann"]);
    assert!(!given_up("").status.success());
    let (stamp, began) = (shown["stamp"].as_str().unwrap().to_owned(), Instant::now());
    let said = given_up("the phone is lost");
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "till-1: 2 events are given up\n");
    let heard = ops.get(&format!("/v1/board?wait=25&after={stamp}")).json();
    assert_eq!(heard["missing"], 0);
    assert!(began.elapsed() < Duration::from_secs(15), "it heard of it only when its time was up");
    let again = given_up("the phone is lost");
    assert!(String::from_utf8(again.stderr).unwrap().contains("nothing is missing of till-1"));
}

#[test]
fn what_is_lost_on_its_way_was_not_heard() {
    let town = Town::open();
    let (ops, gate) = (town.enrol("ops-1", Role::Ops), town.enrol("gate-n1", Role::Gate));
    gate.get("/v1/edge");
    let heard = |shown: &Value| device(shown, "gate-n1")["heardAt"].as_u64().unwrap();
    let before = heard(&board(&ops));
    town.weather("gate-n1", json!({ "mode": "drop-request" }));
    a_millisecond_later();
    assert!(gate.try_ask("GET", "/v1/edge", &[], "").is_none());
    assert_eq!(heard(&board(&ops)), before);
    town.weather("gate-n1", json!({ "mode": "clear" }));
    gate.get("/v1/edge");
    assert!(heard(&board(&ops)) > before);
}

#[test]
fn what_came_again_and_was_not_done_again_is_counted() {
    let town = Town::open();
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    let sale = till.pay("o-1");
    till.send(&sale);
    assert_eq!(board(&ops)["repeated"], 0);
    assert_eq!(till.send(&sale).verdicts(), ["accepted"], "its answer was lost");
    assert_eq!(till.send(&till.pay("o-1")).verdicts(), ["duplicate"], "a second tap after a reset");
    let shown = until_board(&ops, |shown| shown["repeated"] == 2);
    assert_eq!((&shown["accepted"], &shown["refused"]), (&json!(1), &json!(0)));
    assert_eq!(town.totals()["captures"], 1);
}

#[test]
fn two_gates_that_let_in_with_one_ticket_stand_there_with_both_times() {
    let town = Town::open();
    let ops = town.enrol("ops-1", Role::Ops);
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    north.send(&north.scan("T-1", "N1"));
    north.send(&north.scan("T-2", "N1"));
    south.send(&south.scan("T-1", "S1"));
    let shown = until_board(&ops, |shown| shown["doubleAdmissions"]["total"] == 1);
    let double = &shown["doubleAdmissions"]["list"][0];
    assert_eq!((&double["firstGateId"], &double["gateId"]), (&json!("N1"), &json!("S1")));
    assert_eq!((&double["firstDevice"], &double["device"]), (&json!("gate-n1"), &json!("gate-s1")));
    assert!(double["firstAt"].as_u64() <= double["at"].as_u64());
}

#[test]
fn a_stuck_refund_is_counted_and_a_person_decides_about_it_over_http() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated", "double=1", "--settle-every-s", "1"]);
    let (ops, till) = (town.enrol("ops-1", Role::Ops), town.enrol("till-1", Role::Vendor));
    for order in ["o-1", "o-2"] {
        let authorization = held(&till, order, 5_000);
        till.send(&online(&till, order, 1, &authorization));
    }
    let stage = |shown: &Value, state: &str| {
        let stages = shown["sagas"].as_array().unwrap();
        stages.iter().find(|stage| stage["state"] == state).unwrap().clone()
    };
    let shown = until_board(&ops, |shown| stage(shown, "refunded")["total"] == 2);
    let states: Vec<_> =
        shown["sagas"].as_array().unwrap().iter().map(|stage| stage["state"].clone()).collect();
    assert_eq!(states, ["found", "commanded", "stuck", "refunded", "settled"]);
    assert!(shown["sagaMoves"].as_array().unwrap().contains(&json!(["stuck", "settled"])));
    let done = stage(&shown, "refunded")["list"][0]["dupTxnId"].as_str().unwrap().to_owned();
    let decide = |txn: &str, what: &str, reason: &str| {
        let body = json!({ "reason": reason }).to_string();
        ops.ask("POST", &format!("/v1/sagas/{txn}/{what}"), &[JSON], &body)
    };
    assert_eq!(decide(&done, "settle", "twice is once").problem(), "decided");
    assert_eq!(decide("txn-nobody", "retry", "why not").problem(), "not-found");
    // As if the acquirer had refused as often as it is asked.
    let books = town.meddle();
    books.busy_timeout(Duration::from_secs(10)).unwrap();
    books.execute("UPDATE duplicates SET state = 'stuck', refunding = 0", []).unwrap();
    until_board(&ops, |shown| stage(shown, "stuck")["total"] == 2);
    assert_eq!(decide(&done, "settle", "").problem(), "bad-request");
    let settled = decide(&done, "settle", "paid in cash at the stall");
    assert_eq!((settled.status, &settled.json()["state"]), (200, &json!("settled")));
    let shown = until_board(&ops, |shown| stage(shown, "settled")["total"] == 1);
    assert!(alerts(&shown).contains(&("cleared", "refund_stuck")), "{:?}", alerts(&shown));
    let story = ops.get(&format!("/v1/sagas/{done}")).json();
    assert_eq!(
        story["steps"].as_array().unwrap().last().unwrap()["detail"],
        "ops-1: paid in cash at the stall"
    );
    assert_eq!(decide(&done, "retry", "again").problem(), "decided");
}

#[test]
fn the_desk_makes_a_circuit_shed_and_changes_the_acquirers_faults() {
    let plan = json!([{ "circuit": "c4", "limitWatts": 1000, "stalls": { "stall-1": 1, "stall-2": 9 } }]);
    let root = Town::ground();
    let path = root.join("plan.json");
    std::fs::write(&path, plan.to_string()).unwrap();
    let options = ["--dev", "--circuits", path.to_str().unwrap(), "--acquirer-simulated", "decline=0.5"];
    let town = Town::start(root, &options, None);
    let ops = town.enrol("ops-1", Role::Ops);
    let say = |body: Value| ops.ask("POST", "/v1/dev/loads", &[JSON], &body.to_string());
    assert_eq!(say(json!({ "circuit": "c4", "stall": "stall-1", "watts": 600 })).status, 202);
    assert_eq!(say(json!({ "circuit": "c4", "stall": "stall-2", "watts": 700 })).status, 202);
    assert_eq!(say(json!({ "circuit": "c9", "stall": "stall-2", "watts": 700 })).status, 400);
    let shown = until_board(&ops, |shown| !shown["circuits"][0]["stalls"][0]["shedAt"].is_null());
    let circuit = &shown["circuits"][0];
    assert_eq!((&circuit["limitWatts"], &circuit["carriedWatts"]), (&json!(1000), &json!(600)));
    assert_eq!((&circuit["stalls"][0]["stall"], &circuit["total"]), (&json!("stall-2"), &json!(2)));
    let faults = |body: &str| ops.ask("PUT", "/v1/dev/acquirer", &[JSON], body);
    assert_eq!(ops.get("/v1/dev/acquirer").json(), json!({ "faults": "decline=0.5" }), "as it was started");
    assert_eq!(faults(r#"{"faults":"outage=1"}"#).json(), json!({ "faults": "outage=1" }));
    assert_eq!(ops.get("/v1/dev/acquirer").json(), json!({ "faults": "outage=1" }));
    assert_eq!(faults(r#"{"faults":"thunder=1"}"#).problem(), "bad-request");
    assert_eq!(faults(r#"{"faults":""}"#).json(), json!({ "faults": "" }));
    let till = town.enrol("till-1", Role::Vendor);
    assert_eq!(till.get("/v1/dev/acquirer").problem(), "role-forbids");
    held(&till, "o-1", 5_000);
}

#[test]
fn without_development_there_is_no_desk() {
    let town = Town::open_with(&[]);
    let code = town.command(&["codes", "new", "--role", "ops", "--device", "ops-1"]);
    let code = String::from_utf8(code.stdout).unwrap();
    let body = json!({ "code": code.trim(), "device": "ops-1" }).to_string();
    let enrolled = town.ask("POST", "/v1/enrol", &[JSON], &body).json();
    let ops = Caller::new(&town, "ops-1", enrolled["token"].as_str().unwrap().to_owned());
    assert_eq!(board(&ops)["development"], false);
    for path in ["/v1/dev/weather", "/v1/dev/acquirer"] {
        assert_eq!(ops.get(path).status, 404, "{path}");
    }
    assert_eq!(ops.ask("POST", "/v1/dev/loads", &[JSON], "{}").status, 404);
}

#[test]
fn a_dead_letter_stands_there_until_a_person_decided() {
    let town = Town::open();
    let ops = town.enrol("ops-1", Role::Ops);
    // A unit's word about a case nobody reported.
    let word = ops.event(&Emit {
        topic: "civic.events.v1".into(),
        kind: "resolved".into(),
        key: "case-x".into(),
        payload: "{}".into(),
        ..Emit::default()
    });
    let key = format!("\"{}\"", word.intent);
    let sent = ops.ask("POST", "/v1/events", &[SINGLE, ("idempotency-key", &key)], &word.body);
    assert_eq!(sent.verdicts(), ["accepted"], "{sent:?}");
    let shown = until_board(&ops, |shown| shown["deadLetters"]["total"] == 1);
    let letter = &shown["deadLetters"]["list"][0];
    assert_eq!((&letter["code"], &letter["consumer"]), (&json!("no-case"), &json!("civic")));
    let discard = format!("/v1/dead-letters/{}/discard", letter["number"]);
    assert_eq!(ops.ask("POST", &discard, &[JSON], r#"{"reason":"a test"}"#).status, 200);
    until_board(&ops, |shown| shown["deadLetters"]["total"] == 0);
}
