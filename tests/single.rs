//! Transport `single`: a server that knows nothing of us gets one event a request, each with its idempotency key.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::limits::{RETRY_AFTER_JITTER_MS, SINGLE_REQUESTS_MAX};
use conch::outbox::engine::{Final, Input, WhyNotSending};
use conch::outbox::record::DeadReason;
use conch::wire::classify::Reply;
use desk::{Desk, Sent, come_back, foreign, note, pay};

fn told(status: u16, seconds: &str) -> Reply {
    come_back(foreign(status, ""), seconds)
}

/// What is under way now.
fn under_way(desk: &mut Desk) -> Vec<Sent> {
    std::iter::from_fn(|| desk.take_request()).collect()
}

/// Requests of the next moments, waiting for their time.
fn next(desk: &mut Desk) -> Vec<Sent> {
    for _ in 0..20 {
        let sent = under_way(desk);
        if !sent.is_empty() {
            return sent;
        }
        let wait = desk.wait_ms();
        desk.advance(wait);
    }
    panic!("nothing is sent: {:?}", desk.why())
}

#[test]
fn each_event_is_a_request_of_its_own_and_nothing_else_is_asked() {
    let mut desk = Desk::single();
    desk.emit_all([pay("order-1", 120), pay("order-2", 80)]);
    let sent = under_way(&mut desk);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.path.is_empty() && request.header("ce-id").is_some()));
    assert_eq!(sent[0].body, r#"{"amount":120,"currency":"TWD","method":"cash"}"#);
    assert!(sent.iter().all(|request| request.header("idempotency-key").is_some()));
    assert_ne!(sent[0].header("idempotency-key"), sent[1].header("idempotency-key"));
    assert!(sent.iter().all(|request| !request.headers.iter().any(|(name, _)| name.starts_with("conch-"))));
    for request in &sent {
        desk.reply(request, foreign(201, r#"{"order":"taken"}"#));
    }
    assert!(desk.settled.iter().all(|(_, verdict)| *verdict == Final::Accepted));
    assert_eq!((desk.settled.len(), desk.snapshot().counter.owed), (2, 0));
}

#[test]
fn lanes_go_in_parallel_up_to_a_limit_and_each_key_keeps_its_order() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("a"), note("b"), note("c"), note("d"), note("e"), note("f")]);
    let first = under_way(&mut desk);
    assert_eq!(first.len(), SINGLE_REQUESTS_MAX);
    let ids: Vec<_> = desk.emitted.iter().map(|own| own.clone().unwrap().kept.id).collect();
    assert_eq!(first.iter().map(|own| own.ids[0]).collect::<Vec<_>>(), [ids[0], ids[2], ids[3], ids[4]]);
    desk.reply(&first[2], foreign(200, "{}"));
    let second = under_way(&mut desk);
    assert_eq!(second.len(), 1, "an answer makes room for one more");
    assert_ne!(second[0].ids[0], ids[1], "lane-order: the first of its key is not settled");
    desk.reply(&first[0], foreign(204, ""));
    let third = under_way(&mut desk);
    assert_eq!(third[0].ids[0], ids[6], "chosen while the verdict for the key went to the disk");
    desk.reply(&third[0], foreign(204, ""));
    assert_eq!(under_way(&mut desk)[0].ids[0], ids[1], "now the second of its key");
}

#[test]
fn no_bystander_waits_for_a_key_the_server_fails_on() {
    let mut desk = Desk::single();
    desk.emit_all([note("bad"), note("bad")]);
    let mut told = 0;
    for round in 0..40 {
        desk.emit_all([note(&format!("good-{round}"))]);
        for request in next(&mut desk) {
            let bad = request.header("ce-subject") == Some("bad");
            told += usize::from(!bad);
            desk.reply(&request, if bad { foreign(500, "{}") } else { foreign(200, "{}") });
        }
    }
    assert!(told >= 35, "{told} of 40 others were delivered");
    assert_eq!(desk.snapshot().counter.dead, 0, "a server that fails kills nothing");
}

#[test]
fn a_refusal_is_a_dead_letter_in_the_servers_words_and_its_key_waits_for_a_person() {
    let mut desk = Desk::single();
    desk.emit_all([pay("order-1", 120)]);
    let request = desk.sent();
    desk.reply(&request, foreign(422, r#"{"error":"sold out"}"#));
    let letter = desk.disk.now.dead.values().next().unwrap().clone();
    assert_eq!(letter.reason, DeadReason::Refused);
    assert!(letter.problem.unwrap().contains("sold out"));
    desk.redrive(1, None);
    let again = desk.sent();
    assert_ne!(again.header("idempotency-key"), request.header("idempotency-key"), "a new attempt");
}

#[test]
fn no_answer_sends_the_same_bytes_under_the_same_key_also_after_a_reload() {
    let mut desk = Desk::single();
    desk.emit_all([pay("order-1", 120)]);
    let first = desk.sent();
    desk.reply(&first, Reply::NoAnswer);
    desk.reload();
    let again = next(&mut desk).remove(0);
    assert_eq!((&again.body, &again.headers), (&first.body, &first.headers));
}

#[test]
fn what_one_reply_was_told_holds_for_all_that_run_beside_it() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b"), note("c")]);
    let sent = under_way(&mut desk);
    desk.reply(&sent[0], told(429, "30"));
    desk.reply(&sent[1], foreign(200, "{}"));
    desk.reply(&sent[2], Reply::NoAnswer);
    assert_eq!(desk.why(), WhyNotSending::WaitingTold);
    assert!(desk.take_request().is_none());
    let wait = desk.wait_ms();
    assert!((30_000..=30_000 + RETRY_AFTER_JITTER_MS).contains(&wait), "{wait}");
}

#[test]
fn failures_beside_each_other_count_as_one() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b"), note("c"), note("d")]);
    for request in under_way(&mut desk) {
        desk.reply(&request, Reply::NoAnswer);
    }
    assert!(desk.wait_ms() <= 2_000, "the ladder's first step, not its fourth: {}", desk.wait_ms());
    assert_eq!(desk.why(), WhyNotSending::WaitingBackoff);
}

#[test]
fn a_portals_page_settles_nothing() {
    let mut desk = Desk::single();
    desk.emit_all([pay("order-1", 120)]);
    let request = desk.sent();
    desk.reply(&request, foreign(200, "<html>Sign in</html>"));
    assert_eq!((desk.settled.len(), desk.snapshot().counter.owed), (0, 1));
}

#[test]
fn refused_credentials_are_asked_for_anew_and_cost_no_try() {
    let mut desk = Desk::single();
    desk.emit_all([pay("order-1", 120)]);
    let request = desk.sent();
    desk.reply(&request, foreign(401, "{}"));
    assert_eq!(desk.why(), WhyNotSending::Held);
    let again = next(&mut desk).remove(0);
    assert!(again.fresh_credentials);
}

#[test]
fn a_lead_lost_with_requests_under_way_settles_nothing() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b")]);
    let sent = under_way(&mut desk);
    desk.input(Input::LeadLost);
    desk.reply(&sent[0], foreign(200, "{}"));
    assert_eq!((desk.settled.len(), desk.snapshot().counter.owed), (0, 2));
}

#[test]
fn a_shorter_word_does_not_shorten_a_longer_one() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b")]);
    let sent = under_way(&mut desk);
    desk.reply(&sent[0], told(503, "60"));
    desk.reply(&sent[1], told(429, "2"));
    assert!(desk.wait_ms() >= 60_000, "{}", desk.wait_ms());
}

/// A server that answers every good key with 200 and every bad one with 500, for so long. Gives when each good key was
/// delivered, by the time since its emit.
fn serve_for(desk: &mut Desk, ms: u64) -> Vec<(String, u64)> {
    let (mut told, mut spent) = (Vec::new(), 0);
    while spent <= ms {
        let sent = under_way(desk);
        for request in &sent {
            let key = request.header("ce-subject").unwrap().to_owned();
            if key.starts_with("bad") {
                desk.reply(request, foreign(500, "{}"));
            } else {
                told.push((key, spent));
                desk.reply(request, foreign(200, "{}"));
            }
        }
        if sent.is_empty() {
            if desk.snapshot().counter.owed == 0 {
                break;
            }
            let wait = desk.wait_ms().max(1);
            spent += wait;
            desk.advance(wait);
        }
    }
    told
}

/// no-bystander: keys the server keeps failing on took every place and let the common wait grow without end.
#[test]
fn a_hundred_keys_the_server_fails_on_do_not_starve_the_others() {
    let mut desk = Desk::single();
    desk.emit_all((0..100).map(|key| note(&format!("bad-{key}"))));
    let told = serve_for(&mut desk, 4 * 60 * 60 * 1_000);
    assert!(told.is_empty());
    let mut late = 0;
    for round in 0..50 {
        let key = format!("good-{round}");
        desk.emit_all([note(&key)]);
        let told = serve_for(&mut desk, 10_000);
        late += usize::from(told.is_empty());
    }
    assert!(late <= 6, "{late} of 50 others waited longer than ten seconds");
    serve_for(&mut desk, 120_000);
    assert_eq!(desk.settled.len(), 50);
    assert_eq!(desk.snapshot().counter.owed, 100, "and what fails is kept");
}

/// A server whose key 401s all by itself: it was asked without pause, and with it the page for credentials.
#[test]
fn a_success_beside_it_does_not_end_the_wait_for_credentials() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b")]);
    let sent = under_way(&mut desk);
    desk.reply(&sent[0], foreign(401, "{}"));
    desk.reply(&sent[1], foreign(200, "{}"));
    assert_eq!(desk.why(), WhyNotSending::Held);
    assert!(desk.take_request().is_none(), "credentials were refused a moment ago");
}

#[test]
fn a_key_with_refused_credentials_lets_the_others_go_first() {
    let mut desk = Desk::single();
    desk.emit_all([note("locked")]);
    let mut asked = 0;
    for round in 0..40 {
        desk.emit_all([note(&format!("good-{round}"))]);
        for request in next(&mut desk) {
            let locked = request.header("ce-subject") == Some("locked");
            asked += usize::from(locked);
            desk.reply(&request, if locked { foreign(401, "{}") } else { foreign(200, "{}") });
        }
        desk.advance(1_000);
    }
    assert!(desk.settled.len() >= 30, "{} of 40 others were delivered", desk.settled.len());
    assert!((2..=25).contains(&asked), "{asked}");
}

/// A full disk under a verdict was forgotten as soon as another reply came, and the same event posted without pause.
#[test]
fn a_success_beside_it_does_not_end_the_wait_for_the_disk() {
    let mut desk = Desk::single();
    desk.emit_all([note("a"), note("b")]);
    let sent = under_way(&mut desk);
    desk.full = true;
    desk.reply(&sent[0], foreign(200, "{}"));
    desk.full = false;
    desk.reply(&sent[1], foreign(200, "{}"));
    assert_eq!(desk.why(), WhyNotSending::StorageFault);
    assert!(desk.take_request().is_none());
    serve_for(&mut desk, 60_000);
    assert_eq!(desk.settled.len(), 2);
}

/// It said `waiting-lane` while it waited for credentials.
#[test]
fn what_waits_for_credentials_is_held_for_as_long_as_it_waits() {
    let mut desk = Desk::single();
    desk.emit_all([note("a")]);
    let request = desk.sent();
    desk.reply(&request, foreign(401, "{}"));
    while under_way(&mut desk).is_empty() {
        assert_eq!((desk.why(), desk.snapshot().held), (WhyNotSending::Held, 1));
        let wait = desk.wait_ms();
        desk.advance(wait.max(1));
    }
}
