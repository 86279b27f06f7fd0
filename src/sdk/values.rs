//! Values that cross the boundary: what comes in is read member by member, what goes out is serialized once.

use super::errors::{Retry, error, error_caused};
use crate::event::json::Json;
use crate::event::{Emit, EventId, Stored};
use crate::outbox::engine::{Final, Receipt, Snapshot};
use crate::outbox::port::LoadedRow;
use crate::outbox::record::{DeadLetter, RowRef};
use crate::wire::Problem;
use js_sys::{Function, JSON, Object, Reflect};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Object)]
    pub(super) type Options;
    #[wasm_bindgen(method, getter)]
    pub(super) fn city(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn single(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn refused(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn device(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn credentials(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn database(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn feed(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn apply(this: &Options) -> JsValue;

    type EventShape;
    #[wasm_bindgen(method, getter)]
    fn topic(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = type)]
    fn kind(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn key(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn payload(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = correlationId)]
    fn correlation(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = causationId)]
    fn causation(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn intent(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn attempt(this: &EventShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn traceparent(this: &EventShape) -> JsValue;
}

/// A callback among options: a function, or left out.
pub(super) fn callback(value: JsValue, name: &str) -> Result<Option<Function>, JsValue> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let wrong = || error("bad-option", &format!("`{name}` must be a function."), Retry::IsVain);
    value.dyn_into::<Function>().map(Some).map_err(|_| wrong())
}

/// Reads what `emit` was given.
pub(super) fn read_emit(value: &JsValue) -> Result<Emit, JsValue> {
    if !value.is_object() {
        return Err(error(
            "bad-payload",
            "emit takes one object: { topic, type, key, payload }.",
            Retry::IsVain,
        ));
    }
    let shape: &EventShape = value.unchecked_ref();
    let text = |value: JsValue, code: &str, name: &str| {
        value.as_string().ok_or_else(|| error(code, &format!("`{name}` must be a string."), Retry::IsVain))
    };
    let optional = |value: JsValue, name: &str| {
        if value.is_undefined() || value.is_null() {
            Ok(None)
        } else {
            text(value, "bad-key", name).map(Some)
        }
    };
    Ok(Emit {
        topic: text(shape.topic(), "bad-topic", "topic")?,
        kind: text(shape.kind(), "bad-type", "type")?,
        key: text(shape.key(), "bad-key", "key")?,
        payload: read_payload(&shape.payload())?,
        correlation: optional(shape.correlation(), "correlationId")?,
        causation: optional(shape.causation(), "causationId")?,
        intent: optional(shape.intent(), "intent")?,
        attempt: read_attempt(&shape.attempt())?,
        traceparent: optional(shape.traceparent(), "traceparent")?,
    })
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
    match JSON::stringify(value) {
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
            "The payload cannot be written as JSON (is it circular?).",
            Retry::IsVain,
            &cause,
        )),
    }
}

fn mentions_bigint(cause: &JsValue) -> bool {
    let text = Reflect::get(cause, &"message".into()).ok().and_then(|message| message.as_string());
    text.is_some_and(|text| text.split([' ', '(']).any(|word| word.starts_with("BigInt")))
}

/// A plain value for the page. One type for all of them: a serializer for each would cost half a kilobyte.
pub(super) enum Plain {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    Members(Vec<(&'static str, Plain)>),
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Members(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl Plain {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn whole(number: u64) -> Self {
        Self::Number(number as f64)
    }

    pub(super) fn or_null<T>(value: Option<T>, plain: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, plain)
    }

    pub(super) fn to_js(&self) -> JsValue {
        // Texts, numbers and flags always serialize.
        self.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_or(JsValue::NULL)
    }
}

pub(super) fn receipt(receipt: &Receipt) -> JsValue {
    let kept = &receipt.kept;
    Plain::Members(vec![
        ("id", Plain::Text(kept.id.to_string())),
        ("intent", Plain::Text(kept.intent.to_string())),
        ("sequence", Plain::whole(kept.row.sequence.0)),
        ("durabilityRequested", Plain::text("strict")),
        ("storedAt", Plain::whole(kept.stored_at.0)),
        ("replayed", Plain::Flag(receipt.replayed)),
    ])
    .to_js()
}

pub(super) fn snapshot(snapshot: &Snapshot, wall_ms: u64, storage: Plain) -> JsValue {
    let counter = &snapshot.counter;
    let oldest_ms = snapshot.oldest.map_or(0, |at| wall_ms.saturating_sub(at.0));
    Plain::Members(vec![
        ("backlog", Plain::whole(counter.owed)),
        ("oldestMs", Plain::whole(oldest_ms)),
        ("bytes", Plain::whole(counter.bytes)),
        ("unknown", Plain::whole(snapshot.unknown)),
        ("dead", Plain::whole(counter.dead)),
        ("held", Plain::whole(snapshot.held)),
        ("link", Plain::text(snapshot.link.as_str())),
        ("leader", Plain::Flag(snapshot.leader)),
        ("paused", Plain::Flag(snapshot.paused)),
        ("nextWakeAt", Plain::or_null(snapshot.next_wake, |at| Plain::whole(at.0))),
        ("whyNotSending", Plain::text(snapshot.why.as_str())),
        ("storage", storage),
    ])
    .to_js()
}

fn problem(problem: &Problem) -> Plain {
    Plain::Members(vec![
        ("type", Plain::text(&problem.kind)),
        ("title", Plain::text(&problem.title)),
        ("status", Plain::or_null(problem.status, |status| Plain::Number(f64::from(status)))),
        ("detail", Plain::text(&problem.detail)),
    ])
}

pub(super) fn verdict(id: EventId, verdict: &Final) -> JsValue {
    let (word, reason) = match verdict {
        Final::Accepted => ("accepted", None),
        Final::Duplicate => ("duplicate", None),
        Final::Refused(reason) => ("refused", reason.as_ref()),
        Final::Discarded => ("discarded", None),
    };
    let mut members = vec![("id", Plain::Text(id.to_string())), ("verdict", Plain::text(word))];
    members.extend(reason.map(|reason| ("problem", problem(reason))));
    Plain::Members(members).to_js()
}

/// A notice as the page hears it.
pub(super) struct NoticeOut {
    pub(super) kind: &'static str,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) id: Option<EventId>,
}

pub(super) fn notice(notice: NoticeOut) -> JsValue {
    let mut members = vec![
        ("kind", Plain::text(notice.kind)),
        ("code", Plain::Text(notice.code)),
        ("detail", Plain::Text(notice.detail)),
    ];
    members.extend(notice.id.map(|id| ("id", Plain::Text(id.to_string()))));
    Plain::Members(members).to_js()
}

/// The problem a stored note holds.
pub(super) fn problem_of(note: &str) -> Option<Problem> {
    Problem::read(&Json::parse(note).ok()?)
}

/// A dead letter as the page sees it. One whose body cannot be read any more is left out by `None`.
pub(super) fn dead_letter(letter: &DeadLetter) -> Option<JsValue> {
    let reason = letter.problem.as_deref().and_then(problem_of);
    let state = vec![
        ("at", Plain::whole(letter.at.0)),
        ("reason", Plain::text(letter.reason.as_str())),
        ("problem", Plain::or_null(reason, |reason| problem(&reason))),
    ];
    event(letter.row, &letter.body, state)
}

/// An owed event as the page sees it.
pub(super) fn owed(row: &LoadedRow) -> Option<JsValue> {
    let state = vec![
        ("storedAt", Plain::whole(row.stored_at.0)),
        ("tries", Plain::whole(row.tries.into())),
        ("unknown", Plain::Flag(row.maybe_sent)),
    ];
    event(row.row, &row.body, state)
}

/// An event of this device with how it stands.
fn event(row: RowRef, body: &str, state: Vec<(&'static str, Plain)>) -> Option<JsValue> {
    let Stored { id, emit, .. } = Stored::read(body)?;
    let mut members = vec![
        ("sequence", Plain::whole(row.sequence.0)),
        ("id", Plain::Text(id.to_string())),
        ("topic", Plain::Text(emit.topic)),
        ("type", Plain::Text(emit.kind)),
        ("key", Plain::Text(emit.key)),
        ("attempt", Plain::whole(emit.attempt.unwrap_or(1).into())),
    ];
    members.extend(state);
    with_payload(Plain::Members(members).to_js(), &emit.payload)
}

/// An event of the feed as the page sees it. One that cannot be read is left out by `None`.
pub(super) fn outcome(body: &str) -> Option<JsValue> {
    let Stored { id, time, emit } = Stored::read(body)?;
    let text = |value: Option<String>| Plain::or_null(value, Plain::Text);
    let value = Plain::Members(vec![
        ("id", Plain::Text(id.to_string())),
        ("causationId", text(emit.causation)),
        ("correlationId", text(emit.correlation)),
        ("topic", Plain::Text(emit.topic)),
        ("type", Plain::Text(emit.kind)),
        ("key", Plain::Text(emit.key)),
        ("time", text(time)),
    ])
    .to_js();
    with_payload(value, &emit.payload)
}

fn with_payload(value: JsValue, payload: &str) -> Option<JsValue> {
    Reflect::set(&value, &"payload".into(), &JSON::parse(payload).ok()?).ok()?;
    Some(value)
}
