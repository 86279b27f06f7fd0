//! A modelled IndexedDB: it runs the same transaction machine as the browser's store, and a power cut takes back
//! what was not yet flushed, from its end.

use crate::bug::Bug;
use crate::oracle::CARD;
use conch::event::{EventId, LaneHash, RecordName, Sequence, UnixMillis};
use conch::limits::LOAD_SEGMENTS_MAX;
use conch::outbox::port::{Applied, Batch, Durability, Load, LoadedRow, Opened, Page, StoreFault};
use conch::outbox::record::{
    AgeMark, Counter, DeadLetter, Intents, LaneRecord, MAYBE_SENT, Marks, PaceRecord, RowRef, Status,
};
use conch::outbox::transact::{Found, Read, Step, Transaction, Write};
use conch::wire::EdgeConfig;
use std::collections::{BTreeMap, BTreeSet};

/// Everything on one device's disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Running totals.
    pub counter: Counter,
    /// Which layout its rows have; 0 while there is no database.
    pub layout: u32,
    /// Epoch of the last lead.
    pub epoch: u64,
    /// Whether a person stopped it.
    pub paused: bool,
    tombstones: Vec<Sequence>,
    ages: Vec<AgeMark>,
    beat: u64,
    pace: PaceRecord,
    offer: Option<(EdgeConfig, UnixMillis)>,
    /// Segments' identities.
    pub intents: BTreeMap<Sequence, Intents>,
    /// Segments' states.
    pub marks: BTreeMap<Sequence, Marks>,
    /// Segments' events, one a line.
    pub bodies: BTreeMap<Sequence, String>,
    /// Lanes that do not simply flow.
    pub lanes: BTreeMap<LaneHash, LaneRecord>,
    /// Dead letters by `(closed, sequence)`.
    pub dead: BTreeMap<(bool, Sequence), DeadLetter>,
    holders: BTreeMap<[u8; 16], Sequence>,
    /// Where the device stands in the city's feed.
    pub cursor: String,
    /// What the feed brought, by the event it answers and its own id.
    pub inbox: BTreeMap<(Option<EventId>, EventId), String>,
    /// The application's records.
    pub records: BTreeMap<RecordName, String>,
    /// Intents and ids that were pruned. No browser keeps this; it is how the oracle knows.
    pub forgotten: BTreeSet<[u8; 16]>,
}

/// One change of the tables.
#[derive(Clone, Debug)]
enum Edit {
    Add(Intents),
    Write(Write),
    Layout(u32),
    /// Planted: all segments that owe are gone.
    LoseOwed,
}

/// One device's disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What a reader sees.
    pub now: Tables,
    /// What survives a power cut.
    pub flushed: Tables,
    /// What was handed over since the last flush, a transaction each.
    unflushed: Vec<Vec<Edit>>,
    /// The segments whose marks the last transaction wrote.
    pub touched: Vec<Sequence>,
    /// A fault planted into this disk, to see whether the oracle finds it.
    bug: Option<Bug>,
}

impl Disk {
    /// An empty disk, perhaps with a fault.
    pub fn with(bug: Option<Bug>) -> Self {
        Self { bug, ..Self::default() }
    }

    /// The first page creates it.
    pub fn create(&mut self, layout: u32) {
        if self.now.layout == 0 {
            (self.now.layout, self.flushed.layout) = (layout, layout);
        }
    }

    /// Brings it to a newer layout in one transaction, which a power cut may take back. Every row stays.
    pub fn upgrade(&mut self, layout: u32) {
        self.now.layout = layout;
        let mut edits = vec![Edit::Layout(layout)];
        if self.bug == Some(Bug::UpgradeForgets) {
            self.now.lose_owed();
            edits.push(Edit::LoseOwed);
        }
        self.unflushed.push(edits);
    }

    /// Applies one batch in one transaction.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        self.touched.clear();
        let mut transaction = Transaction::new(self.spoilt(batch));
        let mut found = Vec::new();
        let mut added = Vec::new();
        loop {
            match transaction.step(core::mem::take(&mut found)) {
                Step::Read(reads) => found = reads.iter().map(|read| self.read(read)).collect(),
                Step::Add(records) => {
                    let went_in = self.bug == Some(Bug::BlindIndex) || !self.now.clashes(&records);
                    if went_in {
                        records.iter().for_each(|record| self.now.add(record));
                        added.extend(records);
                    }
                    found = vec![Found::Added(went_in)];
                }
                Step::Finish(writes, done) => {
                    self.finish(added, writes, batch.durability());
                    return Ok(done);
                }
                Step::Abort(refusal) => {
                    for record in added {
                        self.now.forget(record.first);
                    }
                    return Err(StoreFault::Refused(refusal));
                }
            }
        }
    }

    fn finish(&mut self, added: Vec<Intents>, writes: Vec<Write>, durability: Durability) {
        let mut edits: Vec<Edit> = added.into_iter().map(Edit::Add).collect();
        for write in writes {
            let Some(write) = self.written(write) else { continue };
            if let Write::Marks(marks) = &write {
                self.touched.push(marks.first);
            }
            self.now.write(write.clone());
            edits.push(Edit::Write(write));
        }
        let appends = edits.iter().any(|edit| matches!(edit, Edit::Add(_)));
        self.unflushed.push(edits);
        if durability == Durability::Strict && !(appends && self.bug == Some(Bug::RelaxedEmit)) {
            self.flush(self.unflushed.len());
        }
    }

    fn flush(&mut self, transactions: usize) {
        for edit in self.unflushed.drain(..transactions).flatten() {
            match edit {
                Edit::Add(record) => self.flushed.add(&record),
                Edit::Write(write) => self.flushed.write(write),
                Edit::Layout(layout) => self.flushed.layout = layout,
                Edit::LoseOwed => self.flushed.lose_owed(),
            }
        }
    }

    /// How many transactions a power cut can take back.
    pub fn unflushed(&self) -> usize {
        self.unflushed.len()
    }

    /// The power goes out: of what was handed over but not flushed only so many transactions made it.
    pub fn power_cut(&mut self, survive: usize) {
        self.flush(survive.min(self.unflushed.len()));
        self.unflushed.clear();
        self.now = self.flushed.clone();
    }

    // Faults that are planted here.

    fn spoilt(&self, batch: &Batch) -> Batch {
        match (self.bug, batch) {
            (Some(Bug::StaleSettles), Batch::Settle { rows, at, .. }) => {
                Batch::Settle { epoch: self.now.epoch, rows: rows.clone(), at: *at }
            }
            _ => batch.clone(),
        }
    }

    fn read(&self, read: &Read) -> Found {
        match (self.bug, read) {
            (Some(Bug::HearsTwice), Read::Inbox(..)) => Found::Inbox(false),
            _ => self.now.read(read),
        }
    }

    fn written(&self, write: Write) -> Option<Write> {
        match (self.bug, write) {
            (Some(Bug::LosesLetters), Write::Dead(_)) => None,
            (Some(Bug::TornCommit), Write::Record(..)) => None,
            (Some(Bug::EagerCursor), Write::Inbox(_)) => None,
            (Some(Bug::KeepsLanes), Write::DeleteLane(_)) => None,
            (Some(Bug::Unmasked), Write::Body(first, body)) => {
                Some(Write::Body(first, body.replace("[card]", CARD)))
            }
            (_, write) => Some(write),
        }
    }

    /// What the engine learns when it opens.
    pub fn opened(&self) -> Opened {
        let lanes = self.now.lanes.values().copied();
        Opened {
            counter: self.now.counter,
            epoch: self.now.epoch,
            paused: self.now.paused,
            tombstones: self.now.tombstones.clone(),
            ages: self.now.ages.clone(),
            beat: self.now.beat,
            cursor: self.now.cursor.clone(),
            pace: self.now.pace,
            offer: self.now.offer.clone(),
            lanes: lanes.filter(|_| self.bug != Some(Bug::ForgetsLanes)).collect(),
        }
    }

    fn shows(&self, row: &LoadedRow) -> bool {
        let waits = self.bug == Some(Bug::HeadOfLine) && !self.now.lanes.is_empty();
        !waits || self.now.lanes.contains_key(&row.lane)
    }

    /// One page of owed rows.
    pub fn load(&self, load: &Load) -> Page {
        let found: Vec<&Marks> = match load {
            Load::After(after) => {
                let beyond = (core::ops::Bound::Excluded(*after), core::ops::Bound::Unbounded);
                let owing = self.now.marks.range(beyond).map(|(_, marks)| marks).filter(|marks| marks.owes());
                owing.take(LOAD_SEGMENTS_MAX as usize).collect()
            }
            Load::These(segments) => {
                let marks = segments.iter().filter_map(|first| self.now.marks.get(first));
                marks.filter(|marks| marks.owes()).collect()
            }
        };
        Page {
            rows: found
                .iter()
                .flat_map(|marks| self.now.owed_rows(marks))
                .filter(|row| self.shows(row))
                .collect(),
            last: found.last().map(|marks| marks.first),
            more: matches!(load, Load::After(_)) && found.len() == LOAD_SEGMENTS_MAX as usize,
        }
    }
}

impl Tables {
    fn read(&self, read: &Read) -> Found {
        match read {
            Read::Counter => Found::Counter(self.counter),
            Read::Epoch => Found::Epoch(self.epoch),
            Read::Beat => Found::Beat(self.beat),
            Read::Body(first) => Found::Body(self.bodies.get(first).cloned()),
            Read::Inbox(cause, id) => Found::Inbox(self.inbox.contains_key(&(*cause, *id))),
            Read::Record(name) => Found::Record(self.records.get(name).cloned()),
            Read::Tombstones => Found::Tombstones(self.tombstones.clone()),
            Read::Marks(first) => Found::Marks(self.marks.get(first).cloned()),
            Read::Dead(sequence) => Found::Dead(self.dead.get(&(false, *sequence)).cloned()),
            Read::Lane(lane) => Found::Lane(self.lanes.get(lane).copied()),
            Read::Holder(key) => {
                let first = self.holders.get(key);
                let segment =
                    first.and_then(|first| Some((self.intents.get(first)?, self.marks.get(first)?)));
                Found::Segment(segment.map(|(intents, marks)| (intents.clone(), marks.clone())))
            }
            Read::MarksAfter(after, limit) => {
                let beyond = (core::ops::Bound::Excluded(*after), core::ops::Bound::Unbounded);
                Found::MarksList(
                    self.marks.range(beyond).take(*limit as usize).map(|(_, marks)| marks.clone()).collect(),
                )
            }
        }
    }

    /// The unique index: twins inside one record are not seen, as in a browser.
    fn clashes(&self, records: &[Intents]) -> bool {
        records.iter().flat_map(Intents::index_keys).any(|key| self.holders.contains_key(&key))
    }

    fn add(&mut self, record: &Intents) {
        for key in record.index_keys() {
            self.holders.insert(key, record.first);
        }
        self.intents.insert(record.first, record.clone());
    }

    fn forget(&mut self, first: Sequence) -> Vec<[u8; 16]> {
        let keys = self.intents.remove(&first).map(|record| record.index_keys()).unwrap_or_default();
        for key in &keys {
            self.holders.remove(key);
        }
        keys
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Counter(counter) => self.counter = counter,
            Write::Epoch(epoch) => self.epoch = epoch,
            Write::Ages(ages) => self.ages = ages,
            Write::Beat(beat) => self.beat = beat,
            Write::Inbox(event) => drop(self.inbox.insert((event.cause, event.id), event.body)),
            Write::ForgetInbox(from, before) => self.inbox.retain(|(cause, id), _| match cause {
                None => *id >= before,
                Some(cause) => *cause < from || *cause >= before,
            }),
            Write::Cursor(cursor) => self.cursor = cursor,
            Write::Record(name, value) => match value {
                Some(value) => drop(self.records.insert(name, value)),
                None => drop(self.records.remove(&name)),
            },
            Write::Tombstones(list) => self.tombstones = list,
            Write::Paused(paused) => self.paused = paused,
            Write::Pace(pace) => self.pace = pace,
            Write::Offer(offer, at) => self.offer = Some((offer, at)),
            Write::Marks(marks) => drop(self.marks.insert(marks.first, marks)),
            Write::Body(first, body) => drop(self.bodies.insert(first, body)),
            Write::DeleteBody(first) => drop(self.bodies.remove(&first)),
            Write::Dead(letter) => {
                drop(self.dead.insert((letter.closed.is_some(), letter.row.sequence), letter))
            }
            Write::DeleteOpenDead(sequence) => drop(self.dead.remove(&(false, sequence))),
            Write::Lane(record) => drop(self.lanes.insert(record.lane, record)),
            Write::DeleteLane(lane) => drop(self.lanes.remove(&lane)),
            Write::DeleteSegment(first) => {
                self.marks.remove(&first);
                self.bodies.remove(&first);
                let keys = self.forget(first);
                self.forgotten.extend(keys);
            }
        }
    }

    /// Planted: what is owed is forgotten, and the totals say so.
    fn lose_owed(&mut self) {
        let only_owes = |marks: &&Marks| {
            let plain = |byte: &u8| matches!(Status::of(*byte), Status::Owed | Status::Accepted);
            marks.owes() && marks.status.iter().all(plain)
        };
        let doomed: Vec<Marks> = self.marks.values().filter(only_owes).cloned().collect();
        for marks in doomed {
            for row in self.owed_rows(&marks) {
                self.counter.owed -= 1;
                self.counter.bytes -= row.body.len() as u64;
                self.counter.unknown -= u64::from(row.maybe_sent);
            }
            self.marks.remove(&marks.first);
            self.bodies.remove(&marks.first);
            self.forget(marks.first);
        }
    }

    /// The segment whose index holds these bytes.
    pub fn holder(&self, key: [u8; 16]) -> Option<&Sequence> {
        self.holders.get(&key)
    }

    /// Dead events the city has not been told of.
    pub fn tombstones(&self) -> &[Sequence] {
        &self.tombstones
    }

    /// What was stored by which time of the city.
    pub fn ages(&self) -> &[AgeMark] {
        &self.ages
    }

    /// The owed rows of a segment.
    pub fn owed_rows(&self, marks: &Marks) -> Vec<LoadedRow> {
        let (Some(intents), Some(body)) = (self.intents.get(&marks.first), self.bodies.get(&marks.first))
        else {
            return Vec::new();
        };
        let lines = body.split('\n').zip(intents.iter()).enumerate();
        lines
            .filter_map(|(index, (line, own))| {
                let byte =
                    marks.status.get(index).copied().filter(|byte| Status::of(*byte) == Status::Owed)?;
                Some(LoadedRow {
                    row: RowRef { segment: marks.first, sequence: Sequence(marks.first.0 + index as u64) },
                    id: own.id,
                    intent: own.intent,
                    lane: own.lane,
                    on_dead: own.on_dead,
                    tries: marks.tries.get(index).copied().unwrap_or(0),
                    maybe_sent: byte & MAYBE_SENT != 0,
                    place: marks.places.get(&(index as u32)).copied(),
                    stored_at: intents.stored_at,
                    body: line.to_owned(),
                })
            })
            .collect()
    }
}
