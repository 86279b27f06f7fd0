//! Runs the outbox's own machine inside one transaction: its reads, additions and writes as requests.

use super::conversation::{Next, Script};
use super::layout::{
    AGES, BEAT, BODIES, COUNTER, CURSOR, DEAD, EPOCH, HOLDER, INBOX, INTENTS, LANES, MARKS, META, OFFER,
    PACE, PAUSED, STATE, TOMBSTONES,
};
use super::{records, value};
use crate::event::Sequence;
use crate::flat::FlatMap;
use crate::outbox::port::Batch;
use crate::outbox::record::{Intents, Marks};
use crate::outbox::transact::{Done, Found, Read, Refusal, Step, Transaction, Write};
use wasm_bindgen::JsValue;
use web_sys::{IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

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
                let holders = holders(&reads, answered)?;
                if holders.is_empty() {
                    Ok(found(&reads, answered, &FlatMap::new())?)
                } else {
                    let requests = segments(transaction, &holders)?;
                    self.asked = Asked::Holders(reads, answered.to_vec(), holders);
                    Err(Next::Ask(requests))
                }
            }
            Asked::Holders(reads, answers, holders) => {
                let results = answered.iter().map(IdbRequest::result).collect::<Result<Vec<_>, _>>()?;
                Ok(found(&reads, &answers, &held(&holders, &results))?)
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
                let requests = reads.iter().map(|read| request(transaction, read));
                let requests = requests.collect::<Result<Vec<_>, _>>()?;
                self.asked = Asked::Reads(reads);
                Ok(Next::Ask(requests))
            }
            Step::Add(additions) => {
                let store = transaction.object_store(INTENTS)?;
                let requests = additions.iter().map(|intents| {
                    store.add_with_key(records::intents_to(intents).as_js(), &key(intents.first))
                });
                let requests = requests.collect::<Result<Vec<_>, _>>()?;
                self.asked = Asked::Additions(additions.iter().map(|intents| intents.first).collect());
                Ok(Next::Attempt(requests))
            }
            Step::Finish(writes, done) => {
                writes.iter().try_for_each(|one| write(transaction, one))?;
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
    let store = |name| transaction.object_store(name);
    match read {
        Read::Counter => store(META)?.get(&JsValue::from_str(COUNTER)),
        Read::Epoch => store(META)?.get(&JsValue::from_str(EPOCH)),
        Read::Beat => store(META)?.get(&JsValue::from_str(BEAT)),
        Read::Tombstones => store(META)?.get(&JsValue::from_str(TOMBSTONES)),
        Read::Marks(first) => store(MARKS)?.get(&key(*first)),
        Read::Dead(sequence) => store(DEAD)?.get(&records::dead_key(false, *sequence)),
        Read::Lane(lane) => store(LANES)?.get(&records::lane_key(*lane)),
        Read::Holder(identity) => store(INTENTS)?.index(HOLDER)?.get_key(&value::bytes(identity)),
        Read::Record(name) => store(STATE)?.get(&records::record_key(name)),
        Read::Body(first) => store(BODIES)?.get(&key(*first)),
        Read::Inbox(cause, id) => store(INBOX)?.get_key(&records::inbox_key(*cause, *id)),
        Read::MarksAfter(after, limit) => {
            let range = IdbKeyRange::lower_bound_with_open(&key(*after), true)?;
            store(MARKS)?.get_all_with_key_and_limit(&range, *limit)
        }
    }
}

/// The distinct segments that hold what was looked for, in order.
fn holders(reads: &[Read], answered: &[IdbRequest]) -> Result<Vec<Sequence>, JsValue> {
    let mut firsts = FlatMap::new();
    for (read, request) in reads.iter().zip(answered) {
        if let (Read::Holder(_), Some(first)) = (read, value::as_whole(&request.result()?)) {
            firsts.insert(Sequence(first), Sequence(first));
        }
    }
    Ok(firsts.into_values())
}

/// Asks for intents and marks of each segment, in turns.
pub(super) fn segments(
    transaction: &IdbTransaction,
    firsts: &[Sequence],
) -> Result<Vec<IdbRequest>, JsValue> {
    let (intents, marks) = (transaction.object_store(INTENTS)?, transaction.object_store(MARKS)?);
    let mut requests = Vec::new();
    for first in firsts {
        requests.push(intents.get(&key(*first))?);
        requests.push(marks.get(&key(*first))?);
    }
    Ok(requests)
}

/// What [`segments`] found.
pub(super) fn held(firsts: &[Sequence], results: &[JsValue]) -> FlatMap<Sequence, (Intents, Marks)> {
    let pairs = firsts.iter().zip(results.chunks_exact(2)).filter_map(|(first, pair)| {
        let [intents, marks] = pair else { return None };
        Some((*first, (records::intents_of(*first, intents)?, records::marks_of(marks)?)))
    });
    pairs.collect()
}

fn found(
    reads: &[Read],
    answered: &[IdbRequest],
    held: &FlatMap<Sequence, (Intents, Marks)>,
) -> Result<Vec<Found>, JsValue> {
    reads.iter().zip(answered).map(|(read, request)| one_found(read, &request.result()?, held)).collect()
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
        Read::MarksAfter(..) => Found::MarksList(
            js_sys::Array::from(result).iter().filter_map(|one| records::marks_of(&one)).collect(),
        ),
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
        if request.error()?.is_none() {
            went_in.push(*first);
        }
    }
    if went_in.len() == firsts.len() {
        return Ok(true);
    }
    let store = transaction.object_store(INTENTS)?;
    went_in.iter().try_for_each(|first| store.delete(&key(*first)).map(drop))?;
    Ok(false)
}

fn write(transaction: &IdbTransaction, write: &Write) -> Result<(), JsValue> {
    let store = |name| transaction.object_store(name);
    let put =
        |store: IdbObjectStore, value: &JsValue, key: &JsValue| store.put_with_key(value, key).map(drop);
    let put_meta = |name: &str, value: &JsValue| put(store(META)?, value, &JsValue::from_str(name));
    let delete = |store: IdbObjectStore, key: &JsValue| store.delete(key).map(drop);
    match write {
        Write::Counter(counter) => put_meta(COUNTER, records::counter_to(counter).as_js()),
        Write::Epoch(epoch) => put_meta(EPOCH, &value::whole(*epoch)),
        Write::Ages(ages) => put_meta(AGES, &records::ages_to(ages)),
        Write::Beat(beat) => put_meta(BEAT, &value::whole(*beat)),
        Write::Tombstones(list) => put_meta(TOMBSTONES, &records::tombstones_to(list)),
        Write::Paused(paused) => put_meta(PAUSED, &JsValue::from_bool(*paused)),
        Write::Pace(pace) => put_meta(PACE, records::pace_to(*pace).as_js()),
        Write::Offer(offer, at) => put_meta(OFFER, records::offer_to(offer, *at).as_js()),
        Write::Marks(marks) => put(store(MARKS)?, records::marks_to(marks).as_js(), &key(marks.first)),
        Write::Body(first, body) => put(store(BODIES)?, &JsValue::from_str(body), &key(*first)),
        Write::DeleteBody(first) => delete(store(BODIES)?, &key(*first)),
        Write::Dead(letter) => put(
            store(DEAD)?,
            records::dead_to(letter).as_js(),
            &records::dead_key(letter.closed.is_some(), letter.row.sequence),
        ),
        Write::DeleteOpenDead(sequence) => delete(store(DEAD)?, &records::dead_key(false, *sequence)),
        Write::Lane(lane) => {
            put(store(LANES)?, records::lane_to(lane).as_js(), &records::lane_key(lane.lane))
        }
        Write::DeleteLane(lane) => delete(store(LANES)?, &records::lane_key(*lane)),
        Write::Inbox(event) => {
            put(store(INBOX)?, &JsValue::from_str(&event.body), &records::inbox_key(event.cause, event.id))
        }
        Write::ForgetInbox(before) => {
            let inbox = store(INBOX)?;
            let ranges = records::inbox_before(*before)?;
            ranges.iter().try_for_each(|range| delete(inbox.clone(), range))
        }
        Write::Cursor(cursor) => put_meta(CURSOR, &JsValue::from_str(cursor)),
        Write::Record(name, Some(value)) => {
            put(store(STATE)?, &JsValue::from_str(value), &records::record_key(name))
        }
        Write::Record(name, None) => delete(store(STATE)?, &records::record_key(name)),
        Write::DeleteSegment(first) => {
            [INTENTS, MARKS, BODIES].into_iter().try_for_each(|name| delete(store(name)?, &key(*first)))
        }
    }
}
