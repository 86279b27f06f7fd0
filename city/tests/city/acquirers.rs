//! Acquirers that are not as well-behaved as the simulated one: strange words, strange lists, no answers, books that
//! begin anew. None of them stops the city, and what cannot be explained is told.

use crate::money::{held, hold, online, some_key};
use crate::town::{Caller, Town};
use city_domain::Role;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An acquirer that answers as the closure says: method and path, body in; status and body out.
fn acquirer(answer: impl Fn(&str, &Value) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), answer) = (stream, answer.clone()) else { continue };
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let (mut first, mut length) = (String::new(), 0);
                    if reader.read_line(&mut first).unwrap_or(0) == 0 {
                        return;
                    }
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if line.trim().is_empty() {
                            break;
                        }
                        let lower = line.to_ascii_lowercase();
                        if let Some(value) = lower.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let path = first.rsplit_once(' ').unwrap().0;
                    let (status, text) = answer(path, &body);
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        text.len()
                    );
                    if stream.write_all((head + &text).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn done(reference: &str) -> (u16, String) {
    (200, json!({ "state": "done", "reference": reference, "amount": 5_000, "currency": "TWD" }).to_string())
}

fn entry(number: u64, reference: &str, id: &str, service: &str, currency: &str) -> Value {
    json!({ "number": number, "reference": reference, "id": id, "service": service, "amount": 5_000, "currency": currency })
}

fn within(seconds: u64, wanted: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        if wanted() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

fn state(till: &Caller<'_>, order: &str) -> String {
    till.get(&format!("/v1/orders/{order}")).json()["state"].as_str().unwrap_or("none").to_owned()
}

/// A good acquirer, but for its list, which begins with one movement of this service and currency and shows the capture
/// twice.
fn with_list(service: &'static str, currency: &'static str, amount: u64) -> String {
    let id = std::sync::Mutex::new(String::new());
    acquirer(move |path, body| {
        if path.starts_with("GET /movements?after=0") {
            let own = id.lock().unwrap().clone();
            if own.is_empty() {
                return (200, r#"{"movements":[]}"#.into());
            }
            let mut first = entry(1, "x-1", "nobody's", service, currency);
            first["amount"] = json!(amount);
            let list =
                [first, entry(2, "c-1", &own, "capture", "TWD"), entry(3, "c-2", &own, "capture", "TWD")];
            return (200, json!({ "movements": list }).to_string());
        }
        if path.starts_with("GET /movements") {
            return (200, r#"{"movements":[]}"#.into());
        }
        if path.starts_with("POST /captures") {
            *id.lock().unwrap() = body["id"].as_str().unwrap().to_owned();
            return done("c-1");
        }
        if path.starts_with("POST /refunds") { done("r-1") } else { done("a-1") }
    })
}

fn finds_the_duplicate(service: &'static str, currency: &'static str, amount: u64) {
    let address = with_list(service, currency, amount);
    let town = Town::open_with(&["--dev", "--acquirer", &address, "--settle-every-s", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    let found = within(8, || town.count("SELECT count(*) FROM duplicates") == 1);
    let place = town.count("SELECT coalesce(max(up_to), 0) FROM settlement");
    let alerts = || town.count("SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1'");
    within(2, || alerts() > 0);
    let alerts = alerts();
    let tail: Vec<String> = town.log().lines().rev().take(2).map(str::to_owned).collect();
    assert!(found, "the duplicate is not found; place {place}, alerts {alerts}, log {tail:?}");
    assert!(alerts > 0, "the strange movement was passed over and nobody was told; log {tail:?}");
}

#[test]
fn a_kind_of_movement_nobody_knows_does_not_stop_the_list_in_silence() {
    finds_the_duplicate("chargeback", "TWD", 5_000);
}

#[test]
fn an_authorization_in_the_list_does_not_stop_it() {
    finds_the_duplicate("authorize", "TWD", 5_000);
}

#[test]
fn a_strange_currency_in_the_list_does_not_stop_it() {
    finds_the_duplicate("capture", "twd", 5_000);
}

#[test]
fn a_movement_of_nothing_in_the_list_is_told() {
    finds_the_duplicate("capture", "TWD", 0);
}

/// The bus goes on for everybody while the list cannot be taken.
#[test]
fn a_strange_list_does_not_stop_the_bus() {
    let address = with_list("capture", "twd", 5_000);
    let town = Town::open_with(&["--dev", "--acquirer", &address, "--settle-every-s", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    within(3, || town.log().contains("the bus stands still"));
    let before = town.count("SELECT count(*) FROM log");
    till.send(&till.pay("o-2"));
    till.send(&till.scan("t-1", "n-1"));
    let moved = within(15, || {
        town.count("SELECT count(*) FROM outgoing") == 0 && town.count("SELECT count(*) FROM log") > before
    });
    let still = town.log().matches("the bus stands still").count();
    assert!(moved, "15 s later nothing is on the log; it stood still {still} times");
}

/// A refusal without words fails the order, and others are not held up.
#[test]
fn a_refusal_without_words_is_a_refusal() {
    let address = acquirer(|path, _| {
        if path.starts_with("GET /movements") {
            return (200, r#"{"movements":[]}"#.into());
        }
        if path.starts_with("POST /captures") || path.starts_with("GET /tasks?id=capture") {
            return (200, r#"{"state":"refused","reason":""}"#.into());
        }
        done("a-1")
    });
    let town = Town::open_with(&["--dev", "--acquirer", &address]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    let failed = within(45, || state(&till, "o-1") == "failed");
    let still = town.log().matches("the bus stands still").count();
    assert!(failed, "{}; the bus stood still {still} times", state(&till, "o-1"));
}

/// A till that asks again, as the problem document tells it, gets its hold although the first request was lost.
#[test]
fn a_till_that_keeps_asking_gets_its_hold() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let address = acquirer(move |path, _| {
        if path.starts_with("GET /movements") {
            return (200, r#"{"movements":[]}"#.into());
        }
        if path.starts_with("GET /tasks") {
            let known = count.load(Ordering::Relaxed) > 1;
            return if known { done("a-1") } else { (404, r#"{"state":"unknown"}"#.into()) };
        }
        if count.fetch_add(1, Ordering::Relaxed) == 0 { (503, String::new()) } else { done("a-1") }
    });
    let town = Town::open_with(&["--dev", "--acquirer", &address, "--capacity", "100000"]);
    let till = town.enrol("till-1", Role::Vendor);
    let key = some_key();
    let (mut asked, mut held) = (0, false);
    let until = Instant::now() + Duration::from_secs(15);
    while !held && Instant::now() < until {
        asked += 1;
        held = hold(&till, &key, "o-1", 5_000).is_some_and(|answer| answer.status == 201);
        thread::sleep(Duration::from_millis(500));
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(held && asked < 8, "asked {asked} times, held {held}, and the acquirer was sent it {sent} times");
}

#[test]
fn a_city_whose_payments_wait_says_so_and_takes_no_other_acquirer() {
    let mute = acquirer(|path, _| match path {
        path if path.starts_with("POST /authorizations") => done("a-1"),
        path if path.starts_with("GET /movements") => (200, r#"{"movements":[]}"#.into()),
        _ => (503, String::new()),
    });
    let town = Town::open_with(&["--dev", "--acquirer", &mute]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    assert!(within(5, || town.count("SELECT count(*) FROM operations WHERE due IS NOT NULL") == 1));
    let mut town = town.pull_the_plug(&["--dev"]);
    assert!(town.log().contains("payments wait for an acquirer, and none is named"), "{}", town.log());
    town.terminate();
    assert!(town.ended_well());
    let other = town.command(&["serve", "--listen", "127.0.0.1:0", "--acquirer", "http://127.0.0.1:9"]);
    let why = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(why.contains("has not answered everything it was asked"), "{why}");
}

/// The connection to the acquirer hangs: the city ends all the same when it is told to.
#[test]
fn a_city_whose_acquirer_hangs_can_be_closed() {
    let address = acquirer(|path, _| {
        if path.starts_with("POST /captures") {
            thread::sleep(Duration::from_secs(60));
        }
        if path.starts_with("GET /movements") {
            return (200, r#"{"movements":[]}"#.into());
        }
        done("a-1")
    });
    let mut town = Town::open_with(&["--dev", "--acquirer", &address, "--queue", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    let asked = "SELECT count(*) FROM operations WHERE service = 'capture' AND stand = 'asked'";
    assert!(within(9, || town.count(asked) == 1), "the capture is on its way");
    town.terminate();
    let begun = Instant::now();
    assert!(town.ended_well());
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// The acquirer begins its books anew (the simulated one after a restore of `city.sqlite` alone): its references repeat.
#[test]
fn an_acquirer_that_begins_anew_leaves_no_order_pending_in_silence() {
    let options = ["--dev", "--acquirer-simulated", "--settle-every-s", "1"];
    let town = Town::open_with(&options);
    let till = town.enrol("till-1", Role::Vendor);
    let token = till.token.clone();
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    assert!(within(9, || state(&till, "o-1") == "captured"));
    let books = town.data().join("acquirer.sqlite");
    let town = town.pull_the_plug_and(&options, |_| {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", books.display()));
        }
    });
    let till = Caller::new(&town, "till-1", token);
    let authorization = held(&till, "o-2", 5_000);
    till.send(&online(&till, "o-2", 1, &authorization));
    let captured = within(8, || state(&till, "o-2") == "captured");
    let open = town.count("SELECT count(*) FROM operations WHERE due IS NOT NULL");
    let alerts = town.count("SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1'");
    assert!(
        captured || open > 0 || alerts > 0,
        "{}: nothing is open, nobody was told; log {:?}",
        state(&till, "o-2"),
        town.log().lines().last()
    );
}
