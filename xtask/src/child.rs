//! Running other programs. What they print is always shown as it comes; a suite's output is counted on the way.

use std::io::{self, IsTerminal, PipeReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::counts::{Counts, Format, Tally};
use crate::fault::Fault;

/// How long a program's orphans may keep its output open after it ended.
const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// Runs a program to its end; anything but success is a fault.
pub(crate) fn run(mut command: Command) -> Result<(), Fault> {
    announce(&command);
    let status = command.stdin(Stdio::null()).status().map_err(cannot_start(&command))?;
    if status.success() {
        Ok(())
    } else {
        Err(Fault::Failed { program: program(&command), how: how(status) })
    }
}

/// What a program says, without showing it; `None` if it cannot be started or fails.
pub(crate) fn answer(mut command: Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program to its end for what it says; what it complains of is shown, and anything but success is a fault.
pub(crate) fn heard(mut command: Command) -> Result<String, Fault> {
    announce(&command);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(cannot_start(&command))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Fault::Failed { program: program(&command), how: how(output.status) })
    }
}

/// What a program says on both its outputs, however it ends.
pub(crate) fn said(mut command: Command) -> Result<String, Fault> {
    announce(&command);
    let output = command.stdin(Stdio::null()).output().map_err(cannot_start(&command))?;
    let both = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&both).into_owned())
}

/// Runs a suite: shows its output live and counts the tests it reports.
pub(crate) fn count(mut command: Command, format: Format) -> Result<(ExitStatus, Counts), Fault> {
    announce(&command);
    if io::stdout().is_terminal() {
        // The pipe would make them drop their colours.
        command.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1");
    }
    let (output, input) = io::pipe().map_err(Fault::io("cannot make a pipe"))?;
    let second = input.try_clone().map_err(Fault::io("cannot make a pipe"))?;
    let mut child =
        command.stdin(Stdio::null()).stdout(input).stderr(second).spawn().map_err(cannot_start(&command))?;
    // The command still holds the pipe's writing end: the output would never end.
    drop(command);

    let tally = Arc::new(Mutex::new(Tally::new(format)));
    let (ended, wait_end) = mpsc::channel();
    let shared = Arc::clone(&tally);
    thread::spawn(move || {
        show_and_count(output, &shared);
        let _ = ended.send(());
    });
    let status = child.wait().map_err(Fault::io("cannot wait for a suite"))?;
    // A suite that leaves a process behind must not hold up the rest.
    let _ = wait_end.recv_timeout(DRAIN_WAIT);
    let counts = tally.lock().unwrap_or_else(PoisonError::into_inner).finish();
    Ok((status, counts))
}

fn show_and_count(mut output: PipeReader, tally: &Mutex<Tally>) {
    let mut buffer = [0; 8192];
    let mut screen = io::stdout();
    while let Ok(length) = output.read(&mut buffer) {
        let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { return };
        // A closed screen is no reason to stop counting.
        let _ = screen.write_all(chunk).and_then(|()| screen.flush());
        tally.lock().unwrap_or_else(PoisonError::into_inner).feed(chunk);
    }
}

/// `exit 101`, `killed by signal 9`.
pub(crate) fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended oddly".to_owned(),
    }
}

fn announce(command: &Command) {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    println!("  $ {} {}", program(command), words.join(" "));
}

fn program(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn cannot_start(command: &Command) -> impl FnOnce(io::Error) -> Fault {
    Fault::io(format!("cannot start `{}`", program(command)))
}
