//! What a browser downloads before the first event: wasm and glue, gzipped, against a limit.

use std::fs;
use std::path::Path;

use crate::fault::Fault;
use crate::place::Place;

/// Both files together, gzipped. What stands today must not grow; the goal for the published package is 60 kB, about
/// two seconds on the slow 3G of a crowded market.
const GZIP_BYTES_MAX: usize = 145_000;
const FILES: [&str; 2] = ["conch_bg.wasm", "conch.js"];

/// Prints the sizes; a fault if they are over the limit.
pub(crate) fn weigh(place: &Place) -> Result<(), Fault> {
    let mut total = 0;
    for file in FILES {
        let path = place.bindings().join(file);
        let bytes = fs::read(&path)
            .map_err(|_| Fault::missing(format!("npm/dist/{file} is not built yet"), "cargo xtask build"))?;
        let gzip = gzipped(place, &path)?.len();
        println!("  {file:14} {:>7} bytes, {gzip:>6} gzipped", bytes.len());
        total += gzip;
    }
    println!("  {:14} {total:>22} gzipped of {GZIP_BYTES_MAX}", "together");
    if total > GZIP_BYTES_MAX {
        let over = total - GZIP_BYTES_MAX;
        return Err(Fault::advice(format!("{over} bytes over the limit: take out what brought them in")));
    }
    Ok(())
}

/// The bytes as servers send them, by `gzip -9`; with zlib they are half a percent more.
pub(crate) fn gzipped(place: &Place, path: &Path) -> Result<Vec<u8>, Fault> {
    let mut gzip = place.command("gzip");
    gzip.args(["-9", "-c"]).arg(path);
    let output = gzip.output().map_err(Fault::io("cannot run gzip"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Fault::advice(format!("gzip cannot compress {}", path.display())))
    }
}
