//! A small JSON reader and writer for the pure core.
//!
//! The browser encodes payloads with its own `JSON.stringify` and the module must stay small, so a second
//! serializer is not carried into wasm. What is read here is read strictly (RFC 8259 with the I-JSON rule of RFC
//! 7493 that member names are unique) and within limits, because a part of it comes from the network.

use crate::limits::{JSON_AROUND_DEPTH, JSON_DEPTH_MAX, SAFE_INTEGER_MAX};

/// A JSON value. Numbers keep their text, so that nothing is lost by reading them.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The text of a number, as it stood.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in the order they stood.
    Object(Vec<(String, Json)>),
}

/// Why a text is not JSON, with the byte offset where reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonProblem {
    /// Byte offset into the text.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

impl Json {
    /// Reads exactly one JSON text, as deep as one that holds a payload may be.
    pub fn parse(text: &str) -> Result<Self, JsonProblem> {
        Self::parse_at(text, 0)
    }

    /// Reads a payload, which must leave depth for the event around it.
    pub fn parse_payload(text: &str) -> Result<Self, JsonProblem> {
        Self::parse_at(text, JSON_AROUND_DEPTH)
    }

    fn parse_at(text: &str, depth: usize) -> Result<Self, JsonProblem> {
        let mut reader = Reader { text, at: 0 };
        reader.space();
        let value = reader.value(depth)?;
        reader.space();
        if reader.at < text.len() { Err(reader.problem("text after the value")) } else { Ok(value) }
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(own, _)| own == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The text of a string member.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// A whole number member.
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_whole()
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// A number that is a whole one from 0 to 2^53 - 1, whatever its spelling (`12000`, `1.2e4`).
    pub fn as_whole(&self) -> Option<u64> {
        let Self::Number(text) = self else { return None };
        match magnitude(text) {
            Magnitude::Whole(whole) if !text.starts_with('-') || whole == 0 => Some(whole),
            _ => None,
        }
    }

    /// Whether a number lies beyond 2^53 - 1 and is whole, so that browsers cannot hold it exactly.
    pub fn is_inexact(&self) -> bool {
        matches!(self, Self::Number(text) if magnitude(text) == Magnitude::Beyond)
    }

    /// Appends the value as compact JSON. Strings are escaped as `JSON.stringify` does it.
    pub fn write(&self, to: &mut String) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bool(true) => to.push_str("true"),
            Self::Bool(false) => to.push_str("false"),
            Self::Number(text) => to.push_str(text),
            Self::Text(text) => write_text(text, to),
            Self::Array(elements) => {
                to.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    element.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    write_text(name, to);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

/// Members in the order of RFC 8785: by the UTF-16 code units of their names.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn sorted(members: &[(String, Json)]) -> Vec<&(String, Json)> {
    let mut sorted: Vec<&(String, Json)> = members.iter().collect();
    sorted.sort_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16()));
    sorted
}

/// The same. What a browser reads is small or comes from its city, and the standard's sort weighs kilobytes.
#[cfg(target_arch = "wasm32")]
pub(super) fn sorted(members: &[(String, Json)]) -> Vec<&(String, Json)> {
    inserted(members)
}

/// Members sorted one by one, each moved to its place.
#[cfg(any(target_arch = "wasm32", test))]
fn inserted(members: &[(String, Json)]) -> Vec<&(String, Json)> {
    let mut sorted: Vec<&(String, Json)> = Vec::with_capacity(members.len());
    for member in members {
        let before = |own: &&(String, Json)| own.0.encode_utf16().lt(member.0.encode_utf16());
        sorted.insert(sorted.partition_point(before), member);
    }
    sorted
}

/// How large a number is, by its decimal digits; the sign is read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// Whole and at most 2^53 - 1.
    Whole(u64),
    /// Not whole.
    Fraction,
    /// Beyond 2^53 - 1.
    Beyond,
}

/// Reads a number without floating point: `1.20e4` is the digits 12 with three zeros behind.
fn magnitude(text: &str) -> Magnitude {
    let (mut value, mut zeros, mut shift) = (0_u64, 0_i64, 0_i64);
    let mut in_fraction = false;
    let mut bytes = text.bytes();
    for byte in bytes.by_ref() {
        match byte {
            b'-' => continue,
            b'.' => {
                in_fraction = true;
                continue;
            }
            b'e' | b'E' => break,
            b'0' => zeros += 1,
            digit => {
                value = scaled(value, zeros + 1).saturating_add(u64::from(digit.wrapping_sub(b'0')));
                zeros = 0;
            }
        }
        shift -= i64::from(in_fraction);
    }
    let (mut exponent, mut sign) = (0_i64, 1);
    for byte in bytes {
        match byte {
            b'-' => sign = -1,
            b'+' => {}
            digit => {
                exponent = exponent.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')))
            }
        }
    }
    let behind = (sign * exponent).saturating_add(shift + zeros);
    match scaled(value, behind) {
        0 => Magnitude::Whole(0),
        _ if behind < 0 => Magnitude::Fraction,
        value if value > SAFE_INTEGER_MAX => Magnitude::Beyond,
        value => Magnitude::Whole(value),
    }
}

/// The value with so many zeros behind it; twenty are beyond every number.
fn scaled(value: u64, zeros: i64) -> u64 {
    (0..zeros.min(20)).fold(value, |value, _| value.saturating_mul(10))
}

/// Appends a JSON string with its quotes.
pub fn write_text(text: &str, to: &mut String) {
    to.push('"');
    for sign in text.chars() {
        match sign {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            control if control < ' ' => {
                to.push_str("\\u00");
                for shift in [4, 0] {
                    let digit = (control as u32 >> shift) & 15;
                    to.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
            other => to.push(other),
        }
    }
    to.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn problem(&self, what: &'static str) -> JsonProblem {
        JsonProblem { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += 1;
        }
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonProblem> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.problem("not a JSON value"))
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonProblem> {
        if depth > JSON_DEPTH_MAX + JSON_AROUND_DEPTH {
            return Err(self.problem("nested too deep"));
        }
        match self.peek() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.problem("not a JSON value")),
            None => Err(self.problem("the text ends early")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonProblem> {
        self.at += 1;
        let mut elements = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.problem("a comma or ] is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonProblem> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.problem("a member name is missing"));
            }
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.problem("a colon is missing"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            members.push((name, value));
            self.space();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.problem("a comma or } is missing"));
            }
        }
        let mut before = None;
        for member in sorted(&members) {
            let name = Some(&member.0);
            if name == before {
                return Err(self.problem("a member name stands twice"));
            }
            before = name;
        }
        Ok(Json::Object(members))
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<Json, JsonProblem> {
        let from = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return Err(self.problem("not a number"));
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(self.problem("not a number"));
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(self.problem("not a number"));
            }
        }
        let text = self.text.get(from..self.at).unwrap_or("0");
        Ok(Json::Number(text.to_owned()))
    }

    fn string(&mut self) -> Result<String, JsonProblem> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(self.text.get(plain..self.at).unwrap_or(""));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.problem("a control character in a string")),
                None => return Err(self.problem("the text ends in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonProblem> {
        let sign = self.peek();
        self.at += 1;
        Ok(match sign {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.problem("an unknown escape")),
        })
    }

    fn unicode(&mut self) -> Result<char, JsonProblem> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(self.problem("half of a surrogate pair"));
                }
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.problem("half of a surrogate pair"));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            single => single,
        };
        char::from_u32(code).ok_or_else(|| self.problem("half of a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, JsonProblem> {
        let mut code = 0;
        for at in self.at..self.at + 4 {
            let sign = self.text.as_bytes().get(at).copied().unwrap_or_default();
            match char::from(sign).to_digit(16) {
                Some(digit) => code = code << 4 | digit,
                None => return Err(self.problem("four hex digits are missing")),
            }
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(value: &Json) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn malformed_texts_are_refused() {
        for bad in [
            "",
            " ",
            "nul",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "01",
            "-",
            "1.",
            "1e",
            "\"\n\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u00g0\"",
            "1 2",
            "{\"a\":1,\"a\":2}",
            "\u{feff}1",
            "\"\\u12",
        ] {
            assert!(Json::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Json::parse_payload(&deep(JSON_DEPTH_MAX)).is_ok());
        assert_eq!(Json::parse(&deep(100_000)).map_err(|problem| problem.what), Err("nested too deep"));
    }

    #[test]
    fn whole_numbers_are_whole_in_any_spelling() {
        let whole = |text: &str| Json::parse(text).unwrap().as_whole();
        assert_eq!(whole("12000"), Some(12_000));
        assert_eq!(whole("1.2e4"), Some(12_000));
        assert_eq!(whole("9007199254740991"), Some(9_007_199_254_740_991));
        assert_eq!(whole("9007199254740992"), None);
        assert_eq!(whole("-1"), None);
        assert_eq!(whole("1.5"), None);
        assert_eq!(whole("120e-1"), Some(12));
        assert_eq!(whole("125e-1"), None);
        assert_eq!(whole("12.50e2"), Some(1_250));
        assert_eq!(whole("-0.0"), Some(0));
        assert_eq!(whole("0e999999999999999999999"), Some(0));
        assert_eq!(whole("1e999999999999999999999"), None);
        assert_eq!(whole("1e-999999999999999999999"), None);
    }

    #[test]
    fn numbers_beyond_the_safe_integers_are_told_from_fractions() {
        let inexact = |text: &str| Json::parse(text).unwrap().is_inexact();
        for text in ["9007199254740992", "-9007199254740992", "1e16", "1e400", "90071992547409910"] {
            assert!(inexact(text), "{text}");
        }
        for text in ["9007199254740991", "0.1", "1e-400", "1.5e3", "123456789012345.5"] {
            assert!(!inexact(text), "{text}");
        }
    }

    /// The digits of a whole number with its point moved and the exponent that moves it back.
    fn spelt(whole: u64, zeros: usize, places: usize) -> String {
        let mut digits = format!("{whole}{}", "0".repeat(zeros));
        while digits.len() <= places {
            digits.insert(0, '0');
        }
        digits.insert(digits.len() - places, '.');
        let exponent = places as i64 - zeros as i64;
        format!("{}e{exponent}", if places == 0 { digits.trim_end_matches('.') } else { &digits })
    }

    fn arbitrary() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_number_is_read_alike_in_every_spelling(
            whole in prop_oneof![any::<u64>(), 0..2_000_u64, (1_u64 << 53) - 9..(1 << 53) + 9],
            zeros in 0..30_usize,
            places in 0..30_usize,
        ) {
            let fits = whole <= SAFE_INTEGER_MAX;
            let expected = if fits { Magnitude::Whole(whole) } else { Magnitude::Beyond };
            prop_assert_eq!(magnitude(&spelt(whole, zeros, places)), expected);
            prop_assert_eq!(magnitude(&format!("-{whole}")), expected);
            let smaller = magnitude(&format!("{whole}e-1"));
            let tenth = if whole % 10 == 0 { magnitude(&(whole / 10).to_string()) } else { Magnitude::Fraction };
            prop_assert_eq!(smaller, tenth);
        }

        /// Device and city must agree on a fingerprint.
        #[test]
        fn members_have_one_order_in_browsers_and_elsewhere(
            names in prop::collection::btree_set("[a-b\u{e000}-\u{ffff}\u{1f300}-\u{1f320}]{0,3}", 0..30),
            seed: u64,
        ) {
            let mut members: Vec<_> = names.into_iter().map(|name| (name, Json::Null)).collect();
            members.sort_by_key(|(name, _)| seed.rotate_left(name.len() as u32 * 7) ^ name.chars().map(u64::from).sum::<u64>());
            prop_assert_eq!(sorted(&members), inserted(&members));
        }

        #[test]
        fn agrees_with_serde_json(value in arbitrary()) {
            let text = value.to_string();
            let ours = Json::parse(&text).unwrap();
            let back: serde_json::Value = serde_json::from_str(&write(&ours)).unwrap();
            prop_assert_eq!(back, serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }

        #[test]
        fn never_panics_and_never_reads_what_serde_json_refuses(text in "\\PC{0,40}|[\\[\\]{}\",:0-9eE+.\\-\\\\ u]{0,40}") {
            if Json::parse(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{text}");
            }
        }
    }
}
