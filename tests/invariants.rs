//! One test for each of DESIGN's invariants, named after it: the plainest case in which it holds. What the world does to
//! them all at once is in `sim/tests/promises.rs`, which has the table of all checks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::event::{Emit, EventId, Sequence};
use conch::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, WINDOW_ROWS_MAX};
use conch::outbox::engine::{EmitFault, Final, Notice, Snapshot, WhyNotSending};
use conch::outbox::port::{Batch, Durability, StoreFault};
use conch::outbox::record::Status;
use conch::pace::Link;
use conch::wire::classify::Reply;
use desk::{Desk, city, foreign, note, pay, problem, told, verdicts, verdicts_with};
use std::rc::Rc;

/// The power goes out right after `emit` has resolved.
#[test]
fn durable_before_safe_what_has_a_receipt_survives_a_power_cut() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5), note("a")]);
    let receipts: Vec<_> = desk.emitted.iter().map(|own| own.as_ref().unwrap().kept).collect();
    desk.disk.power_cut(0);
    desk.reload();
    let sequences: Vec<u64> = receipts.iter().map(|kept| kept.row.sequence.0).collect();
    assert_eq!((sequences.as_slice(), desk.snapshot().counter.owed), (&[1, 2][..], 2));
    desk.emit_all([pay("o-1", 5)]);
    let again = desk.emitted.last().unwrap().as_ref().unwrap();
    assert_eq!((again.kept.id, again.replayed), (receipts[0].id, true));
}

/// What a receipt, a verdict or a decision rests on is flushed; what may be lost costs a repetition at most.
#[test]
fn durable_before_safe_is_asked_of_the_disk_by_every_batch_that_promises_something() {
    let at = conch::event::UnixMillis(1);
    let sequence = Sequence(1);
    let strict = [
        Batch::Append { events: Rc::default(), commits: Rc::default(), room: u64::MAX, at },
        Batch::Settle { epoch: 1, rows: Rc::default(), at },
        Batch::Discard { sequence, reason: String::new(), at },
        Batch::Revive { sequence, id: EventId::mint(at, [0; 10]), at },
        Batch::Lead,
        Batch::Pause(true),
    ];
    for batch in strict {
        assert_eq!(batch.durability(), Durability::Strict, "{batch:?}");
    }
    for batch in
        [Batch::Sent { epoch: 1, rows: Vec::new(), maybe: true }, Batch::Beat { epoch: 1, leaves: false }]
    {
        assert_eq!(batch.durability(), Durability::Relaxed, "{batch:?}");
    }
}

#[test]
fn state_with_event_a_power_cut_leaves_both_or_neither() {
    let mut desk = Desk::open();
    desk.commit(vec![note("t-1")], &[], &[("t-1", Some("1"))]);
    desk.drain();
    desk.commit(vec![note("t-2")], &[("t-2", Some("never"))], &[("t-2", Some("1"))]);
    desk.drain();
    desk.disk.power_cut(0);
    desk.reload();
    assert_eq!((desk.record("t-1"), desk.record("t-2"), desk.snapshot().counter.owed), (Some("1"), None, 1));
}

#[test]
fn key_before_send_what_leaves_is_flushed_under_the_same_id_and_key_and_stays_so() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let first = desk.sent();
    let stored = desk.disk.flushed.intents[&Sequence(1)].get(0).unwrap();
    assert_eq!(first.ids, [stored.id]);
    assert_eq!(first.header("idempotency-key"), Some(format!("\"{}\"", stored.intent).as_str()));
    for reply in [Reply::Timeout, Reply::NoAnswer, told(503, "3"), city(401, ""), city(409, "")] {
        desk.disk.power_cut(0);
        desk.reload();
        let again = desk.sent();
        let key = again.header("idempotency-key");
        assert_eq!((&again.body, key), (&first.body, first.header("idempotency-key")));
        desk.reply(&again, reply);
        desk.advance(desk.wait_ms());
        desk.take_request();
    }
}

#[test]
fn settle_in_one_a_row_leaves_only_in_the_transaction_of_its_verdict() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    for reply in [
        Reply::Timeout,
        Reply::NoAnswer,
        Reply::NoCredentials,
        foreign(200, "<html>"),
        foreign(404, ""),
        city(200, "{}"),
        city(204, ""),
        city(401, ""),
        city(403, ""),
        city(500, ""),
        told(429, "1"),
    ] {
        let request = desk.sent();
        desk.reply(&request, reply.clone());
        assert_eq!(desk.disk.now.marks[&Sequence(1)].status_of(0), Some(Status::Owed), "{reply:?}");
        desk.advance(desk.wait_ms());
        // It may ask whether the city is well.
        while desk.next_path().is_some_and(|path| path == "/v1/edge") {
            let question = desk.sent();
            desk.offer_to(&question, 1);
        }
        if desk.next_path().is_none() {
            desk.advance(desk.wait_ms());
        }
    }
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    let marks = &desk.disk.flushed.marks[&Sequence(1)];
    assert_eq!((marks.status_of(0), desk.disk.flushed.counter.owed), (Some(Status::Accepted), 0));
}

/// Ten thousand keys wait for a person, each with a payment behind a refused one; the next one flows at once.
#[test]
fn no_bystander_waits_for_ten_thousand_stuck_lanes() {
    let mut desk = Desk::open();
    desk.offer(128);
    for block in 0..100 {
        desk.emit_all((0..100).map(|n| pay(&format!("o-{}", block * 100 + n), 5)));
        while let Some(request) = desk.take_request() {
            desk.reply(&request, verdicts(&request.ids, "refused"));
        }
    }
    desk.emit_all((0..100).map(|n| note(&format!("o-{n}"))));
    assert_eq!((desk.snapshot().counter.dead, desk.why()), (10_000, WhyNotSending::NeedsAttention));
    desk.emit_all([pay("another", 5)]);
    let request = desk.sent();
    assert_eq!(request.ids.len(), 1);
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!((desk.snapshot().counter.owed, desk.take_request()), (100, None));
}

/// A context that led and was replaced while its request was under way.
#[test]
fn one_sender_a_stale_leader_settles_nothing_and_its_stale_send_is_harmless() {
    let mut stale = Desk::open();
    stale.emit_all([pay("o-1", 5)]);
    let sent = stale.sent();
    let mut leader = stale.beside();
    leader.input(conch::outbox::engine::Input::LeadGained);
    let again = leader.sent();
    assert_eq!((&again.body, &again.ids), (&sent.body, &sent.ids), "the same id and key: the city knows it");
    assert!(again.header("conch-epoch") > sent.header("conch-epoch"), "and which of them is stale");
    stale.disk = leader.disk.clone();
    stale.reply(&sent, verdicts(&sent.ids, "refused"));
    assert!(stale.yielded && stale.disk.now == leader.disk.now, "nothing was written");
    leader.reply(&again, verdicts(&again.ids, "accepted"));
    assert_eq!(leader.settled, [(again.ids[0], Final::Accepted)]);
}

/// Thirty thousand owed events are held a window at a time, and leave in requests within the city's offer.
#[test]
fn bounded_memory_does_not_grow_with_the_backlog() {
    let held = |backlog: usize| {
        let mut desk = Desk::open();
        desk.pause(true);
        for block in 0..backlog / 128 {
            desk.emit_all((0..128).map(|n| note(&format!("k-{}", block * 128 + n))));
        }
        desk.emitted.clear();
        desk.offer(1_000);
        desk.pause(false);
        let request = desk.sent();
        assert!(request.ids.len() <= BATCH_EVENTS_MAX && request.body.len() <= BATCH_BYTES_MAX);
        desk.memory()
    };
    let (small, large) = (held(3 * WINDOW_ROWS_MAX), held(15 * WINDOW_ROWS_MAX));
    assert!(large < small + small / 4, "{small} for three windows, {large} for fifteen");
}

/// Every way for an event to end without having arrived leaves a letter, and every decision about it a record.
#[test]
fn nothing_vanishes_without_a_letter_and_a_record() {
    let mut desk = Desk::open();
    desk.emit_all([note("refused")]);
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "refused"));
    desk.emit_all([note("poison")]);
    let request = desk.sent();
    desk.reply(&request, problem(400, "unreadable"));
    let alerts = desk.notices.iter().filter(|notice| matches!(notice, Notice::DeadLetter { .. })).count();
    assert_eq!((desk.snapshot().counter.dead, alerts), (2, 2), "an alert for each");
    desk.discard(1, "nobody needs it");
    desk.redrive(2, None);
    let records = &desk.disk.flushed.dead;
    let closed = |sequence| records[&(true, Sequence(sequence))].closed.clone().unwrap();
    assert_eq!(
        (closed(1).note.as_str(), closed(1).redriven, closed(2).redriven),
        ("nobody needs it", false, true)
    );
    assert!(records.values().all(|letter| !letter.body.is_empty()), "with the event as it was");
}

#[test]
fn same_intent_same_receipt_whoever_taps_how_often() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5), pay("o-1", 5)]);
    let mut other = desk.beside();
    // Else it would mint the very same id.
    other.now.wall.0 += 5;
    other.emit_all([pay("o-1", 5), pay("o-1", 6)]);
    let first = desk.emitted[0].as_ref().unwrap().kept.id;
    let same = |outcome: &Result<conch::outbox::engine::Receipt, EmitFault>| {
        outcome.as_ref().is_ok_and(|receipt| receipt.replayed && receipt.kept.id == first)
    };
    assert!(same(&desk.emitted[1]) && same(&other.emitted[0]));
    assert!(matches!(other.emitted[1], Err(EmitFault::Conflict(kept)) if kept.id == first));
    assert_eq!(other.disk.now.counter.owed, 1);
}

#[test]
fn no_pii_in_keys_and_none_on_the_disk() {
    let mut desk = Desk::open();
    let card = "4111111111111111";
    for key in [card, "0912345678", "A123456789", "a@b.tw", "order-4111111111111111"] {
        desk.emit_all([note(key), Emit { correlation: Some(key.into()), ..note("k") }]);
    }
    assert!(desk.emitted.iter().all(|own| matches!(own, Err(EmitFault::Problem(_)))), "{:?}", desk.emitted);
    desk.emit_all([Emit { payload: format!(r#"{{"memo":"{card}"}}"#), ..note("k") }]);
    assert!(desk.emitted.last().unwrap().is_ok(), "a sale is never refused for its payload");
    let written = format!("{:?}", desk.disk.now);
    assert!(!written.contains(card) && written.contains("[card]"));
}

/// The words and numbers a page shows, before and after each step of an event.
#[test]
fn honest_words_nothing_is_called_sent_before_it_is() {
    let mut desk = Desk::open();
    let badge = |snapshot: &Snapshot| (snapshot.counter.owed, snapshot.counter.dead, snapshot.unknown);
    desk.room = 0;
    desk.emit_all([pay("o-0", 5)]);
    assert_eq!(desk.emitted, [Err(EmitFault::Store(StoreFault::Quota))], "no receipt for what is not stored");
    desk.room = usize::MAX;
    desk.emit_all([pay("o-1", 5), pay("o-2", 5)]);
    assert_eq!(badge(&desk.snapshot()), (2, 0, 0));
    let offer = desk.sent();
    desk.offer_to(&offer, 5);
    let request = desk.sent();
    assert_eq!(
        (desk.snapshot().link, badge(&desk.snapshot())),
        (Link::Up, (2, 0, 0)),
        "a good link sends nothing"
    );
    // The city's word is not on disk: nobody is told of it.
    desk.full = true;
    desk.reply(&request, verdicts_with(&[(request.ids[0], "accepted"), (request.ids[1], "refused")]));
    assert!(desk.settled.is_empty() && badge(&desk.snapshot()).0 == 2);
    desk.full = false;
    desk.advance(desk.wait_ms());
    let again = desk.sent();
    desk.reply(&again, verdicts_with(&[(again.ids[0], "accepted"), (again.ids[1], "refused")]));
    assert_eq!(badge(&desk.snapshot()), (0, 1, 0));
    assert!(matches!(desk.settled[..], [(_, Final::Accepted), (_, Final::Refused(_))]));
}
