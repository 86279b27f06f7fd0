//! The objects of JavaScript, by the names of their members.
//!
//! All that is outside is reached through these few bindings. A binding for each member of each object carries its own
//! name, import and glue to every phone, and two hundred of them were several kilobytes. What a context may
//! lack (a worker has no document) reads as `undefined`.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = globalThis)]
    static SCOPE: JsValue;

    /// Any object, as a dictionary.
    type Members;
    #[wasm_bindgen(method, indexing_getter)]
    fn member(this: &Members, name: &str) -> JsValue;
    #[wasm_bindgen(method, indexing_setter)]
    fn set_member(this: &Members, name: &str, value: &JsValue);
    /// Reading the property itself throws where storage is forbidden.
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    fn indexed_db(this: &Members) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = Reflect, catch)]
    fn apply(function: &JsValue, this: &JsValue, given: &Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = Reflect, catch)]
    fn construct(class: &JsValue, given: &Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = Object)]
    fn new_object() -> JsValue;

    /// A function of the page.
    #[wasm_bindgen(typescript_type = "Function")]
    #[derive(Clone)]
    pub type Function;

    /// A promise, of ours or of the browser's.
    #[wasm_bindgen(typescript_type = "Promise<any>")]
    pub type Promise;
    #[wasm_bindgen(constructor)]
    pub(super) fn new(begin: &mut dyn FnMut(JsValue, JsValue)) -> Promise;

    /// Bytes.
    pub(super) type Uint8Array;
    #[wasm_bindgen(constructor)]
    pub(super) fn new(bytes: &[u8]) -> Uint8Array;
    #[wasm_bindgen(method, js_name = slice)]
    pub(super) fn to_vec(this: &Uint8Array) -> Vec<u8>;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) type IdbDatabase;
    #[derive(Clone, Debug)]
    pub(super) type IdbTransaction;
    #[derive(Clone, Debug)]
    pub(super) type IdbRequest;

    /// A list of values.
    #[wasm_bindgen(is_type_of = Array::is_array)]
    pub(crate) type Array;
    #[wasm_bindgen(constructor)]
    pub(crate) fn new() -> Array;
    #[wasm_bindgen(method)]
    pub(crate) fn push(this: &Array, value: &JsValue);
    #[wasm_bindgen(method, js_name = slice)]
    fn to_vec(this: &Array) -> Vec<JsValue>;
    #[wasm_bindgen(static_method_of = Array, js_name = isArray)]
    pub(crate) fn is_array(value: &JsValue) -> bool;
}

/// The global object of a window or a worker.
pub(crate) fn scope() -> JsValue {
    SCOPE.with(Clone::clone)
}

/// A member of something that the scope has, `undefined` when either is missing.
pub(crate) fn of_scope(owner: &str, name: &str) -> JsValue {
    let owner = get(&scope(), owner);
    if owner.is_undefined() { owner } else { get(&owner, name) }
}

/// The scope's databases, `undefined` when it has none. An error where storage is forbidden.
pub(super) fn indexed_db() -> Result<JsValue, JsValue> {
    scope().unchecked_ref::<Members>().indexed_db()
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
    apply(&get(object, method), object, &list(given))
}

/// Calls a method of something that the scope always has.
pub(crate) fn call_of(owner: &str, method: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    call(&get(&scope(), owner), method, given)
}

/// Calls a function of the page.
pub(crate) fn call_back(function: &JsValue, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    apply(function, &JsValue::UNDEFINED, &list(given))
}

/// Makes an object of a class of the scope.
pub(crate) fn make(class: &str, given: &[&JsValue]) -> Result<JsValue, JsValue> {
    construct(&get(&scope(), class), &list(given))
}

/// An empty object, for options.
pub(crate) fn object() -> JsValue {
    new_object()
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
