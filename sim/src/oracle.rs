//! The oracle: the invariants by name, each checked at the moment it could break.

use crate::city::{City, Feed, OFFERED_BYTES, OFFERED_EVENTS, Taken};
use crate::disk::{Disk, Tables};
use conch::event::contract::IntentRule;
use conch::event::intent::{Parts, form};
use conch::event::json::Json;
use conch::event::{
    Collection, Device, EventId, EventType, IntentKey, Key, LaneHash, RecordName, Sequence, Topic, UnixMillis,
};
use conch::limits::BATCH_BYTES_MAX;
use conch::outbox::engine::{EmitFault, Final, Receipt, Request};
use conch::outbox::port::{Applied, Batch};
use conch::outbox::record::{Counter, DeadReason, Identities, Intents, MAYBE_SENT, Marks, RowRef, Status};
use conch::outbox::transact::{Done, Outcome, Settlement};
use conch::wire::cloudevents::Envelope;
use conch::wire::headers;
use std::collections::{BTreeMap, BTreeSet};

/// A broken promise.
pub type Broken = String;

/// A context of a device in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Which tab.
    pub tab: usize,
    /// Rises whenever it is opened anew.
    pub life: u64,
}

/// What the oracle remembers of one device.
#[derive(Debug, Default)]
pub struct Memory {
    /// First receipt per intent that a caller was given.
    receipts: BTreeMap<IntentKey, EventId>,
    /// Everything a caller was told to be safe.
    safe: BTreeSet<EventId>,
    /// The bytes of each event when it was first sent.
    bytes: BTreeMap<EventId, String>,
    /// The place of each event in its lane when it was first sent.
    places: BTreeMap<EventId, (Sequence, Sequence)>,
    /// Places of events that were ever too old: their lanes went on without them, and they may come back.
    expired: BTreeSet<Sequence>,
    /// What each event of the feed did.
    heard: BTreeMap<EventId, String>,
    /// Who took the lead last.
    leader: Option<Context>,
}

impl Memory {
    /// durable-before-safe and same-intent-same-receipt, when a caller hears of its event.
    pub fn emitted(&mut self, outcome: &Result<Receipt, EmitFault>, disk: &Disk) -> Result<(), Broken> {
        let Ok(Receipt { kept, replayed }) = outcome else { return Ok(()) };
        let stored = disk.flushed.intents.get(&kept.row.segment);
        let stored = stored.and_then(|segment| segment.get(kept.row.index() as usize));
        if stored.is_none_or(|own| own.id != kept.id) && !disk.now.forgot(kept.id) {
            return Err(format!("durable-before-safe: {} was called safe but is not flushed", kept.id));
        }
        self.safe.insert(kept.id);
        let first = *self.receipts.entry(kept.intent).or_insert(kept.id);
        // What was pruned long after its end is not remembered any more; the city still knows.
        if first != kept.id && !disk.now.forgot(first) {
            return Err(format!(
                "same-intent-same-receipt: {} then {} (replayed {replayed})",
                first, kept.id
            ));
        }
        self.receipts.insert(kept.intent, kept.id);
        Ok(())
    }

    /// key-before-send, lane-order and bounded, when a request leaves.
    ///
    /// Returns the events it carries.
    pub fn sent(&mut self, request: &Request, disk: &Disk) -> Result<Vec<EventId>, Broken> {
        let Some(body) = request.body.as_deref() else { return Ok(Vec::new()) };
        let events = match Json::parse(body) {
            Ok(Json::Array(list)) => list,
            Ok(single) => vec![single],
            Err(problem) => return Err(format!("the request is not JSON: {problem:?}")),
        };
        let too_large = events.len() > 1 && body.len() > BATCH_BYTES_MAX.min(OFFERED_BYTES);
        if events.len() > OFFERED_EVENTS || too_large {
            return Err(format!("bounded: a request of {} events, {} bytes", events.len(), body.len()));
        }
        let mut ids = Vec::with_capacity(events.len());
        for event in &events {
            let envelope =
                Envelope::read(event).map_err(|problem| format!("unreadable event sent: {problem:?}"))?;
            let stored = disk.flushed.identities(envelope.sequence.unwrap_or_default());
            if stored.is_none_or(|own| own.id != envelope.id || own.intent != envelope.intent) {
                return Err(format!("key-before-send: {} left before its key was flushed", envelope.id));
            }
            let header = request.headers.iter().find(|(name, _)| *name == headers::IDEMPOTENCY_KEY);
            if events.len() == 1 && header.is_none_or(|(_, key)| *key != format!("\"{}\"", envelope.intent)) {
                return Err(format!("key-before-send: {} left under {header:?}", envelope.id));
            }
            let mut text = String::new();
            event.write(&mut text);
            let before = self.bytes.entry(envelope.id).or_insert_with(|| text.clone());
            if *before != text {
                return Err(format!("key-before-send: {} changed its bytes", envelope.id));
            }
            self.lane_order(&disk.now, &envelope)?;
            ids.push(envelope.id);
        }
        Ok(ids)
    }

    /// lane-order: nothing of the same lane with an earlier place is still owed, or dead and waiting for a person.
    fn lane_order(&mut self, tables: &Tables, envelope: &Envelope) -> Result<(), Broken> {
        let lane = envelope.key.lane();
        let rows = || tables.owed().filter(|row| row.own.lane == lane);
        // A context that leads no more may say again what is settled by now.
        let Some(own) = rows().find(|row| row.own.id == envelope.id) else { return Ok(()) };
        self.places.entry(envelope.id).or_insert(own.place);
        let earlier = rows().find(|row| row.place < own.place && !self.expired.contains(&row.place.0));
        if let Some(earlier) = earlier {
            return Err(format!("lane-order: {} was sent while {} is owed", own.own.id, earlier.own.id));
        }
        let open = tables.dead.iter().filter(|((closed, _), _)| !closed).map(|(_, letter)| letter);
        match open
            .filter(|letter| letter.blocks && letter.lane == lane)
            .find(|letter| letter.row.sequence < own.place.1)
        {
            Some(letter) if !self.expired.contains(&own.place.0) => Err(format!(
                "lane-order: {} was sent while the dead letter {} waits for a person",
                own.own.id, letter.row.sequence
            )),
            _ => Ok(()),
        }
    }

    /// one-sender, when a transaction has run.
    pub fn applied(
        &mut self,
        context: Context,
        batch: &Batch,
        result: &Applied,
        tables: &Tables,
    ) -> Result<(), Broken> {
        match (batch, result) {
            (_, Err(_)) => Ok(()),
            (Batch::Lead, Ok(Done::Leading(_))) => {
                self.leader = Some(context);
                Ok(())
            }
            (Batch::Settle { rows, .. }, Ok(_)) => {
                let old = |own: &&Settlement| {
                    matches!(own.outcome, Outcome::Dead { reason: DeadReason::Expired, .. })
                };
                for RowRef { segment, sequence } in rows.iter().filter(old).map(|own| own.row) {
                    let places = tables.marks.get(&segment).map(|marks| &marks.places);
                    let index = (sequence.0 - segment.0) as u32;
                    let place = places.and_then(|places| places.get(&index)).copied();
                    self.expired.extend([sequence, place.unwrap_or(sequence)]);
                }
                self.leads(context, "settled")
            }
            (Batch::Sent { .. }, Ok(_)) => self.leads(context, "marked rows"),
            (Batch::Wait { .. }, Ok(_)) => self.leads(context, "made lanes wait"),
            (Batch::Feed { .. }, Ok(_)) => self.leads(context, "applied the feed"),
            (Batch::Beat { .. }, Ok(_)) => self.leads(context, "beat"),
            _ => Ok(()),
        }
    }

    fn leads(&self, context: Context, did: &str) -> Result<(), Broken> {
        match self.leader {
            Some(leader) if leader == context => Ok(()),
            leader => Err(format!("one-sender: {context:?} {did}, but {leader:?} leads")),
        }
    }

    /// Whether anybody took the lead yet.
    pub fn is_led(&self) -> bool {
        self.leader.is_some()
    }

    /// Whether this context took the lead last.
    pub fn is_led_by(&self, context: Context) -> bool {
        self.leader == Some(context)
    }

    /// applied-once: effect and inbox row of an event of the feed go together, once, and the cursor moves only with
    /// them.
    pub fn applied_once(&mut self, disk: &Disk, feed: &Feed) -> Result<(), Broken> {
        let tables = &disk.now;
        for (cause, id) in tables.inbox.keys() {
            let Some(effect) = heard_record(*id).and_then(|name| tables.records.get(&name)) else {
                return Err(format!("applied-once: {id} is in the inbox without its effect"));
            };
            let before = self.heard.entry(*id).or_insert_with(|| effect.clone());
            if before != effect {
                return Err(format!("applied-once: {id} (answer to {cause:?}) had its effect again"));
            }
        }
        let effects = tables.records.keys().filter(|name| name.collection.as_str() == HEARD).count();
        if effects != tables.inbox.len() {
            return Err(format!("applied-once: {effects} effects but {} in the inbox", tables.inbox.len()));
        }
        let behind = feed.behind(&tables.cursor).unwrap_or(0);
        match missing(tables, feed, behind) {
            Some(id) => Err(format!("applied-once: the cursor {} passed {id}", tables.cursor)),
            None => Ok(()),
        }
    }

    /// What the last power cut took back may have its effect anew.
    pub fn power_cut(&mut self, disk: &Disk) {
        self.heard.retain(|id, _| disk.now.inbox.keys().any(|(_, own)| own == id));
    }

    /// nothing-vanishes: all that was called safe has ended with the city's word or a person's, on record.
    pub fn nothing_vanished(&self, disk: &Disk, city: &City) -> Result<(), Broken> {
        for id in &self.safe {
            let ended = match disk.now.fate(*id) {
                None if !disk.now.forgot(*id) => return Err(format!("nothing-vanishes: {id} is gone")),
                None | Some((_, Status::Accepted | Status::Duplicate)) => city.judged.contains_key(id),
                Some((_, Status::Discarded | Status::Redriven)) => true,
                Some((_, Status::Owed | Status::Dead)) => false,
            };
            // A discarded or redriven event can be pruned without the city's word about it: a person's stands for it.
            if !ended && !disk.now.forgot(*id) {
                return Err(format!("nothing-vanishes: {id} never ended"));
            }
        }
        Ok(())
    }

    /// nothing-vanishes, for a database that the browser threw away: with it went what was still owed or waited for a person,
    /// and nothing else. How much that was.
    pub fn lost_by_the_browser(&self, disk: &Disk, city: &City) -> Result<u64, Broken> {
        let mut lost = 0;
        for id in &self.safe {
            match disk.now.fate(*id) {
                None if !disk.now.forgot(*id) => return Err(format!("nothing-vanishes: {id} is gone")),
                Some((_, Status::Owed | Status::Dead)) => lost += u64::from(!city.judged.contains_key(id)),
                Some((_, Status::Accepted | Status::Duplicate)) if !city.judged.contains_key(id) => {
                    return Err(format!("nothing-vanishes: {id} left the outbox and never came"));
                }
                _ => {}
            }
        }
        Ok(lost)
    }

    /// lane-order as the city saw it: per key, judged in the order of places, apart from what was ever too old.
    pub fn judged_in_order(&self, city: &City, source: &str) -> Result<(), Broken> {
        let mut last: BTreeMap<&str, (Sequence, Sequence)> = BTreeMap::new();
        for id in &city.order {
            let Some(taken) = city.judged.get(id).filter(|taken| taken.source == source) else { continue };
            let Some(place) = self.places.get(id).filter(|place| !self.expired.contains(&place.0)) else {
                continue;
            };
            let before = last.insert(&taken.key, *place);
            if before.is_some_and(|before| before > *place) {
                return Err(format!("lane-order: key {} was judged out of order", taken.key));
            }
        }
        Ok(())
    }
}

/// The first event that the city says before this place and the device has not heard.
pub fn missing(tables: &Tables, feed: &Feed, behind: usize) -> Option<EventId> {
    let owed = feed.said.iter().take(behind).filter(|said| !said.lost);
    owed.map(|said| (said.cause, said.id)).find(|key| !tables.inbox.contains_key(key)).map(|(_, id)| id)
}

/// honest-words: an event is called settled only when its verdict is on disk.
pub fn told(id: EventId, verdict: &Final, disk: &Disk) -> Result<(), Broken> {
    let status = disk.flushed.fate(id).map(|(_, status)| status);
    let honest = match verdict {
        Final::Accepted => status == Some(Status::Accepted),
        Final::Duplicate => status == Some(Status::Duplicate),
        // The word may come late, after a person has decided: then it was true.
        Final::Refused(_) => {
            status == Some(Status::Dead)
                || disk.flushed.sequence(id).is_some_and(|own| decided(&disk.flushed, own))
        }
        Final::Discarded => status == Some(Status::Discarded),
    };
    if honest || disk.now.forgot(id) {
        return Ok(());
    }
    Err(format!("honest-words: {id} was called {verdict:?} while it is {status:?} on disk"))
}

fn decided(tables: &Tables, sequence: Sequence) -> bool {
    tables.dead.contains_key(&(true, sequence))
}

/// What a person types that must never be written.
pub const CARD: &str = "4111111111111111";

/// no-pii-in-keys: what is personal is masked before any write.
pub fn masked(batch: &Batch, disk: &Disk) -> Result<(), Broken> {
    let Batch::Append { events, .. } = batch else { return Ok(()) };
    let written = disk.touched.iter().filter_map(|first| disk.now.bodies.get(first));
    if events.iter().any(|event| event.tail.contains(CARD))
        || written.into_iter().any(|body| body.contains(CARD))
    {
        return Err("no-pii-in-keys: a card number was written".to_owned());
    }
    Ok(())
}

/// What of the tables is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// These segments.
    Segments(&'a [Sequence]),
    /// Everything.
    All,
}

/// state-with-event, settle-in-one and nothing-vanishes, after every transaction and every crash: the tables agree
/// with each other, and what is no longer owed was judged by the city.
pub fn tables_agree(tables: &Tables, city: &City, scope: Scope<'_>) -> Result<(), Broken> {
    match scope {
        Scope::Segments(list) => list.iter().try_for_each(|first| segment_agrees(tables, city, *first)),
        Scope::All => {
            if tables.intents.len() != tables.marks.len() {
                return Err("state-with-event: intents without marks".to_owned());
            }
            tables.marks.keys().try_for_each(|first| segment_agrees(tables, city, *first))?;
            totals_agree(tables)?;
            records_agree(tables)
        }
    }
}

fn segment_agrees(tables: &Tables, city: &City, first: Sequence) -> Result<(), Broken> {
    let Some(marks) = tables.marks.get(&first) else { return Ok(()) };
    let Some(intents) = tables.intents.get(&first) else {
        return Err(format!("state-with-event: segment {first} has marks but no intents"));
    };
    if marks.owes() != tables.bodies.contains_key(&first) {
        return Err(format!("settle-in-one: segment {first} owes but has no body, or the reverse"));
    }
    for (index, own) in intents.iter().enumerate() {
        let sequence = Sequence(first.0 + index as u64);
        match marks.status_of(index as u32) {
            Some(Status::Accepted | Status::Duplicate)
                if city.judged.get(&own.id).is_none_or(Taken::refused) =>
            {
                return Err(format!("settle-in-one: {} left the outbox without the city's verdict", own.id));
            }
            Some(Status::Dead) if !tables.dead.contains_key(&(false, sequence)) => {
                return Err(format!("nothing-vanishes: {} is dead without a letter", own.id));
            }
            Some(Status::Discarded | Status::Redriven) if !tables.dead.contains_key(&(true, sequence)) => {
                return Err(format!("nothing-vanishes: {} was decided about without a record", own.id));
            }
            _ => {}
        }
    }
    Ok(())
}

fn totals_agree(tables: &Tables) -> Result<(), Broken> {
    let (owed, bytes) = tables.owed().fold((0, 0), |(owed, bytes), row| (owed + 1, bytes + row.bytes as u64));
    let statuses = || tables.marks.values().flat_map(|marks| marks.status.iter());
    let dead = statuses().filter(|byte| Status::of(**byte) == Status::Dead).count() as u64;
    let unknown = statuses().filter(|byte| **byte == MAYBE_SENT).count() as u64;
    let counted = Counter { next: tables.counter.next, owed, bytes, dead, unknown };
    if tables.counter != counted {
        return Err(format!("state-with-event: totals {:?} but counted {counted:?}", tables.counter));
    }
    let open = tables.dead.keys().filter(|(closed, _)| !closed).count() as u64;
    if open != dead {
        return Err(format!("nothing-vanishes: {dead} dead rows but {open} open dead letters"));
    }
    Ok(())
}

/// The topic of the application's tallies.
pub const TALLY_TOPIC: &str = "stall.tally.v1";
const TALLIES: &str = "tallies";
const HEARD: &str = "heard";

/// The record of a tally.
pub fn tally_record(key: &str) -> Option<RecordName> {
    Some(RecordName { collection: Collection::parse(TALLIES).ok()?, key: Key::parse(key).ok()? })
}

/// The record in which an event of the feed has its effect.
pub fn heard_record(id: EventId) -> Option<RecordName> {
    let hex: String = id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(RecordName { collection: Collection::parse(HEARD).ok()?, key: Key::parse(&format!("h{hex}")).ok()? })
}

/// The word by which a tally's event is known.
pub fn tally_word(key: &str, number: u64) -> String {
    format!("{key}-{number}")
}

/// state-with-event as the application sees it: a tally stands at a number exactly when the events up to that number
/// are there.
fn records_agree(tables: &Tables) -> Result<(), Broken> {
    let has = |key: &str, number| {
        tally_intent(key, number).map(IntentKey::to_bytes).is_some_and(|intent| tables.knows(intent))
    };
    for number in 0..=TALLY_KEYS {
        let key = format!("tally-{number}");
        let record = tally_record(&key).and_then(|name| tables.records.get(&name));
        let stands: u64 = match record {
            Some(value) => value.parse().map_err(|_| format!("state-with-event: {key} holds {value}"))?,
            None => 0,
        };
        if !(1..=stands).all(|number| has(&key, number)) || has(&key, stands + 1) {
            return Err(format!("state-with-event: {key} stands at {stands} without its events"));
        }
    }
    Ok(())
}

/// Highest number in the name of a tally.
pub const TALLY_KEYS: u64 = 5;

fn tally_intent(key: &str, number: u64) -> Option<IntentKey> {
    let topic = Topic::parse(TALLY_TOPIC).ok()?;
    let (kind, device) = (EventType::parse("counted").ok()?, Device::parse("any").ok()?);
    let (key, id) = (Key::parse(key).ok()?, EventId::mint(UnixMillis(0), [0; 10]));
    let parts = Parts { topic: &topic, kind: &kind, key: &key, attempt: 1, device: &device, id };
    Some(form(IntentRule::Fresh, parts, Some(&tally_word(key.as_str(), number))))
}

/// One owed row, as far as the oracle needs it.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// Who it is.
    pub own: Identities,
    /// Its place in the lane.
    pub place: (Sequence, Sequence),
    /// Bytes of the encoded event.
    pub bytes: usize,
}

impl Tables {
    fn owed(&self) -> impl Iterator<Item = Owed> + '_ {
        self.marks.values().filter(|marks| marks.owes()).flat_map(|marks| {
            let body = self.bodies.get(&marks.first).map(String::as_str).unwrap_or_default();
            let lines = body.split('\n').enumerate();
            lines.filter_map(|(index, line)| {
                if marks.status_of(index as u32)? != Status::Owed {
                    return None;
                }
                let sequence = Sequence(marks.first.0 + index as u64);
                let own = self.intents.get(&marks.first)?.get(index)?;
                let place = marks.places.get(&(index as u32)).copied().unwrap_or(sequence);
                Some(Owed { own, place: (place, sequence), bytes: line.len() })
            })
        })
    }

    /// The lanes of what is owed.
    pub(crate) fn owed_lanes(&self) -> impl Iterator<Item = LaneHash> + '_ {
        let owing = self.marks.values().filter(|marks| marks.owes());
        owing.flat_map(|marks| self.lanes_of(marks, &[Status::Owed]))
    }

    /// The lanes of dead letters.
    pub(crate) fn dead_lanes(&self) -> impl Iterator<Item = LaneHash> + '_ {
        self.marks.values().flat_map(|marks| self.lanes_of(marks, &[Status::Dead]))
    }

    fn lanes_of(&self, marks: &Marks, statuses: &[Status]) -> Vec<LaneHash> {
        let own = self.intents.get(&marks.first).into_iter().flat_map(Intents::iter).enumerate();
        let fits = |index: usize| marks.status_of(index as u32).is_some_and(|own| statuses.contains(&own));
        own.filter(|(index, _)| fits(*index)).map(|(_, own)| own.lane).collect()
    }

    fn identities(&self, sequence: Sequence) -> Option<Identities> {
        let (first, intents) = self.intents.range(..=sequence).next_back()?;
        intents.get(usize::try_from(sequence.0.checked_sub(first.0)?).ok()?)
    }

    /// Where an event stands.
    fn fate(&self, id: EventId) -> Option<(Identities, Status)> {
        let segment: &Intents = self.intents.get(self.holder(id.to_bytes())?)?;
        let index = segment.iter().position(|own| own.id == id)?;
        Some((segment.get(index)?, self.marks.get(&segment.first)?.status_of(index as u32)?))
    }

    fn sequence(&self, id: EventId) -> Option<Sequence> {
        let segment: &Intents = self.intents.get(self.holder(id.to_bytes())?)?;
        let index = segment.iter().position(|own| own.id == id)?;
        Some(Sequence(segment.first.0 + index as u64))
    }

    /// Whether an event was here once and is pruned.
    fn forgot(&self, id: EventId) -> bool {
        self.forgotten.contains(&id.to_bytes())
    }

    /// Whether an intent is here, or was.
    fn knows(&self, intent: [u8; 16]) -> bool {
        self.holder(intent).is_some() || self.forgotten.contains(&intent)
    }
}
