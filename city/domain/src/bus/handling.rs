//! What follows from one try of a handler, as one table.
//!
//! | handling | tries so far | next |
//! |---|---|---|
//! | done | any | acked |
//! | failed, may succeed later | fewer than [`TRIES_MAX`] | waits: between half of and the whole ceiling, which doubles |
//! | failed, may succeed later | [`TRIES_MAX`] | dead letter |
//! | failed, never succeeds | any | dead letter |
//! | the storage failed | any | nothing happened: the whole turn is taken back and comes again |
//!
//! The waits have equal jitter: each ceiling is the floor of the next wait, so every wait is longer than the one before
//! it until the cap.

use crate::limits::{RETRY_BASE_MS, RETRY_CAP_MS, TRIES_MAX};
use crate::tx::Fault;
use conch::event::UnixMillis;
use conch::pace::{Jitter, Ladder};

/// Why a handler did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable word; failures with the same word, consumer and type belong together.
    pub code: &'static str,
    /// What a person should know. No payloads, no secrets.
    pub detail: String,
}

/// How a try of a handler failed. Nothing it wrote remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can never succeed as it is.
    Never(Problem),
    /// It may succeed later.
    Later(Problem),
    /// The storage failed, and with it the whole turn.
    Storage(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Storage(fault)
    }
}

impl Failure {
    /// It can never succeed.
    pub fn never(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Never(Problem { code, detail: detail.into() })
    }

    /// It may succeed later.
    pub fn later(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Later(Problem { code, detail: detail.into() })
    }
}

/// What becomes of an event whose handler failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    Wait(UnixMillis),
    /// Nobody tries it again by itself.
    Dead,
}

/// What follows when the try with this number, from 1, failed.
pub fn after_failure(tries: u32, hopeless: bool, now: UnixMillis, jitter: &mut Jitter) -> Next {
    if hopeless || tries >= TRIES_MAX {
        return Next::Dead;
    }
    let ladder = Ladder { first: 2 * RETRY_BASE_MS, cap: RETRY_CAP_MS };
    Next::Wait(UnixMillis(now.0 + ladder.equal(tries, jitter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn wait(tries: u32, seed: u64) -> Option<u64> {
        match after_failure(tries, false, NOW, &mut Jitter::new(seed)) {
            Next::Wait(due) => Some(due.0 - NOW.0),
            Next::Dead => None,
        }
    }

    #[test]
    fn row_a_hopeless_one_dies_at_once() {
        assert_eq!(after_failure(1, true, NOW, &mut Jitter::new(1)), Next::Dead);
    }

    #[test]
    fn row_the_last_try_dies() {
        assert!(wait(TRIES_MAX - 1, 1).is_some());
        assert_eq!(wait(TRIES_MAX, 1), None);
        assert_eq!(wait(u32::MAX, 1), None);
    }

    #[test]
    fn row_every_wait_is_longer_than_the_last_up_to_the_cap() {
        for seed in 0..500 {
            let waits: Vec<u64> =
                (1..TRIES_MAX).map(|tries| wait(tries, seed * 31 + u64::from(tries)).unwrap()).collect();
            for pair in waits.windows(2) {
                assert!(pair[1] >= pair[0] || pair[0] > RETRY_CAP_MS / 2, "{waits:?}");
            }
            assert!(
                (RETRY_BASE_MS..=2 * RETRY_BASE_MS).contains(&waits[0])
                    && waits.iter().all(|wait| *wait <= RETRY_CAP_MS)
            );
        }
    }
}
