//! The guard that keeps people's data out of names and masks it in payloads.
//!
//! A token counts only as a whole: one random 16-digit id in ten passes the Luhn check, so a digit run inside a
//! longer word proves nothing, and a sale is never refused for its payload. Card lengths and issuer prefixes are
//! those of ISO/IEC 7812 issuers in use; the national id checksum is Taiwan's.

use super::json::Json;

/// What kind of personal data a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A payment card number.
    Card,
    /// A Taiwanese national id.
    NationalId,
    /// A Taiwanese mobile number.
    Phone,
    /// An e-mail address.
    Email,
}

impl Kind {
    /// The word for an error text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Card => "a card number",
            Self::NationalId => "a national id",
            Self::Phone => "a phone number",
            Self::Email => "an e-mail address",
        }
    }

    fn mask(self) -> &'static str {
        match self {
            Self::Card => "[card]",
            Self::NationalId => "[national-id]",
            Self::Phone => "[phone]",
            Self::Email => "[email]",
        }
    }
}

/// What stands between the tokens of a text, in either script.
const BREAKS: &[char] = &[' ', ',', ';', '\n', '\t', '，', '。', '、', '；', '\u{3000}'];

/// Looks for personal data in a key, an id or a correlation id.
pub fn in_name(text: &str) -> Option<Kind> {
    whole(text).or_else(|| {
        if text.bytes().any(|sign| sign == b'@') {
            return text.split([':', '/', '|', ',', ';']).find_map(whole);
        }
        text.split(['-', '_', ':', '/', '|', ',', ';', '.', '#', '=']).find_map(whole)
    })
}

/// Masks personal data in the strings of a payload. `opaque` names top-level members the contract exempts.
/// Returns whether anything was masked.
pub fn mask(payload: &mut Json, opaque: &[&str]) -> bool {
    match payload {
        Json::Object(members) => {
            let mut masked = false;
            for (name, value) in members {
                if !opaque.contains(&name.as_str()) {
                    masked |= mask(value, &[]);
                }
            }
            masked
        }
        Json::Array(elements) => {
            let mut masked = false;
            for element in elements {
                masked |= mask(element, &[]);
            }
            masked
        }
        Json::Text(text) => mask_text(text),
        _ => false,
    }
}

fn mask_text(text: &mut String) -> bool {
    if let Some(kind) = whole(text) {
        *text = kind.mask().to_owned();
        return true;
    }
    let mut masked = false;
    let mut out = String::new();
    for part in text.split_inclusive(BREAKS) {
        // A sentence may end after it, and a dot within an address is none.
        let token = part.trim_end_matches(BREAKS).trim_end_matches(['.']);
        match (whole(token), part.strip_prefix(token)) {
            (Some(kind), Some(rest)) => {
                masked = true;
                out.push_str(kind.mask());
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    if masked {
        *text = out;
    }
    masked
}

/// Whether the text as a whole is one piece of personal data.
fn whole(text: &str) -> Option<Kind> {
    let text = text.trim();
    if is_card(text) {
        return Some(Kind::Card);
    }
    if is_phone(text) {
        return Some(Kind::Phone);
    }
    if is_national_id(text) {
        return Some(Kind::NationalId);
    }
    is_email(text).then_some(Kind::Email)
}

/// Card numbers are printed in groups, so single spaces or dashes between digits are read over.
fn is_card(text: &str) -> bool {
    let mut digits = Vec::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits.push(u32::from(byte - b'0')),
            b' ' | b'-' => {}
            _ => return false,
        }
    }
    issuer_fits(&digits) && luhn(&digits)
}

fn issuer_fits(digits: &[u32]) -> bool {
    let head = |count: usize| digits.iter().take(count).fold(0, |value, digit| value * 10 + digit);
    match digits.len() {
        13 | 19 => head(1) == 4 || (digits.len() == 19 && head(2) == 62),
        14 => matches!(head(2), 36 | 38 | 39) || (300..=305).contains(&head(3)),
        15 => matches!(head(2), 34 | 37),
        16 => {
            head(1) == 4
                || (51..=55).contains(&head(2))
                || (2_221..=2_720).contains(&head(4))
                || (3_528..=3_589).contains(&head(4))
                || matches!(head(2), 62 | 65)
                || head(4) == 6_011
        }
        _ => false,
    }
}

fn luhn(digits: &[u32]) -> bool {
    let mut sum = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        sum += match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        };
    }
    sum.is_multiple_of(10)
}

fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix("+886").or_else(|| text.strip_prefix('0'));
    rest.is_some_and(|rest| {
        rest.len() == 9 && rest.starts_with('9') && rest.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// One letter and nine digits; the letter stands for two digits, and the weighted sum divides by ten.
fn is_national_id(text: &str) -> bool {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let mut bytes = text.bytes();
    let Some(letter) = bytes.next().map(|byte| byte.to_ascii_uppercase()) else { return false };
    let Some(place) = LETTERS.iter().position(|own| *own == letter) else { return false };
    if text.len() != 10 || !text.bytes().skip(1).all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // Second sign: 1 and 2 for citizens, 8 and 9 for residents.
    if !matches!(text.as_bytes().get(1), Some(b'1' | b'2' | b'8' | b'9')) {
        return false;
    }
    let code = place as u32 + 10;
    let mut sum = code / 10 + code % 10 * 9;
    for (byte, weight) in bytes.zip([8, 7, 6, 5, 4, 3, 2, 1, 1]) {
        sum += u32::from(byte - b'0') * weight;
    }
    sum.is_multiple_of(10)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once(['@']) else { return false };
    let word = |part: &str| {
        !part.is_empty()
            && part.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '.' | '_' | '%' | '+' | '-'))
    };
    word(local)
        && word(domain)
        && domain.rsplit_once(['.']).is_some_and(|(host, end)| !host.is_empty() && end.len() >= 2)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn whole_tokens_are_found() {
        for (text, kind) in [
            ("4111111111111111", Kind::Card),
            ("4111-1111-1111-1111", Kind::Card),
            ("378282246310005", Kind::Card),
            ("order-5555555555554444", Kind::Card),
            ("A123456789", Kind::NationalId),
            ("pay:A123456789", Kind::NationalId),
            ("0912345678", Kind::Phone),
            ("+886912345678", Kind::Phone),
            ("someone@example.com", Kind::Email),
            ("order:someone@example.com", Kind::Email),
        ] {
            assert_eq!(in_name(text), Some(kind), "{text}");
        }
    }

    #[test]
    fn look_alikes_pass() {
        for text in [
            "order-0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11",
            "4111111111111112",
            "A123456788",
            "912345678",
            "09123456789",
            "T-2026-000123",
            "x4111111111111111",
            "user@",
            "@host.tld",
            "1234567890123456",
            "20261123120000",
        ] {
            assert_eq!(in_name(text), None, "{text}");
        }
    }

    #[test]
    fn payload_tokens_are_masked_and_opaque_ones_kept() {
        let mut payload = Json::parse(
            r#"{"note":"call 0912345678, thanks","authRef":"4111111111111111","deep":[{"mail":"a@b.tw"}],"n":4111111111111111}"#,
        )
        .unwrap();
        assert!(mask(&mut payload, &["authRef"]));
        let mut out = String::new();
        payload.write(&mut out);
        assert_eq!(
            out,
            r#"{"note":"call [phone], thanks","authRef":"4111111111111111","deep":[{"mail":"[email]"}],"n":4111111111111111}"#
        );
        assert!(!mask(&mut Json::parse(r#"{"note":"茶 two, no sugar"}"#).unwrap(), &[]));
    }

    /// A number with nothing but a full stop behind it was kept, and so was one between the commas of Chinese.
    #[test]
    fn what_stands_beside_a_token_does_not_hide_it() {
        for (text, masked) in [
            ("0912345678.", "[phone]."),
            ("someone@example.com...", "[email]..."),
            ("請打 0912345678，謝謝", "請打 [phone]，謝謝"),
            ("電話、0912345678。", "電話、[phone]。"),
            ("卡號；4111111111111111；", "卡號；[card]；"),
            ("證號　A123456789　", "證號　[national-id]　"),
        ] {
            let mut payload = Json::Text(text.into());
            assert!(mask(&mut payload, &[]), "{text}");
            assert_eq!(payload.as_text(), Some(masked));
        }
    }

    proptest::proptest! {
        #[test]
        fn masking_twice_changes_nothing_more(text in "\\PC{0,60}") {
            let mut once = Json::Text(text);
            mask(&mut once, &[]);
            let mut twice = once.clone();
            mask(&mut twice, &[]);
            proptest::prop_assert_eq!(once, twice);
        }
    }
}
