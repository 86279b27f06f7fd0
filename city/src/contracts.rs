//! `city contracts`: the schemas of all events and the addresses of the city, written, or held against what lies there and against every release.

use crate::openapi;
use city_domain::contracts::{Break, all, breaks, files};
use clap::Subcommand;
use conch::event::contract::{Contract, Writer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum Contracts {
    /// Write the schemas of today.
    #[command(after_help = "\
Example:
  city contracts write --out contracts")]
    Write {
        /// The directory.
        #[arg(long, default_value = "contracts")]
        out: PathBuf,
    },
    /// Fail when the directory differs from today, or when today breaks a release in `released/`.
    #[command(after_help = "\
Example:
  city contracts check --dir contracts")]
    Check {
        /// The directory.
        #[arg(long, default_value = "contracts")]
        dir: PathBuf,
    },
}

impl Contracts {
    pub(crate) fn run(&self) -> Result<(), String> {
        match self {
            Self::Write { out } => write(out),
            Self::Check { dir } => check(dir),
        }
    }
}

/// Every file of `contracts/`, by its path.
fn everything() -> impl Iterator<Item = (String, String)> {
    files().into_iter().chain([(openapi::FILE.to_owned(), openapi::text())])
}

fn write(out: &Path) -> Result<(), String> {
    let io = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    for (name, text) in everything() {
        let path = out.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| io(parent, error))?;
        }
        std::fs::write(&path, text).map_err(|error| io(&path, error))?;
    }
    Ok(())
}

fn check(dir: &Path) -> Result<(), String> {
    let today: BTreeMap<String, String> = everything().collect();
    let mut wrong = Vec::new();
    let lying = read(dir, dir)?;
    for (name, text) in &today {
        match lying.get(name) {
            None => wrong.push(format!("{name} is missing: write it with `cargo xtask contracts`")),
            Some(own) if own != text => {
                wrong
                    .push(format!("{name} is not what the code says: write it with `cargo xtask contracts`"));
            }
            Some(_) => {}
        }
    }
    for name in lying.keys().filter(|name| !name.starts_with("released/") && !today.contains_key(*name)) {
        wrong.push(format!("{name} belongs to no contract any more: delete it"));
    }
    for (name, text) in &lying {
        let Some((release, own)) = name.strip_prefix("released/").and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        let broken = match own {
            openapi::FILE => openapi::breaks(text, &openapi::text()),
            own if own.ends_with(".reader.schema.json") => {
                breaks(text, today.get(own).map(String::as_str), writer(own))
            }
            _ => continue,
        };
        for broken in broken {
            wrong.push(format!("{own} breaks release {release}: {}", described(&broken)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("contracts:\n  {}", wrong.join("\n  "))) }
}

/// Who writes the type whose schema this is. Nobody writes one that is gone, and that it is gone is told anyway.
fn writer(path: &str) -> Writer {
    let is =
        |contract: &&Contract| path == format!("{}/{}.reader.schema.json", contract.topic, contract.kind);
    all().find(is).map_or(Writer::Device, |contract| contract.writer)
}

fn described(broken: &Break) -> String {
    match broken {
        Break::Type => {
            "the type is gone; keep it, and let a new version of the topic leave it out".to_owned()
        }
        Break::Address(name) => {
            format!("{name} is gone; keep it, and say in its summary what to ask instead")
        }
        Break::Member(name) => format!("`{name}` is gone; keep it as an optional member"),
        Break::Retyped(name) => format!("`{name}` holds something else; give the new meaning a new name"),
        Break::Needed(name) => format!("`{name}` is required now; make it optional, or begin a new version"),
        Break::Promised(name) => {
            format!("`{name}` may be missing now; go on saying it, or begin a new version")
        }
        Break::Unreadable => "the released file cannot be read; restore it".to_owned(),
    }
}

/// All JSON files below a directory, by their paths from it.
fn read(root: &Path, dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            found.extend(read(root, &path)?);
        } else if path.extension().is_some_and(|end| end == "json") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.insert(name, std::fs::read_to_string(&path).map_err(io)?);
        }
    }
    Ok(found)
}
