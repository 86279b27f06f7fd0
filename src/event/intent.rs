//! The intent: what a person meant, as a UUIDv5 (RFC 9562) that two taps on one sale share.

use super::contract::IntentRule;
use super::ids::{EventId, IntentKey};
use super::names::{Device, EventType, Key, Topic};
use uuid::{Builder, Uuid};

/// The UUIDv5 namespace of intents. Changing it would make every stored intent a stranger.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_2b52_6a0c_5e0b_9a53_41c0_9c1e_77a4);

/// What an intent is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The topic; only its family counts, so that versions share their intents.
    pub topic: &'a Topic,
    /// The type.
    pub kind: &'a EventType,
    /// The business key.
    pub key: &'a Key,
    /// Counts intents of this key, from 1.
    pub attempt: u32,
    /// The device that means it.
    pub device: &'a Device,
    /// The event's own id.
    pub id: EventId,
}

/// Forms the intent. `caller` is the caller's own word for it, used by the rule of that name.
pub fn form(rule: IntentRule, parts: Parts<'_>, caller: Option<&str>) -> IntentKey {
    let Parts { topic, kind, key, attempt, device, .. } = parts;
    let (family, attempt) = (topic.family(), attempt.to_string());
    let device = device.as_str();
    let parts: &[&str] = match (rule, caller) {
        (IntentRule::OncePerKey, _) => &[family, kind.as_str(), key.as_str(), &attempt],
        (IntentRule::PerDevice, _) => &[family, kind.as_str(), key.as_str(), &attempt, device],
        (IntentRule::Caller | IntentRule::Fresh, Some(word)) => &["caller", family, word, &attempt],
        (IntentRule::Caller | IntentRule::Fresh, None) => return IntentKey::from_bytes(parts.id.to_bytes()),
    };
    // A zero byte cannot occur in any part, so no two different lists of parts join to the same name.
    let mut name = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            name.push('\0');
        }
        name.push_str(part);
    }
    IntentKey::from_bytes(of_name(NAMESPACE, &name).into_bytes())
}

/// UUIDv5 (RFC 9562, 5.5).
fn of_name(namespace: Uuid, name: &str) -> Uuid {
    let mut whole = namespace.as_bytes().to_vec();
    whole.extend_from_slice(name.as_bytes());
    let hash = sha1(&whole).map(u32::to_be_bytes);
    Builder::from_sha1_bytes(hash.as_flattened().first_chunk().copied().unwrap_or_default()).into_uuid()
}

/// SHA-1 (FIPS 180-4) as it is written there. The crates unroll its rounds, which costs the module five kilobytes; a
/// name is a block or two.
fn sha1(message: &[u8]) -> [u32; 5] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());

    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut schedule = [0_u32; 16];
    for block in padded.chunks_exact(64) {
        let mut words = block.chunks_exact(4);
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for round in 0..80 {
            let (mixed, constant) = match round {
                0..20 => (b & c | !b & d, 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            // The sixteen words of the block, then what follows from the last sixteen.
            let word = match words.next() {
                Some(bytes) => bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)),
                None => (schedule[0] ^ schedule[2] ^ schedule[8] ^ schedule[13]).rotate_left(1),
            };
            schedule.copy_within(1.., 0);
            schedule[15] = word;
            let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant);
            (a, b, c, d, e) = (sum.wrapping_add(word), a, b.rotate_left(30), c, d);
        }
        let [f, g, h, i, j] = state;
        state =
            [a.wrapping_add(f), b.wrapping_add(g), c.wrapping_add(h), d.wrapping_add(i), e.wrapping_add(j)];
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ids::UnixMillis;

    fn intent(
        rule: IntentRule,
        topic: &str,
        attempt: u32,
        device: &str,
        id: u8,
        caller: Option<&str>,
    ) -> IntentKey {
        let (topic, kind) = (Topic::parse(topic).unwrap(), EventType::parse("requested").unwrap());
        let (key, device) = (Key::parse("o-1").unwrap(), Device::parse(device).unwrap());
        let id = EventId::mint(UnixMillis(1), [id; 10]);
        form(rule, Parts { topic: &topic, kind: &kind, key: &key, attempt, device: &device, id }, caller)
    }

    #[test]
    fn once_per_key_is_the_same_from_every_device_and_version() {
        let one = intent(IntentRule::OncePerKey, "pay.txn.v1", 1, "a", 1, None);
        assert_eq!(one, intent(IntentRule::OncePerKey, "pay.txn.v2", 1, "b", 2, None));
        assert_ne!(one, intent(IntentRule::OncePerKey, "pay.txn.v2", 2, "b", 2, None));
        assert_ne!(one, intent(IntentRule::PerDevice, "pay.txn.v1", 1, "a", 1, None));
    }

    #[test]
    fn a_fresh_intent_is_the_event_itself() {
        assert_ne!(
            intent(IntentRule::Fresh, "a.b.v1", 1, "a", 1, None),
            intent(IntentRule::Fresh, "a.b.v1", 1, "a", 2, None)
        );
        let word = Some("tap-1");
        assert_eq!(
            intent(IntentRule::Caller, "a.b.v1", 1, "a", 1, word),
            intent(IntentRule::Caller, "a.b.v1", 1, "a", 2, word)
        );
    }

    /// FIPS 180-4 examples, and lengths around the end of a block.
    #[test]
    fn a_hash_is_the_standards() {
        let hash = |message: &str| sha1(message.as_bytes()).map(|word| format!("{word:08x}")).concat();
        assert_eq!(hash(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hash("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
        assert_eq!(hash(&"a".repeat(1_000_000)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    /// RFC 9562, A.4.
    #[test]
    fn a_named_uuid_is_the_standards() {
        assert_eq!(
            of_name(Uuid::NAMESPACE_DNS, "www.example.com").to_string(),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #[test]
        fn names_are_those_of_the_uuid_crate(name in "\\PC{0,200}") {
            proptest::prop_assert_eq!(of_name(NAMESPACE, &name), Uuid::new_v5(&NAMESPACE, name.as_bytes()));
        }
    }

    /// Rows outlive releases: this value may never change.
    #[test]
    fn the_formula_is_frozen() {
        let frozen = intent(IntentRule::OncePerKey, "pay.txn.v2", 1, "a", 1, None).to_string();
        assert_eq!(frozen, "6ed12dc5-bc10-5cdd-8e70-ba8fbe187b78");
    }
}
