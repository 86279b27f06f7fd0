//! A city's books in memory, for simulations and tests. It refuses what the unique constraints of a database would
//! refuse, so that a wrong decision shows.

mod books;
mod bus;
#[cfg(test)]
mod tests;
mod undo;

use crate::books::{Duplicate, Movement, Operation, RefundStep};
use crate::bus::{DeadLetter, Message};
use crate::claim::Claimed;
use crate::clones::{Life as Spoken, Why};
use crate::directory::Agent;
use crate::ticket::{Policy, Ticket};
use crate::tx::{
    Admission, Capture, Case, Fault, FeedEvent, FormRow, Gap, InboxRow, Incarnation, IntentRow, Kept, Load,
    Order, OrderState, Scan, ScanResult, Scope, Tx,
};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};
use undo::Undoable;

type Life = (Device, String);

/// A city's books.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: Undoable<Rows>,
    /// After so many more writes the storage fails.
    fuse: Option<u64>,
}

/// All rows of a city.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    inbox: BTreeMap<(String, EventId), InboxRow>,
    events: Vec<Kept>,
    event_at: BTreeMap<(String, EventId), usize>,
    refusals: BTreeMap<(Device, EventId, String), ()>,
    intents: BTreeMap<(Scope, IntentKey), IntentRow>,
    orders: BTreeMap<Key, Order>,
    captures: BTreeMap<Key, Capture>,
    admissions: BTreeMap<Key, Admission>,
    scans: Vec<Scan>,
    scan_at: BTreeMap<(Device, EventId), usize>,
    scans_of: BTreeMap<(Key, usize), ()>,
    tickets: BTreeMap<Key, Ticket>,
    policy: Policy,
    claims: BTreeMap<(Device, EventId), Claimed>,
    gates: BTreeMap<Device, UnixMillis>,
    digests: BTreeMap<u64, (Key, UnixMillis)>,
    feeds: BTreeMap<Device, Vec<FeedEvent>>,
    /// How many events all feeds have.
    fed: u64,
    incarnations: BTreeMap<Life, Incarnation>,
    arrivals: BTreeMap<(Life, u64), ()>,
    gaps: BTreeMap<(Life, u64), Gap>,
    cases: BTreeMap<Key, Case>,
    spots: BTreeMap<(String, String), Key>,
    forms: BTreeMap<[u8; 32], FormRow>,
    contacts: BTreeMap<(Key, String), ()>,
    agents: BTreeMap<Device, Agent>,
    lives: BTreeMap<Life, Spoken>,
    places: BTreeMap<(String, u64, EventId), ()>,
    clones: BTreeMap<Device, Why>,
    loads: BTreeMap<(Key, Device), Load>,
    money: books::Money,
    bus: bus::Bus,
}

impl Memory {
    /// The accepted events, in the order they came.
    pub fn events(&self) -> &[Kept] {
        &self.rows.events
    }

    /// The money on the books.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.rows.captures.values()
    }

    /// Everything that was asked of the acquirer.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.rows.money.operations.values()
    }

    /// Everything the acquirer said it moved.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.rows.money.movements.values().map(|(movement, ..)| movement)
    }

    /// Money that moved twice.
    pub fn duplicates(&self) -> impl Iterator<Item = &Duplicate> {
        self.rows.money.duplicates.values()
    }

    /// The steps of all refunds, in the order they were taken.
    pub fn refund_steps(&self) -> impl Iterator<Item = (&str, &RefundStep)> {
        self.rows.money.steps.iter().map(|(txn_id, step)| (txn_id.as_str(), step))
    }

    /// The admitted tickets.
    pub fn admissions(&self) -> impl Iterator<Item = &Admission> {
        self.rows.admissions.values()
    }

    /// Issues a ticket, or writes it over what was there.
    pub fn issue(&mut self, ticket: Ticket) {
        self.rows.put(|rows| &mut rows.tickets, ticket.key.clone(), ticket);
    }

    /// What is thought of tickets that were not issued here.
    pub fn think(&mut self, policy: Policy) {
        self.rows.set(|rows| &mut rows.policy, policy);
    }

    /// Hears a gate's device.
    pub fn hear_gate(&mut self, device: &Device, at: UnixMillis) {
        self.rows.put(|rows| &mut rows.gates, device.clone(), at);
    }

    /// From the so many-th write on, each fails, as when the process is killed there; [`Memory::whole`] takes back what
    /// was written before. `None` mends it.
    pub fn fail_after(&mut self, writes: Option<u64>) {
        self.fuse = writes;
    }

    /// Does work that leaves nothing behind when it fails. It may lie in other such work.
    pub fn whole<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let begin = self.rows.begin();
        let done = work(self);
        self.rows.end(begin, done.is_err());
        done
    }

    /// The rows, for one write.
    fn write(&mut self) -> Result<&mut Undoable<Rows>, Fault> {
        match &mut self.fuse {
            None => {}
            Some(0) => return Err(Fault("the storage is gone".to_owned())),
            Some(left) => *left -= 1,
        }
        Ok(&mut self.rows)
    }

    /// An accepted event.
    fn event(&self, source: &str, id: EventId) -> Option<&Kept> {
        self.rows.events.get(*self.rows.event_at.get(&(source.to_owned(), id))?)
    }

    fn lives_of<'a>(&'a self, device: &'a Device) -> impl Iterator<Item = (&'a Life, &'a Spoken)> {
        let own = self.rows.lives.range((device.clone(), String::new())..);
        own.take_while(move |((of, _), _)| of == device)
    }

    /// Whether a consumer has done its part for an event, or given it up.
    pub fn has_handled(&self, consumer: &str, message: &Message) -> bool {
        let own = (consumer.to_owned(), message.source.clone(), message.id);
        self.rows.bus.handled.contains_key(&own)
    }

    /// The devices that were found to be two.
    pub fn clones(&self) -> impl Iterator<Item = (&Device, &Why)> {
        self.rows.clones.iter()
    }

    /// The scans of a ticket, in the order they came.
    fn scans_of<'a>(&'a self, ticket: &'a Key) -> impl Iterator<Item = &'a Scan> {
        let places = self.rows.scans_of.range((ticket.clone(), 0)..=(ticket.clone(), usize::MAX));
        places.filter_map(|((_, place), ())| self.rows.scans.get(*place))
    }

    fn admits_one(&self, scan: &Scan) -> Result<(), Fault> {
        let mut others = self.scans_of(&scan.ticket).filter(|own| !is_same_scan(own, scan));
        let admitted = |own: &Scan| own.result == ScanResult::Admitted;
        match scan.result == ScanResult::Admitted && others.any(admitted) {
            true => Err(Fault("scans: the ticket has an admitted scan".to_owned())),
            false => Ok(()),
        }
    }

    /// All scans, in the order they came.
    pub fn scans(&self) -> &[Scan] {
        &self.rows.scans
    }

    /// An order.
    pub fn order_of(&self, key: &Key) -> Option<&Order> {
        self.rows.orders.get(key)
    }

    /// What a device was told.
    pub fn feed(&self, device: &Device) -> &[FeedEvent] {
        self.rows.feeds.get(device).map_or(&[], Vec::as_slice)
    }

    /// How many events all devices were told.
    pub fn fed(&self) -> u64 {
        self.rows.fed
    }

    /// The civic cases.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.rows.cases.values()
    }

    /// Who can be reached about a case.
    pub fn contacts(&self, case: &Key) -> Vec<&str> {
        self.contacts_of(case).map(|(_, contact)| contact.as_str()).collect()
    }

    fn contacts_of<'a>(&'a self, case: &Key) -> impl Iterator<Item = &'a (Key, String)> + use<'a> {
        let case = case.clone();
        let own = self.rows.contacts.range((case.clone(), String::new())..);
        own.map(|(contact, ())| contact).take_while(move |(own, _)| *own == case)
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.rows.bus.dead.values()
    }

    /// What lies on the log, by partition and offset.
    pub fn log(&self) -> impl Iterator<Item = &Message> {
        self.rows.bus.log.values()
    }

    /// How many events wait in consumers.
    pub fn waiting(&self) -> usize {
        self.rows.bus.waits.len()
    }

    /// How many deliveries were refused.
    pub fn refused(&self) -> usize {
        self.rows.refusals.keys().map(|(device, id, _)| (device, id)).collect::<BTreeSet<_>>().len()
    }

    /// How many sequences are missing.
    pub fn missing(&self) -> u64 {
        self.rows.gaps.values().map(|gap| gap.last - gap.first + 1).sum()
    }
}

#[cfg(test)]
impl Memory {
    /// The alerts that were said about gaps, in their order, by id.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let mut said: Vec<&Message> = self.rows.bus.outgoing.values().collect();
        said.sort_by_key(|message| message.id);
        let shown = |message: &Message| {
            let data = message.envelope()?.data;
            let (alert, first, last) =
                (data.text("alert")?.to_owned(), data.whole("first")?, data.whole("last")?);
            Some(format!("{} {alert} {first}-{last}", message.kind.as_str()))
        };
        said.into_iter().filter_map(shown).collect()
    }

    /// As if this event had been accepted at this place of an outbox.
    pub(crate) fn keep_at(&mut self, source: &str, sequence: u64, id: EventId) {
        self.rows.put(|rows| &mut rows.places, (source.to_owned(), sequence, id), ());
    }
}

fn is_same_scan(one: &Scan, other: &Scan) -> bool {
    one.event == other.event && one.device == other.device
}

fn life(device: &Device, name: &str) -> Life {
    (device.clone(), name.to_owned())
}

impl Tx for Memory {
    fn inbox(&mut self, source: &str, id: EventId) -> Result<Option<InboxRow>, Fault> {
        Ok(self.rows.inbox.get(&(source.to_owned(), id)).cloned())
    }

    fn put_inbox(&mut self, row: &InboxRow, _device: &Device) -> Result<(), Fault> {
        let key = (row.source.clone(), row.verdict.id);
        self.write()?.insert(|rows| &mut rows.inbox, key, row.clone(), "inbox")
    }

    fn put_event(&mut self, event: &Kept) -> Result<(), Fault> {
        let rows = self.write()?;
        let place = rows.events.len();
        rows.insert(|rows| &mut rows.event_at, (event.source.clone(), event.id), place, "events")?;
        rows.push(|rows| &mut rows.events, event.clone());
        if let Some(sequence) = event.sequence {
            rows.put(|rows| &mut rows.places, (event.source.clone(), sequence.0, event.id), ());
        }
        Ok(())
    }

    fn happened(&mut self, source: &str, id: EventId) -> Result<Option<UnixMillis>, Fault> {
        Ok(self.event(source, id).map(|event| event.corrected))
    }

    fn put_refusal(
        &mut self,
        device: &Device,
        id: EventId,
        code: &str,
        _at: UnixMillis,
    ) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.refusals, (device.clone(), id, code.to_owned()), ());
        Ok(())
    }

    fn intent(&mut self, scope: &Scope, intent: IntentKey) -> Result<Option<IntentRow>, Fault> {
        Ok(self.rows.intents.get(&(scope.clone(), intent)).cloned())
    }

    fn put_intent(&mut self, scope: &Scope, intent: IntentKey, row: &IntentRow) -> Result<(), Fault> {
        self.write()?.insert(|rows| &mut rows.intents, (scope.clone(), intent), row.clone(), "intents")
    }

    fn order(&mut self, key: &Key) -> Result<Option<Order>, Fault> {
        Ok(self.rows.orders.get(key).cloned())
    }

    fn put_order(&mut self, order: &Order) -> Result<(), Fault> {
        let rows = self.write()?;
        if rows.orders.get(&order.key).is_some_and(|standing| standing.state == OrderState::Captured) {
            return Err(Fault("orders: an effect cannot be overwritten".to_owned()));
        }
        rows.put(|rows| &mut rows.orders, order.key.clone(), order.clone());
        Ok(())
    }

    fn put_capture(&mut self, capture: &Capture) -> Result<(), Fault> {
        self.write()?.insert(|rows| &mut rows.captures, capture.order.clone(), capture.clone(), "captures")
    }

    fn admission(&mut self, ticket: &Key) -> Result<Option<Admission>, Fault> {
        Ok(self.rows.admissions.get(ticket).cloned())
    }

    fn put_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        let (key, row) = (admission.ticket.clone(), admission.clone());
        self.write()?.insert(|rows| &mut rows.admissions, key, row, "admissions")
    }

    fn move_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        let rows = self.write()?;
        if !rows.admissions.contains_key(&admission.ticket) {
            return Err(Fault("admissions: there is none to move".to_owned()));
        }
        rows.put(|rows| &mut rows.admissions, admission.ticket.clone(), admission.clone());
        Ok(())
    }

    fn drop_admission(&mut self, ticket: &Key) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.admissions, ticket);
        Ok(())
    }

    fn put_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.write()?;
        let own = (scan.device.clone(), scan.event);
        if self.rows.scan_at.contains_key(&own) {
            return Err(Fault("scans: the row is there already".to_owned()));
        }
        self.admits_one(scan)?;
        let place = self.rows.push(|rows| &mut rows.scans, scan.clone());
        self.rows.put(|rows| &mut rows.scan_at, own, place);
        self.rows.put(|rows| &mut rows.scans_of, (scan.ticket.clone(), place), ());
        Ok(())
    }

    fn scan(&mut self, device: &Device, event: EventId) -> Result<Option<Scan>, Fault> {
        let place = self.rows.scan_at.get(&(device.clone(), event));
        Ok(place.and_then(|place| self.rows.scans.get(*place)).cloned())
    }

    fn change_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.write()?;
        self.admits_one(scan)?;
        let place = self.rows.scan_at.get(&(scan.device.clone(), scan.event)).copied();
        let place = place.ok_or_else(|| Fault("scans: there is none to change".to_owned()))?;
        if let Some(before) = self.rows.scans.get(place).map(|own| own.ticket.clone()) {
            self.rows.remove(|rows| &mut rows.scans_of, &(before, place));
        }
        self.rows.change(|rows| &mut rows.scans, place, scan.clone());
        self.rows.put(|rows| &mut rows.scans_of, (scan.ticket.clone(), place), ());
        Ok(())
    }

    fn first_scan(&mut self, ticket: &Key) -> Result<Option<Scan>, Fault> {
        let let_in = self.scans_of(ticket).filter(|own| own.result != ScanResult::Refused);
        Ok(let_in.min_by_key(|own| (own.at, own.event, &own.device)).cloned())
    }

    fn beside(&mut self, scan: &Scan, limit: usize) -> Result<Vec<Scan>, Fault> {
        let of_device = self.scans_of(&scan.ticket).filter(|own| own.device == scan.device);
        let others = of_device.filter(|own| own.event != scan.event && own.result != ScanResult::Refused);
        let mut others: Vec<Scan> = others.cloned().collect();
        others.sort_by_key(|other| std::cmp::Reverse((other.at, other.event)));
        others.truncate(limit);
        Ok(others)
    }

    fn ticket(&mut self, key: &Key) -> Result<Option<Ticket>, Fault> {
        Ok(self.rows.tickets.get(key).cloned())
    }

    fn ticket_policy(&mut self) -> Result<Policy, Fault> {
        Ok(self.rows.policy)
    }

    fn claim(&mut self, device: &Device, event: EventId) -> Result<Option<Claimed>, Fault> {
        Ok(self.rows.claims.get(&(device.clone(), event)).cloned())
    }

    fn put_claim(&mut self, claimed: &Claimed) -> Result<(), Fault> {
        let key = (claimed.device.clone(), claimed.event);
        self.write()?.insert(|rows| &mut rows.claims, key, claimed.clone(), "claims")
    }

    fn put_digest(&mut self, ticket: &Key, until: UnixMillis) -> Result<(), Fault> {
        let rows = self.write()?;
        if rows.digests.values().all(|(noted, _)| noted != ticket) {
            let next = rows.digests.last_key_value().map_or(0, |(last, _)| last + 1);
            rows.put(|rows| &mut rows.digests, next, (ticket.clone(), until));
        }
        Ok(())
    }

    fn take_digest(&mut self) -> Result<Option<(Key, UnixMillis)>, Fault> {
        let rows = self.write()?;
        let oldest = rows.digests.first_key_value().map(|(place, own)| (*place, own.clone()));
        let Some((place, own)) = oldest else { return Ok(None) };
        rows.remove(|rows| &mut rows.digests, &place);
        Ok(Some(own))
    }

    fn gates_since(&mut self, since: UnixMillis, limit: usize) -> Result<Vec<Device>, Fault> {
        let mut heard: Vec<_> = self.rows.gates.iter().filter(|(_, at)| **at >= since).collect();
        heard.sort_by_key(|(device, at)| (std::cmp::Reverse(**at), *device));
        Ok(heard.into_iter().take(limit).map(|(device, _)| device.clone()).collect())
    }

    fn case(&mut self, key: &Key) -> Result<Option<Case>, Fault> {
        Ok(self.rows.cases.get(key).cloned())
    }

    fn put_case(&mut self, case: &Case) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.cases, case.key.clone(), case.clone());
        Ok(())
    }

    fn next_case(&mut self) -> Result<Option<Case>, Fault> {
        let open = self.rows.cases.values().filter(|case| case.deadline().is_some() && !case.escalated);
        Ok(open.min_by_key(|case| (case.deadline(), &case.key)).cloned())
    }

    fn spot(&mut self, kind: &str, spot: &str) -> Result<Option<Key>, Fault> {
        Ok(self.rows.spots.get(&(kind.to_owned(), spot.to_owned())).cloned())
    }

    fn put_spot(&mut self, kind: &str, spot: &str, case: &Key) -> Result<(), Fault> {
        let place = (kind.to_owned(), spot.to_owned());
        self.write()?.put(|rows| &mut rows.spots, place, case.clone());
        Ok(())
    }

    fn form(&mut self, asker: &[u8; 32]) -> Result<Option<FormRow>, Fault> {
        Ok(self.rows.forms.get(asker).cloned())
    }

    fn put_form(&mut self, asker: &[u8; 32], row: &FormRow) -> Result<(), Fault> {
        self.write()?.insert(|rows| &mut rows.forms, *asker, row.clone(), "forms")
    }

    fn put_contact(&mut self, case: &Key, contact: &str, _at: UnixMillis) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.contacts, (case.clone(), contact.to_owned()), ());
        Ok(())
    }

    fn drop_contacts(&mut self, case: &Key) -> Result<(), Fault> {
        self.write()?;
        for contact in self.contacts_of(case).cloned().collect::<Vec<_>>() {
            self.rows.remove(|rows| &mut rows.contacts, &contact);
        }
        Ok(())
    }

    fn agents(&mut self) -> Result<Vec<Agent>, Fault> {
        Ok(self.rows.agents.values().cloned().collect())
    }

    fn put_agent(&mut self, agent: &Agent) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.agents, agent.device.clone(), agent.clone());
        Ok(())
    }

    fn drop_agent(&mut self, device: &Device) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.agents, device);
        Ok(())
    }

    fn load(&mut self, circuit: &Key, stall: &Device) -> Result<Option<Load>, Fault> {
        Ok(self.rows.loads.get(&(circuit.clone(), stall.clone())).cloned())
    }

    fn loads(&mut self, circuit: &Key) -> Result<Vec<Load>, Fault> {
        Ok(self.rows.loads.values().filter(|load| load.circuit == *circuit).cloned().collect())
    }

    fn put_load(&mut self, load: &Load) -> Result<(), Fault> {
        let key = (load.circuit.clone(), load.stall.clone());
        self.write()?.put(|rows| &mut rows.loads, key, load.clone());
        Ok(())
    }

    fn shedding(&mut self) -> Result<Vec<Key>, Fault> {
        let shed = self.rows.loads.values().filter(|load| load.shed_at.is_some());
        Ok(shed.map(|load| &load.circuit).collect::<BTreeSet<_>>().into_iter().cloned().collect())
    }

    fn put_outgoing(&mut self, message: &Message) -> Result<(), Fault> {
        let rows = self.write()?;
        let place = rows.bus.said + 1;
        rows.set(|rows| &mut rows.bus.said, place);
        rows.put(|rows| &mut rows.bus.outgoing, (message.partition(), place), message.clone());
        Ok(())
    }

    fn feed_head(&mut self, device: &Device) -> Result<u64, Fault> {
        Ok(self.feed(device).last().map_or(0, |last| last.sequence))
    }

    fn put_feed(&mut self, event: &FeedEvent) -> Result<(), Fault> {
        let rows = self.write()?;
        let fed = rows.fed + 1;
        rows.set(|rows| &mut rows.fed, fed);
        rows.append(|rows| &mut rows.feeds, event.device.clone(), event.clone());
        Ok(())
    }

    fn put_passing(&mut self, event: &FeedEvent, _until: UnixMillis) -> Result<(), Fault> {
        self.write()?;
        self.put_feed(event)
    }

    fn drop_passed(&mut self, _now: UnixMillis, _limit: usize) -> Result<usize, Fault> {
        self.write()?;
        // Books in memory are shorter than any digest's life.
        Ok(0)
    }

    fn incarnation(&mut self, device: &Device, name: &str) -> Result<Option<Incarnation>, Fault> {
        Ok(self.rows.incarnations.get(&life(device, name)).copied())
    }

    fn put_incarnation(&mut self, device: &Device, name: &str, row: Incarnation) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.incarnations, life(device, name), row);
        Ok(())
    }

    fn put_arrival(&mut self, device: &Device, name: &str, sequence: u64) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.arrivals, (life(device, name), sequence), ());
        Ok(())
    }

    fn take_arrivals(&mut self, device: &Device, name: &str, below: u64) -> Result<Vec<u64>, Fault> {
        let rows = self.write()?;
        let range = (life(device, name), 0)..(life(device, name), below);
        let taken: Vec<u64> = rows.arrivals.range(range).map(|((_, sequence), ())| *sequence).collect();
        for sequence in &taken {
            rows.remove(|rows| &mut rows.arrivals, &(life(device, name), *sequence));
        }
        Ok(taken)
    }

    fn gap_at(&mut self, device: &Device, name: &str, sequence: u64) -> Result<Option<Gap>, Fault> {
        let range = (life(device, name), 0)..=(life(device, name), sequence);
        let last = self.rows.gaps.range(range).next_back().map(|(_, gap)| *gap);
        Ok(last.filter(|gap| gap.last >= sequence))
    }

    fn has_gaps(&mut self, device: &Device, name: &str) -> Result<bool, Fault> {
        let range = (life(device, name), 0)..=(life(device, name), u64::MAX);
        Ok(self.rows.gaps.range(range).next().is_some())
    }

    fn gaps_of(&mut self, device: &Device, limit: usize) -> Result<Vec<(String, Gap)>, Fault> {
        let from = (life(device, ""), 0);
        let own = self.rows.gaps.range(from..).take_while(|(((of, _), _), _)| of == device);
        Ok(own.take(limit).map(|(((_, name), _), gap)| (name.clone(), *gap)).collect())
    }

    fn put_written_off(
        &mut self,
        _device: &Device,
        _name: &str,
        _gap: Gap,
        _at: UnixMillis,
        _word: (&str, &str),
    ) -> Result<(), Fault> {
        self.write().map(drop)
    }

    fn put_gap(&mut self, device: &Device, name: &str, gap: Gap, _at: UnixMillis) -> Result<(), Fault> {
        self.write()?.insert(|rows| &mut rows.gaps, (life(device, name), gap.first), gap, "gaps")
    }

    fn drop_gap(&mut self, device: &Device, name: &str, first: u64) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.gaps, &(life(device, name), first));
        Ok(())
    }

    fn life(&mut self, device: &Device, name: &str) -> Result<Option<Spoken>, Fault> {
        Ok(self.rows.lives.get(&life(device, name)).cloned())
    }

    fn younger_lives(&mut self, device: &Device, than: UnixMillis) -> Result<Vec<Spoken>, Fault> {
        let younger = self.lives_of(device).filter(|(_, life)| life.first_at > than);
        Ok(younger.map(|(_, life)| life.clone()).collect())
    }

    fn put_life(&mut self, device: &Device, spoken: &Spoken) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.lives, life(device, &spoken.name), spoken.clone());
        Ok(())
    }

    fn drop_lives(&mut self, device: &Device) -> Result<(), Fault> {
        self.write()?;
        for life in self.lives_of(device).map(|(life, _)| life.clone()).collect::<Vec<_>>() {
            self.rows.remove(|rows| &mut rows.lives, &life);
        }
        Ok(())
    }

    fn place_taken(&mut self, source: &str, sequence: u64, id: EventId) -> Result<bool, Fault> {
        let first = (source.to_owned(), sequence, EventId::from_bytes([0; 16]));
        let there = self.rows.places.range(first..).map(|(place, ())| place);
        let mut there = there.take_while(|(own, place, _)| own == source && *place == sequence);
        Ok(there.any(|(_, _, other)| *other != id))
    }

    fn clone_of(&mut self, device: &Device) -> Result<Option<Why>, Fault> {
        Ok(self.rows.clones.get(device).copied())
    }

    fn put_clone(&mut self, device: &Device, why: Why, _at: UnixMillis) -> Result<(), Fault> {
        self.write()?.insert(|rows| &mut rows.clones, device.clone(), why, "clones")
    }

    fn drop_clone(&mut self, device: &Device) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.clones, device);
        Ok(())
    }
}
