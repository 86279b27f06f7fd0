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
