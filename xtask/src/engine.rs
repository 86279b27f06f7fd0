//! The browser engines the suites run in: found, or installed from Debian's packages, and named to the test runner.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::child;
use crate::display::Display;
use crate::fault::Fault;
use crate::place::{Place, is_executable, on_path};
use crate::tools;

/// A browser engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

/// Where in a browser the tests run. They are the same tests; only those that need a page stay in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Window,
    DedicatedWorker,
    ServiceWorker,
}

/// Which engines a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Chromium, and the others where this machine has them.
    Installed,
    /// All of them, installed if missing.
    All,
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::WebKit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }

    /// Browser and driver come from one source where they can, so that their versions agree.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium", "chromium-driver"],
            Self::Firefox => &["firefox-esr"],
            Self::WebKit => &["webkit2gtk-driver", "xvfb"],
        }
    }
}

impl Context {
    pub(crate) const ALL: [Self; 3] = [Self::Window, Self::DedicatedWorker, Self::ServiceWorker];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::DedicatedWorker => "worker",
            Self::ServiceWorker => "service-worker",
        }
    }

    /// What tells the test runner, which must find exactly one of these in its environment.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Window => "WASM_BINDGEN_USE_BROWSER",
            Self::DedicatedWorker => "WASM_BINDGEN_USE_DEDICATED_WORKER",
            Self::ServiceWorker => "WASM_BINDGEN_USE_SERVICE_WORKER",
        }
    }
}

/// An engine that is installed.
pub(crate) enum Browser {
    Chromium {
        chromium: PathBuf,
        driver: PathBuf,
    },
    Firefox {
        firefox: PathBuf,
        driver: PathBuf,
    },
    /// Its driver knows where its browser is. It has no headless mode.
    WebKit {
        driver: PathBuf,
        display_server: PathBuf,
    },
}

impl Browser {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Chromium { .. } => Engine::Chromium,
            Self::Firefox { .. } => Engine::Firefox,
            Self::WebKit { .. } => Engine::WebKit,
        }
    }

    /// The screen it needs, if any.
    pub(crate) fn display(&self, place: &Place) -> Result<Option<Display>, Fault> {
        match self {
            Self::WebKit { display_server, .. } => Display::start(place, display_server).map(Some),
            Self::Chromium { .. } | Self::Firefox { .. } => Ok(None),
        }
    }

    /// What the test runner must find in its environment to drive it.
    pub(crate) fn environment(&self, display: Option<&Display>) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Chromium { driver, .. } => vec![("CHROMEDRIVER", driver.into())],
            Self::Firefox { firefox, driver } => {
                // Debian calls it firefox-esr, which the driver does not look for.
                let mut binary = OsString::from("--binary ");
                binary.push(firefox);
                vec![("GECKODRIVER", driver.into()), ("GECKODRIVER_ARGS", binary)]
            }
            Self::WebKit { driver, .. } => {
                let mut variables = vec![
                    // The runner's name for every driver of the WebKit family.
                    ("SAFARIDRIVER", driver.into()),
                    // Its sandbox needs namespaces that containers lack; it loads nothing but our tests.
                    ("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1".into()),
                    ("GDK_BACKEND", "x11".into()),
                ];
                variables.extend(display.map(|display| ("DISPLAY", display.name().into())));
                variables
            }
        }
    }
}

/// Every variable by which the test runner would find a driver: it must find one.
pub(crate) const DRIVER_VARIABLES: [&str; 8] = [
    "GECKODRIVER",
    "GECKODRIVER_REMOTE",
    "SAFARIDRIVER",
    "SAFARIDRIVER_REMOTE",
    "CHROMEDRIVER",
    "CHROMEDRIVER_REMOTE",
    "MSEDGEDRIVER",
    "MSEDGEDRIVER_REMOTE",
];

/// The browsers for these engines. What must be there is fetched if it may be; the rest is left out, which is said.
pub(crate) fn ready(place: &Place, engines: &[Engine], wanted: Wanted) -> Result<Vec<Browser>, Fault> {
    let is_needed = |engine: &Engine| wanted == Wanted::All || *engine == Engine::Chromium;
    let needed: Vec<_> = engines.iter().copied().filter(is_needed).collect();
    install(place, &needed)?;
    let mut browsers = Vec::new();
    for engine in engines {
        match find(place, *engine) {
            Some(browser) => browsers.push(browser),
            None if is_needed(engine) => return Err(missing(&[*engine])),
            None => println!(
                "  {} or its driver is not installed: its suites are skipped, and `--all-engines` installs it",
                engine.name()
            ),
        }
    }
    Ok(browsers)
}

fn find(place: &Place, engine: Engine) -> Option<Browser> {
    Some(match engine {
        Engine::Chromium => Browser::Chromium {
            chromium: named("CHROMIUM")
                .or_else(|| on_path("chromium"))
                .or_else(|| on_path("google-chrome"))?,
            driver: named("CHROMEDRIVER").or_else(|| on_path("chromedriver"))?,
        },
        Engine::Firefox => Browser::Firefox {
            firefox: firefox()?,
            driver: named("GECKODRIVER").or_else(|| tools::found_geckodriver(place))?,
        },
        Engine::WebKit => {
            Browser::WebKit { driver: on_path("WebKitWebDriver")?, display_server: on_path("Xvfb")? }
        }
    })
}

fn firefox() -> Option<PathBuf> {
    named("FIREFOX").or_else(|| on_path("firefox-esr")).or_else(|| on_path("firefox"))
}

/// The program a variable names.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|file| is_executable(file))
}

/// Installs what is missing of these engines: what takes a person's permission first, then what takes minutes.
fn install(place: &Place, engines: &[Engine]) -> Result<(), Fault> {
    let lacks_packages = |engine: &Engine| match engine {
        Engine::Firefox => firefox().is_none(),
        engine => find(place, *engine).is_none(),
    };
    let absent: Vec<_> = engines.iter().copied().filter(lacks_packages).collect();
    if !absent.is_empty() {
        install_packages(place, &absent)?;
    }
    if engines.contains(&Engine::Firefox) && find(place, Engine::Firefox).is_none() {
        tools::geckodriver(place)?;
    }
    Ok(())
}

fn install_packages(place: &Place, absent: &[Engine]) -> Result<(), Fault> {
    let become_root: &[&str] = if is_root(place) {
        &[]
    } else if sudo_asks_nothing(place) {
        &["sudo", "-n"]
    } else {
        return Err(missing(absent));
    };
    if on_path("apt-get").is_none() {
        return Err(missing(absent));
    }
    let packages = absent.iter().flat_map(|engine| engine.packages());
    let mut get = vec!["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"];
    get.extend(packages);
    for step in [vec!["apt-get", "update", "--quiet"], get] {
        let words: Vec<_> = become_root
            .iter()
            .copied()
            .chain(["env", "DEBIAN_FRONTEND=noninteractive"])
            .chain(step)
            .collect();
        let Some((program, arguments)) = words.split_first() else { return Err(missing(absent)) };
        let mut command = place.command(program);
        command.args(arguments);
        child::run(command)?;
    }
    Ok(())
}

fn missing(engines: &[Engine]) -> Fault {
    let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
    let packages: Vec<_> = engines.iter().flat_map(|engine| engine.packages()).copied().collect();
    Fault::missing(
        format!("the browser or the driver is missing for {}", names.join(", ")),
        format!("sudo apt-get install -y {}", packages.join(" ")),
    )
}

fn is_root(place: &Place) -> bool {
    let mut id = place.command("id");
    id.arg("-u");
    child::answer(id).as_deref() == Some("0")
}

fn sudo_asks_nothing(place: &Place) -> bool {
    let mut sudo = place.command("sudo");
    sudo.args(["-n", "true"]);
    child::answer(sudo).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_type() {
        let fault = missing(&[Engine::Firefox, Engine::WebKit]).to_string();
        assert!(fault.contains("firefox, webkit"), "{fault}");
        assert!(
            fault.ends_with("sudo apt-get install -y firefox-esr webkit2gtk-driver xvfb"),
            "one line to type: {fault}"
        );
    }

    #[test]
    fn the_runner_is_told_of_one_driver_only() {
        let file = || PathBuf::from("/somewhere");
        for browser in [
            Browser::Chromium { chromium: file(), driver: file() },
            Browser::Firefox { firefox: file(), driver: file() },
            Browser::WebKit { driver: file(), display_server: file() },
        ] {
            let told = browser.environment(None);
            let drivers = told.iter().filter(|(name, _)| DRIVER_VARIABLES.contains(name));
            assert_eq!(drivers.count(), 1, "{}", browser.engine().name());
        }
    }
}
