//! What other offline queues promise in their tests, or broke in the field, asked of this one in our own words. A module
//! a project. `docs/peers.md` lists every such behaviour; those that another suite holds already are not repeated here.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::outbox::engine::{Final, Hint, Input, Notice, WhyNotSending};
use conch::wire::classify::Reply;
use desk::{Bank, Desk, Sent, city, come_back, drain, foreign, note, pay, problem, told, verdicts};

/// Requests that are under way now.
fn under_way(desk: &mut Desk) -> Vec<Sent> {
    std::iter::from_fn(|| desk.take_request()).collect()
}

/// The next request, waiting for its time.
fn next(desk: &mut Desk) -> Sent {
    for _ in 0..20 {
        if let Some(request) = desk.take_request() {
            return request;
        }
        desk.advance(desk.wait_ms());
    }
    panic!("nothing is sent: {:?}", desk.why());
}

fn letters(desk: &Desk) -> usize {
    desk.notices.iter().filter(|notice| matches!(notice, Notice::DeadLetter { .. })).count()
}

mod firestore {
    use super::*;
    use conch::limits::{LEADER_SILENT_HIDDEN_MS, LEADER_SILENT_MS};
    use conch::pace::Watched;

    #[test]
    fn the_next_leader_sends_what_is_open_and_nothing_that_was_settled() {
        let mut first = Desk::open();
        first.offer(1);
        first.emit_all([pay("o-1", 5), pay("o-2", 6)]);
        let one = first.sent();
        first.reply(&one, verdicts(&one.ids, "accepted"));
        let two = first.sent();

        let mut second = first.beside();
        second.input(Input::LeadGained);
        let again = second.sent();
        assert_eq!((&again.ids, &again.body), (&two.ids, &two.body));
        second.reply(&again, verdicts(&again.ids, "duplicate"));
        assert_eq!((second.take_request(), second.why()), (None, WhyNotSending::NothingOwed));
        assert_eq!(second.settled, [(two.ids[0], Final::Duplicate)]);
    }

    #[test]
    fn a_verdict_that_could_not_be_written_is_asked_for_again_after_a_restart() {
        for (word, owed, dead) in [("accepted", 0, 0), ("refused", 0, 1)] {
            let mut desk = Desk::open();
            desk.emit_all([pay("o-1", 5)]);
            let request = desk.sent();
            desk.full = true;
            desk.reply(&request, verdicts(&request.ids, word));
            let counter = desk.snapshot().counter;
            assert_eq!(
                (counter.owed, counter.dead, desk.settled.len(), letters(&desk)),
                (1, 0, 0, 0),
                "{word}"
            );
            desk.full = false;
            desk.reload();
            let again = next(&mut desk);
            assert_eq!((&again.ids, &again.body), (&request.ids, &request.body));
            desk.reply(&again, verdicts(&again.ids, word));
            let counter = desk.snapshot().counter;
            assert_eq!((counter.owed, counter.dead), (owed, dead), "{word}");
        }
    }

    /// Neither stored nor sent is one thing only when it is told: the till can still say no.
    #[test]
    fn what_found_no_room_is_never_sent_and_told_at_once() {
        let mut desk = Desk::open();
        desk.room = 0;
        desk.emit_all([pay("o-1", 5)]);
        assert!(desk.emitted[0].is_err());
        assert_eq!((desk.take_request(), desk.snapshot().counter.owed), (None, 0));
        desk.reload();
        assert_eq!(desk.take_request(), None);
        desk.room = usize::MAX;
        desk.emit_all([pay("o-1", 5)]);
        assert!(
            desk.emitted[1].as_ref().is_ok_and(|receipt| !receipt.replayed),
            "the first one left nothing"
        );
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        assert_eq!(desk.settled.len(), 1);
    }

    /// Timers of a page in the background come late, its own and the leader's.
    #[test]
    fn a_page_in_the_background_waits_longer_before_it_takes_over() {
        for (watched, patience) in
            [(Watched::Visible, LEADER_SILENT_MS), (Watched::Hidden, LEADER_SILENT_HIDDEN_MS)]
        {
            let mut desk = Desk::open();
            desk.input(Input::LeadLost);
            desk.input(Input::Watched(watched));
            desk.emit_all([note("a")]);
            desk.advance(patience - 1);
            assert_eq!(desk.steals, 0, "{watched:?}");
            desk.advance(1);
            assert_eq!(desk.steals, 1, "{watched:?}");
        }
    }
}

mod segment {
    use super::*;
    use conch::limits::BATCH_EVENTS_MAX;

    /// How an event stands after one answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Stands {
        Settled,
        Dead,
        Held,
        Told,
        Owed,
    }

    fn stands(mut desk: Desk, reply: &Reply) -> Stands {
        desk.emit_all([note("a")]);
        let request = desk.sent();
        desk.reply(&request, reply.clone());
        let counter = desk.snapshot().counter;
        let stands = match (counter.owed, counter.dead, desk.why()) {
            (0, 0, _) => Stands::Settled,
            (0, 1, _) => Stands::Dead,
            (1, 0, WhyNotSending::Held) => Stands::Held,
            (1, 0, WhyNotSending::WaitingTold) => Stands::Told,
            (1, 0, _) => Stands::Owed,
            other => panic!("{reply:?}: {other:?}"),
        };
        if counter.owed > 0 {
            let again = next(&mut desk);
            assert!(again.path == "/v1/edge" || again.ids == request.ids, "{reply:?}");
        }
        stands
    }

    #[test]
    fn every_status_of_a_plain_server_has_one_end() {
        for status in 100..600 {
            for body in ["", "{}", "<html>"] {
                for wait in [None, Some("30")] {
                    let plain = foreign(status, body);
                    let reply = wait.map_or(plain.clone(), |seconds| come_back(plain, seconds));
                    let expected = match (status, body, wait) {
                        (200..=299, "<html>", _) => Stands::Owed,
                        (200..=299, ..) => Stands::Settled,
                        (400 | 422, "{}", _) => Stands::Dead,
                        (401, ..) => Stands::Held,
                        (429 | 503, _, Some(_)) => Stands::Told,
                        _ => Stands::Owed,
                    };
                    assert_eq!(stands(Desk::single(), &reply), expected, "{status} {body:?} {wait:?}");
                }
            }
        }
    }

    #[test]
    fn every_status_of_a_city_has_one_end() {
        for status in 100..600 {
            for problematic in [false, true] {
                for wait in [None, Some("30")] {
                    let plain = if problematic { problem(status, "no") } else { city(status, "{}") };
                    let reply = wait.map_or(plain.clone(), |seconds| come_back(plain, seconds));
                    let expected = match (status, problematic, wait) {
                        (401 | 403, ..) => Stands::Held,
                        (400 | 413 | 415 | 422, true, _) => Stands::Dead,
                        (409, ..) | (429 | 503, _, Some(_)) => Stands::Told,
                        _ => Stands::Owed,
                    };
                    assert_eq!(stands(Desk::open(), &reply), expected, "{status} {problematic} {wait:?}");
                }
            }
        }
    }

    /// A city that is busy all evening costs an event nothing of what it may fail by other causes.
    #[test]
    fn waits_that_were_told_use_up_no_patience() {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        for round in 0..60 {
            let request = next(&mut desk);
            desk.reply(&request, told(if round % 2 == 0 { 429 } else { 503 }, "5"));
            assert!((5_000..=6_000).contains(&desk.wait_ms()), "{}", desk.wait_ms());
            let request = next(&mut desk);
            desk.reply(&request, Reply::NoAnswer);
            assert!(desk.wait_ms() <= 1_000, "the ladder begins at its foot: {}", desk.wait_ms());
        }
        assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (1, 0));
    }

    #[test]
    fn asking_to_send_while_it_sends_sends_nothing_twice() {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        let request = desk.sent();
        for input in [
            Input::Flush,
            Input::Flush,
            Input::Wake,
            Input::LinkHint(Hint::Online),
            Input::LinkHint(Hint::Person),
            Input::Changed,
            Input::Beat,
        ] {
            desk.input(input.clone());
            assert_eq!(desk.take_request(), None, "{input:?}");
        }
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::NothingOwed));
    }

    #[test]
    fn an_offer_beyond_reason_is_cut_to_our_own_limits() {
        for (offered, most) in [(0, 1), (1, 1), (7, 7), (1_000_000, BATCH_EVENTS_MAX)] {
            let mut desk = Desk::open();
            desk.offer(offered);
            desk.emit_all((0..300).map(|n| note(&format!("k-{n}"))));
            assert_eq!(desk.sent().ids.len(), most, "{offered}");
        }
    }
}

mod localstorage_retry {
    use super::*;

    #[test]
    fn the_work_of_a_page_that_died_is_taken_over_queued_and_under_way() {
        let mut owner = Desk::open();
        owner.offer(1);
        owner.emit_all([note("a"), note("b"), note("c")]);
        let begun = owner.sent();
        let mut heir = owner.beside();
        heir.input(Input::LeadGained);
        let mut seen = Vec::new();
        drain(&mut heir, |request| {
            seen.extend(request.ids.iter().copied());
            verdicts(&request.ids, "accepted")
        });
        let kept: Vec<_> = owner.emitted.iter().map(|own| own.as_ref().unwrap().kept.id).collect();
        assert_eq!((seen, begun.ids[0]), (kept.clone(), kept[0]), "each once, and under its own id");
        assert_eq!(heir.snapshot().counter.owed, 0);
    }

    /// A slow processor made a page miss its heartbeats, and the others copied its whole queue again and again.
    #[test]
    fn an_owner_that_is_merely_slow_keeps_its_work() {
        let mut owner = Desk::open();
        owner.emit_all((0..20).map(|n| note(&format!("k-{n}"))));
        let mut other = owner.beside();
        for _ in 0..500 {
            other.advance(29_000);
            other.input(Input::Beat);
        }
        assert_eq!((other.steals, other.take_request()), (0, None));
        assert_eq!(other.disk.now, owner.disk.now, "nothing was copied");
    }

    #[test]
    fn an_owner_that_wakes_after_it_was_given_up_doubles_nothing() {
        let (mut owner, mut bank) = (Desk::open(), Bank::default());
        owner.emit_all([pay("o-1", 5)]);
        let begun = owner.sent();
        bank.take(&begun);
        let mut other = owner.beside();
        other.advance(30_000);
        assert_eq!(other.steals, 1);
        other.input(Input::LeadGained);
        drain(&mut other, |request| bank.take(request));

        owner.disk = other.disk.clone();
        owner.advance(60_000);
        owner.reply(&begun, verdicts(&begun.ids, "accepted"));
        owner.input(Input::LeadLost);
        owner.advance(600_000);
        assert_eq!((owner.take_request(), owner.settled.len()), (None, 0));
        assert_eq!(owner.disk.now, other.disk.now);
        assert_eq!((bank.charged.len(), other.disk.now.intents.len()), (1, 1));
    }
}

mod workbox {
    use super::*;

    #[test]
    fn what_comes_while_the_queue_drains_goes_out_in_the_same_breath() {
        let mut desk = Desk::open();
        desk.offer(1);
        desk.emit_all([note("a")]);
        let began = desk.now;
        for n in 0..30 {
            let request = desk.sent();
            desk.emit_all([note(&format!("later-{n}"))]);
            desk.reply(&request, verdicts(&request.ids, "accepted"));
            assert!(desk.next_path().is_some(), "no new trigger is waited for");
        }
        assert_eq!(desk.now, began);
    }

    /// A push between taking the head and putting it back made the head the last one.
    #[test]
    fn what_comes_during_a_replay_that_fails_stays_behind_what_was_there() {
        let mut desk = Desk::open();
        desk.offer(1);
        desk.emit_all((0..3).map(|_| note("same")));
        for _ in 0..10 {
            let request = next(&mut desk);
            assert_eq!(request.sequences, [1]);
            desk.emit_all([note("same")]);
            desk.reply(&request, Reply::NoAnswer);
            desk.emit_all([note("same")]);
        }
        let mut order = Vec::new();
        drain(&mut desk, |request| {
            order.extend(request.sequences.iter().copied());
            verdicts(&request.ids, "accepted")
        });
        assert_eq!(order, (1..=23).collect::<Vec<_>>());
    }
}

mod amplify {
    use super::*;

    /// Online, offline, saved, online: whatever falls between which.
    #[test]
    fn what_is_saved_around_an_outage_arrives_once_whenever_it_was_saved() {
        for saved_at in 0..5 {
            for hinted in [false, true] {
                let (mut desk, mut bank) = (Desk::open(), Bank::default());
                let save = |desk: &mut Desk, step| {
                    if step == saved_at {
                        desk.emit_all([pay("saved", 7)]);
                    }
                };
                save(&mut desk, 0);
                desk.emit_all([pay("before", 5)]);
                drain(&mut desk, |request| bank.take(request));
                save(&mut desk, 1);
                desk.emit_all([pay("offline", 6)]);
                // The link dies with the request under way, which the city may or may not have taken.
                let request = next(&mut desk);
                save(&mut desk, 2);
                if !request.ids.is_empty() && saved_at % 2 == 0 {
                    bank.take(&request);
                }
                desk.reply(&request, Reply::NoAnswer);
                save(&mut desk, 3);
                if hinted {
                    desk.input(Input::LinkHint(Hint::Online));
                }
                save(&mut desk, 4);
                drain(&mut desk, |request| bank.take(request));
                assert_eq!((bank.charged.len(), desk.snapshot().counter.owed), (3, 0), "{saved_at}");
            }
        }
    }

    #[test]
    fn a_second_answer_to_one_request_does_nothing() {
        let mut desk = Desk::open();
        desk.emit_all([note("a")]);
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        let disk = desk.disk.now.clone();
        for reply in [verdicts(&request.ids, "refused"), told(503, "600"), city(401, ""), Reply::NoAnswer] {
            desk.reply(&request, reply);
        }
        assert!(desk.disk.now == disk);
        assert_eq!((desk.settled.len(), desk.why()), (1, WhyNotSending::NothingOwed));
        desk.emit_all([note("b")]);
        desk.sent();
    }

    #[test]
    fn a_link_that_is_away_for_weeks_kills_nothing() {
        const DAY_MS: u64 = 24 * 3_600_000;
        let mut desk = Desk::open();
        desk.emit_all([pay("o-1", 5)]);
        let first = desk.sent();
        desk.reply(&first, Reply::NoAnswer);
        for day in 0..60 {
            desk.advance(DAY_MS);
            let request = desk.sent();
            assert_eq!((&request.ids, &request.body), (&first.ids, &first.body), "day {day}");
            desk.reply(&request, if day % 2 == 0 { Reply::NoAnswer } else { Reply::Timeout });
            assert!(desk.wait_ms() <= 60_000);
        }
        assert_eq!((desk.snapshot().counter.owed, desk.snapshot().counter.dead), (1, 0));
    }
}

mod tanstack {
    use super::*;

    /// Every reload doubled what was paused.
    #[test]
    fn reloads_multiply_nothing_and_begin_nothing_that_was_settled_again() {
        let mut desk = Desk::open();
        desk.emit_all([pay("o-1", 5)]);
        for _ in 0..10 {
            desk.reload();
            assert_eq!(under_way(&mut desk).len(), 1);
            let mut other = desk.beside();
            other.advance(10_000);
            assert_eq!(other.take_request(), None, "another tab resumes nothing");
        }
        assert_eq!((desk.snapshot().counter.owed, desk.disk.now.intents.len()), (1, 1));
        desk.reload();
        let request = desk.sent();
        desk.reply(&request, verdicts(&request.ids, "accepted"));
        for _ in 0..3 {
            desk.reload();
            desk.advance(3_600_000);
            assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::NothingOwed));
        }
    }
}

mod powersync {
    use super::*;

    /// An upload that never completes was begun again without pause.
    #[test]
    fn answers_that_settle_nothing_are_paced_and_named() {
        for body in ["", "{}", r#"{"verdicts":[]}"#] {
            let mut desk = Desk::open();
            desk.emit_all([pay("o-1", 5)]);
            let (began, mut requests) = (desk.now.mono_ms, 0);
            while desk.now.mono_ms - began < 3_600_000 {
                let request = next(&mut desk);
                requests += 1;
                desk.reply(&request, city(200, body));
                assert_eq!((desk.snapshot().unknown, desk.settled.len()), (1, 0));
                assert_eq!(desk.why(), WhyNotSending::WaitingBackoff);
            }
            // Full jitter under a minute: about 120 an hour, and a dozen on the way up.
            assert!((60..=200).contains(&requests), "{requests}");
        }
    }

    #[test]
    fn a_backlog_goes_out_without_a_pause_between_requests() {
        let mut desk = Desk::open();
        desk.emit_all((0..500).map(|n| note(&format!("k-{n}"))));
        let began = desk.now;
        drain(&mut desk, |request| verdicts(&request.ids, "accepted"));
        assert_eq!((desk.settled.len(), desk.now), (500, began));
    }
}

mod rxdb {
    use super::*;

    /// Paused while a push was being retried, it counted as pushed.
    #[test]
    fn what_is_paused_while_it_is_retried_is_sent_after_the_pause() {
        let mut desk = Desk::open();
        desk.emit_all([pay("o-1", 5)]);
        let first = desk.sent();
        desk.reply(&first, Reply::NoAnswer);
        desk.pause(true);
        desk.advance(3_600_000);
        assert_eq!((desk.take_request(), desk.snapshot().counter.owed), (None, 1));
        desk.pause(false);
        let again = next(&mut desk);
        assert_eq!((&again.ids, &again.body), (&first.ids, &first.body));
        // A verdict that comes into a pause counts all the same.
        desk.pause(true);
        desk.reply(&again, verdicts(&again.ids, "accepted"));
        assert_eq!((desk.settled.len(), desk.snapshot().counter.owed), (1, 0));
    }

    fn requests_in_an_hour(desk: &mut Desk) -> usize {
        let (until, mut requests) = (desk.now.mono_ms + 3_600_000, 0);
        while desk.now.mono_ms < until {
            let request = next(desk);
            assert_eq!(desk.take_request(), None, "one at a time");
            requests += 1;
            desk.reply(&request, Reply::NoAnswer);
        }
        requests
    }

    /// Each pause, hint or new start began another chain of retries beside the old one.
    #[test]
    fn nothing_that_happens_makes_a_second_chain_of_retries() {
        let mut desk = Desk::open();
        desk.emit_all((0..5).map(|n| note(&format!("k-{n}"))));
        let calm = requests_in_an_hour(&mut desk);
        for _ in 0..200 {
            desk.pause(true);
            desk.pause(false);
            desk.input(Input::LinkHint(Hint::Online));
            desk.input(Input::Changed);
            desk.input(Input::LeadLost);
            desk.input(Input::LeadGained);
            desk.emit_all([note("k-0")]);
            for request in under_way(&mut desk) {
                desk.reply(&request, Reply::NoAnswer);
            }
        }
        let after = requests_in_an_hour(&mut desk);
        assert!(after <= calm * 3 / 2, "{after} in an hour, {calm} before");
    }
}

mod replicache {
    use super::*;

    #[test]
    fn a_verdict_belongs_to_its_id_and_not_to_its_place() {
        let mut desk = Desk::open();
        desk.offer(10);
        desk.emit_all([pay("o-1", 5), note("b"), note("c")]);
        let request = desk.sent();
        let [pay, first, second] = request.ids[..] else { panic!("{:?}", request.ids) };
        let words = [(second, "accepted"), (pay, "refused"), (first, "duplicate")];
        desk.reply(&request, desk::verdicts_with(&words));
        let mut settled = desk.settled.clone();
        settled.sort_by_key(|(id, _)| request.ids.iter().position(|own| own == id));
        assert!(settled.contains(&(first, Final::Duplicate)) && settled.contains(&(second, Final::Accepted)));
        assert!(desk.is_dead(1), "and the refused one is the payment");
    }

    #[test]
    fn the_word_that_it_was_there_before_lets_the_key_go_on() {
        let mut desk = Desk::open();
        desk.offer(1);
        desk.emit_all([note("same"), note("same")]);
        let first = next(&mut desk);
        desk.reply(&first, verdicts(&first.ids, "duplicate"));
        assert_eq!(desk.settled, [(first.ids[0], Final::Duplicate)]);
        assert_eq!(next(&mut desk).sequences, [2]);
    }
}

mod sentry {
    use super::*;

    /// A fresh send went out at once and overtook what was queued.
    #[test]
    fn what_failed_stays_the_first_and_a_fresh_one_of_its_key_never_overtakes_it() {
        let mut desk = Desk::open();
        desk.offer(1);
        desk.emit_all([note("a"), note("b")]);
        let mut order = Vec::new();
        for _ in 0..8 {
            let request = next(&mut desk);
            order.push(request.sequences[0]);
            desk.reply(&request, Reply::NoAnswer);
            desk.emit_all([note("a")]);
            assert_eq!(desk.take_request(), None, "a fresh one does not break the wait");
        }
        assert_eq!(order, [1; 8]);
    }

    /// Whole seconds or a date, and nothing that merely looks like one.
    #[test]
    fn a_told_time_is_read_strictly() {
        use conch::event::UnixMillis;
        use conch::wire::retry_after::wait_ms;
        const HOUR: u64 = 3_600_000;
        // Sun, 06 Nov 1994 08:49:37 GMT
        const NOW: UnixMillis = UnixMillis(784_111_777_000);
        for (value, wait) in [
            ("1", Some(1_000)),
            ("007", Some(7_000)),
            ("\t3600\t", Some(HOUR)),
            ("3601", Some(HOUR)),
            ("-5", None),
            ("+5", None),
            ("5s", None),
            ("5, 10", None),
            ("1e3", None),
            ("0x10", None),
            ("NaN", None),
            ("Infinity", None),
            ("５", None),
            ("Sun, 06 Nov 1994 08:49:38 GMT", Some(1_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 31 Dec 9999 23:59:59 GMT", Some(HOUR)),
            ("Sun, 06 Nov 10000 08:49:37 GMT", None),
            ("Sun, 06 Nov 18446744073709551615 08:49:37 GMT", None),
            ("Wed, 30 Feb 1994 08:49:37 GMT", None),
            ("Sun, 06 nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 gmt", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("Sün, 06 Nov 1994 08:49:37GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("1994-11-06T08:49:37Z", None),
        ] {
            assert_eq!(wait_ms(value, NOW), wait, "{value:?}");
        }
    }
}

mod browser_sdk {
    use super::*;

    #[test]
    fn while_the_link_is_down_one_request_alone_asks_whether_it_is_back() {
        let mut desk = Desk::open();
        desk.offer(10);
        desk.emit_all((0..50).map(|n| note(&format!("k-{n}"))));
        for _ in 0..10 {
            let request = next(&mut desk);
            assert_eq!(desk.take_request(), None);
            desk.reply(&request, Reply::NoAnswer);
        }
        let mut order = Vec::new();
        drain(&mut desk, |request| {
            order.extend(request.sequences.iter().copied());
            verdicts(&request.ids, "accepted")
        });
        assert_eq!(order, (1..=50).collect::<Vec<_>>(), "and then all in their order");
    }
}

mod pouchdb {
    use super::*;

    #[test]
    fn a_thousand_failures_leave_nothing_behind_in_memory() {
        let mut desk = Desk::open();
        desk.emit_all((0..20).map(|n| note(&format!("k-{n}"))));
        let mut fail = |times| {
            for _ in 0..times {
                let request = next(&mut desk);
                desk.reply(&request, Reply::NoAnswer);
            }
            desk.memory()
        };
        let (early, late) = (fail(20), fail(2_000));
        assert!(
            late <= early + early / 10,
            "{early} characters of state after 20 failures, {late} after 2,020"
        );
    }

    /// A place to go on from that lies behind what was never delivered.
    #[test]
    fn no_restart_passes_over_what_was_not_judged_or_repeats_what_was() {
        let mut desk = Desk::open();
        desk.offer(10);
        desk.emit_all((0..40).map(|n| note(&format!("k-{n}"))));
        let (mut judged, mut sent) = (Vec::new(), 0);
        for round in 0_usize.. {
            if desk.snapshot().counter.owed == 0 {
                break;
            }
            let request = next(&mut desk);
            if request.ids.is_empty() {
                desk.offer_to(&request, 10);
                continue;
            }
            assert!(request.ids.iter().all(|id| !judged.contains(id)), "a verdict is final");
            sent += request.ids.len();
            let some: Vec<_> = request.ids.iter().copied().skip(round % 3).step_by(3).collect();
            desk.reply(&request, verdicts(&some, "accepted"));
            judged.extend(some);
            desk.reload();
        }
        judged.sort_unstable();
        judged.dedup();
        assert_eq!(judged.len(), 40);
        assert!(sent > 40, "some went more than once");
    }
}

mod redux_offline {
    use super::*;

    #[test]
    fn nothing_is_sent_while_there_is_nothing_it_is_busy_paused_or_it_waits() {
        let mut desk = Desk::open();
        desk.advance(3_600_000);
        assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::NothingOwed));
        desk.emit_all([note("a")]);
        let request = desk.sent();
        desk.emit_all([note("b")]);
        assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::Sending));
        desk.reply(&request, told(503, "30"));
        desk.emit_all([note("c")]);
        desk.advance(29_999);
        assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::WaitingTold));
        desk.pause(true);
        desk.advance(60_000);
        assert_eq!((desk.take_request(), desk.why()), (None, WhyNotSending::Paused));
        desk.pause(false);
        drain(&mut desk, |request| verdicts(&request.ids, "accepted"));
        assert_eq!(desk.settled.len(), 3);
    }
}

mod the_page {
    use std::path::Path;

    /// The parts of a row that stand in backticks.
    fn quoted(cell: &str) -> Vec<&str> {
        cell.split('`').skip(1).step_by(2).collect()
    }

    fn read(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Pairs of a test and the file it stands in.
    fn tests(cell: &str) -> Vec<(&str, &str)> {
        let named = cell.split("` in `").count() - 1;
        let quoted = quoted(cell);
        let pairs: Vec<_> = quoted
            .windows(2)
            .filter(|pair| cell.contains(&format!("`{}` in `{}`", pair[0], pair[1])))
            .map(|pair| (pair[0], pair[1]))
            .collect();
        assert_eq!(pairs.len(), named, "{cell}");
        pairs
    }

    #[test]
    fn every_row_says_which_test_holds_it_or_why_it_does_not_apply() {
        let page = read("docs/peers.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .filter(|row: &Vec<&str>| row[0] != "behaviour")
            .collect();
        assert!(rows.len() > 80, "{}", rows.len());
        let mut named = Vec::new();
        for row in &rows {
            let [behaviour, here] = row[..] else { panic!("two cells a row: {row:?}") };
            assert!(behaviour.split_whitespace().count() >= 3, "{row:?}");
            let tests = tests(here);
            match here.strip_prefix("does not apply: ") {
                Some(why) => assert!(why.split_whitespace().count() >= 8, "{row:?}"),
                None => assert!(!tests.is_empty(), "{row:?}"),
            }
            for (test, file) in tests {
                let written =
                    if file.ends_with(".rs") { format!("fn {test}(") } else { format!("(\"{test}\"") };
                assert!(read(file).contains(&written), "{test} is not in {file}");
                named.push(test);
            }
        }
        let own = read("tests/peers.rs");
        let own: Vec<&str> = own
            .split("#[test]\n")
            .skip(1)
            .filter_map(|rest| rest.trim_start().strip_prefix("fn ")?.split('(').next())
            .filter(|name| *name != "every_row_says_which_test_holds_it_or_why_it_does_not_apply")
            .collect();
        assert!(own.len() > 25, "{own:?}");
        for test in own {
            assert!(named.contains(&test), "{test} has no row");
        }
    }
}
