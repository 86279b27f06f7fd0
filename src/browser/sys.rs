//! The objects of JavaScript, by the names of their members.
//!
//! All that is outside is reached through these few bindings. A binding for each member of each object carries its own
//! name, import and glue to every phone, and two hundred of them were several kilobytes. What a context may
//! lack (a worker has no document) reads as `undefined`.

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;

pub(super) use js_sys::Uint8Array;
pub(crate) use js_sys::{Array, Function, Promise};
pub(super) use web_sys::{IdbDatabase, IdbRequest, IdbTransaction};

/// The global object of a window or a worker.
pub(crate) fn scope() -> JsValue {
    js_sys::global().into()
}

/// A member of something that the scope has, `undefined` when either is missing.
pub(crate) fn of_scope(owner: &str, name: &str) -> JsValue {
    let owner = get(&scope(), owner);
    if owner.is_undefined() { owner } else { get(&owner, name) }
}

/// The scope's databases, `undefined` when it has none. An error where storage is forbidden.
pub(super) fn indexed_db() -> Result<JsValue, JsValue> {
    Reflect::get(&scope(), &text("indexedDB"))
}

/// A member of an object; what cannot be read is not there.
pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &text(name)).unwrap_or_default()
}

/// Sets a member of an object.
pub(crate) fn set(object: &JsValue, name: &str, value: &JsValue) {
    // Plain objects of ours and handlers of the browser's take every member.
    let _ = Reflect::set(object, &text(name), value);
}

/// Calls a method of an object; one that is missing is an error like any it throws.
pub(crate) fn call(object: &JsValue, method: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    Reflect::apply(get(object, method).unchecked_ref::<Function>(), object, &list(given))
}

/// Calls a method of something that the scope always has.
pub(crate) fn call_of(owner: &str, method: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    call(&get(&scope(), owner), method, given)
}

/// Takes a transaction back, or gives a request up. Whether it could; one that has ended cannot.
pub(super) fn abort(what: &JsValue) -> bool {
    call(what, "abort", &[]).is_ok()
}

/// Calls a function of the page.
pub(crate) fn call_back(function: &JsValue, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    Reflect::apply(function.unchecked_ref::<Function>(), &JsValue::UNDEFINED, &list(given))
}

/// Makes an object of a class of the scope.
pub(crate) fn make(class: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    Reflect::construct(get(&scope(), class).unchecked_ref::<Function>(), &list(given))
}

/// An empty object, for options.
pub(crate) fn object() -> JsValue {
    Object::new().into()
}

/// A text as JavaScript holds it.
pub(crate) fn text(text: &str) -> JsValue {
    JsValue::from_str(text)
}

/// What a JSON text says.
pub(crate) fn parse(json: &str) -> Option<JsValue> {
    call_of("JSON", "parse", &[&text(json)]).ok()
}

/// An array of these.
pub(crate) fn list(items: &[&JsValue]) -> Array {
    let list = Array::new();
    for item in items {
        list.push(item);
    }
    list
}

/// What an array holds; nothing, if it is none.
pub(crate) fn items(value: &JsValue) -> Vec<JsValue> {
    value.dyn_ref::<Array>().map(Array::to_vec).unwrap_or_default()
}

/// What the browser calls. It is valid until dropped.
pub(crate) type Handler = Closure<dyn Fn(JsValue) -> JsValue>;

/// A handler that answers nothing.
pub(crate) fn handler(heard: impl Fn(JsValue) + 'static) -> Handler {
    Closure::new(move |value| {
        heard(value);
        JsValue::UNDEFINED
    })
}
