//! The tables of docs/engines.md: what each engine offers and how many tests passed where. Written from a run, never by
//! hand.

use std::fmt::Write;
use std::fs;

use crate::counts::Counts;
use crate::engine::{Context, Engine};
use crate::fault::Fault;
use crate::marked;
use crate::place::Place;
use crate::suites::BrowserSuite;

pub(crate) const PAGE: &str = "docs/engines.md";
/// The parts of the page that are tables.
pub(crate) const COUNTS: &str = "counts";
const OFFERS: &str = "offers";
/// The test `the_table_says_what_this_engine_offers_here` writes the rows.
const OFFERS_HEAD: &str = "\
| engine | context | durability | Web Locks | BroadcastChannel | persist | estimate | Background Sync | keepalive |
|---|---|---|---|---|---|---|---|---|
";

/// Writes what a run of everything gave. A run with failures changes nothing: what should have passed is not known.
pub(crate) fn renew(place: &Place, ran: &[(BrowserSuite, Counts)]) -> Result<(), Fault> {
    let Some((old, new)) = pages(place, ran)? else { return Ok(()) };
    write(place, &old, &new)
}

/// A fault if the page says something else than the run gave.
pub(crate) fn check(place: &Place, ran: &[(BrowserSuite, Counts)]) -> Result<(), Fault> {
    match pages(place, ran)? {
        Some((old, new)) if old != new => {
            Err(Fault::missing(format!("{PAGE} has other counts"), "cargo xtask test --all-engines"))
        }
        _ => Ok(()),
    }
}

/// Writes what each engine said of itself.
pub(crate) fn offers(place: &Place, rows: &[String]) -> Result<(), Fault> {
    let page = read(place)?;
    let mut text = String::from(OFFERS_HEAD);
    rows.iter().for_each(|row| text.extend([row, "\n"]));
    write(place, &page, &marked::with(PAGE, &page, OFFERS, &text)?)
}

/// Both tables as the page has them, to be shown.
pub(crate) fn tables(place: &Place) -> Result<String, Fault> {
    let page = read(place)?;
    let part = |name| marked::part(PAGE, &page, name);
    Ok(format!("{}\n{}", part(OFFERS)?, part(COUNTS)?))
}

/// The page as it is and as it should be.
fn pages(place: &Place, ran: &[(BrowserSuite, Counts)]) -> Result<Option<(String, String)>, Fault> {
    if ran.iter().any(|(_, counts)| counts.failed > 0) {
        return Ok(None);
    }
    let page = read(place)?;
    let new = marked::with(PAGE, &page, COUNTS, &table(ran))?;
    Ok(Some((page, new)))
}

fn read(place: &Place) -> Result<String, Fault> {
    fs::read_to_string(place.root.join(PAGE)).map_err(Fault::io(format!("cannot read {PAGE}")))
}

fn write(place: &Place, old: &str, new: &str) -> Result<(), Fault> {
    if old == new {
        return Ok(());
    }
    println!("  {PAGE}: the run gave something else, written anew");
    fs::write(place.root.join(PAGE), new).map_err(Fault::io(format!("cannot write {PAGE}")))
}

fn table(ran: &[(BrowserSuite, Counts)]) -> String {
    let mut files: Vec<_> = ran.iter().map(|(suite, _)| suite.file.as_str()).collect();
    files.dedup();
    let mut text = String::from("| suite | context |");
    Engine::ALL.iter().for_each(|engine| text.extend([" ", engine.name(), " |"]));
    text.push_str("\n|---|---|---|---|---|\n");
    for file in files {
        for context in Context::ALL {
            // Writing into a string cannot fail.
            let _ = write!(text, "| {file} | {} |", context.name());
            for engine in Engine::ALL {
                let wanted = BrowserSuite { file: file.to_owned(), engine, context };
                let passed = ran.iter().find(|(suite, _)| *suite == wanted).map(|(_, counts)| counts.passed);
                let _ =
                    write!(text, " {} |", passed.map_or_else(|| "–".to_owned(), |passed| passed.to_string()));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(passed: u64, failed: u64) -> Vec<(BrowserSuite, Counts)> {
        let suite = |engine, context| BrowserSuite { file: "web_store".into(), engine, context };
        let counts = Counts { passed, failed, skipped: 0 };
        vec![
            (suite(Engine::Chromium, Context::Window), counts),
            (suite(Engine::WebKit, Context::ServiceWorker), Counts { passed: 1, ..counts }),
        ]
    }

    /// A checkout with nothing but the page.
    fn checkout(name: &str, page: &str) -> Place {
        let root = std::env::temp_dir().join(format!("xtask-table-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::write(root.join(PAGE), page).unwrap();
        Place { target: root.join("target"), tools: root.join("tools"), root }
    }

    #[test]
    fn a_row_is_a_suite_in_a_context_and_a_column_an_engine() {
        let text = table(&ran(33, 0));
        assert!(text.contains("| web_store | window | 33 | – | – |\n"), "{text}");
        assert!(text.contains("| web_store | service-worker | – | – | 1 |\n"), "{text}");
    }

    #[test]
    fn a_page_that_says_something_else_is_told_until_it_is_renewed() {
        let (begin, end) = ("<!-- counts -->\n", "<!-- end of counts -->\n");
        let place = checkout("renewed", &format!("before\n{begin}old\n{end}after\n"));
        assert!(check(&place, &ran(33, 0)).is_err());
        renew(&place, &ran(33, 0)).unwrap();
        check(&place, &ran(33, 0)).unwrap();
        assert!(check(&place, &ran(34, 0)).is_err());
        let page = fs::read_to_string(place.root.join(PAGE)).unwrap();
        fs::remove_dir_all(&place.root).unwrap();
        assert!(page.starts_with("before\n") && page.ends_with("after\n") && !page.contains("old"), "{page}");
    }

    #[test]
    fn a_run_with_failures_says_nothing_of_the_counts() {
        let (begin, end) = ("<!-- counts -->\n", "<!-- end of counts -->\n");
        let page = format!("{begin}old\n{end}");
        let place = checkout("failed", &page);
        renew(&place, &ran(32, 1)).unwrap();
        check(&place, &ran(32, 1)).unwrap();
        assert_eq!(fs::read_to_string(place.root.join(PAGE)).unwrap(), page);
        fs::remove_dir_all(&place.root).unwrap();
    }

    #[test]
    fn what_engines_offer_stands_between_its_comments_and_is_written_anew() {
        let (begin, end) = ("<!-- offers -->\n", "<!-- end of offers -->\n");
        let place = checkout("offers", &format!("before\n{begin}old\n{end}after\n"));
        offers(&place, &["| webkit | window | yes |".to_owned()]).unwrap();
        let page = read(&place).unwrap();
        fs::remove_dir_all(&place.root).unwrap();
        assert!(page.ends_with(&format!("| webkit | window | yes |\n{end}after\n")), "{page}");
        assert!(page.starts_with(&format!("before\n{begin}| engine |")) && !page.contains("old"), "{page}");
    }
}
