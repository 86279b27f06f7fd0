//! The intent: what a person meant, as a UUIDv5 (RFC 9562) that two taps on one sale share.

use super::contract::IntentRule;
use super::ids::{EventId, IntentKey};
use super::names::{Device, EventType, Key, Topic};
use uuid::Uuid;

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
    // A zero byte cannot occur in any part, so no two different lists of parts join to the same name.
    let base = format!("{}\0{}\0{}\0{attempt}", topic.family(), kind.as_str(), key.as_str());
    let name = match (rule, caller) {
        (IntentRule::OncePerKey, _) => base,
        (IntentRule::PerDevice, _) => format!("{base}\0{}", device.as_str()),
        (IntentRule::Caller | IntentRule::Fresh, Some(word)) => {
            format!("caller\0{}\0{word}\0{attempt}", topic.family())
        }
        (IntentRule::Caller | IntentRule::Fresh, None) => return IntentKey::from_bytes(parts.id.to_bytes()),
    };
    IntentKey::from_bytes(Uuid::new_v5(&NAMESPACE, name.as_bytes()).into_bytes())
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

    /// Rows outlive releases: this value may never change.
    #[test]
    fn the_formula_is_frozen() {
        let frozen = intent(IntentRule::OncePerKey, "pay.txn.v2", 1, "a", 1, None).to_string();
        assert_eq!(frozen, "6ed12dc5-bc10-5cdd-8e70-ba8fbe187b78");
    }
}
