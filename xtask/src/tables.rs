//! The tables of the documentation, held against the sources they speak of.
//!
//! The table of limits is written from `src/limits.rs`, whose comments say it all; the one of error codes is written by
//! hand, because what to do about an error stands nowhere else.

use std::fs;

use crate::child;
use crate::fault::Fault;
use crate::place::Place;

const LIMITS_HEAD: &str = "\
# Limits

Every number of the SDK, with its unit and its reason. This page is `cargo xtask limits`, made from `src/limits.rs`.

| limit | value | what it is |
|---|---:|---|
";

/// The page of limits, as docs/limits.md must have it.
pub(crate) fn limits(place: &Place) -> Result<String, Fault> {
    let source = fs::read_to_string(place.root.join("src/limits.rs"))
        .map_err(Fault::io("cannot read src/limits.rs"))?;
    Ok(LIMITS_HEAD.to_owned() + &rows(&source)?)
}

/// Has the city write the schemas of all events, or hold against them what lies there.
pub(crate) fn contracts(place: &Place, check: bool) -> Result<(), Fault> {
    let what = if check { ["check", "--dir"] } else { ["write", "--out"] };
    let words = ["run", "--quiet", "--package", "city", "--", "contracts"];
    let mut command = place.cargo(&words);
    command.args(what).arg(place.root.join("contracts"));
    child::run(command)
}

/// One row a constant: its name, its value and its comment.
fn rows(source: &str) -> Result<String, Fault> {
    let mut rows = String::new();
    let mut comment = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
            continue;
        }
        if let Some(constant) = line.strip_prefix("pub const ") {
            let unread = || Fault::advice(format!("src/limits.rs: cannot read the value in `{line}`"));
            let (name, rest) = constant.split_once(": ").ok_or_else(unread)?;
            let (_, text) = rest.split_once(" = ").ok_or_else(unread)?;
            let value = text.strip_suffix(';').and_then(value).ok_or_else(unread)?;
            rows.push_str(&format!("| `{name}` | {} | {} |\n", grouped(value), comment.join(" ")));
        }
        comment.clear();
    }
    Ok(rows)
}

/// The value of a product, a shift or a difference. Mixed operators stand in parentheses, as clippy wants them.
fn value(text: &str) -> Option<u64> {
    if let Some((left, right)) = text.rsplit_once(" - ") {
        return value(left)?.checked_sub(value(right)?);
    }
    if let Some((left, right)) = text.rsplit_once(" * ") {
        return value(left)?.checked_mul(value(right)?);
    }
    if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        return value(inner);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return value(left)?.checked_shl(u32::try_from(value(right)?).ok()?);
    }
    text.replace('_', "").parse().ok()
}

/// `65536` → `65,536`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap()
    }

    /// The lines of a page below a heading, up to the next one.
    fn below<'page>(page: &'page str, heading: &str) -> Vec<&'page str> {
        let lines = page.lines().skip_while(|line| *line != heading).skip(1);
        lines.take_while(|line| !line.starts_with('#')).collect()
    }

    /// The first cells of a table's rows, which are code.
    fn first_cells<'page>(lines: &[&'page str]) -> Vec<&'page str> {
        lines.iter().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|row| row.0).collect()
    }

    /// The literals that `call` is given first, wherever it stands in `source`.
    fn first_arguments<'source>(source: &'source str, call: &str) -> Vec<&'source str> {
        let calls = source.split(call).skip(1);
        calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect()
    }

    #[test]
    fn values_are_computed_as_rust_does() {
        for (text, wanted) in [
            ("1_000", 1_000),
            ("64 * 1024", 65_536),
            ("7 * 24 * 3_600_000", 604_800_000),
            ("1 << 20", 1_048_576),
            ("(1 << 53) - 1", 9_007_199_254_740_991),
        ] {
            assert_eq!(value(text), Some(wanted), "{text}");
        }
        assert_eq!(value("OTHER_MAX"), None);
        assert_eq!(grouped(1_048_576), "1,048,576");
        assert_eq!(grouped(128), "128");
    }

    #[test]
    fn a_comment_of_two_lines_is_one_cell() {
        let source = "//! Head.\n\n/// So many, in ms,\n/// at most.\npub const A_MAX: u64 = 2 * 500;\n";
        assert_eq!(rows(source).unwrap(), "| `A_MAX` | 1,000 | So many, in ms, at most. |\n");
    }

    #[test]
    fn the_page_of_limits_is_what_the_source_says() {
        let wanted = LIMITS_HEAD.to_owned() + &rows(&read("src/limits.rs")).unwrap();
        assert_eq!(read("docs/limits.md"), wanted, "type: cargo xtask limits > docs/limits.md");
    }

    #[test]
    fn the_packages_limits_are_rows_of_that_page() {
        let (own, all) = (read("npm/README.md"), read("docs/limits.md"));
        let own: Vec<_> =
            below(&own, "## Limits").into_iter().filter(|line| line.starts_with("| `")).collect();
        assert!(!own.is_empty());
        for row in own {
            assert!(all.lines().any(|line| line == row), "docs/limits.md has no such row: {row}");
        }
    }

    #[test]
    fn every_option_has_its_row() {
        let types = read("npm/index.d.ts");
        let (_, options) = types.split_once("export type Destination =").unwrap();
        let (options, _) = options.split_once("/** The `code`").unwrap();
        let typed: BTreeSet<_> = options
            .lines()
            .filter(|line| !line.trim_start().starts_with('*') && !line.ends_with("?: never;"))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim().trim_end_matches('?'))
            .collect();
        let page = read("npm/README.md");
        let told: BTreeSet<_> = first_cells(&below(&page, "## Options")).into_iter().collect();
        assert_eq!(told, typed);
    }

    #[test]
    fn every_error_code_has_its_row_its_type_and_its_maker() {
        let types = read("npm/index.d.ts");
        let (_, codes) = types.split_once("export type ConchErrorCode =").unwrap();
        let typed: BTreeSet<_> = codes.split(';').next().unwrap().split('"').skip(1).step_by(2).collect();

        let page = read("npm/README.md");
        let rows = first_cells(&below(&page, "## Errors"));
        let told: BTreeSet<_> = rows.iter().copied().collect();
        assert_eq!(told.len(), rows.len(), "a code has one row");
        assert_eq!(told, typed);

        let sources: String = fs::read_dir(root().join("src/sdk"))
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        let sources = sources + &read("npm/face.js");
        let made = ["error(", "error_caused(", "vain(", "fault("].map(|call| first_arguments(&sources, call));
        for code in made.concat() {
            assert!(typed.contains(code), "`{code}` is made and has no type");
        }
        for code in typed {
            assert!(sources.contains(&format!("\"{code}\"")), "`{code}` is made nowhere");
        }
    }
}
