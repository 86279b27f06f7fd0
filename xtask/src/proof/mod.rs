//! What takes too long for every change: the same tests as in CI, with many more rounds, and what needs real machines.
//!
//! Each part of a long run leaves a results file in `target/proof`, so that a run that was interrupted goes on where it
//! was; `docs/proof.md` is written from these files.

mod kept;
mod list;
mod measured;
mod page;
mod tables;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::build;
use crate::child;
use crate::counts::{Counts, Format};
use crate::engine::{self, Browser, Engine, Wanted};
use crate::fault::Fault;
use crate::pack;
use crate::place::Place;
use crate::report::{Outcome, Report};
use crate::tables::grouped;
use kept::{Code, Due, Kept};
pub(crate) use list::Scale;
use list::{Kind, Long, Part};
pub(crate) use page::renew;

/// How often a run that says nothing itself is told to be alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// What the command line says about a proof.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Only long runs whose name contains this.
    pub(crate) filter: String,
    pub(crate) scale: Scale,
    /// Also what this code did already.
    pub(crate) anew: bool,
}

impl Choice {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut choice = Self { filter: String::new(), scale: Scale::Whole, anew: false };
        for word in words {
            match word.as_str() {
                "--anew" => choice.anew = true,
                "--small" => choice.scale = Scale::Small,
                filter if choice.filter.is_empty() && !filter.starts_with('-') => choice.filter = word,
                _ => {
                    return Err(Fault::advice(format!(
                        "`proof` does not take `{word}`: `cargo xtask` shows what it takes"
                    )));
                }
            }
        }
        Ok(choice)
    }

    /// Whether the page is written from it.
    pub(crate) fn is_everything(&self) -> bool {
        self.filter.is_empty() && self.scale == Scale::Whole
    }
}

/// Runs those whose name contains the filter, each whether or not an earlier one failed, but not what is done.
pub(crate) fn run(place: &Place, choice: &Choice, report: &mut Report) -> Result<(), Fault> {
    let all = list::all(choice.scale);
    let chosen: Vec<_> = all.iter().filter(|long| long.name.contains(&choice.filter)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = all.iter().map(|long| long.name).collect();
        let (filter, names) = (&choice.filter, names.join(", "));
        return Err(Fault::advice(format!("no proof has `{filter}` in its name; there are {names}")));
    }
    if Code::here(place).dirty {
        println!(
            "  the tree has changes, so nothing is skipped, and the results say that they are not of a commit"
        );
    }
    for long in chosen {
        report.suite(long.name, || long.run(place, choice));
    }
    Ok(())
}

impl Long {
    /// Counts parts: those that held, those that did not, and those that were done before.
    fn run(&self, place: &Place, choice: &Choice) -> Result<Outcome, Fault> {
        let folder = kept::folder(place, choice.scale);
        fs::create_dir_all(&folder).map_err(Fault::io(format!("cannot make {}", folder.display())))?;
        let mut equipped: Option<Equipment> = None;
        let mut counts = Counts::default();
        let mut pace = Pace::default();
        for (number, part) in self.parts.iter().enumerate() {
            let before = kept::read(&folder, part);
            let due = if choice.anew {
                Due::Run
            } else {
                kept::due(before.as_ref(), &part.command(), &Code::here(place))
            };
            match due {
                Due::Held => {
                    println!(
                        "  {}: done at this commit, {}",
                        part.file,
                        before.map_or_else(String::new, |kept| kept.date)
                    );
                    counts.skipped += 1;
                }
                Due::Failed => {
                    println!(
                        "  {}: failed at this commit; --anew runs it again: {}",
                        part.file,
                        part.command()
                    );
                    counts.failed += 1;
                }
                Due::Run => {
                    let equipment = match &mut equipped {
                        Some(equipment) => equipment,
                        none => none.insert(Equipment::gather(place, self.kind, part)?),
                    };
                    let begun = Instant::now();
                    let kept = part.run(place, self.kind, &folder, equipment)?;
                    kept::write(&folder, part, &kept)?;
                    pace.add(part.amount, begun.elapsed());
                    if kept.held { counts.passed += 1 } else { counts.failed += 1 }
                }
            }
            let done: u64 = self.parts.iter().take(number + 1).map(|part| part.amount).sum();
            println!("  {}", pace.told(self, done, counts.failed));
        }
        let complaint =
            (counts.failed > 0).then(|| format!("{} of {} parts failed", counts.failed, self.parts.len()));
        Ok(Outcome { counts, complaint })
    }
}

/// How fast it goes.
#[derive(Default)]
struct Pace {
    amount: u64,
    elapsed: Duration,
}

impl Pace {
    fn add(&mut self, amount: u64, elapsed: Duration) {
        self.amount += amount;
        self.elapsed += elapsed;
    }

    /// `world: 3,000 of 10,000 seeds done, 12 min left`.
    fn told(&self, long: &Long, done: u64, failed: u64) -> String {
        let whole = long.amount();
        let mut text = format!("{}: {} of {} {} done", long.name, grouped(done), grouped(whole), long.unit);
        if failed > 0 {
            text += &format!(", {failed} parts failed");
        }
        if done < whole && self.amount > 0 {
            let left = self.elapsed.as_secs().saturating_mul(whole - done) / self.amount;
            text += &format!(", {} left", measured::lasted(left));
        }
        text
    }
}

/// What the parts of a long run need beside themselves.
#[derive(Default)]
struct Equipment {
    /// Variables of the environment.
    settings: Vec<(&'static str, std::ffi::OsString)>,
}

impl Equipment {
    /// Builds first, so that no failing build passes for a broken promise.
    fn gather(place: &Place, kind: Kind, part: &Part) -> Result<Self, Fault> {
        match kind {
            Kind::Tests => {
                let words = part.words.iter().map(String::as_str).take_while(|word| *word != "--");
                let words: Vec<_> = words.chain(["--no-run"]).collect();
                child::run(place.cargo(&words)).map(|()| Self::default())
            }
            Kind::Simulator | Kind::Storm => {
                child::run(place.cargo(&["build", "--release", "-p", "sim"])).map(|()| Self::default())
            }
            Kind::Browsers(engines) => Self::of_browsers(place, engines),
        }
    }

    fn of_browsers(place: &Place, engines: &[Engine]) -> Result<Self, Fault> {
        build::everything(place)?;
        let mut settings = vec![
            ("CONCH_CITY", place.city().into()),
            ("CONCH_PAGES", place.pages().into()),
            ("CONCH_TARBALL", pack::tarball(place)?.into()),
            ("CONCH_PROOF", place.target.join("proof").into()),
        ];
        for browser in engine::ready(place, engines, Wanted::All)? {
            match browser {
                Browser::Chromium { chromium, .. } => settings.push(("CHROMIUM", chromium.into())),
                Browser::Firefox { firefox, .. } => settings.push(("FIREFOX", firefox.into())),
                Browser::WebKit { .. } => {}
            }
        }
        Ok(Self { settings })
    }
}

impl Part {
    /// A fault means that nothing was found out, and leaves no result.
    fn run(&self, place: &Place, kind: Kind, folder: &Path, equipment: &Equipment) -> Result<Kept, Fault> {
        let found = folder.join(format!("{}.found", self.file));
        // What an earlier run wrote is not of this one.
        let _ = fs::remove_file(&found);
        let (code, begun) = (Code::here(place), Instant::now());
        let command = self.dressed(place, kind, &found, equipment)?;
        let format = if kind == Kind::Tests { Format::Libtest } else { Format::Nothing };
        let (status, counts) = while_told(&self.file, || child::count(command, format))?;
        match status.code() {
            None => return Err(Fault::advice(format!("{}: {}", self.file, child::how(status)))),
            // Both cargo and the simulator say so when they did not understand.
            Some(2) => return Err(Fault::advice(format!("{}: not understood, see above", self.file))),
            Some(_) => {}
        }
        let counted = self.counted(place, kind, counts, &found);
        let _ = fs::remove_file(&found);
        if status.success() && counted.is_null() {
            return Err(Fault::advice(format!("{} passed and wrote no results", self.file)));
        }
        let held = status.success() && (kind != Kind::Storm || counted.get("current") == Some(&json!(true)));
        if kind == Kind::Storm && !held {
            println!("  docs/storm.md is not what this code writes: cargo xtask storm");
        }
        let changed = Code::here(place) != code;
        Ok(Kept {
            command: self.command(),
            code: Code { dirty: code.dirty || changed, ..code },
            date: now(place),
            seconds: begun.elapsed().as_secs(),
            held,
            counted,
        })
    }

    /// The command, told where its results go.
    fn dressed(
        &self,
        place: &Place,
        kind: Kind,
        found: &Path,
        equipment: &Equipment,
    ) -> Result<Command, Fault> {
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        let mut command = match kind {
            Kind::Browsers(_) => place.npm(&words),
            _ => place.cargo(&words),
        };
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.envs(equipment.settings.iter().map(|(name, value)| (name, value)));
        match kind {
            Kind::Tests => {}
            Kind::Simulator => drop(command.arg("--results").arg(found)),
            Kind::Storm => {
                let written = storm_folder(place);
                fs::create_dir_all(&written)
                    .map_err(Fault::io(format!("cannot make {}", written.display())))?;
                command.arg("--out").arg(written);
            }
            Kind::Browsers(_) => drop(command.env("CONCH_RESULTS", found)),
        }
        Ok(command)
    }

    /// What was counted; null where nothing was.
    fn counted(&self, place: &Place, kind: Kind, counts: Counts, found: &Path) -> Value {
        match kind {
            Kind::Tests if counts.passed + counts.failed == 0 => Value::Null,
            Kind::Tests => json!({ "rounds": self.amount, "passed": counts.passed, "failed": counts.failed }),
            Kind::Storm => json!({ "current": storm_is_current(place) }),
            Kind::Simulator | Kind::Browsers(_) => fs::read_to_string(found)
                .ok()
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or(Value::Null),
        }
    }
}

fn storm_folder(place: &Place) -> std::path::PathBuf {
    place.target.join("proof/storm")
}

/// Whether the page and the plot that stand in docs/ are what was just written.
fn storm_is_current(place: &Place) -> bool {
    ["storm.md", "storm.svg"].iter().all(|name| {
        let [stands, written] =
            [place.root.join("docs"), storm_folder(place)].map(|folder| fs::read(folder.join(name)));
        matches!((stands, written), (Ok(stands), Ok(written)) if stands == written)
    })
}

/// UTC, to the minute.
fn now(place: &Place) -> String {
    let mut date = place.command("date");
    date.args(["-u", "+%Y-%m-%dT%H:%MZ"]);
    child::answer(date).unwrap_or_default()
}

/// Does something that may be silent for long, and says now and then that it goes on.
fn while_told<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let begun = Instant::now();
            while ended.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                println!("  {what}: {} so far", measured::lasted(begun.elapsed().as_secs()));
            }
        });
        let result = work();
        drop(done);
        result
    })
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

/// A gate from frame to tone, with a film of tickets before Chromium's camera. Figures, no verdict.
pub(crate) fn bench_gate(place: &Place) -> Result<(), Fault> {
    let Equipment { settings } = Equipment::of_browsers(place, &[Engine::Chromium])?;
    let mut command = place.npm(&["run", "gate", "--workspace", "www/e2e"]);
    command.envs(settings);
    child::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_what_is_done_and_what_is_left() {
        let longs = list::all(Scale::Whole);
        let world = longs.iter().find(|long| long.name == "world").unwrap();
        let pace = Pace { amount: 1_000, elapsed: Duration::from_secs(120) };
        assert_eq!(pace.told(world, 3_000, 0), "world: 3,000 of 10,000 seeds done, 14 min left");
        assert_eq!(pace.told(world, 10_000, 0), "world: 10,000 of 10,000 seeds done");
        assert_eq!(
            Pace::default().told(world, 1_000, 1),
            "world: 1,000 of 10,000 seeds done, 1 parts failed"
        );
    }
}
