//! The rows the engine holds: a bounded window on the backlog, in lane order, and the lanes that do not flow.
//!
//! The scan moves forward once. A row of a lane that waits is *parked* when it is met: only its segment is noted, and
//! exactly those segments are read again when the lane flows. When the near part of the window is full, the scan goes
//! on ahead for topics that have little in it, so that a long backlog of one topic does not keep the others waiting;
//! lanes it passes over are remembered in a filter, and none of their later rows is taken before the near scan has
//! caught up.

use super::port::{Load, LoadedRow, Opened};
use super::record::{LaneRecord, RowRef, take_out};
use crate::event::contract::OnDead;
use crate::event::{EventId, IntentKey, LaneHash, Sequence, UnixMillis};
use crate::flat::FlatMap;
use crate::limits::{
    BLOCKED_LANES_MAX, CROWDED_ROWS, LOAD_SEGMENTS_MAX, PASSED_BITS, WINDOW_BYTES_MAX, WINDOW_ROWS_MAX,
};

/// What is happening to a row right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing: it may be sent.
    Pending,
    /// In a request.
    InFlight,
    /// Its verdict is being written.
    Settling,
}

/// An owed row in memory.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: RowRef,
    pub(super) id: EventId,
    pub(super) intent: IntentKey,
    pub(super) lane: LaneHash,
    pub(super) on_dead: OnDead,
    pub(super) tries: u8,
    pub(super) maybe_sent: bool,
    /// Whether an earlier try than the one under way may have reached the city.
    pub(super) maybe_sent_before: bool,
    pub(super) stored_at: UnixMillis,
    pub(super) body: String,
    pub(super) doing: Doing,
    place: Sequence,
    topic: u32,
}

impl Row {
    /// Whether its mark on disk says too much: its answer is being written, or the one to its first try may still come.
    pub(super) fn awaits_answer(&self) -> bool {
        self.maybe_sent
            && (self.doing == Doing::Settling || self.doing == Doing::InFlight && !self.maybe_sent_before)
    }

    /// From here on it may reach the city.
    pub(super) fn begin_try(&mut self) {
        self.tries = self.tries.saturating_add(1);
        self.maybe_sent_before = self.maybe_sent;
        self.maybe_sent = true;
    }

    /// The try that was begun never left.
    pub(super) fn take_try_back(&mut self) {
        self.maybe_sent = self.maybe_sent_before;
        self.tries = self.tries.saturating_sub(1);
    }
}

/// Why a lane waits, and where its rows lie.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneState {
    /// The dead letter it waits for.
    pub(super) dead: Option<Sequence>,
    /// The event that goes first.
    pub(super) front: Option<Sequence>,
    /// Not before, monotonic.
    pub(super) due_ms: Option<u64>,
    /// Whether it waits for credentials.
    pub(super) held: bool,
    /// Waits in a row, for the lane's own ladder.
    pub(super) waits: u32,
    /// Segments with rows of this lane that were left on disk, ascending.
    parked: Vec<Sequence>,
    back: Back,
}

/// The way of a lane's parked rows back into the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Back {
    /// They stay where they are.
    #[default]
    Stays,
    /// They are to be read again.
    Due,
    /// They are being read.
    Coming,
}

impl LaneState {
    fn stuck(&self) -> bool {
        self.dead.is_some() || self.due_ms.is_some()
    }

    /// It waits for a dead letter now, and for nothing else.
    pub(super) fn wait_for(&mut self, dead: Sequence) {
        let parked = core::mem::take(&mut self.parked);
        *self = Self { dead: Some(dead), parked, ..Self::default() };
    }

    fn park(&mut self, segment: Sequence) {
        if let Err(place) = self.parked.binary_search(&segment) {
            self.parked.insert(place, segment);
        }
    }
}

/// What the page on its way is for.
#[derive(Debug)]
enum Reading {
    /// The next rows in order.
    Near,
    /// What lies ahead of a full window.
    Far,
    /// These segments, whose lanes flow again.
    Back(Vec<Sequence>),
}

/// Lanes that may have rows between the near and the far scan: a Bloom filter of two hashes, made when needed. It may
/// name a lane too many, which then waits for the near scan, and never one too few.
#[derive(Debug, Default)]
struct Passed(Vec<u64>);

impl Passed {
    fn places(lane: LaneHash) -> [u64; 2] {
        [lane.0 % PASSED_BITS, (lane.0 >> 32) % PASSED_BITS]
    }

    fn add(&mut self, lane: LaneHash) {
        self.0.resize(usize::try_from(PASSED_BITS / 64).unwrap_or(0), 0);
        for place in Self::places(lane) {
            if let Some(word) = self.0.get_mut(usize::try_from(place / 64).unwrap_or(usize::MAX)) {
                *word |= 1 << (place % 64);
            }
        }
    }

    fn has(&self, lane: LaneHash) -> bool {
        Self::places(lane).iter().all(|place| {
            let word = self.0.get(usize::try_from(place / 64).unwrap_or(usize::MAX));
            word.is_some_and(|word| word >> (place % 64) & 1 == 1)
        })
    }
}

/// The window and its lanes.
#[derive(Debug)]
pub(super) struct Window {
    room: Room,
    rows: FlatMap<(Sequence, Sequence), Box<Row>>,
    places: FlatMap<Sequence, Sequence>,
    bytes: usize,
    topics: FlatMap<u32, usize>,
    pub(super) lanes: FlatMap<LaneHash, Box<LaneState>>,
    /// Every owed row of the segments up to here is held or parked.
    near: Sequence,
    /// Segments up to here were looked at; what was not taken of them is in `passed`.
    far: Sequence,
    passed: Passed,
    /// Whether there may be segments beyond the far scan.
    more: bool,
    /// Parked segments to be read again.
    back: FlatMap<Sequence, ()>,
    reading: Option<Reading>,
    /// The backlog grew while a page was on its way, which that page may not show.
    grew_meanwhile: bool,
    /// Rows settled while a page was on its way, which that page may still show as owed.
    settled_meanwhile: FlatMap<Sequence, ()>,
}

/// How much the window holds.
#[derive(Clone, Copy, Debug)]
struct Room {
    rows: usize,
    crowded: usize,
    lanes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self::with(Room { rows: WINDOW_ROWS_MAX, crowded: CROWDED_ROWS, lanes: BLOCKED_LANES_MAX })
    }
}

impl Window {
    fn with(room: Room) -> Self {
        Self {
            room,
            rows: FlatMap::new(),
            places: FlatMap::new(),
            bytes: 0,
            topics: FlatMap::new(),
            lanes: FlatMap::new(),
            near: Sequence(0),
            far: Sequence(0),
            passed: Passed::default(),
            more: false,
            back: FlatMap::new(),
            reading: None,
            grew_meanwhile: false,
            settled_meanwhile: FlatMap::new(),
        }
    }

    /// Starts over from what lies on disk. `mono_of` turns a stored due time into a monotonic one.
    pub(super) fn restart(&mut self, opened: &Opened, mono_of: impl Fn(UnixMillis) -> u64) {
        self.lanes.clear();
        self.reading = None;
        self.forget_rows();
        for LaneRecord { lane, dead, front, due } in &opened.lanes {
            // It waited at least once, so its record goes with its next verdict.
            let (due_ms, waits) = (due.map(&mono_of), u32::from(due.is_some()));
            let state = LaneState { dead: *dead, front: *front, due_ms, waits, ..LaneState::default() };
            self.lanes.insert(*lane, Box::new(state));
        }
    }

    /// Takes over what another context decided about lanes: a dead letter closed, a new front. Mere waits are the
    /// leader's own, who knows them better than the disk.
    pub(super) fn refresh(&mut self, opened: &Opened, mono_of: impl Fn(UnixMillis) -> u64) {
        let decides = |record: &LaneRecord| record.dead.is_some() || record.front.is_some();
        let mut stored = FlatMap::new();
        for record in &opened.lanes {
            if decides(record) {
                stored.insert(record.lane, ());
            }
        }
        let mut gone = Vec::new();
        for (lane, state) in self.lanes.iter() {
            let decided = state.dead.is_some() || state.front.is_some();
            if decided && !stored.contains_key(lane) {
                gone.push(*lane);
            }
        }
        let mut changed = !gone.is_empty();
        for lane in &gone {
            self.unblock(*lane);
        }
        for record in &opened.lanes {
            let own = self.lanes.get(&record.lane).map(|state| (state.dead, state.front));
            if decides(record) && own != Some((record.dead, record.front)) {
                changed = true;
                self.block(record.lane, |state| {
                    state.dead = record.dead;
                    state.front = record.front;
                    state.due_ms = record.due.map(&mono_of);
                });
            }
        }
        if changed {
            // What they decided may have made rows owed that were not.
            self.rescan();
        }
    }

    /// Forgets all rows but keeps what is known of the lanes.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
        self.places.clear();
        self.topics.clear();
        self.bytes = 0;
        self.back.clear();
        for state in self.lanes.values_mut() {
            state.parked.clear();
            state.back = Back::Stays;
        }
        self.rescan();
    }

    /// Looks at the backlog from its start again; rows already held are kept as they are.
    pub(super) fn rescan(&mut self) {
        self.near = Sequence(0);
        self.far = Sequence(0);
        self.passed = Passed::default();
        self.more = true;
        self.page_failed();
    }

    /// There are new rows beyond the scan.
    pub(super) fn grew(&mut self) {
        self.more = true;
        self.grew_meanwhile = true;
    }

    /// Whether rows may lie on disk that were not looked at for this window.
    pub(super) fn may_find_more(&self) -> bool {
        self.more || self.near < self.far || !self.back.is_empty()
    }

    /// How many rows it holds, how many bytes, how many lanes it knows, and how many segments are parked.
    pub(super) fn weight(&self) -> [usize; 4] {
        let parked = self.lanes.values().map(|lane| lane.parked.len()).sum();
        [self.rows.len(), self.bytes, self.lanes.len(), parked]
    }

    /// The next page to be read, if there is room and something to look for. It is on its way from here on.
    pub(super) fn next_page(&mut self) -> Option<Load> {
        let held = self.rows.len();
        if held >= self.room.rows || self.bytes >= WINDOW_BYTES_MAX {
            return None;
        }
        let (reading, load) = if !self.back.is_empty() {
            let segments = self.back.keys().as_slice();
            let segments = segments.chunks(LOAD_SEGMENTS_MAX as usize).next().unwrap_or_default().to_vec();
            self.bring_back(&segments);
            (Reading::Back(segments.clone()), Load::These(segments))
        } else if self.near_has_room() && (self.near < self.far || self.more) {
            (Reading::Near, Load::After(self.near))
        } else if self.more {
            (Reading::Far, Load::After(self.far))
        } else {
            return None;
        };
        self.reading = Some(reading);
        self.grew_meanwhile = false;
        self.settled_meanwhile.clear();
        Some(load)
    }

    fn near_has_room(&self) -> bool {
        self.rows.len() < self.room.rows / 2 && self.bytes < WINDOW_BYTES_MAX / 2
    }

    /// Notes which lanes' rows are on their way back. Segments are always read in ascending order, so a lane's rows are too.
    fn bring_back(&mut self, segments: &[Sequence]) {
        for segment in segments {
            self.back.remove(segment);
        }
        for state in self.lanes.values_mut() {
            let first = state.parked.first();
            if state.back != Back::Stays && first.is_some_and(|first| segments.contains(first)) {
                state.back = Back::Coming;
            }
        }
    }

    /// The page on its way will not come, or is not to be believed: it may show later rows of a lane alone.
    pub(super) fn page_failed(&mut self) {
        if let Some(Reading::Back(segments)) = self.reading.take() {
            for segment in &segments {
                self.back.insert(*segment, ());
            }
        }
        for state in self.lanes.values_mut() {
            if state.back == Back::Coming {
                state.back = Back::Due;
            }
        }
    }

    /// Takes a page in.
    pub(super) fn take(&mut self, rows: Vec<LoadedRow>, last: Option<Sequence>, more: bool) {
        let settled = core::mem::take(&mut self.settled_meanwhile);
        let Some(reading) = self.reading.take() else { return };
        if let Reading::Back(segments) = &reading {
            self.arrived(segments);
        }
        let mut taken = self.near;
        for row in rows {
            // A segment is taken whole or not at all.
            if matches!(reading, Reading::Near) && row.row.segment > taken {
                if !self.near_has_room() {
                    return self.near_reaches(taken, true);
                }
                taken = row.row.segment;
            }
            let sequence = &row.row.sequence;
            if settled.contains_key(sequence) || self.places.contains_key(sequence) {
                continue;
            }
            match reading {
                Reading::Near => self.hold_or_park(row),
                Reading::Far => self.hold_or_pass(row),
                Reading::Back(_) => self.hold_if_returned(row),
            }
        }
        match reading {
            Reading::Near => {
                let last = last.unwrap_or(self.near);
                self.near_reaches(if more { last } else { last.max(self.far) }, more);
            }
            Reading::Far => {
                self.far = last.unwrap_or(self.far).max(self.far);
                self.more = more || self.grew_meanwhile;
            }
            Reading::Back(_) => {
                for state in self.lanes.values_mut() {
                    if state.back == Back::Coming {
                        state.back = Back::Stays;
                        Self::release(&mut self.back, state);
                    }
                }
                self.tidy_lanes();
            }
        }
    }

    fn near_reaches(&mut self, segment: Sequence, more: bool) {
        self.near = segment;
        if self.near >= self.far {
            self.far = self.near;
            self.passed = Passed::default();
            self.more = more || self.grew_meanwhile;
        }
    }

    /// The segments of lanes that come back are in hand.
    fn arrived(&mut self, segments: &[Sequence]) {
        for state in self.lanes.values_mut() {
            if state.back == Back::Coming {
                take_out(&mut state.parked, segments);
            }
        }
    }

    /// A row in order: every earlier row of its lane is held or parked.
    fn hold_or_park(&mut self, row: LoadedRow) {
        if let Some(state) = self.lanes.get_mut(&row.lane) {
            let yields = state.front.is_some_and(|front| front != row.row.sequence);
            if state.stuck() || yields || state.back != Back::Stays {
                return Self::park(&mut self.back, state, row.row.segment);
            }
        }
        self.hold(row);
    }

    /// A row ahead of rows that were not taken.
    fn hold_or_pass(&mut self, row: LoadedRow) {
        let crowded = self.topics.get(&topic_of(&row.body)).is_some_and(|held| *held >= self.room.crowded);
        let full = self.rows.len() >= self.room.rows || self.bytes >= WINDOW_BYTES_MAX;
        if self.passed.has(row.lane) {
            return;
        }
        if crowded || full {
            return self.passed.add(row.lane);
        }
        self.hold_or_park(row);
    }

    /// A row of a segment that was read again for the sake of some lanes.
    fn hold_if_returned(&mut self, row: LoadedRow) {
        let ahead = row.row.segment > self.near;
        match self.lanes.get_mut(&row.lane) {
            Some(state) if state.front == Some(row.row.sequence) && !state.stuck() => self.hold(row),
            Some(state) if state.stuck() || state.front.is_some() || state.back == Back::Due => {
                Self::park(&mut self.back, state, row.row.segment);
            }
            Some(state) if state.back == Back::Coming => self.hold(row),
            // It flows: what is not held of it lies ahead of the near scan, which will find it.
            _ if ahead => {}
            _ => self.hold(row),
        }
    }

    fn park(back: &mut FlatMap<Sequence, ()>, state: &mut LaneState, segment: Sequence) {
        state.park(segment);
        if state.back == Back::Due || state.back == Back::Coming {
            back.insert(segment, ());
        }
    }

    fn hold(&mut self, loaded: LoadedRow) {
        let place = loaded.place.unwrap_or(loaded.row.sequence);
        let topic = topic_of(&loaded.body);
        self.bytes += loaded.body.len();
        *self.topics.or_default(topic) += 1;
        self.places.insert(loaded.row.sequence, place);
        self.rows.insert(
            (place, loaded.row.sequence),
            Box::new(Row {
                at: loaded.row,
                id: loaded.id,
                intent: loaded.intent,
                lane: loaded.lane,
                on_dead: loaded.on_dead,
                tries: loaded.tries,
                maybe_sent: loaded.maybe_sent,
                maybe_sent_before: loaded.maybe_sent,
                stored_at: loaded.stored_at,
                body: loaded.body,
                doing: Doing::Pending,
                place,
                topic,
            }),
        );
    }

    /// Notes that a row is settled while a page may be on its way.
    pub(super) fn settled_meanwhile(&mut self, sequence: Sequence) {
        if self.reading.is_some() {
            self.settled_meanwhile.insert(sequence, ());
        }
    }

    pub(super) fn row(&self, sequence: Sequence) -> Option<&Row> {
        self.rows.get(&(*self.places.get(&sequence)?, sequence)).map(Box::as_ref)
    }

    pub(super) fn row_mut(&mut self, sequence: Sequence) -> Option<&mut Row> {
        self.rows.get_mut(&(*self.places.get(&sequence)?, sequence)).map(Box::as_mut)
    }

    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<Box<Row>> {
        let place = self.places.remove(&sequence)?;
        let row = self.rows.remove(&(place, sequence))?;
        self.bytes = self.bytes.saturating_sub(row.body.len());
        if let Some(held) = self.topics.get_mut(&row.topic) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.topics.remove(&row.topic);
            }
        }
        Some(row)
    }

    /// All rows, in lane order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().map(Box::as_ref)
    }

    /// Makes a lane wait: its rows leave the window.
    pub(super) fn block(&mut self, lane: LaneHash, change: impl FnOnce(&mut LaneState)) {
        change(self.stop(lane));
    }

    fn stop(&mut self, lane: LaneHash) -> &mut LaneState {
        let mut left = Vec::new();
        for row in self.rows.values() {
            if row.lane == lane {
                left.push(row.at);
            }
        }
        for row in &left {
            self.remove(row.sequence);
        }
        let state = self.lanes.or_default(lane);
        state.back = Back::Stays;
        for row in &left {
            state.park(row.segment);
        }
        state
    }

    /// Lets a lane flow again: what it left on disk is read again.
    pub(super) fn unblock(&mut self, lane: LaneHash) {
        if let Some(state) = self.lanes.get_mut(&lane) {
            let (parked, back) = (core::mem::take(&mut state.parked), state.back);
            **state = LaneState { parked, back, ..LaneState::default() };
            if back == Back::Stays {
                Self::release(&mut self.back, state);
            }
            if state.parked.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// A row that was dead is owed again, in its old place.
    pub(super) fn revive(&mut self, lane: LaneHash, row: RowRef) {
        let waited_for_another = self.lanes.get(&lane).is_some_and(|state| {
            state.dead.is_some_and(|dead| dead != row.sequence) || state.front.is_some()
        });
        self.block(lane, |state| state.park(row.segment));
        if !waited_for_another {
            self.unblock(lane);
        }
    }

    /// A redriven row goes first in its lane, which waited for it.
    pub(super) fn lead_with(&mut self, lane: LaneHash, front: RowRef) {
        self.block(lane, |state| {
            state.dead = None;
            state.due_ms = None;
            state.front = Some(front.sequence);
        });
        self.back.insert(front.segment, ());
    }

    fn release(back: &mut FlatMap<Sequence, ()>, state: &mut LaneState) {
        if !state.parked.is_empty() {
            state.back = Back::Due;
            for segment in &state.parked {
                back.insert(*segment, ());
            }
        }
    }

    /// Clears the due time of every lane whose time has come. Its ladder is kept.
    pub(super) fn wake_lanes(&mut self, now_ms: u64) {
        for state in self.lanes.values_mut() {
            if state.due_ms.is_some_and(|due| due <= now_ms) {
                state.due_ms = None;
                if state.dead.is_none() && state.front.is_none() {
                    Self::release(&mut self.back, state);
                } else if let Some(front) = state.front
                    && state.parked.contains(&front)
                {
                    self.back.insert(front, ());
                }
            }
        }
    }

    /// Forgets lanes about which nothing is left to know.
    fn tidy_lanes(&mut self) {
        let mut idle = Vec::new();
        for (lane, state) in self.lanes.iter() {
            let known = state.stuck() || state.front.is_some() || state.waits > 0;
            if !known && state.parked.is_empty() {
                idle.push(*lane);
            }
        }
        for lane in &idle {
            self.lanes.remove(lane);
        }
    }

    /// The earliest due time of a lane.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        let mut next = None;
        for state in self.lanes.values() {
            if state.dead.is_none() {
                next = earlier(next, state.due_ms);
            }
        }
        next
    }

    /// No owed row has a lower sequence than this.
    pub(super) fn lowest_owed(&self) -> Option<Sequence> {
        let beyond = (self.more || self.near < self.far).then_some(self.near.0 + 1);
        let mut lowest = earlier(self.places.keys().next().map(|held| held.0), beyond);
        for state in self.lanes.values() {
            lowest = earlier(lowest, state.parked.first().map(|parked| parked.0));
        }
        lowest.map(Sequence)
    }

    /// Whether the row's lane waited before without a success since.
    pub(super) fn waited(&self, at: RowRef) -> bool {
        self.row(at.sequence).is_some_and(|row| self.lane_waited(row.lane))
    }

    fn lane_waited(&self, lane: LaneHash) -> bool {
        self.lanes.get(&lane).is_some_and(|state| state.waits > 0)
    }

    /// The first row of each flowing lane that may be sent, within the limits: every topic with the same share, and
    /// within it the lanes that waited with the same share as all the others.
    pub(super) fn select(&self, events_max: usize, bytes_max: usize) -> Vec<RowRef> {
        let (mut waiting, mut classes) = (0, self.topics.len());
        for state in self.lanes.values() {
            waiting += usize::from(state.back == Back::Stays);
            if state.waits > 0 {
                classes = 2 * self.topics.len();
            }
        }
        let full = waiting >= self.room.lanes;
        let mut lanes = FlatMap::new();
        let mut turns: FlatMap<(u32, bool), usize> = FlatMap::new();
        // Sorted by turn: the first of every topic, then the second of every topic.
        let mut candidates: FlatMap<(u64, u64), &Row> = FlatMap::new();
        let mut ample = 0;
        for (place, row) in self.rows.values().enumerate() {
            if ample == classes {
                break;
            }
            let first = lanes.insert(row.lane, ()).is_none();
            // With too many lanes waiting no further one may join them.
            if !first || row.doing != Doing::Pending || full && !self.lanes.contains_key(&row.lane) {
                continue;
            }
            let turn = turns.or_default((row.topic, self.lane_waited(row.lane)));
            if *turn < events_max {
                candidates.insert((*turn as u64, place as u64), row);
            }
            *turn += 1;
            ample += usize::from(*turn == events_max);
        }
        let mut bytes = 2;
        let mut chosen = FlatMap::new();
        for row in candidates.into_values() {
            bytes += row.body.len() + 1;
            if chosen.len() == events_max || !chosen.is_empty() && bytes > bytes_max {
                break;
            }
            chosen.insert((row.place, row.at.sequence), row.at);
        }
        chosen.into_values()
    }
}

/// The earlier of two moments, or of two places; none is later than any.
pub(super) fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A number for the topic of an encoded event: its CloudEvents type without the last part (FNV-1a).
fn topic_of(body: &str) -> u32 {
    const MEMBER: &[u8] = b",\"type\":\"";
    let body = body.as_bytes();
    let begin =
        body.windows(MEMBER.len()).position(|part| part == MEMBER).map_or(body.len(), |at| at + MEMBER.len());
    let kind = body.get(begin..).unwrap_or_default().split(|byte| *byte == b'"').next().unwrap_or_default();
    let topic = kind.rsplitn(2, |byte| *byte == b'.').last().unwrap_or(kind);
    topic.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::indexing_slicing, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    fn row(sequence: u64, lane: u64) -> LoadedRow {
        let at = RowRef { segment: Sequence(sequence), sequence: Sequence(sequence) };
        LoadedRow {
            row: at,
            id: EventId::mint(UnixMillis(sequence), [0; 10]),
            intent: IntentKey::from_bytes([0; 16]),
            lane: LaneHash(lane),
            on_dead: OnDead::Continue,
            tries: 0,
            maybe_sent: false,
            place: None,
            stored_at: UnixMillis(0),
            body: "{}".into(),
        }
    }

    /// A window that begins to look.
    fn looking() -> Window {
        let mut window = Window::default();
        window.grew();
        assert_eq!(window.next_page(), Some(Load::After(Sequence(0))));
        window
    }

    fn take(window: &mut Window, rows: Vec<LoadedRow>, more: bool) {
        let last = rows.last().map(|row| row.row.segment);
        window.take(rows, last, more);
    }

    fn of_topic(topic: &str, row: LoadedRow) -> LoadedRow {
        LoadedRow { body: format!("{{\"id\":\"x\",\"type\":\"{topic}.said\"}}"), ..row }
    }

    fn chosen(window: &Window) -> Vec<u64> {
        window.select(10, 1_000).iter().map(|row| row.sequence.0).collect()
    }

    /// Found by the simulator: the later row of a lane was sent while the first, which had waited, was still on disk.
    #[test]
    fn a_page_read_before_its_lane_woke_is_not_believed() {
        let mut window = looking();
        take(&mut window, vec![row(1, 7)], true);
        window.block(LaneHash(7), |lane| lane.due_ms = Some(100));
        assert_eq!(window.next_page(), Some(Load::After(Sequence(1))));
        window.wake_lanes(100);
        take(&mut window, vec![row(2, 7)], false);
        assert!(chosen(&window).is_empty());
        assert_eq!(window.next_page(), Some(Load::These(vec![Sequence(1), Sequence(2)])));
        take(&mut window, vec![row(1, 7), row(2, 7)], false);
        assert_eq!(chosen(&window), [1]);
    }

    #[test]
    fn what_was_stored_while_a_page_was_on_its_way_is_looked_for() {
        let mut window = looking();
        window.grew();
        take(&mut window, Vec::new(), false);
        assert_eq!(window.next_page(), Some(Load::After(Sequence(0))));
    }

    #[test]
    fn a_row_settled_while_a_page_was_on_its_way_does_not_come_back() {
        let mut window = looking();
        window.settled_meanwhile(Sequence(1));
        take(&mut window, vec![row(1, 7), row(2, 8)], false);
        assert_eq!(chosen(&window), [2]);
    }

    #[test]
    fn rows_of_a_waiting_lane_take_no_room_and_come_back_in_order() {
        let mut window = looking();
        take(&mut window, (1..=50).map(|n| row(n, 7)).chain([row(51, 8)]).collect(), false);
        window.block(LaneHash(7), |lane| lane.dead = Some(Sequence(1)));
        assert_eq!((chosen(&window), window.iter().count()), (vec![51], 1));
        assert_eq!(window.lowest_owed(), Some(Sequence(1)));
        assert_eq!(window.next_page(), None, "nothing is read while it waits");
        window.unblock(LaneHash(7));
        let mut read = Vec::new();
        while let Some(Load::These(segments)) = window.next_page() {
            read.extend(segments.iter().map(|segment| segment.0));
            take(&mut window, segments.iter().map(|segment| row(segment.0, 7)).collect(), false);
        }
        assert_eq!(read, (1..=50).collect::<Vec<_>>(), "each exactly once");
        assert_eq!((chosen(&window), window.iter().count()), (vec![1, 51], 51));
    }

    /// no-bystander, in memory: however many lanes wait, what they park is read once when they flow again.
    #[test]
    fn ten_thousand_waiting_lanes_are_parked_and_come_back_once() {
        let mut window = looking();
        let mut next = 1;
        while next <= 10_000 {
            take(&mut window, (next..next + 100).map(|n| row(n, n)).collect(), true);
            for n in next..next + 100 {
                window.block(LaneHash(n), |lane| lane.due_ms = Some(5));
            }
            next += 100;
            assert_eq!(window.iter().count(), 0);
            assert!(window.next_page().is_some());
        }
        take(&mut window, vec![row(20_000, 20_000)], false);
        assert_eq!(chosen(&window), [20_000]);
        window.wake_lanes(5);
        let mut read = 0;
        while let Some(Load::These(segments)) = window.next_page() {
            read += segments.len();
            take(&mut window, segments.iter().map(|segment| row(segment.0, segment.0)).collect(), false);
            for segment in segments {
                window.remove(segment);
                window.unblock(LaneHash(segment.0));
            }
        }
        assert_eq!(read, 10_000);
        assert_eq!(window.lanes.len(), 0);
    }

    #[test]
    fn a_long_backlog_of_one_topic_does_not_keep_another_waiting() {
        let mut window = looking();
        let pay = |n| of_topic("pay.txn.v2", row(n, n));
        let scan = |n| of_topic("gate.auth.v2", row(n, n));
        let mut next = 1;
        let mut reads = 0;
        // 5,000 payments, then three scans.
        loop {
            let end = (next + 100).min(5_001);
            let rows: Vec<_> = if next > 5_000 {
                (5_001..=5_003).map(scan).collect()
            } else {
                (next..end).map(pay).collect()
            };
            let more = next <= 5_000;
            take(&mut window, rows, more);
            reads += 1;
            match window.next_page() {
                Some(Load::After(segment)) if more => next = segment.0 + 1,
                _ => break,
            }
        }
        assert!(reads < 70, "{reads}");
        assert!(window.iter().count() <= WINDOW_ROWS_MAX);
        let first = window.select(10, 10_000);
        let scans = first.iter().filter(|row| row.sequence.0 > 5_000).count();
        assert_eq!((first.len(), scans), (10, 3), "each topic has its share of a request");
    }

    /// The far scan must not send a later event of a key whose earlier one it passed over.
    #[test]
    fn a_lane_that_was_passed_over_waits_for_the_near_scan() {
        let mut window = looking();
        let pay = |n| of_topic("pay.txn.v2", row(n, n));
        take(&mut window, (1..=2_000).map(pay).collect(), true);
        assert_eq!(window.next_page(), Some(Load::After(Sequence(1_024))), "ahead, for other topics");
        let scan = |n, lane| of_topic("gate.auth.v2", row(n, lane));
        let ahead = (1_025..=2_000).map(pay).chain([scan(2_001, 1_500), scan(2_002, 9_000)]);
        take(&mut window, ahead.collect(), false);
        let scans = |window: &Window| -> Vec<u64> {
            window.iter().map(|row| row.at.sequence.0).filter(|own| *own > 2_000).collect()
        };
        assert_eq!(scans(&window), [2_002]);
        (1..=1_024).for_each(|n| drop(window.remove(Sequence(n))));
        assert_eq!(window.next_page(), Some(Load::After(Sequence(1_024))));
        take(
            &mut window,
            (1_025..=2_000).map(pay).chain([scan(2_001, 1_500), scan(2_002, 9_000)]).collect(),
            false,
        );
        assert_eq!(scans(&window), [2_001, 2_002]);
        assert!(!window.select(5_000, 1 << 20).iter().any(|row| row.sequence.0 == 2_001), "1,500 goes first");
    }

    /// One owed row of a modelled disk.
    #[derive(Clone, Debug)]
    struct Owed {
        row: LoadedRow,
        settled: bool,
    }

    fn page(disk: &[Owed], load: &Load) -> (Vec<LoadedRow>, Option<Sequence>, bool) {
        let rows = |wanted: &dyn Fn(Sequence) -> bool| -> Vec<LoadedRow> {
            let owed = disk.iter().filter(|own| !own.settled && wanted(own.row.row.segment));
            owed.map(|own| own.row.clone()).collect()
        };
        match load {
            Load::These(segments) => (rows(&|own| segments.contains(&own)), segments.last().copied(), false),
            Load::After(after) => {
                let mut rows = rows(&|own| own > *after);
                let more = rows.len() > 3;
                rows.truncate(3);
                let last = rows.last().map(|row| row.row.segment);
                (rows, last, more)
            }
        }
    }

    proptest::proptest! {
        /// lane-order and no-bystander in a window much smaller than its backlog: whatever waits, wakes, settles and
        /// is stored in between, only the first owed row of a lane is ever chosen, and in the end all of them were.
        #[test]
        fn every_row_is_chosen_in_its_turn(
            steps in proptest::collection::vec((0u8..8, 0u64..12, 0u8..3), 1..300)
        ) {
            let mut window = Window::with(Room { rows: 8, crowded: 2, lanes: 6 });
            window.grew();
            let mut disk: Vec<Owed> = Vec::new();
            let mut on_its_way = None;
            let mut blocked: std::collections::BTreeMap<LaneHash, bool> = std::collections::BTreeMap::new();
            let rest = core::iter::repeat_n((7, 0, 0), 4_000);
            for (step, lane, topic) in steps.into_iter().chain(rest) {
                match step {
                    0 | 1 => {
                        let next = disk.len() as u64 + 1;
                        let row = of_topic(["a.b.v1", "c.d.v1", "e.f.v1"][usize::from(topic)], row(next, lane));
                        disk.push(Owed { row, settled: false });
                        window.grew();
                    }
                    2 if on_its_way.is_none() => {
                        on_its_way = window.next_page().map(|load| page(&disk, &load));
                    }
                    3 => {
                        if let Some((rows, last, more)) = on_its_way.take() {
                            window.take(rows, last, more);
                        }
                    }
                    4 => {
                        window.wake_lanes(1);
                        blocked.retain(|_, dead| *dead);
                    }
                    5 => {
                        let dead: Vec<LaneHash> = blocked.iter().filter(|(_, dead)| **dead).map(|(own, _)| *own).collect();
                        for lane in dead {
                            window.unblock(lane);
                            blocked.remove(&lane);
                        }
                    }
                    6 if on_its_way.is_some() && topic == 0 => {
                        on_its_way = None;
                        window.page_failed();
                    }
                    // The rest of the time everything goes well.
                    7 => {
                        if on_its_way.is_none() {
                            on_its_way = window.next_page().map(|load| page(&disk, &load));
                        }
                        if let Some((rows, last, more)) = on_its_way.take() {
                            window.take(rows, last, more);
                        }
                        let calm = lane == 0 && topic == 0;
                        for chosen in window.select(3, 1 << 20) {
                            let at = chosen.sequence;
                            let own = disk[at.0 as usize - 1].row.lane;
                            let first = disk.iter().find(|other| !other.settled && other.row.lane == own);
                            proptest::prop_assert_eq!(first.map(|first| first.row.row.sequence), Some(at));
                            proptest::prop_assert!(!blocked.contains_key(&own));
                            match at.0 % 3 {
                                0 if !calm => {
                                    window.block(own, |lane| lane.due_ms = Some(1));
                                    blocked.insert(own, false);
                                }
                                1 if !calm => {
                                    disk[at.0 as usize - 1].settled = true;
                                    window.settled_meanwhile(at);
                                    window.remove(at);
                                    window.block(own, |lane| lane.wait_for(at));
                                    blocked.insert(own, true);
                                }
                                _ => {
                                    disk[at.0 as usize - 1].settled = true;
                                    window.settled_meanwhile(at);
                                    window.remove(at);
                                    window.unblock(own);
                                }
                            }
                        }
                        if calm {
                            window.wake_lanes(1);
                            for lane in blocked.keys().copied().collect::<Vec<_>>() {
                                window.unblock(lane);
                            }
                            blocked.clear();
                        }
                    }
                    _ => {}
                }
                let lowest = disk.iter().find(|own| !own.settled).map(|own| own.row.row.sequence);
                if let (Some(lowest), Some(said)) = (lowest, window.lowest_owed()) {
                    proptest::prop_assert!(said <= lowest, "{said:?} {lowest:?}");
                }
                proptest::prop_assert!(window.iter().count() <= 8 + LOAD_SEGMENTS_MAX as usize);
                proptest::prop_assert!(window.lanes.values().filter(|state| state.stuck()).count() <= 6 + 3);
            }
            proptest::prop_assert!(disk.iter().all(|own| own.settled), "{:?}", window);
            proptest::prop_assert!(!window.may_find_more());
        }
    }
}
