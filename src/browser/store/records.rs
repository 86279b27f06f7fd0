//! Each record of `outbox::record` as a stored value and back. The members are listed in `layout`.

use super::value::{self, Value};
use crate::event::{EventId, LaneHash, RecordName, Sequence, UnixMillis};
use crate::outbox::record::{
    AgeMark, Closing, Counter, DeadLetter, DeadReason, Intents, LaneRecord, Marks, PaceRecord, RowRef,
};
use crate::wire::EdgeConfig;
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbKeyRange;

pub(super) fn intents_to(record: &Intents) -> Value {
    let stored = Value::new();
    let keys: Array = record.index_keys().iter().map(|key| value::bytes(key)).collect();
    stored.set("k", &keys);
    stored.set_bytes("p", &record.packed);
    stored.set_whole("t", record.stored_at.0);
    stored
}

pub(super) fn intents_of(first: Sequence, found: &JsValue) -> Option<Intents> {
    let stored = Value::of(found)?;
    Some(Intents { first, packed: stored.bytes("p")?, stored_at: time(&stored, "t")? })
}

pub(super) fn marks_to(record: &Marks) -> Value {
    let stored = Value::new();
    stored.set_whole("f", record.first.0);
    if record.owes() {
        stored.set_whole("o", record.first.0);
    }
    stored.set_bytes("s", &record.status);
    stored.set_bytes("c", &record.tries);
    if !record.places.is_empty() {
        let places = Value::new();
        record.places.iter().for_each(|(index, place)| places.set_whole(&index.to_string(), place.0));
        stored.set("p", places.as_js());
    }
    if !record.notes.is_empty() {
        let notes = Value::new();
        record.notes.iter().for_each(|(index, note)| notes.set_text(&index.to_string(), note));
        stored.set("n", notes.as_js());
    }
    stored.set_whole("t", record.settled_at.0);
    stored
}

pub(super) fn marks_of(found: &JsValue) -> Option<Marks> {
    let stored = Value::of(found)?;
    let places = stored.value("p").into_iter().flat_map(|places| {
        let pairs =
            places.numbered().filter_map(|(index, place)| Some((index, Sequence(value::as_whole(&place)?))));
        pairs.collect::<Vec<_>>()
    });
    let notes = stored.value("n").into_iter().flat_map(|notes| {
        let pairs = notes.numbered().filter_map(|(index, note)| Some((index, note.as_string()?)));
        pairs.collect::<Vec<_>>()
    });
    Some(Marks {
        first: sequence(&stored, "f")?,
        status: stored.bytes("s")?,
        tries: stored.bytes("c")?,
        places: places.collect(),
        notes: notes.collect(),
        settled_at: time(&stored, "t")?,
    })
}

pub(super) fn counter_to(record: &Counter) -> Value {
    let stored = Value::new();
    stored.set_whole("n", record.next.0);
    stored.set_whole("o", record.owed);
    stored.set_whole("b", record.bytes);
    stored.set_whole("d", record.dead);
    stored
}

pub(super) fn counter_of(found: &JsValue) -> Option<Counter> {
    let stored = Value::of(found)?;
    Some(Counter {
        next: sequence(&stored, "n")?,
        owed: stored.whole("o")?,
        bytes: stored.whole("b")?,
        dead: stored.whole("d")?,
    })
}

pub(super) fn record_key(name: &RecordName) -> JsValue {
    Array::of2(&name.collection.as_str().into(), &name.key.as_str().into()).into()
}

/// Events that answer none of ours stand under the empty text, before all others.
pub(super) fn inbox_key(cause: Option<EventId>, id: EventId) -> JsValue {
    let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
    Array::of2(&cause.as_str().into(), &id.to_string().as_str().into()).into()
}

/// The keys of what came, or answers what was said, before an id: ids sort by their time.
pub(super) fn inbox_before(id: EventId) -> Result<[JsValue; 2], JsValue> {
    let (empty, id) = (JsValue::from_str(""), JsValue::from_str(&id.to_string()));
    let unasked = IdbKeyRange::bound(&Array::of1(&empty), &Array::of2(&empty, &id))?;
    let asked = IdbKeyRange::bound(&Array::of1(&"0".into()), &Array::of1(&id))?;
    Ok([unasked.into(), asked.into()])
}

/// The keys of what answers an event.
pub(super) fn inbox_of(cause: EventId) -> Result<IdbKeyRange, JsValue> {
    let cause = JsValue::from_str(&cause.to_string());
    IdbKeyRange::bound(&Array::of1(&cause), &Array::of2(&cause, &Array::new()))
}

pub(super) fn tombstones_to(list: &[Sequence]) -> Array {
    list.iter().map(|sequence| value::whole(sequence.0)).collect()
}

pub(super) fn tombstones_of(found: &JsValue) -> Vec<Sequence> {
    let list = found.dyn_ref::<Array>();
    list.into_iter().flat_map(Array::iter).filter_map(|one| value::as_whole(&one).map(Sequence)).collect()
}

pub(super) fn ages_to(ages: &[AgeMark]) -> Array {
    ages.iter().map(|mark| Array::of2(&value::whole(mark.at.0), &value::whole(mark.next.0))).collect()
}

pub(super) fn ages_of(found: &JsValue) -> Vec<AgeMark> {
    let list = found.dyn_ref::<Array>();
    let marks = list.into_iter().flat_map(Array::iter).filter_map(|one| {
        let pair = one.dyn_ref::<Array>()?;
        let whole = |index| value::as_whole(&pair.get(index));
        Some(AgeMark { at: UnixMillis(whole(0)?), next: Sequence(whole(1)?) })
    });
    marks.collect()
}

pub(super) fn lane_key(lane: LaneHash) -> JsValue {
    value::bytes(&lane.0.to_be_bytes())
}

pub(super) fn lane_to(record: &LaneRecord) -> Value {
    let stored = Value::new();
    for (name, member) in [
        ("d", record.dead.map(|dead| dead.0)),
        ("f", record.front.map(|front| front.0)),
        ("w", record.due.map(|due| due.0)),
    ] {
        if let Some(member) = member {
            stored.set_whole(name, member);
        }
    }
    stored
}

/// A lane's key is bytes; read from the database it may come as a bare buffer.
pub(super) fn lane_of_key(key: &JsValue) -> Option<LaneHash> {
    let bytes = js_sys::Uint8Array::new(key).to_vec();
    Some(LaneHash(u64::from_be_bytes(bytes.try_into().ok()?)))
}

pub(super) fn lane_of(lane: LaneHash, found: &JsValue) -> Option<LaneRecord> {
    let stored = Value::of(found)?;
    Some(LaneRecord {
        lane,
        dead: sequence(&stored, "d"),
        front: sequence(&stored, "f"),
        due: time(&stored, "w"),
    })
}

pub(super) fn pace_to(record: PaceRecord) -> Value {
    let stored = Value::new();
    stored.set_whole("notBefore", record.not_before.0);
    stored.set_whole("failures", u64::from(record.failures));
    stored.set_whole("windowMs", record.window_ms);
    if let Some(since) = record.down_since {
        stored.set_whole("downSince", since.0);
    }
    stored.set("drawn", &JsValue::from_bool(record.drawn));
    stored.set("told", &JsValue::from_bool(record.told));
    stored
}

pub(super) fn pace_of(found: &JsValue) -> Option<PaceRecord> {
    let stored = Value::of(found)?;
    let failures = u32::try_from(stored.whole("failures")?).unwrap_or(u32::MAX);
    Some(PaceRecord {
        not_before: time(&stored, "notBefore")?,
        failures,
        window_ms: stored.whole("windowMs").unwrap_or(0),
        down_since: time(&stored, "downSince"),
        drawn: stored.flag("drawn").unwrap_or(false),
        told: stored.flag("told").unwrap_or(false),
    })
}

pub(super) fn offer_to(offer: &EdgeConfig, at: UnixMillis) -> Value {
    let stored = Value::new();
    stored.set_text("city", &offer.city);
    stored.set_whole("events", offer.batch_events_max);
    stored.set_whole("bytes", offer.batch_bytes_max);
    if let Some(window) = offer.window_ms {
        stored.set_whole("windowMs", window);
    }
    stored.set_whole("at", at.0);
    stored
}

pub(super) fn offer_of(found: &JsValue) -> Option<(EdgeConfig, UnixMillis)> {
    let stored = Value::of(found)?;
    let offer = EdgeConfig {
        city: stored.text("city")?,
        batch_events_max: stored.whole("events")?,
        batch_bytes_max: stored.whole("bytes")?,
        window_ms: stored.whole("windowMs"),
    };
    Some((offer, time(&stored, "at")?))
}

/// `[closed, sequence]`: the open ones lie together, oldest first.
pub(super) fn dead_key(closed: bool, sequence: Sequence) -> JsValue {
    Array::of2(&JsValue::from_f64(f64::from(u8::from(closed))), &value::whole(sequence.0)).into()
}

pub(super) fn dead_to(record: &DeadLetter) -> Value {
    let stored = Value::new();
    stored.set_whole("segment", record.row.segment.0);
    stored.set_whole("sequence", record.row.sequence.0);
    stored.set_whole("at", record.at.0);
    stored.set_text("reason", record.reason.as_str());
    if let Some(problem) = &record.problem {
        stored.set_text("problem", problem);
    }
    stored.set_text("body", &record.body);
    stored.set("lane", &lane_key(record.lane));
    stored.set("blocks", &JsValue::from_bool(record.blocks));
    if let Some(closing) = &record.closed {
        let closed = Value::new();
        closed.set_whole("at", closing.at.0);
        closed.set_text("note", &closing.note);
        closed.set("redriven", &JsValue::from_bool(closing.redriven));
        stored.set("closed", closed.as_js());
    }
    stored
}

pub(super) fn dead_of(found: &JsValue) -> Option<DeadLetter> {
    let stored = Value::of(found)?;
    let closed = stored.value("closed").and_then(|closed| {
        Some(Closing {
            at: time(&closed, "at")?,
            note: closed.text("note")?,
            redriven: closed.flag("redriven")?,
        })
    });
    Some(DeadLetter {
        row: RowRef { segment: sequence(&stored, "segment")?, sequence: sequence(&stored, "sequence")? },
        at: time(&stored, "at")?,
        reason: DeadReason::parse(&stored.text("reason")?),
        problem: stored.text("problem"),
        body: stored.text("body")?,
        lane: LaneHash(u64::from_be_bytes(stored.bytes("lane")?.try_into().ok()?)),
        blocks: stored.flag("blocks")?,
        closed,
    })
}

fn sequence(stored: &Value, name: &str) -> Option<Sequence> {
    stored.whole(name).map(Sequence)
}

fn time(stored: &Value, name: &str) -> Option<UnixMillis> {
    stored.whole(name).map(UnixMillis)
}
