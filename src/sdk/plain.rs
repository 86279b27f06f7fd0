//! What goes out to the page: plain objects, serialized once. One type for all of them, because a serializer for each
//! would cost half a kilobyte.

use serde::ser::{Serialize, SerializeMap, Serializer};
use wasm_bindgen::JsValue;

/// An object on its way out.
#[derive(Default)]
pub(super) struct Plain(Vec<(&'static str, Item)>);

/// What a member holds.
pub(super) enum Item {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    Object(Plain),
}

impl Item {
    /// A whole number up to 2^53 - 1.
    pub(super) fn whole(value: u64) -> Self {
        Self::Number(value as f64)
    }
}

impl Plain {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn set(&mut self, name: &'static str, item: Item) {
        self.0.push((name, item));
    }

    pub(super) fn set_text(&mut self, name: &'static str, text: &str) {
        self.set(name, Item::Text(text.to_owned()));
    }

    pub(super) fn set_whole(&mut self, name: &'static str, value: u64) {
        self.set(name, Item::whole(value));
    }

    pub(super) fn set_flag(&mut self, name: &'static str, flag: bool) {
        self.set(name, Item::Flag(flag));
    }

    pub(super) fn set_or_null(&mut self, name: &'static str, item: Option<Item>) {
        self.set(name, item.unwrap_or(Item::Null));
    }

    pub(super) fn into_js(self) -> JsValue {
        // Texts, numbers and flags always serialize.
        Item::Object(self).serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_or_default()
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(Plain(members)) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
