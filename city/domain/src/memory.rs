//! A city's books in memory, for simulations and tests. It refuses what the unique constraints of a database would
//! refuse, so that a wrong decision shows.

mod books;

use crate::books::{Duplicate, Movement, Operation, RefundStep};
use crate::bus::{BusTx, Closing, DeadLetter, Failure, Message, Wait};
use crate::claim::Claimed;
use crate::clones::{Life as Spoken, Why};
use crate::directory::Agent;
use crate::ticket::{Policy, Ticket};
use crate::tx::{
    Admission, Capture, Case, Fault, FeedEvent, FormRow, Gap, InboxRow, Incarnation, IntentRow, Kept, Load,
    Order, OrderState, Scan, ScanResult, Scope, Tx,
};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Life = (Device, String);

/// All rows of a city.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    inbox: BTreeMap<(String, EventId), InboxRow>,
    events: Vec<Kept>,
    refusals: BTreeSet<(Device, EventId, String)>,
    intents: BTreeMap<(Scope, IntentKey), IntentRow>,
    orders: BTreeMap<Key, Order>,
    captures: BTreeMap<Key, Capture>,
    admissions: BTreeMap<Key, Admission>,
    scans: Vec<Scan>,
    tickets: BTreeMap<Key, Ticket>,
    policy: Policy,
    claims: BTreeMap<(Device, EventId), Claimed>,
    gates: BTreeMap<Device, UnixMillis>,
    digests: VecDeque<(Key, UnixMillis)>,
    feeds: BTreeMap<Device, Vec<FeedEvent>>,
    incarnations: BTreeMap<Life, Incarnation>,
    arrivals: BTreeSet<(Life, u64)>,
    gaps: BTreeMap<(Life, u64), Gap>,
    cases: BTreeMap<Key, Case>,
    spots: BTreeMap<(String, String), Key>,
    forms: BTreeMap<[u8; 32], FormRow>,
    contacts: BTreeSet<(Key, String)>,
    agents: BTreeMap<Device, Agent>,
    lives: BTreeMap<Life, Spoken>,
    places: BTreeSet<(String, u64, EventId)>,
    clones: BTreeMap<Device, Why>,
    loads: BTreeMap<(Key, Device), Load>,
    money: books::Money,
    bus: Bus,
    /// After so many more writes the storage fails.
    fuse: Option<u64>,
    undo: Undo,
}

/// How what a piece of work wrote is taken back.
#[derive(Clone, Debug, Default)]
enum Undo {
    /// Nothing is taken back.
    #[default]
    No,
    /// The first write makes a copy: most pieces write nothing.
    Wanted,
    /// As it was before.
    To(Box<Memory>),
}

/// The rows of the bus.
#[derive(Clone, Debug, Default)]
struct Bus {
    said: u64,
    outgoing: BTreeMap<(u16, u64), Message>,
    leases: BTreeMap<String, (String, UnixMillis)>,
    log: BTreeMap<(u16, u64), Message>,
    logged: BTreeSet<(String, EventId)>,
    cursors: BTreeMap<(String, u16), u64>,
    handled: BTreeSet<(String, String, EventId)>,
    waits: BTreeMap<(String, u16, u64), Wait>,
    dead: BTreeMap<u64, DeadLetter>,
}

impl Memory {
    /// The accepted events, in the order they came.
    pub fn events(&self) -> &[Kept] {
        &self.events
    }

    /// The money on the books.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.captures.values()
    }

    /// Everything that was asked of the acquirer.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.money.operations.values()
    }

    /// Everything the acquirer said it moved.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.money.movements.values().map(|(movement, ..)| movement)
    }

    /// Money that moved twice.
    pub fn duplicates(&self) -> impl Iterator<Item = &Duplicate> {
        self.money.duplicates.values()
    }

    /// The steps of all refunds, in the order they were taken.
    pub fn refund_steps(&self) -> impl Iterator<Item = (&str, &RefundStep)> {
        self.money.steps.iter().map(|(txn_id, step)| (txn_id.as_str(), step))
    }

    /// The admitted tickets.
    pub fn admissions(&self) -> impl Iterator<Item = &Admission> {
        self.admissions.values()
    }

    /// Issues a ticket, or writes it over what was there.
    pub fn issue(&mut self, ticket: Ticket) {
        self.tickets.insert(ticket.key.clone(), ticket);
    }

    /// What is thought of tickets that were not issued here.
    pub fn think(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Hears a gate's device.
    pub fn hear_gate(&mut self, device: &Device, at: UnixMillis) {
        self.gates.insert(device.clone(), at);
    }

    /// From the so many-th write on, each fails, as when the process is killed there. The caller takes back what the
    /// transaction wrote before, from a copy. `None` mends it.
    pub fn fail_after(&mut self, writes: Option<u64>) {
        self.fuse = writes;
    }

    /// Before every write.
    fn spend(&mut self) -> Result<(), Fault> {
        if matches!(self.undo, Undo::Wanted) {
            self.undo = Undo::No;
            self.undo = Undo::To(Box::new(self.clone()));
        }
        match &mut self.fuse {
            None => Ok(()),
            Some(0) => Err(Fault("the storage is gone".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// Whether a consumer has done its part for an event, or given it up.
    pub fn has_handled(&self, consumer: &str, message: &Message) -> bool {
        let own = (consumer.to_owned(), message.source.clone(), message.id);
        self.bus.handled.contains(&own)
    }

    /// The devices that were found to be two.
    pub fn clones(&self) -> impl Iterator<Item = (&Device, &Why)> {
        self.clones.iter()
    }

    fn admits_one(&self, scan: &Scan) -> Result<(), Fault> {
        let admitted = |own: &Scan| own.ticket == scan.ticket && own.result == ScanResult::Admitted;
        let mut others = self.scans.iter().filter(|own| !is_same_scan(own, scan));
        match scan.result == ScanResult::Admitted && others.any(admitted) {
            true => Err(Fault("scans: the ticket has an admitted scan".to_owned())),
            false => Ok(()),
        }
    }

    /// All scans, in the order they came.
    pub fn scans(&self) -> &[Scan] {
        &self.scans
    }

    /// An order.
    pub fn order_of(&self, key: &Key) -> Option<&Order> {
        self.orders.get(key)
    }

    /// What a device was told.
    pub fn feed(&self, device: &Device) -> &[FeedEvent] {
        self.feeds.get(device).map_or(&[], Vec::as_slice)
    }

    /// The civic cases.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// Who can be reached about a case.
    pub fn contacts(&self, case: &Key) -> Vec<&str> {
        self.contacts.iter().filter(|(own, _)| own == case).map(|(_, contact)| contact.as_str()).collect()
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.bus.dead.values()
    }

    /// What lies on the log, by partition and offset.
    pub fn log(&self) -> impl Iterator<Item = &Message> {
        self.bus.log.values()
    }

    /// How many events wait in consumers.
    pub fn waiting(&self) -> usize {
        self.bus.waits.len()
    }

    /// How many deliveries were refused.
    pub fn refused(&self) -> usize {
        self.refusals.iter().map(|(device, id, _)| (device, id)).collect::<BTreeSet<_>>().len()
    }

    /// How many sequences are missing.
    pub fn missing(&self) -> u64 {
        self.gaps.values().map(|gap| gap.last - gap.first + 1).sum()
    }
}

#[cfg(test)]
impl Memory {
    /// The alerts that were said about gaps, in their order, by id.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let mut said: Vec<&Message> = self.bus.outgoing.values().collect();
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
        self.places.insert((source.to_owned(), sequence, id));
    }
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, table: &str) -> Result<(), Fault> {
    if map.contains_key(&key) {
        return Err(Fault(format!("{table}: the row is there already")));
    }
    map.insert(key, value);
    Ok(())
}

fn is_same_scan(one: &Scan, other: &Scan) -> bool {
    one.event == other.event && one.device == other.device
}

fn life(device: &Device, name: &str) -> Life {
    (device.clone(), name.to_owned())
}

impl Tx for Memory {
    fn inbox(&mut self, source: &str, id: EventId) -> Result<Option<InboxRow>, Fault> {
        Ok(self.inbox.get(&(source.to_owned(), id)).cloned())
    }

    fn put_inbox(&mut self, row: &InboxRow, _device: &Device) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.inbox, (row.source.clone(), row.verdict.id), row.clone(), "inbox")
    }

    fn put_event(&mut self, event: &Kept) -> Result<(), Fault> {
        self.spend()?;
        if let Some(sequence) = event.sequence {
            self.places.insert((event.source.clone(), sequence.0, event.id));
        }
        self.events.push(event.clone());
        Ok(())
    }

    fn happened(&mut self, source: &str, id: EventId) -> Result<Option<UnixMillis>, Fault> {
        let found = self.events.iter().rev().find(|event| event.source == source && event.id == id);
        Ok(found.map(|event| event.corrected))
    }

    fn put_refusal(
        &mut self,
        device: &Device,
        id: EventId,
        code: &str,
        _at: UnixMillis,
    ) -> Result<(), Fault> {
        self.spend()?;
        self.refusals.insert((device.clone(), id, code.to_owned()));
        Ok(())
    }

    fn intent(&mut self, scope: &Scope, intent: IntentKey) -> Result<Option<IntentRow>, Fault> {
        Ok(self.intents.get(&(scope.clone(), intent)).cloned())
    }

    fn put_intent(&mut self, scope: &Scope, intent: IntentKey, row: &IntentRow) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.intents, (scope.clone(), intent), row.clone(), "intents")
    }

    fn order(&mut self, key: &Key) -> Result<Option<Order>, Fault> {
        Ok(self.orders.get(key).cloned())
    }

    fn put_order(&mut self, order: &Order) -> Result<(), Fault> {
        self.spend()?;
        match self.orders.get(&order.key) {
            Some(standing) if standing.state == OrderState::Captured => {
                Err(Fault("orders: an effect cannot be overwritten".to_owned()))
            }
            _ => {
                self.orders.insert(order.key.clone(), order.clone());
                Ok(())
            }
        }
    }

    fn put_capture(&mut self, capture: &Capture) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.captures, capture.order.clone(), capture.clone(), "captures")
    }

    fn admission(&mut self, ticket: &Key) -> Result<Option<Admission>, Fault> {
        Ok(self.admissions.get(ticket).cloned())
    }

    fn put_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.admissions, admission.ticket.clone(), admission.clone(), "admissions")
    }

    fn move_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        self.spend()?;
        let moved = self.admissions.insert(admission.ticket.clone(), admission.clone());
        moved.map(|_| ()).ok_or_else(|| Fault("admissions: there is none to move".to_owned()))
    }

    fn drop_admission(&mut self, ticket: &Key) -> Result<(), Fault> {
        self.spend()?;
        self.admissions.remove(ticket);
        Ok(())
    }

    fn put_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.spend()?;
        if self.scans.iter().any(|own| is_same_scan(own, scan)) {
            return Err(Fault("scans: the row is there already".to_owned()));
        }
        self.admits_one(scan)?;
        self.scans.push(scan.clone());
        Ok(())
    }

    fn scan(&mut self, device: &Device, event: EventId) -> Result<Option<Scan>, Fault> {
        Ok(self.scans.iter().find(|own| own.event == event && own.device == *device).cloned())
    }

    fn change_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.spend()?;
        self.admits_one(scan)?;
        let own = self.scans.iter_mut().find(|own| is_same_scan(own, scan));
        *own.ok_or_else(|| Fault("scans: there is none to change".to_owned()))? = scan.clone();
        Ok(())
    }

    fn first_scan(&mut self, ticket: &Key) -> Result<Option<Scan>, Fault> {
        let let_in = |own: &&Scan| own.ticket == *ticket && own.result != ScanResult::Refused;
        let all = self.scans.iter().filter(let_in);
        Ok(all.min_by_key(|own| (own.at, own.event, own.device.clone())).cloned())
    }

    fn beside(&mut self, scan: &Scan, limit: usize) -> Result<Vec<Scan>, Fault> {
        let of_device =
            self.scans.iter().filter(|own| own.ticket == scan.ticket && own.device == scan.device);
        let others = of_device.filter(|own| own.event != scan.event && own.result != ScanResult::Refused);
        let mut others: Vec<Scan> = others.cloned().collect();
        others.sort_by_key(|other| std::cmp::Reverse((other.at, other.event)));
        others.truncate(limit);
        Ok(others)
    }

    fn ticket(&mut self, key: &Key) -> Result<Option<Ticket>, Fault> {
        Ok(self.tickets.get(key).cloned())
    }

    fn ticket_policy(&mut self) -> Result<Policy, Fault> {
        Ok(self.policy)
    }

    fn claim(&mut self, device: &Device, event: EventId) -> Result<Option<Claimed>, Fault> {
        Ok(self.claims.get(&(device.clone(), event)).cloned())
    }

    fn put_claim(&mut self, claimed: &Claimed) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.claims, (claimed.device.clone(), claimed.event), claimed.clone(), "claims")
    }

    fn put_digest(&mut self, ticket: &Key, until: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        if self.digests.iter().all(|(noted, _)| noted != ticket) {
            self.digests.push_back((ticket.clone(), until));
        }
        Ok(())
    }

    fn take_digest(&mut self) -> Result<Option<(Key, UnixMillis)>, Fault> {
        self.spend()?;
        Ok(self.digests.pop_front())
    }

    fn gates_since(&mut self, since: UnixMillis, limit: usize) -> Result<Vec<Device>, Fault> {
        let mut heard: Vec<_> = self.gates.iter().filter(|(_, at)| **at >= since).collect();
        heard.sort_by_key(|(device, at)| (std::cmp::Reverse(**at), (*device).clone()));
        Ok(heard.into_iter().take(limit).map(|(device, _)| device.clone()).collect())
    }

    fn case(&mut self, key: &Key) -> Result<Option<Case>, Fault> {
        Ok(self.cases.get(key).cloned())
    }

    fn put_case(&mut self, case: &Case) -> Result<(), Fault> {
        self.spend()?;
        self.cases.insert(case.key.clone(), case.clone());
        Ok(())
    }

    fn next_case(&mut self) -> Result<Option<Case>, Fault> {
        let open = self.cases.values().filter(|case| case.deadline().is_some() && !case.escalated);
        Ok(open.min_by_key(|case| (case.deadline(), case.key.clone())).cloned())
    }

    fn spot(&mut self, kind: &str, spot: &str) -> Result<Option<Key>, Fault> {
        Ok(self.spots.get(&(kind.to_owned(), spot.to_owned())).cloned())
    }

    fn put_spot(&mut self, kind: &str, spot: &str, case: &Key) -> Result<(), Fault> {
        self.spend()?;
        self.spots.insert((kind.to_owned(), spot.to_owned()), case.clone());
        Ok(())
    }

    fn form(&mut self, asker: &[u8; 32]) -> Result<Option<FormRow>, Fault> {
        Ok(self.forms.get(asker).cloned())
    }

    fn put_form(&mut self, asker: &[u8; 32], row: &FormRow) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.forms, *asker, row.clone(), "forms")
    }

    fn put_contact(&mut self, case: &Key, contact: &str, _at: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        self.contacts.insert((case.clone(), contact.to_owned()));
        Ok(())
    }

    fn drop_contacts(&mut self, case: &Key) -> Result<(), Fault> {
        self.spend()?;
        self.contacts.retain(|(own, _)| own != case);
        Ok(())
    }

    fn agents(&mut self) -> Result<Vec<Agent>, Fault> {
        Ok(self.agents.values().cloned().collect())
    }

    fn put_agent(&mut self, agent: &Agent) -> Result<(), Fault> {
        self.spend()?;
        self.agents.insert(agent.device.clone(), agent.clone());
        Ok(())
    }

    fn drop_agent(&mut self, device: &Device) -> Result<(), Fault> {
        self.spend()?;
        self.agents.remove(device);
        Ok(())
    }

    fn load(&mut self, circuit: &Key, stall: &Device) -> Result<Option<Load>, Fault> {
        Ok(self.loads.get(&(circuit.clone(), stall.clone())).cloned())
    }

    fn loads(&mut self, circuit: &Key) -> Result<Vec<Load>, Fault> {
        Ok(self.loads.values().filter(|load| load.circuit == *circuit).cloned().collect())
    }

    fn put_load(&mut self, load: &Load) -> Result<(), Fault> {
        self.spend()?;
        self.loads.insert((load.circuit.clone(), load.stall.clone()), load.clone());
        Ok(())
    }

    fn shedding(&mut self) -> Result<Vec<Key>, Fault> {
        let shed = self.loads.values().filter(|load| load.shed_at.is_some());
        Ok(shed.map(|load| load.circuit.clone()).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn put_outgoing(&mut self, message: &Message) -> Result<(), Fault> {
        self.spend()?;
        self.bus.said += 1;
        self.bus.outgoing.insert((message.partition(), self.bus.said), message.clone());
        Ok(())
    }

    fn feed_head(&mut self, device: &Device) -> Result<u64, Fault> {
        Ok(self.feeds.get(device).and_then(|feed| feed.last()).map_or(0, |last| last.sequence))
    }

    fn put_feed(&mut self, event: &FeedEvent) -> Result<(), Fault> {
        self.spend()?;
        self.feeds.entry(event.device.clone()).or_default().push(event.clone());
        Ok(())
    }

    fn put_passing(&mut self, event: &FeedEvent, _until: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        self.put_feed(event)
    }

    fn drop_passed(&mut self, _now: UnixMillis, _limit: usize) -> Result<usize, Fault> {
        self.spend()?;
        // Books in memory are shorter than any digest's life.
        Ok(0)
    }

    fn incarnation(&mut self, device: &Device, name: &str) -> Result<Option<Incarnation>, Fault> {
        Ok(self.incarnations.get(&life(device, name)).copied())
    }

    fn put_incarnation(&mut self, device: &Device, name: &str, row: Incarnation) -> Result<(), Fault> {
        self.spend()?;
        self.incarnations.insert(life(device, name), row);
        Ok(())
    }

    fn put_arrival(&mut self, device: &Device, name: &str, sequence: u64) -> Result<(), Fault> {
        self.spend()?;
        self.arrivals.insert((life(device, name), sequence));
        Ok(())
    }

    fn take_arrivals(&mut self, device: &Device, name: &str, below: u64) -> Result<Vec<u64>, Fault> {
        self.spend()?;
        let range = (life(device, name), 0)..(life(device, name), below);
        let taken: Vec<u64> = self.arrivals.range(range).map(|(_, sequence)| *sequence).collect();
        for sequence in &taken {
            self.arrivals.remove(&(life(device, name), *sequence));
        }
        Ok(taken)
    }

    fn gap_at(&mut self, device: &Device, name: &str, sequence: u64) -> Result<Option<Gap>, Fault> {
        let range = (life(device, name), 0)..=(life(device, name), sequence);
        let last = self.gaps.range(range).next_back().map(|(_, gap)| *gap);
        Ok(last.filter(|gap| gap.last >= sequence))
    }

    fn has_gaps(&mut self, device: &Device, name: &str) -> Result<bool, Fault> {
        let range = (life(device, name), 0)..=(life(device, name), u64::MAX);
        Ok(self.gaps.range(range).next().is_some())
    }

    fn gaps_of(&mut self, device: &Device, limit: usize) -> Result<Vec<(String, Gap)>, Fault> {
        let own = self.gaps.iter().filter(|(((of, _), _), _)| of == device);
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
        self.spend()
    }

    fn put_gap(&mut self, device: &Device, name: &str, gap: Gap, _at: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.gaps, (life(device, name), gap.first), gap, "gaps")
    }

    fn drop_gap(&mut self, device: &Device, name: &str, first: u64) -> Result<(), Fault> {
        self.spend()?;
        self.gaps.remove(&(life(device, name), first));
        Ok(())
    }

    fn life(&mut self, device: &Device, name: &str) -> Result<Option<Spoken>, Fault> {
        Ok(self.lives.get(&life(device, name)).cloned())
    }

    fn younger_lives(&mut self, device: &Device, than: UnixMillis) -> Result<Vec<Spoken>, Fault> {
        let own = self.lives.iter().filter(|((of, _), life)| of == device && life.first_at > than);
        Ok(own.map(|(_, life)| life.clone()).collect())
    }

    fn put_life(&mut self, device: &Device, spoken: &Spoken) -> Result<(), Fault> {
        self.spend()?;
        self.lives.insert(life(device, &spoken.name), spoken.clone());
        Ok(())
    }

    fn drop_lives(&mut self, device: &Device) -> Result<(), Fault> {
        self.spend()?;
        self.lives.retain(|(of, _), _| of != device);
        Ok(())
    }

    fn place_taken(&mut self, source: &str, sequence: u64, id: EventId) -> Result<bool, Fault> {
        let first = (source.to_owned(), sequence, EventId::from_bytes([0; 16]));
        let mut there =
            self.places.range(first..).take_while(|(own, place, _)| own == source && *place == sequence);
        Ok(there.any(|(_, _, other)| *other != id))
    }

    fn clone_of(&mut self, device: &Device) -> Result<Option<Why>, Fault> {
        Ok(self.clones.get(device).copied())
    }

    fn put_clone(&mut self, device: &Device, why: Why, _at: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        insert(&mut self.clones, device.clone(), why, "clones")
    }

    fn drop_clone(&mut self, device: &Device) -> Result<(), Fault> {
        self.spend()?;
        self.clones.remove(device);
        Ok(())
    }
}

impl BusTx for Memory {
    fn piece(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Failure>) -> Result<(), Failure> {
        let outer = core::mem::replace(&mut self.undo, Undo::Wanted);
        // A piece within a piece: what was before the outer one is that from now on.
        let outer = if matches!(outer, Undo::Wanted) { Undo::To(Box::new(self.clone())) } else { outer };
        let done = work(self);
        if let (Undo::To(before), true) = (core::mem::take(&mut self.undo), done.is_err()) {
            // What is taken back is not the storage's failure.
            let fuse = self.fuse;
            *self = *before;
            self.fuse = fuse;
        }
        self.undo = outer;
        done
    }

    fn said_in(&mut self) -> Result<Vec<u16>, Fault> {
        let said: BTreeSet<u16> = self.bus.outgoing.keys().map(|(partition, _)| *partition).collect();
        Ok(said.into_iter().collect())
    }

    fn outgoing(&mut self, partition: u16, limit: usize) -> Result<Vec<(u64, Message)>, Fault> {
        let all = self.bus.outgoing.range((partition, 0)..=(partition, u64::MAX));
        Ok(all.take(limit).map(|((_, place), message)| (*place, message.clone())).collect())
    }

    fn drop_outgoing(&mut self, partition: u16, place: u64) -> Result<(), Fault> {
        self.spend()?;
        self.bus.outgoing.remove(&(partition, place));
        Ok(())
    }

    fn backlog(&mut self) -> Result<u64, Fault> {
        Ok(self.bus.outgoing.len() as u64)
    }

    fn lease(&mut self, name: &str) -> Result<Option<(String, UnixMillis)>, Fault> {
        Ok(self.bus.leases.get(name).cloned())
    }

    fn put_lease(&mut self, name: &str, holder: &str, until: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        self.bus.leases.insert(name.to_owned(), (holder.to_owned(), until));
        Ok(())
    }

    fn append(&mut self, message: &Message, _at: UnixMillis) -> Result<bool, Fault> {
        self.spend()?;
        if !self.bus.logged.insert((message.source.clone(), message.id)) {
            return Ok(false);
        }
        let partition = message.partition();
        let offset = self.head(partition)? + 1;
        self.bus.log.insert((partition, offset), message.clone());
        Ok(true)
    }

    fn log_after(
        &mut self,
        partition: u16,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Option<Message>)>, Fault> {
        let all = self.bus.log.range((partition, offset + 1)..=(partition, u64::MAX));
        Ok(all.take(limit).map(|((_, offset), message)| (*offset, Some(message.clone()))).collect())
    }

    fn log_at(&mut self, partition: u16, offset: u64) -> Result<Option<Message>, Fault> {
        Ok(self.bus.log.get(&(partition, offset)).cloned())
    }

    fn head(&mut self, partition: u16) -> Result<u64, Fault> {
        let last = self.bus.log.range((partition, 0)..=(partition, u64::MAX)).next_back();
        Ok(last.map_or(0, |((_, offset), _)| *offset))
    }

    fn cursor(&mut self, consumer: &str, partition: u16) -> Result<u64, Fault> {
        Ok(self.bus.cursors.get(&(consumer.to_owned(), partition)).copied().unwrap_or(0))
    }

    fn put_cursor(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.spend()?;
        self.bus.cursors.insert((consumer.to_owned(), partition), offset);
        Ok(())
    }

    fn put_handled(
        &mut self,
        consumer: &str,
        source: &str,
        id: EventId,
        _at: UnixMillis,
    ) -> Result<bool, Fault> {
        self.spend()?;
        Ok(self.bus.handled.insert((consumer.to_owned(), source.to_owned(), id)))
    }

    fn drop_handled(&mut self, consumer: &str, source: &str, id: EventId) -> Result<(), Fault> {
        self.spend()?;
        self.bus.handled.remove(&(consumer.to_owned(), source.to_owned(), id));
        Ok(())
    }

    fn wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<Option<Wait>, Fault> {
        Ok(self.bus.waits.get(&(consumer.to_owned(), partition, offset)).cloned())
    }

    fn first_wait(&mut self, consumer: &str, key: &Key) -> Result<Option<Wait>, Fault> {
        let own = self.bus.waits.values().find(|wait| wait.consumer == consumer && wait.key == *key);
        Ok(own.cloned())
    }

    fn due_waits(&mut self, consumer: &str, now: UnixMillis, limit: usize) -> Result<Vec<Wait>, Fault> {
        let is_due = |wait: &&Wait| wait.consumer == consumer && wait.due.is_some_and(|due| due <= now);
        let mut due: Vec<Wait> = self.bus.waits.values().filter(is_due).cloned().collect();
        due.sort_by_key(|wait| (wait.due, wait.partition, wait.offset));
        due.truncate(limit);
        Ok(due)
    }

    fn next_due(&mut self, consumer: &str) -> Result<Option<UnixMillis>, Fault> {
        let own = self.bus.waits.values().filter(|wait| wait.consumer == consumer);
        Ok(own.filter_map(|wait| wait.due).min())
    }

    fn put_wait(&mut self, wait: &Wait) -> Result<(), Fault> {
        self.spend()?;
        self.bus.waits.insert((wait.consumer.clone(), wait.partition, wait.offset), wait.clone());
        Ok(())
    }

    fn drop_wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.spend()?;
        self.bus.waits.remove(&(consumer.to_owned(), partition, offset));
        Ok(())
    }

    fn forget(
        &mut self,
        _consumers: &[&str],
        _before: UnixMillis,
        _limit: usize,
    ) -> Result<(usize, bool), Fault> {
        self.spend()?;
        // Books in memory are shorter than any retention.
        Ok((0, false))
    }

    fn retire(&mut self, consumer: &str) -> Result<(), Fault> {
        self.spend()?;
        self.bus.cursors.retain(|(own, _), _| own != consumer);
        self.bus.waits.retain(|(own, _, _), _| own != consumer);
        Ok(())
    }

    fn put_dead(&mut self, letter: &DeadLetter) -> Result<u64, Fault> {
        self.spend()?;
        let number = self.bus.dead.len() as u64 + 1;
        insert(&mut self.bus.dead, number, DeadLetter { number, ..letter.clone() }, "dead_letters")?;
        Ok(number)
    }

    fn open_of_kind(&mut self, fingerprint: &str, most: u64) -> Result<u64, Fault> {
        let open =
            self.bus.dead.values().filter(|own| own.closed.is_none() && own.fingerprint == fingerprint);
        Ok((open.count() as u64).min(most))
    }

    fn dead(&mut self, number: u64) -> Result<Option<DeadLetter>, Fault> {
        Ok(self.bus.dead.get(&number).cloned())
    }

    fn close_dead(&mut self, number: u64, closing: &Closing) -> Result<(), Fault> {
        self.spend()?;
        match self.bus.dead.get_mut(&number) {
            Some(letter) if letter.closed.is_none() => {
                letter.closed = Some(closing.clone());
                Ok(())
            }
            _ => Err(Fault("dead_letters: there is no open one".to_owned())),
        }
    }
}
