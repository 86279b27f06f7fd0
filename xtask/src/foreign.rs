//! Judges nobody here wrote: CloudEvents clients, schema checkers and a fuzzer from npm and PyPI, each against a city that
//! runs for it alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::build;
use crate::child;
use crate::counts::{Counts, Format};
use crate::fault::Fault;
use crate::place::Place;
use crate::stamp::Fingerprint;
use crate::tools;

/// The folder of their cases and tests.
const FOLDER: &str = "city/foreign";
/// Written last, so that a virtual environment that broke off half-way is not taken for a whole one.
const WHOLE: &str = "whole";

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// From npm: schema checkers and a client.
    Node,
    /// From PyPI: a client, and a second opinion on what breaks.
    Python,
    /// From PyPI: a fuzzer that knows the addresses from `contracts/openapi.json`.
    Fuzz,
}

impl Judge {
    pub(crate) const ALL: [Self; 3] = [Self::Node, Self::Python, Self::Fuzz];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "foreign node",
            Self::Python => "foreign python",
            Self::Fuzz => "foreign fuzz",
        }
    }

    pub(crate) fn format(self) -> Format {
        match self {
            Self::Node => Format::Node,
            Self::Python => Format::Pytest,
            Self::Fuzz => Format::Nothing,
        }
    }

    fn command(self, place: &Place) -> Result<Command, Fault> {
        let folder = place.root.join(FOLDER);
        match self {
            Self::Node => {
                build::node_modules(place)?;
                let mut node = place.command("node");
                node.args(["--test", "--test-concurrency=1"]).arg(folder);
                Ok(node)
            }
            Self::Python => {
                let mut pytest = place.command(python(place)?);
                pytest.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]).arg(folder);
                Ok(pytest)
            }
            Self::Fuzz => {
                let mut fuzz = place.command(python(place)?);
                fuzz.arg(folder.join("fuzz.py"));
                Ok(fuzz)
            }
        }
    }
}

/// Starts a city, lets the judge at it and ends it.
pub(crate) fn run(place: &Place, judge: Judge) -> Result<(ExitStatus, Counts), Fault> {
    let mut command = judge.command(place)?;
    build::city(place)?;
    let city = City::start(place)?;
    command
        .env("CONCH_CITY", place.city())
        .env("CONCH_CITY_URL", &city.url)
        .env("CONCH_CITY_DATA", &city.data);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    child::count(command, judge.format())
}

/// A city in development with a simulated acquirer, on a port that was free, with a database of its own.
struct City {
    child: Child,
    url: String,
    data: PathBuf,
}

impl City {
    fn start(place: &Place) -> Result<Self, Fault> {
        let data = place.target.join("xtask").join(format!("foreign-{}", std::process::id()));
        build::clear(&data)?;
        let mut city = place.command(place.city());
        city.args(["serve", "--dev", "--acquirer-simulated", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        city.args(["--log-level", "warn"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = city.spawn().map_err(Fault::io("cannot start the city"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Fault::io("cannot hear the city"))?;
        }
        let url = line.split_whitespace().last().unwrap_or_default().to_owned();
        let city = Self { child, url, data };
        if city.url.starts_with("http://") {
            return Ok(city);
        }
        Err(Fault::advice("the city did not say where it listens: its log is above"))
    }
}

impl Drop for City {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// The Python of a virtual environment that holds exactly what the requirements name.
fn python(place: &Place) -> Result<PathBuf, Fault> {
    let version = tools::python(place)?;
    let requirements = place.root.join(FOLDER).join("requirements.txt");
    let inputs = Fingerprint::default().word(&version).tree(&requirements, &[])?;
    let home = place.tools.join(format!("foreign-{}", inputs.text()));
    let python = home.join("bin/python");
    if home.join(WHOLE).is_file() {
        return Ok(python);
    }
    println!("  installing the judges from PyPI: once, half a minute");
    build::clear(&home)?;
    let mut make = place.command("python3");
    make.args(["-m", "venv"]).arg(&home);
    child::run(make)?;
    let mut install = place.command(&python);
    // Everything is named with its version, also what the named ones need: nothing else may come along.
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r"]);
    install.arg(&requirements);
    child::run(install)?;
    fs::write(home.join(WHOLE), "").map_err(Fault::io(format!("cannot write into {}", home.display())))?;
    Ok(python)
}
