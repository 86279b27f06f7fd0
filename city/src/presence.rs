//! When each device was last heard, to the second, since the city started. What lies in the file is a minute coarse, and
//! a board that says "40 s ago" must mean it.

use city_domain::limits;
use conch::event::{Device, UnixMillis};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The devices that were heard. Only enrolled ones get here, so there are no more of them than the file holds.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<HashMap<Device, UnixMillis>>);

impl Presence {
    /// Notes a device. Tells whether that is news: it was not heard for a while.
    pub(crate) fn hear(&self, device: &Device, now: UnixMillis) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match heard.get_mut(device) {
            Some(at) => Some(std::mem::replace(at, now)),
            None => heard.insert(device.clone(), now),
        };
        before.is_none_or(|before| before.0 + limits::HEARD_NEWS_MS <= now.0)
    }

    /// When it was last heard.
    pub(crate) fn of(&self, device: &Device) -> Option<UnixMillis> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(device).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_news_when_it_was_not_heard_for_a_while() {
        let (presence, gate) = (Presence::default(), Device::parse("gate-1").unwrap());
        let hear = |at| presence.hear(&gate, UnixMillis(at));
        assert!(hear(1_000));
        assert!(!hear(1_000 + limits::HEARD_NEWS_MS - 1));
        assert!(hear(1_000 + 2 * limits::HEARD_NEWS_MS));
        assert_eq!(presence.of(&gate), Some(UnixMillis(1_000 + 2 * limits::HEARD_NEWS_MS)));
        assert_eq!(presence.of(&Device::parse("gate-2").unwrap()), None);
    }
}
