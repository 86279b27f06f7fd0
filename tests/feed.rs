//! The feed: each event of the city has its effect once, whatever is said twice, lost or asked too late.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::event::{EventId, UnixMillis};
use conch::limits::{FEED_FAILURES_BORNE, INBOX_KEEP_MS};
use conch::outbox::engine::{Hint, Input, Notice};
use conch::pace::{Link, Watched};
use conch::wire::classify::Reply;
use desk::{Desk, Sent, city, foreign, note, problem, told, verdicts, verdicts_in_window};

fn id(number: u8) -> EventId {
    EventId::mint(UnixMillis(1_790_000_000_000), [number; 10])
}

fn page(numbers: &[u8], cursor: &str) -> Reply {
    let events: Vec<String> = numbers
        .iter()
        .map(|number| {
            format!(r#"{{"id":"{}","causationid":"{}","type":"a.b.v1.said"}}"#, id(*number), id(99))
        })
        .collect();
    city(200, &format!(r#"{{"events":[{}],"cursor":"{cursor}"}}"#, events.join(",")))
}

/// The next question for the feed, waiting for its time.
fn question(desk: &mut Desk) -> Sent {
    for _ in 0..10 {
        if let Some(request) = desk.take_request() {
            assert!(request.path.starts_with("/v1/feed?"), "{}", request.path);
            return request;
        }
        desk.advance(desk.next_wake_ms());
    }
    panic!("the feed is not asked for")
}

fn heard(desk: &Desk) -> Vec<EventId> {
    let heard = desk.notices.iter();
    heard.filter_map(|one| if let Notice::Heard(event) = one { Some(event.id) } else { None }).collect()
}

fn times(desk: &Desk, number: u8) -> Option<&str> {
    desk.record(&format!("heard-{}", id(number)))
}

#[test]
fn the_feed_goes_on_from_its_cursor_also_after_a_reload() {
    let mut desk = Desk::listening();
    let first = question(&mut desk);
    assert_eq!(first.path, "/v1/feed?wait=0");
    desk.reply(&first, page(&[1, 2], "c1.2"));
    assert_eq!(heard(&desk), [id(1), id(2)]);
    assert_eq!(desk.snapshot().link, Link::Up, "an answer of the feed proves the link");
    desk.reload();
    desk.listen();
    assert_eq!(question(&mut desk).path, "/v1/feed?after=c1.2&wait=0");
}

/// A long poll at the beginning would leave a page without a word about its link for as long as nothing happens.
#[test]
fn whether_the_city_is_there_is_asked_without_a_wait() {
    let mut desk = Desk::listening();
    for (waits, reply) in [
        ("0", page(&[], "c1.0")),
        ("25", page(&[], "c1.0")),
        ("25", Reply::NoAnswer),
        ("0", Reply::NoAnswer),
        ("0", page(&[], "c1.0")),
        ("25", page(&[], "c1.0")),
    ] {
        let request = question(&mut desk);
        assert!(request.path.ends_with(&format!("wait={waits}")), "{}", request.path);
        let link = if reply == Reply::NoAnswer { Link::Down } else { Link::Up };
        desk.reply(&request, reply);
        assert_eq!(desk.snapshot().link, link);
    }
}

#[test]
fn an_event_said_twice_has_its_effect_once() {
    let mut desk = Desk::listening();
    for (numbers, cursor) in [(&[1, 1, 2][..], "c1.2"), (&[2, 1, 3], "c1.3")] {
        let request = question(&mut desk);
        desk.reply(&request, page(numbers, cursor));
    }
    assert_eq!(heard(&desk), [id(1), id(2), id(3)]);
    for number in 1..=3 {
        assert_eq!(times(&desk, number), Some("1"));
    }
}

/// Cursor before apply would lose what was not applied.
#[test]
fn the_cursor_moves_only_with_the_effect() {
    let mut desk = Desk::listening();
    let request = question(&mut desk);
    desk.deaf = true;
    desk.reply(&request, page(&[1], "c1.1"));
    assert_eq!((heard(&desk).len(), times(&desk, 1)), (0, None));
    desk.deaf = false;
    let again = question(&mut desk);
    assert_eq!(again.path, "/v1/feed?wait=0");
    desk.reply(&again, page(&[1], "c1.1"));
    assert_eq!((heard(&desk), times(&desk, 1)), (vec![id(1)], Some("1")));
}

/// Whoever cannot reach the store lets go of the lock in the end: another context may reach it.
#[test]
fn a_leader_that_cannot_write_what_the_city_says_lets_another_try() {
    let mut desk = Desk::listening();
    desk.deaf = true;
    for tries in 1..=FEED_FAILURES_BORNE {
        let request = question(&mut desk);
        desk.reply(&request, page(&[1], "c1.1"));
        assert_eq!(desk.yielded, tries == FEED_FAILURES_BORNE);
    }
    desk.deaf = false;
    desk.input(Input::LeadGained);
    let again = question(&mut desk);
    desk.reply(&again, page(&[1], "c1.1"));
    assert_eq!((heard(&desk), times(&desk, 1)), (vec![id(1)], Some("1")));
}

#[test]
fn a_stale_leader_applies_nothing() {
    let mut desk = Desk::listening();
    let request = question(&mut desk);
    desk.lead_elsewhere();
    desk.reply(&request, page(&[1], "c1.1"));
    assert!(desk.yielded && heard(&desk).is_empty());
    assert_eq!(times(&desk, 1), None);
}

#[test]
fn only_a_leader_asks() {
    let mut desk = Desk::listening();
    let request = question(&mut desk);
    desk.input(Input::LeadLost);
    desk.reply(&request, page(&[1], "c1.1"));
    desk.advance(600_000);
    assert!(desk.take_request().is_none() && heard(&desk).is_empty());
    desk.input(Input::LeadGained);
    let request = question(&mut desk);
    desk.reply(&request, page(&[1], "c1.1"));
    assert_eq!(heard(&desk), [id(1)]);
}

#[test]
fn a_lost_cursor_is_told_and_starts_over() {
    let mut desk = Desk::listening();
    let request = question(&mut desk);
    desk.reply(&request, page(&[1], "c1.1"));
    let request = question(&mut desk);
    desk.reply(&request, problem(410, "cursor-gone"));
    assert!(desk.notices.contains(&Notice::Resync));
    let request = question(&mut desk);
    assert_eq!(request.path, "/v1/feed?wait=25");
    desk.reply(&request, page(&[1, 2], "c2.2"));
    assert_eq!((heard(&desk), times(&desk, 1)), (vec![id(1), id(2)], Some("1")));
}

#[test]
fn troubles_of_the_feed_hold_no_event_up() {
    let mut desk = Desk::listening();
    let mut waits = Vec::new();
    for reply in [Reply::Timeout, Reply::NoAnswer, city(500, ""), foreign(200, "<html>"), city(404, "")] {
        let request = question(&mut desk);
        let before = desk.now.mono_ms;
        desk.reply(&request, reply);
        desk.emit_all([note(&format!("k-{before}"))]);
        let sent = desk.sent();
        desk.reply(&sent, verdicts(&sent.ids, "accepted"));
        waits.push(desk.next_wake_ms());
    }
    assert!(waits.iter().all(|wait| (1_000..=61_000).contains(wait)), "{waits:?}");
    let request = question(&mut desk);
    desk.reply(&request, told(503, "90"));
    assert!((90_000..=91_000).contains(&desk.next_wake_ms()));
    desk.advance(desk.next_wake_ms());
    let request = question(&mut desk);
    desk.reply(&request, city(401, ""));
    assert!(question(&mut desk).fresh_credentials);
}

#[test]
fn a_city_that_answers_at_once_is_not_asked_without_pause_and_a_hidden_page_asks_seldom() {
    let mut desk = Desk::listening();
    let request = question(&mut desk);
    desk.reply(&request, page(&[], "c1.0"));
    assert_eq!(desk.next_wake_ms(), 1_000);
    desk.input(Input::Watched(Watched::Hidden));
    let request = question(&mut desk);
    desk.reply(&request, page(&[], "c1.0"));
    assert_eq!(desk.next_wake_ms(), 60_000);
}

/// A thousand devices that hear "online" at once do not ask at once, however often they hear it.
#[test]
fn after_an_outage_the_question_is_drawn_once_from_the_window() {
    let mut drawn = Vec::new();
    for seed in 0..40 {
        let mut desk = Desk::seeded(seed);
        desk.listen();
        let request = question(&mut desk);
        desk.emit_all([note("a")]);
        let sent = desk.sent();
        desk.reply(&sent, verdicts_in_window(&sent.ids, 100_000));
        desk.input(Input::Watched(Watched::Hidden));
        desk.reply(&request, Reply::NoAnswer);
        while desk.next_wake_ms() < 100_000 {
            let request = question(&mut desk);
            desk.reply(&request, Reply::NoAnswer);
        }
        desk.input(Input::LinkHint(Hint::Online));
        drawn.push(desk.next_wake_ms());
        desk.input(Input::LinkHint(Hint::Online));
        desk.input(Input::LinkHint(Hint::Online));
        assert_eq!(drawn.last(), Some(&desk.next_wake_ms()), "it is drawn once");
    }
    drawn.sort_unstable();
    assert!(drawn[0] < 20_000 && drawn[39] > 80_000 && drawn[39] <= 100_000, "{drawn:?}");
}

#[test]
fn what_was_written_without_anybody_hearing_of_it_is_told_once_with_its_next_saying() {
    let mut desk = Desk::listening();
    let first = question(&mut desk);
    desk.mute = true;
    desk.reply(&first, page(&[1, 1, 2], "c1.3"));
    assert_eq!(heard(&desk), [], "nobody knows whether it is on disk");
    desk.mute = false;
    let again = question(&mut desk);
    desk.reply(&again, page(&[1, 1, 2, 3], "c1.4"));
    assert_eq!(heard(&desk), [id(1), id(2), id(3)]);
    assert_eq!([1, 2, 3].map(|number| times(&desk, number)), [Some("1"); 3], "each has its effect once");
}

/// A phone whose battery was empty begins in 1970, sells, and is told the time: what the city says of those sales is no
/// older for it, also when it is said again.
#[test]
fn what_answers_an_event_of_a_clock_that_was_never_set_has_its_effect_once() {
    an_answer_said_again_has_its_effect_once(UnixMillis(60_000));
}

/// The same for a clock that somebody set to the wrong year, and for a refund that comes a season late.
#[test]
fn what_answers_an_event_older_than_answers_are_kept_has_its_effect_once() {
    for age_ms in [INBOX_KEEP_MS - 1, INBOX_KEEP_MS, INBOX_KEEP_MS + 1, 5 * INBOX_KEEP_MS] {
        an_answer_said_again_has_its_effect_once(UnixMillis(id(1).time().unwrap().0 - age_ms));
    }
}

fn an_answer_said_again_has_its_effect_once(minted: UnixMillis) {
    let mut desk = Desk::listening();
    let cause = EventId::mint(minted, [7; 10]);
    let said = |cursor: &str| {
        let event = format!(r#"{{"id":"{}","causationid":"{cause}","type":"a.b.v1.said"}}"#, id(1));
        city(200, &format!(r#"{{"events":[{event}],"cursor":"{cursor}"}}"#))
    };
    for cursor in ["c1.1", "c1.2", "c1.3"] {
        let request = question(&mut desk);
        desk.reply(&request, said(cursor));
    }
    assert_eq!(heard(&desk), [id(1)]);
    assert_eq!(times(&desk, 1), Some("1"));
}
