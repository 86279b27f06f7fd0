//! The results of all parts of a long run, if they belong together: what was counted is summed over them.

use std::path::Path;

use serde_json::Value;

use crate::proof::kept::{self, Code, Kept};
use crate::proof::list::{Long, Part, Scale};

/// What a part of the page says that was written from a small run.
const SMALL: &str = "This was a small run, to see that everything works.";

/// All parts of a long run, at one commit.
#[derive(Debug)]
pub(super) struct Measured<'long> {
    pub(super) long: &'long Long,
    scale: Scale,
    pub(super) results: Vec<(&'long Part, Kept)>,
    /// Runs of this code that failed and were run again.
    failed_before: usize,
}

impl<'long> Measured<'long> {
    /// From the files in a folder, or why not.
    pub(super) fn gather(long: &'long Long, scale: Scale, folder: &Path) -> Result<Self, String> {
        let results = long.parts.iter().map(|part| (part, kept::read(folder, part))).collect();
        let mut measured = Self::of(long, scale, results)?;
        let before =
            measured.results.iter().map(|(part, kept)| kept::failed_before(folder, part, &kept.code));
        measured.failed_before = before.sum();
        Ok(measured)
    }

    pub(super) fn of(
        long: &'long Long,
        scale: Scale,
        results: Vec<(&'long Part, Option<Kept>)>,
    ) -> Result<Self, String> {
        let whole = results.len();
        let there: Vec<_> = results.into_iter().filter_map(|(part, kept)| Some((part, kept?))).collect();
        if there.len() < whole {
            return Err(format!("{} of {whole} parts have no result", whole - there.len()));
        }
        if let Some((part, _)) = there.iter().find(|(part, kept)| kept.command != part.command()) {
            return Err(format!("the result of {} is of another command", part.file));
        }
        let (mut code, commit) = match there.first() {
            Some((_, kept)) => (kept.code.clone(), kept.code.commit.clone()),
            None => return Err("it has no parts".to_owned()),
        };
        if there.iter().any(|(_, kept)| kept.code.commit != commit) {
            return Err("its parts are of different commits".to_owned());
        }
        code.dirty = there.iter().any(|(_, kept)| kept.code.dirty);
        Ok(Self { long, scale, results: there, failed_before: 0 })
    }

    /// A number at a JSON pointer, over all parts that counted anything.
    pub(super) fn sum(&self, pointer: &str) -> Result<f64, String> {
        self.sum_of(pointer, |_| true)
    }

    /// The same over some of the parts.
    pub(super) fn sum_of(&self, pointer: &str, is_of: impl Fn(&Part) -> bool) -> Result<f64, String> {
        let counted =
            self.results.iter().filter(|(part, kept)| is_of(part) && (kept.held || !kept.counted.is_null()));
        counted
            .map(|(part, kept)| {
                let number = kept.counted.pointer(pointer).and_then(Value::as_f64);
                number.ok_or_else(|| format!("the result of {} has no number at {pointer}", part.file))
            })
            .sum()
    }

    /// What the first part counted.
    pub(super) fn first(&self) -> &Value {
        self.results.first().map_or(&Value::Null, |(_, kept)| &kept.counted)
    }

    fn code(&self) -> Code {
        let commit = self.results.first().map_or_else(String::new, |(_, kept)| kept.code.commit.clone());
        Code { commit, dirty: self.results.iter().any(|(_, kept)| kept.code.dirty) }
    }

    /// Empty, or what did not hold.
    fn broken(&self) -> String {
        let broken: Vec<_> =
            self.results.iter().filter(|(_, kept)| !kept.held).map(|(part, _)| part).collect();
        match broken.first() {
            None => String::new(),
            Some(first) => {
                let (count, all) = (broken.len(), self.results.len());
                format!("**{count} of {all} parts did not hold** (`{}`). ", first.command())
            }
        }
    }

    fn again(&self) -> String {
        let name = if self.long.name.contains(' ') {
            format!("'{}'", self.long.name)
        } else {
            self.long.name.to_owned()
        };
        match self.scale {
            Scale::Whole => format!("cargo xtask proof {name}"),
            Scale::Small => format!("cargo xtask proof {name} --small"),
        }
    }

    /// Whether it is worth less than what stands: a small run takes no whole one's place.
    pub(super) fn is_less_than(&self, stands: &str) -> bool {
        self.scale == Scale::Small && stands.contains("Measured at") && !stands.contains(SMALL)
    }

    /// The row of the summary.
    pub(super) fn row(&self, figure: &str) -> String {
        let (Code { commit, dirty }, small) = (self.code(), self.scale == Scale::Small);
        let changed = if dirty { " with changes" } else { "" };
        let small = if small { "a small run only: " } else { "" };
        let broken = self.broken();
        format!("| {} | {broken}{small}{figure} | `{commit}`{changed} | `{}` |", self.long.name, self.again())
    }

    /// Where the numbers come from, and how to have them again.
    pub(super) fn source(&self) -> String {
        let Code { commit, dirty } = self.code();
        let date = self.results.iter().map(|(_, kept)| kept.date.as_str()).max().unwrap_or_default();
        let date = date.split('T').next().unwrap_or_default();
        let seconds = self.results.iter().map(|(_, kept)| kept.seconds).sum();
        let changed = if dirty { ", with changes that are in no commit," } else { "" };
        let mut text = format!(
            "\nMeasured at `{commit}`{changed} on {date}, in {}: `{}`.",
            lasted(seconds),
            self.again()
        );
        if let [(part, _), _, ..] = self.results.as_slice() {
            text += &format!("\nIts first part alone: `{}`.", part.command());
        } else if let [(part, _)] = self.results.as_slice() {
            text += &format!("\nThat is: `{}`.", part.command());
        }
        if self.scale == Scale::Small {
            text += &format!("\n{SMALL}");
        }
        let broken = self.broken();
        if !broken.is_empty() {
            text += &format!("\n{}", broken.trim_end());
        }
        if self.failed_before > 0 {
            text += &format!(
                "\nRuns of this code that failed before and were run again: {}.",
                self.failed_before
            );
        }
        text + "\n"
    }
}

/// `45 s`, `12 min`, `3.5 h`.
pub(super) fn lasted(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{}.{} h", seconds / 3_600, seconds % 3_600 / 360),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        for (seconds, told) in [(45, "45 s"), (149, "2 min"), (7_199, "120 min"), (12_600, "3.5 h")] {
            assert_eq!(lasted(seconds), told);
        }
    }
}
