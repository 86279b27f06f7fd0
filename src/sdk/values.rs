//! Values that cross the boundary: what comes in is read member by member, what goes out is serialized once.

use super::errors::{Retry, error, error_caused};
use super::plain::{Item, Plain};
use crate::browser::sys::{self, Array, Function, get};
use crate::browser::value::Value;
use crate::event::json::Json;
use crate::event::{Emit, EventId, Stored};
use crate::outbox::engine::{Final, Receipt, Snapshot};
use crate::outbox::port::LoadedRow;
use crate::outbox::record::{DeadLetter, RowRef};
use crate::wire::Problem;
use wasm_bindgen::prelude::*;

/// A callback among options: a function, or left out.
pub(super) fn callback(options: &JsValue, name: &str) -> Result<Option<Function>, JsValue> {
    let value = get(options, name);
    if value.is_undefined() || value.is_null() { Ok(None) } else { function(&value, name).map(Some) }
}

/// A function; anything else would be a fault of the page at every call.
pub(super) fn function(value: &JsValue, name: &str) -> Result<Function, JsValue> {
    let wrong = || error("bad-option", &format!("`{name}` must be a function."), Retry::IsVain);
    if value.is_function() { Ok(value.clone().unchecked_into()) } else { Err(wrong()) }
}

/// No member but these: one that is mistyped would be left out without a word.
pub(super) fn only(value: &JsValue, names: &[&str]) -> Result<(), JsValue> {
    for name in sys::items(&sys::call_of("Object", "keys", &[value])?) {
        let name = name.as_string().unwrap_or_default();
        if !names.contains(&name.as_str()) {
            return Err(error("bad-option", &format!("There is no `{name}` here."), Retry::IsVain));
        }
    }
    Ok(())
}

/// The members of an emit.
const EMIT: [&str; 10] = [
    "topic",
    "type",
    "key",
    "payload",
    "correlationId",
    "causationId",
    "intent",
    "id",
    "attempt",
    "traceparent",
];

/// Reads what `emit` was given.
pub(super) fn read_emit(value: &JsValue) -> Result<Emit, JsValue> {
    if !value.is_object() {
        return Err(error(
            "bad-payload",
            "emit takes one object: { topic, type, key, payload }.",
            Retry::IsVain,
        ));
    }
    only(value, &EMIT)?;
    let optional = |name: &str| match get(value, name) {
        missing if missing.is_undefined() || missing.is_null() => Ok(None),
        given => text(&given, name, "bad-key").map(Some),
    };
    let needed = |name: &str, code: &str| text(&get(value, name), name, code);
    Ok(Emit {
        topic: needed("topic", "bad-topic")?,
        kind: needed("type", "bad-type")?,
        key: needed("key", "bad-key")?,
        payload: read_payload(&get(value, "payload"))?,
        correlation: optional("correlationId")?,
        causation: optional("causationId")?,
        intent: optional("intent")?,
        id: optional("id")?,
        attempt: read_attempt(&get(value, "attempt"))?,
        traceparent: optional("traceparent")?,
    })
}

fn text(value: &JsValue, name: &str, code: &str) -> Result<String, JsValue> {
    value.as_string().ok_or_else(|| error(code, &format!("`{name}` must be a string."), Retry::IsVain))
}

fn read_attempt(value: &JsValue) -> Result<Option<u32>, JsValue> {
    if value.is_undefined() {
        return Ok(None);
    }
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && (1.0..=1e9).contains(number));
    match whole {
        Some(number) => Ok(Some(number as u32)),
        None => Err(error("bad-intent", "`attempt` is a whole number from 1 to 1000.", Retry::IsVain)),
    }
}

/// The payload as one JSON text, made by the browser.
pub(super) fn read_payload(value: &JsValue) -> Result<String, JsValue> {
    match sys::call_of("JSON", "stringify", &[value]) {
        Ok(text) => match text.as_string() {
            Some(text) => Ok(text),
            None => Err(error(
                "bad-payload",
                "The payload must be a JSON value; undefined and functions are none.",
                Retry::IsVain,
            )),
        },
        Err(cause) if value.is_bigint() || mentions_bigint(&cause) => Err(error_caused(
            "bad-number",
            "A BigInt is no JSON number: send long numbers as text.",
            Retry::IsVain,
            &cause,
        )),
        Err(cause) => Err(error_caused(
            "bad-payload",
            "The payload is no JSON (is it circular?).",
            Retry::IsVain,
            &cause,
        )),
    }
}

fn mentions_bigint(cause: &JsValue) -> bool {
    let text = Value::of(cause).and_then(|cause| cause.text("message"));
    text.is_some_and(|text| text.split([' ']).any(|word| word.starts_with("BigInt")))
}

pub(super) fn receipt(receipt: &Receipt) -> JsValue {
    let kept = &receipt.kept;
    let mut plain = Plain::new();
    plain.set_text("id", &kept.id.to_string());
    plain.set_text("intent", &kept.intent.to_string());
    plain.set_whole("sequence", kept.row.sequence.0);
    plain.set_text("durabilityRequested", "strict");
    plain.set_whole("storedAt", kept.stored_at.0);
    plain.set_flag("replayed", receipt.replayed);
    plain.into_js()
}

pub(super) fn snapshot(snapshot: &Snapshot, wall_ms: u64, storage: Plain) -> JsValue {
    let counter = &snapshot.counter;
    let mut plain = Plain::new();
    plain.set_whole("backlog", counter.owed);
    plain.set_whole("oldestMs", snapshot.oldest.map_or(0, |at| wall_ms.saturating_sub(at.0)));
    plain.set_whole("bytes", counter.bytes);
    plain.set_whole("unknown", snapshot.unknown);
    plain.set_whole("dead", counter.dead);
    plain.set_whole("held", snapshot.held);
    plain.set_text("link", snapshot.link.as_str());
    plain.set_flag("leader", snapshot.leader);
    plain.set_flag("paused", snapshot.paused);
    plain.set_or_null("nextWakeAt", snapshot.next_wake.map(|at| Item::whole(at.0)));
    plain.set_text("whyNotSending", snapshot.why.as_str());
    plain.set("storage", Item::Object(storage));
    plain.into_js()
}

fn problem(problem: &Problem) -> Item {
    let mut plain = Plain::new();
    plain.set_text("type", &problem.kind);
    plain.set_text("title", &problem.title);
    plain.set_or_null("status", problem.status.map(|status| Item::whole(status.into())));
    plain.set_text("detail", &problem.detail);
    Item::Object(plain)
}

pub(super) fn verdict(id: EventId, verdict: &Final) -> JsValue {
    let (word, reason) = match verdict {
        Final::Accepted => ("accepted", None),
        Final::Duplicate => ("duplicate", None),
        Final::Refused(reason) => ("refused", reason.as_ref()),
        Final::Discarded => ("discarded", None),
    };
    let mut plain = Plain::new();
    plain.set_text("id", &id.to_string());
    plain.set_text("verdict", word);
    if let Some(reason) = reason {
        plain.set("problem", problem(reason));
    }
    plain.into_js()
}

/// A notice as the page hears it.
pub(super) struct NoticeOut {
    pub(super) kind: &'static str,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) id: Option<EventId>,
}

pub(super) fn notice(notice: &NoticeOut) -> JsValue {
    let mut plain = Plain::new();
    plain.set_text("kind", notice.kind);
    plain.set_text("code", &notice.code);
    plain.set_text("detail", &notice.detail);
    if let Some(id) = notice.id {
        plain.set_text("id", &id.to_string());
    }
    plain.into_js()
}

/// The problem a stored note holds.
pub(super) fn problem_of(note: &str) -> Option<Problem> {
    Problem::read(&Json::parse(note).ok()?)
}

/// A dead letter as the page sees it. One whose body cannot be read any more is left out by `None`.
pub(super) fn dead_letter(letter: &DeadLetter) -> Option<JsValue> {
    let (mut plain, payload) = event(letter.row, &letter.body)?;
    plain.set_whole("at", letter.at.0);
    plain.set_text("reason", letter.reason.as_str());
    let reason = letter.problem.as_deref().and_then(problem_of);
    plain.set_or_null("problem", reason.map(|reason| problem(&reason)));
    with_payload(plain, &payload)
}

/// An owed event as the page sees it.
pub(super) fn owed(row: &LoadedRow) -> Option<JsValue> {
    let (mut plain, payload) = event(row.row, &row.body)?;
    plain.set_whole("storedAt", row.stored_at.0);
    plain.set_whole("tries", row.tries.into());
    plain.set_flag("unknown", row.maybe_sent);
    with_payload(plain, &payload)
}

/// An event of this device, and its payload.
fn event(row: RowRef, body: &str) -> Option<(Plain, String)> {
    let Stored { id, emit, .. } = Stored::read(body)?;
    let mut plain = Plain::new();
    plain.set_whole("sequence", row.sequence.0);
    plain.set_text("id", &id.to_string());
    plain.set_text("topic", &emit.topic);
    plain.set_text("type", &emit.kind);
    plain.set_text("key", &emit.key);
    plain.set_whole("attempt", emit.attempt.unwrap_or(1).into());
    Some((plain, emit.payload))
}

/// An event of the feed as the page sees it. One that cannot be read is left out by `None`.
pub(super) fn outcome(body: &str) -> Option<JsValue> {
    let Stored { id, time, emit } = Stored::read(body)?;
    let text = |value: Option<String>| value.map(Item::Text);
    let mut plain = Plain::new();
    plain.set_text("id", &id.to_string());
    plain.set_or_null("causationId", text(emit.causation));
    plain.set_or_null("correlationId", text(emit.correlation));
    plain.set_text("topic", &emit.topic);
    plain.set_text("type", &emit.kind);
    plain.set_text("key", &emit.key);
    plain.set_or_null("time", text(time));
    with_payload(plain, &emit.payload)
}

/// The payload is the browser's to read, as it was the browser's to write.
fn with_payload(plain: Plain, payload: &str) -> Option<JsValue> {
    let (value, payload) = (plain.into_js(), sys::parse(payload)?);
    sys::set(&value, "payload", &payload);
    Some(value)
}

/// An array of those that can be shown.
pub(super) fn array<T>(values: &[T], show: fn(&T) -> Option<JsValue>) -> JsValue {
    let array = Array::new();
    for value in values {
        if let Some(value) = show(value) {
            array.push(&value);
        }
    }
    array.into()
}
