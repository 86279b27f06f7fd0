//! Promises, on both of their sides: given to the page, and waited for.

use super::ending::Ending;
use super::sys::{self, Promise};
use super::work::{Work, spawn};
use wasm_bindgen::prelude::*;

/// What a call comes to, as JavaScript sees it.
pub(crate) type Outcome = Result<JsValue, JsValue>;

/// A promise someone waits for.
pub(crate) struct Waiter {
    resolve: JsValue,
    reject: JsValue,
}

impl Waiter {
    /// A pending promise and the way to end it.
    pub(crate) fn new() -> (Promise, Self) {
        let (mut resolve, mut reject) = (JsValue::UNDEFINED, JsValue::UNDEFINED);
        let promise = Promise::new(&mut |resolves, rejects| {
            (resolve, reject) = (resolves.into(), rejects.into());
        });
        (promise, Self { resolve, reject })
    }

    pub(crate) fn end(&self, outcome: &Outcome) {
        // The functions of a promise never throw.
        let _ = match outcome {
            Ok(value) => sys::call_back(&self.resolve, &[value]),
            Err(error) => sys::call_back(&self.reject, &[error]),
        };
    }
}

/// The promise of what work comes to that begins at the end of this turn.
pub(crate) fn promise(work: Work<Outcome>) -> Promise {
    let (promise, waiter) = Waiter::new();
    spawn(Box::pin(async move { waiter.end(&work.await) }));
    promise
}

/// A promise that has ended.
pub(crate) fn ended(outcome: &Outcome) -> Promise {
    let (promise, waiter) = Waiter::new();
    waiter.end(outcome);
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
