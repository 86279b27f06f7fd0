//! What payments and gates do, and what is said about it.

mod market;

use city_domain::{OrderState, Role};
use conch::event::contract::{CONTRACTS, Form};
use conch::event::json::Json;
use conch::event::{Sequence, UnixMillis};
use conch::wire::VerdictWord::Accepted;
use conch::wire::cloudevents::Envelope;
use market::{CASH, Market, Speaker, emit, key};

fn till() -> Speaker {
    Speaker::new("till-1", Role::Vendor)
}

fn text<'a>(data: &'a Json, name: &str) -> Option<&'a str> {
    data.get(name).and_then(Json::as_text)
}

#[test]
fn cash_is_captured_once_with_a_reference() {
    for method in ["cash", "confirmed_elsewhere"] {
        let (mut market, till) = (Market::new(), till());
        let payload = CASH.replace("cash", method);
        assert_eq!(market.send(&till, &till.pay(1, "o-1", 1, &payload)), Accepted);
        let order = market.books.order_of(&key("o-1")).unwrap().clone();
        assert_eq!(
            (order.state, order.amount, order.method.as_deref()),
            (OrderState::Captured, Some(12_000), Some(method))
        );
        let heard = market.heard(&till);
        assert_eq!(heard[0].0, "pay.txn.v2.captured");
        assert_eq!(text(&heard[0].1, "txnId"), order.txn_id.as_deref());
        assert_eq!(market.books.captures().count(), 1);
    }
}

#[test]
fn a_promise_is_a_receivable_and_nothing_is_called_captured() {
    let (mut market, till) = (Market::new(), till());
    let promise = CASH.replace("cash", "promise");
    market.send(&till, &till.pay(1, "o-1", 1, &promise));
    assert_eq!(market.books.order_of(&key("o-1")).unwrap().state, OrderState::Open);
    assert!(market.heard(&till).is_empty());
    market.send(&till, &till.pay(2, "o-1", 1, &promise));
    let heard = market.heard(&till);
    assert_eq!(
        (heard[0].0.as_str(), text(&heard[0].1, "reason")),
        ("pay.txn.v2.result_replayed", Some("open"))
    );
    market.send(&till, &till.pay(3, "o-1", 2, CASH));
    assert_eq!(text(&market.heard(&till)[1].1, "reason"), Some("already_promised"));
    assert_eq!((market.books.captures().count(), market.books.events().len()), (0, 2));
}

#[test]
fn without_an_authorization_or_an_amount_nothing_is_taken_and_a_new_attempt_may_succeed() {
    let (mut market, till) = (Market::new(), till());
    let online = r#"{"amount":5000,"currency":"TWD","method":"authorized_online","authRef":"a-1"}"#;
    market.send(&till, &till.pay(1, "o-1", 1, online));
    market.send(&till, &till.event(2, &emit("pay.txn.v1", "requested", "o-2", 1, "{}")));
    for (order, reason) in [("o-1", "unknown_authorization"), ("o-2", "no_amount")] {
        let order = market.books.order_of(&key(order)).unwrap();
        assert_eq!(
            (order.state, order.reason.as_deref(), &order.txn_id),
            (OrderState::Failed, Some(reason), &None)
        );
    }
    let heard = market.heard(&till);
    assert_eq!(
        (heard[0].0.as_str(), text(&heard[0].1, "reason")),
        ("pay.txn.v2.failed", Some("unknown_authorization"))
    );
    assert_eq!(
        (heard[1].0.as_str(), &heard[1].1),
        ("pay.txn.v1.failed", &Json::Object(vec![])),
        "version 1 has no reason"
    );
    assert_eq!(market.send(&till, &till.pay(3, "o-1", 2, CASH)), Accepted);
    let order = market.books.order_of(&key("o-1")).unwrap();
    assert_eq!((order.state, order.reason.as_deref()), (OrderState::Captured, None));
}

#[test]
fn an_order_on_the_books_stays_as_it_is_whoever_asks() {
    let (mut market, first, other) = (Market::new(), till(), Speaker::new("till-2", Role::Vendor));
    market.send(&first, &first.pay(1, "o-1", 1, CASH));
    let standing = market.books.order_of(&key("o-1")).unwrap().clone();
    market.send(&other, &other.pay(2, "o-1", 2, &CASH.replace("12000", "700")));
    let heard = market.heard(&other);
    assert_eq!(heard[0].0, "pay.txn.v2.failed");
    assert_eq!(text(&heard[0].1, "reason"), Some("already_paid"));
    assert_eq!(text(&heard[0].1, "origTxnId"), standing.txn_id.as_deref());
    assert_eq!(market.books.order_of(&key("o-1")), Some(&standing));
    assert_eq!(market.books.captures().count(), 1);
}

#[test]
fn versions_share_an_order_and_each_is_answered_in_its_own() {
    let (mut market, till) = (Market::new(), till());
    market.send(&till, &till.pay(1, "o-1", 1, CASH));
    market.send(&till, &till.event(2, &emit("pay.txn.v1", "requested", "o-1", 2, "{}")));
    assert_eq!(market.types_heard(&till), ["pay.txn.v2.captured", "pay.txn.v1.failed"]);
}

#[test]
fn the_first_scan_is_admitted_and_every_later_one_hears_where_and_when() {
    let mut market = Market::new();
    let (north, south) = (Speaker::new("gate-n1", Role::Gate), Speaker::new("gate-s1", Role::Gate));
    market.send(&north, &north.scan(1, "t-1", "north"));
    market.now = UnixMillis(market.now.0 + 60_000);
    let again = south.scan(2, "t-1", "south");
    market.send(&south, &again);
    market.send(&south, &again);
    assert_eq!(
        market.types_heard(&north),
        ["gate.auth.v2.admitted", "gate.auth.v2.duplicate_admission"],
        "who was first hears of the other gate"
    );
    let heard = market.heard(&south);
    assert_eq!(heard.len(), 1, "a replay is no scan");
    assert_eq!(heard[0].0, "gate.auth.v2.duplicate_admission");
    assert_eq!(
        (text(&heard[0].1, "firstGateId"), text(&heard[0].1, "gateId")),
        (Some("north"), Some("south"))
    );
    let admission = market.books.admissions().next().unwrap();
    assert_eq!(heard[0].1.get("firstAt").and_then(Json::as_whole), Some(admission.at.0));
    assert_eq!((market.books.admissions().count(), market.books.scans().len()), (1, 2));
}

#[test]
fn old_ticketing_admits_through_the_adapter_and_a_denial_does_not() {
    let mut market = Market::new();
    let gate = Speaker::new("gate-n1", Role::Gate);
    let old = |n, kind: &str, ticket: &str, ok: u8| {
        let payload = format!(r#"{{"gate":"n1","code":"{ticket}","ok":{ok}}}"#);
        gate.event(n, &emit("gate.auth.v1", kind, ticket, 1, &payload))
    };
    market.send(&gate, &old(1, "denied", "t-1", 0));
    market.send(&gate, &old(2, "verified", "t-1", 1));
    market.send(&gate, &gate.scan(3, "t-1", "n2"));
    market.send(&gate, &old(4, "verified", "t-2", 0));
    assert_eq!(
        market.types_heard(&gate),
        [
            "gate.auth.v2.refused",
            "gate.auth.v2.admitted",
            "gate.auth.v2.duplicate_admission",
            "gate.auth.v2.refused"
        ]
    );
    assert_eq!((market.books.admissions().count(), market.books.scans().len()), (1, 4));
}

#[test]
fn outcomes_are_events_of_the_city_and_keep_their_contracts() {
    let (mut market, till, gate) = (Market::new(), till(), Speaker::new("gate-n1", Role::Gate));
    market.send(&till, &till.pay(1, "o-1", 1, CASH));
    market.send(&till, &till.pay(2, "o-1", 1, CASH));
    market.send(&till, &till.pay(3, "o-1", 2, CASH));
    market.send(&till, &till.event(4, &emit("pay.txn.v1", "requested", "o-1", 3, "{}")));
    for n in [5, 6] {
        market.send(&gate, &gate.scan(n, "t-1", "n1"));
    }
    let mut ids = Vec::new();
    for speaker in [&till, &gate] {
        for (index, told) in market.books.feed(&speaker.principal.device).iter().enumerate() {
            let event = Envelope::read(&Json::parse(&told.body).unwrap()).unwrap();
            assert_eq!(event.source, market.city.source());
            assert_eq!(event.sequence, Some(Sequence(index as u64 + 1)));
            let cause =
                market.books.events().iter().find(|kept| Some(kept.id.to_string()) == event.causation);
            let duplicate = event.kind.as_str() == "result_replayed";
            assert!(cause.is_some_and(|kept| kept.key == event.key) || duplicate);
            assert_eq!(event.correlation, event.causation, "the cause began its own conversation");
            let contract = CONTRACTS
                .iter()
                .find(|own| own.topic == event.topic.as_str() && own.kind == event.kind.as_str())
                .unwrap();
            contract.check(&event.data, event.key.as_str(), Form::Closed).unwrap();
            ids.push(event.id);
        }
    }
    assert_eq!(ids.len(), 6);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "every outcome has an id of its own");
}
