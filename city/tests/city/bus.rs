//! The bus at work in a running city: from an accepted event over the log to a service, its outcome, its dead letters.

use crate::town::{Caller, Event, Town};
use city_domain::Role;
use city_domain::bus::Message;
use conch::event::{Emit, EventId};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::{self, yield_now};

pub(crate) fn report(gate: &Caller<'_>, case: &str, payload: &Value) -> Event {
    gate.event(&Emit {
        topic: "civic.events.v1".into(),
        kind: "reported".into(),
        key: case.into(),
        payload: payload.to_string(),
        ..Emit::default()
    })
}

/// A report that this release would refuse at the door, taken in as an earlier one would have.
fn slip(town: &Town, gate: &Caller<'_>, case: &str, payload: &Value) {
    let event = report(gate, case, payload);
    let message = Message::read(event.body).unwrap();
    let books = town.meddle();
    books.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    books
        .execute(
            "INSERT INTO outgoing (partition, source, id, topic, type, key, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                message.partition(),
                &message.source,
                message.id.to_bytes(),
                message.topic.as_str(),
                message.kind.as_str(),
                message.key.as_str(),
                &message.body,
            ),
        )
        .unwrap();
}

fn noise(gate: &Caller<'_>, case: &str) -> Event {
    report(gate, case, &json!({ "kind": "noise", "place": "N3" }))
}

/// The feed of a device once it has so many events.
pub(crate) fn heard(device: &Caller<'_>, events: usize) -> Vec<Value> {
    let mut cursor = String::new();
    let mut all = Vec::new();
    while all.len() < events {
        let answer = device.get(&format!("/v1/feed?after={cursor}&wait=25")).json();
        cursor = answer["cursor"].as_str().unwrap().to_owned();
        all.extend(answer["events"].as_array().unwrap().iter().cloned());
    }
    all
}

pub(crate) fn until_count(town: &Town, sql: &str, wanted: i64) {
    while town.count(sql) != wanted {
        yield_now();
    }
}

fn said(output: std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_report_is_routed_and_its_device_hears_where_it_lies() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    let first = noise(&gate, "case-1");
    assert_eq!(gate.send(&first).verdicts(), ["accepted"]);
    let events = heard(&gate, 1);
    assert_eq!(
        (&events[0]["type"], &events[0]["subject"]),
        (&json!("civic.events.v1.routed"), &json!("case-1"))
    );
    assert_eq!((&events[0]["data"]["unit"], &events[0]["data"]["reports"]), (&json!("patrol"), &json!(1)));
    assert_eq!(events[0]["causationid"], json!(first.id));
    gate.send(&report(&gate, "case-2", &json!({ "kind": "music", "place": "N4" })));
    gate.send(&noise(&gate, "case-1"));
    let events = heard(&gate, 3);
    let units: Vec<_> = events.iter().map(|event| event["data"]["unit"].as_str().unwrap()).collect();
    assert_eq!(
        units.iter().filter(|unit| **unit == "market-office").count(),
        1,
        "no rule names music: {units:?}"
    );
    assert_eq!(town.count("SELECT reports FROM cases WHERE key = 'case-1'"), 2, "one case, reported twice");
    until_count(&town, "SELECT count(*) FROM outgoing", 0);
}

#[test]
fn a_case_nobody_takes_care_of_is_told_once_and_its_alert_is_cleared() {
    let rules = json!([{ "kind": "other", "unit": "office", "withinMinutes": 1 }]);
    let path = std::env::temp_dir().join(format!("rules-{}.json", std::process::id()));
    std::fs::write(&path, rules.to_string()).unwrap();
    let mut town = Town::open_with(&["--dev", "--civic-rules", path.to_str().unwrap()]);
    {
        let gate = town.enrol("gate-n1", Role::Gate);
        gate.send(&noise(&gate, "case-1"));
        gate.send(&noise(&gate, "case-2"));
        heard(&gate, 2);
        let ops = town.enrol("ops-1", Role::Ops);
        let taken = ops.event(&Emit {
            topic: "civic.events.v1".into(),
            kind: "acknowledged".into(),
            key: "case-2".into(),
            payload: "{}".into(),
            ..Emit::default()
        });
        assert_eq!(ops.send(&taken).verdicts(), ["accepted"]);
        until_count(&town, "SELECT count(*) FROM cases WHERE state = 'acknowledged'", 1);
    }
    // A minute passes while the city sleeps.
    town = town.pull_the_plug_and(&["--dev"], |books| {
        books.execute("UPDATE cases SET due = due - 60000", []).unwrap();
    });
    until_count(&town, "SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1' AND type = 'raised'", 1);
    until_count(&town, "SELECT count(*) FROM log WHERE type = 'escalated' AND key = 'case-1'", 1);
    let ops = town.enrol("ops-1", Role::Ops);
    let over = ops.event(&Emit {
        topic: "civic.events.v1".into(),
        kind: "resolved".into(),
        key: "case-1".into(),
        payload: "{}".into(),
        ..Emit::default()
    });
    ops.send(&over);
    until_count(&town, "SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1' AND type = 'cleared'", 1);
    assert_eq!(
        town.count("SELECT count(*) FROM log WHERE type = 'escalated'"),
        1,
        "once, and not the one in care"
    );
    std::fs::remove_file(path).unwrap();
}

/// An alert or a decision that a device made up would send people running.
#[test]
fn what_only_the_city_or_its_people_say_is_refused_from_a_device() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    for (topic, kind, code) in [
        ("ops.alerts.v1", "raised", "city-only-type"),
        ("civic.events.v1", "routed", "city-only-type"),
        ("civic.events.v1", "escalated", "city-only-type"),
        ("civic.events.v1", "acknowledged", "role-forbids-topic"),
        ("civic.events.v1", "resolved", "role-forbids-topic"),
    ] {
        let emit = Emit {
            topic: topic.into(),
            kind: kind.into(),
            key: "k".into(),
            payload: "{}".into(),
            ..Emit::default()
        };
        let answer = gate.send_all(&[gate.event(&emit)]).json();
        let problem = answer["verdicts"][0]["problem"]["type"].as_str().unwrap().to_owned();
        assert_eq!(problem, format!("urn:conch:problem:{code}"), "{topic}.{kind}");
    }
    assert_eq!(town.count("SELECT count(*) FROM log"), 0);
}

#[test]
fn the_rules_come_from_a_file_and_a_bad_one_says_why() {
    let town = Town::open();
    let (good, bad) = (town.root.join("rules.json"), town.root.join("bad.json"));
    let rules = json!([
        { "kind": "noise", "unit": "night-watch", "withinMinutes": 10 },
        { "kind": "other", "unit": "office", "withinMinutes": 60 }
    ]);
    std::fs::write(&good, rules.to_string()).unwrap();
    std::fs::write(&bad, "[]").unwrap();
    let other = Town::open_with(&["--dev", "--civic-rules", good.to_str().unwrap()]);
    let gate = other.enrol("gate-n1", Role::Gate);
    gate.send(&noise(&gate, "case-1"));
    assert_eq!(heard(&gate, 1)[0]["data"]["unit"], json!("night-watch"));
    let refused = town.command(&["serve", "--listen", "127.0.0.1:0", "--civic-rules", bad.to_str().unwrap()]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("bad.json") && why.contains("a rule for `other` is missing"), "{why}");
}

#[test]
fn poison_dies_alone_with_an_alert_and_goes_on_once_a_person_has_mended_it() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    slip(&town, &gate, "case-1", &json!({ "kind": "noise", "note": "call 0912345678" }));
    gate.send(&noise(&gate, "case-2"));
    assert_eq!(heard(&gate, 1)[0]["subject"], json!("case-2"), "no other key waits");
    until_count(&town, "SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1' AND type = 'raised'", 1);
    let list = said(town.command(&["dead-letters", "list"]));
    assert!(
        list.contains("civic.events.v1.reported case-1 - bad-payload: `place` is 1 to 64 characters"),
        "{list}"
    );
    let shown: Value = serde_json::from_str(&said(town.command(&["dead-letters", "show", "1"]))).unwrap();
    assert_eq!((&shown["code"], &shown["tries"]), (&json!("bad-payload"), &json!(1)));
    assert!(!shown["event"].to_string().contains("0912345678"), "{shown}");
    let alert = town
        .meddle()
        .query_row("SELECT body FROM log WHERE topic = 'ops.alerts.v1'", [], |row| row.get::<_, String>(0))
        .unwrap();
    let alert: Value = serde_json::from_str(&alert).unwrap();
    assert_eq!(alert["data"]["fingerprint"], shown["fingerprint"]);

    let mended = town.root.join("mended.json");
    std::fs::write(&mended, json!({ "kind": "noise", "place": "N1" }).to_string()).unwrap();
    let mended = mended.to_str().unwrap();
    said(town.command(&[
        "dead-letters",
        "redrive",
        "1",
        "--payload",
        mended,
        "--reason",
        "the gate's place",
        "--by",
        "ops-1",
    ]));
    let subjects: Vec<_> = heard(&gate, 2).iter().map(|event| event["subject"].clone()).collect();
    assert_eq!(subjects, [json!("case-2"), json!("case-1")]);
    let all = said(town.command(&["dead-letters", "list", "--all"]));
    assert!(all.contains("sent again by ops-1") && all.contains("the gate's place"), "{all}");
    assert!(said(town.command(&["dead-letters", "list"])).contains("no dead letters"));
    let again = town.command(&["dead-letters", "discard", "1", "--reason", "twice"]);
    assert!(
        !again.status.success() && String::from_utf8(again.stderr).unwrap().contains("sent again by ops-1")
    );
}

#[test]
fn all_failures_of_one_kind_go_again_one_after_another() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    (0..5).for_each(|n| slip(&town, &gate, &format!("case-{n}"), &json!({})));
    until_count(&town, "SELECT count(*) FROM dead_letters", 5);
    let shown: Value = serde_json::from_str(&said(town.command(&["dead-letters", "show", "1"]))).unwrap();
    let kind = shown["fingerprint"].as_str().unwrap();
    let said =
        said(town.command(&["dead-letters", "redrive", "--fingerprint", kind, "--reason", "try once more"]));
    assert!(said.starts_with("5 are sent again"), "{said}");
    until_count(&town, "SELECT count(*) FROM dead_letters", 10);
    assert_eq!(town.count("SELECT count(*) FROM dead_letters WHERE redriven = 1"), 5);
    assert_eq!(town.count("SELECT count(*) FROM waits"), 0);
}

#[test]
fn a_power_cut_loses_no_step_between_an_event_and_its_outcome() {
    let mut town = Town::open();
    let mut sent = 0;
    for round in 0..3 {
        let gate = town.enrol("gate-n1", Role::Gate);
        let events: Vec<_> = (0..40).map(|n| noise(&gate, &format!("case-{round}-{n}"))).collect();
        gate.send_all(&events);
        sent += 40;
        // Somewhere between the answer and the last outcome.
        town = town.pull_the_plug(&["--dev"]);
    }
    until_count(&town, "SELECT count(*) FROM cases", sent);
    until_count(&town, "SELECT count(*) FROM outgoing", 0);
    assert_eq!(town.count("SELECT count(*) FROM feed"), sent, "each was told once");
    assert_eq!(town.count("SELECT sum(reports) FROM cases"), sent, "each had one effect");
    assert_eq!(town.count("SELECT count(*) FROM log WHERE type = 'routed'"), sent);
}

#[test]
fn sales_and_scans_are_said_on_the_bus_with_their_outcomes_in_the_order_of_their_keys() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    till.send(&till.pay("o-1"));
    till.send(&till.event(&crate::town::paying("o-1", 2, 12_000)));
    until_count(&town, "SELECT count(*) FROM log WHERE key = 'o-1'", 4);
    let books = town.meddle();
    let mut rows =
        books.prepare("SELECT type, partition FROM log WHERE key = 'o-1' ORDER BY offset").unwrap();
    let rows: Vec<(String, i64)> =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let kinds: Vec<_> = rows.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(&kinds[..3], ["requested", "captured", "requested"]);
    assert!(rows.iter().all(|(_, partition)| *partition == rows[0].1), "one key, one partition");
}

/// Answers one request after another with these statuses and gives their bodies.
pub(crate) fn webhook(listener: &TcpListener, statuses: &[u16]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for status in statuses {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            let (name, value) = line.trim().split_once(": ").unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        bodies.push(serde_json::from_slice(&body).unwrap());
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    }
    bodies
}

#[test]
fn an_alert_reaches_the_webhook_again_and_again_until_it_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook/a-secret", listener.local_addr().unwrap());
    let town = Town::open_with(&["--dev", "--alerts-webhook", &address]);
    let gate = town.enrol("gate-n1", Role::Gate);
    let bodies = thread::scope(|scope| {
        let hook = scope.spawn(|| webhook(&listener, &[500, 204]));
        slip(&town, &gate, "case-1", &json!({ "kind": "noise" }));
        hook.join().unwrap()
    });
    assert_eq!(bodies[0], bodies[1], "the same alert under the same id");
    assert_eq!(bodies[0]["type"], json!("ops.alerts.v1.raised"));
    assert_eq!(bodies[0]["data"]["code"], json!("bad-payload"));
    until_count(&town, "SELECT count(*) FROM waits", 0);
    assert_eq!(town.count("SELECT count(*) FROM handled WHERE consumer = 'alerts-webhook'"), 1);
    assert_eq!(town.count("SELECT count(*) FROM dead_letters"), 1, "the alert itself is none");
    assert!(town.log().contains("127.0.0.1") && !town.log().contains("a-secret"));
}

/// An alert that was given up would be one nobody heard of.
#[test]
fn a_webhook_that_refuses_an_alert_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let town = Town::open_with(&["--dev", "--alerts-webhook", &address]);
    let gate = town.enrol("gate-n1", Role::Gate);
    thread::scope(|scope| {
        let hook = scope.spawn(|| webhook(&listener, &[404, 200]));
        slip(&town, &gate, "case-1", &json!({ "kind": "noise" }));
        hook.join().unwrap();
    });
    until_count(&town, "SELECT count(*) FROM waits", 0);
    assert_eq!(town.count("SELECT count(*) FROM dead_letters"), 1);
    assert!(town.log().contains("does not take an alert"));
}

#[test]
fn a_webhook_named_anew_hears_what_is_raised_from_then_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let mut town = Town::open();
    {
        let gate = town.enrol("gate-n1", Role::Gate);
        slip(&town, &gate, "case-1", &json!({ "kind": "noise" }));
        until_count(&town, "SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1'", 1);
    }
    // Decided about, so that the next failure of its kind is news again.
    said(town.command(&["dead-letters", "discard", "1", "--reason", "a test"]));
    town = town.pull_the_plug(&["--dev", "--alerts-webhook", &address]);
    let gate = town.enrol("gate-n1", Role::Gate);
    let bodies = thread::scope(|scope| {
        let hook = scope.spawn(|| webhook(&listener, &[200]));
        slip(&town, &gate, "case-2", &json!({ "place": "N1" }));
        hook.join().unwrap()
    });
    assert_eq!(bodies[0]["data"]["deadLetter"], json!(2));
}

#[test]
fn a_webhook_that_is_no_address_is_not_printed() {
    let town = Town::open();
    let refused =
        town.command(&["serve", "--listen", "127.0.0.1:0", "--alerts-webhook", "HTTPS:/x/my-secret"]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && why.contains("--alerts-webhook") && !why.contains("my-secret"),
        "{why}"
    );
}

/// What this release has no name for is passed over and told; it stopped every service.
#[test]
fn an_unreadable_event_on_the_log_stops_nobody() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    for partition in 0..16 {
        town.meddle()
            .execute(
                "INSERT INTO log VALUES (?1, 1, 's', randomblob(16), 'stall.note.v1', 'said', 'a key with spaces', '{}', 1)",
                [partition],
            )
            .unwrap();
    }
    gate.send(&noise(&gate, "case-1"));
    assert_eq!(heard(&gate, 1)[0]["subject"], json!("case-1"));
    assert!(town.log().contains("cannot be read and is passed over"));
}

#[test]
fn ops_see_and_decide_over_http_what_others_may_not() {
    let town = Town::open();
    let (gate, ops) = (town.enrol("gate-n1", Role::Gate), town.enrol("ops-1", Role::Ops));
    slip(&town, &gate, "case-1", &json!({ "kind": "noise" }));
    until_count(&town, "SELECT count(*) FROM dead_letters", 1);
    for path in ["/metrics", "/v1/dead-letters", "/v1/dead-letters/1", "/v1/cases/case-1"] {
        assert_eq!(gate.get(path).problem(), "ops-only", "{path}");
        assert_eq!(town.ask("GET", path, &[], "").status, 401, "{path}");
    }
    let list = ops.get("/v1/dead-letters").json();
    assert_eq!(
        (&list["deadLetters"][0]["number"], &list["deadLetters"][0]["code"]),
        (&json!(1), &json!("bad-payload"))
    );
    let head = [("content-type", "application/json")];
    let decide = |what: &str, body: Value| {
        ops.ask("POST", &format!("/v1/dead-letters/{what}"), &head, &body.to_string())
    };
    assert_eq!(decide("1/redrive", json!({ "reason": " " })).problem(), "bad-request");
    assert_eq!(decide("9/discard", json!({ "reason": "x" })).problem(), "not-found");
    let mended = json!({ "reason": "the place was missing", "payload": { "kind": "noise", "place": "N1" } });
    let answer = decide("1/redrive", mended.clone());
    assert_eq!((answer.status, &answer.json()["decision"]["by"]), (200, &json!("ops-1")));
    assert_eq!(heard(&gate, 1)[0]["data"]["place"], json!("N1"));
    assert_eq!(decide("1/redrive", mended).problem(), "decided");
    let refused = gate.send_all(&[report(&gate, "case-2", &json!({ "kind": "noise" }))]);
    assert_eq!(refused.json()["verdicts"][0]["problem"]["type"], json!("urn:conch:problem:bad-payload"));
    let case = ops.get("/v1/cases/case-1").json();
    assert_eq!((&case["unit"], &case["state"]), (&json!("patrol"), &json!("routed")));
    assert!(ops.get("/v1/dead-letters").json()["deadLetters"].as_array().unwrap().is_empty());
    until_count(&town, "SELECT count(*) FROM outgoing", 0);
    let text = ops.get("/metrics").body;
    for line in [
        "city_dead_letters_total 1",
        "city_dead_letters_open 0",
        r#"city_events_total{verdict="refused"} 1"#,
        "city_bus_outgoing 0",
        r#"city_requests_total{method="GET",route="/v1/cases/{key}",status="200"} 1"#,
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("case-1") && !text.contains("gate-n1") && text.ends_with("# EOF\n"));
}

#[test]
fn a_stall_is_told_before_it_is_shed() {
    let plan = std::env::temp_dir().join(format!("circuits-{}.json", std::process::id()));
    let circuits = json!([{ "circuit": "c4", "limitWatts": 3000, "stalls": { "fridge": 1 } }]);
    std::fs::write(&plan, circuits.to_string()).unwrap();
    let town = Town::open_with(&["--dev", "--circuits", plan.to_str().unwrap()]);
    let load = |stall: &Caller<'_>, watts: u64| {
        stall.send(&stall.event(&Emit {
            topic: "ops.power.v1".into(),
            kind: "load_reported".into(),
            key: "c4".into(),
            payload: json!({ "watts": watts }).to_string(),
            ..Emit::default()
        }))
    };
    let (fridge, lights) = (town.enrol("fridge", Role::Vendor), town.enrol("lights", Role::Vendor));
    load(&lights, 1_500);
    load(&fridge, 1_400);
    let told = heard(&lights, 1).remove(0);
    assert_eq!((&told["type"], &told["subject"]), (&json!("ops.power.v1.shed"), &json!("c4")));
    assert!(told["data"]["graceS"].as_u64().unwrap() > 0);
    assert!(fridge.get("/v1/feed").json()["events"].as_array().unwrap().is_empty());
    until_count(&town, "SELECT count(*) FROM loads WHERE shed_at IS NOT NULL", 1);
    std::fs::remove_file(plan).unwrap();
}

#[test]
fn the_schemas_that_lie_in_the_repository_are_those_of_the_code() {
    let contracts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
    let check = |dir: &std::path::Path| {
        std::process::Command::new(env!("CARGO_BIN_EXE_city"))
            .args(["contracts", "check", "--dir"])
            .arg(dir)
            .output()
            .unwrap()
    };
    let output = check(&contracts);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // And the check can fail: a release that promised more than today's code holds.
    let other =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("contracts-{}", std::process::id()));
    let released = other.join("released/9/pay.txn.v2");
    std::fs::create_dir_all(&released).unwrap();
    let writes = std::process::Command::new(env!("CARGO_BIN_EXE_city"))
        .args(["contracts", "write", "--out"])
        .arg(&other)
        .status()
        .unwrap();
    assert!(writes.success() && check(&other).status.success());
    let schema = r#"{"properties":{"tip":{"type":"integer"}},"required":[]}"#;
    std::fs::write(released.join("captured.reader.schema.json"), schema).unwrap();
    let addresses = r#"{"paths":{"/v1/tips":{"get":{}}}}"#;
    std::fs::write(other.join("released/9/openapi.json"), addresses).unwrap();
    std::fs::write(other.join("stale.json"), "{}").unwrap();
    std::fs::remove_file(other.join("asyncapi.json")).unwrap();
    let output = check(&other);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for part in [
        "breaks release 9: `tip` is gone",
        "openapi.json breaks release 9: GET /v1/tips is gone",
        "stale.json belongs to no contract",
        "asyncapi.json is missing",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::remove_dir_all(other).unwrap();
}

/// Puts so many events of one partition before the relay, as a flood from one device would.
fn flood(town: &Town, events: u64) {
    let mut books = town.meddle();
    books.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    let transaction = books.transaction().unwrap();
    let mut fill = transaction
        .prepare("INSERT INTO outgoing (partition, source, id, topic, type, key, body) VALUES (0, 's', ?1, 'stall.note.v1', 'said', 'k', '{}')")
        .unwrap();
    for number in 0..events {
        let id = EventId::mint(
            conch::event::UnixMillis(1),
            [[0; 2].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap(),
        );
        fill.execute([id.to_bytes()]).unwrap();
    }
    drop(fill);
    transaction.commit().unwrap();
}

/// A lost child was routed only once one device's flood had ended.
#[test]
fn a_flood_in_one_partition_keeps_no_other_waiting() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    flood(&town, 5_000);
    gate.send(&noise(&gate, "case-1"));
    assert_eq!(heard(&gate, 1)[0]["subject"], json!("case-1"));
    assert!(town.count("SELECT count(*) FROM outgoing") > 1_000, "the flood is still there");
}

#[test]
fn what_comes_faster_than_it_is_handled_is_asked_to_come_later() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    flood(&town, city_domain::limits::OUTGOING_MAX + 10_000);
    // It is noticed with the next turn.
    let first = noise(&gate, "case-0");
    let mut answer = gate.send(&first);
    while answer.status == 202 {
        answer = gate.send(&noise(&gate, "case-1"));
    }
    assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
    assert!(answer.header("retry-after").is_some());
    until_count(&town, "SELECT count(*) FROM outgoing", 0);
    assert_eq!(gate.send(&noise(&gate, "case-2")).status, 202);
}
