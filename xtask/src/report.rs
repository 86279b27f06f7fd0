//! What ran and how it ended: a heading as each part starts, a table at the end, and the sum as the last line.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::fault::Fault;

/// How a suite or step ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// What is wrong beside failed tests.
    pub(crate) complaint: Option<String>,
}

struct Row {
    name: String,
    outcome: Outcome,
    elapsed: Duration,
}

/// All rows so far.
pub(crate) struct Report {
    rows: Vec<Row>,
    started: Instant,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), started: Instant::now() }
    }

    /// Runs a suite and tells its counts. A fault is one failure, and the rest goes on.
    pub(crate) fn suite(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome, Fault>) -> Counts {
        println!("\n▸ {name}");
        let begun = Instant::now();
        let outcome = work().unwrap_or_else(|fault| Outcome {
            counts: Counts { failed: 1, ..Counts::default() },
            complaint: Some(fault.to_string()),
        });
        let row = Row { name: name.to_owned(), outcome, elapsed: begun.elapsed() };
        println!("{} {name}: {} ({})", row.mark(), row.verdict(), seconds(row.elapsed));
        let counts = row.outcome.counts;
        self.rows.push(row);
        counts
    }

    /// Runs a step that passes or fails as a whole. Passing is no test passed; failing counts. Tells whether it passed.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<(), Fault>) -> bool {
        self.suite(name, || work().map(|()| Outcome::default())).failed == 0
    }

    /// Prints the table and, alone on the last line, the sum.
    pub(crate) fn close(self) -> ExitCode {
        let mut sum = Counts::default();
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(5);
        println!("\n  {:width$} {:>7} {:>7} {:>7} {:>9}", "suite", "passed", "failed", "skipped", "time");
        for row in &self.rows {
            let Counts { passed, failed, skipped } = row.outcome.counts;
            let time = seconds(row.elapsed);
            let complaint = row.outcome.complaint.as_deref().unwrap_or("");
            let line =
                format!("{:width$} {passed:>7} {failed:>7} {skipped:>7} {time:>9}  {complaint}", row.name);
            println!("{} {}", row.mark(), line.trim_end());
            sum += row.outcome.counts;
        }
        println!("  in {}\n", seconds(self.started.elapsed()));
        println!("{} passed, {} failed", sum.passed, sum.failed);
        if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Row {
    fn mark(&self) -> char {
        if self.outcome.counts.failed == 0 { '✓' } else { '✗' }
    }

    fn verdict(&self) -> String {
        let Counts { passed, failed, .. } = self.outcome.counts;
        match (&self.outcome.complaint, passed, failed) {
            (Some(complaint), ..) => complaint.clone(),
            (None, 0, 0) => "ok".to_owned(),
            (None, ..) => format!("{passed} passed, {failed} failed"),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
