//! Each record of `outbox::record` as a stored value and back. The members are listed in `layout`.

use super::requests;
use crate::browser::sys::{self, Array, items, list, text};
use crate::browser::value::{self, Value};
use crate::event::{Collection, EventId, Key, LaneHash, RecordName, Sequence, UnixMillis};
use crate::flat::FlatMap;
use crate::outbox::record::{
    AgeMark, Closing, Counter, DeadLetter, DeadReason, Intents, LaneRecord, Marks, PaceRecord, RowRef,
};
use crate::wire::EdgeConfig;
use wasm_bindgen::JsValue;

pub(super) fn intents_to(record: &Intents) -> JsValue {
    let stored = Value::new();
    let keys = Array::new();
    for key in record.index_keys() {
        keys.push(&value::bytes(&key));
    }
    stored.set("k", &keys);
    stored.set_bytes("p", &record.packed);
    stored.set_whole("t", record.stored_at.0);
    stored.into_js()
}

pub(super) fn intents_of(first: Sequence, found: &JsValue) -> Option<Intents> {
    let stored = Value::of(found)?;
    Some(Intents { first, packed: stored.bytes("p")?, stored_at: time(&stored, "t")? })
}

pub(super) fn marks_to(record: &Marks) -> JsValue {
    let stored = Value::new();
    stored.set_whole("f", record.first.0);
    if record.owes() {
        stored.set_whole("o", record.first.0);
    }
    stored.set_bytes("s", &record.status);
    stored.set_bytes("c", &record.tries);
    if !record.places.is_empty() {
        let places = Value::new();
        for (index, place) in record.places.iter() {
            places.set_whole(&index.to_string(), place.0);
        }
        stored.set("p", &places.into_js());
    }
    if !record.notes.is_empty() {
        let notes = Value::new();
        for (index, note) in record.notes.iter() {
            notes.set_text(&index.to_string(), note);
        }
        stored.set("n", &notes.into_js());
    }
    stored.set_whole("t", record.settled_at.0);
    stored.into_js()
}

pub(super) fn marks_of(found: &JsValue) -> Option<Marks> {
    let stored = Value::of(found)?;
    let (mut places, mut notes) = (FlatMap::new(), FlatMap::new());
    for (index, place) in numbered(&stored, "p") {
        if let Some(place) = value::as_whole(&place) {
            places.insert(index, Sequence(place));
        }
    }
    for (index, note) in numbered(&stored, "n") {
        if let Some(note) = note.as_string() {
            notes.insert(index, note);
        }
    }
    Some(Marks {
        first: sequence(&stored, "f")?,
        status: stored.bytes("s")?,
        tries: stored.bytes("c")?,
        places,
        notes,
        settled_at: time(&stored, "t")?,
    })
}

/// Those of a list that can be read.
pub(super) fn marks_in(list: &[JsValue]) -> Vec<Marks> {
    let mut marks = Vec::new();
    for one in list {
        marks.extend(marks_of(one));
    }
    marks
}

pub(super) fn counter_to(record: &Counter) -> JsValue {
    let stored = Value::new();
    stored.set_whole("n", record.next.0);
    stored.set_whole("o", record.owed);
    stored.set_whole("b", record.bytes);
    stored.set_whole("d", record.dead);
    stored.set_whole("u", record.unknown);
    stored.into_js()
}

pub(super) fn counter_of(found: &JsValue) -> Option<Counter> {
    let stored = Value::of(found)?;
    Some(Counter {
        next: sequence(&stored, "n")?,
        owed: stored.whole("o")?,
        bytes: stored.whole("b")?,
        dead: stored.whole("d")?,
        unknown: stored.whole("u").unwrap_or_default(),
    })
}

pub(super) fn record_key(name: &RecordName) -> JsValue {
    list(&[&text(name.collection.as_str()), &text(name.key.as_str())]).into()
}

/// The keys of a collection's records after one of them, or all.
pub(super) fn records_after(collection: &Collection, after: Option<&Key>) -> Result<JsValue, JsValue> {
    let collection = text(collection.as_str());
    let lower = match after {
        Some(key) => list(&[&collection, &text(key.as_str())]),
        None => list(&[&collection]),
    };
    // An array sorts after every text, so this is beyond every key of the collection.
    requests::within(&lower, &list(&[&collection, &list(&[])]))
}

/// Events that answer none of ours stand under the empty text, before all others.
pub(super) fn inbox_key(cause: Option<EventId>, id: EventId) -> JsValue {
    let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
    list(&[&text(&cause), &text(&id.to_string())]).into()
}

/// The keys of what came before an id, or answers what was said between two: ids sort by their time.
pub(super) fn inbox_before(from: EventId, id: EventId) -> Result<[JsValue; 2], JsValue> {
    let (empty, from, id) = (text(""), text(&from.to_string()), text(&id.to_string()));
    let unasked = requests::between(&list(&[&empty]), &list(&[&empty, &id]))?;
    let asked = requests::between(&list(&[&from]), &list(&[&id]))?;
    Ok([unasked, asked])
}

/// The keys of what answers an event.
pub(super) fn inbox_of(cause: EventId) -> Result<JsValue, JsValue> {
    let cause = text(&cause.to_string());
    requests::between(&list(&[&cause]), &list(&[&cause, &list(&[])]))
}

pub(super) fn tombstones_to(sequences: &[Sequence]) -> JsValue {
    let stored = Array::new();
    for sequence in sequences {
        stored.push(&value::whole(sequence.0));
    }
    stored.into()
}

pub(super) fn tombstones_of(found: &JsValue) -> Vec<Sequence> {
    let mut sequences = Vec::new();
    for one in items(found) {
        sequences.extend(value::as_whole(&one).map(Sequence));
    }
    sequences
}

pub(super) fn ages_to(ages: &[AgeMark]) -> JsValue {
    let stored = Array::new();
    for mark in ages {
        stored.push(&list(&[&value::whole(mark.at.0), &value::whole(mark.next.0)]));
    }
    stored.into()
}

pub(super) fn ages_of(found: &JsValue) -> Vec<AgeMark> {
    let mut ages = Vec::new();
    for one in items(found) {
        if let [at, next] = items(&one).as_slice()
            && let (Some(at), Some(next)) = (value::as_whole(at), value::as_whole(next))
        {
            ages.push(AgeMark { at: UnixMillis(at), next: Sequence(next) });
        }
    }
    ages
}

pub(super) fn lane_key(lane: LaneHash) -> JsValue {
    value::bytes(&lane.0.to_be_bytes())
}

pub(super) fn lane_to(record: &LaneRecord) -> JsValue {
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
    stored.into_js()
}

/// A lane's key is bytes; read from the database it may come as a bare buffer.
pub(super) fn lane_of_key(key: &JsValue) -> Option<LaneHash> {
    let bytes = value::as_bytes(&sys::make("Uint8Array", &[key]).ok()?)?;
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

pub(super) fn pace_to(record: PaceRecord) -> JsValue {
    let stored = Value::new();
    stored.set_whole("notBefore", record.not_before.0);
    stored.set_whole("failures", u64::from(record.failures));
    stored.set_whole("windowMs", record.window_ms);
    if let Some(since) = record.down_since {
        stored.set_whole("downSince", since.0);
    }
    stored.set_flag("drawn", record.drawn);
    stored.set_flag("told", record.told);
    stored.into_js()
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

pub(super) fn offer_to(offer: &EdgeConfig, at: UnixMillis) -> JsValue {
    let stored = Value::new();
    stored.set_text("city", &offer.city);
    stored.set_whole("events", offer.batch_events_max);
    stored.set_whole("bytes", offer.batch_bytes_max);
    if let Some(window) = offer.window_ms {
        stored.set_whole("windowMs", window);
    }
    stored.set_whole("at", at.0);
    stored.into_js()
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
    list(&[&value::whole(closed.into()), &value::whole(sequence.0)]).into()
}

/// The keys of the open dead letters: `[0]` sorts before and `[1]` after every `[0, sequence]`.
pub(super) fn dead_open() -> Result<JsValue, JsValue> {
    requests::between(&list(&[&value::whole(0)]), &list(&[&value::whole(1)]))
}

pub(super) fn dead_to(record: &DeadLetter) -> JsValue {
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
    stored.set_flag("blocks", record.blocks);
    if let Some(closing) = &record.closed {
        let closed = Value::new();
        closed.set_whole("at", closing.at.0);
        closed.set_text("note", &closing.note);
        closed.set_flag("redriven", closing.redriven);
        stored.set("closed", &closed.into_js());
    }
    stored.into_js()
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

fn numbered(stored: &Value, name: &str) -> Vec<(u32, JsValue)> {
    stored.value(name).map(|members| members.numbered()).unwrap_or_default()
}

fn sequence(stored: &Value, name: &str) -> Option<Sequence> {
    stored.whole(name).map(Sequence)
}

fn time(stored: &Value, name: &str) -> Option<UnixMillis> {
    stored.whole(name).map(UnixMillis)
}
