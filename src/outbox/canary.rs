//! What a second memory beside the outbox holds, and what it means when the two do not fit.
//!
//! The words lie in another store of the browser than the outbox itself. A browser may empty a database without a word,
//! and a backup may bring an older one back.

use super::record::Counter;

/// What happened to the outbox while nobody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// `evicted`: it is a new one. `restored`: it is an older one.
    pub code: &'static str,
    /// What it owed when it was last seen.
    pub owed: u64,
}

/// What is noted of an outbox as it is seen now: the life of its database, and where its counter stands.
pub fn words(life: &str, counter: &Counter) -> String {
    format!("{life} {} {}", counter.next.0, counter.owed)
}

/// Compares what was found with what was last seen.
pub fn compare(seen: &str, life: &str, counter: &Counter) -> Option<Alarm> {
    let mut words = seen.split([' ']);
    let (own, next, owed) = (words.next()?, words.next()?, words.next()?);
    let (next, owed) = (next.parse::<u64>().ok()?, owed.parse().ok()?);
    let code = match own == life {
        false => "evicted",
        true if counter.next.0 < next => "restored",
        true => return None,
    };
    Some(Alarm { code, owed })
}

/// Whether a page of this life may note what it sees over what is there: not over a younger life than its own, of which
/// only somebody who opened later knows.
pub fn may_note(there: Option<&str>, seen: Option<&str>, life: &str) -> bool {
    let life_of = |words: &str| words.split([' ']).next().unwrap_or_default().to_owned();
    there.map(life_of).is_none_or(|own| own == life || Some(own) == seen.map(life_of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Sequence;

    fn counter(next: u64, owed: u64) -> Counter {
        Counter { next: Sequence(next), owed, ..Counter::default() }
    }

    #[test]
    fn another_life_was_evicted_and_a_lower_counter_restored() {
        let seen = words("old", &counter(7, 2));
        assert_eq!(compare(&seen, "old", &counter(7, 0)), None);
        assert_eq!(compare(&seen, "new", &counter(1, 0)), Some(Alarm { code: "evicted", owed: 2 }));
        assert_eq!(compare(&seen, "old", &counter(6, 0)), Some(Alarm { code: "restored", owed: 2 }));
        assert_eq!(compare("not ours", "old", &counter(1, 0)), None);
    }

    /// Found by the simulator: a frozen page of the database that was thrown away noted its life over that of the new
    /// one, and the next page was told of an eviction that never was.
    #[test]
    fn a_page_of_an_older_life_does_not_note_over_a_younger_one() {
        let (old, new) = (words("old", &counter(7, 2)), words("new", &counter(1, 0)));
        assert!(!may_note(Some(&new), None, "old"));
        assert!(!may_note(Some(&new), Some(&old), "old"));
        assert!(may_note(Some(&old), Some(&old), "new") && may_note(Some(&new), Some(&old), "new"));
        assert!(may_note(None, None, "old") && may_note(Some(&old), None, "old"));
    }
}
