//! What a browser downloads before the first event: wasm and glue, gzipped, against a limit.

use std::fs;
use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::fault::Fault;
use crate::place::Place;

/// Both files together, gzipped. What stands today must not grow; the goal for the published package is 60 kB, about
/// two seconds on the slow 3G of a crowded market.
const GZIP_BYTES_MAX: usize = 140_000;
const FILES: [&str; 2] = ["conch_bg.wasm", "conch.js"];

/// Prints the sizes; a fault if they are over the limit.
pub(crate) fn weigh(place: &Place) -> Result<(), Fault> {
    let mut total = 0;
    for file in FILES {
        let path = place.bindings().join(file);
        let bytes = fs::read(&path)
            .map_err(|_| Fault::missing(format!("npm/dist/{file} is not built yet"), "cargo xtask build"))?;
        let gzip = gzipped(&bytes).map_err(Fault::io(format!("cannot compress {file}")))?.len();
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

/// The bytes as servers send them.
pub(crate) fn gzipped(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
