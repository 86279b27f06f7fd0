//! Which long runs there are, in which parts each goes, and the command that repeats a part. Nothing is started here.

use crate::engine::{Context, Engine};

/// How much of everything is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Whole,
    /// As little as shows that all of it works. Its results lie apart, and a page made from them says so.
    Small,
}

/// Something that goes on for long. Each of its parts leaves a results file of its own.
#[derive(Debug)]
pub(crate) struct Long {
    pub(crate) name: &'static str,
    /// What its amounts count.
    pub(crate) unit: &'static str,
    pub(crate) kind: Kind,
    pub(crate) parts: Vec<Part>,
}

/// How a part is started, and where its counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Tests of cargo's: counted are the rounds each was told and the tests that passed.
    Tests,
    /// The simulator, which writes its results where `--results` says.
    Simulator,
    /// The simulator's storm, which must write the page that stands in docs/.
    Storm,
    /// A program of `www/e2e`, which writes its results where `CONCH_RESULTS` says: real browsers, the packed package
    /// and a real city.
    Browsers(&'static [Engine]),
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The name of its results, without `.json`.
    pub(crate) file: String,
    pub(crate) amount: u64,
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) program: &'static str,
    pub(crate) words: Vec<String>,
}

impl Part {
    /// What to type to have it again.
    pub(crate) fn command(&self) -> String {
        let quoted = |word: &String| if word.contains(' ') { format!("'{word}'") } else { word.clone() };
        let settings = self.settings.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = self.words.iter().map(quoted);
        settings.chain([self.program.to_owned()]).chain(words).collect::<Vec<_>>().join(" ")
    }
}

impl Long {
    pub(crate) fn amount(&self) -> u64 {
        self.parts.iter().map(|part| part.amount).sum()
    }
}

const BOTH: &[Engine] = &[Engine::Chromium, Engine::Firefox];
const SIMULATOR: [&str; 6] = ["run", "--quiet", "--release", "-p", "sim", "--"];
const DEVICES: u64 = 3;

/// All long runs, those that need no browser first.
pub(crate) fn all(scale: Scale) -> Vec<Long> {
    let of = |whole: u64, small: u64| if scale == Scale::Whole { whole } else { small };
    let city_kills = Rounds {
        file: "city-kills",
        words: &["test", "-p", "city", "--test", "city", "a_killed_city_loses_no_intent"],
        rounds: "CITY_KILL_ROUNDS",
        seed: "CITY_KILL_SEED",
        first_seed: 1_000,
    };
    let money = &["test", "-p", "city-domain", "--test", "money", "every_order_has_its_money_once"];
    let codes = &["test", "-p", "city", "--bin", "city", "ticket_code::tests::"];
    // The two that draw nothing are left out, so that each test that passes is a reader that had all its texts.
    let fuzz =
        &["test", "-p", "conch", "--test", "fuzz", "--", "--skip", "every_seed_of", "--skip", "the_largest"];
    vec![
        Long {
            name: "world",
            unit: "seeds",
            kind: Kind::Simulator,
            parts: world("world", DEVICES, None, of(10_000, 40), of(1_000, 20)),
        },
        Long {
            name: "long worlds",
            unit: "seeds",
            kind: Kind::Simulator,
            parts: world("long-worlds", of(100, 4), Some(1), of(10, 1), 1),
        },
        Long {
            name: "planted faults",
            unit: "tables",
            kind: Kind::Simulator,
            parts: vec![Part::cargo("planted-faults", &SIMULATOR, &["mutants"])],
        },
        Long {
            name: "storm",
            unit: "pages",
            kind: Kind::Storm,
            parts: vec![Part::cargo("storm", &SIMULATOR, &["storm"])],
        },
        Long {
            name: "city kills",
            unit: "rounds",
            kind: Kind::Tests,
            parts: city_kills.parts(of(50, 1), of(10, 1)),
        },
        Long {
            name: "money",
            unit: "histories",
            kind: Kind::Tests,
            parts: drawn("money", money, of(5_000, 20)),
        },
        Long {
            name: "ticket codes",
            unit: "codes",
            kind: Kind::Tests,
            parts: drawn("ticket-codes", codes, of(5_000, 20)),
        },
        Long { name: "fuzz", unit: "texts", kind: Kind::Tests, parts: drawn("fuzz", fuzz, of(100_000, 100)) },
        Long {
            name: "browser kills",
            unit: "kills",
            kind: Kind::Browsers(BOTH),
            parts: [
                browser_kills(Engine::Chromium, of(100, 2), of(20, 2)),
                browser_kills(Engine::Firefox, of(30, 2), of(10, 2)),
            ]
            .concat(),
        },
        Long {
            name: "browser flushes",
            unit: "looks",
            kind: Kind::Browsers(BOTH),
            parts: vec![Part::npm("browser-flushes", "flushes", 1, vec![])],
        },
        Long {
            name: "browser torn log",
            unit: "logs",
            kind: Kind::Browsers(&[Engine::Chromium]),
            parts: vec![Part::npm("browser-torn-log", "torn", 8, vec![])],
        },
        Long {
            name: "browser soak",
            unit: "events",
            kind: Kind::Browsers(&[Engine::Chromium]),
            parts: vec![soak(of(100_000, 40_000))],
        },
    ]
}

/// Tests that are told by one variable how often and by another from which seed.
struct Rounds {
    file: &'static str,
    words: &'static [&'static str],
    rounds: &'static str,
    seed: &'static str,
    first_seed: u64,
}

impl Rounds {
    fn parts(&self, whole: u64, each: u64) -> Vec<Part> {
        let part = |(from, amount): (u64, u64)| {
            let seed = self.first_seed + from;
            Part {
                amount,
                settings: vec![(self.rounds, amount.to_string()), (self.seed, seed.to_string())],
                ..Part::cargo(&format!("{}-{seed}", self.file), self.words, &[])
            }
        };
        slices(whole, each).map(part).collect()
    }
}

/// Tests that draw their cases. The seed is set, so that the same are drawn again.
fn drawn(file: &'static str, words: &'static [&'static str], cases: u64) -> Vec<Part> {
    Rounds { file, words, rounds: "PROPTEST_CASES", seed: "PROPTEST_RNG_SEED", first_seed: 1 }
        .parts(cases, cases)
}

fn world(file: &str, devices: u64, hours: Option<u64>, seeds: u64, each: u64) -> Vec<Part> {
    let part = |(from, amount): (u64, u64)| {
        let to = from + amount;
        let mut words =
            vec![format!("--from={from}"), format!("--seeds={to}"), format!("--devices={devices}")];
        words.extend(hours.map(|hours| format!("--hours={hours}")));
        words.push("--shrink=200".to_owned());
        let words: Vec<_> = words.iter().flat_map(|word| word.split('=')).collect();
        Part { amount, ..Part::cargo(&format!("{file}-{from}"), &SIMULATOR, &words) }
    };
    slices(seeds, each).map(part).collect()
}

/// In a window and in a service worker.
fn browser_kills(engine: Engine, kills: u64, each: u64) -> Vec<Part> {
    [Context::Window, Context::ServiceWorker]
        .iter()
        .flat_map(|context| slices(kills, each).map(move |slice| (context, slice)))
        .map(|(context, (from, amount))| {
            let (engine, context, seed) = (engine.name(), context.name(), from + 1);
            let settings = vec![
                ("CONCH_ONLY", format!("{engine} {context}")),
                ("CONCH_KILLS", amount.to_string()),
                ("CONCH_SEED", seed.to_string()),
            ];
            Part::npm(&format!("browser-kills-{engine}-{context}-{seed}"), "kills", amount, settings)
        })
        .collect()
}

fn soak(events: u64) -> Part {
    let settings = vec![("CONCH_EVENTS", events.to_string()), ("CONCH_SEED", "1".to_owned())];
    Part::npm("browser-soak", "soak", events, settings)
}

impl Part {
    fn cargo(file: &str, begin: &[&str], end: &[&str]) -> Self {
        let words = begin.iter().chain(end).map(|word| (*word).to_owned()).collect();
        Self { file: file.to_owned(), amount: 1, settings: vec![], program: "cargo", words }
    }

    fn npm(file: &str, script: &str, amount: u64, settings: Vec<(&'static str, String)>) -> Self {
        let words = ["run", script, "--workspace", "www/e2e"].map(str::to_owned).to_vec();
        Self { file: file.to_owned(), amount, settings, program: "npm", words }
    }
}

/// Where each part begins and how much it has; the last may have less.
fn slices(whole: u64, each: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = usize::try_from(each.max(1)).unwrap_or(usize::MAX);
    (0..whole).step_by(step).map(move |from| (from, each.max(1).min(whole - from)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_a_results_file_of_its_own() {
        for scale in [Scale::Whole, Scale::Small] {
            let longs = all(scale);
            let parts: Vec<_> = longs.iter().flat_map(|long| &long.parts).collect();
            let files: BTreeSet<_> = parts.iter().map(|part| part.file.as_str()).collect();
            assert_eq!(files.len(), parts.len());
        }
    }

    #[test]
    fn parts_are_the_whole_without_gaps() {
        assert_eq!(slices(10, 4).collect::<Vec<_>>(), [(0, 4), (4, 4), (8, 2)]);
        let longs = all(Scale::Whole);
        let world = longs.iter().find(|long| long.name == "world").unwrap();
        assert_eq!((world.amount(), world.parts.len()), (10_000, 10));
        assert!(
            world.parts[9].command().contains("--from 9000 --seeds 10000 "),
            "{}",
            world.parts[9].command()
        );
    }

    #[test]
    fn a_command_can_be_typed() {
        let longs = all(Scale::Whole);
        let kills = longs.iter().find(|long| long.name == "browser kills").unwrap();
        assert_eq!(
            kills.parts[0].command(),
            "CONCH_ONLY='chromium window' CONCH_KILLS=20 CONCH_SEED=1 npm run kills --workspace www/e2e"
        );
    }
}
