//! What other offline queues got wrong, one section a failure, each as a test that would have caught it here.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the failure")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::event::json::Json;
use conch::event::{Device, Emit, Identity, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::engine::{EmitFault, Final, Input, Notice, Output, Ticket, WhyNotSending};
use conch::outbox::port::{Opened, StoreFault};
use conch::outbox::record::{DeadReason, Status};
use conch::outbox::transact::Done;
use conch::pace::{Link, Now};
use conch::wire::classify::Reply;
use desk::{Bank, Desk, Sent, at, city, drain, foreign, note, pay, problem, told, verdicts, verdicts_with};
use sim::{FORCE_MAX, Force, Plan, Report, Trouble, run};

/// The world with some kinds of trouble only.
fn world(troubles: &[Trouble], plan: impl Fn(u64) -> Plan, seeds: u64) -> Report {
    let mut met = Report::default();
    for seed in 0..seeds {
        let force = troubles.iter().fold(Force::all(0), |force, trouble| force.with(*trouble, FORCE_MAX));
        met += &run(Plan { force, ..plan(seed) }).unwrap_or_else(|broken| panic!("{broken}"));
    }
    met
}

// 1. Creating payments while the queue drained: 8 orders became 19 charges, keys minted by the SDK at send time.

#[test]
fn creating_payments_while_the_queue_drains_charges_each_once() {
    let (mut desk, mut bank) = (Desk::open(), Bank::default());
    let mut requests = 0;
    for order in 0..8 {
        desk.emit_all([pay(&format!("o-{order}"), 100 + order)]);
        // The queue drains meanwhile; every other answer is lost after the bank has charged, and the page dies.
        for _ in 0..2 {
            let Some(request) = desk.take_request() else { continue };
            requests += 1;
            if request.ids.is_empty() {
                desk.offer_to(&request, 10);
                continue;
            }
            let answer = bank.take(&request);
            match requests % 4 {
                0 => desk.reload(),
                1 | 3 => desk.reply(&request, Reply::Timeout),
                _ => desk.reply(&request, answer),
            }
        }
        // The vendor taps once more.
        desk.emit_all([pay(&format!("o-{order}"), 100 + order)]);
        desk.advance(1_000);
    }
    drain(&mut desk, |request| bank.take(request));
    assert_eq!(bank.charged.len(), 8, "{:?}", bank.charged);
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (0, 0));
    assert_eq!(desk.disk.now.intents.values().map(|segment| segment.len()).sum::<usize>(), 8);
}

#[test]
fn a_key_is_made_when_it_is_meant_and_not_when_it_is_sent() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let kept = desk.emitted[0].as_ref().unwrap().kept;
    for _ in 0..4 {
        desk.reload();
        let request = desk.sent();
        assert_eq!(request.header("idempotency-key"), Some(format!("\"{}\"", kept.intent).as_str()));
        assert_eq!(request.ids, [kept.id]);
    }
}

// 2. Acknowledgement lost, write applied twice. A uniqueness added late then broke honest retries.

#[test]
fn a_lost_acknowledgement_is_not_a_second_write_even_after_a_power_cut() {
    let (mut desk, mut bank) = (Desk::open(), Bank::default());
    desk.emit_all([pay("o-1", 5)]);
    for trouble in 0..6 {
        let request = desk.sent();
        bank.take(&request);
        match trouble % 3 {
            0 => desk.reply(&request, Reply::Timeout),
            1 => desk.reload(),
            _ => {
                // The mark that it may have been sent is gone with the power.
                desk.disk.power_cut(0);
                desk.reload();
            }
        }
        if desk.next_path().is_none() {
            desk.advance(desk.wait_ms());
        }
    }
    let request = desk.sent();
    let answer = bank.take(&request);
    desk.reply(&request, answer);
    assert_eq!(desk.settled.last(), Some(&(request.ids[0], Final::Duplicate)));
    assert_eq!(bank.charged.values().sum::<u32>(), 1);
}

#[test]
fn an_honest_retry_gets_its_receipt_and_no_error() {
    let (mut desk, mut bank) = (Desk::open(), Bank::default());
    desk.emit_all([pay("o-1", 5)]);
    drain(&mut desk, |request| bank.take(request));
    desk.reload();
    desk.emit_all([pay("o-1", 5), pay("o-1", 6)]);
    let [first, again, other] = &desk.emitted[..] else { panic!("{:?}", desk.emitted) };
    let (first, again) = (first.as_ref().unwrap(), again.as_ref().unwrap());
    assert_eq!((again.kept.id, again.replayed), (first.kept.id, true));
    assert!(
        matches!(other, Err(EmitFault::Conflict(_))),
        "another amount is another meaning, and is told so"
    );
}

// 3. Two tabs of one till duplicate or lose orders.

#[test]
fn two_tabs_of_one_till_share_an_order_instead_of_doubling_it() {
    let (mut desk, mut bank) = (Desk::open(), Bank::default());
    let mut other = desk.beside();
    other.now.wall.0 += 5;
    other.emit_all([pay("o-1", 5), pay("o-2", 5)]);
    desk.disk = other.disk.clone();
    desk.emit_all([pay("o-1", 5), pay("o-3", 5)]);
    desk.input(Input::Changed);
    assert!(other.take_request().is_none(), "one of them sends");
    drain(&mut desk, |request| bank.take(request));
    assert_eq!(bank.charged.len(), 3);
    let kept = |own: &Desk| own.emitted[0].as_ref().unwrap().kept.id;
    assert_eq!(kept(&desk), kept(&other));
}

/// Three contexts that freeze, die, miss each other's hints and take the lead from each other.
#[test]
fn tabs_that_freeze_die_and_hear_nothing_of_each_other_lose_and_double_nothing() {
    let plan = |seed| Plan { devices: 1, tabs: 3, ..Plan::seeded(seed) };
    let met = world(&[Trouble::Hint, Trouble::Freeze, Trouble::Crash], plan, 25);
    assert!(met.steals > 5 && met.frozen_leaders > 20 && met.stale > 0, "{met:?}");
}

// 4. Delete before send: killed mid-send, item lost. Any HTTP status counted as delivered. A 401 destroys queued work.

#[test]
fn an_event_whose_page_is_killed_mid_send_is_still_owed() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reload();
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().unknown), (1, 1), "and nobody knows");
    assert_eq!(desk.sent().ids, request.ids);
}

#[test]
fn no_http_status_alone_counts_as_delivered() {
    for status in (100..600).filter(|status| !matches!(status, 400 | 413 | 415 | 422)) {
        for reply in [foreign(status, "OK"), city(status, "OK"), foreign(status, "{}"), city(status, "{}")] {
            let mut desk = Desk::open();
            desk.emit_all([note("a")]);
            let request = desk.sent();
            desk.reply(&request, reply);
            let counter = desk.snapshot().counter;
            assert_eq!((counter.owed, counter.dead, desk.settled.len()), (1, 0, 0), "{status}");
            assert!(desk.awaits_reply() || desk.wait_ms() <= 61_000, "{status}");
        }
    }
}

#[test]
fn a_401_destroys_no_queued_work() {
    let mut desk = Desk::open();
    desk.emit_all((0..20).map(|n| pay(&format!("o-{n}"), 5)));
    for round in 0..30 {
        let Some(request) = desk.take_request() else {
            desk.advance(desk.wait_ms());
            continue;
        };
        desk.reply(&request, city(if round % 2 == 0 { 401 } else { 403 }, ""));
        if round % 7 == 0 {
            desk.reload();
        }
        assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (20, 0));
    }
    let mut bank = Bank::default();
    drain(&mut desk, |request| bank.take(request));
    assert_eq!(bank.charged.len(), 20);
}

// 5. A retry that silently never fires again. Counters reset on reload.

#[test]
fn after_every_kind_of_failure_the_retry_fires() {
    let replies = [
        Reply::NoAnswer,
        Reply::Timeout,
        Reply::NoCredentials,
        foreign(200, "<html>"),
        foreign(404, ""),
        foreign(503, ""),
        city(200, ""),
        city(401, ""),
        city(404, ""),
        city(409, ""),
        city(425, ""),
        city(500, ""),
        told(429, "5"),
        told(503, "nonsense"),
        verdicts(&[], "accepted"),
    ];
    for reply in replies {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        for time in 0..12 {
            let request = desk.sent();
            match request.ids.as_slice() {
                [] => desk.offer_to(&request, 5),
                _ => desk.reply(&request, reply.clone()),
            }
            if time == 6 {
                desk.reload();
            }
            for _ in 0..3 {
                if desk.next_path().is_none() {
                    desk.advance(desk.wait_ms());
                }
            }
            assert!(desk.next_path().is_some(), "{reply:?} {time}: {:?}", desk.snapshot());
        }
    }
}

#[test]
fn tries_and_the_ladder_survive_a_reload() {
    let mut desk = Desk::open();
    desk.emit_all([note("a")]);
    let mut highest = 0;
    for tries in 0..10 {
        let request = desk.sent();
        assert_eq!(request.header("conch-tries"), Some(tries.to_string().as_str()));
        desk.reply(&request, Reply::NoAnswer);
        desk.reload();
        // It waits on as it did before: the rung of the ladder is on disk.
        if desk.next_path().is_none() {
            highest = highest.max(desk.wait_ms());
            desk.advance(desk.wait_ms());
        }
    }
    assert!(highest > 4_000, "ten failures never waited long: {highest}");
}

#[test]
fn a_clock_that_is_set_back_stops_no_retry() {
    for back_ms in [60_000, 3_600_000, 30 * 86_400_000_u64] {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        for _ in 0..6 {
            let request = desk.sent();
            desk.reply(&request, Reply::NoAnswer);
            if desk.next_path().is_none() {
                desk.advance(desk.wait_ms());
            }
        }
        let request = desk.sent();
        desk.reply(&request, Reply::NoAnswer);
        desk.set_wall_back_ms(back_ms);
        desk.reload();
        for _ in 0..3 {
            if desk.next_path().is_none() {
                assert!(desk.wait_ms() <= 300_000, "{}", desk.wait_ms());
                desk.advance(desk.wait_ms());
            }
        }
        desk.sent();
    }
}

// 6. Dead handle cached for ever. Quota: neither stored nor sent. An upgrade drops the queue. (The browser's half, which
// opens the database again and upgrades it, is in `tests/web_store.rs`.)

/// The connection is lost at any call, before or after the write took effect, and for a while cannot be opened.
#[test]
fn a_lost_connection_at_any_call_loses_doubles_and_stops_nothing() {
    let met = world(&[Trouble::Handle], Plan::seeded, 25);
    assert!(met.lost > 25 && met.stored > 25 * 100, "{met:?}");
}

#[test]
fn a_full_disk_is_told_at_the_tap_and_loses_no_verdict() {
    let met = world(&[Trouble::Quota, Trouble::Poison], Plan::seeded, 25);
    assert!(met.full > 25, "{met:?}");
    let mut desk = Desk::open();
    desk.room = 1;
    desk.emit_all([note("a"), note("b")]);
    assert!(desk.emitted.iter().all(Result::is_ok), "what still fits is stored");
    desk.room = 0;
    desk.emit_all([note("c")]);
    assert_eq!(
        desk.emitted[2],
        Err(EmitFault::Store(StoreFault::Quota)),
        "neither stored nor sent, and told so"
    );
    assert_eq!(desk.snapshot().counter.owed, 2);
    desk.room = usize::MAX;
    desk.emit_all([note("c")]);
    assert_eq!((desk.emitted[3].is_ok(), desk.snapshot().counter.owed), (true, 3));
}

/// A later release may know more states; an older one must not take them for an end.
#[test]
fn what_a_newer_release_wrote_counts_as_owed() {
    for byte in 0..=255_u8 {
        let known = matches!(byte & 0x7f, 1..=5);
        assert_eq!(Status::of(byte) == Status::Owed, !known, "{byte}");
    }
}

// 7. Refund retried under a new key: double refund. One key for ever: replays a stored error. There are no refunds yet;
// what holds for every intent: without a definite answer the same id and key, after a definite refusal a new attempt.

#[test]
fn without_a_definite_answer_a_redrive_keeps_id_and_key() {
    const DAY_MS: u64 = 86_400_000;
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let first = desk.sent();
    desk.reply(&first, at(verdicts(&first.ids, "retry"), desk.now.wall));
    desk.advance(DAY_MS);
    let again = desk.sent();
    desk.reply(&again, at(verdicts(&again.ids, "retry"), UnixMillis(desk.now.wall.0 + 8 * DAY_MS)));
    desk.advance(DAY_MS);
    let reason = desk.disk.now.dead.values().next().map(|letter| letter.reason);
    assert_eq!(reason, Some(DeadReason::Expired));
    desk.redrive(1, Some(r#"{"amount":6,"currency":"TWD","method":"cash"}"#));
    assert_eq!(desk.emitted.last(), Some(&Err(EmitFault::MustNotChange)));
    desk.redrive(1, None);
    let redriven = desk.sent();
    let key = |sent: &Sent| sent.header("idempotency-key").map(str::to_owned);
    assert_eq!((&redriven.ids, key(&redriven), &redriven.body), (&first.ids, key(&first), &first.body));
}

#[test]
fn after_a_definite_refusal_a_redrive_is_a_new_attempt_under_a_new_key() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    let mut keys = Vec::new();
    for sequence in 1..=4 {
        let request = desk.sent();
        keys.push(request.header("idempotency-key").unwrap().to_owned());
        let event = Json::parse(&request.body).unwrap();
        assert_eq!(event.get("attempt").and_then(Json::as_whole), Some(sequence));
        desk.reply(&request, verdicts(&request.ids, "refused"));
        desk.redrive(sequence, None);
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "a key that was refused is not asked again for ever");
    // Tapping the sale anew is still the first attempt, and gets its receipt: it never opens a second lane of charges.
    desk.emit_all([pay("o-1", 5)]);
    assert!(desk.emitted.last().unwrap().as_ref().is_ok_and(|receipt| receipt.replayed));
}

// 8. One bad row stops everything, or is dropped without a word.

#[test]
fn bad_rows_stop_no_other_and_each_is_explained() {
    let mut desk = Desk::open();
    desk.emit_all((0..60).map(|n| match n {
        7 | 8 | 33 | 59 => desk::poisoned(&format!("k-{n}")),
        20 | 41 => Emit { payload: r#"{"refuse":true}"#.into(), ..note(&format!("k-{n}")) },
        _ => note(&format!("k-{n}")),
    }));
    drain(&mut desk, |request| {
        if request.body.contains(r#""poison":true"#) {
            return problem(400, "unreadable");
        }
        let events = match Json::parse(&request.body).unwrap() {
            Json::Array(list) => list,
            single => vec![single],
        };
        let words = events.iter().zip(&request.ids).map(|(event, id)| {
            let refused = event.get("data").is_some_and(|data| data.get("refuse").is_some());
            (*id, if refused { "refused" } else { "accepted" })
        });
        verdicts_with(&words.collect::<Vec<_>>())
    });
    let accepted = desk.settled.iter().filter(|(_, verdict)| *verdict == Final::Accepted).count();
    let mut letters: Vec<u64> = desk.disk.now.dead.keys().map(|(_, sequence)| sequence.0).collect();
    letters.sort_unstable();
    assert_eq!((accepted, letters.as_slice()), (54, &[8, 9, 21, 34, 42, 60][..]));
    let told: Vec<u64> = desk
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::DeadLetter { sequence, .. } => Some(sequence.0),
            _ => None,
        })
        .collect();
    assert!(letters.iter().all(|letter| told.contains(letter)), "each with a word: {told:?}");
}

// 9. Green icon while orders are unsent: the badge counts unacknowledged rows, nothing else.

#[test]
fn the_badge_counts_unacknowledged_rows_whatever_the_link_says() {
    let mut links = Vec::new();
    for reply in [
        foreign(200, "<html>"),
        foreign(404, ""),
        Reply::NoAnswer,
        city(401, ""),
        city(500, ""),
        told(429, "1"),
        city(409, ""),
    ] {
        let mut desk = Desk::open();
        desk.emit_all([pay("o-1", 5), pay("o-2", 5), pay("o-3", 5)]);
        for _ in 0..4 {
            let unacknowledged = |desk: &Desk| {
                let statuses = desk.disk.now.marks.values().flat_map(|marks| marks.status.iter());
                statuses.filter(|byte| Status::of(**byte) == Status::Owed).count() as u64
            };
            assert_eq!((desk.snapshot().counter.owed, unacknowledged(&desk)), (3, 3));
            links.push(desk.snapshot().link);
            if let Some(request) = desk.take_request() {
                desk.reply(&request, reply.clone());
            } else {
                desk.advance(desk.wait_ms());
            }
        }
        // One is acknowledged, and one alone goes from the badge.
        let mut left = 3;
        drain(&mut desk, |request| {
            left -= request.ids.len() as u64;
            verdicts(&request.ids, "accepted")
        });
        assert_eq!((left, desk.snapshot().counter.owed), (0, 0));
        // With nothing owed the badge is empty, also when the link goes down now.
        desk.reload();
        assert_eq!((desk.snapshot().counter.owed, desk.snapshot().link), (0, Link::Unknown));
    }
    for link in [Link::Unknown, Link::Up, Link::Down, Link::Captive, Link::Misconfigured] {
        assert!(links.contains(&link), "{link:?} was never seen");
    }
}

/// A dead letter is not acknowledged either: it has a count of its own and never leaves both.
#[test]
fn what_waits_for_a_person_is_in_the_badge_as_well() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    desk.emit_all([note("o-1")]);
    drain(&mut desk, |request| verdicts(&request.ids, "refused"));
    let snapshot = desk.snapshot();
    assert_eq!((snapshot.counter.owed, snapshot.counter.dead), (1, 1));
    assert_eq!((snapshot.link, snapshot.why), (Link::Up, WhyNotSending::NeedsAttention));
}

// 10. Success tone before the server or the disk answered. Offline off by default. Stale data stopped every verifier.

fn bare() -> (Engine, Now) {
    let identity = Identity { device: Device::parse("till-1").unwrap(), incarnation: "life".into() };
    (Engine::new(identity, 1), Now { mono_ms: 1_000, wall: UnixMillis(1_790_000_000_000) })
}

fn outputs(engine: &mut Engine, now: Now) -> Vec<Output> {
    core::iter::from_fn(|| engine.poll(now)).collect()
}

#[test]
fn no_receipt_comes_before_the_disk_has_answered() {
    let (mut engine, now) = bare();
    engine.handle(Input::Opened(Opened::default()), now);
    outputs(&mut engine, now);
    engine.emit(Ticket(1), &pay("o-1", 5), now, [7; 10]);
    let asked = outputs(&mut engine, now);
    let [Output::Apply { op, batch }] = asked.as_slice() else { panic!("{asked:?}") };
    // However long it takes, and whatever else happens.
    for input in [Input::Wake, Input::LeadGained, Input::Changed, Input::Flush, Input::Beat] {
        engine.handle(input, Now { mono_ms: 90_000, ..now });
        assert!(!outputs(&mut engine, now).iter().any(|own| matches!(own, Output::Emitted(..))));
    }
    let result = sim::disk::Disk::default().apply(batch);
    assert!(matches!(result, Ok(Done::Appended(..))));
    engine.handle(Input::Applied { op: *op, result }, now);
    let told = outputs(&mut engine, now);
    assert!(told.iter().any(|own| matches!(own, Output::Emitted(Ticket(1), Ok(_)))), "{told:?}");
}

#[test]
fn a_tap_works_without_ever_having_seen_the_city() {
    let mut desk = Desk::open();
    for n in 0..50 {
        desk.emit_all([pay(&format!("o-{n}"), 5)]);
        while let Some(request) = desk.take_request() {
            desk.reply(&request, Reply::NoAnswer);
        }
    }
    assert!(desk.emitted.iter().all(Result::is_ok));
    assert_eq!((desk.snapshot().counter.owed, desk.snapshot().link), (50, Link::Down));
    desk.reload();
    assert_eq!(desk.snapshot().counter.owed, 50);
}

/// What the city offered is trusted for an hour. A city that cannot be asked any more gets its events all the same.
#[test]
fn an_offer_that_grew_old_slows_sending_at_most_and_stops_nothing() {
    for reply in [city(404, ""), city(500, ""), city(200, "{}"), problem(400, "unreadable"), foreign(403, "")]
    {
        for known in [true, false] {
            let mut desk = Desk::open();
            if known {
                desk.offer(10);
                desk.advance(2 * 3_600_000);
            }
            desk.emit_all((0..6).map(|n| note(&format!("k-{n}"))));
            for _ in 0..60 {
                match desk.take_request() {
                    Some(request) if request.path == "/v1/edge" => desk.reply(&request, reply.clone()),
                    Some(request) => desk.reply(&request, verdicts(&request.ids, "accepted")),
                    None if desk.why() == WhyNotSending::NothingOwed => break,
                    None => desk.advance(desk.wait_ms()),
                }
            }
            assert_eq!(desk.snapshot().counter.owed, 0, "{reply:?}, offer known before: {known}");
        }
    }
}
