//! Skipping what is done: a stamp remembers which inputs gave which outputs, by content.
//!
//! Times of files lie after a checkout or a copy; contents do not. Cargo judges Rust sources itself, so stamps are
//! only for what cargo does not know.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::place::Place;

/// A fingerprint of files and words. Good enough to notice change, not made to resist anyone.
#[derive(Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    pub(crate) fn word(mut self, word: &str) -> Self {
        word.hash(&mut self.0);
        self
    }

    /// A file, or a folder with all below it except what is called one of `except`. What is not there counts as empty.
    pub(crate) fn tree(mut self, path: &Path, except: &[&str]) -> Result<Self, Fault> {
        let files = files(path, except)?;
        for file in files {
            let bytes = fs::read(&file).map_err(Fault::io(format!("cannot read {}", file.display())))?;
            file.strip_prefix(path).unwrap_or(&file).hash(&mut self.0);
            bytes.hash(&mut self.0);
        }
        Ok(self)
    }

    pub(crate) fn text(self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// A file, or all below a folder except what is called one of `except`, in order.
pub(crate) fn files(path: &Path, except: &[&str]) -> Result<BTreeSet<PathBuf>, Fault> {
    let mut files = BTreeSet::new();
    collect(path, except, &mut files).map_err(Fault::io(format!("cannot read {}", path.display())))?;
    Ok(files)
}

fn collect(path: &Path, except: &[&str], files: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.insert(path.to_path_buf());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !except.iter().any(|name| entry.file_name() == *name) {
            collect(&entry.path(), except, files)?;
        }
    }
    Ok(())
}

/// Calls `make` unless the same inputs gave the very outputs that are there.
pub(crate) fn unless_fresh(
    place: &Place,
    name: &str,
    inputs: Fingerprint,
    output: &Path,
    make: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let stamp = place.target.join("xtask").join(format!("{name}.stamp"));
    let inputs = inputs.text();
    let line = |output: Fingerprint| format!("{inputs} {}\n", output.text());
    if output.exists() {
        let now = line(Fingerprint::default().tree(output, &[])?);
        if fs::read_to_string(&stamp).is_ok_and(|then| then == now) {
            println!("  {name}: nothing changed");
            return Ok(());
        }
    }
    make()?;
    let now = line(Fingerprint::default().tree(output, &[])?);
    let folder = stamp.parent().unwrap_or(&place.target);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&stamp, now))
        .map_err(Fault::io(format!("cannot write {}", stamp.display())))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A checkout of its own under the system's temporary folder, removed at the end.
    struct Scratch(Place);

    impl Scratch {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("in/skipped")).unwrap();
            Self(Place { target: root.join("target"), tools: root.join("tools"), root })
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.0.root.join(path), text).unwrap();
        }

        /// Whether `make` had to run.
        fn made(&self) -> bool {
            let ran = Cell::new(false);
            let inputs = Fingerprint::default().tree(&self.0.root.join("in"), &["skipped"]).unwrap();
            let make = || {
                ran.set(true);
                self.write("out", "made");
                Ok(())
            };
            unless_fresh(&self.0, "thing", inputs, &self.0.root.join("out"), make).unwrap();
            ran.get()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.root);
        }
    }

    #[test]
    fn the_same_inputs_are_made_once() {
        let scratch = Scratch::new("once");
        scratch.write("in/a", "1");
        assert!(scratch.made());
        assert!(!scratch.made());
    }

    #[test]
    fn a_changed_renamed_or_new_input_is_made_again() {
        let scratch = Scratch::new("input");
        scratch.write("in/a", "1");
        assert!(scratch.made());
        scratch.write("in/a", "2");
        assert!(scratch.made());
        fs::rename(scratch.0.root.join("in/a"), scratch.0.root.join("in/b")).unwrap();
        assert!(scratch.made());
        scratch.write("in/c", "");
        assert!(scratch.made());
    }

    #[test]
    fn an_excepted_folder_changes_nothing() {
        let scratch = Scratch::new("except");
        assert!(scratch.made());
        scratch.write("in/skipped/a", "1");
        assert!(!scratch.made());
    }

    #[test]
    fn an_output_lost_or_touched_by_others_is_made_again() {
        let scratch = Scratch::new("output");
        assert!(scratch.made());
        fs::remove_file(scratch.0.root.join("out")).unwrap();
        assert!(scratch.made());
        scratch.write("out", "half");
        assert!(scratch.made());
    }

    #[test]
    fn a_make_that_failed_is_not_remembered() {
        let scratch = Scratch::new("failed");
        let output = scratch.0.root.join("out");
        let fail = || {
            scratch.write("out", "half");
            Err(Fault::advice("no"))
        };
        assert!(unless_fresh(&scratch.0, "thing", Fingerprint::default(), &output, fail).is_err());
        assert!(scratch.made());
    }
}
