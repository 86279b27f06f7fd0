//! What outlives a power cut and a restart, how the city closes, and what its log never says.

use crate::town::{Town, altered};
use city_domain::Role;
use serde_json::json;
use std::process::Command;
use std::thread;

#[test]
fn a_power_cut_loses_nothing_that_was_answered() {
    let town = Town::open();
    let (token, sale, first, city) = {
        let till = town.enrol("till-1", Role::Vendor);
        let sale = till.pay("o-1");
        let first = till.send(&sale);
        (till.token.clone(), sale, first, till.get("/v1/edge").json()["city"].clone())
    };
    let town = town.pull_the_plug(&["--dev"]);
    let till = crate::town::Caller::new(&town, "till-1", token);
    let again = till.send(&sale);
    assert_eq!(
        (again.body.as_str(), again.header("idempotency-replayed")),
        (first.body.as_str(), Some("true"))
    );
    assert_eq!(till.get("/v1/edge").json()["city"], city);
    assert_eq!(till.get("/v1/orders/o-1").json()["eventId"], sale.id.as_str());
    assert_eq!(till.get("/v1/feed").json()["events"].as_array().unwrap().len(), 1);
    assert_eq!(town.totals()["captures"], 1);
}

#[test]
fn a_stop_ends_long_polls_and_folds_the_log_into_the_file() {
    let mut town = Town::open();
    {
        let till = town.enrol("till-1", Role::Vendor);
        thread::scope(|scope| {
            let poll = scope.spawn(|| till.get("/v1/feed?wait=25"));
            town.until_health("listening", 1);
            town.terminate();
            let answer = poll.join().unwrap();
            assert_eq!((answer.status, answer.json()["events"].as_array().unwrap().len()), (200, 0));
        });
    }
    assert!(town.ended_well(), "{}", town.log());
    assert!(town.log().contains("the city is closed"));
    let log = town.data().join("city.sqlite-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0);
    assert_eq!(town.totals()["events"], 0, "the file can be read while nobody serves it");
}

#[test]
fn a_directory_has_one_city() {
    let town = Town::open();
    let second = town.command(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another city runs on this data directory"));
    town.meddle().pragma_update(None, "user_version", 99).unwrap();
    let inspect = town.command(&["inspect"]);
    assert!(String::from_utf8_lossy(&inspect.stderr).contains("use the newer binary"), "{inspect:?}");
}

#[test]
fn a_directory_without_a_city_is_told() {
    let town = Town::open();
    std::fs::create_dir(town.root.join("empty")).unwrap();
    let inspect = Command::new(env!("CARGO_BIN_EXE_city"))
        .args(["inspect", "--data"])
        .arg(town.root.join("empty"))
        .output()
        .unwrap();
    assert!(!inspect.status.success());
    assert!(String::from_utf8_lossy(&inspect.stderr).contains("start one with `city serve"), "{inspect:?}");
}

#[test]
fn the_log_says_what_happened_and_nothing_about_anybody() {
    let mut town = Town::open_with(&["--dev", "--log", "json", "--log-level", "trace"]);
    let (token, words) = {
        let till = town.enrol("till-1", Role::Vendor);
        let mut sale = till.pay("order-of-somebody");
        sale =
            altered(&sale, "\"currency\":\"TWD\"", "\"currency\":\"TWD\",\"stallId\":\"stall-of-somebody\"");
        till.send(&sale);
        till.send(&altered(&sale, "stall-of-somebody", "changed-by-somebody"));
        till.get("/v1/orders/order-of-somebody");
        till.get("/v1/nothing-of-somebody");
        town.weather("till-1", json!({ "mode": "clear" }));
        let words = [sale.intent.clone(), sale.id.clone(), "somebody".to_owned(), "12000".to_owned()];
        (till.token.clone(), words)
    };
    town.terminate();
    assert!(town.ended_well());
    let log = town.log();
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    for expected in ["the city is open", "a device enrolled", "/v1/orders/{key}", "\"status\":422"] {
        assert!(log.contains(expected), "{expected} is missing in {log}");
    }
    for secret in words.iter().chain([&token]) {
        assert!(!log.contains(secret.as_str()), "{secret} stands in {log}");
    }
    assert!(!log.to_lowercase().contains("bearer"));
}

/// Nobody could tell whether it came before; a clock that was never set says nothing about that.
#[test]
fn what_is_older_than_the_city_remembers_is_refused_with_a_reason() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let year = sale.body.split_once(r#""time":""#).unwrap().1.get(..10).unwrap().to_owned();
    let answer = till.send_all(&[altered(&sale, &year, "2025-03-01")]);
    let verdict = &answer.json()["verdicts"][0];
    assert_eq!(
        (&verdict["verdict"], &verdict["problem"]["type"]),
        (&json!("refused"), &json!("urn:conch:problem:too-old"))
    );
    assert!(verdict["problem"]["detail"].as_str().unwrap().contains("45 days"));
    let reset = altered(&till.pay("o-2"), &year, "1970-01-01");
    assert_eq!(till.send(&reset).verdicts(), ["accepted"], "a phone after a power cut begins in 1970");
}

#[test]
fn a_backup_made_while_it_runs_is_a_city_of_its_own() {
    let town = Town::open();
    let (till, to) = (town.enrol("till-1", Role::Vendor), town.root.join("copy/city.sqlite"));
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let backup = |to: &std::path::Path| town.command(&["backup", "--to", to.to_str().unwrap()]);
    thread::scope(|scope| {
        let selling = scope.spawn(|| {
            for round in 0..20 {
                let sales: Vec<_> = (0..20).map(|n| till.pay(&format!("o-{round}-{n}"))).collect();
                till.send_all(&sales);
            }
        });
        while town.count("SELECT count(*) FROM captures") == 0 {
            thread::yield_now();
        }
        let made = backup(&to);
        assert!(made.status.success(), "{made:?}");
        selling.join().unwrap();
    });
    let again = backup(&to);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));
    let books = rusqlite::Connection::open(&to).unwrap();
    let count = |sql: &str| -> i64 { books.query_row(sql, [], |row| row.get(0)).unwrap() };
    let captures = count("SELECT count(*) FROM captures");
    assert!((20..=400).contains(&captures) && captures % 20 == 0, "whole transactions: {captures}");
    assert_eq!(count("SELECT count(*) FROM orders WHERE state = 'captured'"), captures);
    drop(books);
    let copy = Town::start(town.root.join("copy-town"), &["--dev"], Some(&to));
    assert_eq!(copy.totals()["captures"], captures);
}
