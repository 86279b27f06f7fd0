//! Requests of one transaction to its stores.

use crate::browser::sys::{self, IdbRequest, IdbTransaction};
use wasm_bindgen::prelude::*;
use web_sys::{IdbIndex, IdbKeyRange, IdbObjectStore};

/// The store of a name.
pub(super) fn store(transaction: &IdbTransaction, name: &str) -> Result<IdbObjectStore, JsValue> {
    transaction.object_store(name)
}

/// An index of a store.
pub(super) fn index(transaction: &IdbTransaction, name: &str, index: &str) -> Result<IdbIndex, JsValue> {
    store(transaction, name)?.index(index)
}

/// A request to a store or an index, in the words of IndexedDB.
pub(super) fn request(
    source: impl AsRef<JsValue>,
    method: &str,
    given: &[&JsValue],
) -> Result<IdbRequest, JsValue> {
    sys::call(source.as_ref(), method, given).map(JsCast::unchecked_into)
}

/// Asks for what stands under a key.
pub(super) fn get(transaction: &IdbTransaction, name: &str, key: &JsValue) -> Result<IdbRequest, JsValue> {
    store(transaction, name)?.get(key)
}

/// Puts a value under a key.
pub(super) fn put(
    transaction: &IdbTransaction,
    name: &str,
    value: &JsValue,
    key: &JsValue,
) -> Result<(), JsValue> {
    store(transaction, name)?.put_with_key(value, key).map(drop)
}

/// Deletes what stands under a key or in a range of keys.
pub(super) fn delete(transaction: &IdbTransaction, name: &str, key: &JsValue) -> Result<(), JsValue> {
    store(transaction, name)?.delete(key).map(drop)
}

/// The keys from one to another, both with them.
pub(super) fn between(lower: &JsValue, upper: &JsValue) -> Result<JsValue, JsValue> {
    IdbKeyRange::bound(lower, upper).map(JsValue::from)
}

/// The keys between two, both without them.
pub(super) fn within(lower: &JsValue, upper: &JsValue) -> Result<JsValue, JsValue> {
    IdbKeyRange::bound_with_lower_open_and_upper_open(lower, upper, true, true).map(JsValue::from)
}

/// The keys after one.
pub(super) fn after(key: &JsValue) -> Result<JsValue, JsValue> {
    IdbKeyRange::lower_bound_with_open(key, true).map(JsValue::from)
}

/// What an answered request found.
pub(super) fn result(request: &IdbRequest) -> JsValue {
    // A request that has not been answered has none yet.
    request.result().unwrap_or_default()
}
