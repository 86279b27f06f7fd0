//! A stored value: a plain JavaScript object with named members.

use crate::browser::sys::{self, Members};
use crate::limits::SAFE_INTEGER_MAX;
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};

/// An object on its way to or from the disk. A member that is missing or of another kind reads as `None`.
pub(super) struct Value(Members);

impl Value {
    pub(super) fn new() -> Self {
        Self(sys::options())
    }

    /// Reads what the database returned; `undefined` means that there is no such record.
    pub(super) fn of(found: &JsValue) -> Option<Self> {
        found.is_object().then(|| Self(found.clone().unchecked_into()))
    }

    pub(super) fn as_js(&self) -> &JsValue {
        &self.0
    }

    pub(super) fn set(&self, name: &str, value: &JsValue) {
        self.0.set(name, value);
    }

    pub(super) fn set_whole(&self, name: &str, value: u64) {
        self.0.set(name, &whole(value));
    }

    pub(super) fn set_text(&self, name: &str, value: &str) {
        self.0.set(name, &JsValue::from_str(value));
    }

    pub(super) fn set_bytes(&self, name: &str, value: &[u8]) {
        self.0.set(name, &bytes(value));
    }

    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        as_whole(&self.0.get(name))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).as_string()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).as_bool()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        as_bytes(&self.0.get(name))
    }

    pub(super) fn value(&self, name: &str) -> Option<Self> {
        Self::of(&self.0.get(name))
    }

    /// The members of an object that is used as a map from small whole numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, JsValue)> + '_ {
        js_sys::Object::keys(&self.0).into_iter().filter_map(|name| {
            let name = name.as_string()?;
            Some((name.parse().ok()?, self.0.get(&name)))
        })
    }
}

/// A whole number as JavaScript holds it.
pub(super) fn whole(value: u64) -> JsValue {
    JsValue::from_f64(value as f64)
}

/// A whole number from 0 to 2^53 - 1.
pub(super) fn as_whole(value: &JsValue) -> Option<u64> {
    let number = value.as_f64()?;
    let held = number >= 0.0 && number.fract() == 0.0 && number <= SAFE_INTEGER_MAX as f64;
    held.then_some(number as u64)
}

pub(super) fn bytes(value: &[u8]) -> JsValue {
    Uint8Array::from(value).into()
}

pub(super) fn as_bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
