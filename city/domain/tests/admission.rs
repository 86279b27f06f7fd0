//! Who may say what, and that an id and an intent each stand for one thing for ever.

mod market;

use city_domain::{Examined, Request, Role};
use conch::event::UnixMillis;
use conch::event::json::Json;
use conch::wire::VerdictWord::{Accepted, Duplicate, Refused};
use market::{CASH, Market, NOON, Speaker, emit, with, without};

fn till() -> Speaker {
    Speaker::new("till-1", Role::Vendor)
}

#[test]
fn the_same_delivery_gets_the_same_answer() {
    let (mut market, till) = (Market::new(), till());
    let sale = till.pay(1, "o-1", 1, CASH);
    let first = market.judge(&till, &sale);
    assert_eq!((first.verdict.word, first.replayed), (Accepted, false));
    let again = market.judge(&till, &sale);
    assert_eq!((again.verdict, again.replayed), (first.verdict, true));
    assert_eq!(market.books.events().len(), 1);
    assert_eq!(market.types_heard(&till), ["pay.txn.v2.captured"], "a replay tells nothing twice");
}

#[test]
fn a_changed_delivery_is_refused_and_the_first_answer_stands() {
    let (mut market, till) = (Market::new(), till());
    let sale = till.pay(1, "o-1", 1, CASH);
    market.send(&till, &sale);
    let data = Json::parse(r#"{"amount":12000,"currency":"TWD","method":"cash","stallId":"s-9"}"#).unwrap();
    assert_eq!(market.refusal(&till, &with(&sale, "data", data)), "payload-changed");
    assert_eq!(
        market.refusal(&till, &with(&sale, "partitionkey", Json::Text("o-2".into()))),
        "payload-changed"
    );
    assert_eq!(market.send(&till, &sale), Accepted);
    assert_eq!(
        market.send(&till, &with(&sale, "traceparent", Json::Text("00-a-b-01".into()))),
        Accepted,
        "a hop may trace"
    );
    assert_eq!(market.books.captures().count(), 1);
}

#[test]
fn a_number_that_is_no_attribute_of_cloudevents_is_refused() {
    let (mut market, till) = (Market::new(), till());
    let sale = till.pay(1, "o-1", 1, CASH);
    for number in ["1.5", "1.0", "1e2", "2147483648", "-2147483649"] {
        let odd = with(&sale, "exampleextension", Json::Number(number.into()));
        assert_eq!(market.refusal(&till, &odd), "unreadable-event", "{number}");
    }
    let whole = with(&sale, "exampleextension", Json::Number("-2147483648".into()));
    assert_eq!(market.send(&till, &whole), Accepted);
}

#[test]
fn the_same_intent_under_another_id_is_a_duplicate_and_its_sender_hears_the_outcome() {
    let (mut market, first, second) = (Market::new(), till(), Speaker::new("till-2", Role::Vendor));
    assert_eq!(market.send(&first, &first.pay(1, "o-1", 1, CASH)), Accepted);
    let again = second.pay(2, "o-1", 1, CASH);
    assert_eq!(market.send(&second, &again), Duplicate);
    assert_eq!(market.send(&second, &again), Duplicate, "and stays one");
    assert_eq!(market.types_heard(&first), ["pay.txn.v2.captured"]);
    let heard = market.heard(&second);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].0, "pay.txn.v2.result_replayed");
    let captured = market.books.captures().next().unwrap();
    assert_eq!(heard[0].1.get("txnId").and_then(Json::as_text), Some(captured.txn_id.as_str()));
    assert_eq!(market.books.captures().count(), 1);
}

#[test]
fn the_same_intent_with_another_meaning_is_a_conflict() {
    let (mut market, till) = (Market::new(), till());
    market.send(&till, &till.pay(1, "o-1", 1, CASH));
    let dearer = till.pay(2, "o-1", 1, r#"{"amount":99900,"currency":"TWD","method":"cash"}"#);
    let judged = market.judge(&till, &dearer);
    assert_eq!(judged.verdict.word, Refused);
    assert!(judged.is_key_reuse());
    let again = market.judge(&till, &dearer);
    assert!(again.replayed && again.is_key_reuse(), "a refusal is remembered like any verdict");
    assert_eq!(market.books.order_of(&market::key("o-1")).unwrap().amount, Some(12_000));
}

#[test]
fn callers_intents_are_unique_per_device_only() {
    let mut market = Market::new();
    let (one, other) = (Speaker::new("s-1", Role::Gate), Speaker::new("s-2", Role::Vendor));
    let mut tap = emit("market.note.v1", "written", "n-1", 1, r#"{"text":"a"}"#);
    tap.intent = Some("tap-1".into());
    assert_eq!(market.send(&one, &one.event(1, &tap)), Accepted);
    assert_eq!(market.send(&one, &one.event(2, &tap)), Duplicate);
    assert_eq!(market.send(&other, &other.event(3, &tap)), Accepted, "another device means something else");
    tap.payload = r#"{"text":"b"}"#.into();
    assert_eq!(market.refusal(&one, &one.event(4, &tap)), "intent-conflict");
    assert!(market.types_heard(&one).is_empty(), "free topics have no service to answer");
}

#[test]
fn each_refusal_has_its_code() {
    let (mut market, till, gate) = (Market::new(), till(), Speaker::new("gate-n1", Role::Gate));
    let sale = till.pay(1, "o-1", 1, CASH);
    let text = |value: &str| Json::Text(value.into());
    for (event, code) in [
        (with(&sale, "specversion", text("0.9")), "unreadable-event"),
        (with(&sale, "source", text("conch://device/till-2/life-1")), "foreign-source"),
        (with(&sale, "source", text("/till")), "foreign-source"),
        (with(&sale, "type", text("gate.auth.v2.scanned")), "role-forbids-topic"),
        (with(&sale, "type", text("pay.txn.v9.requested")), "unknown-version"),
        (with(&sale, "type", text("pay.txn.v2.asked")), "unknown-type"),
        (with(&sale, "type", text("pay.txn.v2.captured")), "city-only-type"),
        (
            with(&sale, "data", Json::parse(r#"{"amount":0,"currency":"TWD","method":"cash"}"#).unwrap()),
            "bad-payload",
        ),
        (with(&sale, "idempotencykey", text("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11")), "intent-mismatch"),
        (without(&sale, "idempotencykey"), "intent-mismatch"),
        (with(&sale, "attempt", Json::Number("2".into())), "intent-mismatch"),
        (
            with(&sale, "data", Json::parse(&format!(r#"{{"note":"{}"}}"#, "x".repeat(70_000))).unwrap()),
            "event-too-large",
        ),
    ] {
        // Each in a market of its own, so that no refusal is a replay of another.
        let mut fresh = Market::new();
        assert_eq!(fresh.refusal(&till, &event), code);
        assert_eq!((fresh.books.events().len(), fresh.books.refused()), (0, 1), "{code}");
    }
    let scan = gate.scan(2, "t-1", "n1");
    let other_ticket = with(&scan, "data", Json::parse(r#"{"gateId":"n1","ticketId":"t-2"}"#).unwrap());
    assert_eq!(market.refusal(&gate, &other_ticket), "bad-payload");
}

#[test]
fn unknown_members_come_from_the_future_and_are_kept() {
    let (mut market, till) = (Market::new(), till());
    let sale = till.pay(1, "o-1", 1, CASH);
    let data = Json::parse(r#"{"amount":12000,"currency":"TWD","method":"cash","tip":500}"#).unwrap();
    let sale = with(&with(&sale, "data", data), "newattribute", Json::Text("kept".into()));
    assert_eq!(market.send(&till, &sale), Accepted);
    let kept = Json::parse(&market.books.events()[0].body).unwrap();
    assert_eq!(kept.get("data").unwrap().get("tip").and_then(Json::as_whole), Some(500));
    assert_eq!(kept.get("newattribute").and_then(Json::as_text), Some("kept"));
}

#[test]
fn a_refused_delivery_is_never_accepted_later() {
    let (mut market, gate) = (Market::new(), Speaker::new("d-1", Role::Gate));
    let vendor = Speaker::new("d-1", Role::Vendor);
    let sale = vendor.pay(1, "o-1", 1, CASH);
    assert_eq!(market.refusal(&gate, &sale), "role-forbids-topic");
    assert_eq!(
        market.refusal(&vendor, &sale),
        "role-forbids-topic",
        "the device may have replaced it by a new event"
    );
    assert_eq!(market.send(&vendor, &vendor.pay(2, "o-1", 1, CASH)), Accepted);
}

#[test]
fn a_foreign_source_takes_no_id_from_its_owner() {
    let (mut market, thief, owner) = (Market::new(), Speaker::new("till-9", Role::Vendor), till());
    let sale = owner.pay(1, "o-1", 1, CASH);
    assert_eq!(market.refusal(&thief, &sale), "foreign-source");
    assert_eq!(market.send(&owner, &sale), Accepted);
}

#[test]
fn an_element_without_a_readable_id_cannot_be_named() {
    let till = till();
    let sale = till.pay(1, "o-1", 1, CASH);
    for bad in
        [without(&sale, "id"), with(&sale, "id", Json::Text("one".into())), Json::Null, Json::Array(vec![])]
    {
        assert!(Examined::read(&bad, &till.principal).is_none());
    }
}

#[test]
fn times_are_corrected_by_how_far_the_clock_was_off() {
    let (mut market, till) = (Market::new(), till());
    let hour = 3_600_000;
    let mut send = |n: u64, sent_at: Option<u64>| {
        let request = Request {
            principal: till.principal.clone(),
            received: UnixMillis(NOON.0 + 10 * hour),
            sent_at: sent_at.map(UnixMillis),
            window_ms: 0,
        };
        market.judge_as(&request, &till.pay(n, &format!("o-{n}"), 1, CASH));
        let kept = market.books.events().last().unwrap();
        assert_eq!(kept.device_time, Some(NOON));
        kept.corrected.0
    };
    assert_eq!(send(1, Some(NOON.0 + 2 * hour)), NOON.0 + 8 * hour, "two hours old, however wrong the clock");
    assert_eq!(send(2, Some(NOON.0 - hour)), NOON.0 + 10 * hour, "nothing happens after it arrived");
    assert_eq!(send(3, None), NOON.0, "without a sending time the device is believed");
}
