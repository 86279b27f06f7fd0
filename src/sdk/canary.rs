//! A second memory of the outbox, in another store of the browser than the outbox itself.
//!
//! A browser may empty or damage a database without a word, and a backup may bring an older one back. Then the numbers
//! here and there do not fit, and the page hears of it. Only windows have `localStorage`; what the browser throws away
//! together with the outbox is noticed by the city alone, as a device that begins a new life.

use crate::browser::sys;
use crate::outbox::canary::{may_note, words};
use crate::outbox::record::Counter;
use wasm_bindgen::JsValue;

/// None where there is none, or where it is forbidden.
fn storage() -> Option<JsValue> {
    Some(sys::get(&sys::scope(), "localStorage")).filter(JsValue::is_object)
}

fn name(database: &str) -> String {
    format!("conch:{database}")
}

/// What was last seen. Read before the database is opened: a tab beside this one may note more in between.
pub(super) fn seen(database: &str) -> Option<String> {
    sys::call(&storage()?, "getItem", &[&sys::text(&name(database))]).ok()?.as_string()
}

/// Notes what is seen, unless a younger outbox was noted since `before`. A browser that does not keep it only forgets the
/// comparison.
pub(super) fn note(database: &str, before: Option<&str>, life: &str, counter: &Counter) {
    if let Some(storage) = storage()
        && may_note(seen(database).as_deref(), before, life)
    {
        let seen = sys::text(&words(life, counter));
        let _ = sys::call(&storage, "setItem", &[&sys::text(&name(database)), &seen]);
    }
}
