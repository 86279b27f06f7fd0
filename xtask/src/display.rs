//! A screen that nobody sees, for an engine without a headless mode.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::fault::Fault;
use crate::place::Place;

/// Starts the server given as `$0` on a free display whose number it prints, and ends it when standard input ends:
/// that pipe closes however xtask comes to its end, also when it is killed.
const WATCHED: &str = "\
\"$0\" -displayfd 3 -screen 0 1280x1024x24 -nolisten tcp 3>&1 >/dev/null 2>&1 &
exec >&-
read -r _
kill $! 2>/dev/null
wait $!";

/// A running display server, stopped on drop.
pub(crate) struct Display {
    watcher: Child,
    name: String,
}

impl Display {
    /// Starts the server and waits until it has a display.
    pub(crate) fn start(place: &Place, server: &Path) -> Result<Self, Fault> {
        let mut command = place.command("sh");
        command.args(["-c", WATCHED]).arg(server);
        // In a group of its own: Ctrl-C must not end the watcher before what it watches.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut watcher = command.spawn().map_err(Fault::io("cannot start a display server"))?;
        let output = watcher.stdout.take();
        let mut display = Self { watcher, name: String::new() };
        let mut number = String::new();
        if let Some(output) = output {
            BufReader::new(output)
                .read_line(&mut number)
                .map_err(Fault::io("cannot hear the display server"))?;
        }
        match number.trim() {
            "" => Err(Fault::advice("Xvfb ended before it had a display: start it by hand to see why")),
            number => {
                display.name = format!(":{number}");
                Ok(display)
            }
        }
    }

    /// What `DISPLAY` must say.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // It has nothing to say at its end.
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A display server that is played by a shell script.
    fn played(name: &str, script: &str) -> (Place, PathBuf) {
        let root = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let server = root.join("server");
        fs::write(&server, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
        (Place { target: root.join("target"), tools: root.join("tools"), root }, server)
    }

    #[test]
    fn it_is_named_as_the_server_says_and_ended_with_its_user() {
        let (place, server) = played(
            "display",
            "trap 'echo > ended; exit' TERM; echo 42 >&3; exec 3>&-; while :; do sleep 0.1; done",
        );
        let display = Display::start(&place, &server).unwrap();
        assert_eq!(display.name(), ":42");
        assert!(!place.root.join("ended").exists());
        drop(display);
        assert!(place.root.join("ended").exists());
        fs::remove_dir_all(&place.root).unwrap();
    }

    #[test]
    fn a_server_that_does_not_start_is_told() {
        let (place, server) = played("displayless", "exit 1");
        assert!(Display::start(&place, &server).is_err());
        fs::remove_dir_all(&place.root).unwrap();
    }
}
