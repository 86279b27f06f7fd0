//! The oracle: the invariants by name, each checked at the moment it could break.

use crate::city::City;
use crate::disk::{Disk, Tables};
use conch::event::contract::IntentRule;
use conch::event::intent::{Parts, form};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, IntentKey, Key, Sequence, Topic, UnixMillis};
use conch::outbox::engine::{EmitFault, Receipt, Request};
use conch::outbox::record::{Intents, Status};
use conch::wire::cloudevents::Envelope;
use std::collections::BTreeMap;

/// A broken promise.
pub type Broken = String;

/// What the oracle remembers of one device.
#[derive(Debug, Default)]
pub struct Memory {
    /// First receipt per intent that a caller was given.
    receipts: BTreeMap<IntentKey, EventId>,
    /// The bytes of each event when it was first sent.
    bytes: BTreeMap<EventId, String>,
}

impl Memory {
    /// Invariants 1 and 11, when a caller hears of its event.
    pub fn emitted(&mut self, outcome: &Result<Receipt, EmitFault>, disk: &Disk) -> Result<(), Broken> {
        let Ok(Receipt { kept, replayed }) = outcome else { return Ok(()) };
        let stored = disk
            .flushed
            .intents
            .get(&kept.row.segment)
            .and_then(|segment| segment.get(kept.row.index() as usize));
        if stored.is_none_or(|own| own.id != kept.id) {
            return Err(format!("durable-before-safe: {} was called safe but is not flushed", kept.id));
        }
        let first = *self.receipts.entry(kept.intent).or_insert(kept.id);
        if first != kept.id {
            return Err(format!(
                "same-intent-same-receipt: {} then {} (replayed {replayed})",
                first, kept.id
            ));
        }
        Ok(())
    }

    /// Invariants 3 and 5, when a request leaves.
    pub fn sent(&mut self, request: &Request, disk: &Disk) -> Result<(), Broken> {
        let Some(body) = request.body.as_deref() else { return Ok(()) };
        let events = match Json::parse(body) {
            Ok(Json::Array(list)) => list,
            Ok(single) => vec![single],
            Err(problem) => return Err(format!("the request is not JSON: {problem:?}")),
        };
        for event in events {
            let envelope =
                Envelope::read(&event).map_err(|problem| format!("unreadable event sent: {problem:?}"))?;
            let mut text = String::new();
            event.write(&mut text);
            let sequence = envelope.sequence.unwrap_or_default();
            let segment = segment_of(&disk.flushed, sequence);
            let stored = segment.and_then(|first| Some((first, disk.flushed.intents.get(&first)?)));
            let stored = stored.and_then(|(first, own)| own.get((sequence.0 - first.0) as usize));
            if stored.is_none_or(|own| own.id != envelope.id || own.intent != envelope.intent) {
                return Err(format!("key-before-send: {} left before its key was flushed", envelope.id));
            }
            let before = self.bytes.entry(envelope.id).or_insert_with(|| text.clone());
            if *before != text {
                return Err(format!("key-before-send: {} changed its bytes", envelope.id));
            }
            lane_order(&disk.now, &envelope)?;
        }
        Ok(())
    }
}

fn segment_of(tables: &Tables, sequence: Sequence) -> Option<Sequence> {
    tables.intents.range(..=sequence).next_back().map(|(first, _)| *first)
}

/// Invariant 5: nothing of the same lane with an earlier place is still owed.
fn lane_order(tables: &Tables, envelope: &Envelope) -> Result<(), Broken> {
    let lane = envelope.key.lane();
    let rows =
        || tables.marks.values().flat_map(|marks| tables.owed_rows(marks)).filter(|row| row.lane == lane);
    let place =
        |row: &conch::outbox::port::LoadedRow| (row.place.unwrap_or(row.row.sequence), row.row.sequence);
    let Some(own) = rows().find(|row| row.id == envelope.id) else { return Ok(()) };
    match rows().find(|row| place(row) < place(&own)) {
        Some(earlier) => Err(format!("lane-order: {} was sent while {} is owed", own.id, earlier.id)),
        None => Ok(()),
    }
}

/// Invariants 2 and 4, after every transaction and every crash: the tables agree with each other, and what is no
/// longer owed was judged by the city.
pub fn tables_agree(tables: &Tables, city: &City) -> Result<(), Broken> {
    let (mut owed, mut bytes, mut dead) = (0, 0, 0);
    for (first, marks) in &tables.marks {
        let Some(intents) = tables.intents.get(first) else {
            return Err(format!("state-with-event: segment {first} has marks but no intents"));
        };
        if marks.owes() != tables.bodies.contains_key(first) {
            return Err(format!("settle-in-one: segment {first} owes but has no body, or the reverse"));
        }
        for row in tables.owed_rows(marks) {
            owed += 1;
            bytes += row.body.len() as u64;
        }
        for (index, own) in intents.iter().enumerate() {
            let status = marks.status_of(index as u32);
            dead += u64::from(status == Some(Status::Dead));
            let gone = matches!(status, Some(Status::Accepted | Status::Duplicate));
            if gone && city.judged.get(&own.id).is_none_or(|taken| taken.refused) {
                return Err(format!("settle-in-one: {} left the outbox without the city's verdict", own.id));
            }
        }
    }
    if tables.intents.len() != tables.marks.len() {
        return Err("state-with-event: intents without marks".to_owned());
    }
    let counter = tables.counter;
    if (counter.owed, counter.bytes, counter.dead) != (owed, bytes, dead) {
        return Err(format!(
            "state-with-event: totals {counter:?} but counted {owed} owed, {bytes} bytes, {dead} dead"
        ));
    }
    records_agree(tables)?;
    let open = tables.dead.keys().filter(|(closed, _)| !closed).count() as u64;
    if open != dead {
        return Err(format!("nothing-vanishes: {dead} dead rows but {open} open dead letters"));
    }
    Ok(())
}

/// The topic of the application's tallies.
pub const TALLY_TOPIC: &str = "stall.tally.v1";

/// The word by which a tally's event is known.
pub fn tally_word(key: &str, number: u64) -> String {
    format!("{key}-{number}")
}

/// Invariant 2 as the application sees it: a tally stands at a number exactly when the events up to that number are
/// there.
fn records_agree(tables: &Tables) -> Result<(), Broken> {
    for (name, value) in &tables.records {
        let number: u64 = value.parse().map_err(|_| format!("state-with-event: {name:?} holds {value}"))?;
        let has = |number| {
            let intent = tally_intent(name.key.as_str(), number);
            tables.intents.values().flat_map(Intents::iter).any(|own| Some(own.intent) == intent)
        };
        if !(1..=number).all(has) || has(number + 1) {
            return Err(format!("state-with-event: {name:?} stands at {number} without its events"));
        }
    }
    Ok(())
}

fn tally_intent(key: &str, number: u64) -> Option<IntentKey> {
    let topic = Topic::parse(TALLY_TOPIC).ok()?;
    let (kind, device) = (EventType::parse("counted").ok()?, Device::parse("any").ok()?);
    let (key, id) = (Key::parse(key).ok()?, EventId::mint(UnixMillis(0), [0; 10]));
    let parts = Parts { topic: &topic, kind: &kind, key: &key, attempt: 1, device: &device, id };
    Some(form(IntentRule::Fresh, parts, Some(&tally_word(key.as_str(), number))))
}

/// Invariant 5 as the city saw it: per source and key, judged in the order of their sequences, a redriven event
/// aside, which takes an earlier place with a later sequence.
pub fn judged_in_order(city: &City, redriven: &[EventId]) -> Result<(), Broken> {
    let mut last: BTreeMap<(&str, &str), Sequence> = BTreeMap::new();
    for id in city.order.iter().filter(|id| !redriven.contains(id)) {
        let Some(taken) = city.judged.get(id) else { continue };
        let before = last.insert((&taken.source, &taken.key), taken.sequence);
        if before.is_some_and(|before| before > taken.sequence) {
            return Err(format!("lane-order: key {} was judged out of order", taken.key));
        }
    }
    Ok(())
}
