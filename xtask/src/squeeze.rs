//! What travels: every file of the pages is packed once, as well as it can be, so that the city only has to send it.
//!
//! Brotli for browsers that come over TLS or from this machine, gzip for all others. Both stand beside the file, under its
//! name and `.br` or `.gz`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::child;
use crate::fault::Fault;
use crate::place::Place;

/// Names how files are packed, so that a change of it packs them anew.
pub(crate) const HOW: &str = "gzip by zopfli, 15 turns";

/// Packs what becomes smaller by it below a folder. Files of one content, as the module in every page, are packed once.
pub(crate) fn folder(place: &Place, folder: &Path) -> Result<(), Fault> {
    // Node.js has Brotli in C, which is several times as fast as in Rust; it also decides what is worth it.
    let mut brotli = place.command("node");
    brotli.arg(place.root.join("www/brotli.mjs")).arg(folder);
    child::run(brotli)?;
    let mut done: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for file in files(folder)? {
        if file.extension().is_none_or(|ending| ending != "br") {
            continue;
        }
        let plain = file.with_extension("");
        let bytes = fs::read(&plain).map_err(Fault::io(format!("cannot read {}", plain.display())))?;
        let packed = match done.remove(&bytes) {
            Some(packed) => packed,
            None => gzip(&bytes)?,
        };
        let beside = file.with_extension("gz");
        fs::write(&beside, &packed).map_err(Fault::io(format!("cannot write {}", beside.display())))?;
        done.insert(bytes, packed);
    }
    Ok(())
}

/// As gzip, a twentieth smaller than `gzip -9` makes it.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed)
        .map_err(Fault::io("cannot pack as gzip"))?;
    Ok(packed)
}

/// All files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let cannot = || Fault::io(format!("cannot read {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(cannot())? {
            let path = entry.map_err(cannot())?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}
