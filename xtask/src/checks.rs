//! `cargo xtask ci`: what has to hold before a change lands. A step that fails hides none of the later ones.

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET};
use crate::report::Report;
use crate::suites::{self, Choice};
use crate::{pack, passed, size, tools};

/// The crates whose decisions the simulator runs too, on its own clock.
const PURE: [&str; 2] = ["city-domain", "conch"];
/// What would bring a clock, a socket or a database of its own.
const IMPURE: [&str; 7] = ["axum", "hyper", "libsqlite3-sys", "mio", "reqwest", "rusqlite", "tokio"];

/// The steps, then every suite, then the package and its size.
pub(crate) fn run(place: &Place, report: &mut Report) -> Result<(), Fault> {
    report.step("fmt", || child::run(place.cargo(&["fmt", "--all", "--check"])));
    report.step("clippy", || {
        child::run(place.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    report.step("clippy wasm", || {
        tools::ensure_wasm_target(place)?;
        let parts =
            ["clippy", "-p", "conch", "--lib", "--tests", "--target", WASM_TARGET, "--", "-D", "warnings"];
        child::run(place.cargo(&parts))
    });
    report.step("deny", || deny(place));
    report.step("purity", || PURE.into_iter().try_for_each(|package| stays_pure(place, package)));
    report.step("docs", || docs(place, &["--workspace"]));
    report.step("docs wasm", || docs(place, &["-p", "conch", "--target", WASM_TARGET]));
    match suites::run(place, &Choice::everything(), report) {
        Ok(ran) => report.step("engines table", || passed::check(place, &ran)),
        Err(fault) => report.step("suites", || Err(fault)),
    };
    for (name, check) in pack::CHECKS {
        report.step(name, || check(place));
    }
    report.step("size", || size::weigh(place));
    Ok(())
}

/// Bans, licences and sources; advisories need a network that not every machine has.
fn deny(place: &Place) -> Result<(), Fault> {
    let mut deny = place.command(tools::cargo_deny(place)?.join("cargo-deny"));
    deny.args(["--workspace", "check", "bans", "licenses", "sources"]);
    child::run(deny)
}

/// Looks through everything a crate depends on, however indirectly.
fn stays_pure(place: &Place, package: &str) -> Result<(), Fault> {
    let tree = place.cargo(&[
        "tree",
        "-p",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let answer =
        child::answer(tree).ok_or_else(|| Fault::advice(format!("`cargo tree -p {package}` fails")))?;
    let names: Vec<_> = answer.lines().filter_map(|line| line.split_whitespace().next()).collect();
    println!("  {package}: {} packages", names.len());
    match IMPURE.iter().find(|impure| names.contains(impure)) {
        Some(impure) => Err(Fault::advice(format!(
            "{package} must not depend on {impure}: cargo tree -p {package} -i {impure}"
        ))),
        None => Ok(()),
    }
}

fn docs(place: &Place, which: &[&str]) -> Result<(), Fault> {
    let mut doc = place.cargo(&["doc", "--no-deps"]);
    doc.args(which).env("RUSTDOCFLAGS", "-D warnings");
    child::run(doc)
}
