//! Replays one seed of the deterministic world, or explores seeds one after the other.
//!
//! `cargo run -p sim -- --seed 7` replays; `cargo run --release -p sim -- --seeds 10000` explores and stops at the
//! first broken promise.

use sim::{Plan, run};
use std::process::ExitCode;

const USAGE: &str = "usage: sim [--seed N | --seeds COUNT] [--devices N] [--weather-ms MS]";

fn main() -> ExitCode {
    match options() {
        Ok((seeds, plan)) => explore(seeds, plan),
        Err(problem) => {
            eprintln!("sim: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn explore(seeds: std::ops::Range<u64>, plan: Plan) -> ExitCode {
    let many = seeds.end - seeds.start;
    for seed in seeds {
        match run(Plan { seed, ..plan }) {
            Ok(report) if many == 1 => println!("seed {seed}: {report:?}"),
            Ok(_) if seed % 1_000 == 999 => println!("{} seeds held", seed + 1),
            Ok(_) => {}
            Err(broken) => {
                eprintln!("{broken}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn options() -> Result<(std::ops::Range<u64>, Plan), String> {
    let mut plan = Plan { seed: 0, devices: 2, weather_ms: 300_000 };
    let mut seeds = 0..1;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{word} needs a number, not {value}"))?;
        match word.as_str() {
            "--seed" => seeds = number..number + 1,
            "--seeds" => seeds = 0..number,
            "--devices" => {
                plan.devices = usize::try_from(number).map_err(|_| "too many devices".to_owned())?
            }
            "--weather-ms" => plan.weather_ms = number,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok((seeds, plan))
}
