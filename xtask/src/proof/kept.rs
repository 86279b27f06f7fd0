//! What a long run leaves: one file a part, with the command that repeats it, the code it ran, and what was counted.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::child;
use crate::fault::Fault;
use crate::place::Place;
use crate::proof::list::{Part, Scale};

/// The page about the results; writing it changes nothing that was measured.
pub(super) const PAGE: &str = "docs/proof.md";

/// Which code ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// The last commit that changed anything but the page, in short.
    pub(super) commit: String,
    /// Whether something else lay in the tree.
    pub(super) dirty: bool,
}

impl Code {
    /// Of this checkout. Where git cannot say it, it counts as changed, so that nothing is skipped.
    pub(super) fn here(place: &Place) -> Self {
        let but_the_page = format!(":(exclude){PAGE}");
        let ask = |words: &[&str]| {
            let mut git = place.command("git");
            git.args(words).args(["--", ".", &but_the_page]);
            child::answer(git)
        };
        let commit = ask(&["log", "-1", "--format=%h"]).filter(|commit| !commit.is_empty());
        let changes = ask(&["status", "--porcelain"]);
        Self {
            dirty: commit.is_none() || changes.is_none_or(|changes| !changes.is_empty()),
            commit: commit.unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

/// The result of a part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) command: String,
    pub(super) code: Code,
    /// UTC, `2026-11-28T13:40Z`.
    pub(super) date: String,
    pub(super) seconds: u64,
    /// Whether everything it must show was so.
    pub(super) held: bool,
    /// What the run itself wrote; null where it broke off before.
    pub(super) counted: Value,
}

/// What is to be done about a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Run,
    /// This very code held already.
    Held,
    /// This very code failed already. It stays told until the code changes or somebody wants all anew.
    Failed,
}

/// Of the same command and the same code, which is known only of a clean tree.
pub(super) fn due(kept: Option<&Kept>, command: &str, code: &Code) -> Due {
    match kept {
        Some(kept) if !code.dirty && kept.code == *code && kept.command == command => {
            if kept.held {
                Due::Held
            } else {
                Due::Failed
            }
        }
        _ => Due::Run,
    }
}

/// Where results of a scale lie.
pub(super) fn folder(place: &Place, scale: Scale) -> PathBuf {
    let proof = place.target.join("proof");
    match scale {
        Scale::Whole => proof,
        Scale::Small => proof.join("small"),
    }
}

pub(super) fn read(folder: &Path, part: &Part) -> Option<Kept> {
    let text = fs::read_to_string(folder.join(format!("{}.json", part.file))).ok()?;
    Kept::parse(&text)
}

/// Results that failed and were run again are set aside here, so that nobody can run until it holds unseen.
const FAILED: &str = "failed";

pub(super) fn write(folder: &Path, part: &Part, kept: &Kept) -> Result<(), Fault> {
    let file = folder.join(format!("{}.json", part.file));
    let told = Fault::io(format!("cannot write {}", file.display()));
    let aside = folder.join(FAILED);
    let write = || {
        fs::create_dir_all(&aside)?;
        if let Some(before) = read(folder, part).filter(|before| !before.held) {
            fs::rename(&file, aside.join(format!("{}-{}.json", part.file, before.date.replace(':', ""))))?;
        }
        fs::write(&file, format!("{:#}\n", kept.json()))
    };
    write().map_err(told)
}

/// How many results of this code failed and were run again.
pub(super) fn failed_before(folder: &Path, part: &Part, code: &Code) -> usize {
    let Ok(entries) = fs::read_dir(folder.join(FAILED)) else { return 0 };
    let begin = format!("{}-2", part.file);
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin))
        .filter_map(|entry| Kept::parse(&fs::read_to_string(entry.path()).ok()?))
        .filter(|kept| kept.code == *code)
        .count()
}

impl Kept {
    fn json(&self) -> Value {
        json!({
            "command": self.command,
            "commit": self.code.commit,
            "dirty": self.code.dirty,
            "date": self.date,
            "seconds": self.seconds,
            "held": self.held,
            "counted": self.counted,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let is = |name: &str| value.get(name)?.as_bool();
        Some(Self {
            command: word("command")?,
            code: Code { commit: word("commit")?, dirty: is("dirty")? },
            date: word("date")?,
            seconds: value.get("seconds")?.as_u64()?,
            held: is("held")?,
            counted: value.get("counted")?.clone(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::proof) fn kept(held: bool, counted: Value) -> Kept {
        let code = Code { commit: "abc1234".into(), dirty: false };
        Kept { command: "cargo x".into(), code, date: "2026-01-02T03:04Z".into(), seconds: 60, held, counted }
    }

    fn part() -> Part {
        Part { file: "a".into(), amount: 1, settings: vec![], program: "cargo", words: vec!["x".into()] }
    }

    #[test]
    fn what_held_is_skipped_for_the_same_code_and_command_only() {
        let done = kept(true, Value::Null);
        let here = done.code.clone();
        assert_eq!(due(Some(&done), "cargo x", &here), Due::Held);
        assert_eq!(due(Some(&done), "cargo y", &here), Due::Run);
        assert_eq!(due(Some(&done), "cargo x", &Code { commit: "def".into(), ..here.clone() }), Due::Run);
        assert_eq!(due(None, "cargo x", &here), Due::Run);
    }

    #[test]
    fn a_changed_tree_skips_nothing_and_its_results_skip_nothing_later() {
        let done = kept(true, Value::Null);
        let changed = Code { dirty: true, ..done.code.clone() };
        assert_eq!(due(Some(&done), "cargo x", &changed), Due::Run);
        let of_changed = Kept { code: changed.clone(), ..done.clone() };
        assert_eq!(due(Some(&of_changed), "cargo x", &changed), Due::Run);
        assert_eq!(due(Some(&of_changed), "cargo x", &done.code), Due::Run);
    }

    #[test]
    fn a_failure_stays_a_failure_of_that_code() {
        let failed = kept(false, Value::Null);
        assert_eq!(due(Some(&failed), "cargo x", &failed.code), Due::Failed);
    }

    #[test]
    fn results_are_read_as_they_were_written_and_a_failure_is_set_aside_not_overwritten() {
        let folder = std::env::temp_dir().join(format!("xtask-kept-{}", std::process::id()));
        let failed = kept(false, json!({ "lost": 3 }));
        let code = failed.code.clone();
        let other = Code { commit: "other".into(), dirty: false };
        write(&folder, &part(), &failed).unwrap();
        assert_eq!(read(&folder, &part()), Some(failed));
        assert_eq!(failed_before(&folder, &part(), &code), 0);
        write(&folder, &part(), &kept(true, Value::Null)).unwrap();
        let now = read(&folder, &part());
        let [before, elsewhere] = [&code, &other].map(|code| failed_before(&folder, &part(), code));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((now, before, elsewhere), (Some(kept(true, Value::Null)), 1, 0));
    }

    #[test]
    fn half_a_result_is_none() {
        assert_eq!(Kept::parse(r#"{"command":"cargo x","held":true}"#), None);
        assert_eq!(Kept::parse(""), None);
    }
}
