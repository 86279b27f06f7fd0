//! What takes too long for every change: the same tests as in CI, with many more rounds.

use crate::child;
use crate::fault::Fault;
use crate::place::Place;
use crate::report::Report;

/// A test, how it is told to go on for longer, and what that shows.
struct Long {
    name: &'static str,
    arguments: &'static [&'static str],
    settings: &'static [(&'static str, &'static str)],
}

const LONG: &[Long] = &[
    Long {
        name: "kills",
        arguments: &["test", "-p", "city", "--test", "city", "kills"],
        settings: &[("CITY_KILL_ROUNDS", "50"), ("CITY_KILL_SEED", "1000")],
    },
    Long {
        name: "money",
        arguments: &["test", "-p", "city-domain", "--test", "money"],
        settings: &[("PROPTEST_CASES", "5000")],
    },
    Long {
        name: "fuzz",
        arguments: &["test", "-p", "conch", "--test", "fuzz"],
        settings: &[("PROPTEST_CASES", "100000")],
    },
    Long {
        name: "ticket codes",
        arguments: &["test", "-p", "city", "--bin", "city", "ticket_code"],
        settings: &[("PROPTEST_CASES", "5000")],
    },
];

/// Runs all of them, each whether or not an earlier one failed.
pub(crate) fn run(place: &Place, report: &mut Report) {
    for long in LONG {
        report.step(long.name, || {
            let mut command = place.cargo(long.arguments);
            command.envs(long.settings.iter().copied());
            child::run(command)
        });
    }
}

/// The night as a timeline; fails when a promise broke.
pub(crate) fn story(place: &Place) -> Result<(), Fault> {
    child::run(place.cargo(&[
        "test",
        "--quiet",
        "--package",
        "city",
        "--test",
        "city",
        "story",
        "--",
        "--nocapture",
    ]))
}

/// A fleet that comes back, measured; fails when it costs more than it may.
pub(crate) fn storm(place: &Place) -> Result<(), Fault> {
    let words = ["run", "--quiet", "--release", "--package", "sim", "--", "storm", "--out"];
    let mut command = place.cargo(&words);
    command.arg(place.root.join("docs"));
    child::run(command)
}

/// How fast the city is, beside its machine. Figures, no verdict.
pub(crate) fn bench(place: &Place) -> Result<(), Fault> {
    child::run(place.cargo(&["bench", "--quiet", "--package", "city", "--bench", "city"]))
}
