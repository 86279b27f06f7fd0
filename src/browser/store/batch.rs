//! Runs the outbox's own machine inside one transaction: its reads, additions and writes as requests.

use super::conversation::{Next, Script};
use super::fault::Fault;
use super::layout::{
    AGES, BEAT, BODIES, COUNTER, CURSOR, DEAD, EPOCH, HOLDER, INBOX, INTENTS, LANES, MARKS, META, OFFER,
    PACE, PAUSED, STATE, TOMBSTONES,
};
use super::records;
use super::requests::{self, delete, get, put, result, store};
use crate::browser::sys::{IdbRequest, IdbTransaction, items, text};
use crate::browser::value;
use crate::event::Sequence;
use crate::flat::FlatMap;
use crate::outbox::port::Batch;
use crate::outbox::record::{Intents, Marks};
use crate::outbox::transact::{Done, Found, Read, Refusal, Step, Transaction, Write};
use wasm_bindgen::JsValue;

/// The stores a batch touches: the fewer, the sooner its transaction may begin.
pub(super) fn stores(batch: &Batch) -> &'static [&'static str] {
    match batch {
        Batch::Append { commits, .. } if commits.is_empty() => &[META, INTENTS, MARKS, BODIES],
        Batch::Append { .. } => &[META, INTENTS, MARKS, BODIES, STATE],
        Batch::Settle { .. } => &[META, MARKS, BODIES, DEAD, LANES],
        Batch::Sent { .. } => &[META, MARKS],
        Batch::Wait { .. } => &[META, LANES],
        Batch::Redrive { .. } | Batch::Revive { .. } | Batch::Discard { .. } => {
            &[META, DEAD, LANES, MARKS, INTENTS, BODIES]
        }
        Batch::Prune { .. } => &[META, MARKS, INTENTS, BODIES],
        Batch::Feed { .. } => &[META, INBOX, STATE],
        Batch::Lead
        | Batch::Buried(_)
        | Batch::Ages(_)
        | Batch::Beat { .. }
        | Batch::Pause(_)
        | Batch::Pace(_)
        | Batch::Offer(..) => &[META],
    }
}

/// A batch on its way.
pub(super) struct Running {
    machine: Transaction,
    asked: Asked,
    result: Option<Result<Done, Refusal>>,
}

/// What the requests under way are.
enum Asked {
    Nothing,
    Reads(Vec<Read>),
    /// The reads with their answers, and the segments that hold what was looked for.
    Holders(Vec<Read>, Vec<IdbRequest>, Vec<Sequence>),
    Additions(Vec<Sequence>),
}

impl Running {
    pub(super) fn new(batch: Batch) -> Self {
        Self { machine: Transaction::new(batch), asked: Asked::Nothing, result: None }
    }

    /// The batch, for another try.
    pub(super) fn batch(&self) -> Batch {
        self.machine.batch().clone()
    }

    /// What was decided, once the transaction has ended.
    pub(super) fn result(&mut self) -> Option<Result<Done, Refusal>> {
        self.result.take()
    }

    /// What the last step asked for, or the requests that are still missing for it.
    fn found(
        &mut self,
        transaction: &IdbTransaction,
        answered: &[IdbRequest],
    ) -> Result<Result<Vec<Found>, Next>, JsValue> {
        Ok(match core::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => Ok(Vec::new()),
            Asked::Reads(reads) => {
                let holders = holders(&reads, answered);
                if holders.is_empty() {
                    Ok(found(&reads, answered, &FlatMap::new())?)
                } else {
                    let requests = segments(transaction, &holders)?;
                    self.asked = Asked::Holders(reads, answered.to_vec(), holders);
                    Err(Next::Ask(requests))
                }
            }
            Asked::Holders(reads, answers, holders) => {
                Ok(found(&reads, &answers, &held(&holders, &results(answered)))?)
            }
            Asked::Additions(firsts) => Ok(vec![Found::Added(added(transaction, &firsts, answered)?)]),
        })
    }
}

impl Script for Running {
    fn next(&mut self, transaction: &IdbTransaction, answered: &[IdbRequest]) -> Result<Next, JsValue> {
        let found = match self.found(transaction, answered)? {
            Ok(found) => found,
            Err(more) => return Ok(more),
        };
        match self.machine.step(found) {
            Step::Read(reads) => {
                let mut requests = Vec::new();
                for read in &reads {
                    requests.push(request(transaction, read)?);
                }
                self.asked = Asked::Reads(reads);
                Ok(Next::Ask(requests))
            }
            Step::Add(additions) => {
                let store = store(transaction, INTENTS)?;
                let (mut requests, mut firsts) = (Vec::new(), Vec::new());
                for intents in &additions {
                    let given = [&records::intents_to(intents), &key(intents.first)];
                    requests.push(requests::request(&store, "add", &given)?);
                    firsts.push(intents.first);
                }
                self.asked = Asked::Additions(firsts);
                Ok(Next::Attempt(requests))
            }
            Step::Finish(writes, done) => {
                for one in &writes {
                    write(transaction, one)?;
                }
                self.result = Some(Ok(done));
                Ok(Next::Complete)
            }
            Step::Abort(refusal) => {
                self.result = Some(Err(refusal));
                Ok(Next::Abort)
            }
        }
    }
}

fn key(sequence: Sequence) -> JsValue {
    value::whole(sequence.0)
}

fn request(transaction: &IdbTransaction, read: &Read) -> Result<IdbRequest, JsValue> {
    let (name, key) = match read {
        Read::Counter => (META, text(COUNTER)),
        Read::Epoch => (META, text(EPOCH)),
        Read::Beat => (META, text(BEAT)),
        Read::Tombstones => (META, text(TOMBSTONES)),
        Read::Marks(first) => (MARKS, key(*first)),
        Read::Dead(sequence) => (DEAD, records::dead_key(false, *sequence)),
        Read::Lane(lane) => (LANES, records::lane_key(*lane)),
        Read::Record(name) => (STATE, records::record_key(name)),
        Read::Body(first) => (BODIES, key(*first)),
        Read::Inbox(cause, id) => (INBOX, records::inbox_key(*cause, *id)),
        Read::Holder(identity) => return holder(transaction, identity),
        Read::MarksAfter(after, limit) => {
            let given = [&requests::after(&key(*after))?, &(*limit).into()];
            return requests::request(store(transaction, MARKS)?, "getAll", &given);
        }
    };
    get(transaction, name, &key)
}

/// Asks for the segment that holds an id or intent.
pub(super) fn holder(transaction: &IdbTransaction, identity: &[u8]) -> Result<IdbRequest, JsValue> {
    let index = requests::index(transaction, INTENTS, HOLDER)?;
    requests::request(&index, "getKey", &[&value::bytes(identity)])
}

/// The distinct segments that hold what was looked for, in order.
fn holders(reads: &[Read], answered: &[IdbRequest]) -> Vec<Sequence> {
    let mut firsts = FlatMap::new();
    for (read, request) in reads.iter().zip(answered) {
        if let (Read::Holder(_), Some(first)) = (read, value::as_whole(&result(request))) {
            firsts.insert(Sequence(first), ());
        }
    }
    firsts.into_keys()
}

/// Asks for intents and marks of each segment, in turns.
pub(super) fn segments(
    transaction: &IdbTransaction,
    firsts: &[Sequence],
) -> Result<Vec<IdbRequest>, JsValue> {
    let mut requests = Vec::new();
    for first in firsts {
        requests.push(get(transaction, INTENTS, &key(*first))?);
        requests.push(get(transaction, MARKS, &key(*first))?);
    }
    Ok(requests)
}

/// What answered requests found, in order.
pub(super) fn results(answered: &[IdbRequest]) -> Vec<JsValue> {
    let mut results = Vec::new();
    for request in answered {
        results.push(result(request));
    }
    results
}

/// What [`segments`] found.
pub(super) fn held(firsts: &[Sequence], results: &[JsValue]) -> FlatMap<Sequence, (Intents, Marks)> {
    let mut held = FlatMap::new();
    for (first, pair) in firsts.iter().zip(results.chunks_exact(2)) {
        if let [intents, marks] = pair
            && let (Some(intents), Some(marks)) =
                (records::intents_of(*first, intents), records::marks_of(marks))
        {
            held.insert(*first, (intents, marks));
        }
    }
    held
}

fn found(
    reads: &[Read],
    answered: &[IdbRequest],
    held: &FlatMap<Sequence, (Intents, Marks)>,
) -> Result<Vec<Found>, JsValue> {
    let mut found = Vec::new();
    for (read, request) in reads.iter().zip(answered) {
        found.push(one_found(read, &result(request), held)?);
    }
    Ok(found)
}

fn one_found(
    read: &Read,
    result: &JsValue,
    held: &FlatMap<Sequence, (Intents, Marks)>,
) -> Result<Found, JsValue> {
    // A record that is there but cannot be read must not pass for one that is not there.
    let readable = |ok: bool| {
        if ok || result.is_undefined() { Ok(()) } else { Err(JsValue::from_str("an unreadable record")) }
    };
    Ok(match read {
        Read::Counter => {
            let counter = records::counter_of(result);
            readable(counter.is_some())?;
            Found::Counter(counter.unwrap_or_default())
        }
        Read::Epoch => Found::Epoch(value::as_whole(result).unwrap_or(0)),
        Read::Marks(_) => {
            let marks = records::marks_of(result);
            readable(marks.is_some())?;
            Found::Marks(marks)
        }
        Read::Beat => Found::Beat(value::as_whole(result).unwrap_or(0)),
        Read::Tombstones => Found::Tombstones(records::tombstones_of(result)),
        Read::Dead(_) => Found::Dead(records::dead_of(result)),
        Read::Lane(lane) => Found::Lane(records::lane_of(*lane, result)),
        Read::Holder(_) => {
            let first = value::as_whole(result).map(Sequence);
            Found::Segment(first.and_then(|first| held.get(&first).cloned()))
        }
        Read::Record(_) => {
            readable(result.is_string())?;
            Found::Record(result.as_string())
        }
        Read::Body(_) => Found::Body(result.as_string()),
        Read::Inbox(..) => Found::Inbox(!result.is_undefined()),
        Read::MarksAfter(..) => Found::MarksList(records::marks_in(&items(result))),
    })
}

/// Whether every addition went in. When one clashed, the others are taken back, so that all can be tried anew.
fn added(
    transaction: &IdbTransaction,
    firsts: &[Sequence],
    answered: &[IdbRequest],
) -> Result<bool, JsValue> {
    let mut went_in = Vec::new();
    for (first, request) in firsts.iter().zip(answered) {
        if Fault::in_error_of(request).is_none() {
            went_in.push(*first);
        }
    }
    if went_in.len() == firsts.len() {
        return Ok(true);
    }
    for first in went_in {
        delete(transaction, INTENTS, &key(first))?;
    }
    Ok(false)
}

fn write(transaction: &IdbTransaction, write: &Write) -> Result<(), JsValue> {
    let (name, key, value) = match write {
        Write::Counter(counter) => (META, text(COUNTER), Some(records::counter_to(counter))),
        Write::Epoch(epoch) => (META, text(EPOCH), Some(value::whole(*epoch))),
        Write::Ages(ages) => (META, text(AGES), Some(records::ages_to(ages))),
        Write::Beat(beat) => (META, text(BEAT), Some(value::whole(*beat))),
        Write::Tombstones(list) => (META, text(TOMBSTONES), Some(records::tombstones_to(list))),
        Write::Paused(paused) => (META, text(PAUSED), Some(JsValue::from_bool(*paused))),
        Write::Pace(pace) => (META, text(PACE), Some(records::pace_to(*pace))),
        Write::Offer(offer, at) => (META, text(OFFER), Some(records::offer_to(offer, *at))),
        Write::Cursor(cursor) => (META, text(CURSOR), Some(text(cursor))),
        Write::Marks(marks) => (MARKS, key(marks.first), Some(records::marks_to(marks))),
        Write::Body(first, body) => (BODIES, key(*first), Some(text(body))),
        Write::DeleteBody(first) => (BODIES, key(*first), None),
        Write::Dead(letter) => {
            let key = records::dead_key(letter.closed.is_some(), letter.row.sequence);
            (DEAD, key, Some(records::dead_to(letter)))
        }
        Write::DeleteOpenDead(sequence) => (DEAD, records::dead_key(false, *sequence), None),
        Write::Lane(lane) => (LANES, records::lane_key(lane.lane), Some(records::lane_to(lane))),
        Write::DeleteLane(lane) => (LANES, records::lane_key(*lane), None),
        Write::Inbox(event) => (INBOX, records::inbox_key(event.cause, event.id), Some(text(&event.body))),
        Write::Record(name, value) => (STATE, records::record_key(name), value.as_deref().map(text)),
        Write::ForgetInbox(from, before) => {
            for range in records::inbox_before(*from, *before)? {
                delete(transaction, INBOX, &range)?;
            }
            return Ok(());
        }
        Write::DeleteSegment(first) => {
            for name in [INTENTS, MARKS, BODIES] {
                delete(transaction, name, &key(*first))?;
            }
            return Ok(());
        }
    };
    match value {
        Some(value) => put(transaction, name, &value, &key),
        None => delete(transaction, name, &key),
    }
}
