//! Every write of the outbox as a pure machine: what to read, what to decide, what to write.
//!
//! A store opens one transaction per [`Batch`], then follows [`Transaction::step`] until it finishes: it performs
//! the reads or additions asked for, hands the results back, and at last performs the writes. All of it happens in
//! that one transaction, so the writes and the decision they rest on cannot be torn apart. The browser's store and
//! the simulator's modelled one run the same machine.

use super::append::{Append, Commit, Held, guarded};
use super::feed::Heard;
use super::record::{
    AgeMark, Closing, Counter, DeadLetter, DeadReason, Intents, LaneRecord, MAYBE_SENT, Marks, PaceRecord,
    RowRef, Status, take_out,
};
use crate::event::{EventId, IntentKey, LaneHash, Prepared, RecordName, Sequence, UnixMillis, with_sequence};
use crate::flat::FlatMap;
use crate::limits::{CLOCK_SET_MS, INBOX_KEEP_MS, INTENT_KEEP_EVENTS, INTENT_KEEP_MS, TOMBSTONES_KEEP_MAX};
use crate::wire::EdgeConfig;
use crate::wire::answer::FeedEvent;
use std::rc::Rc;

/// One transaction's worth of intent.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Store new events.
    Append {
        /// The events of one turn, in order.
        events: Rc<Vec<Prepared>>,
        /// Those of them that belong together, and the application's records with them; ascending.
        commits: Rc<Vec<Commit>>,
        /// Bytes of events that the origin's storage still has room for.
        room: u64,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// Record verdicts; a row leaves the outbox here and nowhere else.
    Settle {
        /// The leader's epoch; a stale one settles nothing.
        epoch: u64,
        /// What the city said.
        rows: Rc<Vec<Settlement>>,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// A try is about to be made: the rows may have reached the city from here on. Or it turned out that the first try
    /// did not reach it.
    Sent {
        /// The leader's epoch.
        epoch: u64,
        /// The rows of the request.
        rows: Vec<RowRef>,
        /// Whether they may have reached it.
        maybe: bool,
    },
    /// Lanes that must wait, each until its time.
    Wait {
        /// The leader's epoch.
        epoch: u64,
        /// Lane and not-before time.
        lanes: Vec<(LaneHash, UnixMillis)>,
    },
    /// A person sends a dead letter again, as this new event in its place in the lane.
    Redrive {
        /// The dead letter.
        sequence: Sequence,
        /// The new event.
        event: Box<Prepared>,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// A person sends a dead letter again that never had a definite answer: the same event, owed again.
    Revive {
        /// The dead letter.
        sequence: Sequence,
        /// The event's id.
        id: EventId,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// A person gives a dead letter up.
    Discard {
        /// The dead letter.
        sequence: Sequence,
        /// Why, in the person's words.
        reason: String,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// Take the lead: the epoch rises by one.
    Lead,
    /// Stop or go on sending, across reloads.
    Pause(bool),
    /// Remember when we may send.
    Pace(PaceRecord),
    /// Remember what the city offers.
    Offer(EdgeConfig, UnixMillis),
    /// The city was told of these tombstones.
    Buried(Vec<Sequence>),
    /// Remember what was stored by which time of the city.
    Ages(Vec<AgeMark>),
    /// A leader without a lock shows that it lives.
    Beat {
        /// The leader's epoch.
        epoch: u64,
        /// It leaves in good order.
        leaves: bool,
    },
    /// Apply what the city said: records, inbox and cursor together, each event once.
    Feed {
        /// The leader's epoch; a stale one applies nothing.
        epoch: u64,
        /// The events, in order.
        heard: Rc<Vec<Heard>>,
        /// Where the next answer begins.
        cursor: String,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
    /// Forget settled segments older than the retention, from a place on.
    Prune {
        /// Look at segments after this one.
        after: Sequence,
        /// Now, by the device's clock.
        at: UnixMillis,
    },
}

/// Whether a transaction must be on the disk before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: survives a power cut.
    Strict,
    /// Handed to the system: survives a killed browser.
    Relaxed,
}

impl Batch {
    /// The durability this batch asks for.
    pub fn durability(&self) -> Durability {
        match self {
            Self::Sent { .. }
            | Self::Wait { .. }
            | Self::Pace(_)
            | Self::Offer(..)
            | Self::Buried(_)
            | Self::Ages(_)
            | Self::Beat { .. }
            // A power cut takes effect, inbox and cursor back together, and the city says it again.
            | Self::Feed { .. }
            | Self::Prune { .. } => Durability::Relaxed,
            _ => Durability::Strict,
        }
    }
}

/// What the city said about one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The row.
    pub row: RowRef,
    /// The event.
    pub id: EventId,
    /// Its encoded bytes, for the totals.
    pub bytes: usize,
    /// Its lane.
    pub lane: LaneHash,
    /// Whether the lane has a record that ends with this row.
    pub lane_recorded: bool,
    /// The verdict.
    pub outcome: Outcome,
}

/// How a row left the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the city's inbox.
    Accepted,
    /// The city had the intent before.
    Duplicate,
    /// Dead.
    Dead {
        /// Why.
        reason: DeadReason,
        /// Problem document as JSON.
        problem: Option<String>,
        /// The encoded event.
        body: String,
        /// Whether the lane waits for a decision.
        blocks: bool,
    },
}

/// A read the store performs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// `meta.counter` → [`Found::Counter`]
    Counter,
    /// `meta.epoch` → [`Found::Epoch`]
    Epoch,
    /// `marks` of a segment → [`Found::Marks`]
    Marks(Sequence),
    /// The open dead letter of a sequence → [`Found::Dead`]
    Dead(Sequence),
    /// `lanes` → [`Found::Lane`]
    Lane(LaneHash),
    /// The segment whose index holds these bytes, and its marks → [`Found::Segment`]
    Holder([u8; 16]),
    /// So many marks after a segment, in order → [`Found::MarksList`]
    MarksAfter(Sequence, u32),
    /// `meta.tombstones` → [`Found::Tombstones`]
    Tombstones,
    /// `meta.beat` → [`Found::Beat`]
    Beat,
    /// `state` → [`Found::Record`]
    Record(RecordName),
    /// `bodies` of a segment → [`Found::Body`]
    Body(Sequence),
    /// `inbox` → [`Found::Inbox`]
    Inbox(Option<EventId>, EventId),
}

/// What a read or an addition found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Default when there is none yet.
    Counter(Counter),
    /// 0 when there is none yet.
    Epoch(u64),
    /// The marks.
    Marks(Option<Marks>),
    /// The dead letter.
    Dead(Option<DeadLetter>),
    /// The lane.
    Lane(Option<LaneRecord>),
    /// Intents and marks of the segment.
    Segment(Option<(Intents, Marks)>),
    /// The marks found.
    MarksList(Vec<Marks>),
    /// Empty when there are none yet.
    Tombstones(Vec<Sequence>),
    /// 0 when there is none yet.
    Beat(u64),
    /// The application's record, as JSON.
    Record(Option<String>),
    /// The segment's events, one a line.
    Body(Option<String>),
    /// Whether the inbox has the event.
    Inbox(bool),
    /// Whether every [`Step::Add`] went in. When one clashed, the store has taken the others back.
    Added(bool),
}

/// A write the store performs at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// `meta.counter`
    Counter(Counter),
    /// `meta.epoch`
    Epoch(u64),
    /// `meta.tombstones`
    Tombstones(Vec<Sequence>),
    /// `meta.ages`
    Ages(Vec<AgeMark>),
    /// `meta.beat`
    Beat(u64),
    /// `meta.paused`
    Paused(bool),
    /// `meta.pace`
    Pace(PaceRecord),
    /// `meta.offer`, with the time it was made.
    Offer(EdgeConfig, UnixMillis),
    /// `marks`, put.
    Marks(Marks),
    /// `bodies`, put: one event a line.
    Body(Sequence, String),
    /// `bodies`, deleted.
    DeleteBody(Sequence),
    /// `dead`, put under `[closed, sequence]`.
    Dead(DeadLetter),
    /// `dead`, the open record deleted.
    DeleteOpenDead(Sequence),
    /// `lanes`, put.
    Lane(LaneRecord),
    /// `lanes`, deleted.
    DeleteLane(LaneHash),
    /// `intents`, `marks` and `bodies` of a segment, deleted.
    DeleteSegment(Sequence),
    /// `inbox`, put under `[cause, id]`.
    Inbox(FeedEvent),
    /// `inbox`, deleted: what came before the second id, or answers an event between both. An event of a clock that was
    /// never set is before the first, and what answers it may have come a moment ago.
    ForgetInbox(EventId, EventId),
    /// `meta.cursor`
    Cursor(String),
    /// `state`, put, or deleted without a value.
    Record(RecordName, Option<String>),
}

/// What the store does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Perform these reads in the transaction and step again with what was found, in order.
    Read(Vec<Read>),
    /// Add these to `intents` under its unique index and step again with one [`Found::Added`].
    Add(Vec<Intents>),
    /// Perform these writes and let the transaction complete; then this is the result.
    Finish(Vec<Write>, Done),
    /// Abort: nothing of this transaction may remain.
    Abort(Refusal),
}

/// What a transaction achieved.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// One result per event of an append, in order, and the totals after it.
    Appended(Vec<Appended>, Counter),
    /// Rows settled; the totals after it.
    Settled(Counter),
    /// Rows marked; the totals after it.
    Marked(Counter),
    /// The epoch this context now leads with.
    Leading(u64),
    /// The dead letter was closed.
    Closed(Closed),
    /// Which events of the feed were new, by their places.
    Heard(Vec<usize>),
    /// Go on pruning after this segment, or the end.
    Pruned(Option<Sequence>),
    /// Written.
    Written,
}

/// What came of a decision about a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Its lane.
    pub lane: LaneHash,
    /// Whether the lane waited for this very letter.
    pub waited: bool,
    /// The new or revived event, unless it was given up.
    pub appended: Option<Appended>,
    /// The totals after it.
    pub counter: Counter,
}

/// Why a transaction was refused. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another context leads by now.
    StaleEpoch,
    /// No such open dead letter.
    NotFound,
    /// The next attempt of this intent is in the outbox already.
    IntentTaken,
    /// The machine was driven wrongly: a fault of the store, not of the caller.
    Broken,
}

/// What became of one event of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk.
    Stored(Kept),
    /// Its intent was on disk before, with the same meaning.
    Replayed(Kept),
    /// Its intent was on disk before, with another meaning.
    Conflict(Kept),
    /// Its intent was given up by a person.
    Closed(Kept),
    /// The outbox owes too much already.
    Full,
    /// The record this guard of its commit names, by place, is not as expected.
    Guarded(usize),
    /// Another event of its commit could not be taken.
    Undone,
}

/// What is known of a stored event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Delivery identity.
    pub id: EventId,
    /// Idempotency key.
    pub intent: IntentKey,
    /// The row.
    pub row: RowRef,
    /// When it was stored.
    pub stored_at: UnixMillis,
}

/// The machine of one transaction.
#[derive(Debug)]
pub struct Transaction {
    batch: Batch,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    Waiting,
    Adding(Box<Append>),
    Looking(Box<Append>),
    Deciding(Vec<Found>),
    Redriving(Vec<Write>, Done),
}

impl Transaction {
    /// Starts the machine of a batch.
    pub fn new(batch: Batch) -> Self {
        Self { batch, state: State::Start }
    }

    /// What it is to do, for another try after the store failed under it.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Goes on with what the last step asked for; the first call takes an empty list.
    pub fn step(&mut self, found: Vec<Found>) -> Step {
        match core::mem::replace(&mut self.state, State::Waiting) {
            State::Start => self.start(),
            State::Waiting => self.first_answer(found),
            State::Adding(append) => self.added(append, &found),
            State::Looking(mut append) => self.looked(&mut append, found),
            State::Deciding(mut before) => {
                before.extend(found);
                self.close_dead(&before)
            }
            State::Redriving(writes, done) => match found.first() {
                Some(Found::Added(true)) => Step::Finish(writes, done),
                Some(Found::Added(false)) => Step::Abort(Refusal::IntentTaken),
                _ => Step::Abort(Refusal::Broken),
            },
        }
    }

    fn start(&self) -> Step {
        let mut reads = Vec::new();
        if self.epoch().is_some() {
            reads.push(Read::Epoch);
        }
        match &self.batch {
            Batch::Append { commits, .. } => {
                reads.push(Read::Counter);
                for record in guarded(commits).into_keys() {
                    reads.push(Read::Record(record));
                }
            }
            Batch::Settle { rows, .. } => {
                reads.push(Read::Counter);
                let mut segments = FlatMap::new();
                let mut dead = false;
                for settlement in rows.iter() {
                    segments.insert(settlement.row.segment, ());
                    dead |= matches!(settlement.outcome, Outcome::Dead { .. });
                }
                read_marks(&mut reads, segments);
                if dead {
                    reads.push(Read::Tombstones);
                }
            }
            Batch::Sent { rows, .. } => {
                reads.push(Read::Counter);
                let mut segments = FlatMap::new();
                for row in rows {
                    segments.insert(row.segment, ());
                }
                read_marks(&mut reads, segments);
            }
            Batch::Wait { lanes, .. } => {
                for (lane, _) in lanes {
                    reads.push(Read::Lane(*lane));
                }
            }
            Batch::Redrive { sequence, .. }
            | Batch::Revive { sequence, .. }
            | Batch::Discard { sequence, .. } => {
                reads.push(Read::Dead(*sequence));
                reads.push(Read::Counter);
            }
            Batch::Lead => reads.push(Read::Epoch),
            Batch::Prune { after, .. } => {
                reads.push(Read::Counter);
                reads.push(Read::MarksAfter(*after, 64));
            }
            Batch::Feed { heard, .. } => {
                for own in heard.iter() {
                    reads.push(Read::Inbox(filed_under(own), own.event.id));
                }
            }
            Batch::Buried(_) => reads.push(Read::Tombstones),
            Batch::Beat { .. } => reads.push(Read::Beat),
            Batch::Ages(ages) => return written(Write::Ages(ages.clone())),
            Batch::Pause(paused) => return written(Write::Paused(*paused)),
            Batch::Pace(pace) => return written(Write::Pace(*pace)),
            Batch::Offer(offer, at) => return written(Write::Offer(offer.clone(), *at)),
        }
        Step::Read(reads)
    }

    /// The leader's epoch, for what only the leader may write.
    fn epoch(&self) -> Option<u64> {
        match &self.batch {
            Batch::Settle { epoch, .. }
            | Batch::Sent { epoch, .. }
            | Batch::Wait { epoch, .. }
            | Batch::Beat { epoch, .. }
            | Batch::Feed { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }

    fn first_answer(&mut self, found: Vec<Found>) -> Step {
        if self
            .epoch()
            .is_some_and(|epoch| !matches!(found.first(), Some(Found::Epoch(own)) if *own == epoch))
        {
            return Step::Abort(Refusal::StaleEpoch);
        }
        match &self.batch {
            Batch::Append { events, commits, room, at } => {
                let mut found = found.into_iter();
                let Some(Found::Counter(counter)) = found.next() else {
                    return Step::Abort(Refusal::Broken);
                };
                let mut records = guarded(commits);
                for (record, one) in records.values_mut().zip(found) {
                    if let Found::Record(value) = one {
                        *record = value;
                    }
                }
                let append = Append::plan(events, commits, Held { counter, room: *room, records }, *at);
                self.add(append)
            }
            Batch::Settle { rows, at, .. } => settle(rows, *at, &found),
            Batch::Sent { rows, maybe, .. } => sent(rows, *maybe, &found),
            Batch::Wait { lanes, .. } => wait(lanes, &found),
            Batch::Redrive { .. } | Batch::Revive { .. } | Batch::Discard { .. } => match found.first() {
                Some(Found::Dead(Some(letter))) => {
                    let mut reads = vec![Read::Lane(letter.lane), Read::Marks(letter.row.segment)];
                    if let Batch::Revive { id, .. } = &self.batch {
                        reads.push(Read::Holder(id.to_bytes()));
                        reads.push(Read::Body(letter.row.segment));
                    }
                    self.state = State::Deciding(found);
                    Step::Read(reads)
                }
                Some(Found::Dead(None)) => Step::Abort(Refusal::NotFound),
                _ => Step::Abort(Refusal::Broken),
            },
            Batch::Lead => match found.first() {
                Some(Found::Epoch(epoch)) => {
                    Step::Finish(vec![Write::Epoch(epoch + 1)], Done::Leading(epoch + 1))
                }
                _ => Step::Abort(Refusal::Broken),
            },
            Batch::Feed { heard, cursor, at, .. } => hear(heard, cursor, *at, &found),
            Batch::Prune { at, .. } => prune(*at, &found),
            Batch::Buried(told) => {
                let mut left = tombstones_in(&found);
                take_out(&mut left, told);
                written(Write::Tombstones(left))
            }
            Batch::Beat { leaves, .. } => match found.get(1) {
                Some(Found::Beat(beat)) => written(Write::Beat(if *leaves { 0 } else { beat + 1 })),
                _ => Step::Abort(Refusal::Broken),
            },
            Batch::Pause(_) | Batch::Pace(_) | Batch::Offer(..) | Batch::Ages(_) => {
                Step::Abort(Refusal::Broken)
            }
        }
    }

    /// Tries to add what is fresh; with nothing fresh the append is decided.
    fn add(&mut self, mut append: Box<Append>) -> Step {
        if append.must_look() {
            return self.look(append);
        }
        if append.segments().is_empty() {
            return self.finish_append(&mut append);
        }
        let records = append.segments().to_vec();
        self.state = State::Adding(append);
        Step::Add(records)
    }

    fn added(&mut self, mut append: Box<Append>, found: &[Found]) -> Step {
        match found.first() {
            Some(Found::Added(true)) => self.finish_append(&mut append),
            Some(Found::Added(false)) if !append.has_looked() => self.look(append),
            _ => Step::Abort(Refusal::Broken),
        }
    }

    /// Asks for whatever holds the identities of the append.
    fn look(&mut self, append: Box<Append>) -> Step {
        let Batch::Append { events, .. } = &self.batch else { return Step::Abort(Refusal::Broken) };
        let mut identities = FlatMap::new();
        for event in events.iter() {
            identities.insert(event.intent.to_bytes(), ());
            identities.insert(event.id.to_bytes(), ());
        }
        let mut reads = Vec::new();
        for identity in identities.keys() {
            reads.push(Read::Holder(*identity));
        }
        self.state = State::Looking(append);
        Step::Read(reads)
    }

    fn looked(&mut self, append: &mut Append, found: Vec<Found>) -> Step {
        let Batch::Append { events, commits, at, .. } = &self.batch else {
            return Step::Abort(Refusal::Broken);
        };
        // A replayed burst finds the same few segments again and again.
        let mut holders = FlatMap::new();
        for one in found {
            if let Found::Segment(Some(holder)) = one {
                holders.insert(holder.0.first, holder);
            }
        }
        let next = append.again(events, commits, &holders, *at);
        self.add(next)
    }

    fn finish_append(&self, append: &mut Append) -> Step {
        let Batch::Append { events, at, .. } = &self.batch else { return Step::Abort(Refusal::Broken) };
        let (writes, counter, results) = append.finish(events, *at);
        Step::Finish(writes, Done::Appended(results, counter))
    }

    fn close_dead(&mut self, found: &[Found]) -> Step {
        let [
            Found::Dead(Some(letter)),
            Found::Counter(counter),
            Found::Lane(lane),
            Found::Marks(Some(marks)),
            rest @ ..,
        ] = found
        else {
            return Step::Abort(Refusal::Broken);
        };
        let dead = Dead { letter, counter: *counter, lane: *lane, marks: marks.clone() };
        match &self.batch {
            Batch::Discard { reason, at, .. } => dead.discard(reason, *at),
            Batch::Revive { id, at, .. } => match rest {
                [Found::Segment(Some((intents, _))), Found::Body(body)] => {
                    dead.revive(intents, body.as_deref().unwrap_or_default(), *id, *at)
                }
                _ => Step::Abort(Refusal::NotFound),
            },
            Batch::Redrive { event, at, .. } => {
                let mut intents = Intents::new(counter.next, *at);
                intents.push(event);
                let (writes, done) = dead.redrive(event, *at);
                self.state = State::Redriving(writes, done);
                Step::Add(vec![intents])
            }
            _ => Step::Abort(Refusal::Broken),
        }
    }
}

fn written(write: Write) -> Step {
    Step::Finish(vec![write], Done::Written)
}

fn read_marks(reads: &mut Vec<Read>, segments: FlatMap<Sequence, ()>) {
    for segment in segments.keys() {
        reads.push(Read::Marks(*segment));
    }
}

/// The marks found, which were asked for once each and in order.
fn marks_in(found: &[Found]) -> Vec<Marks> {
    let mut list = Vec::new();
    for one in found {
        if let Found::Marks(Some(marks)) = one {
            list.push(marks.clone());
        }
    }
    list
}

fn marks_of(list: &mut [Marks], row: RowRef) -> Option<&mut Marks> {
    list.iter_mut().find(|marks| marks.first == row.segment)
}

fn tombstones_in(found: &[Found]) -> Vec<Sequence> {
    for one in found {
        if let Found::Tombstones(list) = one {
            return list.clone();
        }
    }
    Vec::new()
}

fn settle(rows: &[Settlement], at: UnixMillis, found: &[Found]) -> Step {
    let Some(Found::Counter(counter)) = found.get(1) else {
        return Step::Abort(Refusal::Broken);
    };
    let mut counter = *counter;
    let mut marks = marks_in(found);
    let mut tombstones = tombstones_in(found);
    let known = tombstones.len();
    let mut writes = Vec::new();
    for settlement in rows {
        let index = settlement.row.index();
        let Some(segment) = marks_of(&mut marks, settlement.row) else { continue };
        // A row that is no longer owed was settled before; settling it again would spoil the totals.
        if segment.status_of(index) != Some(Status::Owed) {
            continue;
        }
        let status = match &settlement.outcome {
            Outcome::Accepted => Status::Accepted,
            Outcome::Duplicate => Status::Duplicate,
            Outcome::Dead { .. } => Status::Dead,
        };
        if let Some(byte) = segment.status.get_mut(index as usize) {
            counter.unknown = counter.unknown.saturating_sub(u64::from(*byte / MAYBE_SENT));
            *byte = status as u8;
        }
        segment.settled_at = at;
        counter.owed = counter.owed.saturating_sub(1);
        counter.bytes = counter.bytes.saturating_sub(settlement.bytes as u64);
        if let Outcome::Dead { reason, problem, body, blocks } = &settlement.outcome {
            counter.dead += 1;
            tombstones.push(settlement.row.sequence);
            if let Some(text) = problem {
                segment.notes.insert(index, text.clone());
            }
            writes.push(Write::Dead(DeadLetter {
                row: settlement.row,
                at,
                reason: *reason,
                problem: problem.clone(),
                body: body.clone(),
                lane: settlement.lane,
                blocks: *blocks,
                closed: None,
            }));
            if *blocks {
                let dead = Some(settlement.row.sequence);
                writes.push(Write::Lane(LaneRecord { lane: settlement.lane, dead, front: None, due: None }));
                continue;
            }
        }
        if settlement.lane_recorded {
            writes.push(Write::DeleteLane(settlement.lane));
        }
    }
    for segment in marks {
        if !segment.owes() {
            writes.push(Write::DeleteBody(segment.first));
        }
        writes.push(Write::Marks(segment));
    }
    if tombstones.len() > known {
        let excess = tombstones.len().saturating_sub(TOMBSTONES_KEEP_MAX);
        writes.push(Write::Tombstones(tombstones.split_off(excess)));
    }
    writes.push(Write::Counter(counter));
    Step::Finish(writes, Done::Settled(counter))
}

fn sent(rows: &[RowRef], maybe: bool, found: &[Found]) -> Step {
    let Some(Found::Counter(counter)) = found.get(1) else {
        return Step::Abort(Refusal::Broken);
    };
    let mut counter = *counter;
    let mut marks = marks_in(found);
    for row in rows {
        let Some(segment) = marks_of(&mut marks, *row) else { continue };
        let index = row.index() as usize;
        let (Some(byte), Some(tries)) = (segment.status.get_mut(index), segment.tries.get_mut(index)) else {
            continue;
        };
        let marked = u64::from(*byte / MAYBE_SENT);
        if maybe {
            *byte |= MAYBE_SENT;
            *tries = tries.saturating_add(1);
            counter.unknown += 1 - marked;
        } else {
            *byte &= !MAYBE_SENT;
            *tries = tries.saturating_sub(1);
            counter.unknown = counter.unknown.saturating_sub(marked);
        }
    }
    let mut writes = Vec::new();
    for segment in marks {
        writes.push(Write::Marks(segment));
    }
    writes.push(Write::Counter(counter));
    Step::Finish(writes, Done::Marked(counter))
}

fn wait(lanes: &[(LaneHash, UnixMillis)], found: &[Found]) -> Step {
    let mut writes = Vec::new();
    for (lane, due) in lanes {
        let mut record = LaneRecord { lane: *lane, dead: None, front: None, due: None };
        for one in found {
            if let Found::Lane(Some(stored)) = one
                && stored.lane == *lane
            {
                record = *stored;
            }
        }
        record.due = Some(*due);
        writes.push(Write::Lane(record));
    }
    Step::Finish(writes, Done::Written)
}

/// What an answer is kept with: the event it answers, and none when that is old already, by a clock that was set wrong or
/// because the answer comes late. With its event it would soon be forgotten, and applied again when it is said again.
fn filed_under(heard: &Heard) -> Option<EventId> {
    let FeedEvent { cause, id, .. } = heard.event;
    let minted = cause?.time()?.0;
    let recent = minted + INBOX_KEEP_MS / 2 > id.time()?.0;
    cause.filter(|_| recent || minted < CLOCK_SET_MS)
}

fn hear(heard: &[Heard], cursor: &str, at: UnixMillis, found: &[Found]) -> Step {
    let mut fresh = Vec::new();
    let mut writes = Vec::new();
    let mut said = None;
    for (place, (own, known)) in heard.iter().zip(found.iter().skip(1)).enumerate() {
        let twin = heard.iter().take(place).any(|before| before.event.id == own.event.id);
        if matches!(known, Found::Inbox(false)) && !twin {
            fresh.push(place);
            writes.push(Write::Inbox(FeedEvent { cause: filed_under(own), ..own.event.clone() }));
            for put in &own.put {
                writes.push(Write::Record(put.record.clone(), put.value.clone()));
            }
        }
        said = said.max(own.event.id.time());
    }
    // What is old by the city's clock and by the device's: either alone may jump.
    if let Some(said) = said {
        let horizon = UnixMillis(said.min(at).0.saturating_sub(INBOX_KEEP_MS));
        let first = |at| EventId::mint(at, [0; 10]);
        writes.push(Write::ForgetInbox(first(UnixMillis(CLOCK_SET_MS).min(horizon)), first(horizon)));
    }
    writes.push(Write::Cursor(cursor.to_owned()));
    Step::Finish(writes, Done::Heard(fresh))
}

/// A dead letter about which a person decided, and what the disk holds around it.
struct Dead<'a> {
    letter: &'a DeadLetter,
    counter: Counter,
    lane: Option<LaneRecord>,
    marks: Marks,
}

impl Dead<'_> {
    fn discard(mut self, reason: &str, at: UnixMillis) -> Step {
        self.settle(Status::Discarded, at);
        let closing = Closing { at, note: reason.to_owned(), redriven: false };
        let (writes, done) = self.close(closing, None, None, Vec::new());
        Step::Finish(writes, done)
    }

    /// The event is owed again in its own place, with the bytes it always had.
    fn revive(mut self, intents: &Intents, body: &str, id: EventId, at: UnixMillis) -> Step {
        let row = self.letter.row;
        let index = row.index() as usize;
        let Some(own) = intents.get(index).filter(|own| own.id == id) else {
            return Step::Abort(Refusal::NotFound);
        };
        // A settled event's line may be gone with the segment's body; it comes back where it was, beside those still
        // owed.
        let mut lines = body.split(['\n']);
        let mut whole = String::new();
        for place in 0..intents.len().max(index + 1) {
            let line = lines.next().unwrap_or_default();
            if place > 0 {
                whole.push('\n');
            }
            whole.push_str(if place == index { &self.letter.body } else { line });
        }
        self.set_status(Status::Owed as u8 | MAYBE_SENT);
        self.counter.unknown += 1;
        self.counter.owed += 1;
        self.counter.bytes += self.letter.body.len() as u64;
        let closing = Closing { at, note: id.to_string(), redriven: true };
        let kept = Kept { id, intent: own.intent, row, stored_at: intents.stored_at };
        // It would be too old at once: what is owed gets a new week.
        let writes = vec![Write::Body(row.segment, whole), Write::Ages(Vec::new())];
        let (writes, done) = self.close(closing, Some(kept), None, writes);
        Step::Finish(writes, done)
    }

    /// The new event gets the next sequence, a segment of its own and, if the lane waited, the old one's place in it.
    fn redrive(mut self, event: &Prepared, at: UnixMillis) -> (Vec<Write>, Done) {
        let sequence = self.counter.next;
        self.counter.next = Sequence(sequence.0 + 1);
        self.counter.owed += 1;
        self.counter.bytes += event.bytes as u64;
        let mut own = Marks::owed(sequence, 1);
        // A lane that went on without the dead letter has no place to give back.
        if self.lane_waits() {
            let row = self.letter.row;
            own.places.insert(0, self.marks.places.get(&row.index()).copied().unwrap_or(row.sequence));
        }
        self.settle(Status::Redriven, at);
        let closing = Closing { at, note: event.id.to_string(), redriven: true };
        let row = RowRef { segment: sequence, sequence };
        let kept = Kept { id: event.id, intent: event.intent, row, stored_at: at };
        let body = Write::Body(sequence, with_sequence(&event.tail, sequence));
        self.close(closing, Some(kept), Some(sequence), vec![Write::Marks(own), body])
    }

    fn settle(&mut self, status: Status, at: UnixMillis) {
        self.set_status(status as u8);
        self.marks.settled_at = at;
    }

    fn set_status(&mut self, status: u8) {
        if let Some(byte) = self.marks.status.get_mut(self.letter.row.index() as usize) {
            *byte = status;
        }
    }

    /// Whether the lane waits for this very letter; it may wait for another, or for a time.
    fn lane_waits(&self) -> bool {
        self.lane.is_some_and(|record| record.dead == Some(self.letter.row.sequence))
    }

    /// What every decision writes: the letter leaves the open ones for the audit, and a lane that waited for it flows,
    /// perhaps with a new front.
    fn close(
        mut self,
        closing: Closing,
        kept: Option<Kept>,
        front: Option<Sequence>,
        mut writes: Vec<Write>,
    ) -> (Vec<Write>, Done) {
        let (waited, lane) = (self.lane_waits(), self.letter.lane);
        self.counter.dead = self.counter.dead.saturating_sub(1);
        writes.push(Write::DeleteOpenDead(self.letter.row.sequence));
        writes.push(Write::Dead(DeadLetter { closed: Some(closing), ..self.letter.clone() }));
        writes.push(Write::Marks(self.marks));
        writes.push(Write::Counter(self.counter));
        if waited {
            writes.push(match front {
                None => Write::DeleteLane(lane),
                front => Write::Lane(LaneRecord { lane, dead: None, front, due: None }),
            });
        }
        let appended = kept.map(Appended::Stored);
        (writes, Done::Closed(Closed { lane, waited, appended, counter: self.counter }))
    }
}

fn prune(at: UnixMillis, found: &[Found]) -> Step {
    let [Found::Counter(counter), Found::MarksList(list)] = found else {
        return Step::Abort(Refusal::Broken);
    };
    let kept_from = counter.next.0.saturating_sub(INTENT_KEEP_EVENTS);
    let mut writes = Vec::new();
    for marks in list {
        let old = at.0.saturating_sub(marks.settled_at.0) > INTENT_KEEP_MS;
        let far = marks.first.0 + (marks.status.len() as u64) < kept_from;
        if !marks.owes() && !marks.has_dead() && (old || far) {
            writes.push(Write::DeleteSegment(marks.first));
        }
    }
    let next = if list.len() == 64 { list.last().map(|marks| marks.first) } else { None };
    Step::Finish(writes, Done::Pruned(next))
}
