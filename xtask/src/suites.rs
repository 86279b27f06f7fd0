//! The test suites: which there are, what each needs, how each is run and judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::browser::{self, Browser};
use crate::build;
use crate::child;
use crate::counts::{Counts, Format};
use crate::fault::Fault;
use crate::pack;
use crate::place::{Place, path_with};
use crate::report::{Outcome, Report};
use crate::tools;

/// A file in tests/ with one of these beginnings runs in a browser.
const BROWSER_SUITES: [&str; 2] = ["web_", "worker_"];
/// Seconds a browser suite may take; the runner's own 20 are short for a cold browser on a busy machine.
const BROWSER_SUITE_S_MAX: &str = "180";
/// The workspaces that drive the real pages against a real city, and the packed package in strangers' pages. They are
/// expected: if one lost its script, that shows as a failure and not as silence.
const EXPECTED_SUITES: [&str; 2] = ["npm/packed", "www/e2e"];
/// Prints the npm workspaces that have tests.
const TESTED_WORKSPACES: &str = "const read = (f) => JSON.parse(require('fs').readFileSync(f, 'utf8')); \
     read('package.json').workspaces.filter((w) => read(w + '/package.json').scripts?.test).join('\\n')";

#[derive(Debug, PartialEq, Eq)]
struct Suite {
    name: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// All crates, with their doctests.
    Native,
    /// A file in tests/, in headless Chromium.
    Browser,
    /// An npm script of the root that checks all workspaces.
    Script,
    /// The tests of an npm workspace, by its folder.
    Workspace(String),
}

/// Runs every suite whose name contains `filter`, each whether or not an earlier one failed.
/// A fault means that nothing could start: a prerequisite is missing, or the filter names nothing.
pub(crate) fn run(place: &Place, filter: &str, report: &mut Report) -> Result<(), Fault> {
    tools::check_prerequisites(place)?;
    let all = list(place)?;
    let names: Vec<_> = all.iter().map(|suite| suite.name.as_str()).collect();
    let names = names.join(", ");
    let suites: Vec<_> = all.into_iter().filter(|suite| suite.name.contains(filter)).collect();
    if suites.is_empty() {
        return Err(Fault::advice(format!("no suite has `{filter}` in its name; there are {names}")));
    }
    let browser = if suites.iter().any(|suite| suite.kind.needs_browser()) {
        Some(browser::ensure(place)?)
    } else {
        None
    };
    let needs_build = suites.iter().any(|suite| suite.kind.needs_build());
    let build = || build::everything(place).and_then(|()| pack::tarball(place).map(drop));
    let built = !needs_build || report.step("build", build);

    for suite in &suites {
        report.suite(&suite.name, || {
            if suite.kind.needs_build() && !built {
                return Err(Fault::advice("not run, because the build failed"));
            }
            let (status, counts) =
                child::count(suite.command(place, browser.as_ref())?, suite.kind.format())?;
            Ok(judge(&suite.kind, status, counts))
        });
    }
    Ok(())
}

fn list(place: &Place) -> Result<Vec<Suite>, Fault> {
    let mut suites = vec![Suite { name: "native".into(), kind: Kind::Native }];
    suites.extend(browser_suites(&place.root.join("tests"))?);
    suites.extend(["typecheck", "lint"].map(|name| Suite { name: name.into(), kind: Kind::Script }));
    let mut ask = place.command("node");
    ask.args(["-p", TESTED_WORKSPACES]);
    let answer =
        child::answer(ask).ok_or_else(|| Fault::advice("package.json's workspaces cannot be read"))?;
    let mut folders: Vec<_> = answer.lines().filter(|folder| !folder.is_empty()).collect();
    for expected in EXPECTED_SUITES {
        if !folders.contains(&expected) {
            folders.push(expected);
        }
    }
    suites.extend(folders.into_iter().map(|folder| Suite {
        name: folder.rsplit('/').next().unwrap_or(folder).to_owned(),
        kind: Kind::Workspace(folder.to_owned()),
    }));
    Ok(suites)
}

fn browser_suites(tests: &Path) -> Result<Vec<Suite>, Fault> {
    let mut names = Vec::new();
    for path in entries(tests)? {
        let is_suite =
            path.extension().is_some_and(|ending| ending == "rs") || path.join("main.rs").is_file();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if is_suite && BROWSER_SUITES.iter().any(|beginning| name.starts_with(beginning)) {
            names.push(name);
        }
    }
    if names.is_empty() {
        // Cargo then says that no test fits, and the suite fails: no browser suite at all is not a pass.
        names.push("web_*".to_owned());
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| Suite { name, kind: Kind::Browser }).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(Fault::io(format!("cannot read {}", folder.display())))
}

impl Kind {
    fn needs_build(&self) -> bool {
        matches!(self, Self::Workspace(_))
    }

    fn needs_browser(&self) -> bool {
        matches!(self, Self::Browser | Self::Workspace(_))
    }

    fn format(&self) -> Format {
        match self {
            Self::Native | Self::Browser => Format::Libtest,
            Self::Workspace(_) => Format::Node,
            Self::Script => Format::Nothing,
        }
    }
}

impl Suite {
    /// The command, once all it needs is there.
    fn command(&self, place: &Place, browser: Option<&Browser>) -> Result<Command, Fault> {
        let mut command = match &self.kind {
            Kind::Native => place.cargo(&["test", "--workspace", "--no-fail-fast"]),
            Kind::Script => {
                build::node_modules(place)?;
                place.npm(&["run", &self.name])
            }
            Kind::Workspace(folder) => {
                let mut command = place.npm(&["test", "--workspace", folder]);
                command.env("CONCH_CITY", place.city()).env("CONCH_PAGES", place.pages());
                command.env("CONCH_TARBALL", pack::tarball(place)?);
                command
            }
            Kind::Browser => self.wasm_pack(place, browser)?,
        };
        if let Some(browser) = browser {
            command.env("CHROMIUM", &browser.chromium).env("CHROMEDRIVER", &browser.driver);
        }
        Ok(command)
    }

    fn wasm_pack(&self, place: &Place, browser: Option<&Browser>) -> Result<Command, Fault> {
        tools::ensure_wasm_target(place)?;
        let bindgen = tools::wasm_bindgen(place)?;
        let mut command = place.command(tools::wasm_pack(place)?.join("wasm-pack"));
        command.args(["test", "--headless", "--chrome", "--mode", "no-install"]);
        if let Some(browser) = browser {
            command.arg("--chromedriver").arg(&browser.driver);
        }
        command.args(["--", "--test", &self.name]);
        command.env("PATH", path_with(&[&bindgen])?).env("CARGO_TARGET_DIR", &place.target);
        if std::env::var_os("WASM_BINDGEN_TEST_TIMEOUT").is_none() {
            command.env("WASM_BINDGEN_TEST_TIMEOUT", BROWSER_SUITE_S_MAX);
        }
        Ok(command)
    }
}

/// A suite is good when it ended well, nothing failed, and something ran where tests are expected.
fn judge(kind: &Kind, status: ExitStatus, mut counts: Counts) -> Outcome {
    let complaint = if !status.success() && counts.failed == 0 {
        Some(match kind {
            Kind::Script => format!("failed ({})", child::how(status)),
            _ => format!("broke outside its tests ({}): its own message is above", child::how(status)),
        })
    } else if kind.format() != Format::Nothing && counts.passed + counts.failed == 0 {
        Some("ran no test".to_owned())
    } else {
        None
    };
    if complaint.is_some() {
        counts.failed += 1;
    }
    Outcome { counts, complaint }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn judged(kind: &Kind, exit: i32, passed: u64, failed: u64) -> (u64, u64, bool) {
        let Outcome { counts, complaint } =
            judge(kind, ExitStatus::from_raw(exit << 8), Counts { passed, failed, skipped: 0 });
        (counts.passed, counts.failed, complaint.is_some())
    }

    #[test]
    fn tests_that_passed_or_failed_are_counted_as_they_are() {
        assert_eq!(judged(&Kind::Native, 0, 7, 0), (7, 0, false));
        assert_eq!(judged(&Kind::Native, 101, 6, 1), (6, 1, false));
    }

    #[test]
    fn a_suite_that_ran_nothing_fails_although_it_exits_0() {
        for kind in [Kind::Native, Kind::Browser, Kind::Workspace("www/e2e".into())] {
            assert_eq!(judged(&kind, 0, 0, 0), (0, 1, true), "{kind:?}");
        }
    }

    #[test]
    fn a_suite_that_broke_outside_its_tests_fails_once() {
        assert_eq!(judged(&Kind::Browser, 1, 0, 0), (0, 1, true));
        assert_eq!(judged(&Kind::Native, 101, 12, 0), (12, 1, true));
    }

    #[test]
    fn a_check_needs_no_tests() {
        assert_eq!(judged(&Kind::Script, 0, 0, 0), (0, 0, false));
        assert_eq!(judged(&Kind::Script, 2, 0, 0), (0, 1, true));
    }

    #[test]
    fn only_browser_files_are_browser_suites() {
        let tests = std::env::temp_dir().join(format!("xtask-suites-{}", std::process::id()));
        fs::create_dir_all(tests.join("web_deep")).unwrap();
        for file in ["web_store.rs", "worker_lock.rs", "engine.rs", "web_notes.md", "web_deep/main.rs"] {
            fs::write(tests.join(file), "").unwrap();
        }
        let names: Vec<_> = browser_suites(&tests).unwrap().into_iter().map(|suite| suite.name).collect();
        fs::remove_dir_all(&tests).unwrap();
        assert_eq!(names, ["web_deep", "web_store", "worker_lock"]);
    }
}
