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

use conch::event::json::Json;
use conch::event::{Emit, EmitProblem, Sequence, Stored, UnixMillis};
use conch::limits::{BACKOFF_CAP_VISIBLE_MS, JSON_DEPTH_MAX, STORAGE_HEADROOM_BYTES};
use conch::outbox::engine::{EmitFault, Final, Hint, Input, Notice, WhyNotSending};
use conch::outbox::port::Load;
use conch::outbox::record::DeadReason;
use conch::pace::Link;
use conch::wire::classify::Reply;
use desk::{
    Desk, Sent, at, city, come_back, foreign, note, pay, poisoned, problem, told, verdicts,
    verdicts_in_window, verdicts_with,
};

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

/// Below the lowest owed sequence the city alarms on whatever never came: it is told which will not.
#[test]
fn the_city_is_told_of_dead_events_until_it_has_heard_also_after_a_reload() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let poison = desk.sent();
    assert_eq!(poison.header("conch-tombstones"), None);
    desk.reply(&poison, problem(400, "unreadable"));
    desk.reload();
    desk.emit_all([note("b")]);
    let lost = desk.sent();
    assert_eq!(lost.header("conch-tombstones"), Some("1"));
    desk.reply(&lost, Reply::Timeout);
    desk.advance(desk.wait_ms());
    let again = desk.sent();
    assert_eq!(again.header("conch-tombstones"), Some("1"));
    desk.reply(&again, verdicts(&again.ids, "accepted"));
    desk.emit_all([note("c")]);
    assert_eq!(desk.sent().header("conch-tombstones"), None);
    desk.reload();
    assert_eq!(desk.sent().header("conch-tombstones"), None);
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
    desk.input(Input::LinkHint(Hint::Person));
    let wait = desk.wait_ms();
    assert!((30_000..=31_000).contains(&wait), "{wait}");
    desk.advance(wait);
    assert_eq!(desk.sent().ids, request.ids);
}

#[test]
fn a_slot_is_kept_to_the_millisecond() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    let busy = r#"{"type":"urn:conch:problem:overloaded","title":"Busy","detail":"","retryAfterMs":4321}"#;
    desk.reply(&request, come_back(city(503, busy), "4"));
    assert_eq!((desk.why(), desk.wait_ms()), (WhyNotSending::WaitingTold, 4_321));
    desk.advance(4_321);
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
            desk.input(Input::LinkHint(Hint::Person));
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

/// The badge said nothing was unknown while the list named an event that may have reached the city, or the other way
/// round, depending on the answer.
#[test]
fn the_badge_and_the_list_agree_about_what_may_have_reached_the_city() {
    let answers = [
        (Reply::Timeout, 1),
        (city(409, "{}"), 1),
        (city(500, "{}"), 1),
        (foreign(404, ""), 1),
        (foreign(500, ""), 1),
        (come_back(city(429, ""), "5"), 1),
        (city(401, "{}"), 0),
        (city(403, "{}"), 0),
        (Reply::NoCredentials, 0),
    ];
    for (reply, unknown) in answers {
        let mut desk = Desk::open();
        desk.emit_all([pay("o-1", 5), pay("o-2", 5)]);
        let request = desk.sent();
        desk.offer_to(&request, 1);
        let request = desk.sent();
        assert_eq!(desk.snapshot().unknown, 0, "its answer may still come");
        desk.reply(&request, reply.clone());
        let listed =
            desk.disk.load(&Load::After(Sequence(0))).rows.iter().filter(|row| row.maybe_sent).count();
        assert_eq!((desk.snapshot().unknown, listed as u64), (unknown, unknown), "{reply:?}");
        assert_eq!(
            desk.beside().snapshot().unknown,
            unknown,
            "another page knows it from the disk: {reply:?}"
        );
    }
}

#[test]
fn what_may_have_reached_the_city_is_known_after_a_reload_and_forgotten_with_its_verdict() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let request = desk.sent();
    desk.reply(&request, Reply::Timeout);
    desk.reload();
    assert_eq!(desk.snapshot().unknown, 1);
    let wait = desk.wait_ms();
    desk.advance(wait);
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!((desk.snapshot().unknown, desk.disk.now.counter.unknown), (0, 0));
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
        let reply = match (request.path.as_str(), request.body.contains("\"poison\":true")) {
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

/// Fails until the outage has lasted longer than the ten seconds after which the window counts.
fn outage(desk: &mut Desk) {
    let began = desk.now.mono_ms;
    loop {
        let request = desk.sent();
        desk.reply(&request, Reply::NoAnswer);
        if desk.now.mono_ms - began > 10_000 && desk.wait_ms() > 1 {
            break;
        }
        desk.advance(desk.wait_ms());
    }
}

#[test]
fn after_an_outage_the_first_send_is_drawn_once_from_the_window_and_kept() {
    let mut drawn = Vec::new();
    for seed in 0..40 {
        let mut desk = Desk::seeded(seed);
        desk.emit_all([note("a")]);
        let request = desk.sent();
        desk.reply(&request, verdicts_in_window(&request.ids, 200_000));
        desk.emit_all([note("b")]);
        outage(&mut desk);
        desk.input(Input::LinkHint(Hint::Online));
        assert_eq!(desk.why(), WhyNotSending::WaitingWindow);
        let wait = desk.wait_ms();
        drawn.push(wait);
        // The link flaps, a person looks, the page is reloaded: the moment stays.
        desk.advance(wait / 4);
        desk.input(Input::LinkHint(Hint::Online));
        desk.input(Input::LinkHint(Hint::Person));
        desk.reload();
        desk.input(Input::LinkHint(Hint::Online));
        assert_eq!((desk.wait_ms(), desk.why()), (wait - wait / 4, WhyNotSending::WaitingWindow));
        if seed % 2 == 0 {
            desk.input(Input::Flush);
        } else {
            desk.advance(desk.wait_ms());
        }
        let request = desk.sent();
        desk.reply(&request, verdicts_in_window(&request.ids, 200_000));
        assert_eq!(desk.why(), WhyNotSending::NothingOwed);
    }
    drawn.sort_unstable();
    assert!(drawn[0] < 40_000 && drawn[39] > 160_000 && drawn[39] <= 200_000, "{drawn:?}");
}

#[test]
fn a_short_outage_or_an_unknown_window_draws_nothing() {
    for window_ms in [0, 200_000] {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        let request = desk.sent();
        desk.reply(&request, verdicts_in_window(&request.ids, window_ms));
        desk.emit_all([note("b")]);
        if window_ms == 0 {
            outage(&mut desk);
        } else {
            let request = desk.sent();
            desk.reply(&request, Reply::NoAnswer);
        }
        desk.input(Input::LinkHint(Hint::Online));
        assert!(desk.wait_ms() <= 1_000);
    }
}

const DAY_MS: u64 = 24 * 3_600_000;

/// The city says `retry` to the event, a day apart, by its own clock.
fn stuck_for(desk: &mut Desk, days: u64) {
    let began = desk.now.wall.0;
    for day in 0..=days {
        let Some(request) = desk.take_request() else { return };
        let time = UnixMillis(began + day * DAY_MS);
        desk.reply(&request, at(verdicts(&request.ids, "retry"), time));
        desk.advance(DAY_MS);
    }
}

#[test]
fn an_event_that_is_owed_for_seven_days_of_the_city_is_a_dead_letter() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    stuck_for(&mut desk, 6);
    assert_eq!(desk.snapshot().counter.dead, 0);
    desk.reload();
    stuck_for(&mut desk, 1);
    // It takes a fresh look at the city's clock to know.
    desk.emit_all([note("b")]);
    let offer = desk.sent();
    desk.offer_to(&offer, 5);
    while let Some(request) = desk.take_request() {
        let time = UnixMillis(desk.now.wall.0 + 9 * DAY_MS);
        let word = if request.body.contains("pay.txn") { "retry" } else { "accepted" };
        desk.reply(&request, at(verdicts(&request.ids, word), time));
        desk.advance(DAY_MS);
    }
    let counter = desk.snapshot().counter;
    assert_eq!((counter.owed, counter.dead), (0, 1));
    let reason = desk.notices.iter().find_map(|notice| match notice {
        Notice::DeadLetter { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, Some(DeadReason::Expired));
}

/// Nothing expires on a wall-clock jump, forward or back, with the city in sight.
#[test]
fn a_jumping_device_clock_makes_nothing_too_old() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let city_time = desk.now.wall;
    for _ in 0..4 {
        let request = desk.sent();
        desk.reply(&request, at(verdicts(&request.ids, "retry"), city_time));
        desk.now.wall.0 += 30 * DAY_MS;
        desk.reload();
        desk.advance(desk.wait_ms());
    }
    let request = desk.sent();
    desk.reply(&request, at(verdicts(&request.ids, "accepted"), city_time));
    let counter = desk.snapshot().counter;
    assert_eq!((counter.owed, counter.dead), (0, 0));
}

fn expired(desk: &mut Desk) -> Sent {
    desk.emit_all([pay("o-1", 5)]);
    let first = desk.sent();
    let now = desk.now.wall.0;
    desk.reply(&first, at(verdicts(&first.ids, "retry"), UnixMillis(now)));
    desk.advance(DAY_MS);
    let again = desk.sent();
    desk.reply(&again, at(verdicts(&again.ids, "retry"), UnixMillis(now + 8 * DAY_MS)));
    desk.advance(DAY_MS);
    assert_eq!(desk.snapshot().counter.dead, 1);
    first
}

#[test]
fn what_expired_is_redriven_as_the_very_same_event() {
    let mut desk = Desk::open();
    let first = expired(&mut desk);
    desk.emit_all([note("b")]);
    let other = desk.sent();
    desk.reply(&other, verdicts(&other.ids, "accepted"));
    desk.redrive(1, Some(r#"{"amount":6,"currency":"TWD","method":"cash"}"#));
    assert_eq!(desk.emitted.last(), Some(&Err(EmitFault::MustNotChange)));
    assert_eq!(desk.snapshot().counter.dead, 1);
    desk.redrive(1, None);
    assert!(matches!(desk.emitted.last(), Some(Ok(receipt)) if receipt.kept.id == first.ids[0]));
    let again = desk.sent();
    assert_eq!((&again.body, &again.ids), (&first.body, &first.ids));
    desk.reply(&again, verdicts(&again.ids, "duplicate"));
    let counter = desk.snapshot().counter;
    assert_eq!((counter.owed, counter.dead, counter.bytes), (0, 0, 0));
    desk.reload();
    assert!(desk.take_request().is_none());
}

/// The body of a segment goes with its last owed event and comes back line by line: reviving one event must not leave
/// another of its segment without its bytes.
#[test]
fn two_expired_events_of_one_turn_are_both_redriven_with_their_bytes() {
    let mut desk = Desk::open();
    desk.offer(100);
    desk.emit_all([pay("o-1", 5), pay("o-2", 6)]);
    let first = desk.sent();
    assert_eq!(first.ids.len(), 2);
    desk.reply(&first, at(verdicts(&first.ids, "retry"), UnixMillis(DAY_MS)));
    desk.advance(DAY_MS);
    while let Some(request) = desk.take_request() {
        match request.ids.as_slice() {
            [] => desk.offer_to(&request, 100),
            ids => desk.reply(&request, at(verdicts(ids, "retry"), UnixMillis(20 * DAY_MS))),
        }
        desk.advance(DAY_MS);
    }
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (0, 2));
    desk.redrive(1, None);
    desk.redrive(2, None);
    let mut bodies = Vec::new();
    for _ in 0..4 {
        if let Some(request) = desk.take_request() {
            match request.ids.as_slice() {
                [] => desk.offer_to(&request, 100),
                ids => {
                    bodies.push(request.body.clone());
                    desk.reply(&request, verdicts(ids, "accepted"));
                }
            }
        }
    }
    assert!(bodies.concat().contains("o-1") && bodies.concat().contains("o-2"), "{bodies:?}");
    let counter = desk.snapshot().counter;
    assert_eq!((counter.owed, counter.dead, counter.bytes), (0, 0, 0));
}

/// onDead: deciding about a note must not let a payment's lane go on that waits for another decision.
#[test]
fn a_decision_about_one_letter_frees_no_lane_that_waits_for_another() {
    for discards in [true, false] {
        let mut desk = Desk::open();
        desk.emit_all([note("o-7")]);
        let request = desk.sent();
        desk.reply(&request, problem(400, "unreadable"));
        desk.emit_all([pay("o-7", 5)]);
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "refused"));
        desk.emit_all([note("o-7")]);
        assert!(desk.take_request().is_none(), "the key waits for the payment");
        if discards {
            desk.discard(1, "nobody needs the note");
        } else {
            desk.redrive(1, None);
        }
        assert!(desk.take_request().is_none(), "it still waits");
        desk.discard(2, "the buyer left");
        assert!(desk.take_request().is_some());
    }
}

/// always-a-wake across contexts: another tab's event may show first in the totals that come with our own verdict.
#[test]
fn what_another_tab_stored_while_we_settled_is_looked_for() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    let mut other = desk.beside();
    // Else it would mint the very same id.
    other.now.wall.0 += 5;
    other.emit_all([note("b")]);
    desk.disk = other.disk.clone();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    desk.input(Input::Changed);
    let request = desk.sent();
    assert_eq!(request.sequences, [2]);
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.why(), WhyNotSending::NothingOwed);
}

#[test]
fn a_letter_that_another_tab_revived_is_sent() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, at(verdicts(&request.ids, "retry"), UnixMillis(DAY_MS)));
    desk.advance(DAY_MS);
    let request = desk.sent();
    desk.reply(&request, at(verdicts(&request.ids, "retry"), UnixMillis(20 * DAY_MS)));
    desk.advance(DAY_MS);
    assert_eq!(desk.snapshot().counter.dead, 1);
    let mut other = desk.beside();
    other.redrive(1, None);
    desk.disk = other.disk.clone();
    desk.input(Input::Changed);
    let request = desk.sent();
    assert_eq!(request.sequences, [1]);
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.why(), WhyNotSending::NothingOwed);
}

/// Never earlier than told, also when the page is reloaded and looked at.
#[test]
fn a_told_wait_survives_a_reload_and_a_look() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, told(503, "600"));
    desk.reload();
    desk.input(Input::LinkHint(Hint::Person));
    desk.input(Input::LinkHint(Hint::Online));
    assert_eq!(desk.why(), WhyNotSending::WaitingTold);
    assert!(desk.wait_ms() >= 600_000);
}

/// A verdict that is on disk is told, though another context took the lead before we heard that it is.
#[test]
fn a_verdict_is_told_also_when_the_lead_was_lost_meanwhile() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.lose_lead_while_settling = true;
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.settled, [(request.ids[0], Final::Accepted)]);
}

#[test]
fn a_leader_with_a_backlog_beats_and_an_idle_one_rests() {
    let mut desk = Desk::open();
    desk.advance(60_000);
    assert!(desk.beats.is_empty());
    desk.emit_all([note("a")]);
    for _ in 0..6 {
        desk.advance(5_000);
    }
    assert_eq!(desk.beats, [61_000, 71_000, 81_000, 91_000]);
}

#[test]
fn a_silent_leader_is_replaced_while_something_is_owed() {
    let mut desk = Desk::open();
    desk.input(Input::LeadLost);
    desk.advance(600_000);
    assert_eq!(desk.steals, 0, "nothing is owed");
    desk.emit_all([note("a")]);
    for _ in 0..5 {
        desk.advance(desk.wait_ms().min(20_000));
        desk.input(Input::Beat);
    }
    assert_eq!(desk.steals, 0, "the leader lives");
    assert_eq!(desk.wait_ms(), 30_000);
    desk.advance(30_000);
    assert_eq!(desk.steals, 1);
    desk.input(Input::LeadGained);
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(desk.snapshot().counter.owed, 0);
}

#[test]
fn a_store_that_stands_still_is_given_one_beat() {
    let mut desk = Desk::without_locks();
    desk.stuck = Some(0);
    desk.emit_all([note("a")]);
    for _ in 0..6 {
        desk.advance(10_000);
    }
    assert_eq!(desk.stuck, Some(1));
}

/// A beat in the store, compared by this context's own monotonic time, stands in for the lock.
#[test]
fn without_locks_the_second_context_waits_for_the_firsts_silence() {
    let mut first = Desk::without_locks();
    first.emit_all([note("a")]);
    assert_eq!(first.sent().sequences, [1]);
    first.advance(10_000);
    let mut second = first.beside();
    second.input(Input::NoLocks);
    for _ in 0..6 {
        second.advance(10_000);
        first.advance(10_000);
        second.disk = first.disk.clone();
    }
    assert_eq!(second.why(), WhyNotSending::NotLeader, "the first beats");
    for _ in 0..4 {
        second.advance(10_000);
    }
    let request = second.sent();
    second.reply(&request, verdicts(&request.ids, "accepted"));
    assert_eq!(second.snapshot().counter.owed, 0);
    first.disk = second.disk.clone();
    first.advance(10_000);
    assert_eq!(first.why(), WhyNotSending::NothingOwed);
}

#[test]
fn a_leader_without_locks_that_leaves_in_good_order_is_followed_at_once() {
    let mut first = Desk::without_locks();
    first.emit_all([note("a")]);
    first.advance(10_000);
    first.input(Input::Leaving);
    let mut second = first.beside();
    second.input(Input::NoLocks);
    assert_eq!(second.sent().sequences, [1]);
}

#[test]
fn a_store_that_keeps_failing_is_asked_less_and_less_often() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    desk.full = true;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        waits.push(desk.wait_ms());
        desk.advance(desk.wait_ms());
    }
    let (early, late) = (waits[..4].iter().sum::<u64>(), waits[8..].iter().sum::<u64>());
    assert!(late > 4 * early, "{waits:?}");
    assert!(waits.iter().all(|wait| (1..=BACKOFF_CAP_VISIBLE_MS).contains(wait)), "{waits:?}");
}

/// settle-in-one: what is not written down is not settled, and the same event goes again until it is.
#[test]
fn a_verdict_that_cannot_be_written_is_asked_for_again() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    desk.full = true;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        ids.extend(request.ids);
        assert_eq!((desk.why(), desk.snapshot().counter.owed), (WhyNotSending::StorageFault, 1));
        desk.advance(desk.wait_ms());
    }
    desk.full = false;
    let request = desk.sent();
    desk.reply(&request, verdicts(&request.ids, "duplicate"));
    assert_eq!(desk.why(), WhyNotSending::NothingOwed);
    assert!(ids.iter().all(|id| *id == request.ids[0]), "the id never changes");
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

/// A payload as deep as is allowed made an event that was too deep to be read back: it could neither be sent to a
/// server of its own, nor shown, nor decided about.
#[test]
fn the_deepest_payload_is_still_an_event_that_can_be_read_back() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let deepest = (1..100).rfind(|levels| Json::parse_payload(&deep(*levels)).is_ok()).unwrap();
    assert!(deepest >= JSON_DEPTH_MAX);
    for mut desk in [Desk::open(), Desk::single()] {
        desk.emit_all([
            Emit { payload: deep(deepest + 1), ..note("deeper") },
            Emit { payload: deep(deepest), ..note("deep") },
        ]);
        assert!(desk.emitted[1].is_ok());
        assert!(matches!(desk.emitted[0], Err(EmitFault::Problem(EmitProblem::NotJson(_)))));
        let sent = desk.sent();
        assert_eq!(sent.header("ce-id").map_or(&deep(deepest), |_| &sent.body), &deep(deepest));
        let row = desk.disk.load(&Load::After(Sequence(0))).rows.remove(0);
        assert_eq!(Stored::read(&row.body).unwrap().emit.payload, deep(deepest));
    }
}

/// One word for two things: the cancellation of an order was taken for the order and never sent.
#[test]
fn the_callers_intent_for_another_type_or_key_is_a_conflict() {
    let mut desk = Desk::open();
    let made = || Emit { intent: Some("order-7".into()), ..note("table-4") };
    desk.emit_all([made()]);
    desk.emit_all([made()]);
    desk.emit_all([Emit { kind: "cancelled".into(), ..made() }]);
    desk.emit_all([Emit { key: "table-5".into(), ..made() }]);
    let [first, again, cancelled, elsewhere] = desk.emitted.as_slice() else { panic!() };
    assert!(!first.as_ref().unwrap().replayed && again.as_ref().unwrap().replayed);
    assert!(matches!(cancelled, Err(EmitFault::Conflict(_))), "{cancelled:?}");
    assert!(matches!(elsewhere, Err(EmitFault::Conflict(_))), "{elsewhere:?}");
}

#[test]
fn records_of_a_commit_take_room_too() {
    let mut desk = Desk::open();
    desk.input(Input::Space(STORAGE_HEADROOM_BYTES + 4_000));
    let large = format!("\"{}\"", "x".repeat(3_000));
    desk.commit(vec![note("a")], &[], &[("t-1", Some(&large))]);
    desk.drain();
    assert_eq!(desk.committed, [Err(EmitFault::Full)]);
    assert_eq!(desk.record("t-1"), None);
    for place in 0..10 {
        let small = format!("\"{}\"", "x".repeat(300));
        desk.commit(vec![note("a")], &[], &[(&format!("t-{place}"), Some(&small))]);
        desk.drain();
    }
    let taken = desk.committed.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((1..=3).contains(&taken), "{taken} commits of some 900 bytes, twice each");
}

#[test]
fn a_full_origin_takes_no_sale_but_knows_the_ones_it_has_and_keeps_room_for_verdicts() {
    let mut desk = Desk::open();
    desk.input(Input::Space(STORAGE_HEADROOM_BYTES + 2_000));
    desk.emit_all([pay("order-1", 1), pay("order-2", 2)]);
    desk.emit_all([pay("order-1", 1)]);
    let [first, second, again] = desk.emitted.as_slice() else { panic!() };
    assert!(first.is_ok());
    assert_eq!(second, &Err(EmitFault::Full), "both together would reach into the headroom");
    assert!(again.as_ref().unwrap().replayed, "same-intent-same-receipt also when there is no room");
    let sent = desk.sent();
    desk.reply(&sent, verdicts(&sent.ids, "accepted"));
    assert_eq!(desk.snapshot().counter.owed, 0);
    desk.input(Input::Space(STORAGE_HEADROOM_BYTES + 4_000));
    desk.emit_all([pay("order-2", 2)]);
    assert!(desk.emitted[3].is_ok(), "the browser found room again");
}
