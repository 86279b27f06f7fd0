//! The oracle's watch over what must stay small and what must not wait: memory and disk of every device against the stated
//! limits and what its people did, and lanes that flow against lanes that do not.

use crate::device::Device;
use crate::disk::Tables;
use crate::oracle::Broken;
use crate::world::{At, World};
use conch::event::{EventId, LaneHash};
use conch::limits::{
    AGE_MARKS_MAX, BATCH_EVENTS_MAX, BLOCKED_LANES_MAX, LEADER_SILENT_HIDDEN_MS, SEGMENT_BYTES_MAX,
    TOMBSTONES_KEEP_MAX, WINDOW_BYTES_MAX, WINDOW_ROWS_MAX,
};
use conch::outbox::engine::{Weight, WhyNotSending};
use std::collections::BTreeSet;

/// A lane that flows is not kept waiting by others for longer, in ms, while nothing is under way: by then even a context
/// that lost the word of another one's event has looked for it on disk.
pub(crate) const BYSTANDER_WITHIN_MS: u64 = LEADER_SILENT_HIDDEN_MS + 30_000;
/// What a page has under way of its own accord while the store stands still: a lead, a reading, waits, marks, a beat, the
/// feed, a pruning and notes.
const CHORES_MAX: u64 = 12;

impl World {
    /// bounded and no-bystander, whenever the oracle looks.
    pub(crate) fn watch(&mut self, index: usize) -> Result<(), Broken> {
        let said = self.city.feeds.get(index).map_or(0, |feed| feed.said.len() as u64);
        let Some(device) = self.devices.get(index) else { return Ok(()) };
        stays_small(device, said)?;
        self.nobody_stands_by(index)
    }

    /// What was sent has not been kept waiting.
    pub(crate) fn no_longer_ready(&mut self, device: usize, ids: &[EventId]) -> Result<(), Broken> {
        if !ids.is_empty() {
            self.device(device)?.ready.clear();
        }
        Ok(())
    }

    /// Whoever leads says that all that is owed waits in its lane: then no lane that flows is owed anything for long.
    fn nobody_stands_by(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.now;
        let idles = self
            .leader_of(index)?
            .is_some_and(|why| matches!(why, WhyNotSending::WaitingLane | WhyNotSending::NeedsAttention));
        let device = self.device(index)?;
        if !idles {
            device.ready.clear();
            return Ok(());
        }
        let flowing: BTreeSet<LaneHash> =
            device.disk.now.owed_lanes().filter(|lane| !device.disk.now.lanes.contains_key(lane)).collect();
        device.ready.retain(|lane, _| flowing.contains(lane));
        for lane in flowing {
            let since = *device.ready.entry(lane).or_insert(now);
            if now > since + BYSTANDER_WITHIN_MS {
                let waiting: Vec<_> = device.disk.now.lanes.values().collect();
                return Err(format!("no-bystander: {lane:?} flows and is kept waiting by {waiting:?}"));
            }
        }
        Ok(())
    }

    /// Why whoever leads a device does not send, if its scripts run.
    fn leader_of(&self, index: usize) -> Result<Option<WhyNotSending>, Broken> {
        let Some(device) = self.devices.get(index) else { return Ok(None) };
        for (tab, own) in device.tabs.iter().enumerate() {
            let at = At { device: index, tab, life: own.life };
            let Some(engine) = own.engine.as_ref().filter(|_| own.frozen.is_none()) else { continue };
            if own.born == device.past.len() && device.memory.is_led_by(at.context()) {
                let snapshot = engine.snapshot(self.clock(at)?);
                return Ok(Some(snapshot.why).filter(|_| snapshot.leader));
            }
        }
        Ok(None)
    }
}

/// bounded: what each page holds in memory, and what lies on the disk.
fn stays_small(device: &Device, said: u64) -> Result<(), Broken> {
    for (tab, own) in device.tabs.iter().enumerate() {
        let Some(engine) = &own.engine else { continue };
        let weight = engine.weight();
        if let Some(what) = too_much(weight, own.wishes, device.emits) {
            return Err(format!("bounded: tab {tab} holds too many {what}: {weight:?}"));
        }
        if own.awaits.len() > REQUESTS_MAX {
            return Err(format!("bounded: tab {tab} waits for {} answers", own.awaits.len()));
        }
    }
    let tables = &device.disk.now;
    tables.stay_small(device.emits, said).map_err(|what| format!("bounded: the disk holds too many {what}"))
}

/// Requests of one page whose end it has not heard: one with events or for the offer, one for the feed, and those it was
/// told to forget when it lost the lead, for as long as a request may take.
const REQUESTS_MAX: usize = 40;

/// Records of lanes that wait for nothing any more. A wait that is written once more, because its connection was lost, can
/// come behind the verdict that ended it; such a record goes with the next verdict of its lane.
const STRAY_LANES_MAX: usize = 3;

fn too_much(weight: Weight, wishes: u64, emits: u64) -> Option<&'static str> {
    // A page of rows is taken whole, so the window may be over by one.
    let page = SEGMENT_BYTES_MAX * conch::limits::LOAD_SEGMENTS_MAX as usize;
    let over = |own: usize, most: u64| own as u64 > most;
    let checks = [
        (over(weight.rows, (WINDOW_ROWS_MAX as u64 + 2_048).min(emits)), "rows"),
        (over(weight.bytes, (WINDOW_BYTES_MAX + page) as u64), "bytes"),
        (over(weight.lanes, (BLOCKED_LANES_MAX as u64 + BATCH_EVENTS_MAX as u64).min(emits)), "lanes"),
        (over(weight.parked, emits), "parked segments"),
        (over(weight.operations, wishes + CHORES_MAX), "operations"),
        (over(weight.settles, emits), "settles"),
        (over(weight.requests, 1), "requests"),
        (over(weight.outputs, 0), "outputs"),
        (over(weight.notes, AGE_MARKS_MAX as u64 + emits.min(4 * BATCH_EVENTS_MAX as u64)), "notes"),
        (over(weight.tombstones, (TOMBSTONES_KEEP_MAX as u64).min(emits)), "tombstones"),
    ];
    checks.into_iter().find(|(over, _)| *over).map(|(_, what)| what)
}

impl Tables {
    /// The rows of each table against what was put in, which is one event for each wish of a person at most, and what the
    /// city said.
    fn stay_small(&self, emits: u64, said: u64) -> Result<(), &'static str> {
        let owing = self.marks.values().filter(|marks| marks.owes()).count();
        let waiting: BTreeSet<LaneHash> = self.owed_lanes().chain(self.dead_lanes()).collect();
        let events: usize = self.marks.values().map(|marks| marks.status.len()).sum();
        let checks = [
            (events as u64 > emits, "events"),
            (self.bodies.len() > owing, "bodies"),
            (self.lanes.keys().filter(|lane| !waiting.contains(*lane)).count() > STRAY_LANES_MAX, "lanes"),
            (self.dead.len() as u64 > emits, "dead letters"),
            (self.inbox.len() as u64 > said, "words of the city"),
            (self.tombstones().len() > TOMBSTONES_KEEP_MAX, "tombstones"),
            (self.ages().len() > AGE_MARKS_MAX, "ages"),
        ];
        checks.into_iter().find(|(over, _)| *over).map_or(Ok(()), |(_, what)| Err(what))
    }
}
