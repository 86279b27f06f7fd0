//! What travels: every file of the pages is packed once, as well as it can be, so that the city only has to send it.
//!
//! Brotli for browsers that come over TLS or from this machine, gzip for all others. Both stand beside the file, under its
//! name and `.br` or `.gz`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;

use crate::child;
use crate::fault::Fault;
use crate::place::Place;
use crate::stamp::files;

/// Names how files are packed, so that a change of it packs them anew.
pub(crate) const HOW: &str = "gzip by zopfli, 15 turns";

/// Packs what becomes smaller by it below a folder. Files of one content, as the module in every page, are packed once.
pub(crate) fn folder(place: &Place, folder: &Path) -> Result<(), Fault> {
    // Node.js has Brotli in C, which is several times as fast as in Rust; it also decides what is worth it.
    let mut brotli = place.command("node");
    brotli.arg(place.root.join("www/brotli.mjs")).arg(folder);
    child::run(brotli)?;
    let mut done = BTreeMap::new();
    for file in files(folder, &[])? {
        if file.extension().is_none_or(|ending| ending != "br") {
            continue;
        }
        let plain = file.with_extension("");
        let bytes = fs::read(&plain).map_err(Fault::io(format!("cannot read {}", plain.display())))?;
        let packed = match done.entry(bytes) {
            Entry::Occupied(same) => same.into_mut(),
            Entry::Vacant(new) => {
                let packed = gzip(new.key())?;
                new.insert(packed)
            }
        };
        let beside = file.with_extension("gz");
        fs::write(&beside, packed).map_err(Fault::io(format!("cannot write {}", beside.display())))?;
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
