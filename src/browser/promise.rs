//! Promises, on both of their sides: given to the page, and waited for.

use super::ending::Ending;
use super::sys;
use js_sys::{Function, Promise};
use std::future::Future;
use std::pin::Pin;
use wasm_bindgen::prelude::*;

/// What a call comes to, as JavaScript sees it.
pub(crate) type Outcome = Result<JsValue, JsValue>;

/// Work that goes on by itself. It is boxed, so that what runs it is compiled once and not for each piece of work.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T>>>;

/// A promise someone waits for.
pub(crate) struct Waiter {
    resolve: Function,
    reject: Function,
}

impl Waiter {
    /// A pending promise and the way to end it.
    pub(crate) fn new() -> (Promise, Self) {
        let mut both = None;
        let promise = Promise::new(&mut |resolve, reject| both = Some((resolve, reject)));
        let (resolve, reject) = both.unwrap_or_default();
        (promise, Self { resolve: resolve.unchecked_into(), reject: reject.unchecked_into() })
    }

    pub(crate) fn end(&self, outcome: &Outcome) {
        let (tell, value) = match outcome {
            Ok(value) => (&self.resolve, value),
            Err(error) => (&self.reject, error),
        };
        // The functions of a promise never throw.
        let _ = tell.call1(&JsValue::UNDEFINED, value);
    }
}

/// Begins it at the end of this turn.
pub(crate) fn spawn(work: Work<()>) {
    wasm_bindgen_futures::spawn_local(work);
}

/// The promise of what work comes to that begins at the end of this turn.
pub(crate) fn promise(work: Work<Outcome>) -> Promise {
    let (promise, waiter) = Waiter::new();
    spawn(Box::pin(async move { waiter.end(&work.await) }));
    promise
}

/// What a promise of the browser comes to.
pub(crate) fn outcome(promise: &JsValue) -> Ending<Outcome> {
    let end = Ending::new();
    let told = |wrap: fn(JsValue) -> Outcome| {
        let end = end.clone();
        // Freed by the browser with the promise.
        sys::handler(move |value| end.tell(wrap(value))).into_js_value()
    };
    if let Err(thrown) = sys::call(promise, "then", &[&told(Ok), &told(Err)]) {
        end.tell(Err(thrown));
    }
    end
}
