//! What the browser throws, as far as it matters: a name to act on and a message to report.

use crate::outbox::port::StoreFault;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException;

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
        if let Some(exception) = thrown.dyn_ref::<DomException>() {
            return Self::of_exception(exception);
        }
        match thrown.dyn_ref::<js_sys::Error>() {
            Some(error) => Self { name: error.name().into(), message: error.message().into() },
            None => Self { name: "Error".to_owned(), message: thrown.as_string().unwrap_or_default() },
        }
    }

    pub(super) fn of_exception(exception: &DomException) -> Self {
        Self { name: exception.name(), message: exception.message() }
    }

    /// A unique index or a key refused an addition.
    pub(super) fn is_constraint(&self) -> bool {
        self.name == "ConstraintError"
    }

    /// The first opening failed.
    pub(super) fn into_unavailable(self) -> StoreFault {
        self.into_known().unwrap_or_else(|fault| StoreFault::Unavailable(fault.to_string()))
    }

    /// A database that was open before cannot be used any more.
    pub(super) fn into_lost(self) -> StoreFault {
        self.into_known().unwrap_or_else(|fault| StoreFault::Lost(fault.to_string()))
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
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}
