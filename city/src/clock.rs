//! The city's clock: the only place that reads it.

use conch::event::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in ms since 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
