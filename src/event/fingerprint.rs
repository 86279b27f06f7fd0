//! The fingerprint: SHA-256 of RFC 8785 canonical JSON, computed alike on device and city.
//!
//! It tells a re-sent intent from a second meaning under the same key: same intent and fingerprint is a replay,
//! another fingerprint is a conflict.

use super::json::{Json, sorted, write_text};
use super::names::{EventType, Key};
use sha2::{Digest, Sha256};

/// The fingerprint of the named members of a payload, or of the whole payload when none is named.
pub fn fingerprint(payload: &Json, members: &[&str]) -> [u8; 32] {
    let mut text = String::new();
    if members.is_empty() {
        canonical(payload, &mut text);
    } else {
        let mut chosen = Vec::new();
        if let Json::Object(all) = payload {
            for member in sorted(all) {
                if members.contains(&member.0.as_str()) {
                    chosen.push(member);
                }
            }
        }
        canonical_object(&chosen, &mut text);
    }
    Sha256::digest(text.as_bytes()).into()
}

/// The fingerprint of an event. Where the caller chose the intent, type and key are part of what was meant: the same
/// word for another thing is a conflict. Elsewhere they form the intent itself.
pub fn meaning(chosen: bool, kind: &EventType, key: &Key, payload: &Json, members: &[&str]) -> [u8; 32] {
    if !chosen {
        return fingerprint(payload, members);
    }
    let mut text = String::new();
    canonical(payload, &mut text);
    // A type holds no line break, and a JSON text ends where it ends.
    text.push_str(kind.as_str());
    text.push('\n');
    text.push_str(key.as_str());
    Sha256::digest(text.as_bytes()).into()
}

/// Appends the RFC 8785 form: members sorted by UTF-16 code units, numbers as ECMAScript prints them, no spaces.
pub fn canonical(value: &Json, to: &mut String) {
    match value {
        Json::Number(text) => number(text, to),
        Json::Array(elements) => {
            to.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                canonical(element, to);
            }
            to.push(']');
        }
        Json::Object(members) => {
            canonical_object(&sorted(members), to);
        }
        simple => simple.write(to),
    }
}

fn canonical_object(members: &[&(String, Json)], to: &mut String) {
    to.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        write_text(name, to);
        to.push(':');
        canonical(value, to);
    }
    to.push('}');
}

/// In a browser every payload was written by `JSON.stringify`, whose numbers are ECMAScript's already; printing
/// doubles would cost the module five kilobytes.
#[cfg(target_arch = "wasm32")]
fn number(text: &str, to: &mut String) {
    to.push_str(if text == "-0" { "0" } else { text });
}

/// ECMA-262 Number::toString for a finite double, built from the shortest digits that read back the same.
#[cfg(not(target_arch = "wasm32"))]
fn number(text: &str, to: &mut String) {
    let value: f64 = text.parse().unwrap_or(f64::NAN);
    if !value.is_finite() {
        // No double is so large: it stands for itself, and never for another number.
        to.push_str(text);
        return;
    }
    if value == 0.0 {
        to.push('0');
        return;
    }
    if value < 0.0 {
        to.push('-');
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|sign| *sign != '.').collect();
    let count = digits.len() as i32;
    // The decimal point stands after so many digits.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let zeros = |to: &mut String, how_many: i32| (0..how_many).for_each(|_| to.push('0'));
    if (count..=21).contains(&point) {
        to.push_str(&digits);
        zeros(to, point - count);
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(point as usize);
        to.push_str(whole);
        to.push('.');
        to.push_str(fraction);
    } else if (-5..=0).contains(&point) {
        to.push_str("0.");
        zeros(to, -point);
        to.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        to.push_str(first);
        if !rest.is_empty() {
            to.push('.');
            to.push_str(rest);
        }
        to.push('e');
        to.push_str(if point > 0 { "+" } else { "-" });
        to.push_str(&(point - 1).abs().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_of(text: &str) -> String {
        let mut out = String::new();
        canonical(&Json::parse(text).unwrap(), &mut out);
        out
    }

    /// An event whose 1e400 had become 0 on the way was taken for the same one.
    #[test]
    fn what_no_double_holds_stands_for_itself() {
        assert_eq!(canonical_of("[1e400,-1e400,0]"), "[1e400,-1e400,0]");
    }

    /// Expected values: RFC 8785 appendix B and ECMA-262 Number::toString.
    #[test]
    fn numbers_print_as_ecmascript_prints_them() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("1.0", "1"),
            ("12e3", "12000"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("123456789012345680000", "123456789012345680000"),
            ("333333333.33333329", "333333333.3333333"),
            ("4.5", "4.5"),
            ("2e-3", "0.002"),
            ("1e30", "1e+30"),
            ("9007199254740993", "9007199254740992"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("-1.5e-10", "-1.5e-10"),
            ("295147905179352830000", "295147905179352830000"),
        ] {
            assert_eq!(canonical_of(text), expected, "{text}");
        }
    }

    #[test]
    fn members_are_sorted_by_utf16() {
        assert_eq!(
            canonical_of(r#"{"b":1,"a":[{"d":null,"c":"é\u0001"}]}"#),
            "{\"a\":[{\"c\":\"é\\u0001\",\"d\":null}],\"b\":1}"
        );
        // U+1F600 is D83D DE00 in UTF-16 and so sorts before U+FB33.
        assert_eq!(canonical_of("{\"\u{fb33}\":1,\"\u{1f600}\":2}"), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn spelling_and_other_members_do_not_change_a_fingerprint() {
        let of = |text: &str| fingerprint(&Json::parse(text).unwrap(), &["amount", "method"]);
        assert_eq!(
            of(r#"{"amount":12000,"method":"cash","stallId":"s1"}"#),
            of(r#"{"method":"cash","amount":1.2e4}"#)
        );
        assert_ne!(of(r#"{"amount":12000,"method":"cash"}"#), of(r#"{"amount":12001,"method":"cash"}"#));
        assert_ne!(of(r#"{"amount":12000,"method":"cash"}"#), of(r#"{"amount":12000}"#));
    }
}
