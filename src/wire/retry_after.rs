//! `Retry-After` (RFC 9110 10.2.3): whole seconds or an HTTP date; junk is no hint at all.

use crate::event::{UnixMillis, time};
use crate::limits::RETRY_AFTER_MAX_MS;

/// The wait in ms, from 0 to one hour, or `None` for a missing or unreadable value.
///
/// A date is compared with the answer's own `Date` header when there is one, since our clock may be wrong.
pub fn wait_ms(value: &str, now: UnixMillis) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait, not junk.
        let seconds = value.parse::<u64>().unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1_000).min(RETRY_AFTER_MAX_MS));
    }
    let at = http_date(value)?;
    Some(at.0.saturating_sub(now.0).min(RETRY_AFTER_MAX_MS))
}

/// Reads an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms are not sent any more.
pub fn http_date(value: &str) -> Option<UnixMillis> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = value.split_once([','])?;
    let mut parts = rest.strip_prefix(' ')?.split(' ');
    let (day, month, year, clock, zone) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let mut clock = clock.split(':');
    let time = [number(clock.next()?)?, number(clock.next()?)?, number(clock.next()?)?];
    if clock.next().is_some() {
        return None;
    }
    time::of_parts([number(year)?, month, number(day)?], time)
}

/// As many digits as a year has at most, and nothing else.
fn number(text: &str) -> Option<u64> {
    if text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT

    #[test]
    fn seconds_dates_and_junk() {
        for (value, wait) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            (" 5 ", Some(5_000)),
            ("86400", Some(RETRY_AFTER_MAX_MS)),
            ("99999999999999999999999", Some(RETRY_AFTER_MAX_MS)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:40:00 GMT", Some(RETRY_AFTER_MAX_MS)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 PST", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
        ] {
            assert_eq!(wait_ms(value, NOW), wait, "{value:?}");
        }
    }
}
