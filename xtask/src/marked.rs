//! Parts of pages that a machine writes: what stands between `<!-- name -->` and `<!-- end of name -->`, a line each.

use crate::fault::Fault;

/// The two comments around a part.
struct Marks {
    begin: String,
    end: String,
}

impl Marks {
    fn of(name: &str) -> Self {
        Self { begin: format!("<!-- {name} -->\n"), end: format!("<!-- end of {name} -->\n") }
    }
}

/// What stands in a part. `path` is the page's, for who must mend it.
pub(crate) fn part<'page>(path: &str, page: &'page str, name: &str) -> Result<&'page str, Fault> {
    Ok(split(path, page, &Marks::of(name))?.1)
}

/// The page with another text in a part.
pub(crate) fn with(path: &str, page: &str, name: &str, text: &str) -> Result<String, Fault> {
    let marks = Marks::of(name);
    let (before, _, after) = split(path, page, &marks)?;
    Ok(format!("{before}{}{text}{}{after}", marks.begin, marks.end))
}

/// What stands before, in and after a part.
fn split<'page>(
    path: &str,
    page: &'page str,
    marks: &Marks,
) -> Result<(&'page str, &'page str, &'page str), Fault> {
    let lost =
        || Fault::advice(format!("{path} has lost `{}` or its end: put them back", marks.begin.trim()));
    let (before, rest) = page.split_once(&marks.begin).ok_or_else(lost)?;
    let (between, after) = rest.split_once(&marks.end).ok_or_else(lost)?;
    Ok((before, between, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_and_written_between_its_marks() {
        let page = "before\n<!-- a -->\nold\n<!-- end of a -->\nafter\n";
        assert_eq!(part("p", page, "a").unwrap(), "old\n");
        let new = with("p", page, "a", "new\n").unwrap();
        assert_eq!(new, "before\n<!-- a -->\nnew\n<!-- end of a -->\nafter\n");
    }

    #[test]
    fn lost_marks_are_named_with_their_page() {
        let fault = with("docs/p.md", "<!-- a -->\nno end\n", "a", "").unwrap_err().to_string();
        assert!(fault.contains("docs/p.md") && fault.contains("<!-- a -->"), "{fault}");
    }
}
