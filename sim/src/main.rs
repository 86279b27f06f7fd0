//! Replays one seed of the deterministic world, or explores seeds one after the other.
//!
//! `cargo run -p sim -- --seed 7` replays; `cargo run --release -p sim -- --seeds 10000` explores and stops at the
//! first broken promise, which `--shrink 300` makes smaller first. `--net 0` and the like lower one kind of trouble.
//! At the end it says how much was lived through and at what cost; `--results FILE` writes that as JSON.
//!
//! `cargo run --release -p sim -- mutants` plants each known fault and says after how many seeds it is found; `--results FILE`
//! also writes that as JSON.
//!
//! `cargo run --release -p sim -- storm` measures a fleet that comes back and prints the page about it; `--out docs` also
//! writes it with its plot.

use sim::speed::cpu_seconds;
use sim::{Bug, Plan, Speed, TROUBLES, run};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: sim [--seed N | --seeds COUNT] [--from N] [--devices N] [--tabs N] [--taps N] [--weather-ms MS | --hours N] [--<trouble> 0-10] [--shrink RUNS] [--results FILE]
       sim mutants [--results FILE]
       sim storm [--out FOLDER]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mutants"] => return mutants(None),
        ["mutants", "--results", file] => return mutants(Some(Path::new(file))),
        ["storm"] => return storm(None),
        ["storm", "--out", folder] => return storm(Some(Path::new(folder))),
        ["storm" | "mutants", ..] => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        _ => {}
    }
    match options() {
        Ok(options) => explore(options),
        Err(problem) => {
            eprintln!("sim: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Fails when a planted fault is not found, and writes its table all the same.
fn mutants(results: Option<&Path>) -> ExitCode {
    println!(
        "| planted fault | promise it breaks | seeds until found | what the oracle says |\n|---|---|---|---|"
    );
    let mut found = 0;
    let mut rows = Vec::new();
    for bug in Bug::ALL {
        let hunt = |(seed, broken): (u64, String)| broken.starts_with(bug.breaks()).then_some((seed, broken));
        let runs = (0..Bug::SEEDS_TO_FIND).filter_map(|seed| {
            let broken = run(Plan { bug: Some(bug), ..Plan::seeded(seed) }).err()?;
            Some((seed, broken))
        });
        let first = runs.filter_map(hunt).next();
        found += usize::from(first.is_some());
        let (seeds, words) = match &first {
            Some((seed, broken)) => ((seed + 1).to_string(), broken.lines().next().unwrap_or_default()),
            None => ("not found".to_owned(), ""),
        };
        let words: String = words.chars().take(110).collect();
        println!("| {bug:?} | {} | {seeds} | {words} |", bug.breaks());
        let seeds = first.map_or_else(|| "null".to_owned(), |(seed, _)| (seed + 1).to_string());
        rows.push(format!(r#"{{"fault":"{bug:?}","promise":"{}","seeds":{seeds}}}"#, bug.breaks()));
    }
    if let Some(file) = results {
        let text = format!("{{\"within\":{},\"faults\":[{}]}}\n", Bug::SEEDS_TO_FIND, rows.join(","));
        if let Err(problem) = std::fs::write(file, text) {
            eprintln!("sim: cannot write {}: {problem}", file.display());
            return ExitCode::FAILURE;
        }
    }
    println!("\n{found} of {} found within {} seeds", Bug::ALL.len(), Bug::SEEDS_TO_FIND);
    if found == Bug::ALL.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fails when a bound does not hold, and then writes nothing.
fn storm(folder: Option<&Path>) -> ExitCode {
    let measured = sim::fleet::report(|part| eprintln!("sim: {part}"));
    print!("{}", measured.page);
    for broken in &measured.broken {
        eprintln!("sim: {broken}");
    }
    if !measured.broken.is_empty() {
        return ExitCode::FAILURE;
    }
    let Some(folder) = folder else { return ExitCode::SUCCESS };
    for (name, text) in [("storm.md", measured.page), ("storm.svg", measured.plot)] {
        if let Err(problem) = std::fs::write(folder.join(name), text) {
            eprintln!("sim: cannot write {}: {problem}", folder.join(name).display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

struct Options {
    seeds: std::ops::Range<u64>,
    plan: Plan,
    /// Runs spent on making a failing plan smaller.
    shrink: u32,
    /// Where what was lived through is written.
    results: Option<PathBuf>,
}

fn explore(Options { seeds, plan, shrink, results }: Options) -> ExitCode {
    let many = seeds.end - seeds.start;
    let mut speed = Speed::new(&plan, seeds.start);
    for seed in seeds {
        match run(Plan { seed, ..plan }) {
            Ok(report) => {
                speed.add(&plan, &report);
                if many == 1 {
                    println!("seed {seed}: {report:?}");
                } else if seed % 1_000 == 999 {
                    println!("{} seeds held: {:?}", seed + 1, speed.met);
                }
            }
            Err(broken) => {
                eprintln!("{broken}");
                let mut smallest = Plan { seed, ..plan };
                if shrink > 0 {
                    let (smaller, still) = sim::shrink(smallest, shrink);
                    if smaller != smallest {
                        eprintln!("smaller: {}\n  replay: {}", still.unwrap_or_default(), smaller.command());
                        smallest = smaller;
                    }
                }
                speed.broken = Some(smallest.command());
                break;
            }
        }
    }
    speed.cpu_s = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat));
    println!("{speed}");
    if let Some(file) = results
        && let Err(problem) = std::fs::write(&file, speed.to_json())
    {
        eprintln!("sim: cannot write {}: {problem}", file.display());
        return ExitCode::FAILURE;
    }
    if speed.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let mut plan = Plan::seeded(0);
    let (mut seeds, mut from, mut shrink, mut results) = (0..1, 0, 0, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        if word == "--results" {
            results = Some(PathBuf::from(value));
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("{word} needs a number, not {value}"))?;
        let small = || usize::try_from(number).map_err(|_| format!("{word}: too many"));
        let trouble = TROUBLES.iter().find(|(_, name)| word.strip_prefix("--") == Some(name));
        match (word.as_str(), trouble) {
            ("--seed", _) => seeds = number..number + 1,
            ("--seeds", _) => seeds = 0..number,
            ("--from", _) => from = number,
            ("--devices", _) => plan.devices = small()?,
            ("--tabs", _) => plan.tabs = small()?,
            ("--taps", _) => plan.taps = number,
            ("--weather-ms", _) => plan.weather_ms = number,
            ("--hours", _) => plan.weather_ms = number.saturating_mul(3_600_000),
            ("--shrink", _) => shrink = u32::try_from(number).map_err(|_| "too many runs".to_owned())?,
            (_, Some((trouble, _))) => {
                let force = u8::try_from(number).map_err(|_| format!("{word}: 0 to 10"))?;
                plan.force = plan.force.with(*trouble, force);
            }
            (other, None) => return Err(format!("unknown option {other}")),
        }
    }
    seeds.start = seeds.start.max(from);
    Ok(Options { seeds, plan, shrink, results })
}
