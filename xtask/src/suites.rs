//! The test suites: which there are, what each needs, how each is run and judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::binaries::Binaries;
use crate::build;
use crate::child;
use crate::counts::{Counts, Format};
use crate::display::Display;
use crate::engine::{self, Browser, Context, DRIVER_VARIABLES, Engine, Wanted};
use crate::fault::Fault;
use crate::foreign::{self, Judge};
use crate::pack;
use crate::place::{Place, path_with};
use crate::report::{Outcome, Report};
use crate::tools;

/// A file in tests/ with this beginning runs in browsers.
const BROWSER_SUITES: &str = "web_";
/// Seconds a browser suite may take; the runner's own 20 are short for a cold browser on a busy machine.
const BROWSER_SUITE_S_MAX: &str = "180";
/// Seconds until a driver must listen; the runner's own 5 are short for the same reason.
const DRIVER_START_S_MAX: &str = "30";
/// The module of the tests that need a document; workers have none.
const NEEDS_PAGE: &str = "page::";
/// The suite and the test of it in which an engine says what it offers.
const OFFERS_SUITE: &str = "web_hands";
const OFFERS_TEST: &str = "the_table_says_what_this_engine_offers_here";
/// The workspaces that drive the real pages against a real city, and the packed package in strangers' pages. They are
/// expected: if one lost its script, that shows as a failure and not as silence.
const EXPECTED_SUITES: [&str; 2] = ["npm/packed", PAGES_SUITE];
/// The workspace that drives the pages. In Chromium it is a suite by itself; these engines it drives through their flows.
const PAGES_SUITE: &str = "www/e2e";
const PAGES_ELSEWHERE: [Engine; 2] = [Engine::Firefox, Engine::WebKit];
/// Prints the npm workspaces that have tests.
const TESTED_WORKSPACES: &str = "const read = (f) => JSON.parse(require('fs').readFileSync(f, 'utf8')); \
     read('package.json').workspaces.filter((w) => read(w + '/package.json').scripts?.test).join('\\n')";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Only suites whose name contains this.
    pub(crate) filter: String,
    pub(crate) engines: Wanted,
}

impl Choice {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut choice = Self { filter: String::new(), engines: Wanted::Installed };
        for word in words {
            match word.as_str() {
                "--all-engines" => choice.engines = Wanted::All,
                filter if choice.filter.is_empty() && !filter.starts_with('-') => choice.filter = word,
                _ => {
                    return Err(Fault::advice(format!(
                        "`test` does not take `{word}`: `cargo xtask` shows what it takes"
                    )));
                }
            }
        }
        Ok(choice)
    }

    /// The browser suites in every engine.
    pub(crate) fn in_browsers() -> Self {
        Self { filter: BROWSER_SUITES.to_owned(), engines: Wanted::All }
    }

    /// Every suite in every engine.
    pub(crate) fn everything() -> Self {
        Self { filter: String::new(), engines: Wanted::All }
    }
}

/// A file in tests/, in one context of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrowserSuite {
    pub(crate) file: String,
    pub(crate) engine: Engine,
    pub(crate) context: Context,
}

#[derive(Debug, PartialEq, Eq)]
struct Suite {
    name: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// All crates, with their doctests.
    Native,
    Browser(BrowserSuite),
    /// An npm script of the root that checks all workspaces.
    Script,
    /// The tests of an npm workspace, by its folder.
    Workspace(String),
    /// The pages' flows in an engine that the workspaces do not drive.
    Pages(Engine),
    /// Tools and clients from outside, against a running city.
    Foreign(Judge),
}

/// What the suites of a run use together.
struct Equipment {
    browsers: Vec<Browser>,
    display: Option<Display>,
    binaries: Binaries,
}

/// Runs every suite of the choice, each whether or not an earlier one failed, and tells what ran in browsers.
/// A fault means that nothing could start: a prerequisite is missing, or the filter names nothing.
pub(crate) fn run(
    place: &Place,
    choice: &Choice,
    report: &mut Report,
) -> Result<Vec<(BrowserSuite, Counts)>, Fault> {
    tools::check_prerequisites(place)?;
    let mut suites = chosen(place, &choice.filter)?;
    let engines: Vec<_> =
        Engine::ALL.into_iter().filter(|engine| suites.iter().any(|suite| suite.needs(*engine))).collect();
    let browsers = engine::ready(place, &engines, choice.engines)?;
    suites.retain(|suite| {
        let lacks = |engine: &Engine| !browsers.iter().any(|browser| browser.engine() == *engine);
        !engines.iter().any(|engine| suite.needs(*engine) && lacks(engine))
    });
    if suites.is_empty() {
        return Err(Fault::advice("nothing is left to run: `--all-engines` installs what is missing"));
    }

    let needs_build = suites.iter().any(|suite| suite.kind.needs_build());
    let build = || build::everything(place).and_then(|()| pack::tarball(place).map(drop));
    let built = !needs_build || report.step("build", build);
    let equipment = Equipment::gather(place, &suites, browsers, report)?;
    let mut ran = Vec::new();
    for suite in suites {
        let counts = report.suite(&suite.name, || {
            if suite.kind.needs_build() && !built {
                return Err(Fault::advice("not run, because the build failed"));
            }
            let (status, counts) = suite.run(place, &equipment)?;
            Ok(judge(&suite.kind, status, counts))
        });
        if let Kind::Browser(own) = suite.kind {
            ran.push((own, counts));
        }
    }
    Ok(ran)
}

/// The rows that each engine writes of itself in each context: what it offers the outbox.
pub(crate) fn offers(place: &Place, report: &mut Report) -> Result<Vec<String>, Fault> {
    tools::check_prerequisites(place)?;
    let suites: Vec<_> = everywhere(OFFERS_SUITE).collect();
    let browsers = engine::ready(place, &Engine::ALL, Wanted::All)?;
    let equipment = Equipment::gather(place, &suites, browsers, report)?;
    let mut rows = Vec::new();
    for own in suites.iter().filter_map(|suite| suite.kind.browser()) {
        let mut command = own.runner(place, &equipment.binaries)?;
        command.args([OFFERS_TEST, "--nocapture"]);
        own.dress(&mut command, &equipment)?;
        let said = child::said(command)?;
        let begin = format!("| {} | {} |", own.engine.name(), own.context.name());
        let row = said.lines().find_map(|line| Some(line.get(line.find(&begin)?..)?.trim().to_owned()));
        rows.push(
            row.ok_or_else(|| Fault::advice(format!("{} does not say what it offers:\n{said}", own.name())))?,
        );
    }
    Ok(rows)
}

/// The suites whose name contains the filter.
fn chosen(place: &Place, filter: &str) -> Result<Vec<Suite>, Fault> {
    let (suites, others): (Vec<_>, Vec<_>) =
        list(place)?.into_iter().partition(|suite| suite.name.contains(filter));
    if suites.is_empty() {
        let names: Vec<_> = others.iter().map(|suite| suite.name.as_str()).collect();
        let names = names.join(", ");
        return Err(Fault::advice(format!("no suite has `{filter}` in its name; there are {names}")));
    }
    Ok(suites)
}

impl Equipment {
    fn gather(
        place: &Place,
        suites: &[Suite],
        browsers: Vec<Browser>,
        report: &mut Report,
    ) -> Result<Self, Fault> {
        let runs = || suites.iter().filter_map(|suite| suite.kind.browser());
        let mut display = None;
        let shown = |engine| suites.iter().any(|suite| suite.shows(engine));
        for browser in browsers.iter().filter(|browser| shown(browser.engine())) {
            display = display.or(browser.display(place)?);
        }
        let mut files: Vec<_> = runs().filter(|run| !run.goes_by_wasm_pack()).map(|run| &run.file).collect();
        files.dedup();
        let mut binaries = Binaries::default();
        if !files.is_empty() {
            report.step("browser tests", || {
                binaries = Binaries::compile(place, &files)?;
                Ok(())
            });
        }
        Ok(Self { browsers, display, binaries })
    }

    fn browser(&self, engine: Engine) -> Result<&Browser, Fault> {
        let found = self.browsers.iter().find(|browser| browser.engine() == engine);
        found.ok_or_else(|| Fault::advice(format!("{} is missing", engine.name())))
    }
}

fn list(place: &Place) -> Result<Vec<Suite>, Fault> {
    let mut suites = vec![Suite { name: "native".into(), kind: Kind::Native }];
    suites.extend(browser_suites(&place.root.join("tests"))?);
    suites.extend(["typecheck", "lint"].map(|name| Suite { name: name.into(), kind: Kind::Script }));
    suites.extend(
        PAGES_ELSEWHERE
            .map(|engine| Suite { name: format!("pages {}", engine.name()), kind: Kind::Pages(engine) }),
    );
    suites.extend(Judge::ALL.map(|judge| Suite { name: judge.name().into(), kind: Kind::Foreign(judge) }));
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
        if is_suite && name.starts_with(BROWSER_SUITES) {
            names.push(name);
        }
    }
    if names.is_empty() {
        // Cargo then says that no test fits, and the suite fails: no browser suite at all is not a pass.
        names.push("web_*".to_owned());
    }
    names.sort_unstable();
    Ok(names.iter().flat_map(|file| everywhere(file)).collect())
}

/// A file in all contexts of all engines: there is none that one of the drivers cannot reach.
fn everywhere(file: &str) -> impl Iterator<Item = Suite> {
    Engine::ALL.into_iter().flat_map(move |engine| {
        Context::ALL.into_iter().map(move |context| {
            let own = BrowserSuite { file: file.to_owned(), engine, context };
            Suite { name: own.name(), kind: Kind::Browser(own) }
        })
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(Fault::io(format!("cannot read {}", folder.display())))
}

impl BrowserSuite {
    /// `web_store firefox`, `web_store firefox worker`.
    fn name(&self) -> String {
        let (file, engine) = (&self.file, self.engine.name());
        match self.context {
            Context::Window => format!("{file} {engine}"),
            context => format!("{file} {engine} {}", context.name()),
        }
    }

    /// The way anybody would type it. It cannot reach the others: wasm-pack knows no WebKitGTK.
    fn goes_by_wasm_pack(&self) -> bool {
        self.engine == Engine::Chromium && self.context == Context::Window
    }
}

impl Kind {
    fn needs_build(&self) -> bool {
        matches!(self, Self::Workspace(_) | Self::Pages(_))
    }

    fn browser(&self) -> Option<&BrowserSuite> {
        match self {
            Self::Browser(own) => Some(own),
            _ => None,
        }
    }

    fn format(&self) -> Format {
        match self {
            Self::Native | Self::Browser(_) => Format::Libtest,
            Self::Workspace(_) | Self::Pages(_) => Format::Node,
            Self::Script => Format::Nothing,
            Self::Foreign(judge) => judge.format(),
        }
    }
}

impl Suite {
    fn needs(&self, engine: Engine) -> bool {
        match &self.kind {
            Kind::Browser(own) => own.engine == engine,
            Kind::Pages(own) => *own == engine,
            Kind::Workspace(_) => engine == Engine::Chromium,
            Kind::Native | Kind::Script | Kind::Foreign(_) => false,
        }
    }

    /// Whether it opens windows of this engine.
    fn shows(&self, engine: Engine) -> bool {
        self.needs(engine) && matches!(self.kind, Kind::Browser(_) | Kind::Pages(_))
    }

    /// Runs it, once all it needs is there.
    fn run(&self, place: &Place, equipment: &Equipment) -> Result<(ExitStatus, Counts), Fault> {
        let command = match &self.kind {
            Kind::Native => place.cargo(&["test", "--workspace", "--no-fail-fast"]),
            Kind::Script => {
                build::node_modules(place)?;
                place.npm(&["run", &self.name])
            }
            Kind::Workspace(folder) => {
                let mut command = place.npm(&["test", "--workspace", folder]);
                command.env("CONCH_CITY", place.city()).env("CONCH_PAGES", place.pages());
                if let Browser::Chromium { chromium, driver } = equipment.browser(Engine::Chromium)? {
                    command.env("CHROMIUM", chromium).env("CHROMEDRIVER", driver);
                }
                command.env("CONCH_TARBALL", pack::tarball(place)?);
                command
            }
            Kind::Pages(engine) => {
                let mut command = place.npm(&["run", "engines", "--workspace", PAGES_SUITE]);
                command.env("CONCH_CITY", place.city()).env("CONCH_PAGES", place.pages());
                let browser = equipment.browser(*engine)?;
                command.env("CONCH_ENGINE", engine.name());
                command.envs(browser.environment(equipment.display.as_ref()));
                command
            }
            Kind::Browser(own) => own.command(place, equipment)?,
            Kind::Foreign(judge) => return foreign::run(place, *judge),
        };
        child::count(command, self.kind.format())
    }
}

impl BrowserSuite {
    fn command(&self, place: &Place, equipment: &Equipment) -> Result<Command, Fault> {
        let browser = equipment.browser(self.engine)?;
        let mut command = match browser {
            Browser::Chromium { driver, .. } if self.goes_by_wasm_pack() => self.wasm_pack(place, driver)?,
            _ => {
                let mut command = self.runner(place, &equipment.binaries)?;
                if self.context != Context::Window {
                    command.args(["--skip", NEEDS_PAGE]);
                }
                command
            }
        };
        self.dress(&mut command, equipment)?;
        Ok(command)
    }

    /// Tells the test runner of one driver and one context.
    fn dress(&self, command: &mut Command, equipment: &Equipment) -> Result<(), Fault> {
        let browser = equipment.browser(self.engine)?;
        for name in DRIVER_VARIABLES.into_iter().chain(Context::ALL.map(Context::variable)) {
            command.env_remove(name);
        }
        command.env(self.context.variable(), "1").envs(browser.environment(equipment.display.as_ref()));
        for (name, seconds) in [
            ("WASM_BINDGEN_TEST_TIMEOUT", BROWSER_SUITE_S_MAX),
            ("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", DRIVER_START_S_MAX),
        ] {
            if std::env::var_os(name).is_none() {
                command.env(name, seconds);
            }
        }
        Ok(())
    }

    fn wasm_pack(&self, place: &Place, driver: &Path) -> Result<Command, Fault> {
        tools::ensure_wasm_target(place)?;
        let bindgen = tools::wasm_bindgen(place)?;
        let mut command = place.command(tools::wasm_pack(place)?.join("wasm-pack"));
        command.args(["test", "--headless", "--chrome", "--mode", "no-install", "--chromedriver"]);
        command.arg(driver).args(["--", "--test", &self.file]);
        command.env("PATH", path_with(&[&bindgen])?).env("CARGO_TARGET_DIR", &place.target);
        let (name, value) = Binaries::WITHOUT_DEBUG_INFO;
        command.env(name, value);
        Ok(command)
    }

    /// The binary that is there already, given to the runner that wasm-pack and cargo would call.
    fn runner(&self, place: &Place, binaries: &Binaries) -> Result<Command, Fault> {
        let mut command = place.command(tools::wasm_bindgen(place)?.join("wasm-bindgen-test-runner"));
        command.arg(binaries.of(&self.file)?);
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

    fn in_firefox() -> Kind {
        let file = "web_store".into();
        Kind::Browser(BrowserSuite { file, engine: Engine::Firefox, context: Context::Window })
    }

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
        for kind in [Kind::Native, in_firefox(), Kind::Workspace("www/e2e".into())] {
            assert_eq!(judged(&kind, 0, 0, 0), (0, 1, true), "{kind:?}");
        }
    }

    #[test]
    fn a_suite_that_broke_outside_its_tests_fails_once() {
        assert_eq!(judged(&in_firefox(), 1, 0, 0), (0, 1, true));
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
        for file in ["web_store.rs", "engine.rs", "web_notes.md", "web_deep/main.rs"] {
            fs::write(tests.join(file), "").unwrap();
        }
        let suites = browser_suites(&tests).unwrap();
        fs::remove_dir_all(&tests).unwrap();
        let mut files: Vec<_> =
            suites.iter().filter_map(|suite| suite.kind.browser()).map(|own| own.file.as_str()).collect();
        files.dedup();
        assert_eq!(files, ["web_deep", "web_store"]);
    }

    #[test]
    fn a_file_runs_in_every_context_of_every_engine_and_its_name_says_where() {
        let names: Vec<_> = everywhere("web_store").map(|suite| suite.name).collect();
        assert_eq!(names.len(), Engine::ALL.len() * Context::ALL.len());
        for name in ["web_store chromium", "web_store firefox worker", "web_store webkit service-worker"] {
            assert!(names.iter().any(|own| own == name), "{name}");
        }
    }
}
