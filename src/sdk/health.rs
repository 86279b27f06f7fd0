//! What the browser says about the origin's storage: whether it may be evicted, and how full it is.

use super::values::Plain;
use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type Scope;
    #[wasm_bindgen(method, getter)]
    fn navigator(this: &Scope) -> Option<Navigator>;
    type Navigator;
    #[wasm_bindgen(method, getter)]
    fn storage(this: &Navigator) -> Option<Storage>;
    type Storage;
    #[wasm_bindgen(method, catch)]
    fn persist(this: &Storage) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn estimate(this: &Storage) -> Result<Promise, JsValue>;
    #[wasm_bindgen(extends = Object)]
    type Estimate;
    #[wasm_bindgen(method, getter)]
    fn usage(this: &Estimate) -> Option<f64>;
    #[wasm_bindgen(method, getter)]
    fn quota(this: &Estimate) -> Option<f64>;
}

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
        // The cast saturates: a browser that has taken more than it promised has no room.
        Some((self.quota? - self.usage?) as u64)
    }

    pub(super) fn to_plain(self, alarm: Option<&str>) -> Plain {
        Plain::Members(vec![
            ("durabilityRequested", Plain::text("strict")),
            ("persisted", Plain::or_null(self.persisted, Plain::Flag)),
            ("usage", Plain::or_null(self.usage, Plain::Number)),
            ("quota", Plain::or_null(self.quota, Plain::Number)),
            ("alarm", Plain::or_null(alarm, Plain::text)),
        ])
    }
}

/// Asks the browser to keep this origin, once, and how full it is. Missing or refused answers stay unknown.
pub(super) async fn ask(known: Health) -> Health {
    let scope: Scope = js_sys::global().unchecked_into();
    let mut health = known;
    let Some(storage) = scope.navigator().and_then(|navigator| navigator.storage()) else { return health };
    // A worker may estimate but not ask to persist; the method is missing there and the call throws.
    if health.persisted.is_none()
        && let Ok(promise) = storage.persist()
    {
        health.persisted = JsFuture::from(promise).await.ok().and_then(|answer| answer.as_bool());
    }
    if let Ok(promise) = storage.estimate()
        && let Ok(found) = JsFuture::from(promise).await
    {
        let estimate: Estimate = found.unchecked_into();
        health.usage = estimate.usage();
        health.quota = estimate.quota();
    }
    health
}
