//! Bad weather on purpose, and that it changes no result.

use crate::town::Town;
use city_domain::Role;
use serde_json::json;

#[test]
fn an_answer_lost_after_the_commit_leaves_one_effect() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    town.weather("till-1", json!({ "mode": "drop-answer", "count": 2 }));
    let sale = till.pay("o-1");
    assert!(till.try_send(&sale).is_none());
    assert_eq!(town.totals()["captures"], 1, "the city did its part");
    assert!(till.try_send(&sale).is_none());
    let answer = till.send(&sale);
    assert_eq!(
        (answer.verdicts(), answer.header("idempotency-replayed")),
        (vec!["accepted".to_owned()], Some("true"))
    );
    assert_eq!(
        (town.count("SELECT count(*) FROM captures"), town.count("SELECT count(*) FROM feed")),
        (1, 1)
    );
}

#[test]
fn a_dropped_request_did_nothing() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    town.weather("till-1", json!({ "mode": "drop-request", "count": 1 }));
    let sale = till.pay("o-1");
    assert!(till.try_send(&sale).is_none());
    assert_eq!(town.totals()["events"], 0);
    assert_eq!(till.send(&sale).header("idempotency-replayed"), None);
}

#[test]
fn a_portal_answers_without_the_citys_name() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    town.weather("till-1", json!({ "mode": "captive-html" }));
    for answer in
        [till.send(&till.pay("o-1")), till.get("/v1/edge"), till.get("/v1/orders/o-1"), till.get("/v1/feed")]
    {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert_eq!(answer.header("conch-city"), None);
    }
    assert_eq!(town.totals()["events"], 0);
    town.weather("till-1", json!({ "mode": "clear" }));
    assert_eq!(till.get("/v1/edge").status, 200);
    assert!(till.get("/v1/edge").header("conch-city").is_some());
}

#[test]
fn overload_is_told_as_asked() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    for (mode, status) in [("status-503", 503), ("status-429", 429)] {
        town.weather("till-1", json!({ "mode": mode, "count": 1, "retryAfterS": 7 }));
        let answer = till.get("/v1/edge");
        assert_eq!((answer.status, answer.header("retry-after")), (status, Some("7")));
        answer.problem();
    }
    assert_eq!(till.get("/v1/edge").status, 200);
}

#[test]
fn weather_is_per_device_and_its_own_comes_before_everybodys() {
    let town = Town::open();
    let (one, other) = (town.enrol("till-1", Role::Vendor), town.enrol("till-2", Role::Vendor));
    town.weather("*", json!({ "mode": "status-503" }));
    town.weather("till-2", json!({ "mode": "delay", "delayMs": 1 }));
    assert_eq!((one.get("/v1/edge").status, other.get("/v1/edge").status), (503, 200));
    let ops = town.enrol("ops-1", Role::Ops);
    let listed = ops.get("/v1/dev/weather").json();
    assert_eq!(listed["weather"]["*"], json!({ "mode": "status-503" }));
    assert_eq!(listed["weather"]["till-2"], json!({ "mode": "delay", "delayMs": 1 }));
    let head = [("content-type", "application/json")];
    assert_eq!(ops.ask("PUT", "/v1/dev/weather/*", &head, "{\"mode\":\"hail\"}").problem(), "bad-request");
    assert_eq!(
        ops.ask("PUT", "/v1/dev/weather/Till%201", &head, "{\"mode\":\"clear\"}").problem(),
        "not-found"
    );
}
