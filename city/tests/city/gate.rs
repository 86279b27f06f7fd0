//! Tickets at gates over HTTP: double admissions, claims, digests.

use crate::town::{Answer, Caller, Event, Town, a_millisecond_later, altered, some_id};
use city_domain::{Role, digest, limits};
use conch::event::{Emit, Key};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A scan whose gate has decided by itself.
fn let_in(by: &Caller<'_>, ticket: &str, gate: &str) -> Event {
    decided(by, ticket, gate, "admitted")
}

fn decided(by: &Caller<'_>, ticket: &str, gate: &str, decision: &str) -> Event {
    by.event(&Emit {
        topic: "gate.auth.v2".into(),
        kind: "scanned".into(),
        key: ticket.into(),
        payload: json!({ "gateId": gate, "ticketId": ticket, "decision": decision }).to_string(),
        ..Emit::default()
    })
}

fn verified(by: &Caller<'_>, ticket: &str, gate: &str) -> Event {
    by.event(&Emit {
        topic: "gate.auth.v1".into(),
        kind: "verified".into(),
        key: ticket.into(),
        payload: json!({ "gate": gate, "code": ticket, "ok": 1 }).to_string(),
        ..Emit::default()
    })
}

fn claim(by: &Caller<'_>, ticket: &str, gate: &str, key: &str) -> Answer {
    let key = format!("\"{key}\"");
    let head = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    by.ask("POST", &format!("/v1/tickets/{ticket}/claim"), &head, &json!({ "gateId": gate }).to_string())
}

/// Types and payloads on a device's feed.
fn heard(by: &Caller<'_>) -> Vec<(String, Value)> {
    let feed = by.get("/v1/feed").json();
    let events = feed["events"].as_array().unwrap().iter();
    events.map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
}

fn kinds(by: &Caller<'_>) -> Vec<String> {
    heard(by).into_iter().map(|(kind, _)| kind).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

fn alerts(town: &Town, word: &str) -> Vec<Value> {
    let books = town.meddle();
    let mut statement = books
        .prepare("SELECT body FROM log WHERE topic = 'ops.alerts.v1' ORDER BY partition, offset")
        .unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let data = bodies.map(|body| serde_json::from_str::<Value>(&body.unwrap()).unwrap()["data"].clone());
    data.filter(|data| data["alert"] == word).collect()
}

#[test]
fn two_gates_one_ticket_and_the_earlier_scan_arrives_last() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let early = let_in(&north, "t-1", "n1");
    a_millisecond_later();
    let late = let_in(&south, "t-1", "s1");
    south.send(&late);
    assert_eq!(kinds(&south), ["gate.auth.v2.admitted"]);
    north.send(&early);

    let ticket = south.get("/v1/tickets/t-1").json();
    assert_eq!((&ticket["state"], &ticket["eventId"]), (&json!("admitted"), &json!(early.id)));
    assert_eq!(ticket["duplicates"][0]["eventId"], json!(late.id));
    assert_eq!(ticket["digest"], json!(digest(&Key::parse("t-1").unwrap())));
    let own = |by: &Caller<'_>| {
        heard(by).into_iter().filter(|(kind, _)| kind.starts_with("gate.auth")).collect::<Vec<_>>()
    };
    for (told, first) in [(&north, "gate.auth.v2.admitted"), (&south, "gate.auth.v2.admitted")] {
        let heard = own(told);
        assert_eq!((heard.len(), heard[0].0.as_str()), (2, first));
        assert_eq!(heard[1].0, "gate.auth.v2.duplicate_admission");
        assert_eq!((&heard[1].1["gateId"], &heard[1].1["firstGateId"]), (&json!("s1"), &json!("n1")));
    }
    until("the alert", || alerts(&town, "double_admission").len() == 1);
    let alert = &alerts(&town, "double_admission")[0];
    assert_eq!((&alert["gateId"], &alert["firstGateId"]), (&json!("s1"), &json!("n1")));
    assert!(!alert.to_string().contains("t-1"));
    assert_eq!(town.totals()["admissions"], 1);
}

#[test]
fn a_waiting_gate_hears_at_once_that_its_ticket_came_in_elsewhere() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    north.send(&let_in(&north, "t-1", "n1"));
    let cursor = north.get("/v1/feed").json()["cursor"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| north.get(&format!("/v1/feed?after={cursor}&wait=25")));
        town.until_health("listening", 1);
        south.send(&let_in(&south, "t-1", "s1"));
        let heard = poll.join().unwrap().json();
        assert_eq!(heard["events"][0]["type"], "gate.auth.v2.duplicate_admission");
    });
}

#[test]
fn a_ticket_and_its_twin_of_the_old_ticketing_admit_one() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let old = verified(&north, "t-1", "n1");
    a_millisecond_later();
    let new = south.scan("t-1", "s1");
    south.send(&new);
    north.send(&old);
    assert_eq!(south.get("/v1/tickets/t-1").json()["eventId"], json!(old.id));
    assert_eq!(claim(&south, "t-1", "s1", &some_id()).json()["decision"], "refuse");
    assert_eq!(town.totals()["admissions"], 1);
    assert_eq!(town.count("SELECT count(*) FROM scans WHERE result = 'admitted'"), 1);
}

#[test]
fn a_claim_decides_once_and_its_event_confirms_it() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let scan = let_in(&north, "t-1", "n1");
    let first = claim(&north, "t-1", "n1", &scan.id);
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    assert_eq!((&first.json()["decision"], &first.json()["gateId"]), (&json!("admit"), &json!("n1")));
    assert_eq!(town.totals()["admissions"], 1, "also if the event never comes");

    let refused = claim(&south, "t-1", "s1", &some_id());
    assert_eq!(
        (&refused.json()["decision"], &refused.json()["reason"]),
        (&json!("refuse"), &json!("duplicate"))
    );
    assert_eq!(
        (&refused.json()["firstGateId"], &refused.json()["firstAt"]),
        (&json!("n1"), &first.json()["at"])
    );

    let again = claim(&north, "t-1", "n1", &scan.id);
    assert_eq!(
        (again.body.as_str(), again.header("idempotency-replayed")),
        (first.body.as_str(), Some("true"))
    );

    assert_eq!(north.send(&scan).verdicts(), ["accepted"]);
    assert_eq!((&town.totals()["scans"], &town.totals()["admissions"]), (&json!(1), &json!(1)));
    assert_eq!(kinds(&north), ["gate.auth.v2.admitted"]);
    assert_eq!(claim(&north, "t-1", "n1", &scan.id).body, first.body);
    assert_eq!(town.count("SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1'"), 0);
}

#[test]
fn of_many_gates_that_ask_at_once_one_opens() {
    let town = Town::open();
    let gates: Vec<_> = (0..8).map(|n| town.enrol(&format!("gate-{n}"), Role::Gate)).collect();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asks: Vec<_> = gates
            .iter()
            .flat_map(|gate| {
                let key = some_id();
                // Each asks twice with the same key, as after a lost answer.
                [key.clone(), key].map(|key| scope.spawn(move || claim(gate, "t-1", "n1", &key).json()))
            })
            .collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    for pair in answers.chunks(2) {
        assert_eq!(pair[0], pair[1], "the same key, the same answer");
    }
    assert_eq!(answers.iter().filter(|answer| answer["decision"] == "admit").count(), 2, "{answers:?}");
    assert_eq!(town.totals()["admissions"], 1);
}

#[test]
fn a_claim_survives_a_power_cut_with_its_answer() {
    let town = Town::open();
    let (token, key, first) = {
        let north = town.enrol("gate-n1", Role::Gate);
        let key = some_id();
        (north.token.clone(), key.clone(), claim(&north, "t-1", "n1", &key).body)
    };
    let town = town.pull_the_plug(&["--dev"]);
    let north = Caller::new(&town, "gate-n1", token);
    assert_eq!(claim(&north, "t-1", "n1", &key).body, first);
}

#[test]
fn what_is_no_claim_is_told_so() {
    let town = Town::open();
    let (north, till) = (town.enrol("gate-n1", Role::Gate), town.enrol("till-1", Role::Vendor));
    let key = some_id();
    let told = |answer: Answer| (answer.status, answer.problem());
    assert_eq!(told(claim(&till, "t-1", "n1", &key)), (403, "gates-only".into()));
    assert_eq!(told(claim(&north, "0912345678", "n1", &key)), (400, "bad-key".into()));
    assert_eq!(told(claim(&north, "t-1", "", &key)), (400, "bad-request".into()));
    assert_eq!(told(claim(&north, "t-1", &"n".repeat(65), &key)), (400, "bad-request".into()));
    assert_eq!(told(claim(&north, "t-1", "n1", "one")), (400, "idempotency-key-malformed".into()));
    let json_type = ("content-type", "application/json");
    let path = "/v1/tickets/t-1/claim";
    assert_eq!(told(north.ask("POST", path, &[json_type], "{}")), (400, "idempotency-key-missing".into()));
    let head = [json_type, ("idempotency-key", key.as_str())];
    assert_eq!(told(north.ask("POST", path, &head, "{}")), (400, "bad-request".into()));
    assert_eq!(told(north.ask("POST", path, &head[1..], "{}")), (415, "media-type".into()));
    assert_eq!(told(town.ask("POST", path, &head, "{}")), (401, "unauthenticated".into()));
    assert_eq!(town.count("SELECT count(*) FROM claims"), 0);
    claim(&north, "t-1", "n1", &key);
    assert_eq!(told(claim(&north, "t-2", "n1", &key)), (422, "payload-changed".into()));
    let ops = town.enrol("ops-1", Role::Ops);
    assert_eq!(claim(&ops, "t-3", "n1", &key).status, 200, "another device's key is another");
}

#[test]
fn a_digest_reaches_the_other_gates_and_not_its_own() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let till = town.enrol("till-1", Role::Vendor);
    north.send(&let_in(&north, "t-1", "n1"));
    claim(&north, "t-2", "n1", &some_id());
    until("the digests", || heard(&south).len() == 2);
    let digests: Vec<Value> = heard(&south)
        .into_iter()
        .map(|(kind, data)| {
            assert_eq!((kind.as_str(), &data["gateId"]), ("gate.seen.v1.admitted", &json!("n1")));
            data["digest"].clone()
        })
        .collect();
    for ticket in ["t-1", "t-2"] {
        assert!(digests.contains(&json!(digest(&Key::parse(ticket).unwrap()))), "{ticket}");
    }
    assert_eq!(kinds(&north), ["gate.auth.v2.admitted"]);
    assert!(kinds(&till).is_empty());
    let body = south.get("/v1/feed").body;
    assert!(!body.contains("\"t-1\"") && !body.contains("\"t-2\""), "{body}");
}

#[test]
fn a_gate_that_only_listens_is_told_too_and_one_that_is_away_is_not() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    town.enrol("gate-w1", Role::Gate);
    town.meddle().execute("UPDATE devices SET seen_at = 1 WHERE device <> 'gate-n1'", []).unwrap();
    south.get("/v1/feed");
    until("it was seen", || town.count("SELECT seen_at > 1 FROM devices WHERE device = 'gate-s1'") == 1);
    north.send(&let_in(&north, "t-1", "n1"));
    until("the digest", || heard(&south).len() == 1);
    assert_eq!(town.count("SELECT count(*) FROM feed WHERE device = 'gate-w1'"), 0);
}

#[test]
fn digests_whose_time_has_come_leave_the_feed_and_no_cursor_goes_stale() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    for n in 0..5 {
        north.send(&let_in(&north, &format!("t-{n}"), "n1"));
    }
    until("the digests", || heard(&south).len() == 5);
    let cursor = south.get("/v1/feed").json()["cursor"].as_str().unwrap().to_owned();
    town.meddle().execute("UPDATE feed SET until = 1 WHERE until IS NOT NULL", []).unwrap();
    until("they are forgotten", || town.count("SELECT count(*) FROM feed WHERE device = 'gate-s1'") == 1);
    assert_eq!(south.get(&format!("/v1/feed?after={cursor}")).status, 200);
    assert_eq!(town.count("SELECT count(*) FROM feed WHERE device = 'gate-n1'"), 5, "answers stay");
}

#[test]
fn a_scan_again_within_seconds_is_an_ordinary_duplicate() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    north.send(&north.scan("t-1", "n1"));
    north.send(&north.scan("t-1", "n1"));
    assert_eq!(kinds(&north), ["gate.auth.v2.admitted", "gate.auth.v2.duplicate_admission"]);
    assert!(alerts(&town, "double_admission").is_empty());
}

#[test]
fn a_claim_whose_gate_let_nobody_in_frees_the_ticket() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    let scan = decided(&north, "t-1", "n1", "refused");
    claim(&north, "t-1", "n1", &scan.id);
    north.send(&scan);
    let ticket = north.get("/v1/tickets/t-1").json();
    assert_eq!((&ticket["state"], &ticket["scans"]), (&json!("refused"), &json!(1)));
    let other = altered(&north.scan("t-1", "n1"), "\"n1\"", "\"n2\"");
    north.send(&other);
    assert_eq!(north.get("/v1/tickets/t-1").json()["eventId"], json!(other.id));
}

#[test]
fn a_claim_taken_back_gives_the_admission_to_the_next_scan() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let scan = decided(&north, "t-1", "n1", "refused");
    claim(&north, "t-1", "n1", &scan.id);
    a_millisecond_later();
    let other = let_in(&south, "t-1", "s1");
    south.send(&other);
    north.send(&scan);
    let ticket = north.get("/v1/tickets/t-1").json();
    assert_eq!((&ticket["eventId"], &ticket["duplicates"]), (&json!(other.id), &json!([])));
    let told: Vec<String> = kinds(&south).into_iter().filter(|kind| kind.starts_with("gate.auth")).collect();
    assert_eq!(told, ["gate.auth.v2.duplicate_admission", "gate.auth.v2.admitted"]);
}

#[test]
fn a_claim_for_another_ticket_than_its_event_frees_that_ticket() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    north.send(&let_in(&north, "t-2", "n1"));
    let scan = let_in(&north, "t-2", "n1");
    claim(&north, "t-1", "n1", &scan.id);
    assert_eq!(north.send(&scan).verdicts(), ["accepted"]);
    assert_eq!(north.get("/v1/tickets/t-1").status, 404);
    let ticket = north.get("/v1/tickets/t-2").json();
    assert_eq!((&ticket["scans"], &ticket["duplicates"][0]["eventId"]), (&json!(2), &json!(scan.id)));
}

/// Whatever the decisions say, the books hold one admission a ticket.
#[test]
fn the_books_take_no_second_admission() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    north.send(&let_in(&north, "t-1", "n1"));
    north.send(&let_in(&north, "t-1", "n1"));
    let books = town.meddle();
    for sql in [
        "UPDATE scans SET result = 'admitted' WHERE result = 'duplicate'",
        "INSERT INTO admissions VALUES ('t-1', zeroblob(16), 'gate-n1', 'n1', 1)",
    ] {
        assert!(books.execute(sql, []).is_err(), "{sql}");
    }
}

/// The domain's properties hold over the real books: events of a whole evening in a shuffled order, some of them claimed.
#[test]
fn after_an_evening_in_any_order_every_admission_is_its_tickets_earliest_scan() {
    let town = Town::open();
    let gates: Vec<_> = (0..3).map(|n| town.enrol(&format!("gate-{n}"), Role::Gate)).collect();
    let mut events: Vec<(usize, String, Event)> = Vec::new();
    for n in 0..90 {
        let (by, ticket) = (n % 3, format!("t-{}", n * 7 % 10));
        let gate = &gates[by];
        let event = match n * 5 % 4 {
            0 => verified(gate, &ticket, "n1"),
            1 => let_in(gate, &ticket, "n1"),
            2 => decided(gate, &ticket, "n1", "refused"),
            _ => gate.scan(&ticket, "n1"),
        };
        events.push((by, ticket, event));
        std::thread::sleep(Duration::from_millis(2));
    }
    // The same order in every run: 37 has no divisor in common with 90.
    let order = (0..90).map(|n| &events[n * 37 % 90]);
    for (n, (by, ticket, event)) in order.enumerate() {
        if n % 3 == 0 {
            assert_eq!(claim(&gates[*by], ticket, "n1", &event.id).status, 200);
        }
        if n % 5 != 0 {
            assert_eq!(gates[*by].send(event).verdicts(), ["accepted"]);
        }
    }
    let wrong = "SELECT count(*) FROM admissions AS own WHERE NOT EXISTS (
        SELECT 1 FROM scans AS s WHERE s.ticket = own.ticket AND s.event = own.event AND s.device = own.device
        AND s.result = 'admitted' AND s.at = own.at AND NOT EXISTS (
            SELECT 1 FROM scans AS o WHERE o.ticket = s.ticket AND o.result <> 'refused'
            AND (o.at, o.event, o.device) < (s.at, s.event, s.device)))";
    assert_eq!(town.count(wrong), 0);
    let admitted = town.count("SELECT count(DISTINCT ticket) FROM scans WHERE result <> 'refused'");
    assert_eq!(town.count("SELECT count(*) FROM admissions"), admitted);
    assert_eq!(town.count("SELECT count(*) FROM scans WHERE result = 'admitted'"), admitted);
    assert_eq!(town.count("SELECT count(*) FROM dead_letters"), 0);
}

#[test]
fn a_gate_that_hammers_claims_is_told_when_to_come_back_and_others_are_not() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let mut asked = 0;
    let turned_away = loop {
        let answer = claim(&north, &format!("t-{asked}"), "n1", &some_id());
        if answer.status != 200 {
            break answer;
        }
        asked += 1;
        assert!(asked < 5_000, "nobody says stop");
    };
    assert!(asked >= u64::from(limits::CLAIMS_PER_MIN), "{asked}");
    assert_eq!((turned_away.status, turned_away.problem().as_str()), (429, "too-many-claims"));
    assert!(turned_away.header("retry-after").is_some());
    assert_eq!(claim(&south, "t-s", "s1", &some_id()).json()["decision"], "admit");
    assert_eq!(north.send(&let_in(&north, "t-x", "n1")).verdicts(), ["accepted"], "scans are taken");
}

/// What a gate says of its own earlier scan.
fn turned_away(by: &Caller<'_>, ticket: &str, gate: &str, cause: &str) -> Event {
    by.event(&Emit {
        topic: "gate.auth.v2".into(),
        kind: "scanned".into(),
        key: ticket.into(),
        causation: Some(cause.to_owned()),
        payload: json!({
            "gateId": gate, "ticketId": ticket, "decision": "refused", "reason": "not_let_in:left",
        })
        .to_string(),
        ..Emit::default()
    })
}

#[test]
fn who_was_let_in_and_turned_away_at_once_can_come_in_elsewhere() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let id = some_id();
    assert_eq!(claim(&north, "t-1", "n1", &id).json()["decision"], "admit");
    let scan = let_in(&north, "t-1", "n1");
    north.send(&scan);
    south.get("/v1/feed");
    north.send(&turned_away(&north, "t-1", "n1", &scan.id));
    // The claim was another scan of the same ticket, and that one let somebody in.
    assert_eq!(south.get("/v1/tickets/t-1").json()["state"], "admitted");
    north.send(&turned_away(&north, "t-1", "n1", &id));
    assert_eq!(south.get("/v1/tickets/t-1").json()["state"], "refused");
    assert_eq!(town.totals()["admissions"], 0);
    until("the others hear that it is free", || kinds(&south).contains(&"gate.seen.v1.freed".to_owned()));
    south.send(&let_in(&south, "t-1", "s1"));
    assert_eq!(town.totals()["admissions"], 1);
    assert_eq!(alerts(&town, "double_admission"), [] as [Value; 0]);
}

#[test]
fn nobody_is_turned_away_by_another_gates_word_or_for_another_ticket() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let scan = let_in(&north, "t-1", "n1");
    north.send(&scan);
    south.send(&turned_away(&south, "t-1", "s1", &scan.id));
    north.send(&turned_away(&north, "t-2", "n1", &scan.id));
    north.send(&decided(&north, "t-1", "n1", "refused"));
    assert_eq!(north.get("/v1/tickets/t-1").json()["eventId"], json!(scan.id));
    assert_eq!(town.totals()["admissions"], 1);
}
