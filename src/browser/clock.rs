//! The two clocks of a page, the same in windows and workers.

use super::sys;
use crate::event::UnixMillis;

/// The device's wall clock: may be wrong and may jump. For records, never for waits.
pub fn wall() -> UnixMillis {
    // The cast saturates: a clock before 1970 reads as 0.
    UnixMillis(js_sys::Date::now() as u64)
}

/// Milliseconds since this page or worker began; never goes back. For waits.
pub fn monotonic_ms() -> u64 {
    sys::scope().performance().map_or_else(js_sys::Date::now, |clock| clock.now()) as u64
}
