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
    const FORM: &[u8] = b"---, -- --- ---- --:--:-- GMT";
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let fits = |(form, byte): (&u8, u8)| *form == b'-' || *form == byte;
    if value.len() != FORM.len() || !FORM.iter().zip(value.bytes()).all(fits) {
        return None;
    }
    let number = |from, to| time::number(value, from, to);
    let month = value.get(8..11)?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let time = [number(17, 19)?, number(20, 22)?, number(23, 25)?];
    time::of_parts([number(12, 16)?, month, number(5, 7)?], time)
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
