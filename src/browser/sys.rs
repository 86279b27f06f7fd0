//! Bindings that web-sys lacks or hides behind a configuration flag, in one file.
//!
//! Only what the hands use is bound, and only its shape: no decision is made here. Every object that may be
//! missing in some context (a worker has no document) is an `Option`.

use js_sys::{Array, Function, Object, Promise};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Crypto, EventTarget, Headers, IdbFactory, IdbTransaction, Performance};

#[wasm_bindgen]
extern "C" {
    /// The global object of a window or a worker.
    #[wasm_bindgen(extends = EventTarget)]
    pub(super) type Scope;
    #[wasm_bindgen(method, getter)]
    pub(super) fn document(this: &Scope) -> Option<Document>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn navigator(this: &Scope) -> Option<Navigator>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn performance(this: &Scope) -> Option<Performance>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn crypto(this: &Scope) -> Option<Crypto>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn fetch(this: &Scope, url: &str, options: &FetchOptions) -> Result<Promise, JsValue>;

    /// Reading the property itself throws where storage is forbidden.
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    pub(super) fn indexed_db(this: &Scope) -> Result<Option<IdbFactory>, JsValue>;

    /// An `IDBDatabase` whose transactions take the options of Indexed Database API 3.0.
    #[wasm_bindgen(js_name = IDBDatabase)]
    pub(super) type Database;
    #[wasm_bindgen(method, catch)]
    pub(super) fn transaction(
        this: &Database,
        stores: &Array,
        mode: &str,
        options: &TransactionOptions,
    ) -> Result<IdbTransaction, JsValue>;

    #[wasm_bindgen(extends = Object)]
    pub(super) type TransactionOptions;
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_durability(this: &TransactionOptions, durability: &str);

    /// An `IDBTransaction` that can be told that nothing more will come.
    #[wasm_bindgen(js_name = IDBTransaction)]
    pub(super) type Committable;
    #[wasm_bindgen(method, catch)]
    pub(super) fn commit(this: &Committable) -> Result<(), JsValue>;

    /// A plain object as a dictionary.
    #[wasm_bindgen(extends = Object)]
    pub(super) type Members;
    #[wasm_bindgen(method, indexing_getter)]
    pub(super) fn get(this: &Members, name: &str) -> JsValue;
    #[wasm_bindgen(method, indexing_setter)]
    pub(super) fn set(this: &Members, name: &str, value: &JsValue);

    #[wasm_bindgen(extends = EventTarget)]
    pub(super) type Document;
    #[wasm_bindgen(method, getter, js_name = visibilityState)]
    pub(super) fn visibility_state(this: &Document) -> String;

    pub(super) type Navigator;
    #[wasm_bindgen(method, getter)]
    pub(super) fn locks(this: &Navigator) -> Option<LockManager>;

    /// Web Locks, W3C working draft.
    pub(super) type LockManager;
    #[wasm_bindgen(method, catch)]
    pub(super) fn request(
        this: &LockManager,
        name: &str,
        options: &LockOptions,
        granted: &Function,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(extends = Object)]
    pub(super) type LockOptions;
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_mode(this: &LockOptions, mode: &str);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_signal(this: &LockOptions, signal: &AbortSignal);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_steal(this: &LockOptions, steal: bool);

    /// `RequestInit` with the members that web-sys offers only together with many more types.
    #[wasm_bindgen(extends = Object)]
    pub(super) type FetchOptions;
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_method(this: &FetchOptions, method: &str);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_headers(this: &FetchOptions, headers: &Headers);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_body(this: &FetchOptions, body: &str);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_redirect(this: &FetchOptions, redirect: &str);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_credentials(this: &FetchOptions, credentials: &str);
    #[wasm_bindgen(method, setter)]
    pub(super) fn set_cache(this: &FetchOptions, cache: &str);
    #[wasm_bindgen(method, setter, js_name = signal)]
    pub(super) fn set_abort(this: &FetchOptions, signal: &AbortSignal);

    /// A `Response`'s body as far as it is read here: a reader of byte chunks.
    #[wasm_bindgen(js_name = Response)]
    pub(super) type Answer;
    #[wasm_bindgen(method, getter)]
    pub(super) fn body(this: &Answer) -> Option<BodyStream>;

    pub(super) type BodyStream;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    pub(super) fn reader(this: &BodyStream) -> Result<BodyReader, JsValue>;

    pub(super) type BodyReader;
    #[wasm_bindgen(method, catch)]
    pub(super) fn read(this: &BodyReader) -> Result<Promise, JsValue>;

    /// What a reader's promise resolves to.
    pub(super) type BodyChunk;
    #[wasm_bindgen(method, getter)]
    pub(super) fn done(this: &BodyChunk) -> bool;
    #[wasm_bindgen(method, getter)]
    pub(super) fn value(this: &BodyChunk) -> Option<js_sys::Uint8Array>;
}

/// The global object.
pub(super) fn scope() -> Scope {
    js_sys::global().unchecked_into()
}

/// An empty dictionary of some options type.
pub(super) fn options<T: JsCast>() -> T {
    Object::new().unchecked_into()
}
