//! `cargo xtask ci`: what has to hold before a change lands. A step that fails hides none of the later ones.

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET};
use crate::report::Report;
use crate::{size, suites, tools};

/// The steps, then every suite, then the size.
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
    report.step("docs", || docs(place, &["--workspace"]));
    report.step("docs wasm", || docs(place, &["-p", "conch", "--target", WASM_TARGET]));
    if let Err(fault) = suites::run(place, "", report) {
        report.step("suites", || Err(fault));
    }
    report.step("size", || size::weigh(place));
    Ok(())
}

/// Bans, licences and sources; advisories need a network that not every machine has.
fn deny(place: &Place) -> Result<(), Fault> {
    let mut deny = place.command(tools::cargo_deny(place)?.join("cargo-deny"));
    deny.args(["check", "bans", "licenses", "sources"]);
    child::run(deny)
}

fn docs(place: &Place, which: &[&str]) -> Result<(), Fault> {
    let mut doc = place.cargo(&["doc", "--no-deps"]);
    doc.args(which).env("RUSTDOCFLAGS", "-D warnings");
    child::run(doc)
}
