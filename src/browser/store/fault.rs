//! What the browser throws, as far as it matters: a name to act on and a message to report.

use crate::browser::sys;
use crate::outbox::port::StoreFault;
use wasm_bindgen::JsValue;

/// Our own name for a database that does not open in time.
pub(super) const BLOCKED: &str = "BlockedError";

/// A `DOMException`, or whatever else was thrown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    name: String,
    message: String,
}

impl Fault {
    pub(super) fn new(name: &str, message: &str) -> Self {
        Self { name: name.to_owned(), message: message.to_owned() }
    }

    pub(super) fn of(thrown: &JsValue) -> Self {
        if !thrown.is_object() {
            return Self::new("Error", &thrown.as_string().unwrap_or_default());
        }
        let text = |name| sys::get(thrown, name).as_string();
        Self {
            name: text("name").unwrap_or_else(|| "Error".to_owned()),
            message: text("message").unwrap_or_default(),
        }
    }

    /// The error that a request or a transaction ended with, if it did.
    pub(super) fn in_error_of(ended: &JsValue) -> Option<Self> {
        let error = sys::get(ended, "error");
        error.is_object().then(|| Self::of(&error))
    }

    /// A unique index or a key refused an addition.
    pub(super) fn is_constraint(&self) -> bool {
        self.name == "ConstraintError"
    }

    /// The first opening failed.
    pub(super) fn into_unavailable(self) -> StoreFault {
        self.into_known().unwrap_or_else(|fault| StoreFault::Unavailable(fault.text()))
    }

    /// A database that was open before cannot be used any more.
    pub(super) fn into_lost(self) -> StoreFault {
        self.into_known().unwrap_or_else(|fault| StoreFault::Lost(fault.text()))
    }

    /// The faults that mean the same whenever they come. Opening again would not help against them.
    pub(super) fn into_known(self) -> Result<StoreFault, Self> {
        match self.name.as_str() {
            "QuotaExceededError" => Ok(StoreFault::Quota),
            "VersionError" => Ok(StoreFault::Newer),
            BLOCKED => Ok(StoreFault::Blocked),
            _ => Err(self),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.name, self.message)
    }
}
