//! Who comes in: tokens, roles, codes, and the limits that stand before any parsing.

use crate::town::{BATCH, Caller, SINGLE, Town, batch};
use city_domain::{Role, limits};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn without_a_token_nothing_but_the_open_doors() {
    let town = Town::open();
    for (method, path) in [
        ("POST", "/v1/events"),
        ("GET", "/v1/edge"),
        ("GET", "/v1/feed"),
        ("GET", "/v1/orders/o-1"),
        ("GET", "/v1/tickets/t-1"),
        ("GET", "/v1/dev/weather"),
        ("PUT", "/v1/dev/weather/*"),
    ] {
        for head in [vec![], vec![("authorization", "Bearer 0000")], vec![("authorization", "Basic eDp5")]] {
            let answer = town.ask(method, path, &head, "");
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "unauthenticated"),
                "{method} {path}"
            );
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(town.ask("GET", "/health", &[], "").json()["status"], "ok");
}

#[test]
fn every_answer_proves_whose_it_is() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let edge = till.get("/v1/edge");
    let offer = edge.json();
    let city = edge.header("conch-city").unwrap();
    assert_eq!(offer["city"], city);
    assert_eq!(offer["batch"], json!({ "maxEvents": 100, "maxBytes": 262_144 }));
    assert!(offer["pace"]["windowMs"].as_u64().unwrap() > 0);
    assert!(offer["now"].as_u64().unwrap() > 1_700_000_000_000);
    for (method, path, status) in [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/events", 405),
        ("POST", "/v1/feed", 405),
    ] {
        let answer = till.ask(method, path, &[], "");
        assert_eq!((answer.status, answer.header("conch-city")), (status, Some(city)), "{method} {path}");
        answer.problem();
    }
    assert_eq!(till.ask("DELETE", "/v1/events", &[], "").header("allow"), Some("POST"));
    assert_eq!(till.ask("POST", "/v1/feed", &[], "").header("allow"), Some("GET,HEAD"));
    let options = town.ask("OPTIONS", "/v1/events", &[], "");
    assert_eq!((options.status, options.header("allow")), (204, Some("POST")));
    assert_eq!(options.header("access-control-allow-origin"), None, "pages come from the same origin");
}

#[test]
fn a_role_writes_on_its_own_topics() {
    let town = Town::open();
    let (till, gate, ops) = (
        town.enrol("till-1", Role::Vendor),
        town.enrol("gate-n1", Role::Gate),
        town.enrol("ops-1", Role::Ops),
    );
    for (answer, word) in [
        (till.send(&till.pay("o-1")), "accepted"),
        (gate.send(&gate.pay("o-2")), "refused"),
        (ops.send(&ops.pay("o-3")), "accepted"),
        (till.send(&till.scan("t-1", "n1")), "refused"),
        (gate.send(&gate.scan("t-2", "n1")), "accepted"),
    ] {
        assert_eq!((answer.status, answer.verdicts()), (202, vec![word.to_owned()]));
    }
    let as_another = till.send(&gate.scan("t-3", "n1"));
    assert_eq!(as_another.json()["verdicts"][0]["problem"]["type"], "urn:conch:problem:foreign-source");
    let weather = till.ask("PUT", "/v1/dev/weather/*", &[JSON], "{\"mode\":\"drop-request\"}");
    assert_eq!((weather.status, weather.problem().as_str()), (403, "role-forbids"));
}

#[test]
fn a_code_opens_once_for_its_device_and_replaces_older_tokens() {
    let town = Town::open_with(&[]);
    let make = |role: &str, device: &str| {
        let output = town.command(&["codes", "new", "--role", role, "--device", device]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let enrol = |code: &str, device: &str| {
        town.ask("POST", "/v1/enrol", &[JSON], &json!({ "code": code, "device": device }).to_string())
    };
    let code = make("gate", "gate-n1");
    for (code, device) in [("0000-0000-0000-0000", "gate-n1"), (code.as_str(), "gate-n2")] {
        let answer = enrol(code, device);
        assert_eq!((answer.status, answer.problem().as_str()), (403, "code-refused"));
    }
    let answer = enrol(&code.to_lowercase().replace('-', ""), "gate-n1");
    assert_eq!((answer.status, &answer.json()["role"]), (201, &"gate".into()));
    assert_eq!(enrol(&code, "gate-n1").status, 403, "a code works once");
    let first = Caller::new(&town, "gate-n1", answer.json()["token"].as_str().unwrap().to_owned());
    assert_eq!(first.send(&first.scan("t-1", "n1")).status, 202);
    let answer = enrol(&make("gate", "gate-n1"), "gate-n1");
    let second = Caller::new(&town, "gate-n1", answer.json()["token"].as_str().unwrap().to_owned());
    assert_eq!((first.get("/v1/edge").status, second.get("/v1/edge").status), (401, 200));
    town.meddle().execute_batch("UPDATE codes SET expires_at = 1 WHERE used_at IS NULL").unwrap();
    let late = make("gate", "gate-n3");
    town.meddle().execute("UPDATE codes SET expires_at = 1 WHERE used_at IS NULL", []).unwrap();
    assert_eq!(enrol(&late, "gate-n3").status, 403, "a code expires");
}

#[test]
fn secrets_are_kept_as_hashes_only() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let output = town.command(&["codes", "new", "--role", "ops", "--device", "ops-9"]);
    let code = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    for file in std::fs::read_dir(town.data()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in [&till.token, &code, &code.replace('-', "")] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[test]
fn outside_development_the_side_doors_do_not_exist() {
    let town = Town::open_with(&[]);
    for (method, path) in
        [("POST", "/v1/dev/enrol"), ("PUT", "/v1/dev/weather/*"), ("GET", "/v1/dev/weather")]
    {
        let answer = town.ask(method, path, &[JSON], "{\"device\":\"ops-1\",\"role\":\"ops\"}");
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{path}");
    }
}

#[test]
fn guessing_codes_is_slowed_down() {
    let town = Town::open_with(&[]);
    let guess = json!({ "code": "0000-0000-0000-0000", "device": "gate-n1" }).to_string();
    let refused = (0..=limits::ENROL_TRIES_PER_MIN)
        .map(|_| town.ask("POST", "/v1/enrol", &[JSON], &guess))
        .find(|answer| answer.status == 429)
        .expect("the tries run out");
    assert_eq!(refused.problem(), "too-many-tries");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
}

#[test]
fn strange_enrolments_are_told_what_is_wrong() {
    let town = Town::open();
    for (head, body, status, code) in [
        (JSON, "{\"device\":\"Till 1\",\"role\":\"vendor\"}", 400, "bad-device"),
        (JSON, "{\"device\":\"till-1\",\"role\":\"king\"}", 400, "bad-role"),
        (JSON, "{\"device\":\"till-1\"}", 400, "bad-request"),
        (JSON, "nonsense", 400, "bad-request"),
        (("content-type", "text/plain"), "{\"device\":\"till-1\",\"role\":\"ops\"}", 415, "media-type"),
    ] {
        let answer = town.ask("POST", "/v1/dev/enrol", &[head], body);
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{body}");
    }
}

#[test]
fn bodies_that_cannot_be_taken_are_refused_as_a_whole() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let many: Vec<_> = (0..=limits::BATCH_EVENTS_MAX).map(|n| till.pay(&format!("o-{n}"))).collect();
    let key = ("idempotency-key", "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11");
    for (head, body, status, code) in [
        (vec![], "[]".to_owned(), 415, "media-type"),
        (vec![JSON], "[]".to_owned(), 415, "media-type"),
        (vec![BATCH], String::new(), 400, "not-json"),
        (vec![BATCH], "[{]".to_owned(), 400, "not-json"),
        (vec![BATCH], "[".repeat(100_000), 400, "not-json"),
        (vec![BATCH], "{}".to_owned(), 400, "not-a-batch"),
        (vec![BATCH], "[null]".to_owned(), 400, "unreadable-event"),
        (vec![BATCH], batch(&many), 413, "too-many-events"),
        (vec![BATCH], format!("[\"{}\"]", "x".repeat(limits::BATCH_BYTES_MAX)), 413, "body-too-large"),
        (vec![SINGLE, key], format!("\"{}\"", "x".repeat(limits::EVENT_BYTES_MAX)), 413, "body-too-large"),
        (vec![SINGLE, key], "[]".to_owned(), 400, "unreadable-event"),
    ] {
        let answer = till.ask("POST", "/v1/events", &head, &body);
        assert_eq!((answer.status, answer.problem().as_str()), (status, code));
    }
    let empty = till.ask("POST", "/v1/events", &[BATCH], "[]");
    assert_eq!((empty.status, empty.verdicts().len()), (200, 0), "an empty batch is a valid one");
    assert_eq!(town.totals()["events"], 0);
}

#[test]
fn an_announced_length_or_a_missing_token_is_answered_before_the_body_comes() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let ask = |authorization: &str, length: usize| {
        let mut stream = TcpStream::connect(town.address.strip_prefix("http://").unwrap()).unwrap();
        write!(
            stream,
            "POST /v1/events HTTP/1.1\r\nhost: city\r\nauthorization: {authorization}\r\ncontent-type: {}\r\ncontent-length: {length}\r\n\r\n",
            BATCH.1
        )
        .unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8(status.to_vec()).unwrap()
    };
    assert_eq!(ask(&format!("Bearer {}", till.token), limits::BATCH_BYTES_MAX + 1), "HTTP/1.1 413");
    assert_eq!(ask("Bearer nobody", 1_000), "HTTP/1.1 401");
}

#[test]
fn who_sends_a_large_body_still_hears_why_it_was_not_taken() {
    let town = Town::open();
    let large = format!("[\"{}\"]", "x".repeat(900_000));
    for _ in 0..10 {
        let answer = town.ask("POST", "/v1/events", &[BATCH, ("authorization", "Bearer nobody")], &large);
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"));
    }
}

#[test]
fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let mut stream = TcpStream::connect(town.address.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /v1/events HTTP/1.1\r\nhost: city\r\nauthorization: Bearer {}\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        till.token, BATCH.1
    )
    .unwrap();
    let chunk = " ".repeat(64 * 1024);
    for _ in 0..5 {
        // The city may close while we still write; its answer is what counts.
        let _ = write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len());
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}
