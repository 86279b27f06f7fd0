//! The engine against a disk in memory and a city that a test plays by hand, on a virtual clock.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::event::{Emit, Sequence};
use conch::outbox::engine::{EmitFault, Final, Input, Notice, WhyNotSending};
use conch::outbox::record::DeadReason;
use conch::pace::Link;
use conch::wire::classify::Reply;
use desk::{Desk, city, foreign, note, pay, poisoned, problem, told, verdicts, verdicts_with};

#[test]
fn a_turn_is_one_transaction_and_one_batch() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all((0..40).map(|n| note(&format!("k-{n}"))));
    assert_eq!(desk.appends, 1);
    let request = desk.sent();
    assert_eq!(request.ids.len(), 40);
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.snapshot().counter.owed, 0);
    assert_eq!(desk.settled.len(), 40);
    assert_eq!(desk.why(), WhyNotSending::NothingOwed);
}

#[test]
fn without_an_offer_events_go_one_by_one() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    assert!(request.header("idempotency-key").is_some_and(|key| key.starts_with('"') && key.ends_with('"')));
}

#[test]
fn lane_order_keeps_the_next_event_of_a_key_until_the_first_is_settled() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([note("same"), note("same"), note("other")]);
    let first = desk.sent();
    assert_eq!(first.sequences, [1, 3]);
    desk.reply(&first, verdicts(&first.ids, "accepted"));
    assert_eq!(desk.sent().sequences, [2]);
}

#[test]
fn poison_in_a_batch_of_100_dies_alone() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all((0..100).map(|n| if n == 37 { poisoned("k-37") } else { note(&format!("k-{n}")) }));
    let mut requests = 0;
    while let Some(request) = desk.take_request() {
        requests += 1;
        let poison = request.body.contains("\"poison\":true");
        desk.reply(
            &request,
            if poison { problem(400, "unreadable") } else { verdicts(&request.ids, "accepted") },
        );
    }
    assert_eq!(desk.snapshot().counter.owed, 0);
    let dead: Vec<&Notice> =
        desk.notices.iter().filter(|notice| matches!(notice, Notice::DeadLetter { .. })).collect();
    assert!(matches!(
        dead.as_slice(),
        [Notice::DeadLetter { sequence: Sequence(38), reason: DeadReason::Poison, .. }]
    ));
    assert_eq!(desk.settled.iter().filter(|(_, verdict)| *verdict == Final::Accepted).count(), 99);
    // Halving finds one in a hundred with two requests a level.
    assert!(requests <= 16, "{requests}");
}

#[test]
fn a_refused_payment_blocks_its_key_and_no_other() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([pay("o-1", 100), pay("o-2", 200)]);
    desk.emit_all([note("o-1")]);
    let request = desk.sent();
    let answer = verdicts_with(&[(request.ids[0], "refused"), (request.ids[1], "accepted")]);
    desk.reply(&request, answer);
    assert_eq!(desk.snapshot().counter.dead, 1);
    assert_eq!(desk.why(), WhyNotSending::NeedsAttention);
    assert_eq!(desk.take_request(), None);

    desk.discard(1, "the buyer left");
    assert_eq!(desk.sent().sequences, [3]);
    desk.emit_all([pay("o-1", 100)]);
    assert!(matches!(desk.emitted.last(), Some(Err(EmitFault::IntentClosed(_)))));
}

#[test]
fn a_redriven_payment_is_the_next_attempt_in_the_old_place() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([pay("o-1", 100)]);
    desk.emit_all([note("o-1")]);
    let refused = desk.sent();
    desk.reply(&refused, verdicts(&refused.ids, "refused"));

    desk.redrive(1, Some(r#"{"amount":120,"currency":"TWD","method":"cash"}"#));
    let again = desk.sent();
    assert_eq!(again.sequences, [3], "the corrected payment goes before the note that waited behind it");
    assert!(again.body.contains("\"attempt\":2") && again.body.contains("\"amount\":120"));
    assert!(again.body.contains(&format!("\"causationid\":\"{}\"", refused.ids[0])));
    assert_ne!(again.header("idempotency-key"), refused.header("idempotency-key"));
    desk.reply(&again, verdicts(&again.ids, "accepted"));
    assert_eq!(desk.sent().sequences, [2]);
    desk.redrive(1, None);
    assert!(matches!(desk.emitted.last(), Some(Err(EmitFault::NotRedrivable))));
}

#[test]
fn twins_and_second_taps_get_the_first_receipt() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 100), pay("o-1", 100), pay("o-1", 150)]);
    desk.emit_all([pay("o-1", 100), pay("o-1", 999)]);
    let ids: Vec<_> = desk
        .emitted
        .iter()
        .map(|outcome| outcome.as_ref().map(|receipt| (receipt.kept.id, receipt.replayed)))
        .collect();
    let first = ids[0].as_ref().unwrap().0;
    assert_eq!(ids[1].as_ref().ok(), Some(&(first, true)));
    assert!(matches!(desk.emitted[2], Err(EmitFault::Conflict(kept)) if kept.id == first));
    assert_eq!(ids[3].as_ref().ok(), Some(&(first, true)));
    assert!(matches!(desk.emitted[4], Err(EmitFault::Conflict(_))));
    assert_eq!(desk.snapshot().counter.owed, 1);
}

#[test]
fn what_the_city_told_is_never_shortened_by_a_hint() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, told(429, "30"));
    assert_eq!(desk.why(), WhyNotSending::WaitingTold);
    desk.input(Input::LinkHint);
    let wait = desk.wait_ms();
    assert!((30_000..=31_000).contains(&wait), "{wait}");
    desk.advance(wait);
    assert_eq!(desk.sent().ids, request.ids);
}

#[test]
fn failures_climb_the_ladder_and_success_resets_it() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let mut highest = 0;
    for failure in 1..=12_u32 {
        let request = desk.sent();
        desk.reply(&request, Reply::NoAnswer);
        let wait = desk.wait_ms();
        assert!(
            wait <= 1_000_u64.saturating_mul(1 << (failure - 1).min(20)).min(60_000),
            "{failure}: {wait}"
        );
        highest = highest.max(wait);
        desk.advance(wait);
    }
    assert!(highest > 5_000, "twelve failures never waited long: {highest}");
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    desk.emit_all([note("b")]);
    let request = desk.sent();
    desk.reply(&request, Reply::NoAnswer);
    assert!(desk.wait_ms() <= 1_000);
}

#[test]
fn a_hint_of_the_link_brings_a_fallback_wait_forward() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    for _ in 0..8 {
        let request = desk.sent();
        desk.reply(&request, Reply::NoAnswer);
        if desk.wait_ms() > 1_000 {
            desk.input(Input::LinkHint);
            assert!(desk.wait_ms() <= 1_000);
        }
        let wait = desk.wait_ms();
        desk.advance(wait);
    }
}

#[test]
fn a_person_goes_before_any_wait_once() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, told(503, "600"));
    desk.input(Input::Flush);
    let request = desk.sent();
    desk.reply(&request, told(503, "600"));
    assert!(desk.wait_ms() >= 600_000);
}

#[test]
fn missing_credentials_hold_everything_and_kill_nothing() {
    let mut desk = Desk::open();
    desk.emit_all([note("a"), pay("o-1", 5)]);
    for _ in 0..20 {
        let request = desk.sent();
        desk.reply(&request, city(401, ""));
        assert_eq!(desk.why(), WhyNotSending::Held);
        assert_eq!((desk.snapshot().held, desk.snapshot().counter.dead), (2, 0));
        let wait = desk.wait_ms();
        desk.advance(wait);
    }
    let request = desk.sent();
    assert!(request.fresh_credentials);
}

#[test]
fn a_captive_portal_settles_nothing_and_kills_nothing() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    for reply in
        [foreign(200, "<html>"), foreign(404, ""), foreign(403, ""), foreign(451, ""), foreign(422, "{}")]
    {
        let request = desk.sent();
        desk.reply(&request, reply);
        assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (1, 0));
        assert!(matches!(desk.snapshot().link, Link::Captive | Link::Misconfigured));
        let wait = desk.wait_ms();
        desk.advance(wait);
    }
}

#[test]
fn a_lost_answer_is_tried_again_with_the_same_bytes() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let first = desk.sent();
    assert_eq!(desk.snapshot().unknown, 0, "its answer may still come");
    desk.reply(&first, Reply::Timeout);
    assert_eq!(desk.snapshot().unknown, 1);
    let wait = desk.wait_ms();
    desk.advance(wait);
    let second = desk.sent();
    assert_eq!(
        (&second.body, second.header("idempotency-key")),
        (&first.body, first.header("idempotency-key"))
    );
    assert_eq!(second.header("conch-tries"), Some("1"));
    assert_eq!(desk.snapshot().unknown, 1, "the first answer is still missing");
}

#[test]
fn what_never_left_for_want_of_credentials_is_not_unknown() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let request = desk.sent();
    desk.reply(&request, Reply::NoCredentials);
    assert_eq!((desk.snapshot().unknown, desk.why()), (0, WhyNotSending::Held));
    let wait = desk.wait_ms();
    desk.advance(wait);
    assert_eq!(desk.sent().header("conch-tries"), Some("0"));
}

#[test]
fn a_timeout_halves_the_batch_and_success_grows_it_slowly() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all((0..100).map(|n| note(&format!("k-{n}"))));
    let request = desk.sent();
    assert_eq!(request.ids.len(), 100);
    desk.reply(&request, Reply::Timeout);
    let wait = desk.wait_ms();
    desk.advance(wait);
    let request = desk.sent();
    assert_eq!(request.ids.len(), 50);
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.sent().ids.len(), 50, "63 would fit, 50 are left");
}

#[test]
fn an_event_that_makes_the_city_fail_waits_in_its_lane_only() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all((0..8).map(|n| if n == 3 { poisoned("k-3") } else { note(&format!("k-{n}")) }));
    for _ in 0..60 {
        let Some(request) = desk.take_request() else {
            let wait = desk.wait_ms();
            desk.advance(wait);
            continue;
        };
        let reply = match (request.path, request.body.contains("\"poison\":true")) {
            ("/v1/edge", _) => desk::offering(100),
            (_, true) => city(500, ""),
            _ => verdicts(&request.ids, "accepted"),
        };
        desk.reply(&request, reply);
        if desk.snapshot().counter.owed == 1 {
            break;
        }
    }
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (1, 0));
    desk.emit_all([note("k-new")]);
    let request = desk.sent();
    assert_eq!(request.sequences, [9], "a new lane does not wait for the stuck one");
}

#[test]
fn a_retry_verdict_delays_its_lane_only() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([note("slow"), note("quick")]);
    let request = desk.sent();
    let answer = format!(
        r#"{{"verdicts":[{{"id":"{}","verdict":"retry","retryAfterMs":9000}},{{"id":"{}","verdict":"accepted"}}]}}"#,
        request.ids[0], request.ids[1]
    );
    desk.reply(&request, city(200, &answer));
    assert_eq!((desk.snapshot().counter.owed, desk.why()), (1, WhyNotSending::WaitingLane));
    let wait = desk.wait_ms();
    assert!((9_000..=10_000).contains(&wait), "{wait}");
    desk.advance(wait);
    assert_eq!(desk.sent().sequences, [1]);
}

#[test]
fn an_id_missing_from_the_verdicts_stays_owed() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([note("a"), note("b")]);
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids[..1], "accepted"));
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (1, 0));
    let wait = desk.wait_ms();
    desk.advance(wait);
    assert_eq!(desk.sent().ids, request.ids[1..]);
}

#[test]
fn a_single_event_under_a_problem_is_dead_with_its_reason() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, problem(422, "idempotency-mismatch"));
    let dead = desk.notices.iter().find_map(|notice| match notice {
        Notice::DeadLetter { reason, problem, .. } => Some((*reason, problem.clone())),
        _ => None,
    });
    let (reason, problem) = dead.unwrap();
    assert_eq!(
        (reason, problem.map(|problem| problem.code().to_owned())),
        (DeadReason::Refused, Some("idempotency-mismatch".to_owned()))
    );
}

#[test]
fn a_pause_survives_a_reload_and_why_not_sending_says_so() {
    let mut desk = Desk::open();
    desk.pause(true);
    desk.emit_all([note("a")]);
    assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::Paused));
    desk.reload();
    assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::Paused));
    desk.pause(false);
    desk.sent();
}

#[test]
fn a_wait_survives_a_reload_and_a_jumping_clock_cannot_make_it_long() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, told(503, "120"));
    desk.reload();
    assert!((119_000..=121_000).contains(&desk.wait_ms()));
    desk.set_wall_back_ms(30 * 24 * 3_600_000);
    desk.reload();
    assert!(desk.wait_ms() <= 3_600_000);
}

#[test]
fn a_stale_leader_settles_nothing_and_yields() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.lead_elsewhere();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert!(desk.yielded);
    assert_eq!(desk.disk.now.counter.owed, 1);
    assert_eq!(desk.why(), WhyNotSending::NotLeader);
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let mut desk = Desk::open();
    let bad = |change: fn(&mut Emit)| {
        let mut emit = pay("o-1", 5);
        change(&mut emit);
        emit
    };
    desk.emit_all([
        bad(|emit| emit.topic = "Pay".into()),
        bad(|emit| emit.kind = "asked".into()),
        bad(|emit| emit.kind = "captured".into()),
        bad(|emit| emit.key = "0912345678".into()),
        bad(|emit| emit.payload = "{".into()),
        bad(|emit| emit.payload = r#"{"amount":9007199254740993,"currency":"TWD","method":"cash"}"#.into()),
        bad(|emit| emit.intent = Some("mine".into())),
        bad(|emit| emit.attempt = Some(0)),
        Emit { payload: format!("\"{}\"", "x".repeat(70_000)), ..note("big") },
    ]);
    assert!(desk.emitted.iter().all(|outcome| matches!(outcome, Err(EmitFault::Problem(_)))));
    assert_eq!((desk.emitted.len(), desk.appends, desk.snapshot().counter.owed), (9, 0, 0));
}
