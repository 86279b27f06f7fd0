//! `docs/proof.md`: its marked parts, written from the results of long runs and from the pages it sums up.
//!
//! A part whose results are missing or do not belong together keeps what stands, which says itself where it was measured.

use std::fs;

use crate::fault::Fault;
use crate::marked;
use crate::place::Place;
use crate::proof::kept::{self, PAGE};
use crate::proof::list::{self, Long, Scale};
use crate::proof::measured::Measured;
use crate::proof::tables::{self, Sources};

const SUMMARY: &str = "summary";

/// Writes what there are results for, and says what it left as it stands and why.
pub(crate) fn renew(place: &Place, scale: Scale) -> Result<(), Fault> {
    let path = place.root.join(PAGE);
    let page = fs::read_to_string(&path).map_err(Fault::io(format!("cannot read {PAGE}")))?;
    let folder = kept::folder(place, scale);
    let longs = list::all(scale);
    let found: Vec<_> = longs.iter().map(|long| (long, Measured::gather(long, scale, &folder))).collect();
    let sources = Sources::read(place)?;
    let (new, words) = written(&page, &found, &sources)?;
    words.iter().for_each(|word| println!("  {word}"));
    if new == page {
        println!("  {PAGE}: nothing changed");
        return Ok(());
    }
    println!("  {PAGE}: written");
    fs::write(path, new).map_err(Fault::io(format!("cannot write {PAGE}")))
}

/// The page with every part there is something new for, and a word on each long run.
fn written(
    page: &str,
    found: &[(&Long, Result<Measured<'_>, String>)],
    sources: &Sources,
) -> Result<(String, Vec<String>), Fault> {
    let mut page = page.to_owned();
    let mut words = Vec::new();
    let mut rows = Vec::new();
    for (long, measured) in found {
        let name = long.name;
        let text = match measured {
            Ok(measured) if measured.is_less_than(marked::part(PAGE, &page, name)?) => {
                Err("a small run takes no whole one's place".to_owned())
            }
            Ok(measured) => tables::of(measured, sources)
                .map(|(figure, table)| (measured.row(&figure), table + &measured.source())),
            Err(why) => Err(why.clone()),
        };
        match text {
            Ok((row, text)) => {
                page = marked::with(PAGE, &page, name, &text)?;
                rows.push(row);
                words.push(format!("{name}: written"));
            }
            Err(why) => {
                // The part must be there all the same.
                let stands = marked::part(PAGE, &page, name)?;
                let stands =
                    stands.lines().find(|line| line.starts_with("Measured at")).unwrap_or("it has none yet");
                words.push(format!("{name}: keeps what stands ({}), because {why}", cut(stands)));
            }
        }
    }
    for (name, figure, table) in sources.summed()? {
        page = marked::with(PAGE, &page, name, &table)?;
        rows.push(figure);
    }
    let summary = merged(marked::part(PAGE, &page, SUMMARY)?, &rows);
    Ok((marked::with(PAGE, &page, SUMMARY, &summary)?, words))
}

/// The beginning of a sentence, up to where its command comes.
fn cut(sentence: &str) -> &str {
    sentence.split_once(", in ").map_or(sentence, |(begin, _)| begin)
}

/// A table with new rows in the place of those that begin alike. A row without a new one stays.
fn merged(stands: &str, rows: &[String]) -> String {
    const HEAD: &str = "| what | what it came to | code | again |\n|---|---|---|---|\n";
    let key = |row: &str| row.split('|').nth(1).map(|cell| cell.trim().to_owned());
    let stands: Vec<_> =
        stands.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |")).collect();
    let mut text = String::from(HEAD);
    let names = list::all(Scale::Whole).iter().map(|long| long.name.to_owned()).collect::<Vec<_>>();
    for name in names.into_iter().chain(["engines", "peers"].map(str::to_owned)) {
        let is = |row: &&str| key(row).as_deref() == Some(name.as_str());
        let new = rows.iter().map(String::as_str).find(is);
        if let Some(row) = new.or_else(|| stands.iter().copied().find(is)) {
            text += row;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::proof::kept::tests::kept;
    use crate::proof::kept::{Code, Kept};

    fn sources() -> Sources {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        Sources::read(&Place { root: root.into(), target: root.join("target"), tools: root.join("tools") })
            .unwrap()
    }

    fn page_as_it_is() -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        fs::read_to_string(format!("{root}{PAGE}")).unwrap()
    }

    /// Every part of a long run with the same counts.
    fn measured<'long>(long: &'long Long, held: bool, counted: &Value) -> Measured<'long> {
        at_scale(long, Scale::Whole, held, counted)
    }

    fn at_scale<'long>(long: &'long Long, scale: Scale, held: bool, counted: &Value) -> Measured<'long> {
        let results = long.parts.iter().map(|part| {
            let kept = Kept { command: part.command(), ..kept(held, counted.clone()) };
            (part, Some(kept))
        });
        Measured::of(long, scale, results.collect()).unwrap()
    }

    #[test]
    fn a_small_run_is_replaced_by_a_whole_one_and_never_replaces_it() {
        let longs = list::all(Scale::Whole);
        let of = long(&longs, "browser kills");
        let write = |page: &str, scale| {
            let measured = at_scale(of, scale, true, &kills());
            let page = written(page, &[(of, Ok(measured))], &sources()).unwrap().0;
            let part = marked::part(PAGE, &page, "browser kills").unwrap().contains("small run");
            (
                part || marked::part(PAGE, &page, SUMMARY).unwrap().contains("browser kills | a small run"),
                page,
            )
        };
        let (_, page) = write(&page_as_it_is(), Scale::Small);
        let (is_small, page) = write(&page, Scale::Whole);
        assert!(!is_small);
        assert!(!write(&page, Scale::Small).0);
    }

    fn long<'all>(longs: &'all [Long], name: &str) -> &'all Long {
        longs.iter().find(|long| long.name == name).unwrap()
    }

    /// Of one chunk of kills, of which the browser threw one database away.
    fn kills() -> Value {
        json!({ "seed": 1, "broken": [], "runs": [{
            "kills": 20, "cityKills": 10, "profiles": 2, "acknowledged": 1_000, "events": 1_003, "lost": 0, "doubled": 0,
            "thrownAway": 1, "gone": 7, "browser": "Chromium 156",
        }] })
    }

    #[test]
    fn every_long_run_has_its_part_in_the_page_and_its_row() {
        let longs = list::all(Scale::Whole);
        let none: Vec<_> = longs.iter().map(|long| (long, Err("it was not run".to_owned()))).collect();
        let (_, words) = written(&page_as_it_is(), &none, &sources()).unwrap();
        assert_eq!(words.len(), longs.len());
    }

    #[test]
    fn a_part_without_results_keeps_what_stands_and_says_why() {
        let longs = list::all(Scale::Whole);
        let page = page_as_it_is();
        let before = marked::part(PAGE, &page, "browser kills").unwrap().to_owned();
        let found = vec![(long(&longs, "browser kills"), Err("3 of 16 parts have no result".to_owned()))];
        let (after, words) = written(&page, &found, &sources()).unwrap();
        assert_eq!(marked::part(PAGE, &after, "browser kills").unwrap(), before);
        assert!(words[0].contains("keeps what stands") && words[0].contains("3 of 16"), "{words:?}");
    }

    #[test]
    fn what_was_counted_is_summed_and_a_thrown_away_database_is_told() {
        let longs = list::all(Scale::Whole);
        let of = long(&longs, "browser kills");
        let (page, _) =
            written(&page_as_it_is(), &[(of, Ok(measured(of, true, &kills())))], &sources()).unwrap();
        let part = marked::part(PAGE, &page, "browser kills").unwrap();
        assert!(
            part.contains("| chromium | window | 100 | 50 | 10 | 5,000 | 5,015 | 0 | 0 | 5 | 35 |"),
            "{part}"
        );
        assert!(
            part.contains("Measured at `abc1234` on 2026-01-02") && part.contains("CONCH_SEED=1"),
            "{part}"
        );
        let summary = marked::part(PAGE, &page, SUMMARY).unwrap();
        assert!(summary.contains("| browser kills | 320 kills, 16,000 events called safe, 0 lost, 0 doubled; 16 databases thrown away by the browser, alarm raised |"), "{summary}");
    }

    #[test]
    fn a_run_that_did_not_hold_says_so_first() {
        let longs = list::all(Scale::Whole);
        let of = long(&longs, "city kills");
        let counted = json!({ "rounds": 10, "passed": 0, "failed": 1 });
        let (page, _) =
            written(&page_as_it_is(), &[(of, Ok(measured(of, false, &counted)))], &sources()).unwrap();
        for part in [SUMMARY, "city kills"] {
            let text = marked::part(PAGE, &page, part).unwrap();
            assert!(text.contains("**5 of 5 parts did not hold"), "{text}");
        }
    }

    #[test]
    fn parts_of_two_commits_or_of_another_command_are_not_summed() {
        let longs = list::all(Scale::Whole);
        let of = long(&longs, "city kills");
        let results = |other: fn(Kept) -> Kept| {
            let counted = json!({ "rounds": 10, "passed": 1, "failed": 0 });
            let mut results: Vec<_> = of
                .parts
                .iter()
                .map(|part| (part, Some(Kept { command: part.command(), ..kept(true, counted.clone()) })))
                .collect();
            results[1].1 = results[1].1.take().map(other);
            Measured::of(of, Scale::Whole, results).unwrap_err()
        };
        let two = results(|kept| Kept { code: Code { commit: "other".into(), dirty: false }, ..kept });
        assert!(two.contains("different commits"), "{two}");
        let else_asked = results(|kept| Kept { command: "cargo y".into(), ..kept });
        assert!(else_asked.contains("another command"), "{else_asked}");
    }

    /// `` `name` in `file` ``: a test that is written so is one.
    #[test]
    fn the_small_ones_are_tests_that_exist() {
        let page = page_as_it_is();
        let small = page.split_once("## The small ones").unwrap().1.split_once("\n## ").unwrap().0;
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let mut found = 0;
        for (before, after) in
            small.match_indices("` in `").map(|(at, mark)| (&small[..at], &small[at + mark.len()..]))
        {
            let (name, file) = (before.rsplit('`').next().unwrap(), after.split('`').next().unwrap());
            let source =
                fs::read_to_string(format!("{root}{file}")).unwrap_or_else(|_| panic!("there is no {file}"));
            let is = [format!("fn {name}("), format!("test(\"{name}\"")];
            assert!(is.iter().any(|is| source.contains(is)), "{file} has no test {name}");
            found += 1;
        }
        assert!(found >= 4, "{small}");
        for long in list::all(Scale::Whole) {
            assert!(small.contains(long.name), "{} has no row", long.name);
        }
    }

    #[test]
    fn a_row_of_the_summary_without_a_new_one_stays() {
        let stands = "| what | what it came to | code | again |\n|---|---|---|---|\n| world | old | a | b |\n| money | old | a | b |\n";
        let text = merged(stands, &["| money | new | c | d |".to_owned()]);
        assert!(text.contains("| world | old | a | b |\n| money | new | c | d |\n"), "{text}");
        assert_eq!(text.matches("money").count(), 1);
    }
}
