//! The promises of the outbox under bad weather, over fixed seeds. A failing seed prints the command that replays it.

use sim::{Plan, run};

const SEEDS: u64 = 60;

fn plan(seed: u64) -> Plan {
    Plan { seed, devices: 2, weather_ms: 300_000 }
}

/// Invariants durable-before-safe, state-with-event, key-before-send, settle-in-one, lane-order, always-a-wake and
/// same-intent-same-receipt all along; every intent's effect exactly once and liveness at the end.
#[test]
fn promises_hold_under_bad_weather() {
    let mut met = sim::Report::default();
    for seed in 0..SEEDS {
        let report = run(plan(seed)).unwrap_or_else(|broken| panic!("{broken}"));
        met.stored += report.stored;
        met.replayed += report.replayed;
        met.crashes += report.crashes;
        met.decided += report.decided;
    }
    // A world in which nothing happens proves nothing.
    assert!(met.stored > 20 * SEEDS && met.replayed > SEEDS, "{met:?}");
    assert!(met.crashes > 3 * SEEDS && met.decided > SEEDS, "{met:?}");
}

#[test]
fn a_seed_replays_a_run_exactly() {
    for seed in [1, 2, 3] {
        assert_eq!(run(plan(seed)), run(plan(seed)));
    }
    assert_ne!(run(plan(1)).map(|report| report.trace), run(plan(2)).map(|report| report.trace));
}
