//! The build: node modules, wasm with its bindings, pages, city. `up`, `test` and `build` share it.

use std::fs;
use std::path::Path;

use crate::child;
use crate::fault::Fault;
use crate::names;
use crate::place::{Place, WASM_TARGET};
use crate::squeeze;
use crate::stamp::{Fingerprint, unless_fresh};
use crate::tools;

/// wasm-opt reads from the module itself which wasm features browsers must have; naming more here would raise the floor.
/// Inlining, common subexpressions and simpler locals make the module smaller and its gzip larger by a twenty-fifth, and the gzip is what
/// travels. It finds more that is alike when functions of like names stand together, when the data is one piece, when loads
/// and stores carry no hint of their alignment, which engines make no use of, and when the branches of a function are drawn up
/// anew by one rule, which takes a function that is flat and is worth it only after a first round.
/// Rust puts the stack first, so that nothing but its very end lies in the lowest kilobyte.
const WASM_OPT: [&str; 17] = [
    "-Os",
    "--flatten",
    "--rereloop",
    "-Os",
    "-Os",
    "--low-memory-unused",
    "--one-caller-inline-max-function-size=20",
    "--always-inline-max-function-size=0",
    "--flexible-inline-max-function-size=0",
    "--skip-pass=local-cse",
    "--skip-pass=simplify-locals",
    "--skip-pass=memory-packing",
    "--dealign",
    "--reorder-functions-by-name",
    "--strip-producers",
    "--strip-debug",
    names::PASS,
];
/// Deep expressions overflow the default stack of wasm-opt's JavaScript build.
const WASM_OPT_STACK: &str = "--stack-size=4000";
/// The pages the city must find.
pub(crate) const PAGES: [&str; 4] = ["scanner", "pos", "ops", "paper"];

/// Everything that runs: browser side and city.
pub(crate) fn everything(place: &Place) -> Result<(), Fault> {
    browser_side(place)?;
    city(place)
}

/// Wasm and pages.
pub(crate) fn browser_side(place: &Place) -> Result<(), Fault> {
    package(place)?;
    pages(place)
}

/// What npm packs: the wasm, its bindings and the entries made of both.
pub(crate) fn package(place: &Place) -> Result<(), Fault> {
    tools::check_prerequisites(place)?;
    node_modules(place)?;
    wasm(place)
}

/// The node modules package-lock.json names.
pub(crate) fn node_modules(place: &Place) -> Result<(), Fault> {
    let mut inputs = Fingerprint::default();
    for file in [".npmrc", "package.json", "package-lock.json", "docs/package.json", "npm/package.json"] {
        inputs = inputs.tree(&place.root.join(file), &[])?;
    }
    // npm writes this list last, so it also tells a broken installation from a whole one.
    let installed = place.root.join("node_modules/.package-lock.json");
    unless_fresh(place, "node modules", inputs, &installed, || child::run(place.npm(&["ci"])))
}

fn wasm(place: &Place) -> Result<(), Fault> {
    tools::ensure_wasm_target(place)?;
    let mut build =
        place.cargo(&["build", "--profile", "wasm", "--target", WASM_TARGET, "--lib", "-p", "conch"]);
    build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", nameless(place)?);
    child::run(build)?;

    let module = place.target.join(WASM_TARGET).join("wasm/conch.wasm");
    let optimizer = place.root.join("node_modules/binaryen");
    // Its version and not its path: a tool can be replaced where it stands.
    let mut ask = place.command(tools::wasm_bindgen(place)?.join("wasm-bindgen"));
    ask.arg("--version");
    let version = child::answer(ask).ok_or_else(|| Fault::advice("wasm-bindgen does not say its version"))?;
    let inputs = Fingerprint::default()
        .tree(&module, &[])?
        .tree(&optimizer.join("package.json"), &[])?
        .word(&version)
        .tree(&place.root.join("node_modules/rolldown/package.json"), &[])?
        .tree(&place.root.join("npm/face.js"), &[])?
        .tree(&place.root.join("npm/inline.js"), &[])?
        .word(&WASM_OPT.join(" "))
        .word(names::HOW)
        .word(squeeze::HOW);
    let dist = place.bindings();
    unless_fresh(place, "wasm", inputs, &dist, || {
        clear(&dist)?;
        bind(place, &module, &dist)?;
        let bound = dist.join("conch_bg.wasm");
        let mut optimize = place.command("node");
        optimize.arg(WASM_OPT_STACK).arg(optimizer.join("bin/wasm-opt")).args(WASM_OPT);
        optimize.arg(&bound).arg("-o").arg(&bound);
        let said = child::heard(optimize)?;
        let glue = dist.join("conch.js");
        rename(&glue, &bound, &said)?;
        // The glue is generated, so nobody reads it; without its comments and long names it is a third lighter.
        bundle(place, &glue, &["--format", "esm"], &glue)?;
        inline(place, &dist)
    })
}

/// Gives glue and optimized module the names by which they call each other.
fn rename(glue: &Path, module: &Path, said: &str) -> Result<(), Fault> {
    let cannot = |how: &str, file: &Path| Fault::io(format!("cannot {how} {}", file.display()));
    let long = fs::read_to_string(glue).map_err(cannot("read", glue))?;
    let bytes = fs::read(module).map_err(cannot("read", module))?;
    let (short, sealed) = names::shorten(&long, &bytes, said)?;
    fs::write(glue, short).map_err(cannot("write", glue))?;
    fs::write(module, sealed).map_err(cannot("write", module))
}

/// Flags that keep this machine's folders out of the module, so that it is the same wherever it is built.
fn nameless(place: &Place) -> Result<String, Fault> {
    let mut ask = place.command("rustc");
    ask.args(["--print", "sysroot"]);
    let sysroot = child::answer(ask).ok_or_else(|| Fault::advice("rustc does not say where it lives"))?;
    let cargo =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let cargo = cargo.map_err(|_| Fault::missing("HOME is not set", "export CARGO_HOME=<folder>"))?;
    // Of several that fit the last counts.
    let places =
        [(sysroot.clone(), "rust"), (format!("{sysroot}/lib/rustlib/src/rust"), "rust"), (cargo, "cargo")];
    let flags = places.map(|(folder, name)| format!("--remap-path-prefix={folder}={name}"));
    Ok(flags.join(" "))
}

/// Writes the glue and its types. The glue must not look for the wasm by itself: the entries say where it is, and one
/// without `import.meta` also runs as a classic script. It can put a fresh instance in the place of one that panicked.
pub(crate) fn bind(place: &Place, module: &Path, folder: &Path) -> Result<(), Fault> {
    let mut bind = place.command(tools::wasm_bindgen(place)?.join("wasm-bindgen"));
    bind.args(["--target", "web", "--omit-default-module-path", "--experimental-reset-state-function"]);
    bind.args(["--out-name", "conch", "--out-dir"]);
    bind.arg(folder).arg(module);
    child::run(bind)
}

/// The entries that hold the wasm: a module, and a classic script that leaves one global name.
fn inline(place: &Place, dist: &Path) -> Result<(), Fault> {
    let wasm = dist.join("conch_bg.wasm");
    let packed = dist.join("conch_bg.wasm.gz");
    let bytes = fs::read(&wasm).map_err(Fault::io(format!("cannot read {}", wasm.display())))?;
    fs::write(&packed, squeeze::gzip(&bytes)?)
        .map_err(Fault::io(format!("cannot write {}", packed.display())))?;
    let entry = place.root.join("npm/inline.js");
    let held = ["--module-types", ".gz:base64", "--format"];
    bundle(place, &entry, &[&held[..], &["esm"]].concat(), &dist.join("inline.js"))?;
    bundle(place, &entry, &[&held[..], &["iife", "--name", "Conch"]].concat(), &dist.join("sw.classic.js"))
}

fn bundle(place: &Place, entry: &Path, how: &[&str], output: &Path) -> Result<(), Fault> {
    let mut bundler = place.command(place.root.join("node_modules/.bin/rolldown"));
    bundler.arg(entry).args(how).args(["--minify", "--log-level", "warn", "-o"]).arg(output);
    child::run(bundler)
}

fn pages(place: &Place) -> Result<(), Fault> {
    let inputs = Fingerprint::default()
        .tree(&place.root.join("www"), &["node_modules", "dist", "e2e"])?
        .tree(&place.root.join("npm"), &["node_modules", "packed", "test"])?
        .tree(&place.root.join("package.json"), &[])?
        .tree(&place.root.join("package-lock.json"), &[])?
        .word(squeeze::HOW);
    let dist = place.pages();
    unless_fresh(place, "pages", inputs, &dist, || {
        clear(&dist)?;
        child::run(place.npm(&["run", "build"]))?;
        squeeze::folder(place, &dist)
    })?;
    for page in PAGES {
        if !dist.join(page).join("index.html").is_file() {
            return Err(Fault::advice(format!("www/{page} was built without www/dist/{page}/index.html")));
        }
    }
    Ok(())
}

/// The city's binary.
pub(crate) fn city(place: &Place) -> Result<(), Fault> {
    child::run(place.cargo(&["build", "--release", "-p", "city"]))
}

/// Removes a folder with all that is in it.
pub(crate) fn clear(folder: &Path) -> Result<(), Fault> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(Fault::io(format!("cannot clear {}", folder.display())))
}
