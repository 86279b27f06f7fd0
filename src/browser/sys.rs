//! The objects of JavaScript, by the names of their members.
//!
//! All that is outside is reached through these few bindings. A binding for each member of each object carries its own
//! name, import and glue to every phone; together they weighed more than the outbox's own machine. What a context may
//! lack (a worker has no document) reads as `undefined`.

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Any object, as a dictionary.
    type Members;
    #[wasm_bindgen(method, indexing_getter)]
    fn member(this: &Members, name: &str) -> JsValue;
    #[wasm_bindgen(method, indexing_setter)]
    fn set_member(this: &Members, name: &str, value: &JsValue);

    type Scope;
    /// Reading the property itself throws where storage is forbidden.
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    fn indexed_db(this: &Scope) -> Result<JsValue, JsValue>;
}

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
    scope().unchecked_ref::<Scope>().indexed_db()
}

/// A member of an object.
pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    object.unchecked_ref::<Members>().member(name)
}

/// Sets a member of an object.
pub(crate) fn set(object: &JsValue, name: &str, value: &JsValue) {
    object.unchecked_ref::<Members>().set_member(name, value);
}

/// Calls a method of an object; one that is missing is an error like any it throws.
pub(crate) fn call(object: &JsValue, method: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    get(object, method).unchecked_into::<Function>().apply(object, &list(given))
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
