//! What a browser downloads before the first event: wasm and glue, and all that a page begins with, packed, against limits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_demangle::demangle;
use wasmparser::{KnownCustom, Name, Naming, Parser, Payload, TypeRef};

use crate::build;
use crate::fault::Fault;
use crate::place::{Place, WASM_TARGET};
use crate::stamp;

/// Both files together, gzipped. What stands today must not grow; the goal for the published package is 60 kB, about
/// two seconds on the slow 3G of a crowded market.
const GZIP_BYTES_MAX: usize = 117_400;
/// What a page's first load may weigh together, as the city sends it to a browser that knows no Brotli. Over TLS all know it.
const PAGE_GZIP_BYTES_MAX: u64 = 150_000;
const FILES: [&str; 2] = ["conch_bg.wasm", "conch.js"];
/// Lines of the table of parts.
const PARTS_SHOWN: usize = 20;

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
    pages(place)?;
    parts(place)?;
    if total > GZIP_BYTES_MAX {
        let over = total - GZIP_BYTES_MAX;
        return Err(Fault::advice(format!("{over} bytes over the limit: take out what brought them in")));
    }
    Ok(())
}

/// Prints what the first load of each page weighs; a fault if one is over the limit.
fn pages(place: &Place) -> Result<(), Fault> {
    let mut heavy = Vec::new();
    println!("\n  the first load of a page, its module with it{:>12}{:>10}", "gzip", "Brotli");
    for page in build::PAGES {
        let (mut gzip, mut brotli) = (0, 0);
        for file in first_load(&place.pages().join(page))? {
            gzip += packed_length(&file, "gz")?;
            brotli += packed_length(&file, "br")?;
        }
        println!("  {page:14}{gzip:>42} {brotli:>9}  of {PAGE_GZIP_BYTES_MAX}");
        if gzip > PAGE_GZIP_BYTES_MAX {
            heavy.push(page);
        }
    }
    if heavy.is_empty() {
        return Ok(());
    }
    Err(Fault::advice(format!("over the limit of a page: {}. Take out what brought it in", heavy.join(", "))))
}

/// What a page begins with: its markup, what that names, its worker and the module. Not here: icons, which the system
/// fetches when it installs a page, the decoder, which a camera asks for, and other scripts that are loaded when wanted.
fn first_load(page: &Path) -> Result<BTreeSet<PathBuf>, Fault> {
    let unbuilt = |_| Fault::missing(format!("{} is not built yet", page.display()), "cargo xtask build");
    let markup = fs::read_to_string(page.join("index.html")).map_err(unbuilt)?;
    let begins = |name: &str| {
        ["index.html", "worker.js"].contains(&name)
            || name.starts_with("conch_bg") && name.ends_with(".wasm")
            || [".js", ".css"].iter().any(|ending| name.ends_with(ending)) && markup.contains(name)
    };
    let mut files = stamp::files(page, &[])?;
    files.retain(|file| file.file_name().is_some_and(|name| begins(&name.to_string_lossy())));
    Ok(files)
}

fn packed_length(file: &Path, ending: &str) -> Result<u64, Fault> {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    let packed = PathBuf::from(name);
    let unbuilt = |_| Fault::missing(format!("{} is not built yet", packed.display()), "cargo xtask build");
    Ok(fs::metadata(&packed).map_err(unbuilt)?.len())
}

/// Prints what costs what: the module's code by the part it comes from, before wasm-opt took the names away. The shares
/// stay much the same after it.
fn parts(place: &Place) -> Result<(), Fault> {
    let path = place.target.join(WASM_TARGET).join("wasm/conch.wasm");
    let module =
        fs::read(&path).map_err(|_| Fault::missing("the module is not built yet", "cargo xtask build"))?;
    let (code, data) = measured(&module).map_err(|problem| {
        Fault::advice(format!("{} is no module we can read: {problem}", path.display()))
    })?;
    let total: usize = code.values().sum::<usize>() + data;
    let mut rows: Vec<_> = code.into_iter().chain([("texts and tables".to_owned(), data)]).collect();
    rows.sort_by_key(|(_, bytes)| Reverse(*bytes));
    println!("\n  what costs what, before compression");
    let small: usize = rows.iter().skip(PARTS_SHOWN).map(|(_, bytes)| bytes).sum();
    for (part, bytes) in rows.into_iter().take(PARTS_SHOWN).chain([("all else".to_owned(), small)]) {
        println!("  {part:24} {bytes:>7} bytes {:>5.1} %", bytes as f64 * 100.0 / total as f64);
    }
    Ok(())
}

/// Bytes of code by part, and bytes of data.
fn measured(module: &[u8]) -> Result<(BTreeMap<String, usize>, usize), wasmparser::BinaryReaderError> {
    let (mut imported, mut bodies, mut data) = (0, Vec::new(), 0);
    let mut names = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(length(&body.range())),
            Payload::DataSection(segments) => data = length(&segments.range()),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else { continue };
                for subsection in subsections {
                    let Name::Function(functions) = subsection? else { continue };
                    for function in functions {
                        let Naming { index, name } = function?;
                        names.insert(index, part_of(&demangle(name).to_string()));
                    }
                }
            }
            _ => {}
        }
    }
    let mut parts = BTreeMap::new();
    for (index, bytes) in (imported..).zip(bodies) {
        *parts.entry(names.remove(&index).unwrap_or_else(|| "unnamed".to_owned())).or_default() += bytes;
    }
    Ok((parts, data))
}

/// Positions in a module on this machine's disk fit into its memory.
fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

/// The module of ours that a function belongs to, or else its crate.
fn part_of(name: &str) -> String {
    if name.starts_with("core::ptr::drop_in_place") {
        return "dropping values".to_owned();
    }
    let plain = name.trim_start_matches(['<', '&']);
    if ["core", "alloc", "std"].iter().any(|library| plain.starts_with(library)) {
        return "Rust's library".to_owned();
    }
    let path = plain.split_once(" as ").map_or(plain, |(own, _)| own);
    let mut words = path.split([':', '<', '>', '[', ' ']).filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some("conch"), Some(module), Some(part)) if part.starts_with(char::is_lowercase) => {
            format!("{module}/{part}")
        }
        (Some("conch"), Some(module), _) => module.to_owned(),
        (Some(other), ..) => other.to_owned(),
        _ => "unnamed".to_owned(),
    }
}

/// The bytes as servers send them, by `gzip -9`; with zlib they are half a percent more.
fn gzipped(place: &Place, path: &Path) -> Result<Vec<u8>, Fault> {
    let mut gzip = place.command("gzip");
    gzip.args(["-9", "-c"]).arg(path);
    let output = gzip.output().map_err(Fault::io("cannot run gzip"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Fault::advice(format!("gzip cannot compress {}", path.display())))
    }
}
