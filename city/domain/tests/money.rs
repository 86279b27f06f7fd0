//! Payments that an acquirer captures: the city's decisions against a real ledger of an acquirer that loses answers,
//! declines and takes money twice. Time is virtual; only the acquirer's faults are drawn.
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod market;

use acquirer::{Ledger, Outcome, Task};
use city_domain::bus::{PARTITIONS, Turn, due, relay, take_up, tick};
use city_domain::{
    Answer, Begun, Books, Call, Fault, Hold, Listed, Movement, OrderState, RefundDecision, RefundNotDecided,
    RefundState, Refunds, Role, Service, Stand, Wish, answered, authorize, decide_refund, hand_out, limits,
    settle, standing,
};
use conch::event::json::Json;
use conch::event::{IntentKey, UnixMillis};
use conch::pace::Jitter;
use market::{CASH, Market, Speaker, key};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens to one call on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Luck {
    lose_request: bool,
    lose_answer: bool,
    decline: bool,
    double: bool,
    /// It is done and answered as refused.
    lie: bool,
}

struct Town {
    market: Market,
    till: Speaker,
    ledger: Ledger,
    jitter: Jitter,
    minted: u64,
    sent: u64,
    /// By the beginning of an id: the luck of its next calls, the last one for all that follow.
    luck: BTreeMap<&'static str, Vec<Luck>>,
    calls: Vec<String>,
    troubles: Vec<String>,
}

impl Town {
    fn new() -> Self {
        Self {
            market: Market::new(),
            till: Speaker::new("till-1", Role::Vendor),
            ledger: Ledger::open(None).unwrap(),
            jitter: Jitter::new(5),
            minted: 0,
            sent: 0,
            luck: BTreeMap::new(),
            calls: Vec::new(),
            troubles: Vec::new(),
        }
    }

    fn pass(&mut self, ms: u64) {
        self.market.now = UnixMillis(self.market.now.0 + ms);
    }

    fn luck(&mut self, id: &str) -> Luck {
        let Some((_, luck)) = self.luck.iter_mut().find(|(of, _)| id.starts_with(**of)) else {
            return Luck::default();
        };
        if luck.len() > 1 { luck.remove(0) } else { luck.first().copied().unwrap_or_default() }
    }

    /// The acquirer, and the line to it.
    fn call(&mut self, call: &Call) -> Answer {
        let own = &call.operation;
        self.calls.push(format!("{}{}", if call.query { "?" } else { "" }, own.id));
        let luck = self.luck(&own.id);
        if luck.lose_request {
            return Answer::Unknown;
        }
        let outcome = if call.query {
            self.ledger.query(&own.id).unwrap()
        } else {
            let service = acquirer::Service::parse(own.service.as_str()).unwrap();
            let task = Task {
                id: own.id.clone(),
                about: own.about.clone(),
                amount: own.amount,
                currency: own.currency.clone(),
                statement: own.statement.clone(),
            };
            Some(
                self.ledger.perform(service, &task, luck.decline, luck.double).unwrap().expect("one meaning"),
            )
        };
        if luck.lose_answer {
            return Answer::Unknown;
        }
        match outcome {
            Some(Outcome::Done { .. }) if luck.lie && !call.query => Answer::Refused("declined".into()),
            None => Answer::NotFound,
            Some(Outcome::Refused { reason }) => Answer::Refused(reason),
            Some(Outcome::Done { reference, amount, currency }) => {
                Answer::Done { reference, amount, currency }
            }
        }
    }

    fn in_turn<T>(&mut self, work: impl FnOnce(&mut city_domain::Memory, &mut Turn<'_>) -> T) -> T {
        let minted = &mut self.minted;
        let mut entropy = || {
            *minted += 1;
            let mut bytes = [3; 10];
            bytes[2..].copy_from_slice(&minted.to_be_bytes());
            bytes
        };
        let city = self.market.city;
        let mut turn = Turn::new(&city, self.market.now, &mut entropy, &mut self.jitter);
        let done = work(&mut self.market.books, &mut turn);
        self.troubles.extend(turn.troubles);
        done
    }

    fn take(&mut self, call: &Call, answer: &Answer) {
        self.in_turn(|books, turn| answered(books, &call.operation.id, answer, turn).unwrap());
    }

    fn wish(&mut self, order: &str, n: u64, amount: u64) -> Wish {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        let intent = IntentKey::from_bytes(bytes);
        let device = self.till.principal.device.clone();
        Wish { device, intent, order: key(order), amount, currency: "TWD".into() }
    }

    /// What the till's request does: begin, ask, take the answer, look again.
    fn authorize(&mut self, wish: &Wish) -> Begun {
        self.minted += 1;
        let mut entropy = [4; 10];
        entropy[2..].copy_from_slice(&self.minted.to_be_bytes());
        match authorize(&mut self.market.books, wish, self.market.now, entropy).unwrap() {
            Begun::Call(call) => {
                let answer = self.call(&call);
                self.take(&call, &answer);
                match standing(&mut self.market.books, wish, self.market.now).unwrap() {
                    Some(own) => Begun::Known(own),
                    None => Begun::Call(call),
                }
            }
            other => other,
        }
    }

    /// An authorization that is held.
    fn held(&mut self, order: &str, n: u64) -> String {
        let wish = self.wish(order, n, 5_000);
        let Begun::Known(own) = self.authorize(&wish) else { panic!("not held") };
        assert_eq!(own.hold, Hold::Authorized);
        own.reference
    }

    fn pay(&mut self, order: &str, attempt: u32, authorization: &str) {
        self.sent += 1;
        let payload = format!(
            r#"{{"amount":5000,"currency":"TWD","method":"authorized_online","authRef":"{authorization}"}}"#
        );
        let event = self.till.pay(self.sent, order, attempt, &payload);
        self.market.send(&self.till, &event);
    }

    fn cash(&mut self, order: &str, attempt: u32) {
        self.sent += 1;
        let event = self.till.pay(self.sent, order, attempt, CASH);
        self.market.send(&self.till, &event);
    }

    /// One round of the machinery: the bus, the service, and every call that is due.
    fn round(&mut self) {
        let calls = self.in_turn(|books, turn| {
            for partition in 0..PARTITIONS {
                relay(books, partition, 100, turn.now).unwrap();
                take_up(books, &Refunds, partition, 100, turn).unwrap();
            }
            due(books, &Refunds, 100, turn).unwrap();
            tick(books, &Refunds, 100, turn).unwrap();
            hand_out(books, 100, &|_| false, turn).unwrap()
        });
        for call in calls {
            let answer = self.call(&call);
            self.take(&call, &answer);
        }
    }

    fn settle(&mut self) {
        let up_to = self.in_turn(|books, _| Books::settled_up_to(books).unwrap());
        let after = up_to.saturating_sub(limits::LIST_OVERLAP);
        let found = self.ledger.movements(after, 500).unwrap();
        let up_to = found.last().map_or(after, |last| last.number);
        let movements = found.into_iter().map(|own| Movement {
            reference: own.reference,
            operation: own.id,
            service: Service::parse(&own.service).unwrap(),
            amount: own.amount,
            currency: own.currency,
        });
        let listed = Listed { after, movements: movements.collect(), strange: vec![], up_to };
        self.in_turn(|books, turn| settle(books, &listed, turn).unwrap());
    }

    /// Lets everything come to rest.
    fn calm(&mut self) {
        for _ in 0..60 {
            self.round();
            self.settle();
            self.pass(limits::RETRY_CAP_MS);
        }
    }

    fn state(&self, order: &str) -> OrderState {
        self.market.books.order_of(&key(order)).unwrap().state
    }

    fn alerts(&self) -> Vec<String> {
        let alerts = self.market.books.log().filter(|message| message.topic.as_str() == "ops.alerts.v1");
        alerts
            .map(|message| {
                let data = message.envelope().unwrap().data;
                format!("{} {}", message.kind.as_str(), data.text("alert").unwrap())
            })
            .collect()
    }

    /// What the acquirer holds of an order's money in the end: captures less refunds.
    fn net(&self, order: &str) -> i64 {
        let ids: Vec<String> = self
            .market
            .books
            .operations()
            .filter(|own| own.order == key(order))
            .map(|own| own.id.clone())
            .collect();
        let moved = self.ledger.movements(0, 10_000).unwrap();
        moved
            .iter()
            .filter(|movement| ids.contains(&movement.id))
            .map(|movement| {
                let amount = movement.amount as i64;
                if movement.service == "refund" { -amount } else { amount }
            })
            .sum()
    }
}

const LOST: Luck = Luck { lose_request: true, lose_answer: false, decline: false, double: false, lie: false };
const MUTE: Luck = Luck { lose_request: false, lose_answer: true, decline: false, double: false, lie: false };
const FINE: Luck =
    Luck { lose_request: false, lose_answer: false, decline: false, double: false, lie: false };
const DECLINED: Luck =
    Luck { lose_request: false, lose_answer: false, decline: true, double: false, lie: false };
const TWICE: Luck =
    Luck { lose_request: false, lose_answer: false, decline: false, double: true, lie: false };

#[test]
fn what_was_authorized_online_is_pending_until_the_acquirer_has_it() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    assert_eq!(town.state("o-1"), OrderState::Pending);
    assert!(town.market.heard(&town.till).is_empty(), "nothing is called paid before it is");
    town.round();
    assert_eq!(town.state("o-1"), OrderState::Captured);
    assert_eq!(town.market.types_heard(&town.till), ["pay.txn.v2.captured"]);
    assert_eq!(town.market.books.captures().count(), 1);
    town.calm();
    assert_eq!((town.net("o-1"), town.alerts()), (5_000, vec![]));
}

#[test]
fn a_lost_answer_keeps_the_id_and_is_queried() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.calls.clear();
    town.luck.insert("capture:", vec![MUTE, MUTE, FINE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    assert_eq!(town.state("o-1"), OrderState::Pending);
    town.pass(limits::RETRY_CAP_MS);
    town.round();
    town.pass(limits::RETRY_CAP_MS);
    town.round();
    let id = format!("capture:{authorization}:1");
    assert_eq!(town.calls, [id.clone(), format!("?{id}"), format!("?{id}")]);
    assert_eq!(town.state("o-1"), OrderState::Captured);
    assert_eq!(town.net("o-1"), 5_000);
}

#[test]
fn a_lost_request_is_sent_again_under_the_same_id_after_a_query() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.calls.clear();
    town.luck.insert("capture:", vec![LOST, FINE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.pass(limits::RETRY_CAP_MS);
    town.round();
    town.pass(limits::RETRY_CAP_MS);
    town.round();
    let id = format!("capture:{authorization}:1");
    assert_eq!(town.calls, [id.clone(), format!("?{id}"), id]);
    assert_eq!(town.state("o-1"), OrderState::Captured);
}

#[test]
fn a_definite_refusal_fails_the_order_and_a_new_attempt_has_a_new_id() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![DECLINED, FINE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    assert_eq!(town.state("o-1"), OrderState::Failed);
    let heard = town.market.heard(&town.till);
    assert_eq!((heard[0].0.as_str(), heard[0].1.text("reason")), ("pay.txn.v2.failed", Some("declined")));
    town.pay("o-1", 2, &authorization);
    town.round();
    assert_eq!(town.state("o-1"), OrderState::Captured);
    assert!(town.calls.contains(&format!("capture:{authorization}:2")));
    assert_eq!(town.net("o-1"), 5_000);
}

#[test]
fn a_capture_made_twice_is_found_in_the_list_and_refunded_once() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    assert_eq!(town.net("o-1"), 10_000, "the acquirer took it twice");
    town.settle();
    town.round();
    town.round();
    assert_eq!(
        town.market.types_heard(&town.till),
        [
            "pay.txn.v2.captured",
            "pay.txn.v2.duplicate_captured",
            "pay.txn.v2.refund_commanded",
            "pay.txn.v2.refunded"
        ]
    );
    let (_, refunded) = town.market.heard(&town.till).pop().unwrap();
    let duplicate = town.market.books.duplicates().next().unwrap().clone();
    assert_eq!(refunded.text("dupTxnId"), Some(duplicate.txn_id.as_str()));
    assert_eq!(refunded.text("reason"), Some("captured_twice"));
    assert_eq!(refunded.whole("amount"), Some(5_000));
    assert_eq!(refunded.text("txnId"), Some(format!("refund:{}:1", duplicate.txn_id).as_str()));
    let first = town.market.books.captures().next().unwrap();
    assert_eq!(refunded.text("origTxnId"), Some(first.txn_id.as_str()));
    town.calm();
    assert_eq!((town.net("o-1"), town.alerts()), (5_000, vec![]));
    let states: Vec<&str> = town.market.books.refund_steps().map(|(_, step)| step.state.as_str()).collect();
    assert_eq!(states, ["found", "commanded", "refunded"]);
}

#[test]
fn the_refund_belongs_to_the_trace_and_the_conversation_of_the_sale() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let payload = format!(
        r#"{{"amount":5000,"currency":"TWD","method":"authorized_online","authRef":"{authorization}"}}"#
    );
    let event = market::with(&town.till.pay(1, "o-1", 1, &payload), "traceparent", Json::Text(trace.into()));
    town.market.send(&town.till, &event);
    town.calm();
    let last = town.market.books.feed(&town.till.principal.device).last().unwrap().body.clone();
    let last = Json::parse(&last).unwrap();
    assert_eq!(last.text("type"), Some("pay.txn.v2.refunded"));
    assert_eq!(last.text("traceparent"), Some(trace));
    assert_eq!(last.text("correlationid"), event.text("correlationid").or(event.text("id")));
    assert_eq!(last.text("causationid"), event.text("id"));
}

#[test]
fn an_event_that_comes_again_moves_no_money_and_its_sender_hears_the_outcome() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.pay("o-1", 1, &authorization);
    assert!(town.market.heard(&town.till).is_empty(), "it is not known yet");
    town.calm();
    let mut heard = town.market.types_heard(&town.till);
    heard.sort();
    assert_eq!(heard, ["pay.txn.v2.captured", "pay.txn.v2.result_replayed"]);
    assert_eq!((town.net("o-1"), town.market.books.duplicates().count()), (5_000, 0));
}

#[test]
fn a_second_payment_is_denied_and_what_is_held_for_it_is_let_go() {
    let mut town = Town::new();
    let (first, second) = (town.held("o-1", 1), town.held("o-1", 2));
    town.pay("o-1", 1, &first);
    town.pay("o-1", 2, &second);
    let heard = town.market.heard(&town.till);
    assert_eq!(heard[0].1.text("reason"), Some("payment_pending"));
    town.calm();
    town.pay("o-1", 3, &second);
    let last = town.market.heard(&town.till).pop().unwrap();
    assert_eq!((last.0.as_str(), last.1.text("reason")), ("pay.txn.v2.failed", Some("already_paid")));
    assert_eq!(town.calls.iter().filter(|id| id.starts_with("cancel:")).count(), 1);
    assert_eq!(town.net("o-1"), 5_000);
    let cancelled =
        town.market.books.operations().find(|own| own.service == Service::Cancel).map(|own| own.stand);
    assert_eq!(cancelled, Some(Stand::Done));
}

#[test]
fn money_that_moved_although_it_was_refused_is_found_and_goes_back_if_the_order_was_paid_meanwhile() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    // The acquirer does it and says that it did not.
    let calls = town.in_turn(|books, turn| hand_out(books, 9, &|_| false, turn).unwrap());
    town.call(&calls[0]);
    town.take(&calls[0], &Answer::Refused("declined".into()));
    assert_eq!(town.state("o-1"), OrderState::Failed);
    town.cash("o-1", 2);
    assert_eq!(town.state("o-1"), OrderState::Captured);
    town.calm();
    assert_eq!(town.net("o-1"), 0, "the till has the cash");
    assert_eq!(town.market.books.duplicates().next().unwrap().state, RefundState::Refunded);

    let authorization = town.held("o-2", 2);
    town.pay("o-2", 1, &authorization);
    let calls = town.in_turn(|books, turn| hand_out(books, 9, &|_| false, turn).unwrap());
    town.call(&calls[0]);
    town.take(&calls[0], &Answer::Refused("declined".into()));
    town.calm();
    assert_eq!((town.state("o-2"), town.net("o-2")), (OrderState::Captured, 5_000), "it is paid after all");
}

#[test]
fn a_refund_that_is_refused_is_tried_under_new_ids_and_then_a_person_decides() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.luck.insert("refund:", vec![DECLINED]);
    town.pay("o-1", 1, &authorization);
    town.calm();
    let duplicate = town.market.books.duplicates().next().unwrap().clone();
    assert_eq!((duplicate.state, duplicate.attempt), (RefundState::Stuck, limits::REFUNDS_MAX));
    assert_eq!(duplicate.refunding, 0);
    assert_eq!(town.alerts(), ["raised refund_stuck"]);
    assert_eq!(town.net("o-1"), 10_000);

    let decide = |town: &mut Town, decision, reason: &str| {
        let txn_id = duplicate.txn_id.clone();
        town.in_turn(|books, turn| decide_refund(books, &txn_id, decision, ("ops-1", reason), turn).unwrap())
    };
    assert_eq!(decide(&mut town, RefundDecision::Retry, " "), Err(RefundNotDecided::Reason));
    town.luck.insert("refund:", vec![FINE]);
    assert!(decide(&mut town, RefundDecision::Retry, "the bank says it is open again").is_ok());
    assert_eq!(
        decide(&mut town, RefundDecision::Settle, "cash"),
        Err(RefundNotDecided::Stands(RefundState::Commanded))
    );
    town.calm();
    assert_eq!(town.market.books.duplicates().next().unwrap().state, RefundState::Refunded);
    assert_eq!(town.net("o-1"), 5_000);
    let refunds = town.market.books.operations().filter(|own| own.service == Service::Refund);
    assert_eq!(refunds.filter(|own| own.stand == Stand::Done).count(), 1);
}

#[test]
fn a_refund_given_back_by_hand_is_settled_and_stays() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.luck.insert("refund:", vec![DECLINED]);
    town.pay("o-1", 1, &authorization);
    town.calm();
    let txn_id = town.market.books.duplicates().next().unwrap().txn_id.clone();
    let settled = town.in_turn(|books, turn| {
        decide_refund(books, &txn_id, RefundDecision::Settle, ("ops-1", "paid in cash at the stall"), turn)
            .unwrap()
    });
    assert_eq!(settled.unwrap().state, RefundState::Settled);
    town.calm();
    assert_eq!(town.alerts(), ["raised refund_stuck", "cleared refund_stuck"]);
    let last = town.market.heard(&town.till).pop().unwrap();
    assert_eq!((last.0.as_str(), last.1.text("reason")), ("pay.txn.v2.refunded", Some("settled_by_hand")));
    let (_, step) = town.market.books.refund_steps().last().unwrap();
    assert_eq!(step.detail, "ops-1: paid in cash at the stall");
}

#[test]
fn what_takes_long_is_told_once_and_asked_for_on_and_on() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![LOST]);
    town.pay("o-1", 1, &authorization);
    town.calm();
    assert_eq!((town.state("o-1"), town.alerts()), (OrderState::Pending, vec!["raised payment_late".into()]));
    town.luck.insert("capture:", vec![FINE]);
    town.calm();
    assert_eq!(town.state("o-1"), OrderState::Captured);
    assert_eq!(town.alerts().len(), 1);
}

#[test]
fn the_same_key_is_one_hold_whatever_the_answers() {
    let mut town = Town::new();
    let wish = town.wish("o-1", 1, 5_000);
    town.luck.insert("auth-", vec![MUTE, FINE]);
    assert!(matches!(town.authorize(&wish), Begun::Call(_)), "nothing is known yet");
    let Begun::Known(first) = town.authorize(&wish) else { panic!("known") };
    let Begun::Known(again) = town.authorize(&wish) else { panic!("known") };
    assert_eq!((first.hold, &first), (Hold::Authorized, &again));
    let other = Wish { amount: 6_000, ..wish.clone() };
    assert_eq!(town.authorize(&other), Begun::KeyReused);
    town.pay("o-1", 1, &first.reference);
    let another = town.wish("o-1", 2, 5_000);
    assert_eq!(town.authorize(&another), Begun::PaymentPending);
    town.calm();
    assert_eq!(town.authorize(&another), Begun::AlreadyPaid);
    assert_eq!(town.calls.iter().filter(|id| id.starts_with("auth-")).count(), 1);
}

#[test]
fn a_hold_no_till_was_told_of_is_let_go_soon_and_a_used_one_never() {
    let mut town = Town::new();
    town.luck.insert("auth-", vec![MUTE, FINE]);
    let wish = town.wish("o-1", 1, 5_000);
    town.authorize(&wish);
    town.luck.remove("auth-");
    let told = town.held("o-2", 2);
    town.calm();
    let cancelled = |town: &Town| -> Vec<String> {
        let all = town.market.books.operations().filter(|own| own.service == Service::Cancel);
        all.map(|own| own.order.to_string()).collect()
    };
    assert_eq!(cancelled(&town), ["o-1"]);
    town.pay("o-2", 1, &told);
    town.pass(limits::HOLD_MS);
    town.calm();
    assert_eq!((cancelled(&town), town.state("o-2")), (vec!["o-1".into()], OrderState::Captured));
}

#[test]
fn an_authorization_pays_its_own_order_and_amount_only() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-2", 1, &authorization);
    town.pay("o-3", 1, "auth-made-up");
    let more = format!(
        r#"{{"amount":5001,"currency":"TWD","method":"authorized_online","authRef":"{authorization}"}}"#
    );
    let other = more.replace("5001", "5000").replace("TWD", "USD");
    let till = town.till.clone();
    town.by(&till, "o-1", 1, &more);
    let reason = |town: &Town, order: &str| town.market.books.order_of(&key(order)).unwrap().reason.clone();
    assert_eq!(reason(&town, "o-2").as_deref(), Some("authorization_mismatch"));
    assert_eq!(reason(&town, "o-3").as_deref(), Some("unknown_authorization"));
    assert_eq!(reason(&town, "o-1").as_deref(), Some("authorization_mismatch"));
    town.by(&till, "o-1", 2, &other);
    assert_eq!(reason(&town, "o-1").as_deref(), Some("authorization_mismatch"));
    town.calm();
    assert_eq!(town.ledger.movements(0, 9).unwrap().len(), 0);
}

#[test]
fn money_that_fits_nothing_is_told() {
    let mut town = Town::new();
    let strange = Movement {
        reference: "capture-77".into(),
        operation: "nobody's".into(),
        service: Service::Capture,
        amount: 1,
        currency: "TWD".into(),
    };
    let listed = Listed { movements: vec![strange], up_to: 1, ..Listed::default() };
    town.in_turn(|books, turn| settle(books, &listed, turn).unwrap());
    town.round();
    assert_eq!(town.alerts(), ["raised movement_unknown"]);
}

#[test]
fn money_on_the_books_that_the_list_never_shows_is_told() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.in_turn(|books, turn| hand_out(books, 9, &|_| false, turn).unwrap());
    let answer = Answer::Done { reference: "capture-never".into(), amount: 5_000, currency: "TWD".into() };
    town.take(&calls[0], &answer);
    town.pass(limits::UNLISTED_MS);
    town.round();
    town.round();
    assert_eq!(town.alerts(), ["raised movement_unlisted"]);
}

const NEVER: Luck = Luck { lose_request: true, lose_answer: true, decline: false, double: false, lie: false };

impl Town {
    fn hand(&mut self) -> Vec<Call> {
        self.in_turn(|books, turn| hand_out(books, 99, &|_| false, turn).unwrap())
    }

    fn try_take(&mut self, id: &str, answer: &Answer) -> Result<(), Fault> {
        self.in_turn(|books, turn| answered(books, id, answer, turn))
    }

    fn try_settle(&mut self, listed: &Listed) -> Result<(), Fault> {
        self.in_turn(|books, turn| settle(books, listed, turn))
    }

    /// The acquirer does it, and says that it did not.
    fn done_but_refused(&mut self) {
        let calls = self.hand();
        assert_eq!(calls.len(), 1);
        self.call(&calls[0]);
        self.take(&calls[0], &Answer::Refused("declined".into()));
    }

    fn by(&mut self, till: &Speaker, order: &str, attempt: u32, payload: &str) {
        self.sent += 1;
        let event = till.pay(self.sent, order, attempt, payload);
        self.market.send(till, &event);
    }
}

const PROMISE: &str = r#"{"amount":5000,"currency":"TWD","method":"promise"}"#;

fn done(reference: &str, amount: u64, currency: &str) -> Answer {
    Answer::Done { reference: reference.into(), amount, currency: currency.into() }
}

fn movement(reference: &str, operation: &str, service: Service, amount: u64) -> Movement {
    Movement {
        reference: reference.into(),
        operation: operation.into(),
        service,
        amount,
        currency: "TWD".into(),
    }
}

/// The acquirer refused and did it all the same; meanwhile the order became a promise (an open receivable). Its money
/// turns up in the list: it must be taken note of, and the list must go on.
#[test]
fn money_for_a_promised_order_does_not_stop_the_list() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.done_but_refused();
    let till = town.till.clone();
    town.by(&till, "o-1", 2, PROMISE);
    assert_eq!(town.state("o-1"), OrderState::Open);
    let id = format!("capture:{authorization}:1");
    let listed = Listed {
        movements: vec![movement("capture-2", &id, Service::Capture, 5_000)],
        up_to: 1,
        ..Listed::default()
    };
    let taken = town.try_settle(&listed);
    assert_eq!(taken, Ok(()), "the list stands still for ever and the bus with it");
    town.round();
    town.round();
    let heard = town.market.types_heard(&town.till);
    assert!(heard.len() > 1 || !town.alerts().is_empty(), "somebody hears of it: {heard:?}");
}

/// A refusal whose reason is empty is a refusal.
#[test]
fn a_refusal_without_words_is_a_refusal() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.hand();
    let taken = town.try_take(&calls[0].operation.id, &Answer::Refused(String::new()));
    assert_eq!(taken, Ok(()), "the whole turn is taken back and the bus stands still");
    assert_eq!(town.state("o-1"), OrderState::Failed);
}

/// One movement that cannot be said does not keep the duplicate behind it from being found.
#[test]
fn a_strange_amount_or_currency_in_the_list_does_not_stop_it() {
    for (amount, currency, reference) in [
        (1 << 53, "TWD", "r-1"),
        (5_000, "twd", "r-1"),
        (0, "TWD", "r-1"),
        (5_000, "TWD", ""),
        (1, "TWD", "long"),
    ] {
        let mut town = Town::new();
        let authorization = town.held("o-1", 1);
        town.luck.insert("capture:", vec![TWICE]);
        town.pay("o-1", 1, &authorization);
        town.round();
        let reference = if reference == "long" { "r".repeat(129) } else { reference.to_owned() };
        let mut strange = movement(&reference, "nobody's", Service::Capture, amount);
        strange.currency = currency.into();
        let mut movements = vec![strange];
        movements.extend(
            town.ledger.movements(0, 9).unwrap().into_iter().map(|own| {
                movement(&own.reference, &own.id, Service::parse(&own.service).unwrap(), own.amount)
            }),
        );
        let taken = town.try_settle(&Listed { movements, up_to: 3, ..Listed::default() });
        assert_eq!(taken, Ok(()), "{amount} {currency} {reference}");
        town.round();
        assert_eq!(town.market.books.duplicates().count(), 1);
    }
}

/// The same in an answer: it must not take the turn back.
#[test]
fn a_strange_answer_leaves_the_bus_alone() {
    for answer in [done("r-1", 1 << 53, "TWD"), done("r-1", 5_000, "twd"), done("r-1", 0, "TWD")] {
        let mut town = Town::new();
        let authorization = town.held("o-1", 1);
        town.pay("o-1", 1, &authorization);
        let calls = town.hand();
        assert_eq!(town.try_take(&calls[0].operation.id, &answer), Ok(()), "{answer:?}");
    }
}

/// The acquirer answers with a reference that is known from another order (its books were reset, a cache on the way, an
/// empty reference): either the order gets an outcome, or a person is told.
#[test]
fn a_reference_of_another_order_does_not_leave_this_one_pending_in_silence() {
    let mut town = Town::new();
    let (one, two) = (town.held("o-1", 1), town.held("o-2", 2));
    town.pay("o-1", 1, &one);
    town.pay("o-2", 1, &two);
    for call in town.hand() {
        town.take(&call, &done("capture-2", 5_000, "TWD"));
    }
    for _ in 0..9 {
        town.round();
        town.pass(86_400_000);
    }
    let open =
        [town.state("o-1"), town.state("o-2")].iter().filter(|own| **own == OrderState::Pending).count();
    let told = town.alerts().iter().filter(|own| !own.contains("movement_unlisted")).count();
    assert!(
        open == 0 || told > 0,
        "pending for ever, nothing asks any more, and nobody is told: {:?}",
        town.alerts()
    );
}

/// A refund that went back after all is not asked for once more under another id.
#[test]
fn no_second_refund_is_sent_once_the_first_went_back() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.settle();
    town.round(); // found -> commanded; refund 1 goes out
    // The acquirer did refund 1 and said no.
    let duplicate = town.market.books.duplicates().next().unwrap().clone();
    assert_eq!(duplicate.state, RefundState::Refunded, "the town is kind: {duplicate:?}");

    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.settle();
    // Hears of it without the acquirer being asked.
    town.in_turn(|books, turn| {
        for partition in 0..PARTITIONS {
            relay(books, partition, 100, turn.now).unwrap();
            take_up(books, &Refunds, partition, 100, turn).unwrap();
        }
    });
    let first = town.hand();
    assert_eq!(first.len(), 1);
    town.call(&first[0]);
    town.take(&first[0], &Answer::Refused("declined".into()));
    // Refund 2 is sent and lost on its way.
    town.pass(limits::RETRY_CAP_MS);
    let second = town.hand();
    assert!(second[0].operation.id.ends_with(":2") && !second[0].query);
    town.take(&second[0], &Answer::Unknown);
    // The list shows refund 1.
    town.settle();
    assert_eq!(town.market.books.duplicates().next().unwrap().state, RefundState::Refunded);
    town.calls.clear();
    town.calm();
    let sent: Vec<&String> = town.calls.iter().filter(|id| id.starts_with("refund:")).collect();
    assert!(sent.is_empty(), "money that is back is asked back once more: {sent:?}");
}

/// A part of the amount that is held is not the amount.
#[test]
fn a_hold_of_less_is_not_told_as_the_whole() {
    let mut town = Town::new();
    let wish = town.wish("o-1", 1, 5_000);
    let Begun::Call(call) = authorize(&mut town.market.books, &wish, town.market.now, [7; 10]).unwrap()
    else {
        panic!()
    };
    town.take(&call, &done("authorize-1", 1, "TWD"));
    let Begun::Known(own) = authorize(&mut town.market.books, &wish, town.market.now, [7; 10]).unwrap()
    else {
        panic!()
    };
    town.round();
    assert!(
        own.hold != Hold::Authorized || own.amount == 1 || !town.alerts().is_empty(),
        "1 is held, the till is told {} {:?}, and nobody hears of it",
        own.amount,
        own.hold
    );
}

/// A part of the money that went back is not all of it.
#[test]
fn a_refund_of_less_is_not_told_as_the_whole() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.luck.insert("refund:", vec![NEVER]);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.settle();
    town.round();
    let refund = town.market.books.operations().find(|own| own.service == Service::Refund).unwrap().clone();
    town.try_take(&refund.id, &done("refund-9", 1, "TWD")).unwrap();
    let (word, data) = town.market.heard(&town.till).pop().unwrap();
    assert!(
        word != "pay.txn.v2.refunded" || data.whole("amount") == Some(1),
        "1 of 5000 went back, the till hears {word} {:?}",
        data.whole("amount")
    );
}

/// Every attempt that was accepted hears an outcome, also when the money of an earlier one turns up first.
#[test]
fn an_attempt_that_was_overtaken_hears_an_outcome() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.done_but_refused();
    let other = Speaker::new("till-2", Role::Vendor);
    let payload = format!(
        r#"{{"amount":5000,"currency":"TWD","method":"authorized_online","authRef":"{authorization}"}}"#
    );
    town.by(&other, "o-1", 2, &payload);
    assert_eq!(town.state("o-1"), OrderState::Pending);
    town.settle();
    assert_eq!(town.state("o-1"), OrderState::Captured);
    town.calm();
    assert!(!town.market.types_heard(&other).is_empty(), "the second till waits for ever");
}

/// A till that asks again and again, as it is told to, gets its hold although the first request was lost.
#[test]
fn a_till_that_keeps_asking_gets_its_hold() {
    let mut town = Town::new();
    let wish = town.wish("o-1", 1, 5_000);
    town.luck.insert("auth-", vec![LOST, FINE]);
    for _ in 0..300 {
        if let Begun::Known(own) = town.authorize(&wish) {
            assert_eq!(own.hold, Hold::Authorized);
            return;
        }
        town.round();
        town.pass(limits::IN_FLIGHT_RETRY_S * 1_000);
    }
    panic!(
        "five minutes of asking, and the acquirer was sent it {} times",
        town.calls.iter().filter(|id| !id.starts_with('?')).count()
    );
}

/// The sender of a payment that was denied hears, when it repeats it, that it was denied.
#[test]
fn a_denied_intent_that_is_repeated_is_not_told_as_captured() {
    let mut town = Town::new();
    town.cash("o-1", 1);
    let other = Speaker::new("till-2", Role::Vendor);
    town.by(&other, "o-1", 2, CASH);
    let (word, data) = town.market.heard(&other).pop().unwrap();
    assert_eq!((word.as_str(), data.text("reason")), ("pay.txn.v2.failed", Some("already_paid")));
    town.by(&other, "o-1", 2, CASH);
    let (word, data) = town.market.heard(&other).pop().unwrap();
    assert_eq!(word, "pay.txn.v2.result_replayed");
    assert!(
        data.get("txnId").is_none() && data.text("reason").is_some(),
        "the second payer's cash is told as the first one's capture: {data:?}"
    );
}

/// The same while the first one is pending.
#[test]
fn a_denied_intent_does_not_become_a_watcher_of_the_first() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let other = Speaker::new("till-2", Role::Vendor);
    town.by(&other, "o-1", 2, CASH);
    town.by(&other, "o-1", 2, CASH);
    town.calm();
    let heard = town.market.heard(&other);
    let captured =
        heard.iter().filter(|(word, data)| word.ends_with("result_replayed") && data.get("txnId").is_some());
    assert_eq!(captured.count(), 0, "{heard:?}");
}

/// An acquirer whose list begins anew is noticed.
#[test]
fn a_list_that_begins_anew_is_noticed() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.round();
    let strange = Listed { movements: vec![], up_to: 1_000, ..Listed::default() };
    town.settle();
    town.try_settle(&strange).unwrap();
    town.ledger = Ledger::open(None).unwrap();
    town.held("o-3", 3); // so that its references are others than before; for those see p04
    let authorization = town.held("o-2", 2);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-2", 1, &authorization);
    town.round();
    town.pass(limits::UNLISTED_MS - 60_000);
    for _ in 0..5 {
        town.settle();
        town.round();
        town.pass(limits::SETTLE_EVERY_MS * 10);
    }
    assert_eq!(
        town.market.books.duplicates().count(),
        1,
        "taken twice and never found; alerts {:?}",
        town.alerts()
    );
}

/// A number that turns up late in the list (given before its transaction ended) is found.
#[test]
fn a_late_number_in_the_list_is_found() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-1", 1, &authorization);
    town.round();
    let all = town.ledger.movements(0, 9).unwrap();
    let seen = |own: &acquirer::Movement| movement(&own.reference, &own.id, Service::Capture, own.amount);
    // First only number 2 is there, then number 1 as well.
    town.try_settle(&Listed { movements: vec![seen(&all[1])], up_to: 2, ..Listed::default() }).unwrap();
    town.calm();
    assert_eq!(town.market.books.duplicates().count(), 1, "alerts {:?}", town.alerts());
}

/// A 404 to a request of ours is not answered by a storm.
#[test]
fn not_found_to_a_send_waits_before_it_is_sent_again() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let mut sent = 0;
    for _ in 0..100 {
        for call in town.hand() {
            sent += 1;
            town.take(&call, &Answer::NotFound);
        }
    }
    assert!(sent < 5, "{sent} calls within the same millisecond");
}

/// Money that stays held on a payer's account although the city let go of it is told.
#[test]
fn a_hold_the_acquirer_does_not_let_go_is_told() {
    let mut town = Town::new();
    town.luck.insert("cancel:", vec![DECLINED]);
    town.held("o-1", 1);
    town.pass(limits::HOLD_MS + 1);
    town.calm();
    assert!(town.calls.iter().any(|id| id.starts_with("cancel:")));
    assert!(!town.alerts().is_empty(), "only a line in the log");
}

/// A card number in the acquirer's words reaches no feed.
#[test]
fn a_card_number_in_a_reason_reaches_no_feed() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.hand();
    town.take(&calls[0], &Answer::Refused("card 4111111111111111 declined".into()));
    let (_, data) = town.market.heard(&town.till).pop().unwrap();
    assert!(!data.text("reason").unwrap().contains("4111111111111111"), "{data:?}");
}

/// A hold nobody waits for any more is not asked for hours later.
#[test]
fn a_hold_that_expired_unasked_is_not_taken_from_the_payer() {
    let mut town = Town::new();
    let wish = town.wish("o-1", 1, 5_000);
    town.luck.insert("auth-", vec![LOST]);
    town.authorize(&wish);
    for _ in 0..40 {
        town.round();
        town.pass(limits::RETRY_CAP_MS);
    }
    town.luck.insert("auth-", vec![FINE]);
    town.calls.clear();
    town.calm();
    assert!(
        !town.calls.iter().any(|id| id.starts_with("auth-")),
        "3 hours later: {:?}",
        &town.calls[..3.min(town.calls.len())]
    );
}

/// A capture that is refused because it was made already is no failure.
#[test]
fn already_captured_is_not_told_as_failed() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.done_but_refused(); // attempt 1: failed, though the money moved
    town.pay("o-1", 2, &authorization);
    town.round(); // attempt 2: already_captured
    town.round();
    let (word, data) = town.market.heard(&town.till).pop().unwrap();
    assert!(
        !word.ends_with("failed") || !town.alerts().is_empty(),
        "the acquirer says it has the money, the screen says {word} {:?}",
        data.text("reason")
    );
}

/// Two tills, two holds, and the capture of the first is refused: the second till's hold still pays.
#[test]
fn the_hold_of_a_second_till_still_pays_when_the_first_is_refused() {
    let mut town = Town::new();
    let (first, second) = (town.held("o-1", 1), town.held("o-1", 2));
    town.luck.insert("capture:", vec![DECLINED, FINE]);
    town.pay("o-1", 1, &first);
    town.pay("o-1", 2, &second);
    town.calm();
    assert_eq!(town.state("o-1"), OrderState::Failed);
    town.pay("o-1", 3, &second);
    town.calm();
    assert_eq!(town.state("o-1"), OrderState::Captured);
}

/// Version 1 that carries the later members: duplicates are found and refunded.
#[test]
fn version_one_gets_its_refund() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    let payload = format!(
        r#"{{"amount":5000,"currency":"TWD","method":"authorized_online","authRef":"{authorization}"}}"#
    );
    let own = town.till.pay(1, "o-1", 1, &payload);
    let own = market::with(&own, "type", Json::Text("pay.txn.v1.requested".into()));
    let own = market::with(&own, "dataschema", Json::Text("urn:conch:contract:pay.txn.v1:requested".into()));
    let till = town.till.clone();
    town.market.send(&till, &own);
    town.calm();
    assert_eq!((town.state("o-1"), town.net("o-1")), (OrderState::Captured, 5_000), "{:?}", town.troubles);
    assert_eq!(town.market.books.duplicates().next().unwrap().state, RefundState::Refunded);
}

/// The list calls the same money by another name than the answer did (a clearing reference, say). Nothing moved twice
/// as long as the list does not show two: the payer's only payment must not be given back.
#[test]
fn one_payment_under_two_names_is_not_given_back() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.hand();
    town.take(&calls[0], &done("answer-1", 5_000, "TWD"));
    let listed = Listed {
        movements: vec![movement("list-1", &calls[0].operation.id, Service::Capture, 5_000)],
        up_to: 1,
        ..Listed::default()
    };
    town.try_settle(&listed).unwrap();
    town.calls.clear();
    town.round();
    town.round();
    let refunds: Vec<&String> = town.calls.iter().filter(|id| id.starts_with("refund:")).collect();
    assert!(
        refunds.is_empty(),
        "the list shows one capture, and it is refunded while the order is paid: {refunds:?}"
    );
}

/// A long (or empty) reference that the list does not show within the hour: telling it must not stop the bus for ever.
#[test]
fn a_reference_that_cannot_be_told_does_not_stop_every_turn() {
    for reference in ["r".repeat(129), String::new()] {
        let mut town = Town::new();
        let authorization = town.held("o-1", 1);
        town.pay("o-1", 1, &authorization);
        let calls = town.hand();
        town.try_take(&calls[0].operation.id, &done(&reference, 5_000, "TWD")).unwrap();
        town.pass(limits::UNLISTED_MS);
        let ticked = town.in_turn(|books, turn| tick(books, &Refunds, 100, turn).map(|_| ()));
        assert_eq!(ticked, Ok(()), "every turn from now on is taken back");
    }
}

/// Once the order is paid, a second capture for it that the acquirer has not heard of is not sent.
#[test]
fn nothing_more_is_taken_for_an_order_that_is_paid() {
    let mut town = Town::new();
    let (one, two) = (town.held("o-1", 1), town.held("o-1", 2));
    town.pay("o-1", 1, &one);
    town.done_but_refused();
    town.pay("o-1", 2, &two);
    town.settle(); // the first one's money is there: the order is captured
    assert_eq!(town.state("o-1"), OrderState::Captured);
    town.calls.clear();
    town.round();
    let sent: Vec<&String> = town.calls.iter().filter(|id| id.starts_with("capture:")).collect();
    assert!(sent.is_empty(), "the payer is charged a second time by the city's own will: {sent:?}");
}

/// What is held twice for an order is let go once it is paid, not a week later.
#[test]
fn what_is_held_besides_is_let_go_when_the_order_is_paid() {
    let mut town = Town::new();
    let (one, _two) = (town.held("o-1", 1), town.held("o-1", 2));
    town.pay("o-1", 1, &one);
    town.calm();
    assert_eq!(town.state("o-1"), OrderState::Captured);
    let let_go = town.calls.iter().filter(|id| id.starts_with("cancel:")).count();
    assert_eq!(
        let_go,
        1,
        "still held after {} h, until {} h",
        60 * limits::RETRY_CAP_MS / 3_600_000,
        limits::HOLD_MS / 3_600_000
    );
}

/// A promise can be kept: what was promised is paid, or at least nobody says that it was paid.
#[test]
fn a_promise_that_is_kept_is_not_told_as_already_paid() {
    let mut town = Town::new();
    let till = town.till.clone();
    town.by(&till, "o-1", 1, PROMISE);
    town.cash("o-1", 2);
    let (_, data) = town.market.heard(&town.till).pop().unwrap();
    assert!(
        data.text("reason") != Some("already_paid"),
        "nobody paid, and the cash is in the drawer: {data:?}"
    );
}

#[test]
fn money_of_another_amount_is_booked_as_it_is_and_told() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.hand();
    town.take(&calls[0], &done("capture-9", 4_000, "TWD"));
    town.round();
    assert_eq!(town.market.books.order_of(&key("o-1")).unwrap().amount, Some(4_000));
    assert_eq!(town.alerts(), ["raised amount_mismatch"]);
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    let calls = town.hand();
    let answer = town.call(&calls[0]);
    town.take(&calls[0], &answer);
    for late in [Answer::Refused("declined".into()), Answer::NotFound, Answer::Unknown, answer] {
        town.take(&calls[0], &late);
    }
    town.calm();
    assert_eq!((town.state("o-1"), town.net("o-1"), town.alerts()), (OrderState::Captured, 5_000, vec![]));
}

#[test]
fn a_movement_that_changed_in_the_list_is_told_once() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.settle();
    let own = town.ledger.movements(0, 9).unwrap().remove(0);
    let other = movement(&own.reference, &own.id, Service::Capture, 1);
    for _ in 0..2 {
        let listed = Listed { movements: vec![other.clone()], up_to: own.number, ..Listed::default() };
        town.try_settle(&listed).unwrap();
    }
    town.round();
    assert_eq!(town.alerts(), ["raised movement_changed"]);
    assert_eq!(town.market.books.order_of(&key("o-1")).unwrap().amount, Some(5_000));
}

#[test]
fn a_repeated_sender_hears_that_it_failed_and_only_once() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![DECLINED, FINE]);
    town.pay("o-1", 1, &authorization);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.pay("o-1", 2, &authorization);
    town.calm();
    let mut heard = town.market.types_heard(&town.till);
    heard.sort();
    assert_eq!(heard, ["pay.txn.v2.captured", "pay.txn.v2.failed", "pay.txn.v2.result_replayed"]);
}

#[test]
fn each_refund_after_a_refusal_waits_longer() {
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.luck.insert("refund:", vec![DECLINED]);
    town.pay("o-1", 1, &authorization);
    town.round();
    town.settle();
    let mut gaps = Vec::new();
    let mut last = None;
    for _ in 0..100_000 {
        let before = town.calls.len();
        town.round();
        if town.calls.len() > before {
            let now = town.market.now.0;
            gaps.extend(last.map(|last| now - last));
            last = Some(now);
        }
        town.pass(100);
    }
    assert_eq!(gaps.len(), limits::REFUNDS_MAX as usize - 1, "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] > pair[0]), "{gaps:?}");
}

fn luck() -> impl Strategy<Value = Luck> {
    (any::<bool>(), any::<bool>(), 0..4u8, 0..3u8, 0..4u8).prop_map(
        |(request, answer, decline, double, lie)| Luck {
            lose_request: request && answer,
            lose_answer: answer,
            decline: decline == 0,
            double: double == 0,
            lie: lie == 0,
        },
    )
}

/// What people and tills do with two orders.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Authorize(u8),
    Pay(u8),
    PayAgain(u8),
    Cash(u8),
    Wait(u16),
    Settle,
    Round,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..2u8).prop_map(Deed::Authorize),
        (0..2u8).prop_map(Deed::Pay),
        (0..2u8).prop_map(Deed::PayAgain),
        (0..2u8).prop_map(Deed::Cash),
        (0..400u16).prop_map(Deed::Wait),
        Just(Deed::Settle),
        Just(Deed::Round),
    ]
}

proptest! {
    /// Whatever is lost, declined or taken twice, and whatever people do meanwhile: in the end each order has its money
    /// once, the acquirer's books equal ours, and every real duplicate went back exactly once.
    #[test]
    fn every_order_has_its_money_once_in_the_end(
        deeds in proptest::collection::vec(deed(), 1..40),
        captures in proptest::collection::vec(luck(), 1..8),
        refunds in proptest::collection::vec(luck(), 1..8),
        holds in proptest::collection::vec(luck(), 1..4),
    ) {
        let mut town = Town::new();
        town.luck.insert("capture:", captures);
        town.luck.insert("refund:", refunds);
        town.luck.insert("auth-", holds.into_iter().map(|own| Luck { lie: false, ..own }).collect());
        let mut references: BTreeMap<u8, String> = BTreeMap::new();
        let mut attempts: BTreeMap<u8, u32> = BTreeMap::new();
        let order = |number: u8| format!("o-{number}");
        for (place, deed) in deeds.iter().enumerate() {
            match *deed {
                Deed::Authorize(number) => {
                    let wish = town.wish(&order(number), place as u64, 5_000);
                    if let Begun::Known(own) = town.authorize(&wish) {
                        references.insert(number, own.reference);
                    }
                }
                Deed::Pay(number) => {
                    if let Some(reference) = references.get(&number).cloned() {
                        let attempt = attempts.entry(number).and_modify(|attempt| *attempt += 1).or_insert(1);
                        let attempt = *attempt;
                        town.pay(&order(number), attempt, &reference);
                    }
                }
                Deed::PayAgain(number) => {
                    if let (Some(reference), Some(attempt)) =
                        (references.get(&number).cloned(), attempts.get(&number).copied())
                    {
                        town.pay(&order(number), attempt, &reference);
                    }
                }
                Deed::Cash(number) => {
                    let attempt = attempts.entry(number).and_modify(|attempt| *attempt += 1).or_insert(1);
                    let attempt = *attempt;
                    town.cash(&order(number), attempt);
                }
                Deed::Wait(seconds) => town.pass(u64::from(seconds) * 1_000),
                Deed::Settle => town.settle(),
                Deed::Round => town.round(),
            }
        }
        town.luck.clear();
        town.calm();
        // A refund that was refused too often is a person's; this one has it tried again.
        let stuck: Vec<String> = town
            .market
            .books
            .duplicates()
            .filter(|own| own.state == RefundState::Stuck)
            .map(|own| own.txn_id.clone())
            .collect();
        for txn_id in stuck {
            let again = town.in_turn(|books, turn| {
                decide_refund(books, &txn_id, RefundDecision::Retry, ("ops-1", "again"), turn).unwrap()
            });
            prop_assert!(again.is_ok());
        }
        town.calm();
        prop_assert_eq!(&town.troubles, &Vec::<String>::new());
        prop_assert_eq!(town.market.books.dead_letters().count(), 0);
        for number in 0..2 {
            let own = order(number);
            let Some(standing) = town.market.books.order_of(&key(&own)).cloned() else { continue };
            prop_assert!(standing.state != OrderState::Pending, "{standing:?}");
            let by_acquirer = standing.state == OrderState::Captured
                && standing.method.as_deref() == Some("authorized_online");
            prop_assert_eq!(town.net(&own), if by_acquirer { 5_000 } else { 0 }, "{:?}", standing);
        }
        for duplicate in town.market.books.duplicates() {
            prop_assert_eq!(duplicate.state, RefundState::Refunded);
        }
        // The acquirer's books and ours are the same list.
        let mut theirs: Vec<String> =
            town.ledger.movements(0, 10_000).unwrap().into_iter().map(|own| own.reference).collect();
        let mut ours: Vec<String> =
            town.market.books.movements().map(|own| own.reference.clone()).collect();
        theirs.sort();
        ours.sort();
        prop_assert_eq!(theirs, ours);
    }
}

/// The store's constraints are the last line: what the decisions never do, it refuses.
#[test]
fn the_store_refuses_a_refund_beside_another_and_more_than_was_taken() {
    use city_domain::Operation;
    let mut town = Town::new();
    let authorization = town.held("o-1", 1);
    town.luck.insert("capture:", vec![TWICE]);
    town.pay("o-1", 1, &authorization);
    town.calm();
    let duplicate = town.market.books.duplicates().next().unwrap().clone();
    let first = town.market.books.operations().find(|own| own.service == Service::Refund).unwrap().clone();
    let second =
        Operation { id: "refund:x:2".into(), stand: Stand::Wanted, due: Some(UnixMillis(1)), ..first };
    assert!(town.market.books.put_operation(&second).is_err());
    let more = city_domain::Duplicate { refunding: duplicate.amount + 1, ..duplicate };
    assert!(town.market.books.put_duplicate(&more).is_err());
}
