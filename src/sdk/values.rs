//! Values that cross the boundary: what comes in is read member by member, what goes out is serialized once.

use super::errors::{Retry, error, error_caused};
use super::health::{Health, Strict};
use crate::event::json::Json;
use crate::event::{Emit, EventId};
use crate::outbox::engine::{Final, Receipt, Snapshot};
use crate::outbox::record::{DeadLetter, DeadReason};
use crate::wire::Problem;
use crate::wire::cloudevents::Envelope;
use js_sys::{Function, JSON, Object, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Object)]
    pub(super) type Options;
    #[wasm_bindgen(method, getter)]
    pub(super) fn city(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn device(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn credentials(this: &Options) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn database(this: &Options) -> JsValue;

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
    text.is_some_and(|text| text.contains("BigInt"))
}

fn out(value: &impl Serialize) -> JsValue {
    // Plain structs of strings, numbers and options always serialize.
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_or(JsValue::NULL)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptOut {
    id: String,
    intent: String,
    sequence: f64,
    durability_requested: Strict,
    stored_at: f64,
    replayed: bool,
}

pub(super) fn receipt(receipt: &Receipt) -> JsValue {
    let kept = &receipt.kept;
    out(&ReceiptOut {
        id: kept.id.to_string(),
        intent: kept.intent.to_string(),
        sequence: kept.row.sequence.0 as f64,
        durability_requested: Strict::Strict,
        stored_at: kept.stored_at.0 as f64,
        replayed: receipt.replayed,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotOut {
    backlog: f64,
    oldest_ms: f64,
    bytes: f64,
    unknown: f64,
    dead: f64,
    held: f64,
    link: &'static str,
    leader: bool,
    paused: bool,
    next_wake_at: Option<f64>,
    why_not_sending: &'static str,
    storage: Health,
}

pub(super) fn snapshot(snapshot: &Snapshot, wall_ms: u64, storage: Health) -> JsValue {
    let counter = &snapshot.counter;
    out(&SnapshotOut {
        backlog: counter.owed as f64,
        oldest_ms: snapshot.oldest.map_or(0.0, |at| wall_ms.saturating_sub(at.0) as f64),
        bytes: counter.bytes as f64,
        unknown: snapshot.unknown as f64,
        dead: counter.dead as f64,
        held: snapshot.held as f64,
        link: snapshot.link.as_str(),
        leader: snapshot.leader,
        paused: snapshot.paused,
        next_wake_at: snapshot.next_wake.map(|at| at.0 as f64),
        why_not_sending: snapshot.why.as_str(),
        storage,
    })
}

#[derive(Serialize)]
struct ProblemOut {
    r#type: String,
    title: String,
    status: Option<u16>,
    detail: String,
}

impl From<Problem> for ProblemOut {
    fn from(problem: Problem) -> Self {
        Self { r#type: problem.kind, title: problem.title, status: problem.status, detail: problem.detail }
    }
}

#[derive(Serialize)]
struct VerdictOut {
    id: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemOut>,
}

pub(super) fn verdict(id: EventId, verdict: &Final) -> JsValue {
    let (word, problem) = match verdict {
        Final::Accepted => ("accepted", None),
        Final::Duplicate => ("duplicate", None),
        Final::Refused(problem) => ("refused", problem.clone()),
        Final::Discarded => ("discarded", None),
    };
    out(&VerdictOut { id: id.to_string(), verdict: word, problem: problem.map(Into::into) })
}

#[derive(Serialize)]
pub(super) struct NoticeOut {
    pub(super) kind: &'static str,
    pub(super) code: String,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
}

pub(super) fn notice(notice: &NoticeOut) -> JsValue {
    out(notice)
}

#[derive(Serialize)]
struct DeadLetterOut {
    sequence: f64,
    id: String,
    topic: String,
    r#type: String,
    key: String,
    attempt: u32,
    at: f64,
    reason: &'static str,
    problem: Option<ProblemOut>,
}

/// The problem a stored note holds.
pub(super) fn problem_of(note: &str) -> Option<Problem> {
    Problem::read(&Json::parse(note).ok()?)
}

/// A dead letter as the page sees it. One whose body cannot be read any more is left out by `None`.
pub(super) fn dead_letter(letter: &DeadLetter) -> Option<JsValue> {
    let envelope = Envelope::read(&Json::parse(&letter.body).ok()?).ok()?;
    let mut payload = String::new();
    envelope.data.write(&mut payload);
    let value = out(&DeadLetterOut {
        sequence: letter.row.sequence.0 as f64,
        id: envelope.id.to_string(),
        topic: envelope.topic.as_str().to_owned(),
        r#type: envelope.kind.as_str().to_owned(),
        key: envelope.key.as_str().to_owned(),
        attempt: envelope.attempt,
        at: letter.at.0 as f64,
        reason: DeadReason::as_str(letter.reason),
        problem: letter.problem.as_deref().and_then(problem_of).map(Into::into),
    });
    let payload = JSON::parse(&payload).ok()?;
    Reflect::set(&value, &"payload".into(), &payload).ok()?;
    Some(value)
}
