//! The code on a ticket: what it is good for, signed, so that a gate without a link knows it from a made-up one.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | number of the key |
//! | 10 | ticket number; the ticket's id is `t-` and these in base 32 |
//! | 3 | valid from, in minutes since the beginning of 2025 (UTC); 0 when open |
//! | 3 | valid until, likewise |
//! | 1 to 10 | class: a-z, 0-9 and - |
//! | 64 | Ed25519 signature (RFC 8032) over all of the above |
//!
//! In Crockford's base 32 these are 133 to [`TICKET_CODE_CHARS_MAX`] signs: a QR code in alphanumeric mode takes 154 in
//! version 6 at level M, 41 by 41 modules. The code says nothing about gates, revocation and earlier use: those only the
//! city knows.

use crate::base32;
use city_domain::limits::{TICKET_CLASS_CHARS_MAX, TICKET_CODE_CHARS_MAX};
use conch::event::{Key, UnixMillis};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Signer, SigningKey, VerifyingKey};

const VERSION: u8 = 1;
/// 2025-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_735_689_600_000;
const MINUTE_MS: u64 = 60_000;
/// Bytes before the class.
const FIXED: usize = 18;

/// A ticket's random number: 80 bits, which nobody guesses.
pub(crate) type Number = [u8; 10];

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TicketCode {
    /// Which key signs it.
    pub(crate) key: u8,
    pub(crate) number: Number,
    /// In whole minutes.
    pub(crate) valid_from: Option<UnixMillis>,
    pub(crate) valid_until: Option<UnixMillis>,
    pub(crate) class: String,
}

/// Why a code is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// Not a code at all, or of a later version.
    Unreadable,
    /// Signed by a key that is not at hand.
    UnknownKey(u8),
    /// It was made up or changed.
    BadSignature,
}

impl std::fmt::Display for NoTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable => f.write_str("this is no ticket's code"),
            Self::UnknownKey(number) => {
                write!(f, "this code is signed by key {number}, which is not of this city")
            }
            Self::BadSignature => f.write_str("this code was made up or changed"),
        }
    }
}

/// Whether a class can stand in a code.
pub(crate) fn is_class(class: &str) -> bool {
    (1..=TICKET_CLASS_CHARS_MAX).contains(&class.len())
        && class.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A time as a code can say it, cut to its minute. `None` when it lies outside of 2025 to 2056.
pub(crate) fn minute(at: UnixMillis) -> Option<UnixMillis> {
    let minutes = at.0.checked_sub(EPOCH_MS)? / MINUTE_MS;
    (1..1 << 24).contains(&minutes).then_some(UnixMillis(EPOCH_MS + minutes * MINUTE_MS))
}

/// A ticket's id. `None` when the number looks like personal data, which no key may: draw another.
pub(crate) fn id_of(number: &Number) -> Option<Key> {
    Key::parse(&format!("t-{}", base32::encode(number))).ok()
}

/// The number in a ticket's id. `None` when it was not issued here.
pub(crate) fn number_in(ticket: &Key) -> Option<Number> {
    base32::decode(ticket.as_str().strip_prefix("t-")?)?.try_into().ok()
}

impl TicketCode {
    /// The signed code.
    pub(crate) fn sign(&self, secret: &[u8; 32]) -> String {
        let mut bytes = vec![VERSION, self.key];
        bytes.extend(self.number);
        bytes.extend(minutes(self.valid_from));
        bytes.extend(minutes(self.valid_until));
        bytes.extend(self.class.bytes());
        let signature = SigningKey::from_bytes(secret).sign(&bytes);
        bytes.extend(signature.to_bytes());
        base32::encode(&bytes)
    }

    /// Reads a code and checks its signature against the public key of its number.
    pub(crate) fn verify(text: &str, public: impl FnOnce(u8) -> Option<[u8; 32]>) -> Result<Self, NoTicket> {
        let text = text.trim();
        let bytes = Some(text).filter(|text| text.len() <= TICKET_CODE_CHARS_MAX).and_then(base32::decode);
        let bytes = bytes.ok_or(NoTicket::Unreadable)?;
        let split = bytes.len().checked_sub(SIGNATURE_LENGTH).ok_or(NoTicket::Unreadable)?;
        let (said, signature) = bytes.split_at_checked(split).ok_or(NoTicket::Unreadable)?;
        let code = Self::read(said).ok_or(NoTicket::Unreadable)?;
        let public = public(code.key).ok_or(NoTicket::UnknownKey(code.key))?;
        let signature = Signature::from_slice(signature).map_err(|_| NoTicket::BadSignature)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| NoTicket::UnknownKey(code.key))?;
        key.verify_strict(said, &signature).map_err(|_| NoTicket::BadSignature)?;
        Ok(code)
    }

    fn read(said: &[u8]) -> Option<Self> {
        let (fixed, class) = said.split_first_chunk::<FIXED>()?;
        let [version, key, rest @ ..] = fixed;
        let (number, times) = rest.split_first_chunk::<10>()?;
        let (from, until) = times.split_first_chunk::<3>()?;
        let class = std::str::from_utf8(class).ok().filter(|class| is_class(class))?;
        (*version == VERSION).then(|| Self {
            key: *key,
            number: *number,
            valid_from: moment(from),
            valid_until: moment(until),
            class: class.to_owned(),
        })
    }
}

/// The public half of a secret key.
pub(crate) fn public(secret: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(secret).verifying_key().to_bytes()
}

fn minutes(at: Option<UnixMillis>) -> [u8; 3] {
    let minutes = at.map_or(0, |at| at.0.saturating_sub(EPOCH_MS) / MINUTE_MS);
    let [.., high, middle, low] = minutes.to_be_bytes();
    [high, middle, low]
}

fn moment(bytes: &[u8]) -> Option<UnixMillis> {
    let minutes = bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (minutes > 0).then_some(UnixMillis(EPOCH_MS + minutes * MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use conch::event::time;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    /// QR codes in alphanumeric mode at level M (ISO/IEC 18004, table 7): signs in versions 1 to 7.
    const QR_LEVEL_M: [usize; 7] = [20, 38, 61, 90, 122, 154, 178];

    /// Signing takes its time without optimisation; `PROPTEST_CASES` asks for more.
    fn config() -> ProptestConfig {
        let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = 64;
        }
        config
    }

    fn secret() -> [u8; 32] {
        std::array::from_fn(|place| place as u8)
    }

    fn code(class: &str) -> TicketCode {
        let at = |text| minute(time::from_rfc3339(text).unwrap());
        TicketCode {
            key: 1,
            number: std::array::from_fn(|place| 0x10 + place as u8),
            valid_from: at("2026-11-24T10:00:59Z"),
            valid_until: at("2026-11-25T02:00:00Z"),
            class: class.to_owned(),
        }
    }

    fn verify(text: &str) -> Result<TicketCode, NoTicket> {
        TicketCode::verify(text, |number| (number == 1).then(|| public(&secret())))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whoever verifies codes elsewhere is held against the same file.
    #[test]
    fn known_keys_sign_known_codes() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../tests/ticket-codes.json")).unwrap();
        assert_eq!(vectors.len(), 2);
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let secret: [u8; 32] = bytes(text("secret")).try_into().unwrap();
            assert_eq!(hex(&public(&secret)), text("public"));
            let code = TicketCode {
                key: vector["key"].as_u64().unwrap() as u8,
                number: bytes(text("number")).try_into().unwrap(),
                valid_from: vector["validFrom"].as_u64().map(UnixMillis),
                valid_until: vector["validUntil"].as_u64().map(UnixMillis),
                class: text("class").to_owned(),
            };
            assert_eq!(code.sign(&secret), text("code"));
            assert_eq!(TicketCode::verify(text("code"), |_| Some(public(&secret))), Ok(code.clone()));
            let id = id_of(&code.number).unwrap();
            assert_eq!((id.as_str(), number_in(&id)), (text("ticket"), Some(code.number)));
        }
    }

    /// Cut, changed, signed by another key, or with a signature that careless verifiers take.
    #[test]
    fn codes_that_are_none_of_ours_are_told_apart() {
        let known: Vec<Value> = serde_json::from_str(include_str!("../tests/ticket-codes.json")).unwrap();
        let public = |number: u8| {
            let own = known.iter().find(|own| own["key"] == number)?;
            let hex = own["public"].as_str().unwrap();
            Some(std::array::from_fn(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()))
        };
        let foreign: Vec<Value> = serde_json::from_str(include_str!("../tests/foreign-codes.json")).unwrap();
        assert!(foreign.len() > 10);
        for vector in foreign {
            let why = match TicketCode::verify(vector["code"].as_str().unwrap(), public).unwrap_err() {
                NoTicket::Unreadable => "unreadable",
                NoTicket::UnknownKey(_) => "unknown-key",
                NoTicket::BadSignature => "forged",
            };
            assert_eq!(why, vector["why"], "{vector}");
        }
    }

    #[test]
    fn the_longest_code_fits_a_qr_code_of_version_6_at_level_m() {
        let longest = code("ten-chars0").sign(&secret());
        assert_eq!(longest.len(), TICKET_CODE_CHARS_MAX);
        assert!(longest.len() <= QR_LEVEL_M[5] && longest.len() > QR_LEVEL_M[4], "{}", longest.len());
        assert_eq!(code("x").sign(&secret()).len(), 133);
        assert!(longest.bytes().all(|sign| sign.is_ascii_digit() || sign.is_ascii_uppercase()));
    }

    #[test]
    fn a_code_says_what_was_signed_however_it_is_typed() {
        let signed = code("adult").sign(&secret());
        assert_eq!(verify(&signed), Ok(code("adult")));
        assert_eq!(verify(&format!(" {}\n", signed.to_lowercase())), Ok(code("adult")));
        let open = TicketCode { valid_from: None, valid_until: None, ..code("adult") };
        assert_eq!(verify(&open.sign(&secret())), Ok(open));
    }

    #[test]
    fn no_changed_sign_passes() {
        let signed = code("adult").sign(&secret());
        for place in 0..signed.len() {
            let mut changed = signed.clone().into_bytes();
            changed[place] = if changed[place] == b'7' { b'8' } else { b'7' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&changed).is_err(), "{place}");
        }
        assert_eq!(TicketCode::verify(&signed, |_| Some(public(&[7; 32]))), Err(NoTicket::BadSignature));
        assert_eq!(TicketCode::verify(&signed, |_| None), Err(NoTicket::UnknownKey(1)));
    }

    #[test]
    fn what_is_no_code_is_told_from_a_made_up_one() {
        let signed = code("adult").sign(&secret());
        for bad in [
            "",
            "t-1",
            "0912345678",
            &signed[1..],
            &signed[..signed.len() - 8],
            &"0".repeat(148),
            &"Z".repeat(9_999),
        ] {
            assert_eq!(verify(bad), Err(NoTicket::Unreadable), "{bad}");
        }
    }

    #[test]
    fn times_are_whole_minutes_of_the_next_decades() {
        assert_eq!(minute(UnixMillis(EPOCH_MS + 119_999)), Some(UnixMillis(EPOCH_MS + 60_000)));
        assert_eq!(minute(UnixMillis(EPOCH_MS)), None, "0 stands for open");
        assert_eq!(minute(UnixMillis(EPOCH_MS - 1)), None);
        assert_eq!(minute(UnixMillis(EPOCH_MS + (1 << 24) * MINUTE_MS)), None);
        for class in ["", "Adult", "eleven-char", "票", "a b"] {
            assert!(!is_class(class), "{class}");
        }
    }

    fn written() -> impl Strategy<Value = TicketCode> {
        let moment =
            || proptest::option::of((1_u64..1 << 24).prop_map(|at| UnixMillis(EPOCH_MS + at * MINUTE_MS)));
        let parts = (any::<u8>(), any::<Number>(), moment(), moment(), "[a-z0-9-]{1,10}");
        parts.prop_map(|(key, number, valid_from, valid_until, class)| TicketCode {
            key,
            number,
            valid_from,
            valid_until,
            class,
        })
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn every_code_is_read_as_it_was_signed_and_signed_as_it_was_read(code in written(), secret: [u8; 32]) {
            let signed = code.sign(&secret);
            prop_assert!(signed.len() <= TICKET_CODE_CHARS_MAX);
            let read = TicketCode::verify(&signed, |key| (key == code.key).then(|| public(&secret)));
            prop_assert_eq!(read.as_ref(), Ok(&code));
            prop_assert_eq!(read.unwrap().sign(&secret), signed);
        }

        /// Cut, lengthened, with signs changed, repeated or none of ours: refused, unless it still says the very same.
        #[test]
        fn no_text_made_of_a_code_passes_for_another(
            code in written(),
            changes in vec((any::<prop::sample::Index>(), 0..4_u8, "[0-9A-Za-z ]|\\PC"), 1..6),
        ) {
            let signed = code.sign(&[3; 32]);
            let mut signs: Vec<char> = signed.chars().collect();
            for (at, how, sign) in changes {
                let (at, sign) = (at.index(signs.len() + 1), sign.chars().next().unwrap_or('0'));
                match how {
                    0 => signs.truncate(at),
                    1 => signs.insert(at, sign),
                    2 if at < signs.len() => signs[at] = sign,
                    _ => signs.extend_from_within(..at),
                }
            }
            let text: String = signs.into_iter().collect();
            if let Ok(read) = TicketCode::verify(&text, |_| Some(public(&[3; 32]))) {
                prop_assert_eq!((read.sign(&[3; 32]), read), (signed, code));
            }
        }

        /// Bytes that nobody signed, in the form of a code.
        #[test]
        fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..100), text in "\\PC{0,200}", version: bool) {
            let mut bytes = bytes;
            if let (Some(first), true) = (bytes.first_mut(), version) {
                *first = VERSION;
            }
            for text in [base32::encode(&bytes), text] {
                prop_assert!(verify(&text).is_err());
                if let Some(number) = Key::parse(&text).ok().and_then(|ticket| number_in(&ticket)) {
                    prop_assert!(id_of(&number).is_some());
                }
            }
        }
    }
}
