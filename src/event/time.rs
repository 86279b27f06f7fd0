//! RFC 3339 in UTC with milliseconds, the only form the SDK writes, and a reader for what others write.

use super::ids::UnixMillis;

const DAY_MS: u64 = 86_400_000;
/// The first moment that four digits of a year cannot say.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// `2026-11-23T12:00:00.000Z`. The calendar arithmetic is Howard Hinnant's days-from-civil, for years from 1970.
pub fn to_rfc3339(at: UnixMillis) -> String {
    let (year, month, day) = civil(at.0 / DAY_MS);
    let ms = at.0 % DAY_MS;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// Reads an RFC 3339 time with any offset; fractions beyond milliseconds are dropped. What in UTC lies in no year from
/// 1970 to 9999 is refused.
pub fn from_rfc3339(text: &str) -> Option<UnixMillis> {
    let bytes = text.as_bytes();
    let number = |from, to| number(text, from, to);
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let whole = of_parts([year, month, day], [hour, minute, second])?.0;
    let mut at = 19;
    let mut ms = 0;
    if is(at, b".") {
        let digits = text.get(at + 1..)?.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let kept = number(at + 1, at + 1 + digits.min(3))?;
        ms = kept * [1, 100, 10, 1].get(digits.min(3)).copied().unwrap_or(1);
        at += 1 + digits;
    }
    let local = whole + ms;
    if is(at, b"Zz") && text.len() == at + 1 {
        return Some(UnixMillis(local));
    }
    if !is(at, b"+-") || !is(at + 3, b":") || text.len() != at + 6 {
        return None;
    }
    let (offset_hour, offset_minute) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
    if offset_hour > 23 || offset_minute > 59 {
        return None;
    }
    let offset = offset_hour * 3_600_000 + offset_minute * 60_000;
    let utc = if is(at, b"+") { local.checked_sub(offset)? } else { local + offset };
    (utc < YEAR_10000_MS).then_some(UnixMillis(utc))
}

/// The number that stands from one byte to another, if digits alone stand there.
pub(crate) fn number(text: &str, from: usize, to: usize) -> Option<u64> {
    let part = text.get(from..to)?;
    if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
}

/// A time in UTC from year, month and day and from hour, minute and second; a leap second is the second before it.
/// None when there is no such time, or it was before 1970. A year has four digits.
pub fn of_parts([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<UnixMillis> {
    let is_day = year >= 1970 && (1..=12).contains(&month) && day >= 1 && day <= month_days(year, month);
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = hour * 3_600 + minute * 60 + second.min(59);
    Some(UnixMillis(days(year, month, day) * DAY_MS + seconds * 1_000))
}

fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let of_era = year % 400;
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_and_write() {
        assert_eq!(to_rfc3339(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(to_rfc3339(UnixMillis(1_709_251_199_999)), "2024-02-29T23:59:59.999Z");
        assert_eq!(from_rfc3339("2024-02-29T23:59:59.999Z"), Some(UnixMillis(1_709_251_199_999)));
        assert_eq!(from_rfc3339("2024-03-01T07:59:59+08:00"), Some(UnixMillis(1_709_251_199_000)));
        assert_eq!(from_rfc3339("2024-02-29T23:59:59.5Z"), Some(UnixMillis(1_709_251_199_500)));
        assert_eq!(from_rfc3339("2024-02-29T23:59:59.123456789Z"), Some(UnixMillis(1_709_251_199_123)));
    }

    #[test]
    fn the_years_that_have_four_digits_are_all() {
        assert_eq!(from_rfc3339("9999-12-31T23:59:59.999Z"), Some(UnixMillis(YEAR_10000_MS - 1)));
        assert_eq!(to_rfc3339(UnixMillis(YEAR_10000_MS - 1)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn malformed_times_are_refused() {
        for bad in [
            "",
            "2024",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0800",
            "2024-01-01T00:00:00Zz",
            "1969-12-31T23:59:59Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_time_survives_the_round(ms in 0u64..253_402_300_799_999) {
            proptest::prop_assert_eq!(from_rfc3339(&to_rfc3339(UnixMillis(ms))), Some(UnixMillis(ms)));
        }
    }
}
