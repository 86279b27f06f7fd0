//! `ConchError`: a real JavaScript `Error` with a `code`, and whether the same call may succeed later.

use crate::browser::sys;
use crate::event::contract::TermsProblem;
use crate::event::names::NameProblem;
use crate::event::{EmitProblem, pii};
use crate::limits::EVENT_BYTES_MAX;
use crate::outbox::engine::EmitFault;
use crate::outbox::port::StoreFault;
use crate::outbox::transact::Refusal;
use wasm_bindgen::JsValue;

/// Whether the same call may succeed later without a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It may.
    Helps,
    /// It will not.
    IsVain,
}

/// Makes the error.
pub(super) fn error(code: &str, message: &str, retry: Retry) -> JsValue {
    let error = sys::make("Error", &[&sys::text(message)]).unwrap_or_default();
    sys::set(&error, "name", &sys::text("ConchError"));
    sys::set(&error, "code", &sys::text(code));
    sys::set(&error, "retryable", &(retry == Retry::Helps).into());
    error
}

/// The same with what caused it.
pub(super) fn error_caused(code: &str, message: &str, retry: Retry, cause: &JsValue) -> JsValue {
    let error = error(code, message, retry);
    sys::set(&error, "cause", cause);
    error
}

/// The outbox was closed by the page.
pub(super) fn closed() -> JsValue {
    error("closed", "This outbox is closed: open it again with Edge.open.", Retry::IsVain)
}

/// Why an event was not taken.
pub(super) fn of_emit(fault: &EmitFault) -> JsValue {
    match fault {
        EmitFault::Problem(problem) => of_problem(problem),
        EmitFault::Conflict(kept) => error(
            "conflict",
            &format!(
                "This intent stands in the outbox already, as event {}, with another meaning. \
                 What is new needs a new key, or a new `intent`: edge.newKey(\"order\").",
                kept.id
            ),
            Retry::IsVain,
        ),
        EmitFault::Contradiction => {
            error("conflict", "Two events of this commit contradict each other.", Retry::IsVain)
        }
        EmitFault::IntentClosed(kept) => error(
            "intent-closed",
            &format!("A person gave this intent up (event {}): a new one needs a new key.", kept.id),
            Retry::IsVain,
        ),
        EmitFault::Full => of_store(&StoreFault::Quota),
        EmitFault::Guard(place) => error(
            "guard-failed",
            &format!(
                "expect[{place}] does not hold. Nothing was written: read the record again and decide anew."
            ),
            Retry::IsVain,
        ),
        EmitFault::NotRedrivable => error(
            "not-redrivable",
            "It was decided already, or its next attempt is in the outbox.",
            Retry::IsVain,
        ),
        EmitFault::MustNotChange => error(
            "not-redrivable",
            "This event may have reached the server: send it again unchanged, or discard it and use a new key.",
            Retry::IsVain,
        ),
        EmitFault::NotOpen => closed(),
        EmitFault::Store(fault) => of_store(fault),
    }
}

/// Why the store could not.
pub(super) fn of_store(fault: &StoreFault) -> JsValue {
    match fault {
        StoreFault::Quota => error(
            "quota",
            "The outbox, this site's storage or the disk is full. Nothing was stored: deliver what is owed or free space, then call again.",
            Retry::Helps,
        ),
        StoreFault::Lost(detail) => error(
            "storage-lost",
            &format!(
                "The browser closed the database and it does not open again ({detail}). Call again, or go on with edge.reopen()."
            ),
            Retry::Helps,
        ),
        StoreFault::Newer => {
            error("storage-newer", "A newer version of this page wrote the outbox: reload.", Retry::IsVain)
        }
        StoreFault::Blocked => error(
            "storage-blocked",
            "Another tab holds the outbox: close the other tabs of this page and open again.",
            Retry::Helps,
        ),
        StoreFault::OtherDevice(device) => error(
            "bad-option",
            &format!(
                "This database belongs to device {device}: open it as that one, or name another `database`."
            ),
            Retry::IsVain,
        ),
        StoreFault::Unavailable(detail) => error(
            "no-storage",
            &format!(
                "This browser gives the page no IndexedDB ({detail}). Leave private mode or use another browser."
            ),
            Retry::IsVain,
        ),
        StoreFault::Refused(Refusal::NotFound) => {
            error("not-found", "There is no open dead letter with this sequence.", Retry::IsVain)
        }
        StoreFault::Refused(_) => {
            error("fault", "The outbox refused its own write. Reload the page.", Retry::Helps)
        }
    }
}

fn of_problem(problem: &EmitProblem) -> JsValue {
    let vain = |code: &str, message: &str| error(code, message, Retry::IsVain);
    match problem {
        EmitProblem::Topic(name) => vain("bad-topic", &name_text("The topic", name)),
        EmitProblem::Type(name) => vain("bad-type", &name_text("The type", name)),
        EmitProblem::Key(name) => of_key("The key", name),
        EmitProblem::Reference(which, name) => of_key(which, name),
        EmitProblem::Terms(TermsProblem::UnknownType) => {
            vain("bad-type", "The contract of this topic has no such type.")
        }
        EmitProblem::Terms(TermsProblem::UnknownVersion) => {
            vain("bad-topic", "This topic is under contract, but not in this version.")
        }
        EmitProblem::NotForDevices => vain("bad-type", "Only the city says this type."),
        EmitProblem::IntentByContract => {
            vain("bad-intent", "The contract of this type forms the intent itself: leave `intent` out.")
        }
        EmitProblem::Id => vain("bad-intent", "`id` is a UUIDv7 and goes with no other intent."),
        EmitProblem::Attempt => vain("bad-intent", "`attempt` is a whole number from 1 to 1000."),
        EmitProblem::NotJson(what) => vain("bad-payload", &format!("The payload is not JSON: {what}.")),
        EmitProblem::Number(text) => vain(
            "bad-number",
            &format!(
                "{text} is beyond 2^53 - 1 and cannot be held exactly. Send amounts in minor units and long numbers as text."
            ),
        ),
        EmitProblem::Payload(found) if found.member.is_empty() => {
            vain("bad-payload", &format!("The payload {}.", found.what))
        }
        EmitProblem::Payload(found) => {
            vain("bad-payload", &format!("payload.{} {}.", found.member, found.what))
        }
        EmitProblem::TooLarge(bytes) => vain(
            "too-large",
            &format!(
                "The event has {bytes} bytes, the limit is {EVENT_BYTES_MAX}. Send a reference instead of the content."
            ),
        ),
    }
}

/// Why a name is no key.
pub(super) fn of_key(which: &str, problem: &NameProblem) -> JsValue {
    let code = if matches!(problem, NameProblem::Personal(_)) { "pii-in-key" } else { "bad-key" };
    error(code, &name_text(which, problem), Retry::IsVain)
}

/// What is wrong with a name, as a sentence.
pub(super) fn name_text(which: &str, problem: &NameProblem) -> String {
    match problem {
        NameProblem::Malformed(form) => format!("{which} is malformed: {form}."),
        NameProblem::Personal(kind) => personal(which, *kind),
    }
}

fn personal(which: &str, kind: pii::Kind) -> String {
    format!("{which} holds {}. Keys travel and are logged: use edge.newKey(\"order\") instead.", kind.word())
}
