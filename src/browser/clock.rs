//! The two clocks of a page, the same in windows and workers.

use super::sys;
use crate::event::UnixMillis;

/// The device's wall clock: may be wrong and may jump. For records, never for waits.
pub fn wall() -> UnixMillis {
    // The cast saturates: a clock before 1970 reads as 0.
    UnixMillis(wall_ms() as u64)
}

/// Milliseconds since this page or worker began; never goes back. For waits.
pub fn monotonic_ms() -> u64 {
    let clock = sys::get(&sys::scope(), "performance");
    let now = if clock.is_undefined() { None } else { sys::call(&clock, "now", &[]).ok() };
    now.and_then(|now| now.as_f64()).unwrap_or_else(wall_ms) as u64
}

fn wall_ms() -> f64 {
    sys::call_of("Date", "now", &[]).ok().and_then(|now| now.as_f64()).unwrap_or_default()
}
