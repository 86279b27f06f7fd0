//! The rows the engine holds: a bounded window on the backlog, in lane order, and the lanes that do not flow.
//!
//! Rows of a lane that waits are not held: they stay on disk, and the scan starts over when the lane flows again.
//! So a stuck lane takes no room from the others.

use super::port::{LoadedRow, Opened};
use super::record::{LaneRecord, RowRef};
use crate::event::contract::OnDead;
use crate::event::{EventId, LaneHash, Sequence, UnixMillis};
use crate::flat::FlatMap;
use crate::limits::{WINDOW_BYTES_MAX, WINDOW_ROWS_MAX};

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
    pub(super) lane: LaneHash,
    pub(super) on_dead: OnDead,
    pub(super) tries: u8,
    pub(super) maybe_sent: bool,
    /// Whether an earlier try than the one under way may have reached the city.
    pub(super) maybe_sent_before: bool,
    pub(super) stored_at: UnixMillis,
    pub(super) body: String,
    pub(super) doing: Doing,
}

impl Row {
    /// Whether an answer is missing: the one to a try under way may still come.
    pub(super) fn is_unknown(&self) -> bool {
        if self.doing == Doing::InFlight { self.maybe_sent_before } else { self.maybe_sent }
    }
}

/// Why a lane waits.
#[derive(Clone, Copy, Debug, Default)]
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
    /// Lowest sequence of its rows that were left on disk.
    pub(super) skipped: Option<Sequence>,
}

impl LaneState {
    fn stuck(&self) -> bool {
        self.dead.is_some() || self.due_ms.is_some()
    }
}

/// The window and its lanes.
#[derive(Debug, Default)]
pub(super) struct Window {
    rows: FlatMap<(Sequence, Sequence), Box<Row>>,
    places: FlatMap<Sequence, Sequence>,
    bytes: usize,
    pub(super) lanes: FlatMap<LaneHash, LaneState>,
    /// Scan position: segments up to here were looked at.
    frontier: Sequence,
    /// Whether there may be segments beyond the frontier.
    pub(super) more: bool,
    /// The backlog grew while a page was on its way, which that page may not show.
    grew_meanwhile: bool,
    /// The scan was started over while a page was on its way.
    restarted_meanwhile: bool,
    /// Rows settled while a page was on its way, which that page may still show as owed.
    settled_meanwhile: FlatMap<Sequence, ()>,
}

impl Window {
    /// Starts over from what lies on disk. `mono_of` turns a stored due time into a monotonic one.
    pub(super) fn restart(&mut self, opened: &Opened, mono_of: impl Fn(UnixMillis) -> u64) {
        *self = Self { more: true, ..Self::default() };
        for LaneRecord { lane, dead, front, due } in &opened.lanes {
            let state =
                LaneState { dead: *dead, front: *front, due_ms: due.map(&mono_of), ..LaneState::default() };
            self.lanes.insert(*lane, state);
        }
    }

    /// Takes over what another context decided about lanes: a dead letter closed, a new front.
    pub(super) fn refresh(&mut self, opened: &Opened, mono_of: impl Fn(UnixMillis) -> u64) {
        let stored: FlatMap<LaneHash, &LaneRecord> =
            opened.lanes.iter().map(|record| (record.lane, record)).collect();
        let gone: Vec<LaneHash> = self
            .lanes
            .iter()
            .filter(|(lane, state)| {
                (state.dead.is_some() || state.front.is_some()) && !stored.contains_key(lane)
            })
            .map(|(lane, _)| *lane)
            .collect();
        for lane in gone {
            self.unblock(lane);
        }
        for record in stored.into_values() {
            let own = self.lanes.get(&record.lane).map(|state| (state.dead, state.front));
            if own != Some((record.dead, record.front)) {
                self.block(record.lane, |state| {
                    state.dead = record.dead;
                    state.front = record.front;
                    state.due_ms = record.due.map(&mono_of);
                });
                self.rescan();
            }
        }
    }

    /// Forgets all rows but keeps the lanes.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
        self.places.clear();
        self.bytes = 0;
        self.rescan();
    }

    /// Where the next page starts, if there is room and something to look for.
    pub(super) fn wants(&self) -> Option<Sequence> {
        let room = self.rows.len() < WINDOW_ROWS_MAX && self.bytes < WINDOW_BYTES_MAX;
        (self.more && room).then_some(self.frontier)
    }

    /// Looks at the backlog from its start again; rows already held are kept as they are.
    pub(super) fn rescan(&mut self) {
        self.frontier = Sequence(0);
        self.more = true;
        self.restarted_meanwhile = true;
    }

    /// There are new rows beyond the frontier.
    pub(super) fn grew(&mut self) {
        self.more = true;
        self.grew_meanwhile = true;
    }

    /// A page is on its way from here on.
    pub(super) fn load_begins(&mut self) {
        self.grew_meanwhile = false;
        self.restarted_meanwhile = false;
        self.settled_meanwhile.clear();
    }

    /// Takes a page in.
    pub(super) fn take(&mut self, rows: Vec<LoadedRow>, last: Option<Sequence>, more: bool) {
        // A page from the middle of the backlog, read while a lane still waited, may show its later rows alone.
        if self.restarted_meanwhile {
            return;
        }
        let settled = core::mem::take(&mut self.settled_meanwhile);
        for loaded in rows {
            if settled.contains_key(&loaded.row.sequence) || self.places.contains_key(&loaded.row.sequence) {
                continue;
            }
            if let Some(lane) = self.lanes.get_mut(&loaded.lane) {
                let yields = lane.front.is_some_and(|front| front != loaded.row.sequence);
                if lane.stuck() || yields {
                    let lowest = lane.skipped.map_or(loaded.row.sequence, |own| own.min(loaded.row.sequence));
                    lane.skipped = Some(lowest);
                    continue;
                }
            }
            self.hold(loaded);
        }
        if let Some(last) = last {
            self.frontier = last;
        }
        self.more = more || self.grew_meanwhile;
    }

    fn hold(&mut self, loaded: LoadedRow) {
        let place = loaded.place.unwrap_or(loaded.row.sequence);
        self.bytes += loaded.body.len();
        self.places.insert(loaded.row.sequence, place);
        self.rows.insert(
            (place, loaded.row.sequence),
            Box::new(Row {
                at: loaded.row,
                id: loaded.id,
                lane: loaded.lane,
                on_dead: loaded.on_dead,
                tries: loaded.tries,
                maybe_sent: loaded.maybe_sent,
                maybe_sent_before: loaded.maybe_sent,
                stored_at: loaded.stored_at,
                body: loaded.body,
                doing: Doing::Pending,
            }),
        );
    }

    /// Notes that a row is settled while a page may be on its way.
    pub(super) fn settled_meanwhile(&mut self, sequence: Sequence) {
        self.settled_meanwhile.insert(sequence, ());
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
        Some(row)
    }

    /// All rows, in lane order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().map(Box::as_ref)
    }

    /// Makes a lane wait: its rows leave the window.
    pub(super) fn block(&mut self, lane: LaneHash, change: impl FnOnce(&mut LaneState)) {
        change(self.lanes.or_default(lane));
        let rows: Vec<Sequence> =
            self.rows.values().filter(|row| row.lane == lane).map(|row| row.at.sequence).collect();
        for sequence in rows {
            self.remove(sequence);
            if let Some(state) = self.lanes.get_mut(&lane) {
                state.skipped = Some(state.skipped.map_or(sequence, |own| own.min(sequence)));
            }
        }
    }

    /// Lets a lane flow again; what it left on disk is looked for anew.
    pub(super) fn unblock(&mut self, lane: LaneHash) {
        if self.lanes.remove(&lane).is_some_and(|state| state.skipped.is_some()) {
            self.rescan();
        }
    }

    /// Clears the due time of every lane whose time has come. Its ladder is kept.
    pub(super) fn wake_lanes(&mut self, now_ms: u64) {
        let mut again = false;
        for state in self.lanes.values_mut() {
            if state.due_ms.is_some_and(|due| due <= now_ms) {
                state.due_ms = None;
                again |= state.skipped.take().is_some();
            }
        }
        if again {
            self.rescan();
        }
    }

    /// The earliest due time of a lane.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.lanes.values().filter(|state| state.dead.is_none()).filter_map(|state| state.due_ms).min()
    }

    /// The lowest sequence still owed, as far as it is known.
    pub(super) fn lowest_owed(&self) -> Option<Sequence> {
        let held = self.places.keys().next().copied();
        let skipped = self.lanes.values().filter_map(|state| state.skipped).min();
        match (held, skipped) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The first row of each flowing lane that may be sent, within the limits.
    pub(super) fn select(&self, events_max: usize, bytes_max: usize) -> Vec<RowRef> {
        let mut lanes = FlatMap::new();
        let mut bytes = 2;
        let mut chosen = Vec::new();
        for row in self.rows.values() {
            if chosen.len() >= events_max {
                break;
            }
            if lanes.insert(row.lane, ()).is_some() || row.doing != Doing::Pending {
                continue;
            }
            let after = bytes + row.body.len() + 1;
            if !chosen.is_empty() && after > bytes_max {
                break;
            }
            bytes = after;
            chosen.push(row.at);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: u64, lane: u64) -> LoadedRow {
        let at = RowRef { segment: Sequence(sequence), sequence: Sequence(sequence) };
        LoadedRow {
            row: at,
            id: EventId::mint(UnixMillis(sequence), [0; 10]),
            lane: LaneHash(lane),
            on_dead: OnDead::Continue,
            tries: 0,
            maybe_sent: false,
            place: None,
            stored_at: UnixMillis(0),
            body: "{}".into(),
        }
    }

    fn chosen(window: &Window) -> Vec<u64> {
        window.select(10, 1_000).iter().map(|row| row.sequence.0).collect()
    }

    /// Found by the simulator: the later row of a lane was sent while the first, which had waited, was still on disk.
    #[test]
    fn a_page_read_before_its_lane_woke_is_not_believed() {
        let mut window = Window::default();
        window.take(vec![row(1, 7)], Some(Sequence(1)), true);
        window.block(LaneHash(7), |lane| lane.due_ms = Some(100));
        window.load_begins();
        window.wake_lanes(100);
        window.take(vec![row(2, 7)], Some(Sequence(2)), false);
        assert_eq!((chosen(&window), window.wants()), (vec![], Some(Sequence(0))));
        window.load_begins();
        window.take(vec![row(1, 7), row(2, 7)], Some(Sequence(2)), false);
        assert_eq!(chosen(&window), [1]);
    }

    #[test]
    fn what_was_stored_while_a_page_was_on_its_way_is_looked_for() {
        let mut window = Window { more: true, ..Window::default() };
        window.load_begins();
        window.grew();
        window.take(Vec::new(), None, false);
        assert_eq!(window.wants(), Some(Sequence(0)));
    }

    #[test]
    fn a_row_settled_while_a_page_was_on_its_way_does_not_come_back() {
        let mut window = Window::default();
        window.load_begins();
        window.settled_meanwhile(Sequence(1));
        window.take(vec![row(1, 7), row(2, 8)], Some(Sequence(2)), false);
        assert_eq!(chosen(&window), [2]);
    }

    #[test]
    fn rows_of_a_waiting_lane_take_no_room() {
        let mut window = Window::default();
        window.take((1..=50).map(|n| row(n, 7)).chain([row(51, 8)]).collect(), Some(Sequence(51)), false);
        window.block(LaneHash(7), |lane| lane.dead = Some(Sequence(1)));
        assert_eq!((chosen(&window), window.iter().count()), (vec![51], 1));
        assert_eq!(window.lowest_owed(), Some(Sequence(1)));
        window.unblock(LaneHash(7));
        assert_eq!(window.wants(), Some(Sequence(0)));
    }
}
