//! What the browser tells about what runs in a database, and about its page.
//!
//! A page that is kept for the way back stands still, and so does each of its transactions: WebKit ends them neither
//! way, and everybody else waits behind them. So whatever runs then is taken back, and nothing begins before the page
//! is back. A page that is left for good takes nothing back, because what it wrote may still land.

use crate::browser::sys::{self, Handler};
use wasm_bindgen::prelude::*;

/// What an event says.
pub(super) enum Told {
    /// The database is to be made or upgraded.
    Upgrade,
    /// A transaction has completed.
    Complete,
    /// A transaction was taken back.
    Abort,
    /// A request failed.
    Error,
    /// The page is left and kept.
    Kept,
    /// What else was listened for: a request's success, a connection's end.
    Success,
}

/// Hears what it is given to as a handler, and that the page is kept, until dropped.
pub(super) struct Ear(Handler);

impl Ear {
    pub(super) fn new(heard: impl Fn(Told, &JsValue) + 'static) -> Self {
        let ear = Self(sys::handler(move |event| {
            if let Some(told) = told(&event) {
                heard(told, &event);
            }
        }));
        ear.listen("addEventListener");
        ear
    }

    /// Before the page's own listeners, which may begin something.
    fn listen(&self, method: &str) {
        // Every scope takes listeners, and one without a page calls none.
        let _ = sys::call(&sys::scope(), method, &[&sys::text("pagehide"), self.as_ref(), &JsValue::TRUE]);
    }
}

impl AsRef<JsValue> for Ear {
    fn as_ref(&self) -> &JsValue {
        self.0.as_ref()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.listen("removeEventListener");
    }
}

/// Nothing, when the page is left for good.
fn told(event: &JsValue) -> Option<Told> {
    Some(match sys::get(event, "type").as_string().unwrap_or_default().as_str() {
        "upgradeneeded" => Told::Upgrade,
        "complete" => Told::Complete,
        "abort" => Told::Abort,
        "error" => Told::Error,
        "pagehide" if sys::get(event, "persisted").is_falsy() => return None,
        "pagehide" => Told::Kept,
        _ => Told::Success,
    })
}
