//! How the events of one turn go in, with the application's records that belong to them: what is a twin, a replay or a
//! conflict, which guards hold, what is written.
//!
//! A plan is made twice at most: at first as if everything were new, and once more with what the disk holds when the
//! unique index refuses it. A commit counts as a whole: one event that cannot be taken, or one guard that fails, leaves
//! nothing of it, and spoils no neighbour.

use super::record::{Counter, Intents, Marks, RowRef, Status};
use super::transact::{Appended, Kept, Write};
use crate::event::{IntentKey, Prepared, RecordName, Sequence, UnixMillis, with_sequence};
use crate::flat::FlatMap;
use crate::limits::{BACKLOG_BYTES_MAX, BACKLOG_EVENTS_MAX, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX};

/// Events of an append that belong together, and the application's records that become durable with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Place of its first event in the append.
    pub first: usize,
    /// How many events follow from there, at least one.
    pub events: usize,
    /// What must hold of the records before.
    pub expect: Vec<Guard>,
    /// What the records are afterwards.
    pub put: Vec<Put>,
}

/// What must hold of a record for a commit to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The record.
    pub record: RecordName,
    /// Its canonical JSON, or that it is absent.
    pub expected: Option<String>,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The record.
    pub record: RecordName,
    /// Its canonical JSON, or that it is removed.
    pub value: Option<String>,
}

impl Commit {
    /// What its records take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let mut bytes = 0;
        for put in &self.put {
            bytes += put.value.as_ref().map_or(0, String::len) as u64;
        }
        bytes
    }
}

/// What the transaction found before it began to write.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) counter: Counter,
    /// Bytes of events that the origin's storage still has room for.
    pub(super) room: u64,
    /// The records some guard names.
    pub(super) records: FlatMap<RecordName, Option<String>>,
}

/// The records that the guards name, each once and not read yet.
pub(super) fn guarded(commits: &[Commit]) -> FlatMap<RecordName, Option<String>> {
    let mut records = FlatMap::new();
    for commit in commits {
        for guard in &commit.expect {
            records.insert(guard.record.clone(), None);
        }
    }
    records
}

/// An append on its way.
#[derive(Debug)]
pub(super) struct Append {
    held: Held,
    /// What the disk knows of each event, once it was asked.
    known: Option<Vec<Option<Appended>>>,
    results: Vec<Option<Appended>>,
    first_of: FlatMap<IntentKey, usize>,
    /// Indices of the events to be stored, in order.
    fresh: Vec<usize>,
    /// What they take, with the records of their commits.
    fresh_bytes: u64,
    /// For a twin within the turn: index of the event it repeats.
    twins: FlatMap<usize, usize>,
    records: FlatMap<RecordName, Option<String>>,
    segments: Vec<Intents>,
}

impl Append {
    /// Plans as if nothing of it were on the disk.
    pub(super) fn plan(events: &[Prepared], commits: &[Commit], held: Held, at: UnixMillis) -> Box<Self> {
        Self::with(events, commits, held, None, at)
    }

    /// Plans once more with what the disk holds.
    pub(super) fn again(
        &mut self,
        events: &[Prepared],
        commits: &[Commit],
        holders: &FlatMap<Sequence, (Intents, Marks)>,
        at: UnixMillis,
    ) -> Box<Self> {
        let mut known = Vec::new();
        for event in events {
            known.push(judge(event, holders));
        }
        Self::with(events, commits, core::mem::take(&mut self.held), Some(known), at)
    }

    fn with(
        events: &[Prepared],
        commits: &[Commit],
        held: Held,
        known: Option<Vec<Option<Appended>>>,
        at: UnixMillis,
    ) -> Box<Self> {
        let mut append = Box::new(Self {
            held,
            known,
            results: Vec::new(),
            first_of: FlatMap::new(),
            fresh: Vec::new(),
            fresh_bytes: 0,
            twins: FlatMap::new(),
            records: FlatMap::new(),
            segments: Vec::new(),
        });
        for _ in events {
            append.results.push(None);
        }
        let mut index = 0;
        let mut commits = commits.iter().peekable();
        while let Some(event) = events.get(index) {
            match commits.next_if(|commit| commit.first == index) {
                Some(commit) => {
                    append.take_commit(events, commit);
                    index += commit.events.max(1);
                }
                None => {
                    append.take(index, event);
                    index += 1;
                }
            }
        }
        append.pack(events, at);
        append
    }

    /// Whether the disk was asked. A second clash cannot happen within one transaction.
    pub(super) fn has_looked(&self) -> bool {
        self.known.is_some()
    }

    /// Whether something is refused that may have been stored before, and then is a replay.
    pub(super) fn must_look(&self) -> bool {
        let refused = |one: &Option<Appended>| matches!(one, Some(Appended::Full | Appended::Guarded(_)));
        !self.has_looked() && self.results.iter().any(refused)
    }

    /// What goes into `intents`.
    pub(super) fn segments(&self) -> &[Intents] {
        &self.segments
    }

    fn take(&mut self, index: usize, event: &Prepared) {
        let known = self.known.as_ref().and_then(|known| known.get(index).copied().flatten());
        if let Some(known) = known {
            self.set(index, known);
        } else if let Some(first) = self.first_of.get(&event.intent) {
            self.twins.insert(index, *first);
        } else if self.is_full(event) {
            self.set(index, Appended::Full);
        } else {
            self.first_of.insert(event.intent, index);
            self.fresh.push(index);
            self.fresh_bytes += event.bytes as u64;
        }
    }

    fn is_full(&self, event: &Prepared) -> bool {
        let counter = &self.held.counter;
        counter.owed + self.fresh.len() as u64 >= BACKLOG_EVENTS_MAX
            || self.fresh_bytes + event.bytes as u64
                > self.held.room.min(BACKLOG_BYTES_MAX.saturating_sub(counter.bytes))
    }

    fn take_commit(&mut self, events: &[Prepared], commit: &Commit) {
        let (fresh, bytes) = (self.fresh.len(), self.fresh_bytes);
        self.fresh_bytes += commit.bytes();
        let own = commit.first..commit.first + commit.events;
        for index in own.clone() {
            if let Some(event) = events.get(index) {
                self.take(index, event);
            }
        }
        let spoils = |append: &Self, index: usize| match append.results.get(index) {
            Some(Some(Appended::Stored(_) | Appended::Replayed(_))) => false,
            Some(None) => !append.twins.get(&index).is_none_or(|first| same_meaning(events, index, *first)),
            _ => true,
        };
        let mut spoilt = Vec::new();
        for index in own.clone() {
            if spoils(self, index) {
                spoilt.push(index);
            }
        }
        let replayed = self.fresh.len() == fresh;
        // What was stored before took its records along.
        if spoilt.is_empty() && replayed {
            self.fresh_bytes = bytes;
            return;
        }
        let failed =
            commit.expect.iter().position(|guard| self.record(&guard.record) != guard.expected.as_ref());
        if spoilt.is_empty() && failed.is_none() {
            for put in &commit.put {
                self.records.insert(put.record.clone(), put.value.clone());
            }
            return;
        }
        self.fresh.truncate(fresh);
        self.fresh_bytes = bytes;
        for index in own.clone() {
            if let Some(event) = events.get(index)
                && self.first_of.get(&event.intent) == Some(&index)
            {
                self.first_of.remove(&event.intent);
            }
        }
        let undone = if spoilt.is_empty() { failed.map(Appended::Guarded) } else { None };
        let undone = undone.unwrap_or(Appended::Undone);
        for index in own {
            if !spoilt.contains(&index) {
                self.twins.remove(&index);
                self.set(index, undone);
            }
        }
    }

    /// A record as it is after the commits before this one.
    fn record(&self, name: &RecordName) -> Option<&String> {
        self.records.get(name).or_else(|| self.held.records.get(name)).and_then(Option::as_ref)
    }

    fn set(&mut self, index: usize, result: Appended) {
        if let Some(slot) = self.results.get_mut(index) {
            *slot = Some(result);
        }
    }

    /// Cuts the fresh events into segments within the limits.
    fn pack(&mut self, events: &[Prepared], at: UnixMillis) {
        let mut next = self.held.counter.next;
        let mut bytes = 0;
        for event in self.fresh.iter().filter_map(|index| events.get(*index)) {
            bytes += event.bytes;
            match self.segments.last_mut() {
                Some(segment) if segment.len() < SEGMENT_EVENTS_MAX && bytes <= SEGMENT_BYTES_MAX => {
                    segment.push(event);
                }
                _ => {
                    bytes = event.bytes;
                    let mut segment = Intents::new(next, at);
                    segment.push(event);
                    self.segments.push(segment);
                }
            }
            next.0 += 1;
        }
    }

    /// What is written, the totals after it, and what became of each event.
    pub(super) fn finish(
        &mut self,
        events: &[Prepared],
        at: UnixMillis,
    ) -> (Vec<Write>, Counter, Vec<Appended>) {
        let mut writes = Vec::new();
        let mut counter = self.held.counter;
        let mut fresh = core::mem::take(&mut self.fresh).into_iter();
        for segment in core::mem::take(&mut self.segments) {
            let mut body = String::new();
            for place in 0..segment.len() as u64 {
                let Some((index, event)) = fresh.next().and_then(|index| Some((index, events.get(index)?)))
                else {
                    continue;
                };
                let sequence = Sequence(segment.first.0 + place);
                if place > 0 {
                    body.push('\n');
                }
                body.push_str(&with_sequence(&event.tail, sequence));
                counter.owed += 1;
                counter.bytes += event.bytes as u64;
                counter.next = Sequence(sequence.0 + 1);
                let row = RowRef { segment: segment.first, sequence };
                let kept = Kept { id: event.id, intent: event.intent, row, stored_at: at };
                self.set(index, Appended::Stored(kept));
            }
            writes.push(Write::Marks(Marks::owed(segment.first, segment.len())));
            writes.push(Write::Body(segment.first, body));
        }
        if !writes.is_empty() {
            writes.push(Write::Counter(counter));
        }
        let mut results = Vec::new();
        for index in 0..self.results.len() {
            results.push(self.result(index, events));
        }
        for (name, value) in core::mem::take(&mut self.records) {
            writes.push(Write::Record(name, value));
        }
        (writes, counter, results)
    }

    fn result(&self, index: usize, events: &[Prepared]) -> Appended {
        let of = |index: usize| self.results.get(index).copied().flatten().unwrap_or(Appended::Full);
        let Some(first) = self.twins.get(&index) else { return of(index) };
        match of(*first) {
            Appended::Stored(kept) if same_meaning(events, index, *first) => Appended::Replayed(kept),
            Appended::Stored(kept) => Appended::Conflict(kept),
            other => other,
        }
    }
}

fn same_meaning(events: &[Prepared], one: usize, other: usize) -> bool {
    match (events.get(one), events.get(other)) {
        (Some(one), Some(other)) => one.fingerprint == other.fingerprint,
        _ => false,
    }
}

/// What the store already knows of an event, if it does.
fn judge(event: &Prepared, holders: &FlatMap<Sequence, (Intents, Marks)>) -> Option<Appended> {
    for (intents, marks) in holders.values() {
        for (place, own) in intents.iter().enumerate() {
            if own.intent != event.intent && own.id != event.id {
                continue;
            }
            let sequence = Sequence(intents.first.0 + place as u64);
            let row = RowRef { segment: intents.first, sequence };
            let kept = Kept { id: own.id, intent: own.intent, row, stored_at: intents.stored_at };
            return Some(if own.id == event.id {
                // Our own earlier try at this append completed after all.
                Appended::Stored(kept)
            } else if marks.status_of(row.index()) == Some(Status::Discarded) {
                Appended::Closed(kept)
            } else if own.fingerprint == event.fingerprint {
                Appended::Replayed(kept)
            } else {
                Appended::Conflict(kept)
            });
        }
    }
    None
}
