//! Requests of one transaction to its stores.

use crate::browser::sys::{self, IdbRequest, IdbTransaction};
use wasm_bindgen::prelude::*;

/// The store of a name.
pub(super) fn store(transaction: &IdbTransaction, name: &str) -> Result<JsValue, JsValue> {
    sys::call(transaction, "objectStore", &[&sys::text(name)])
}

/// An index of a store.
pub(super) fn index(transaction: &IdbTransaction, name: &str, index: &str) -> Result<JsValue, JsValue> {
    sys::call(&store(transaction, name)?, "index", &[&sys::text(index)])
}

/// A request to a store or an index, in the words of IndexedDB.
pub(super) fn request(source: &JsValue, method: &str, given: &[&JsValue]) -> Result<IdbRequest, JsValue> {
    sys::call(source, method, given).map(JsCast::unchecked_into)
}

/// Asks for what stands under a key.
pub(super) fn get(transaction: &IdbTransaction, name: &str, key: &JsValue) -> Result<IdbRequest, JsValue> {
    request(&store(transaction, name)?, "get", &[key])
}

/// Puts a value under a key.
pub(super) fn put(
    transaction: &IdbTransaction,
    name: &str,
    value: &JsValue,
    key: &JsValue,
) -> Result<(), JsValue> {
    request(&store(transaction, name)?, "put", &[value, key]).map(drop)
}

/// Deletes what stands under a key or in a range of keys.
pub(super) fn delete(transaction: &IdbTransaction, name: &str, key: &JsValue) -> Result<(), JsValue> {
    request(&store(transaction, name)?, "delete", &[key]).map(drop)
}

/// The keys from one to another, both with them.
pub(super) fn between(lower: &JsValue, upper: &JsValue) -> Result<JsValue, JsValue> {
    sys::call(&ranges(), "bound", &[lower, upper])
}

/// The keys between two, both without them.
pub(super) fn within(lower: &JsValue, upper: &JsValue) -> Result<JsValue, JsValue> {
    sys::call(&ranges(), "bound", &[lower, upper, &JsValue::TRUE, &JsValue::TRUE])
}

/// The keys after one.
pub(super) fn after(key: &JsValue) -> Result<JsValue, JsValue> {
    sys::call(&ranges(), "lowerBound", &[key, &JsValue::TRUE])
}

fn ranges() -> JsValue {
    sys::get(&sys::scope(), "IDBKeyRange")
}

/// What an answered request found.
pub(super) fn result(request: &IdbRequest) -> JsValue {
    sys::get(request, "result")
}
