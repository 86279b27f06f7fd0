//! Where things are: the checkout, cargo's output, the tool cache, programs on PATH.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::Fault;

/// The wasm target every part of the build agrees on.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The directories all commands work in.
pub(crate) struct Place {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, the one this very program was built into.
    pub(crate) target: PathBuf,
    /// Installed tools, outside the checkout so that they survive a new clone.
    pub(crate) tools: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self, Fault> {
        // `cargo run` names the manifest's folder; without cargo the folder of the build serves.
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().map(Path::to_path_buf);
        let program = env::current_exe().map_err(Fault::io("cannot tell where xtask runs from"))?;
        // <target>/<profile>/xtask
        let target = program.ancestors().nth(2).map(Path::to_path_buf);
        match (root, target) {
            (Some(root), Some(target)) => Ok(Self { root, target, tools: tool_cache()? }),
            _ => Err(Fault::advice("cannot find the checkout: start xtask as `cargo xtask`")),
        }
    }

    /// A program, started in the checkout.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo, building into the same directory whatever folder the user stands in.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.env("CARGO_TARGET_DIR", &self.target).args(arguments);
        command
    }

    /// npm, in the workspace root.
    pub(crate) fn npm(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("npm");
        command.args(arguments);
        command
    }

    /// The wasm, its bindings and what an importer gets.
    pub(crate) fn bindings(&self) -> PathBuf {
        self.root.join("npm/dist")
    }

    /// The pages as the city serves them.
    pub(crate) fn pages(&self) -> PathBuf {
        self.root.join("www/dist")
    }

    /// The city's binary.
    pub(crate) fn city(&self) -> PathBuf {
        self.target.join("release/city")
    }
}

fn tool_cache() -> Result<PathBuf, Fault> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("CONCH_TOOLS")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("conch/tools")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/conch/tools")))
        .ok_or_else(|| {
            Fault::missing("HOME is not set, so there is no place for tools", "export CONCH_TOOLS=<folder>")
        })
}

/// The file a shell would start for `program`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

/// PATH with `folders` in front.
pub(crate) fn path_with(folders: &[&Path]) -> Result<OsString, Fault> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().map(|folder| folder.to_path_buf()).chain(env::split_paths(&path));
    env::join_paths(all)
        .map_err(|_| Fault::advice("a folder on PATH has a colon in its name: take it off PATH"))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
