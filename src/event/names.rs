//! Names as types: a value that exists has been checked.

use super::pii;
use crate::limits::{DEVICE_CHARS_MAX, KEY_CHARS_MAX, TOPIC_CHARS_MAX, TYPE_CHARS_MAX};
use core::fmt;
use sha2::{Digest, Sha256};

use super::ids::LaneHash;

/// Why a name was refused. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameProblem {
    /// Not of the form the name needs.
    Malformed(&'static str),
    /// Holds a card number, a national id, a phone number or an e-mail address.
    Personal(pii::Kind),
}

/// A dotted topic name ending in its version, such as `pay.txn.v2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(String);

impl Topic {
    /// Reads a topic: at least two dot-separated parts of `a-z0-9_`, the last one `v` and a number from 1.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        const FORM: &str =
            "a topic is lower-case words joined by dots and ends in its version, for example \"pay.txn.v2\"";
        if text.len() > TOPIC_CHARS_MAX {
            return Err(NameProblem::Malformed("a topic has at most 64 characters"));
        }
        // Signs stand in lists wherever text is split: the standard's search for a single one is made for long texts.
        let Some((family, version)) = text.rsplit_once(['.']) else {
            return Err(NameProblem::Malformed(FORM));
        };
        let words = family.split(['.']).all(|word| !word.is_empty() && word.bytes().all(is_word));
        if !words || version_number(version).is_none() {
            return Err(NameProblem::Malformed(FORM));
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its version: `pay.txn`. Versions of one family share their intents.
    pub fn family(&self) -> &str {
        self.0.rsplit_once(['.']).map_or(self.as_str(), |(family, _)| family)
    }

    /// The version number, from 1.
    pub fn version(&self) -> u32 {
        self.0.rsplit_once(['.']).and_then(|(_, version)| version_number(version)).unwrap_or(1)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn version_number(part: &str) -> Option<u32> {
    let digits = part.strip_prefix('v')?;
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // By the reader of the large ones, which is there anyway.
    digits.parse::<u64>().ok()?.try_into().ok()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// What happened, within its topic: `requested`, `scanned`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(String);

impl EventType {
    /// Reads a type: 1 to 40 of `a-z0-9_`, starting with a letter.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        let shaped = text.len() <= TYPE_CHARS_MAX
            && text.bytes().all(is_word)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !shaped {
            return Err(NameProblem::Malformed(
                "a type is 1 to 40 of a-z, 0-9 and _ and starts with a letter, for example \"requested\"",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The business key: order id, ticket id. Decides lane, partition and order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Reads a key: 1 to 128 printable ASCII characters without spaces, quotes and backslashes, no personal data.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        let shaped = !text.is_empty()
            && text.len() <= KEY_CHARS_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if !shaped {
            return Err(NameProblem::Malformed(
                "a key is 1 to 128 printable ASCII characters without spaces, quotes and backslashes; edge.newKey(\"order\") makes one",
            ));
        }
        match pii::in_name(text) {
            Some(kind) => Err(NameProblem::Personal(kind)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lane this key's events travel in.
    pub fn lane(&self) -> LaneHash {
        let digest = Sha256::digest(self.0.as_bytes());
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        LaneHash(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device's name within the market.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(String);

impl Device {
    /// Reads a device name: 1 to 64 of `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        let shaped = !text.is_empty()
            && text.len() <= DEVICE_CHARS_MAX
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !shaped {
            return Err(NameProblem::Malformed(
                "a device is 1 to 64 of a-z, 0-9 and -, for example \"gate-n1\"",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A collection of the application's own records: `tickets`, `sales`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(EventType);

impl Collection {
    /// Reads a collection: formed like an event's type.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        EventType::parse(text).map(Self).map_err(|_| {
            NameProblem::Malformed("a collection is 1 to 40 of a-z, 0-9 and _ and starts with a letter")
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Names one record of the application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordName {
    /// The collection.
    pub collection: Collection,
    /// Its key there.
    pub key: Key,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_ends_in_its_version() {
        let topic = Topic::parse("pay.txn.v12").unwrap();
        assert_eq!((topic.family(), topic.version()), ("pay.txn", 12));
        for bad in [
            "", "pay", "v1", "pay.", "pay.v0", "pay.v01", "pay.txn", "Pay.v1", "pay..v1", ".v1", "pay.v+1",
            "pay.v",
        ] {
            assert!(Topic::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_printable_and_not_a_person() {
        assert!(Key::parse("order-0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11").is_ok());
        assert!(Key::parse("").is_err());
        assert!(Key::parse("a b").is_err());
        assert!(Key::parse("夜市").is_err());
        assert_eq!(Key::parse("4111111111111111"), Err(NameProblem::Personal(pii::Kind::Card)));
    }

    #[test]
    fn one_key_has_one_lane() {
        let lane = |text| Key::parse(text).unwrap().lane();
        assert_eq!(lane("o-1"), lane("o-1"));
        assert_ne!(lane("o-1"), lane("o-2"));
    }
}
