//! What a fleet costs that comes back: ours within bounds that are derived, others visibly beyond them, and the jitter
//! functions in the relations in which they were published.
//!
//! Smaller fleets than those of docs/storm.md, so that they run with every change; `cargo xtask storm` holds the whole
//! ones against the same bounds.

use conch::pace::Ladder;
use sim::fleet::{Backoff, Contention, Knows, ORIGINAL, Outcome, Policy, Storm};

const WARM: Policy = Policy::Conch(Knows::Window { heard_percent: 100 });
const COLD: Policy = Policy::Conch(Knows::Nothing);
const SECOND_US: u64 = 1_000_000;

/// Five hundred devices that come to a city which needs 20 s for them.
fn storm(refusal_percent: u32) -> Storm {
    Storm { capacity: 25, span_s: 20, refusal_percent, seed: 1 }
}

fn figures(outcome: &Outcome) -> (f64, Option<f64>, f64) {
    (outcome.requests_per_event(), outcome.ratio(), outcome.share_done())
}

#[test]
fn devices_that_know_the_window_need_one_request_an_event() {
    for (span_s, capacity, refusal_percent) in [(5, 80, 50), (20, 25, 50), (80, 12, 10), (200, 12, 0)] {
        let storm = Storm { capacity, span_s, refusal_percent, seed: 1 };
        let outcome = storm.run(WARM);
        assert!(storm.bound_warm().holds(&outcome), "{storm:?} {:?}", figures(&outcome));
    }
}

#[test]
fn devices_that_know_nothing_are_turned_away_once() {
    for (span_s, capacity, refusals) in
        [(5, 80, [0, 10, 50].as_slice()), (20, 25, &[0, 10, 50]), (80, 20, &[0, 50]), (200, 12, &[10])]
    {
        for refusal_percent in refusals.iter().copied() {
            let storm = Storm { capacity, span_s, refusal_percent, seed: 1 };
            let (outcome, bound) = (storm.run(COLD), storm.bound_cold());
            assert!(bound.holds(&outcome), "{storm:?} {:?} {bound:?}", figures(&outcome));
            for outcome in [outcome, storm.run(Policy::Conch(Knows::NothingAsBuilt))] {
                let goal = storm.goal_cold();
                assert!(goal.is_none_or(|goal| goal.holds(&outcome)), "{storm:?} {:?}", figures(&outcome));
            }
        }
    }
}

/// What nobody can do better ours does not do better either, and where refusals are dear it asks for more than the goals.
#[test]
fn nobody_is_better_than_the_least() {
    for (span_s, capacity) in [(5, 80), (20, 25), (80, 20)] {
        for refusal_percent in [0, 10, 50] {
            let storm = Storm { capacity, span_s, refusal_percent, seed: 1 };
            let (outcome, least) = (storm.run(COLD), storm.least_cold());
            let ratio = outcome.ratio().unwrap();
            assert!(ratio >= least.ratio, "{storm:?} {:?} {least:?}", figures(&outcome));
            // Give or take a device.
            let requests = storm.least_requests(ratio) - 1.0 / outcome.devices as f64;
            assert!(outcome.requests_per_event() >= requests, "{storm:?} {:?} {requests}", figures(&outcome));
            assert!((storm.least_ratio(least.requests_per_event) - least.ratio).abs() < 1e-9, "{least:?}");
            let goals = refusal_percent < 50 || span_s == 5;
            assert_eq!(storm.end_for(2.1).is_some_and(|end| end < 2.0), goals, "{storm:?}");
        }
    }
}

/// In figures, for the bound of a formula may be wide.
#[test]
fn a_cold_start_needs_two_requests_and_a_seventh_more_than_the_least_time() {
    for (refusal_percent, requests_per_event, ratio) in [(0, 2.0, 1.15), (10, 2.1, 1.15)] {
        let outcome = storm(refusal_percent).run(COLD);
        assert!(outcome.requests_per_event() <= requests_per_event, "{:?}", figures(&outcome));
        assert!(outcome.ratio().is_some_and(|own| own <= ratio), "{:?}", figures(&outcome));
        assert_eq!(outcome.taken, outcome.devices);
    }
}

/// The same city and fleet: whoever is told nothing pays in requests or in time, and without jitter never ends.
#[test]
fn policies_without_the_citys_word_need_twice_as_much_or_never_end() {
    let ladder = Ladder { first: SECOND_US, cap: 20 * SECOND_US };
    let constant = |wait, jitter| Backoff::Constant { wait: wait * SECOND_US, jitter: jitter * SECOND_US };
    let ours = storm(10).run(COLD);
    let (own_requests, own_ratio) = (ours.requests_per_event(), ours.ratio().unwrap());
    for backoff in [
        Backoff::Exponential(ladder),
        Backoff::Equal(ladder),
        Backoff::Full(ladder),
        Backoff::Decorrelated { base: SECOND_US / 10, cap: 20 * SECOND_US },
        Backoff::Polly { mean: SECOND_US, cap: 20 * SECOND_US },
        constant(10, 0),
    ] {
        let outcome = storm(10).run(Policy::Plain(backoff));
        assert!(outcome.requests_per_event() > 2.0 * own_requests, "{backoff:?} {:?}", figures(&outcome));
        let is_late = outcome.ratio().is_none_or(|ratio| ratio > 1.5 * own_ratio);
        assert!(is_late, "{backoff:?} {:?}", figures(&outcome));
    }
    let told = storm(10).run(Policy::Plain(constant(10, 10)));
    assert!(told.ratio().is_none_or(|ratio| ratio > 1.6 * own_ratio), "{:?}", figures(&told));
    for backoff in [Backoff::None, constant(1, 0)] {
        let outcome = storm(10).run(Policy::Plain(backoff));
        assert!(outcome.ratio().is_none() && outcome.share_done() < 0.05, "{:?}", figures(&outcome));
    }
}

/// A bound that holds whatever the parts do proves nothing.
#[test]
fn the_bounds_fail_without_the_slots_and_with_half_a_window_and_if_dear_refusals_are_not_counted() {
    let dear = storm(50);
    assert!(!dear.bound_cold().holds(&dear.run(Policy::Conch(Knows::NothingAsBuilt))));
    let storm = storm(0);
    assert!(!storm.bound_cold().holds(&storm.run(Policy::Conch(Knows::NothingAndMute))));
    assert!(!storm.bound_warm().holds(&storm.run(Policy::Conch(Knows::Window { heard_percent: 50 }))));
}

#[test]
fn one_seed_is_one_storm() {
    let run = |seed| Storm { capacity: 10, seed, ..storm(10) }.run(COLD);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).done_us, run(2).done_us);
}

#[test]
fn jitter_relates_as_it_was_published() {
    for original in ORIGINAL.iter().take(2) {
        let measured = Contention::measure(original.clients, 60, 1);
        assert_eq!(measured.strays_from(original), Vec::<String>::new());
    }
}

/// Equal jitter in the place of full jitter is found.
#[test]
fn another_function_does_not_pass_for_the_published_one() {
    let [original, ..] = ORIGINAL;
    let measured = Contention::measure(original.clients, 20, 1);
    let swapped = Contention { full: measured.equal, equal: measured.full, ..measured };
    assert!(!swapped.strays_from(&original).is_empty());
}
