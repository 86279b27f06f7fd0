//! A value of plain data: an object with named members, as it lies on disk and as the page sees it.

use super::sys::{self, Uint8Array};
use crate::limits::SAFE_INTEGER_MAX;
use wasm_bindgen::prelude::*;

/// An object on its way in or out. A member that is missing or of another kind reads as `None`.
pub(crate) struct Value(JsValue);

impl Value {
    pub(crate) fn new() -> Self {
        Self(sys::object())
    }

    /// Reads what the database returned; `undefined` means that there is no such record.
    pub(crate) fn of(found: &JsValue) -> Option<Self> {
        found.is_object().then(|| Self(found.clone()))
    }

    pub(crate) fn into_js(self) -> JsValue {
        self.0
    }

    pub(crate) fn set(&self, name: &str, value: &JsValue) {
        sys::set(&self.0, name, value);
    }

    pub(crate) fn set_whole(&self, name: &str, value: u64) {
        self.set(name, &whole(value));
    }

    pub(crate) fn set_text(&self, name: &str, value: &str) {
        self.set(name, &sys::text(value));
    }

    pub(crate) fn set_flag(&self, name: &str, value: bool) {
        self.set(name, &JsValue::from_bool(value));
    }

    pub(crate) fn set_bytes(&self, name: &str, value: &[u8]) {
        self.set(name, &bytes(value));
    }

    fn get(&self, name: &str) -> JsValue {
        sys::get(&self.0, name)
    }

    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        as_whole(&self.get(name))
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).as_string()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).as_bool()
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        as_bytes(&self.get(name))
    }

    pub(crate) fn value(&self, name: &str) -> Option<Self> {
        Self::of(&self.get(name))
    }

    /// The members of an object that is used as a map from small whole numbers.
    pub(crate) fn numbered(&self) -> Vec<(u32, JsValue)> {
        let mut members = Vec::new();
        for name in sys::items(&sys::call_of("Object", "keys", &[&self.0]).unwrap_or_default()) {
            let name = name.as_string().unwrap_or_default();
            if let Some(number) = name.parse::<u64>().ok().and_then(|number| number.try_into().ok()) {
                members.push((number, self.get(&name)));
            }
        }
        members
    }
}

/// A whole number as JavaScript holds it.
pub(crate) fn whole(value: u64) -> JsValue {
    JsValue::from_f64(value as f64)
}

/// A whole number from 0 to 2^53 - 1.
pub(crate) fn as_whole(value: &JsValue) -> Option<u64> {
    let number = value.as_f64()?;
    let held = number >= 0.0 && number.fract() == 0.0 && number <= SAFE_INTEGER_MAX as f64;
    held.then_some(number as u64)
}

pub(crate) fn bytes(value: &[u8]) -> JsValue {
    Uint8Array::from(value).into()
}

pub(crate) fn as_bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
