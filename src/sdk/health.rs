//! What the browser says about the origin's storage: whether it may be evicted, and how full it is.

use super::plain::{Item, Plain};
use crate::browser::promise::outcome;
use crate::browser::sys;

/// The storage part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Health {
    persisted: Option<bool>,
    usage: Option<f64>,
    quota: Option<f64>,
}

impl Health {
    /// So many bytes are free, if the browser says so.
    pub(super) fn space(self) -> Option<u64> {
        // A quota of nothing is no answer. The cast saturates: who has taken more than was promised has no room.
        self.quota.filter(|quota| *quota > 0.0).zip(self.usage).map(|(quota, usage)| (quota - usage) as u64)
    }

    pub(super) fn to_plain(self, alarm: Option<&str>) -> Plain {
        let mut plain = Plain::new();
        plain.set_text("durabilityRequested", "strict");
        plain.set_or_null("persisted", self.persisted.map(Item::Flag));
        plain.set_or_null("usage", self.usage.map(Item::Number));
        plain.set_or_null("quota", self.quota.map(Item::Number));
        plain.set_or_null("alarm", alarm.map(|alarm| Item::Text(alarm.to_owned())));
        plain
    }
}

/// Asks the browser to keep this origin, once, and how full it is. Missing or refused answers stay unknown.
pub(super) async fn ask(mut health: Health) -> Health {
    let storage = sys::of_scope("navigator", "storage");
    if storage.is_undefined() {
        return health;
    }
    // A worker may estimate but not ask to persist; the method is missing there and the call throws.
    if health.persisted.is_none()
        && let Ok(promise) = sys::call(&storage, "persist", &[])
    {
        health.persisted = outcome(&promise).await.ok().and_then(|answer| answer.as_bool());
    }
    if let Ok(promise) = sys::call(&storage, "estimate", &[])
        && let Ok(estimate) = outcome(&promise).await
    {
        health.usage = sys::get(&estimate, "usage").as_f64();
        health.quota = sys::get(&estimate, "quota").as_f64();
    }
    health
}
