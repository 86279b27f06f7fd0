//! The browser suites compiled: once per file, for all engines and contexts.

use std::path::PathBuf;

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET};
use crate::tools;

/// What cargo made of the files in tests/.
#[derive(Default)]
pub(crate) struct Binaries(Vec<(String, PathBuf)>);

impl Binaries {
    /// Each run rewrites its binary; without the debug information, which browsers do not show, that takes half the
    /// time. Names stay in stack traces, and panics say their line.
    pub(crate) const WITHOUT_DEBUG_INFO: (&str, &str) = ("CARGO_PROFILE_DEV_DEBUG", "0");

    /// Compiles these files, and shows how that goes.
    pub(crate) fn compile(place: &Place, files: &[&String]) -> Result<Self, Fault> {
        tools::ensure_wasm_target(place)?;
        tools::wasm_bindgen(place)?;
        let compile = |more: &[&str]| {
            let mut cargo = place.cargo(&["test", "--no-run", "-p", "conch", "--target", WASM_TARGET]);
            cargo.args(files.iter().flat_map(|file| ["--test", file.as_str()])).args(more);
            let (name, value) = Self::WITHOUT_DEBUG_INFO;
            cargo.env(name, value);
            cargo
        };
        child::run(compile(&[]))?;
        let messages = child::answer(compile(&["--message-format", "json"]))
            .ok_or_else(|| Fault::advice("cargo does not say where the browser tests are"))?;
        let found = |file: &&String| Some(((*file).clone(), executable(&messages, file)?));
        Ok(Self(files.iter().filter_map(found).collect()))
    }

    /// The binary of a file.
    pub(crate) fn of(&self, file: &str) -> Result<&PathBuf, Fault> {
        let found = self.0.iter().find(|(own, _)| own == file).map(|(_, path)| path);
        found.ok_or_else(|| Fault::advice("not run, because it was not compiled"))
    }
}

/// The path in the message about the test of this name, of cargo's messages one JSON object a line.
fn executable(messages: &str, file: &str) -> Option<PathBuf> {
    let name = format!(r#""name":"{file}""#);
    let mut tests =
        messages.lines().filter(|line| line.contains(r#""kind":["test"]"#) && line.contains(&name));
    let (_, rest) = tests.next()?.split_once(r#""executable":""#)?;
    Some(rest.split_once('"')?.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","target":{"kind":["cdylib","rlib"],"name":"conch"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"crate_types":["bin"],"name":"web_edge"},"filenames":["/t/web_edge-1.wasm"],"executable":"/t/web_edge-1.wasm","fresh":true}
{"reason":"compiler-artifact","target":{"kind":["test"],"crate_types":["bin"],"name":"web_store"},"filenames":["/t/web_store-2.wasm"],"executable":"/t/web_store-2.wasm","fresh":true}
{"reason":"build-finished","success":true}"#;

    #[test]
    fn a_binary_is_found_by_its_files_name() {
        assert_eq!(executable(MESSAGES, "web_store"), Some("/t/web_store-2.wasm".into()));
        assert_eq!(executable(MESSAGES, "web_edge"), Some("/t/web_edge-1.wasm".into()));
        assert_eq!(executable(MESSAGES, "web"), None);
        assert_eq!(executable(MESSAGES, "conch"), None);
    }
}
