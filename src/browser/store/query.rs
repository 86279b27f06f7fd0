//! Questions: each one readonly transaction of one or two rounds of requests, and what its answers mean.

use super::batch::{held, segments};
use super::conversation::{Access, Next, Script, converse};
use super::fault::Fault;
use super::layout::{
    AGES, BEAT, BODIES, COUNTER, CURSOR, DEAD, EPOCH, HOLDER, INBOX, INTENTS, LANES, LIFE, MARKS, META,
    OFFER, OWED, PACE, PAUSED, STATE, TOMBSTONES,
};
use super::records;
use super::value::{self, Value};
use crate::event::{Collection, EventId, Key, RecordName, Sequence};
use crate::limits::{BATCH_EVENTS_MAX, BLOCKED_LANES_MAX, LOAD_SEGMENTS_MAX};
use crate::outbox::port::{Load, LoadedRow, Opened, Page};
use crate::outbox::record::{DeadLetter, Intents, MAYBE_SENT, Marks, RowRef, Status};
use crate::outbox::transact::Kept;
use js_sys::Array;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use web_sys::{IdbDatabase, IdbKeyRange, IdbRequest, IdbTransaction};

type Asked = Result<Vec<IdbRequest>, JsValue>;

/// A question that can be asked again on another connection. What its answers mean is told by its own `read`, so
/// that the asking is compiled once for all questions.
pub(super) trait Question {
    /// The stores it reads.
    fn stores(&self) -> &'static [&'static str];
    /// The first requests.
    fn ask(&self, transaction: &IdbTransaction) -> Asked;
    /// The requests that follow from the first answers, if any do.
    fn ask_on(&self, _transaction: &IdbTransaction, _first: &Answers) -> Asked {
        Ok(Vec::new())
    }
}

/// What one round of requests brought, in order.
#[derive(Default)]
pub(super) struct Answers(Vec<JsValue>);

impl Answers {
    fn at(&self, index: usize) -> JsValue {
        self.0.get(index).cloned().unwrap_or(JsValue::UNDEFINED)
    }
}

/// Asks in one transaction of at most two rounds.
pub(super) async fn ask(database: &IdbDatabase, question: Rc<dyn Question>) -> Result<[Answers; 2], Fault> {
    let stores = question.stores();
    let asking = Rc::new(RefCell::new(Asking { question, rounds: Vec::new() }));
    converse(database, stores, Access::Read, Rc::clone(&asking) as Rc<RefCell<dyn Script>>).await?;
    let mut rounds = core::mem::take(&mut asking.borrow_mut().rounds).into_iter();
    Ok([rounds.next().unwrap_or_default(), rounds.next().unwrap_or_default()])
}

struct Asking {
    question: Rc<dyn Question>,
    rounds: Vec<Answers>,
}

impl Script for Asking {
    fn next(&mut self, transaction: &IdbTransaction, answered: &[IdbRequest]) -> Result<Next, JsValue> {
        if answered.is_empty() {
            return Ok(Next::Ask(self.question.ask(transaction)?));
        }
        self.rounds.push(Answers(answered.iter().map(IdbRequest::result).collect::<Result<_, _>>()?));
        let more = match self.rounds.as_slice() {
            [first] => self.question.ask_on(transaction, first)?,
            _ => Vec::new(),
        };
        Ok(if more.is_empty() { Next::Complete } else { Next::Ask(more) })
    }
}

fn meta(transaction: &IdbTransaction, names: &[&str]) -> Asked {
    let store = transaction.object_store(META)?;
    names.iter().map(|name| store.get(&JsValue::from_str(name))).collect()
}

/// Which life of the database this is, and whose.
pub(super) struct Life {
    pub(super) incarnation: String,
    pub(super) device: Option<String>,
}

/// Asks for it.
pub(super) struct WhichLife;

impl Question for WhichLife {
    fn stores(&self) -> &'static [&'static str] {
        &[META]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        meta(transaction, &[LIFE])
    }
}

impl WhichLife {
    pub(super) fn read(self, [first, _]: &[Answers; 2]) -> Option<Life> {
        let found = Value::of(&first.at(0))?;
        Some(Life { incarnation: found.text("incarnation")?, device: found.text("device") })
    }
}

/// What the engine needs to begin.
pub(super) struct Beginning;

impl Question for Beginning {
    fn stores(&self) -> &'static [&'static str] {
        &[META, LANES]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let mut requests =
            meta(transaction, &[COUNTER, EPOCH, PAUSED, PACE, OFFER, TOMBSTONES, AGES, BEAT, CURSOR])?;
        let (lanes, limit) =
            (transaction.object_store(LANES)?, (BLOCKED_LANES_MAX + BATCH_EVENTS_MAX) as u32);
        requests.push(lanes.get_all_keys_with_key_and_limit(&JsValue::UNDEFINED, limit)?);
        requests.push(lanes.get_all_with_key_and_limit(&JsValue::UNDEFINED, limit)?);
        Ok(requests)
    }
}

impl Beginning {
    pub(super) fn read(self, [first, _]: &[Answers; 2]) -> Opened {
        let (keys, lanes) = (Array::from(&first.at(9)), Array::from(&first.at(10)));
        Opened {
            counter: records::counter_of(&first.at(0)).unwrap_or_default(),
            epoch: value::as_whole(&first.at(1)).unwrap_or(0),
            paused: first.at(2).is_truthy(),
            pace: records::pace_of(&first.at(3)).unwrap_or_default(),
            offer: records::offer_of(&first.at(4)),
            tombstones: records::tombstones_of(&first.at(5)),
            ages: records::ages_of(&first.at(6)),
            beat: value::as_whole(&first.at(7)).unwrap_or(0),
            cursor: first.at(8).as_string().unwrap_or_default(),
            lanes: keys
                .iter()
                .zip(lanes.iter())
                .filter_map(|(key, lane)| records::lane_of(records::lane_of_key(&key)?, &lane))
                .collect(),
        }
    }
}

/// A page of owed rows.
#[derive(Clone)]
pub(super) struct Owed(pub(super) Load);

impl Question for Owed {
    fn stores(&self) -> &'static [&'static str] {
        &[MARKS, BODIES, INTENTS]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let marks = transaction.object_store(MARKS)?;
        match &self.0 {
            Load::After(after) => {
                let after = IdbKeyRange::lower_bound_with_open(&value::whole(after.0), true)?;
                Ok(vec![marks.index(OWED)?.get_all_with_key_and_limit(&after, LOAD_SEGMENTS_MAX)?])
            }
            Load::These(segments) => segments.iter().map(|first| marks.get(&value::whole(first.0))).collect(),
        }
    }

    fn ask_on(&self, transaction: &IdbTransaction, first: &Answers) -> Asked {
        let (intents, bodies) = (transaction.object_store(INTENTS)?, transaction.object_store(BODIES)?);
        let mut requests = Vec::new();
        for marks in self.owed_marks(first) {
            let key = value::whole(marks.first.0);
            requests.push(intents.get(&key)?);
            requests.push(bodies.get(&key)?);
        }
        Ok(requests)
    }
}

impl Owed {
    pub(super) fn read(self, [first, second]: &[Answers; 2]) -> Page {
        let marks = self.owed_marks(first);
        let last = marks.last().map(|marks| marks.first);
        // Counted before reading, so that a page with an unreadable record is not taken for the last one.
        let more =
            matches!(self.0, Load::After(_)) && Array::from(&first.at(0)).length() == LOAD_SEGMENTS_MAX;
        let mut rows = Vec::new();
        for (marks, pair) in marks.iter().zip(second.0.chunks_exact(2)) {
            let [intents, body] = pair else { continue };
            if let (Some(intents), Some(body)) = (records::intents_of(marks.first, intents), body.as_string())
            {
                rows.extend(owed_rows(marks, &intents, &body));
            }
        }
        Page { rows, last, more }
    }
}

impl Owed {
    fn owed_marks(&self, first: &Answers) -> Vec<Marks> {
        let found = match self.0 {
            Load::After(_) => Array::from(&first.at(0)).to_vec(),
            Load::These(_) => first.0.clone(),
        };
        found.iter().filter_map(records::marks_of).filter(Marks::owes).collect()
    }
}

fn owed_rows(marks: &Marks, intents: &Intents, body: &str) -> Vec<LoadedRow> {
    let rows = (0..).zip(body.split('\n')).zip(intents.iter()).zip(&marks.status);
    let owed = rows.filter(|(_, status)| Status::of(**status) == Status::Owed);
    owed.map(|(((index, body), own), status)| LoadedRow {
        row: RowRef { segment: marks.first, sequence: Sequence(marks.first.0 + u64::from(index)) },
        id: own.id,
        intent: own.intent,
        lane: own.lane,
        on_dead: own.on_dead,
        tries: marks.tries.get(index as usize).copied().unwrap_or(0),
        maybe_sent: status & MAYBE_SENT != 0,
        place: marks.places.get(&index).copied(),
        stored_at: intents.stored_at,
        body: body.to_owned(),
    })
    .collect()
}

/// The open dead letters, oldest first.
#[derive(Clone, Copy)]
pub(super) struct DeadLetters {
    pub(super) limit: u32,
}

impl Question for DeadLetters {
    fn stores(&self) -> &'static [&'static str] {
        &[DEAD]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        // `[0]` sorts before and `[1]` after every `[0, sequence]`.
        let edge = |closed: f64| Array::of1(&JsValue::from_f64(closed));
        let open = IdbKeyRange::bound(&edge(0.0), &edge(1.0))?;
        Ok(vec![transaction.object_store(DEAD)?.get_all_with_key_and_limit(&open, self.limit)?])
    }
}

impl DeadLetters {
    pub(super) fn read(self, [first, _]: &[Answers; 2]) -> Vec<DeadLetter> {
        Array::from(&first.at(0)).iter().filter_map(|one| records::dead_of(&one)).collect()
    }
}

/// The dead letter of a sequence, open or closed.
#[derive(Clone, Copy)]
pub(super) struct OneDeadLetter {
    pub(super) sequence: Sequence,
}

impl Question for OneDeadLetter {
    fn stores(&self) -> &'static [&'static str] {
        &[DEAD]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let store = transaction.object_store(DEAD)?;
        [false, true].iter().map(|closed| store.get(&records::dead_key(*closed, self.sequence))).collect()
    }
}

impl OneDeadLetter {
    pub(super) fn read(self, [first, _]: &[Answers; 2]) -> Option<DeadLetter> {
        first.0.iter().find_map(records::dead_of)
    }
}

/// What the city said about an event.
#[derive(Clone, Copy)]
pub(super) struct AnswersTo(pub(super) EventId);

impl Question for AnswersTo {
    fn stores(&self) -> &'static [&'static str] {
        &[INBOX]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let range = records::inbox_of(self.0)?;
        Ok(vec![transaction.object_store(INBOX)?.get_all_with_key(&range)?])
    }
}

impl AnswersTo {
    pub(super) fn read(self, [first, _]: &[Answers; 2]) -> Vec<String> {
        Array::from(&first.at(0)).iter().filter_map(|one| one.as_string()).collect()
    }
}

/// One record of the application.
#[derive(Clone)]
pub(super) struct OneRecord(pub(super) RecordName);

impl Question for OneRecord {
    fn stores(&self) -> &'static [&'static str] {
        &[STATE]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        Ok(vec![transaction.object_store(STATE)?.get(&records::record_key(&self.0))?])
    }
}

impl OneRecord {
    pub(super) fn read(&self, [first, _]: &[Answers; 2]) -> Option<String> {
        first.at(0).as_string()
    }
}

/// The records of a collection after a key, in the order of their keys.
#[derive(Clone)]
pub(super) struct Records {
    pub(super) collection: Collection,
    pub(super) after: Option<Key>,
    pub(super) limit: u32,
}

impl Question for Records {
    fn stores(&self) -> &'static [&'static str] {
        &[STATE]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let collection = JsValue::from_str(self.collection.as_str());
        let lower = match &self.after {
            Some(key) => Array::of2(&collection, &JsValue::from_str(key.as_str())),
            None => Array::of1(&collection),
        };
        // An array sorts after every text, so this is beyond every key of the collection.
        let upper = Array::of2(&collection, &Array::new());
        let range = IdbKeyRange::bound_with_lower_open_and_upper_open(&lower, &upper, true, true)?;
        let state = transaction.object_store(STATE)?;
        Ok(vec![
            state.get_all_keys_with_key_and_limit(&range, self.limit)?,
            state.get_all_with_key_and_limit(&range, self.limit)?,
        ])
    }
}

impl Records {
    pub(super) fn read(&self, [first, _]: &[Answers; 2]) -> Vec<(String, String)> {
        let (keys, values) = (Array::from(&first.at(0)), Array::from(&first.at(1)));
        let pairs = keys.iter().zip(values.iter());
        pairs
            .filter_map(|(key, value)| Some((Array::from(&key).get(1).as_string()?, value.as_string()?)))
            .collect()
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The event.
    pub kept: Kept,
    /// Where it stands.
    pub status: Status,
    /// The problem document or reason, for one the city refused or a person discarded.
    pub note: Option<String>,
}

/// What became of an id or intent.
#[derive(Clone, Copy)]
pub(super) struct FateOf {
    pub(super) identity: [u8; 16],
}

impl Question for FateOf {
    fn stores(&self) -> &'static [&'static str] {
        &[INTENTS, MARKS]
    }

    fn ask(&self, transaction: &IdbTransaction) -> Asked {
        let identity = value::bytes(&self.identity);
        Ok(vec![transaction.object_store(INTENTS)?.index(HOLDER)?.get_key(&identity)?])
    }

    fn ask_on(&self, transaction: &IdbTransaction, first: &Answers) -> Asked {
        match value::as_whole(&first.at(0)) {
            Some(holder) => segments(transaction, &[Sequence(holder)]),
            None => Ok(Vec::new()),
        }
    }
}

impl FateOf {
    pub(super) fn read(self, [first, second]: &[Answers; 2]) -> Option<Fate> {
        let holder = Sequence(value::as_whole(&first.at(0))?);
        let held = held(&[holder], &second.0);
        let (intents, marks) = held.get(&holder)?;
        let is = |own: [u8; 16]| own == self.identity;
        let by_id = intents.iter().position(|own| is(own.id.to_bytes()));
        let index = by_id.or_else(|| intents.iter().position(|own| is(own.intent.to_bytes())))?;
        let own = intents.get(index)?;
        let row = RowRef { segment: holder, sequence: Sequence(holder.0 + index as u64) };
        Some(Fate {
            kept: Kept { id: own.id, intent: own.intent, row, stored_at: intents.stored_at },
            status: marks.status_of(row.index())?,
            note: marks.notes.get(&row.index()).cloned(),
        })
    }
}
