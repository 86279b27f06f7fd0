//! Random histories of one outbox: whatever happened, what is owed has a wake-up, and the outbox can say why it waits.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::event::UnixMillis;
use conch::outbox::engine::{Hint, Input, WhyNotSending};
use conch::pace::Watched;
use conch::wire::classify::Reply;
use desk::{Desk, at, city, foreign, note, pay, problem, told, verdicts, verdicts_in_window};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Note(u8),
    Pay(u8),
    Answer(u8),
    Advance(u32),
    ClockJumps(i32),
    Online,
    Person,
    Hidden(bool),
    Flush,
    Pause(bool),
    Reload,
    LeadLost,
    LeadGained,
    Beat,
    Discard(u8),
    Redrive(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..8).prop_map(Step::Note),
        3 => (0u8..8).prop_map(Step::Pay),
        10 => (0u8..16).prop_map(Step::Answer),
        6 => (0u32..100_000).prop_map(Step::Advance),
        1 => (-100_000_000i32..100_000_000).prop_map(Step::ClockJumps),
        1 => Just(Step::Online),
        1 => Just(Step::Person),
        1 => any::<bool>().prop_map(Step::Hidden),
        1 => Just(Step::Flush),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => Just(Step::Reload),
        1 => Just(Step::LeadLost),
        2 => Just(Step::LeadGained),
        1 => Just(Step::Beat),
        1 => (1u8..20).prop_map(Step::Discard),
        1 => (1u8..20).prop_map(Step::Redrive),
    ]
}

fn answer(desk: &mut Desk, kind: u8) {
    let Some(request) = desk.take_request() else { return };
    if request.ids.is_empty() {
        return if kind.is_multiple_of(2) {
            desk.offer_to(&request, 5)
        } else {
            desk.reply(&request, Reply::Timeout)
        };
    }
    let ids = &request.ids;
    let reply = match kind {
        0 | 1 => verdicts(ids, "accepted"),
        2 => verdicts(ids, "duplicate"),
        3 => verdicts(ids, "retry"),
        4 => verdicts(ids, "hold"),
        5 => verdicts(ids, "refused"),
        6 => verdicts(&ids[..1], "accepted"),
        7 => verdicts_in_window(ids, 90_000),
        8 => at(verdicts(ids, "retry"), UnixMillis(desk.now.wall.0 + 8 * 24 * 3_600_000)),
        9 => told(429, "7"),
        10 => problem(400, "unreadable"),
        11 => city(500, ""),
        12 => city(401, ""),
        13 => foreign(200, "<html>"),
        14 => Reply::Timeout,
        _ => Reply::NoAnswer,
    };
    desk.reply(&request, reply);
}

fn take(desk: &mut Desk, step: Step) {
    match step {
        Step::Note(key) => desk.emit_all([note(&format!("k-{key}"))]),
        Step::Pay(key) => desk.emit_all([pay(&format!("o-{key}"), 5)]),
        Step::Answer(kind) => answer(desk, kind),
        Step::Advance(ms) => desk.advance(u64::from(ms)),
        Step::ClockJumps(ms) => desk.now.wall.0 = desk.now.wall.0.saturating_add_signed(i64::from(ms)),
        Step::Online => desk.input(Input::LinkHint(Hint::Online)),
        Step::Person => desk.input(Input::LinkHint(Hint::Person)),
        Step::Hidden(true) => desk.input(Input::Watched(Watched::Hidden)),
        Step::Hidden(false) => desk.input(Input::Watched(Watched::Visible)),
        Step::Flush => desk.input(Input::Flush),
        Step::Pause(paused) => desk.pause(paused),
        Step::Reload => desk.reload(),
        Step::LeadLost => desk.input(Input::LeadLost),
        Step::LeadGained => desk.input(Input::LeadGained),
        Step::Beat => desk.input(Input::Beat),
        Step::Discard(sequence) if desk.is_dead(u64::from(sequence)) => {
            desk.discard(u64::from(sequence), "the buyer left");
        }
        Step::Redrive(sequence) if desk.is_dead(u64::from(sequence)) => {
            desk.redrive(u64::from(sequence), None)
        }
        Step::Discard(_) | Step::Redrive(_) => {}
    }
}

/// Invariant always-a-wake at this moment.
fn has_a_wake(desk: &Desk) -> Result<(), TestCaseError> {
    let snapshot = desk.snapshot();
    if snapshot.counter.owed == 0 || snapshot.paused || desk.awaits_reply() {
        return Ok(());
    }
    prop_assert_ne!(snapshot.why, WhyNotSending::NothingOwed);
    // A lane that waits for a person has nothing to wake for.
    let excused = snapshot.why == WhyNotSending::NeedsAttention && snapshot.counter.dead > 0;
    prop_assert!(snapshot.next_wake.is_some() || excused, "{:?} without a wake-up", snapshot);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn always_a_wake(steps in prop::collection::vec(step(), 1..80), seed in any::<u64>()) {
        let mut desk = Desk::seeded(seed);
        for step in steps {
            take(&mut desk, step);
            has_a_wake(&desk)?;
        }
        // And the wake-ups lead somewhere: with a patient city everything is judged that no person must decide about.
        desk.pause(false);
        desk.input(Input::LeadGained);
        for _ in 0..2_000 {
            if let Some(request) = desk.take_request() {
                match request.ids.as_slice() {
                    [] => desk.offer_to(&request, 5),
                    ids => desk.reply(&request, verdicts(ids, "accepted")),
                }
            } else if desk.why() == WhyNotSending::NothingOwed || desk.why() == WhyNotSending::NeedsAttention {
                break;
            } else {
                desk.advance(desk.wait_ms());
            }
        }
        let snapshot = desk.snapshot();
        prop_assert!(snapshot.counter.owed == 0 || snapshot.counter.dead > 0, "{:?}", snapshot);
    }
}
