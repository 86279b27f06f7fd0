//! The feed: each device hears what is for it, once per cursor, as soon as it is there.

use crate::town::{Town, some_id};
use city_domain::{Role, limits};
use std::thread;
use std::time::Instant;

#[test]
fn a_waiting_poll_wakes_with_the_commit() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let mut cursor = till.get("/v1/feed").json()["cursor"].as_str().unwrap().to_owned();
    for round in 0..10 {
        let started = Instant::now();
        let poll = format!("/v1/feed?after={cursor}&wait=25");
        let heard = thread::scope(|scope| {
            let poll = scope.spawn(|| till.get(&poll));
            town.until_health("listening", 1);
            till.send(&till.pay(&format!("o-{round}")));
            poll.join().unwrap().json()
        });
        let waited = started.elapsed().as_secs();
        assert!(waited < limits::FEED_WAIT_S_MAX, "a poll that is not woken waits to its end");
        let events = heard["events"].as_array().unwrap();
        assert_eq!((events.len(), &events[0]["type"]), (1, &"pay.txn.v2.captured".into()));
        assert_eq!(events[0]["subject"], format!("o-{round}"));
        cursor = heard["cursor"].as_str().unwrap().to_owned();
    }
}

#[test]
fn a_device_hears_only_its_own_events() {
    let town = Town::open();
    let (one, other) = (town.enrol("till-1", Role::Vendor), town.enrol("till-2", Role::Vendor));
    one.send(&one.pay("o-1"));
    assert_eq!(one.get("/v1/feed").json()["events"].as_array().unwrap().len(), 1);
    let heard = other.get("/v1/feed").json();
    assert!(heard["events"].as_array().unwrap().is_empty());
    let cursor = heard["cursor"].as_str().unwrap();
    assert_eq!(other.get(&format!("/v1/feed?after={cursor}")).status, 200);
}

#[test]
fn a_long_feed_comes_in_pieces_and_again_from_the_same_cursor() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sales: Vec<_> = (0..130).map(|n| till.pay(&format!("o-{n}"))).collect();
    sales.chunks(limits::BATCH_EVENTS_MAX).for_each(|some| drop(till.send_all(some)));
    let first = till.get("/v1/feed?after=&wait=0").json();
    let cursor = first["cursor"].as_str().unwrap();
    let rest = till.get(&format!("/v1/feed?after={cursor}")).json();
    let sequences: Vec<u64> = [&first, &rest]
        .iter()
        .flat_map(|piece| piece["events"].as_array().unwrap())
        .map(|event| event["sequence"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(first["events"].as_array().unwrap().len(), limits::FEED_EVENTS_MAX);
    assert_eq!(sequences, (1..=130).collect::<Vec<u64>>());
    assert_eq!(
        till.get(&format!("/v1/feed?after={cursor}")).json(),
        rest,
        "at least once: the cursor is the device's"
    );
}

#[test]
fn a_cursor_of_another_time_or_city_is_gone() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    till.send(&till.pay("o-1"));
    let cursor = till.get("/v1/feed").json()["cursor"].as_str().unwrap().to_owned();
    let beyond = format!("{}9", cursor);
    for bad in [beyond.as_str(), "junk", "1", &format!("{}.1", some_id())] {
        let answer = till.get(&format!("/v1/feed?after={bad}"));
        assert_eq!((answer.status, answer.problem().as_str()), (410, "cursor-gone"), "{bad}");
    }
    assert_eq!(till.get("/v1/feed?wait=soon").problem(), "bad-query");
}
