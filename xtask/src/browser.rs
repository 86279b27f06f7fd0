//! Chromium and its driver: found, or installed from Debian's packages.

use std::env;
use std::path::PathBuf;

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, is_executable, on_path};

const GET_BROWSER: &str = "sudo apt-get install -y chromium chromium-driver";

/// The browser the suites run in. Both come from one package source, so their versions agree.
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) driver: PathBuf,
}

/// The browser of this machine; fetched if it may be.
pub(crate) fn ensure(place: &Place) -> Result<Browser, Fault> {
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let missing = || Fault::missing("Chromium or its driver is missing", GET_BROWSER);
    let become_root: &[&str] = if is_root(place) {
        &[]
    } else if sudo_asks_nothing(place) {
        &["sudo", "-n"]
    } else {
        return Err(missing());
    };
    if on_path("apt-get").is_none() {
        return Err(missing());
    }
    for step in [
        &["apt-get", "update", "--quiet"][..],
        &["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium", "chromium-driver"],
    ] {
        let words: Vec<_> =
            become_root.iter().chain(&["env", "DEBIAN_FRONTEND=noninteractive"]).chain(step).collect();
        let Some((program, arguments)) = words.split_first() else { return Err(missing()) };
        let mut command = place.command(program);
        command.args(arguments);
        child::run(command)?;
    }
    find().ok_or_else(missing)
}

fn find() -> Option<Browser> {
    let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|file| is_executable(file));
    let chromium = named("CHROMIUM").or_else(|| on_path("chromium")).or_else(|| on_path("google-chrome"))?;
    let driver = named("CHROMEDRIVER").or_else(|| on_path("chromedriver"))?;
    Some(Browser { chromium, driver })
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
