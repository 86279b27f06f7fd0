//! Questions: each one readonly transaction of one or two rounds of requests, and what its answers mean.

use super::batch::{held, holder, results, segments};
use super::conversation::{Access, Next, Script, converse};
use super::fault::Fault;
use super::layout::{
    AGES, BEAT, BODIES, COUNTER, CURSOR, DEAD, EPOCH, INBOX, INTENTS, LANES, LIFE, MARKS, META, OFFER, OWED,
    PACE, PAUSED, STATE, TOMBSTONES,
};
use super::records;
use super::requests::{self, get, request, store};
use crate::browser::sys::{IdbDatabase, IdbRequest, IdbTransaction, items, text};
use crate::browser::value::{self, Value};
use crate::event::{Collection, EventId, Key, RecordName, Sequence};
use crate::limits::{BATCH_EVENTS_MAX, BLOCKED_LANES_MAX, LOAD_SEGMENTS_MAX};
use crate::outbox::port::{Load, LoadedRow, Opened, Page};
use crate::outbox::record::{DeadLetter, Intents, MAYBE_SENT, Marks, RowRef, Status};
use crate::outbox::transact::Kept;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// A question that can be asked again on another connection. What its answers mean is told by the function of the
/// same name.
pub(super) enum Question {
    /// Which life of the database this is.
    Life,
    /// What the engine needs to begin.
    Beginning,
    /// A page of owed rows.
    Owed(Load),
    /// The open dead letters, oldest first, at most so many.
    DeadLetters(u32),
    /// The dead letter of a sequence, open or closed.
    DeadLetter(Sequence),
    /// What the city said about an event.
    AnswersTo(EventId),
    /// One record of the application.
    Record(RecordName),
    /// The records of a collection after a key, in the order of their keys, at most so many.
    Records(Collection, Option<Key>, u32),
    /// What became of an id or intent.
    Fate([u8; 16]),
}

impl Question {
    /// The stores it reads.
    fn stores(&self) -> &'static [&'static str] {
        match self {
            Self::Life => &[META],
            Self::Beginning => &[META, LANES],
            Self::Owed(_) => &[MARKS, BODIES, INTENTS],
            Self::DeadLetters(_) | Self::DeadLetter(_) => &[DEAD],
            Self::AnswersTo(_) => &[INBOX],
            Self::Record(_) | Self::Records(..) => &[STATE],
            Self::Fate(_) => &[INTENTS, MARKS],
        }
    }

    /// The first requests.
    fn ask(&self, transaction: &IdbTransaction) -> Result<Vec<IdbRequest>, JsValue> {
        let all = |name: &str, range: &JsValue, limit: u32| {
            request(store(transaction, name)?, "getAll", &[range, &limit.into()])
        };
        let keys = |name: &str, range: &JsValue, limit: u32| {
            request(store(transaction, name)?, "getAllKeys", &[range, &limit.into()])
        };
        let mut asked = Vec::new();
        match self {
            Self::Life => asked.push(get(transaction, META, &text(LIFE))?),
            Self::Beginning => {
                for name in [COUNTER, EPOCH, PAUSED, PACE, OFFER, TOMBSTONES, AGES, BEAT, CURSOR] {
                    asked.push(get(transaction, META, &text(name))?);
                }
                let limit = (BLOCKED_LANES_MAX + BATCH_EVENTS_MAX) as u32;
                asked.push(keys(LANES, &JsValue::UNDEFINED, limit)?);
                asked.push(all(LANES, &JsValue::UNDEFINED, limit)?);
            }
            Self::Owed(Load::After(after)) => {
                let owed = requests::index(transaction, MARKS, OWED)?;
                let after = requests::after(&value::whole(after.0))?;
                asked.push(request(&owed, "getAll", &[&after, &LOAD_SEGMENTS_MAX.into()])?);
            }
            Self::Owed(Load::These(segments)) => {
                for first in segments {
                    asked.push(get(transaction, MARKS, &value::whole(first.0))?);
                }
            }
            Self::DeadLetters(limit) => asked.push(all(DEAD, &records::dead_open()?, *limit)?),
            Self::DeadLetter(sequence) => {
                for closed in [false, true] {
                    asked.push(get(transaction, DEAD, &records::dead_key(closed, *sequence))?);
                }
            }
            Self::AnswersTo(id) => {
                asked.push(request(store(transaction, INBOX)?, "getAll", &[&records::inbox_of(*id)?])?);
            }
            Self::Record(name) => asked.push(get(transaction, STATE, &records::record_key(name))?),
            Self::Records(collection, after, limit) => {
                let range = records::records_after(collection, after.as_ref())?;
                asked.push(keys(STATE, &range, *limit)?);
                asked.push(all(STATE, &range, *limit)?);
            }
            Self::Fate(identity) => asked.push(holder(transaction, identity)?),
        }
        Ok(asked)
    }

    /// The requests that follow from the first answers, if any do.
    fn ask_on(&self, transaction: &IdbTransaction, first: &[JsValue]) -> Result<Vec<IdbRequest>, JsValue> {
        let mut asked = Vec::new();
        match self {
            Self::Owed(load) => {
                for marks in owed_marks(load, first) {
                    let key = value::whole(marks.first.0);
                    asked.push(get(transaction, INTENTS, &key)?);
                    asked.push(get(transaction, BODIES, &key)?);
                }
            }
            Self::Fate(_) => {
                if let Some(holder) = value::as_whole(&at(first, 0)) {
                    asked = segments(transaction, &[Sequence(holder)])?;
                }
            }
            _ => {}
        }
        Ok(asked)
    }
}

/// What the two rounds of requests brought, in order.
#[derive(Default)]
pub(super) struct Answers {
    first: Vec<JsValue>,
    second: Vec<JsValue>,
}

fn at(answers: &[JsValue], index: usize) -> JsValue {
    answers.get(index).cloned().unwrap_or_default()
}

/// Asks in one transaction of at most two rounds.
pub(super) async fn ask(database: &IdbDatabase, question: Rc<Question>) -> Result<Answers, Fault> {
    let stores = question.stores();
    let asking = Rc::new(RefCell::new(Asking { question, round: 0, answers: Answers::default() }));
    converse(database, stores, Access::Read, Rc::clone(&asking) as Rc<RefCell<dyn Script>>).await?;
    let answers = core::mem::take(&mut asking.borrow_mut().answers);
    Ok(answers)
}

struct Asking {
    question: Rc<Question>,
    round: u8,
    answers: Answers,
}

impl Script for Asking {
    fn next(&mut self, transaction: &IdbTransaction, answered: &[IdbRequest]) -> Result<Next, JsValue> {
        let more = match self.round {
            0 => self.question.ask(transaction)?,
            1 => {
                self.answers.first = results(answered);
                self.question.ask_on(transaction, &self.answers.first)?
            }
            _ => {
                self.answers.second = results(answered);
                Vec::new()
            }
        };
        self.round += 1;
        // A question for nothing is answered by nothing.
        Ok(if more.is_empty() { Next::Complete } else { Next::Ask(more) })
    }
}

/// Which life of the database it is, and whose.
pub(super) struct Life {
    pub(super) incarnation: String,
    pub(super) device: Option<String>,
}

pub(super) fn life(answers: &Answers) -> Option<Life> {
    let found = Value::of(&at(&answers.first, 0))?;
    Some(Life { incarnation: found.text("incarnation")?, device: found.text("device") })
}

pub(super) fn beginning(Answers { first, .. }: &Answers) -> Opened {
    let mut lanes = Vec::new();
    for (key, lane) in items(&at(first, 9)).iter().zip(&items(&at(first, 10))) {
        lanes.extend(records::lane_of_key(key).and_then(|key| records::lane_of(key, lane)));
    }
    Opened {
        counter: records::counter_of(&at(first, 0)).unwrap_or_default(),
        epoch: value::as_whole(&at(first, 1)).unwrap_or(0),
        paused: at(first, 2).is_truthy(),
        pace: records::pace_of(&at(first, 3)).unwrap_or_default(),
        offer: records::offer_of(&at(first, 4)),
        tombstones: records::tombstones_of(&at(first, 5)),
        ages: records::ages_of(&at(first, 6)),
        beat: value::as_whole(&at(first, 7)).unwrap_or(0),
        cursor: at(first, 8).as_string().unwrap_or_default(),
        lanes,
    }
}

pub(super) fn owed(load: &Load, answers: &Answers) -> Page {
    let marks = owed_marks(load, &answers.first);
    let mut page = Page { rows: Vec::new(), last: marks.last().map(|marks| marks.first), more: false };
    // Counted before reading, so that a page with an unreadable record is not taken for the last one.
    if matches!(load, Load::After(_)) {
        page.more = items(&at(&answers.first, 0)).len() == LOAD_SEGMENTS_MAX as usize;
    }
    for (marks, pair) in marks.iter().zip(answers.second.chunks_exact(2)) {
        if let [intents, body] = pair
            && let (Some(intents), Some(body)) = (records::intents_of(marks.first, intents), body.as_string())
        {
            add_owed(marks, &intents, &body, &mut page.rows);
        }
    }
    page
}

fn owed_marks(load: &Load, first: &[JsValue]) -> Vec<Marks> {
    let mut marks = match load {
        Load::After(_) => records::marks_in(&items(&at(first, 0))),
        Load::These(_) => records::marks_in(first),
    };
    marks.retain(Marks::owes);
    marks
}

fn add_owed(marks: &Marks, intents: &Intents, body: &str, rows: &mut Vec<LoadedRow>) {
    for (index, body) in (0..).zip(body.split(['\n'])) {
        let Some(own) = intents.get(index as usize) else { break };
        if marks.status_of(index) != Some(Status::Owed) {
            continue;
        }
        let byte = |bytes: &[u8]| bytes.get(index as usize).copied().unwrap_or(0);
        rows.push(LoadedRow {
            row: RowRef { segment: marks.first, sequence: Sequence(marks.first.0 + u64::from(index)) },
            id: own.id,
            intent: own.intent,
            lane: own.lane,
            on_dead: own.on_dead,
            tries: byte(&marks.tries),
            maybe_sent: byte(&marks.status) & MAYBE_SENT != 0,
            place: marks.places.get(&index).copied(),
            stored_at: intents.stored_at,
            body: body.to_owned(),
        });
    }
}

pub(super) fn dead_letters(answers: &Answers) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    for one in items(&at(&answers.first, 0)) {
        letters.extend(records::dead_of(&one));
    }
    letters
}

pub(super) fn dead_letter(answers: &Answers) -> Option<DeadLetter> {
    answers.first.iter().find_map(records::dead_of)
}

pub(super) fn answers_to(answers: &Answers) -> Vec<String> {
    let mut bodies = Vec::new();
    for one in items(&at(&answers.first, 0)) {
        bodies.extend(one.as_string());
    }
    bodies
}

pub(super) fn record(answers: &Answers) -> Option<String> {
    at(&answers.first, 0).as_string()
}

pub(super) fn records(Answers { first, .. }: &Answers) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (key, value) in items(&at(first, 0)).iter().zip(&items(&at(first, 1))) {
        if let (Some(key), Some(value)) = (at(&items(key), 1).as_string(), value.as_string()) {
            pairs.push((key, value));
        }
    }
    pairs
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

pub(super) fn fate(identity: [u8; 16], answers: &Answers) -> Option<Fate> {
    let holder = Sequence(value::as_whole(&at(&answers.first, 0))?);
    let held = held(&[holder], &answers.second);
    let (intents, marks) = held.get(&holder)?;
    let is = |own: [u8; 16]| own == identity;
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
