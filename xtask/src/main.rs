//! `cargo xtask`: everything that is done to this repository, as commands.
//!
//! A command first makes sure of what it needs, then does it, and skips what is done already. It never asks
//! questions, so it runs the same on a developer's machine and in CI.

mod binaries;
mod build;
mod checks;
mod child;
mod counts;
mod display;
mod engine;
mod fault;
mod foreign;
mod marked;
mod names;
mod pack;
mod passed;
mod place;
mod proof;
mod report;
mod size;
mod squeeze;
mod stamp;
mod suites;
mod tables;
mod tools;
mod up;

use std::process::ExitCode;

use fault::Fault;
use place::Place;
use report::Report;
use suites::Choice;

const HELP: &str = "\
cargo xtask <command>: two commands do everything

  up                Install what is missing, build wasm, pages and city, start the city with a small market in data/
                    and print the pages' links and a sheet of tickets. Ctrl-C stops it. A second run takes seconds.
                      --listen 127.0.0.1:8787   where the city listens
                      --data data               where the city keeps its database
                      --lan                     over TLS under this machine's address, with a QR code for a phone
  test [filter]     Build the same, fetch browser and driver, run every suite; the last line is `N passed, N failed`.
                    With a filter, only the suites whose name contains it: `cargo xtask test web`.
                    Browser suites run in Chromium, and in Firefox and WebKitGTK where they are installed.
                      --all-engines             install those two as well, and require them

and the parts of them

  build             Only wasm and pages: npm/dist and www/dist.
  pack              The npm package as a tarball in target/pack, checked: what it promises is in it (publint), its types
                    are found (attw), are those of the real exports (bindings) and can be read (typedoc).
  limits            docs/limits.md as src/limits.rs has it: `cargo xtask limits > docs/limits.md`.
  contracts         The schemas of all events and the city's addresses in contracts/, as the code has them; with --check
                    fail where they differ or break a release.
  size              What a browser downloads, gzipped, against its limits: the SDK, and each page beside it.
  story             The night of a market against the real city, told as it happens; fails when a promise broke.
  storm             Ten thousand devices that come back at once, against what cannot be done better: writes docs/storm.md and
                    its plot; fails when a bound does not hold.
  bench city        How fast the city takes events in, beside what disk and loopback of this machine allow.
  bench gate        How long a ticket takes from the camera's frame to the tone, and what decoders read: writes the tables of
                    docs/scanner.md.
  sim [options]     One seed of the deterministic world, or many: `cargo xtask sim --seed 7`, `--seeds 10000 --shrink 300`;
                    `cargo xtask sim mutants` plants known faults and says how soon each is found.
  proof [filter]    The long rounds: ten thousand seeds of the world, planted faults, a city killed under payments,
                    thousands of drawn histories, hundreds of thousands of changed texts before every reader, browsers
                    killed while they store and send, their logs torn, their flushes watched, eight tabs in bad weather.
                    Each part leaves its results in target/proof, and what held at this commit is skipped; at the
                    end docs/proof.md is written from them. With a filter, only those whose name contains it:
                    `cargo xtask proof browser`.
                      --anew            runs all again
                      --small           as little of each as shows that it works, with results in target/proof/small
  proof page        docs/proof.md from the results there are; a part without results keeps what stands.
  engines           The suites in every context of every engine, and from that run the tables of docs/engines.md.
  ci                fmt, clippy, deny, docs, test --all-engines, pack and size: what has to hold before a change lands.

Tools are kept in ~/.cache/conch/tools (CONCH_TOOLS names another place) and survive `cargo clean`.
Needed beforehand: rustup, Node 20 with npm, build-essential; for `test foreign` also Python 3 with venv. Whatever is missing is named with what to type.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Up(up::Options),
    Build,
    Test(Choice),
    Ci,
    Limits,
    Contracts { check: bool },
    Pack,
    Size,
    Story,
    Storm,
    Sim { words: Vec<String> },
    Proof(proof::Choice),
    ProofPage(proof::Scale),
    Engines,
    Bench,
    BenchGate,
    Help,
}

fn main() -> ExitCode {
    let result = Wish::parse(std::env::args().skip(1)).and_then(fulfil);
    match result {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn fulfil(wish: Wish) -> Result<ExitCode, Fault> {
    let place = Place::find()?;
    match wish {
        Wish::Help => println!("{HELP}"),
        Wish::Build => build::browser_side(&place)?,
        Wish::Up(options) => up::run(&place, &options)?,
        Wish::Limits => print!("{}", tables::limits(&place)?),
        Wish::Contracts { check } => tables::contracts(&place, check)?,
        Wish::Pack => pack::run(&place)?,
        Wish::Size => size::weigh(&place)?,
        Wish::Story => proof::story(&place)?,
        Wish::Storm => proof::storm(&place)?,
        Wish::Sim { words } => proof::sim(&place, &words)?,
        Wish::Bench => proof::bench(&place)?,
        Wish::BenchGate => proof::bench_gate(&place)?,
        Wish::ProofPage(scale) => proof::renew(&place, scale)?,
        Wish::Proof(choice) => {
            let mut report = Report::new();
            proof::run(&place, &choice, &mut report)?;
            if choice.is_everything() {
                report.step("proof page", || proof::renew(&place, choice.scale));
            }
            return Ok(report.close());
        }
        Wish::Engines => {
            let mut report = Report::new();
            engines(&place, &mut report)?;
            return Ok(report.close());
        }
        Wish::Test(choice) => {
            let mut report = Report::new();
            let ran = suites::run(&place, &choice, &mut report)?;
            if choice == Choice::everything() {
                report.step("engines table", || passed::renew(&place, &ran));
            }
            return Ok(report.close());
        }
        Wish::Ci => {
            let mut report = Report::new();
            checks::run(&place, &mut report)?;
            return Ok(report.close());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the engines offer is measured first: the suites then hold themselves against it.
fn engines(place: &Place, report: &mut Report) -> Result<(), Fault> {
    let offers = suites::offers(place, report)?;
    report.step("offers table", || passed::offers(place, &offers));
    let ran = suites::run(place, &Choice::in_browsers(), report)?;
    report.step("engines table", || passed::renew(place, &ran));
    print!("\n{}", passed::tables(place)?);
    Ok(())
}

impl Wish {
    /// `proof page` runs nothing: no long run is called so.
    fn of_proof(choice: proof::Choice) -> Self {
        if choice.filter == "page" { Self::ProofPage(choice.scale) } else { Self::Proof(choice) }
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let Some(command) = words.next() else { return Ok(Self::Help) };
        let wish = match command.as_str() {
            "up" => return up::Options::parse(words).map(Self::Up),
            "test" => return Choice::parse(words).map(Self::Test),
            "build" => Self::Build,
            "ci" => Self::Ci,
            "limits" => Self::Limits,
            "contracts" => match words.next().as_deref() {
                None => return Ok(Self::Contracts { check: false }),
                Some("--check") => Self::Contracts { check: true },
                Some(other) => {
                    return Err(Fault::advice(format!("`contracts` takes --check, not `{other}`")));
                }
            },
            "pack" => Self::Pack,
            "size" => Self::Size,
            "story" => Self::Story,
            "storm" => Self::Storm,
            "sim" => Self::Sim { words: words.by_ref().collect() },
            "proof" => return proof::Choice::parse(words).map(Self::of_proof),
            "engines" => Self::Engines,
            "bench" => match words.next().as_deref() {
                Some("city") => Self::Bench,
                Some("gate") => Self::BenchGate,
                other => {
                    let other = other.unwrap_or("nothing");
                    return Err(Fault::advice(format!("`bench` takes `city` or `gate`, not `{other}`")));
                }
            },
            "help" | "-h" | "--help" => Self::Help,
            other => {
                return Err(Fault::advice(format!(
                    "there is no command `{other}`: `cargo xtask` lists them"
                )));
            }
        };
        match words.next() {
            Some(extra) => Err(Fault::advice(format!(
                "`{command}` does not take `{extra}`: `cargo xtask` shows what it takes"
            ))),
            None => Ok(wish),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Wanted;

    fn parse(line: &str) -> Result<Wish, Fault> {
        Wish::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn contracts_are_written_or_checked() {
        assert_eq!(parse("contracts").unwrap(), Wish::Contracts { check: false });
        assert_eq!(parse("contracts --check").unwrap(), Wish::Contracts { check: true });
        for line in ["contracts check", "contracts --check more"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn nothing_asked_is_a_question() {
        assert_eq!(parse("").unwrap(), Wish::Help);
    }

    #[test]
    fn test_takes_one_filter_and_the_wish_for_all_engines() {
        let test = |filter: &str, engines| Wish::Test(Choice { filter: filter.into(), engines });
        assert_eq!(parse("test").unwrap(), test("", Wanted::Installed));
        assert_eq!(parse("test web").unwrap(), test("web", Wanted::Installed));
        assert_eq!(parse("test --all-engines").unwrap(), test("", Wanted::All));
        for line in ["test web --all-engines", "test --all-engines web"] {
            assert_eq!(parse(line).unwrap(), test("web", Wanted::All));
        }
        for line in ["test web store", "test --every-engine"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn proof_takes_one_filter_a_scale_and_the_wish_for_all_again() {
        use proof::{Choice, Scale};
        let proof = |filter: &str, scale, anew| Wish::Proof(Choice { filter: filter.into(), scale, anew });
        assert_eq!(parse("proof").unwrap(), proof("", Scale::Whole, false));
        assert_eq!(parse("proof browser").unwrap(), proof("browser", Scale::Whole, false));
        assert_eq!(parse("proof --anew kills --small").unwrap(), proof("kills", Scale::Small, true));
        assert_eq!(parse("proof page").unwrap(), Wish::ProofPage(Scale::Whole));
        assert_eq!(parse("proof page --small").unwrap(), Wish::ProofPage(Scale::Small));
        for line in ["proof browser kills", "proof --again"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn up_takes_its_flags() {
        let Wish::Up(options) = parse("up --data elsewhere --listen 127.0.0.1:9000").unwrap() else {
            panic!("`up` was not understood")
        };
        assert_eq!(options.listen.port(), 9000);
        assert_eq!(options.data, std::path::Path::new("elsewhere"));
        assert!(!options.lan);
        let Wish::Up(options) = parse("up --lan --listen 192.168.1.7:9000").unwrap() else {
            panic!("`up --lan` was not understood")
        };
        assert!(options.lan);
        assert_eq!(options.listen, "192.168.1.7:9000".parse().unwrap());
    }

    #[test]
    fn what_is_not_known_is_refused_with_a_way_on() {
        for line in
            ["deploy", "ci fast", "up --port 1", "up --listen", "up --listen here", "up --listen 127.0.0.1:0"]
        {
            let fault = parse(line).unwrap_err().to_string();
            assert!(fault.contains('`') && !fault.contains('\n'), "{line}: {fault}");
        }
    }
}
