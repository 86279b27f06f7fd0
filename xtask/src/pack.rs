//! `cargo xtask pack`: the npm package as a tarball, and what has to hold of it before anybody installs it.
//!
//! The checks look at the tarball and not at the folder: what is missing from `files` in package.json shows only there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::build;
use crate::child;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET};
use crate::stamp::{Fingerprint, unless_fresh};

type Check = fn(&Place) -> Result<(), Fault>;

/// Each looks at one side of the package.
pub(crate) const CHECKS: [(&str, Check); 4] =
    [("publint", publint), ("attw", attw), ("bindings", bindings), ("typedoc", typedoc)];

/// The texts of the licence and the guide, which npm takes from the package's own folder only.
const COPIED: [(&str, &str); 4] = [
    ("LICENSE", "LICENSE"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("docs/guide.md", "guide.md"),
];

/// Packs, checks, and says where the tarball is.
pub(crate) fn run(place: &Place) -> Result<(), Fault> {
    let tarball = tarball(place)?;
    CHECKS.into_iter().try_for_each(|(_, check)| check(place))?;
    println!("\n  {}", tarball.display());
    Ok(())
}

/// The tarball, packed anew when anything in it changed.
pub(crate) fn tarball(place: &Place) -> Result<PathBuf, Fault> {
    build::package(place)?;
    let package = place.root.join("npm");
    for (from, name) in COPIED {
        fs::copy(place.root.join(from), package.join(name))
            .map_err(Fault::io(format!("cannot copy {from} into npm/")))?;
    }
    let folder = place.target.join("pack");
    let inputs = Fingerprint::default().tree(&package, &["node_modules", "packed", "test"])?;
    unless_fresh(place, "tarball", inputs, &folder, || {
        build::clear(&folder)?;
        fs::create_dir_all(&folder).map_err(Fault::io(format!("cannot make {}", folder.display())))?;
        let mut pack = place.npm(&["pack", "./npm", "--pack-destination"]);
        pack.arg(&folder);
        child::run(pack)
    })?;
    let packed = fs::read_dir(&folder).map_err(Fault::io(format!("cannot read {}", folder.display())))?;
    packed
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|file| file.extension().is_some_and(|ending| ending == "tgz"))
        .ok_or_else(|| Fault::advice("`npm pack` ended well and left no tarball"))
}

/// What package.json promises is in the tarball and of the promised kind.
fn publint(place: &Place) -> Result<(), Fault> {
    let mut lint = tool(place, "node_modules/.bin/publint");
    lint.arg("run").arg(tarball(place)?).arg("--strict");
    child::run(lint)
}

/// Every entry's types are found, however TypeScript resolves modules. The package is ESM only, and wasm has no types.
fn attw(place: &Place) -> Result<(), Fault> {
    let mut attw = tool(place, "node_modules/.bin/attw");
    attw.arg(tarball(place)?);
    attw.args(["--profile", "esm-only", "--no-definitely-typed", "--exclude-entrypoints", "conch.wasm"]);
    child::run(attw)
}

/// The types in index.d.ts are those of the real exports, in both profiles: `npm/test/bindings.ts` says what that means.
fn bindings(place: &Place) -> Result<(), Fault> {
    build::package(place)?;
    child::run(place.cargo(&["build", "--target", WASM_TARGET, "--lib", "-p", "conch"]))?;
    let debug = place.target.join("xtask/bindings");
    build::bind(place, &place.target.join(WASM_TARGET).join("debug/conch.wasm"), &debug)?;

    let generated = place.root.join("npm/test/generated");
    fs::create_dir_all(&generated).map_err(Fault::io(format!("cannot make {}", generated.display())))?;
    for (from, name) in [(debug, "debug.d.ts"), (place.bindings(), "release.d.ts")] {
        fs::copy(from.join("conch.d.ts"), generated.join(name))
            .map_err(Fault::io(format!("cannot copy the types into {}", generated.display())))?;
    }
    let mut tsc = tool(place, "node_modules/.bin/tsc");
    tsc.args(["-p", "npm/test/bindings.json"]);
    child::run(tsc)
}

/// The reference of all types can be written without a warning: everything named is there and said.
fn typedoc(place: &Place) -> Result<(), Fault> {
    build::node_modules(place)?;
    let mut typedoc = tool(place, "docs/node_modules/.bin/typedoc");
    typedoc.args(["--options", "docs/typedoc.json", "--out"]).arg(place.target.join("typedoc"));
    child::run(typedoc)
}

/// A program that the lock file brought.
fn tool(place: &Place, path: &str) -> Command {
    place.command(place.root.join(path))
}
