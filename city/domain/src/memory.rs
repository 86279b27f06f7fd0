//! A city's books in memory, for simulations and tests. It refuses what the unique constraints of a database would
//! refuse, so that a wrong decision shows.

use crate::tx::{
    Admission, Capture, Fault, FeedEvent, Gap, InboxRow, Incarnation, IntentRow, Kept, Order, OrderState,
    Scan, Scope, Tx,
};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

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
    feeds: BTreeMap<Device, Vec<FeedEvent>>,
    incarnations: BTreeMap<Life, Incarnation>,
    arrivals: BTreeSet<(Life, u64)>,
    gaps: BTreeMap<(Life, u64), Gap>,
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

    /// The admitted tickets.
    pub fn admissions(&self) -> impl Iterator<Item = &Admission> {
        self.admissions.values()
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

    /// How many deliveries were refused.
    pub fn refused(&self) -> usize {
        self.refusals.iter().map(|(device, id, _)| (device, id)).collect::<BTreeSet<_>>().len()
    }

    /// How many sequences are missing.
    pub fn missing(&self) -> u64 {
        self.gaps.values().map(|gap| gap.last - gap.first + 1).sum()
    }
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, table: &str) -> Result<(), Fault> {
    if map.contains_key(&key) {
        return Err(Fault(format!("{table}: the row is there already")));
    }
    map.insert(key, value);
    Ok(())
}

fn life(device: &Device, name: &str) -> Life {
    (device.clone(), name.to_owned())
}

impl Tx for Memory {
    fn inbox(&mut self, source: &str, id: EventId) -> Result<Option<InboxRow>, Fault> {
        Ok(self.inbox.get(&(source.to_owned(), id)).cloned())
    }

    fn put_inbox(&mut self, row: &InboxRow, _device: &Device) -> Result<(), Fault> {
        insert(&mut self.inbox, (row.source.clone(), row.verdict.id), row.clone(), "inbox")
    }

    fn put_event(&mut self, event: &Kept) -> Result<(), Fault> {
        self.events.push(event.clone());
        Ok(())
    }

    fn put_refusal(
        &mut self,
        device: &Device,
        id: EventId,
        code: &str,
        _at: UnixMillis,
    ) -> Result<(), Fault> {
        self.refusals.insert((device.clone(), id, code.to_owned()));
        Ok(())
    }

    fn intent(&mut self, scope: &Scope, intent: IntentKey) -> Result<Option<IntentRow>, Fault> {
        Ok(self.intents.get(&(scope.clone(), intent)).cloned())
    }

    fn put_intent(&mut self, scope: &Scope, intent: IntentKey, row: &IntentRow) -> Result<(), Fault> {
        insert(&mut self.intents, (scope.clone(), intent), row.clone(), "intents")
    }

    fn order(&mut self, key: &Key) -> Result<Option<Order>, Fault> {
        Ok(self.orders.get(key).cloned())
    }

    fn put_order(&mut self, order: &Order) -> Result<(), Fault> {
        match self.orders.get(&order.key) {
            Some(standing) if standing.state != OrderState::Failed => {
                Err(Fault("orders: an effect cannot be overwritten".to_owned()))
            }
            _ => {
                self.orders.insert(order.key.clone(), order.clone());
                Ok(())
            }
        }
    }

    fn put_capture(&mut self, capture: &Capture) -> Result<(), Fault> {
        insert(&mut self.captures, capture.order.clone(), capture.clone(), "captures")
    }

    fn admission(&mut self, ticket: &Key) -> Result<Option<Admission>, Fault> {
        Ok(self.admissions.get(ticket).cloned())
    }

    fn put_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        insert(&mut self.admissions, admission.ticket.clone(), admission.clone(), "admissions")
    }

    fn put_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.scans.push(scan.clone());
        Ok(())
    }

    fn feed_head(&mut self, device: &Device) -> Result<u64, Fault> {
        Ok(self.feeds.get(device).and_then(|feed| feed.last()).map_or(0, |last| last.sequence))
    }

    fn put_feed(&mut self, event: &FeedEvent) -> Result<(), Fault> {
        self.feeds.entry(event.device.clone()).or_default().push(event.clone());
        Ok(())
    }

    fn incarnation(&mut self, device: &Device, name: &str) -> Result<Option<Incarnation>, Fault> {
        Ok(self.incarnations.get(&life(device, name)).copied())
    }

    fn put_incarnation(&mut self, device: &Device, name: &str, row: Incarnation) -> Result<(), Fault> {
        self.incarnations.insert(life(device, name), row);
        Ok(())
    }

    fn put_arrival(&mut self, device: &Device, name: &str, sequence: u64) -> Result<(), Fault> {
        self.arrivals.insert((life(device, name), sequence));
        Ok(())
    }

    fn take_arrivals(&mut self, device: &Device, name: &str, below: u64) -> Result<Vec<u64>, Fault> {
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

    fn put_gap(&mut self, device: &Device, name: &str, gap: Gap, _at: UnixMillis) -> Result<(), Fault> {
        insert(&mut self.gaps, (life(device, name), gap.first), gap, "gaps")
    }

    fn drop_gap(&mut self, device: &Device, name: &str, first: u64) -> Result<(), Fault> {
        self.gaps.remove(&(life(device, name), first));
        Ok(())
    }
}
