//! What the browser says about the origin's storage: whether it may be evicted, and how full it is.

use super::plain::{Item, Plain};
use crate::browser::promise::outcome;
use crate::browser::sys;
use wasm_bindgen::JsValue;

/// The storage part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Health {
    pub(super) persisted: Option<bool>,
    pub(super) usage: Option<f64>,
    pub(super) quota: Option<f64>,
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

/// Asks the browser to keep this origin. A missing or refused answer stays unknown.
pub(super) async fn persist() -> Option<bool> {
    // A worker may estimate but not ask to persist; the method is missing there and the call throws.
    let promise = sys::call(&sys::of_scope("navigator", "storage"), "persist", &[]).ok()?;
    outcome(&promise).await.ok()?.as_bool()
}

/// Asks the browser how much of how much is taken, in bytes.
pub(super) async fn estimate() -> (Option<f64>, Option<f64>) {
    let told = match sys::call(&sys::of_scope("navigator", "storage"), "estimate", &[]) {
        Ok(promise) => outcome(&promise).await.unwrap_or_default(),
        Err(_) => JsValue::UNDEFINED,
    };
    let number = |name: &str| sys::get(&told, name).as_f64();
    (number("usage"), number("quota"))
}
