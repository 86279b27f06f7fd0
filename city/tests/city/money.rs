//! Payments an acquirer captures: the real binary, a simulated acquirer with books of its own, real HTTP between them.

use crate::town::{Answer, Caller, Event, Town, draw};
use city_domain::Role;
use conch::event::Emit;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// An acquirer in a process of its own.
pub(crate) struct Acquirer {
    child: Child,
    pub(crate) address: String,
    root: PathBuf,
}

impl Acquirer {
    pub(crate) fn open(faults: &str) -> Self {
        let name = format!("acquirer-{}-{}", std::process::id(), draw());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&root).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_city"))
            .args(["acquirer", "--listen", "127.0.0.1:0", "--faults", faults, "--books"])
            .arg(root.join("acquirer.sqlite"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address, root }
    }

    /// Everything it moved: reference, our id, service, amount.
    pub(crate) fn movements(&self) -> Vec<(String, String, String, i64)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let books = Connection::open_with_flags(self.root.join("acquirer.sqlite"), flags).unwrap();
        let mut rows =
            books.prepare("SELECT reference, id, service, amount FROM movements ORDER BY reference").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }
}

impl Drop for Acquirer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// A key for an authorization.
pub(crate) fn some_key() -> String {
    format!("\"00000000-0000-4000-8000-{:012x}\"", draw())
}

pub(crate) fn hold(till: &Caller<'_>, key: &str, order: &str, amount: u64) -> Option<Answer> {
    let body = json!({ "order": order, "amount": amount, "currency": "TWD" }).to_string();
    let head = [("content-type", "application/json"), ("idempotency-key", key)];
    till.try_ask("POST", "/v1/authorizations", &head, &body)
}

/// Asks with the same key until the acquirer has answered.
pub(crate) fn held(till: &Caller<'_>, order: &str, amount: u64) -> String {
    let key = some_key();
    loop {
        match hold(till, &key, order, amount) {
            Some(answer) if answer.status == 201 => {
                let answer = answer.json();
                assert_eq!(answer["state"], "authorized", "{answer}");
                return answer["authRef"].as_str().unwrap().to_owned();
            }
            Some(answer) => {
                assert_eq!((answer.status, answer.problem().as_str()), (503, "authorization-unknown"));
                thread::yield_now();
            }
            None => thread::yield_now(),
        }
    }
}

pub(crate) fn online(till: &Caller<'_>, order: &str, attempt: u32, authorization: &str) -> Event {
    till.event(&Emit {
        topic: "pay.txn.v2".into(),
        kind: "requested".into(),
        key: order.into(),
        payload: json!({
            "amount": 5_000, "currency": "TWD", "method": "authorized_online", "authRef": authorization,
        })
        .to_string(),
        attempt: Some(attempt),
        ..Emit::default()
    })
}

/// Polls an order until it is as wanted.
fn until_order(till: &Caller<'_>, order: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let answer = till.get(&format!("/v1/orders/{order}"));
        if answer.status == 200 && wanted(&answer.json()) {
            return answer.json();
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn types(till: &Caller<'_>) -> Vec<String> {
    let feed = till.get("/v1/feed").json();
    let events = feed["events"].as_array().unwrap().clone();
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_authorization_is_captured_after_the_till_went_offline() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    let answer = till.send(&online(&till, "o-1", 1, &authorization));
    assert_eq!(answer.verdicts(), ["accepted"]);
    let order = until_order(&till, "o-1", |order| order["state"] == "captured");
    assert_eq!((&order["method"], &order["amount"]), (&json!("authorized_online"), &json!(5_000)));
    assert_eq!(types(&till), ["pay.txn.v2.captured"]);
    assert!(town.log().contains("a simulated acquirer moves the money: none is real"));
}

#[test]
fn the_same_key_is_the_same_hold_and_says_so() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated"]);
    let till = town.enrol("till-1", Role::Vendor);
    let key = some_key();
    let first = hold(&till, &key, "o-1", 5_000).unwrap();
    let again = hold(&till, &key, "o-1", 5_000).unwrap();
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((first.json(), again.header("idempotency-replayed")), (again.json(), Some("true")));
    assert_eq!(hold(&till, &key, "o-1", 6_000).unwrap().problem(), "idempotency-key-reused");
    till.send(&till.pay("o-2"));
    assert_eq!(hold(&till, &some_key(), "o-2", 5_000).unwrap().problem(), "already-paid");
    let head = [("content-type", "application/json")];
    assert_eq!(till.ask("POST", "/v1/authorizations", &head, "{}").problem(), "idempotency-key-missing");
    for body in
        [r#"{"order":"o-3","amount":0,"currency":"TWD"}"#, r#"{"order":"o-3","amount":1,"currency":"twd"}"#]
    {
        let own = some_key();
        let head = [("content-type", "application/json"), ("idempotency-key", own.as_str())];
        assert_eq!(till.ask("POST", "/v1/authorizations", &head, body).problem(), "bad-request");
    }
    let gate = town.enrol("gate-1", Role::Gate);
    assert_eq!(hold(&gate, &some_key(), "o-3", 5_000).unwrap().status, 403);
}

#[test]
fn an_amount_is_whole_however_it_is_written() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated"]);
    let till = town.enrol("till-1", Role::Vendor);
    for (amount, status) in
        [("5000.0", 201), ("5e3", 201), ("5000.5", 400), ("0.0", 400), ("-1", 400), ("1e300", 400)]
    {
        let key = some_key();
        let body = format!("{{\"order\":\"o-1\",\"amount\":{amount},\"currency\":\"TWD\"}}");
        let head = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let answer = till.ask("POST", "/v1/authorizations", &head, &body);
        assert_eq!(answer.status, status, "{amount}: {answer:?}");
        assert!(status != 201 || answer.json()["amount"] == 5_000);
    }
}

#[test]
fn a_city_without_an_acquirer_says_so() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let answer = hold(&till, &some_key(), "o-1", 5_000).unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (501, "no-acquirer"));
}

#[test]
fn what_the_acquirer_declines_is_declined_for_that_key() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated", "decline=1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let answer = hold(&till, &some_key(), "o-1", 5_000).unwrap().json();
    assert_eq!((&answer["state"], &answer["reason"]), (&json!("declined"), &json!("declined")));
    till.send(&online(&till, "o-1", 1, answer["authRef"].as_str().unwrap()));
    let order = until_order(&till, "o-1", |order| order["state"] == "failed");
    assert_eq!(order["reason"], "declined");
}

#[test]
fn many_sends_of_one_intent_at_once_are_one_capture() {
    let acquirer = Acquirer::open("latency-ms=5-30");
    let town = Town::open_with(&["--dev", "--acquirer", &acquirer.address, "--settle-every-s", "1"]);
    let tills: Vec<Caller<'_>> = (0..4).map(|n| town.enrol(&format!("till-{n}"), Role::Vendor)).collect();
    let authorization = held(&tills[0], "o-1", 5_000);
    thread::scope(|scope| {
        for till in &tills {
            for _ in 0..8 {
                scope.spawn(|| {
                    let answer = till.send(&online(till, "o-1", 1, &authorization));
                    assert!(matches!(answer.status, 202 | 409), "{answer:?}");
                });
            }
        }
    });
    until_order(&tills[0], "o-1", |order| order["state"] == "captured");
    assert_eq!(town.totals()["captures"], 1);
    assert_eq!(acquirer.movements().len(), 1);
    assert_eq!(town.count("SELECT count(*) FROM duplicates"), 0);
}

#[test]
fn money_taken_twice_goes_back_and_vendor_and_operator_see_how() {
    let acquirer = Acquirer::open("double=1");
    let town = Town::open_with(&["--dev", "--acquirer", &acquirer.address, "--settle-every-s", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    let refunded = |order: &Value| order["refunds"][0]["state"] == "refunded";
    let order = until_order(&till, "o-1", refunded);
    let refund = &order["refunds"][0];
    assert_eq!((&refund["amount"], &refund["reason"]), (&json!(5_000), &json!("captured_twice")));
    assert_eq!(refund["origTxnId"], order["txnId"]);
    let told = ["captured", "duplicate_captured", "refund_commanded", "refunded"];
    assert_eq!(types(&till), told.map(|word| format!("pay.txn.v2.{word}")));

    let txn = refund["dupTxnId"].as_str().unwrap();
    let listed = town.command(&["sagas", "list", "--all"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(txn), "{listed:?}");
    assert!(String::from_utf8_lossy(&town.command(&["sagas", "list"]).stdout).contains("no refunds"));
    let shown: Value = serde_json::from_slice(&town.command(&["sagas", "show", txn]).stdout).unwrap();
    let steps: Vec<&str> =
        shown["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert_eq!(steps, ["found", "commanded", "refunded"]);
    let ops = town.enrol("ops-1", Role::Ops);
    assert_eq!(ops.get(&format!("/v1/sagas/{txn}")).json(), shown);
    assert_eq!(ops.get("/v1/sagas?all=true").json()["sagas"].as_array().unwrap().len(), 1);
    assert_eq!(till.get("/v1/sagas").status, 403);
    let retry = town.command(&["sagas", "retry", txn, "--reason", "once more"]);
    assert!(String::from_utf8_lossy(&retry.stderr).contains("only a stuck one is for a person"), "{retry:?}");
    let nobody = town.command(&["sagas", "settle", "txn-none", "--reason", "cash"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nothing moved twice under txn-none"));

    let moved = acquirer.movements();
    let sum = |service: &str| -> i64 { moved.iter().filter(|row| row.2 == service).map(|row| row.3).sum() };
    assert_eq!((sum("capture"), sum("refund")), (10_000, 5_000));
}

#[test]
fn a_person_settles_a_stuck_refund() {
    let town = Town::open_with(&["--dev", "--acquirer-simulated", "double=1", "--settle-every-s", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let authorization = held(&till, "o-1", 5_000);
    till.send(&online(&till, "o-1", 1, &authorization));
    let order = until_order(&till, "o-1", |order| order["refunds"][0]["state"] == "refunded");
    let txn = order["refunds"][0]["dupTxnId"].as_str().unwrap().to_owned();
    // As it stands after five refusals; the table of refunds has a test for how it comes to that.
    town.meddle()
        .execute("UPDATE duplicates SET state = 'stuck', refunding = 0 WHERE txn_id = ?1", [&txn])
        .unwrap();
    let settled = town.command(&["sagas", "settle", &txn, "--reason", "paid in cash", "--by", "ops-1"]);
    assert!(settled.status.success(), "{settled:?}");
    let last = until_order(&till, "o-1", |order| order["refunds"][0]["state"] == "settled");
    assert_eq!(last["refunds"][0]["dupTxnId"], txn);
    assert_eq!(town.count("SELECT count(*) FROM refund_steps WHERE detail = 'ops-1: paid in cash'"), 1);
}
