//! What the city says to this device: where we stand in its feed, when we ask again, and what an answer means.
//!
//! The feed is at least once; effect, inbox row and cursor of an answer are one transaction, so each event has its
//! effect once. Only the leader asks, by long poll, and never before sends may go.

use super::append::Put;
use crate::limits::{FEED_AGAIN_HIDDEN_MS, FEED_AGAIN_MS, FEED_FAILURES_BORNE, FEED_WAIT_S};
use crate::pace::{Jitter, Watched, backoff_ms, return_window_ms, told_ms};
use crate::wire::answer::FeedEvent;

/// One event of the feed with what it does here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The event.
    pub event: FeedEvent,
    /// What becomes of the application's records.
    pub put: Vec<Put>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nobody wants to hear.
    #[default]
    Deaf,
    /// It asks at its time.
    Rests,
    /// A question is on its way.
    Asks(u64),
    /// An answer is being applied.
    Applies,
}

/// The listener of one device.
#[derive(Debug, Default)]
pub(super) struct Ear {
    stage: Stage,
    pub(super) cursor: String,
    next_ms: u64,
    failures: u32,
    /// The city answered last; until it does, the question is whether it is there, and nobody is kept waiting for that.
    answered: bool,
    down_since_ms: Option<u64>,
    /// Whether the moment was drawn from the window in this outage.
    drawn: bool,
}

impl Ear {
    pub(super) fn listen(&mut self) {
        self.stage = Stage::Rests;
    }

    /// Forgets what is under way: its answer is not awaited any more.
    pub(super) fn rest(&mut self) {
        if self.stage != Stage::Deaf {
            self.stage = Stage::Rests;
        }
    }

    /// Whether anybody wants to hear.
    pub(super) fn listens(&self) -> bool {
        self.stage != Stage::Deaf
    }

    /// What the city said could not be written. Whether it was in vain for too long.
    pub(super) fn unwritten(&mut self, watched: Watched, jitter: &mut Jitter, now_ms: u64) -> bool {
        self.failed(watched, jitter, now_ms);
        self.failures >= FEED_FAILURES_BORNE
    }

    /// When it asks next, by its own reckoning.
    pub(super) fn next_ms(&self) -> Option<u64> {
        (self.stage == Stage::Rests).then_some(self.next_ms)
    }

    pub(super) fn asked(&self, request: u64) -> bool {
        self.stage == Stage::Asks(request)
    }

    /// The question, which is on its way from here on.
    pub(super) fn ask(&mut self, request: u64, now_ms: u64) -> String {
        self.stage = Stage::Asks(request);
        // A city that does not keep the question waiting is not asked without pause.
        self.next_ms = now_ms + FEED_AGAIN_MS;
        let after = if self.cursor.is_empty() { String::new() } else { format!("after={}&", self.cursor) };
        let wait = if self.answered { FEED_WAIT_S } else { 0 };
        format!("/v1/feed?{after}wait={wait}")
    }

    pub(super) fn applies(&mut self) {
        self.stage = Stage::Applies;
    }

    /// An answer is applied.
    pub(super) fn applied(&mut self, cursor: String, watched: Watched, now_ms: u64) {
        self.cursor = cursor;
        self.answers();
        if watched == Watched::Hidden {
            self.next_ms = now_ms + FEED_AGAIN_HIDDEN_MS;
        }
        self.rest();
    }

    fn answers(&mut self) {
        self.answered = true;
        self.failures = 0;
        self.drawn = false;
        self.down_since_ms = None;
    }

    /// No answer that could be applied.
    pub(super) fn failed(&mut self, watched: Watched, jitter: &mut Jitter, now_ms: u64) {
        self.answered = false;
        self.failures = self.failures.saturating_add(1);
        self.down_since_ms.get_or_insert(now_ms);
        self.next_ms = now_ms + FEED_AGAIN_MS + backoff_ms(self.failures, watched, jitter);
        self.rest();
    }

    /// The city said when to come back.
    pub(super) fn told(&mut self, wait_ms: u64, jitter: &mut Jitter, now_ms: u64) {
        self.answers();
        self.next_ms = now_ms + told_ms(wait_ms, jitter);
        self.rest();
    }

    /// The link may be back. After an outage the moment is drawn once from the window, which is 0 where a person asks.
    pub(super) fn perk_up(&mut self, window_ms: u64, jitter: &mut Jitter, now_ms: u64) {
        if self.failures == 0 || self.next_ms <= now_ms || self.drawn {
            return;
        }
        let outage_ms = self.down_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        let spread = return_window_ms(outage_ms, window_ms);
        self.drawn = spread.is_some();
        let most = spread.unwrap_or(FEED_AGAIN_MS);
        self.next_ms = self.next_ms.min(now_ms + jitter.up_to(most));
    }
}
