//! What a long poll asks: where the caller stands, and how long it would be kept waiting for news.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use conch::limits::SAFE_INTEGER_MAX;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// The query of a long poll.
#[derive(Deserialize)]
pub(super) struct Poll {
    /// A place that the city named earlier; none from the beginning.
    pub(super) after: Option<String>,
    /// In s.
    wait: Option<u64>,
}

/// The query as it came.
pub(super) type Asked = Result<Query<Poll>, QueryRejection>;

impl Poll {
    /// None when it cannot be read, or a number in it is none that JSON knows.
    pub(super) fn read(asked: Asked) -> Option<Self> {
        let Query(poll) = asked.ok()?;
        poll.wait.is_none_or(|wait| wait <= SAFE_INTEGER_MAX).then_some(poll)
    }

    /// When it is answered, news or none. `most_s` is what the city keeps anybody waiting.
    pub(super) fn until(&self, most_s: u64) -> Instant {
        Instant::now() + Duration::from_secs(self.wait.unwrap_or(0).min(most_s))
    }
}
