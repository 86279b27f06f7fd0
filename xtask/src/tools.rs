//! What must be on the machine: prerequisites the user brings, and tools we bring ourselves, in fitting versions.

use std::fs;
use std::path::{Path, PathBuf};

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET, is_executable, on_path, path_with};

/// The oldest Node the pages' build tools run on; package.json's `engines` says the same to npm.
const NODE_OLDEST: (u32, u32) = (20, 19);
const GET_NODE: &str =
    "curl -fsSL https://deb.nodesource.com/setup_20.x | sudo bash - && sudo apt-get install -y nodejs";
const GET_RUSTUP: &str = "curl --proto '=https' -sSf https://sh.rustup.rs | sh";
const GET_PYTHON: &str = "sudo apt-get install -y python3 python3-venv";
/// The oldest Python the judges from PyPI run on.
const PYTHON_OLDEST: (u32, u32) = (3, 11);
const GET_CC: &str = "sudo apt-get install -y build-essential";

const WASM_PACK: &str = "0.15.1";
const CARGO_DENY: &str = "0.20.2";
const GECKODRIVER: &str = "0.37.0";

/// Checks what the user brings: a C compiler, Node and npm.
pub(crate) fn check_prerequisites(place: &Place) -> Result<(), Fault> {
    if on_path("cc").is_none() {
        return Err(Fault::missing("no C compiler (`cc`), which SQLite is built with", GET_CC));
    }
    let mut node = place.command("node");
    node.arg("--version");
    let Some(version) = child::answer(node) else {
        return Err(Fault::missing("Node is missing", GET_NODE));
    };
    if node_version(&version).is_none_or(|version| version < NODE_OLDEST) {
        let (major, minor) = NODE_OLDEST;
        return Err(Fault::missing(
            format!("Node {version} is too old, {major}.{minor} is the oldest"),
            GET_NODE,
        ));
    }
    if on_path("npm").is_none() {
        return Err(Fault::missing("npm is missing", "sudo apt-get install -y npm"));
    }
    Ok(())
}

/// The version of a Python that can make virtual environments. Only the judges from PyPI need one.
pub(crate) fn python(place: &Place) -> Result<String, Fault> {
    let mut ask = place.command("python3");
    ask.args(["-c", "import venv, ensurepip, platform; print(platform.python_version())"]);
    let Some(version) = child::answer(ask) else {
        return Err(Fault::missing("python3 is missing, or its venv and pip are", GET_PYTHON));
    };
    if dotted(&version).is_none_or(|own| own < PYTHON_OLDEST) {
        let (major, minor) = PYTHON_OLDEST;
        return Err(Fault::missing(
            format!("Python {version} is too old, {major}.{minor} is the oldest"),
            GET_PYTHON,
        ));
    }
    Ok(version)
}

/// Adds the wasm target to the toolchain the checkout names.
pub(crate) fn ensure_wasm_target(place: &Place) -> Result<(), Fault> {
    let mut libraries = place.command("rustc");
    libraries.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    if child::answer(libraries).is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    if on_path("rustup").is_none() {
        return Err(Fault::missing("rustup is missing, so the wasm target cannot be added", GET_RUSTUP));
    }
    let mut add = place.command("rustup");
    add.args(["target", "add", WASM_TARGET]);
    child::run(add)
}

/// The folder of `wasm-bindgen` and its test runner, of exactly the version Cargo.lock has: they must not differ.
pub(crate) fn wasm_bindgen(place: &Place) -> Result<PathBuf, Fault> {
    let lock = place.root.join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(Fault::io("cannot read Cargo.lock"))?;
    let version = locked_version(&text, "wasm-bindgen")?;
    ensure(place, "wasm-bindgen-cli", &["wasm-bindgen", "wasm-bindgen-test-runner"], version)
}

/// The folder of `wasm-pack`.
pub(crate) fn wasm_pack(place: &Place) -> Result<PathBuf, Fault> {
    ensure(place, "wasm-pack", &["wasm-pack"], WASM_PACK)
}

/// The folder of `cargo-deny`.
pub(crate) fn cargo_deny(place: &Place) -> Result<PathBuf, Fault> {
    ensure(place, "cargo-deny", &["cargo-deny"], CARGO_DENY)
}

/// Firefox's driver, which Debian does not package.
pub(crate) fn geckodriver(place: &Place) -> Result<PathBuf, Fault> {
    Ok(ensure(place, "geckodriver", &["geckodriver"], GECKODRIVER)?.join("geckodriver"))
}

/// Firefox's driver, if it is there already.
pub(crate) fn found_geckodriver(place: &Place) -> Option<PathBuf> {
    Some(found(place, "geckodriver", &["geckodriver"], GECKODRIVER)?.join("geckodriver"))
}

/// Finds the tool in the cache or on PATH, else installs it into the cache.
fn ensure(place: &Place, package: &str, programs: &[&str], version: &str) -> Result<PathBuf, Fault> {
    if let Some(folder) = found(place, package, programs, version) {
        return Ok(folder);
    }
    let home = home(place, package, version);
    println!("  installing {package} {version}: once, a few minutes");
    child::run(installation(place, package, version, &home))?;
    Ok(home.join("bin"))
}

fn found(place: &Place, package: &str, programs: &[&str], version: &str) -> Option<PathBuf> {
    let cached = home(place, package, version).join("bin");
    if programs.iter().all(|program| is_executable(&cached.join(program))) {
        return Some(cached);
    }
    fitting_on_path(place, programs, version)
}

fn home(place: &Place, package: &str, version: &str) -> PathBuf {
    place.tools.join(format!("{package}-{version}"))
}

fn fitting_on_path(place: &Place, programs: &[&str], version: &str) -> Option<PathBuf> {
    let folder = on_path(programs.first()?)?.parent()?.to_path_buf();
    let fits = |program: &&str| {
        let mut ask = place.command(folder.join(program));
        ask.arg("--version");
        child::answer(ask).is_some_and(|answer| answer.split_whitespace().nth(1) == Some(version))
    };
    programs.iter().all(fits).then_some(folder)
}

/// Not `--locked`: a lock file that is ahead of a registry mirror cannot be installed.
/// Tools run for seconds and are compiled once, so compiling fast beats running fast.
fn installation(place: &Place, package: &str, version: &str, home: &Path) -> std::process::Command {
    let mut install = place.command("cargo");
    install
        .args(["install", package, "--version", &format!("={version}"), "--root"])
        .arg(home)
        .arg("--target-dir")
        .arg(place.target.join("tools"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    // Cargo warns that the folder is not on PATH; nobody needs it there.
    if let Ok(path) = path_with(&[&home.join("bin")]) {
        install.env("PATH", path);
    }
    install
}

/// The version of a package in Cargo.lock.
fn locked_version<'lock>(lock: &'lock str, package: &str) -> Result<&'lock str, Fault> {
    let mut versions = lock.split("[[package]]").filter(|entry| field(entry, "name") == Some(package));
    let found = versions.next().and_then(|entry| field(entry, "version"));
    match (found, versions.next()) {
        (Some(version), None) => Ok(version),
        (Some(_), Some(_)) => {
            Err(Fault::advice(format!("Cargo.lock has two versions of {package}: pin one in Cargo.toml")))
        }
        (None, _) => {
            Err(Fault::missing(format!("Cargo.lock does not have {package}"), "cargo update --workspace"))
        }
    }
}

/// The value of `name = "value"` in an entry of Cargo.lock.
fn field<'lock>(entry: &'lock str, name: &str) -> Option<&'lock str> {
    entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
}

/// `v20.19.4` → (20, 19).
fn node_version(version: &str) -> Option<(u32, u32)> {
    dotted(version.strip_prefix('v')?)
}

/// `3.11.2` → (3, 11).
fn dotted(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"# This file is automatically @generated by Cargo.
version = 4

[[package]]
name = "wasm-bindgen-shared"
version = "0.2.129"
source = "registry+index"
checksum = "0123"
dependencies = [
 "wasm-bindgen",
]

[[package]]
name = "wasm-bindgen"
version = "0.2.130"
source = "registry+index"

[[package]]
name = "hashbrown"
version = "0.15.5"

[[package]]
name = "hashbrown"
version = "0.16.1"
"#;

    #[test]
    fn the_locked_version_is_the_packages_own() {
        assert_eq!(locked_version(LOCK, "wasm-bindgen").unwrap(), "0.2.130");
        assert_eq!(locked_version(LOCK, "wasm-bindgen-shared").unwrap(), "0.2.129");
    }

    #[test]
    fn an_absent_or_doubled_package_is_a_fault_that_names_it() {
        for package in ["wasm", "hashbrown"] {
            assert!(locked_version(LOCK, package).unwrap_err().to_string().contains(package));
        }
    }

    #[test]
    fn the_real_lock_pins_one_wasm_bindgen() {
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
        assert!(locked_version(&lock, "wasm-bindgen").is_ok());
    }

    #[test]
    fn node_versions_are_compared_as_numbers() {
        assert_eq!(node_version("v20.20.2"), Some((20, 20)));
        assert!(node_version("v18.19.0") < Some(NODE_OLDEST));
        assert!(node_version("v20.9.0") < Some(NODE_OLDEST));
        assert!(node_version("v100.0.0") > Some(NODE_OLDEST));
        assert_eq!(node_version("20"), None);
    }
}
