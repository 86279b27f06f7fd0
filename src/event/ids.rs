//! Identities and positions as newtypes, so that a sequence can never be passed for a time.

use core::fmt;
use uuid::Uuid;

/// Milliseconds since 1970-01-01T00:00:00Z, by some clock that may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// A place in one device's outbox, counted from 1 without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    /// Sixteen digits: CloudEvents compares `sequence` as text, so it is zero-padded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}", self.0)
    }
}

/// The delivery identity of an event: a UUIDv7 (RFC 9562) minted once at emit, the same on every try.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// Mints an id from a time and ten random bytes.
    pub fn mint(now: UnixMillis, entropy: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.0, &entropy).into_uuid())
    }

    /// Reads the hyphenated form.
    pub fn parse(text: &str) -> Option<Self> {
        hyphenated(text).map(Self)
    }

    /// The id from its sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// When it was minted, by the clock of whoever minted it; none when it is no UUIDv7 (RFC 9562).
    pub fn time(self) -> Option<UnixMillis> {
        let [a, b, c, d, e, f, version, ..] = self.to_bytes();
        (version >> 4 == 7).then(|| UnixMillis(u64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// What a person meant, as sixteen bytes: the `Idempotency-Key` on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentKey(Uuid);

impl IntentKey {
    /// Reads the hyphenated form, with or without the quotes of a structured-field string.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        hyphenated(bare).map(Self)
    }

    /// The key from its sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }
}

impl fmt::Display for IntentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for IntentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A lane: eight bytes of the SHA-256 of the key. Two keys that collide merely share a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneHash(pub u64);

/// The one form that travels; the crate's own reader takes three more, and two texts for one id are two names for one event.
fn hyphenated(text: &str) -> Option<Uuid> {
    let whole: &[u8; 36] = text.as_bytes().try_into().ok()?;
    Uuid::try_parse_ascii(whole).ok()
}
