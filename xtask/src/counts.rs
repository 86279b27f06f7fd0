//! Reading how many tests ran from what test runners print.
//!
//! Exit codes do not say it: the browser runner exits 0 when it skipped a suite. Only summary lines at the very
//! start of a line count, so that a failing test which quotes one does not.

use std::ops::AddAssign;

/// Tests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Whose summary to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `test result: ok. 3 passed; 0 failed; ...`: cargo's harness and wasm-bindgen's.
    Libtest,
    /// `# pass 3` (TAP) or `ℹ pass 3` (spec): node:test.
    Node,
    /// `3 passed, 1 failed in 0.52s`: pytest, told to be quiet.
    Pytest,
    /// A check that passes or fails as a whole.
    Nothing,
}

/// Counts a stream that arrives in pieces.
pub(crate) struct Tally {
    format: Format,
    counts: Counts,
    line: Vec<u8>,
}

impl Tally {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, counts: Counts::default(), line: Vec::new() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                // Progress that overwrites itself ends in a carriage return.
                b'\n' | b'\r' => self.end_line(),
                _ => self.line.push(byte),
            }
        }
    }

    /// The counts, with a last line that never ended.
    pub(crate) fn finish(&mut self) -> Counts {
        self.end_line();
        self.counts
    }

    fn end_line(&mut self) {
        let line = without_colours(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        self.counts += match self.format {
            Format::Libtest => libtest_summary(&line),
            Format::Node => node_summary(&line),
            Format::Pytest => pytest_summary(&line),
            Format::Nothing => Counts::default(),
        };
    }
}

fn libtest_summary(line: &str) -> Counts {
    let Some(rest) = line.strip_prefix("test result: ") else { return Counts::default() };
    let Some((_, numbers)) = rest.split_once(". ") else { return Counts::default() };
    let mut counts = Counts::default();
    for part in numbers.split(';') {
        match part.trim().split_once(' ') {
            Some((number, "passed")) => counts.passed = number.parse().unwrap_or(0),
            Some((number, "failed")) => counts.failed = number.parse().unwrap_or(0),
            Some((number, "ignored")) => counts.skipped = number.parse().unwrap_or(0),
            _ => {}
        }
    }
    counts
}

fn node_summary(line: &str) -> Counts {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "));
    let Some((what, number)) = rest.and_then(|rest| rest.split_once(' ')) else { return Counts::default() };
    let Ok(number) = number.parse() else { return Counts::default() };
    match what {
        "pass" => Counts { passed: number, ..Counts::default() },
        "fail" | "cancelled" => Counts { failed: number, ..Counts::default() },
        "skipped" | "todo" => Counts { skipped: number, ..Counts::default() },
        _ => Counts::default(),
    }
}

fn pytest_summary(line: &str) -> Counts {
    let Some((parts, time)) = line.rsplit_once(" in ") else { return Counts::default() };
    if !time.split_whitespace().next().is_some_and(|time| time.ends_with('s')) {
        return Counts::default();
    }
    let mut counts = Counts::default();
    for part in parts.split(", ") {
        let Some((number, what)) = part.split_once(' ') else { return Counts::default() };
        let Ok(number) = number.parse::<u64>() else { return Counts::default() };
        match what {
            "passed" => counts.passed = number,
            "failed" | "error" | "errors" => counts.failed += number,
            "skipped" | "xfailed" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

/// The line without ANSI colours (`ESC [ ... letter`) and the character set libtest resets with them (`ESC ( B`).
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('[') => drop(letters.by_ref().find(|end| ('@'..='~').contains(end))),
            Some('(') => drop(letters.next()),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(format: Format, output: &str) -> (u64, u64, u64) {
        let mut tally = Tally::new(format);
        // Pieces of seven bytes cut lines, colours and letters apart, as a pipe does.
        output.as_bytes().chunks(7).for_each(|piece| tally.feed(piece));
        let counts = tally.finish();
        (counts.passed, counts.failed, counts.skipped)
    }

    const CARGO: &str = include_str!("../samples/cargo.txt");
    const CARGO_COLOURED: &str = include_str!("../samples/cargo-coloured.txt");
    const BROWSER: &str = include_str!("../samples/wasm-bindgen-test.txt");
    const BROWSER_SKIPPED: &str = include_str!("../samples/wasm-bindgen-test-skipped.txt");
    const NODE_SPEC: &str = include_str!("../samples/node-spec.txt");
    const NODE_TAP: &str = include_str!("../samples/node-tap.txt");

    #[test]
    fn cargo_sums_its_binaries_and_doctests() {
        assert_eq!(counted(Format::Libtest, CARGO), (4, 1, 1));
    }

    #[test]
    fn colours_change_no_count() {
        assert!(CARGO_COLOURED.contains('\u{1b}'));
        assert_eq!(counted(Format::Libtest, CARGO_COLOURED), (4, 1, 1));
    }

    #[test]
    fn the_browser_runner_is_read() {
        assert_eq!(counted(Format::Libtest, BROWSER), (2, 1, 1));
    }

    #[test]
    fn a_skipped_browser_suite_ran_nothing() {
        assert_eq!(counted(Format::Libtest, BROWSER_SKIPPED), (0, 0, 0));
    }

    #[test]
    fn both_reporters_of_node_are_read() {
        assert_eq!(counted(Format::Node, NODE_SPEC), (2, 1, 2));
        assert_eq!(counted(Format::Node, NODE_TAP), (2, 1, 2));
    }

    #[test]
    fn a_cancelled_node_test_failed() {
        assert_eq!(counted(Format::Node, "# pass 1\n# fail 0\n# cancelled 2\n"), (1, 2, 0));
    }

    #[test]
    fn pytest_is_read() {
        let output = "..F.s\n/tests/x.py:3: lost in 3s\nFAILED x.py::a - 2 passed\n3 passed, 1 failed, 1 error in 0.52s\n";
        assert_eq!(counted(Format::Pytest, output), (3, 2, 0));
        assert_eq!(
            counted(Format::Pytest, "1 failed, 65 passed, 2 skipped in 61.20s (0:01:01)\n"),
            (65, 1, 2)
        );
        assert_eq!(counted(Format::Pytest, "no tests ran in 0.01s\n"), (0, 0, 0));
    }

    #[test]
    fn a_quoted_summary_is_not_a_summary() {
        assert_eq!(counted(Format::Libtest, "  left: \"test result: ok. 9 passed; 0 failed\"\n"), (0, 0, 0));
        assert_eq!(counted(Format::Libtest, "\ttest result: ok. 9 passed; 0 failed\n"), (0, 0, 0));
        assert_eq!(counted(Format::Node, "    # pass 9\n# Subtest: pass 9\n"), (0, 0, 0));
    }

    #[test]
    fn a_summary_without_a_line_end_counts() {
        assert_eq!(counted(Format::Libtest, "test result: ok. 9 passed; 0 failed"), (9, 0, 0));
    }
}
