//! The promises of the outbox under bad weather, over fixed seeds, and the proof that breaking one is seen. A failing seed
//! prints the command that replays it.
//!
//! Where each of DESIGN's invariants is checked; `cargo test --workspace <its name in snake case>` runs what is named
//! after it. All along means after every transaction, request and word to a page, in every run here.
//!
//! | invariant | in the world, by the oracle | planted fault that it finds | tests of its own |
//! |---|---|---|---|
//! | durable-before-safe | `Memory::emitted`, all along and across power cuts | `RelaxedEmit`, `QuotaLies` | `tests/invariants.rs`, `tests/web_store.rs` |
//! | state-with-event | `tables_agree`, all along and after every end of a page | `TornCommit` | `tests/invariants.rs`, `tests/commit.rs` |
//! | key-before-send | `Memory::sent`, with every request | `KeyAtSend` | `tests/invariants.rs` |
//! | settle-in-one | `tables_agree`, all along | `DropsOn401`, `DropsAsSent` | `tests/invariants.rs` |
//! | lane-order | `Memory::sent`, with every request; `judged_in_order` at the end | `ForgetsLanes` | `tests/engine.rs`, `src/outbox/window.rs` |
//! | no-bystander | `watch`: while a leader idles, a lane that flows is not owed for longer than its stated time; liveness within [`sim::world::SETTLES_WITHIN_MS`] | `HeadOfLine` | `tests/invariants.rs`, `src/outbox/window.rs` |
//! | one-sender | `Memory::applied`, all along; liveness with silent leaders | `StaleSettles` | `tests/invariants.rs`, `tests/contexts.rs` |
//! | always-a-wake | `World::set_timer`, after every input; liveness | `SleepsAfterFailure` | `tests/histories.rs`, `tests/contexts.rs` |
//! | bounded | `Memory::sent`, outputs of one input, events of one run; `watch`: memory of every page and rows of every table, at looks | `Overfull`, `KeepsLanes` | `tests/invariants.rs` |
//! | nothing-vanishes | `tables_agree` all along; `nothing_vanished` at the end, `lost_by_the_browser` for each database that was thrown away | `LosesLetters`, `UpgradeForgets` | `tests/invariants.rs` |
//! | same-intent-same-receipt | `Memory::emitted`, all along | `BlindIndex` | `tests/invariants.rs` |
//! | no-pii-in-keys | `masked`, with every append; card numbers as keys | `Unmasked` | `tests/invariants.rs`, `src/event/pii.rs` |
//! | honest-words | `told`, with every word to a page; the badge at the end | `EarlyWord` | `tests/invariants.rs` |
//! | applied-once (the feed) | `Memory::applied_once`, with every write of the feed | `HearsTwice`, `EagerCursor` | `tests/feed.rs` |
//!
//! The city in the world is the real one: `city-domain` over its books in memory, killed at any write, with an acquirer
//! that loses answers and takes money twice. When everything has come to rest:
//!
//! | promise of the city | checked by | planted fault that it finds |
//! |---|---|---|
//! | effect: each intent has its effect once, and its verdict never changes | `City::note`, with every answer | `TornCity` |
//! | settle-in-one, across both sides | `tables_agree` | `AckBeforeCommit` |
//! | on-the-log: what was accepted is on the log once, each key in order | `ledgers::hold` | `RelayDropsFirst`, `RelayTwice` |
//! | served: each service did its part once; what it can never do, and only that, is a dead letter with an alert; no other key waits for it | `ledgers::hold`; `City::turn`, after every turn | `CursorFirst`, `InboxAfterEffect`, `PoisonBlocks` |
//! | books, charged-once, refund-once: the acquirer's books equal ours, each order has its money once, what moved twice went back once | `ledgers::hold` | `RefundAnew`, `CaptureAnew` |
//! | admitted-once: the earliest scan of a ticket is its admission | `ledgers::hold` | |
//! | gaps, one-device: no event is missed, no device is taken for two | `ledgers::hold` | |
//!
//! And of the device's own storage, where the browser is its master:
//!
//! | promise | checked by | planted fault that it finds |
//! |---|---|---|
//! | evicted: a page is told that its database was thrown away exactly when it was, unless the note beside it went too | `World::looks_back`, whenever a page opens; at the end | `SilentEviction` |
//! | lets-go: no page whose scripts run keeps a newer one from upgrading | `World::opens` | `OldTabStays` |
//!
//! `KeyAtSend` is a new key for every attempt; `DropsAsSent` is deletion before the answer; `InboxAfterEffect` and
//! `EagerCursor` are the inbox behind the effect, at a service and on a device.
//!
//! The weather, kind by kind, with the trouble that blows it and where: [`sim::WEATHER`]. What is asked for by name:
//!
//! | weather | in [`sim::WEATHER`] |
//! |---|---|
//! | loss, duplication, reordering, heavy tails | `Loss`, `Doubling`, `Reordering`, `Tail` |
//! | lost answers after commit | `LostAnswer` |
//! | slow loris | `Loris`, `Half` |
//! | captive portal | `Portal` |
//! | 4xx, 5xx, 429 storms; expired credentials | `Refusals`, `Failures`, `Overload`; `Expired` |
//! | partitions per area; market-wide reconnect | `Partition`; `Outage` |
//! | city crash at any store call; relay crash between publish and mark; gateway faults | `CityKilled`; `RelayKilled`; `Gateway` |
//! | clock jumps and skew | `ClockJump`, `Skew` |
//! | tab killed at any await; frozen and thawed | `Killed`, `KilledMidway`; `Frozen` |
//! | two tabs and a service worker; leader hand-over | `Worker`; `HandOver` |
//! | power loss that drops writes not yet strict | `DroppedWrites` |
//! | dead database handle; aborted transaction; quota | `DeadHandle`; `Aborted`; `Quota` |
//! | eviction, with the alarm; upgrade with rows pending | `Evicted`, `Alarm`; `Upgraded`, `Blocked` |
//! | poison events; at a service | `Poison`; `DeadAtService` |
//! | double taps; the same order from two tills | `DoubleTap`; `SharedOrder` |

use sim::{Bug, Plan, Report, TROUBLES, WEATHER, Weather, run, shrink};

const SEEDS: u64 = 200;

#[test]
fn promises_hold_under_bad_weather() {
    let mut met = Report::default();
    for seed in 0..SEEDS {
        met += &run(Plan::seeded(seed)).unwrap_or_else(|broken| panic!("{broken}"));
    }
    // A world in which nothing happens proves nothing.
    assert!(met.stored > 100 * SEEDS && met.replayed > SEEDS && met.heard > 20 * SEEDS, "{met:?}");
    assert!(met.crashes > 5 * SEEDS && met.power_cuts > SEEDS && met.decided > 5 * SEEDS, "{met:?}");
    assert!(met.freezes > 5 * SEEDS && met.frozen_leaders > SEEDS && met.lost > 5 * SEEDS, "{met:?}");
    assert!(met.steals > SEEDS / 2 && met.full > SEEDS && met.resyncs > SEEDS / 2, "{met:?}");
    assert!(met.stale > SEEDS / 10 && met.expired > SEEDS / 10, "{met:?}");
    assert!(met.city_kills > SEEDS && met.calls > 5 * SEEDS && met.admitted > 3 * SEEDS, "{met:?}");
    assert!(met.refunded > SEEDS / 20 && met.evicted > SEEDS / 5, "{met:?}");
    for (weather, times) in met.met.all() {
        assert!(times > SEEDS / 20, "{weather:?} was met {times} times in {SEEDS} seeds");
    }
}

#[test]
fn a_seed_replays_a_run_exactly() {
    for seed in [1, 2, 3] {
        assert_eq!(run(Plan::seeded(seed)), run(Plan::seeded(seed)));
    }
    let trace = |seed| run(Plan::seeded(seed)).map(|report| report.trace);
    assert_ne!(trace(1), trace(2));
}

/// Other trouble brings it along: an answer that a dead uplink swallows is lost, a sleeping device is frozen, a city that is
/// killed for another reason is killed.
fn met_anyway(weather: Weather) -> bool {
    matches!(
        weather,
        Weather::Loss | Weather::LostAnswer | Weather::Reordering | Weather::Frozen | Weather::CityKilled
    )
}

/// Without a kind of trouble the promises hold as well: each can be lowered to find out which one breaks a run.
#[test]
fn every_kind_of_trouble_can_be_left_out() {
    for (seed, (trouble, _)) in (100..).zip(TROUBLES) {
        let plan = Plan::seeded(seed);
        let report = run(Plan { force: plan.force.with(trouble, 0), ..plan });
        let report = report.unwrap_or_else(|broken| panic!("{broken}"));
        for (weather, ..) in
            WEATHER.iter().filter(|(weather, by, _)| by == &Some(trouble) && !met_anyway(*weather))
        {
            assert_eq!(report.met.of(*weather), 0, "{weather:?} without {trouble:?}");
        }
    }
    let calm = run(Plan { force: sim::Force::all(0), ..Plan::seeded(1) });
    let calm = calm.unwrap_or_else(|broken| panic!("{broken}"));
    let trouble = [
        calm.crashes,
        calm.power_cuts,
        calm.freezes,
        calm.lost,
        calm.full,
        calm.expired,
        calm.resyncs,
        calm.city_kills,
    ];
    assert_eq!(trouble, [0; 8], "{calm:?}");
    for (weather, by, _) in WEATHER.iter().filter(|(weather, ..)| !met_anyway(*weather)) {
        assert!(by.is_none() || calm.met.of(*weather) == 0, "{weather:?} in good weather: {calm:?}");
    }
}

/// The oracle can fail: each planted fault breaks the promise it was made to break.
#[test]
fn planted_faults_are_found() {
    for bug in Bug::ALL {
        let found = (0..Bug::SEEDS_TO_FIND).find_map(|seed| {
            let broken = run(Plan { bug: Some(bug), ..Plan::seeded(seed) }).err()?;
            broken.starts_with(bug.breaks()).then_some(seed)
        });
        assert!(
            found.is_some(),
            "{bug:?} is not found as {} within {} seeds",
            bug.breaks(),
            Bug::SEEDS_TO_FIND
        );
    }
}

#[test]
fn a_failing_run_is_made_smaller_and_still_breaks_the_same_promise() {
    let plan = Plan { bug: Some(Bug::RelaxedEmit), ..Plan::seeded(0) };
    let (smaller, broken) = shrink(plan, 60);
    assert!(smaller.devices == 1 && smaller.tabs == 1 && smaller.taps < plan.taps, "{smaller:?}");
    assert!(broken.is_some_and(|broken| broken.starts_with("durable-before-safe")));
}
