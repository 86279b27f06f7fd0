//! What takes too long for every change: the same tests as in CI, with many more rounds, and what needs real machines.

use crate::build;
use crate::child;
use crate::engine::{self, Browser, Engine, Wanted};
use crate::fault::Fault;
use crate::pack;
use crate::place::Place;
use crate::report::Report;

/// Something that goes on for long, and how it is told to.
struct Long {
    name: &'static str,
    work: Work,
}

enum Work {
    /// Tests of cargo's, with settings that make them go on.
    Rounds { arguments: &'static [&'static str], settings: &'static [(&'static str, &'static str)] },
    /// A program of `www/e2e`, by its npm script: real browsers, the packed package and a real city.
    Browsers { script: &'static str, engines: &'static [Engine] },
}

const LONG: &[Long] = &[
    Long {
        name: "city kills",
        work: Work::Rounds {
            arguments: &["test", "-p", "city", "--test", "city", "kills"],
            settings: &[("CITY_KILL_ROUNDS", "50"), ("CITY_KILL_SEED", "1000")],
        },
    },
    Long {
        name: "money",
        work: Work::Rounds {
            arguments: &["test", "-p", "city-domain", "--test", "money"],
            settings: &[("PROPTEST_CASES", "5000")],
        },
    },
    Long {
        name: "fuzz",
        work: Work::Rounds {
            arguments: &["test", "-p", "conch", "--test", "fuzz"],
            settings: &[("PROPTEST_CASES", "100000")],
        },
    },
    Long {
        name: "ticket codes",
        work: Work::Rounds {
            arguments: &["test", "-p", "city", "--bin", "city", "ticket_code"],
            settings: &[("PROPTEST_CASES", "5000")],
        },
    },
    Long {
        name: "world",
        work: Work::Rounds {
            arguments: &["run", "--release", "-p", "sim", "--", "--seeds", "10000", "--shrink", "200"],
            settings: &[],
        },
    },
    Long {
        name: "planted faults",
        work: Work::Rounds { arguments: &["run", "--release", "-p", "sim", "--", "mutants"], settings: &[] },
    },
    Long {
        name: "browser kills",
        work: Work::Browsers { script: "kills", engines: &[Engine::Chromium, Engine::Firefox] },
    },
    Long {
        name: "browser flushes",
        work: Work::Browsers { script: "flushes", engines: &[Engine::Chromium, Engine::Firefox] },
    },
    Long { name: "browser gate", work: Work::Browsers { script: "gate", engines: &[Engine::Chromium] } },
    Long { name: "browser soak", work: Work::Browsers { script: "soak", engines: &[Engine::Chromium] } },
];

/// Runs those whose name contains the filter, each whether or not an earlier one failed.
pub(crate) fn run(place: &Place, filter: &str, report: &mut Report) -> Result<(), Fault> {
    let chosen: Vec<_> = LONG.iter().filter(|long| long.name.contains(filter)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = LONG.iter().map(|long| long.name).collect();
        let names = names.join(", ");
        return Err(Fault::advice(format!("no proof has `{filter}` in its name; there are {names}")));
    }
    for long in chosen {
        report.step(long.name, || long.work.run(place));
    }
    Ok(())
}

impl Work {
    fn run(&self, place: &Place) -> Result<(), Fault> {
        match self {
            Self::Rounds { arguments, settings } => {
                let mut command = place.cargo(arguments);
                command.envs(settings.iter().copied());
                child::run(command)
            }
            Self::Browsers { script, engines } => in_browsers(place, script, engines),
        }
    }
}

/// The program writes what it found to `target/proof/<script>.json`.
fn in_browsers(place: &Place, script: &str, engines: &[Engine]) -> Result<(), Fault> {
    build::everything(place)?;
    let mut command = place.npm(&["run", script, "--workspace", "www/e2e"]);
    for browser in engine::ready(place, engines, Wanted::All)? {
        match browser {
            Browser::Chromium { chromium, .. } => command.env("CHROMIUM", chromium),
            Browser::Firefox { firefox, .. } => command.env("FIREFOX", firefox),
            Browser::WebKit { .. } => continue,
        };
    }
    command.env("CONCH_CITY", place.city()).env("CONCH_PAGES", place.pages());
    command.env("CONCH_TARBALL", pack::tarball(place)?).env("CONCH_PROOF", place.target.join("proof"));
    child::run(command)
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

/// The deterministic world, with options of its own.
pub(crate) fn sim(place: &Place, words: &[String]) -> Result<(), Fault> {
    let mut command = place.cargo(&["run", "--quiet", "--release", "--package", "sim", "--"]);
    command.args(words);
    child::run(command)
}

/// How fast the city is, beside its machine. Figures, no verdict.
pub(crate) fn bench(place: &Place) -> Result<(), Fault> {
    child::run(place.cargo(&["bench", "--quiet", "--package", "city", "--bench", "city"]))
}
