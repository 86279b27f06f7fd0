//! The rows about money that an acquirer moves, with the constraints the database has.

use super::Memory;
use crate::books::{
    Authorization, Books, Duplicate, Hold, Movement, Operation, RefundState, RefundStep, Service, Stand,
    Watcher,
};
use crate::tx::{Capture, Fault};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use std::collections::BTreeMap;

/// A watcher's place: the order, its event's source and id.
type Place = (Key, String, EventId);

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Money {
    authorizations: BTreeMap<String, Authorization>,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) movements: BTreeMap<String, (Movement, bool, UnixMillis)>,
    settled_up_to: u64,
    told: BTreeMap<String, ()>,
    pub(super) duplicates: BTreeMap<String, Duplicate>,
    pub(super) steps: Vec<(String, RefundStep)>,
    watchers: BTreeMap<Place, Watcher>,
}

impl Books for Memory {
    fn event_body(&mut self, source: &str, id: EventId) -> Result<Option<String>, Fault> {
        Ok(self.event(source, id).map(|event| event.body.clone()))
    }

    fn authorization(&mut self, reference: &str) -> Result<Option<Authorization>, Fault> {
        Ok(self.rows.money.authorizations.get(reference).cloned())
    }

    fn authorization_of(
        &mut self,
        device: &Device,
        intent: IntentKey,
    ) -> Result<Option<Authorization>, Fault> {
        let mut all = self.rows.money.authorizations.values();
        Ok(all.find(|own| own.device == *device && own.intent == intent).cloned())
    }

    fn put_authorization(&mut self, authorization: &Authorization) -> Result<(), Fault> {
        let (key, row) = (authorization.reference.clone(), authorization.clone());
        self.write()?.put(|rows| &mut rows.money.authorizations, key, row);
        Ok(())
    }

    fn next_expiry(&mut self) -> Result<Option<Authorization>, Fault> {
        let held = self.rows.money.authorizations.values().filter(|own| own.hold == Hold::Authorized);
        Ok(held.min_by_key(|own| own.expires).cloned())
    }

    fn operation(&mut self, id: &str) -> Result<Option<Operation>, Fault> {
        Ok(self.rows.money.operations.get(id).cloned())
    }

    fn put_operation(&mut self, operation: &Operation) -> Result<(), Fault> {
        let rows = self.write()?;
        let closed = matches!(operation.stand, Stand::Done | Stand::Refused);
        if closed != operation.due.is_none() {
            return Err(Fault("operations: what is open has a time, and nothing else has".to_owned()));
        }
        let rivals = |other: &&Operation| {
            other.service == Service::Refund
                && other.stand != Stand::Refused
                && other.about == operation.about
                && other.id != operation.id
        };
        let refunds = operation.service == Service::Refund && operation.stand != Stand::Refused;
        if refunds && rows.money.operations.values().any(|other| rivals(&other)) {
            return Err(Fault("operations: another refund is under way".to_owned()));
        }
        rows.put(|rows| &mut rows.money.operations, operation.id.clone(), operation.clone());
        Ok(())
    }

    fn due_operations(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<Operation>, Fault> {
        let due = |own: &&Operation| own.due.is_some_and(|due| due <= now);
        let mut found: Vec<Operation> = self.rows.money.operations.values().filter(due).cloned().collect();
        found.sort_by_key(|own| own.due);
        found.truncate(limit);
        Ok(found)
    }

    fn recall_operations(&mut self, now: UnixMillis) -> Result<(), Fault> {
        let rows = self.write()?;
        let asked = rows.money.operations.values().filter(|own| own.stand == Stand::Asked);
        for own in asked.cloned().collect::<Vec<_>>() {
            let recalled = Operation { due: Some(now), ..own };
            rows.put(|rows| &mut rows.money.operations, recalled.id.clone(), recalled);
        }
        Ok(())
    }

    fn next_operation(&mut self) -> Result<Option<UnixMillis>, Fault> {
        Ok(self.rows.money.operations.values().filter_map(|own| own.due).min())
    }

    fn held_for(&mut self, order: &Key) -> Result<Vec<Authorization>, Fault> {
        let held = |own: &&Authorization| own.hold == Hold::Authorized && own.order == *order;
        Ok(self.rows.money.authorizations.values().filter(held).cloned().collect())
    }

    fn oldest_open(&mut self) -> Result<Option<Operation>, Fault> {
        let open = self.rows.money.operations.values().filter(|own| own.due.is_some() && !own.told_late);
        Ok(open.min_by_key(|own| own.at).cloned())
    }

    fn capture(&mut self, order: &Key) -> Result<Option<Capture>, Fault> {
        Ok(self.rows.captures.get(order).cloned())
    }

    fn movement(&mut self, reference: &str) -> Result<Option<Movement>, Fault> {
        Ok(self.rows.money.movements.get(reference).map(|(movement, ..)| movement.clone()))
    }

    fn put_movement(&mut self, movement: &Movement, listed: bool, at: UnixMillis) -> Result<(), Fault> {
        let rows = self.write()?;
        if movement.amount == 0 || !matches!(movement.service, Service::Capture | Service::Refund) {
            return Err(Fault("movements: this is no money that moved".to_owned()));
        }
        let row = (movement.clone(), listed, at);
        rows.insert(|rows| &mut rows.money.movements, movement.reference.clone(), row, "movements")
    }

    fn mark_listed(&mut self, reference: &str) -> Result<(), Fault> {
        let rows = self.write()?;
        if let Some((movement, _, at)) = rows.money.movements.get(reference).cloned() {
            rows.put(|rows| &mut rows.money.movements, reference.to_owned(), (movement, true, at));
        }
        Ok(())
    }

    fn movements_of(&mut self, operation: &str) -> Result<Vec<(Movement, bool)>, Fault> {
        let own = self.rows.money.movements.values().filter(|(movement, ..)| movement.operation == operation);
        Ok(own.map(|(movement, listed, _)| (movement.clone(), *listed)).collect())
    }

    fn oldest_unlisted(&mut self) -> Result<Option<(Movement, UnixMillis)>, Fault> {
        let unlisted = self.rows.money.movements.values().filter(|(_, listed, _)| !listed);
        Ok(unlisted.min_by_key(|(.., at)| *at).map(|(movement, _, at)| (movement.clone(), *at)))
    }

    fn put_told(&mut self, what: &str) -> Result<bool, Fault> {
        Ok(self.write()?.put(|rows| &mut rows.money.told, what.to_owned(), ()))
    }

    fn settled_up_to(&mut self) -> Result<u64, Fault> {
        Ok(self.rows.money.settled_up_to)
    }

    fn put_settled_up_to(&mut self, number: u64) -> Result<(), Fault> {
        self.write()?.set(|rows| &mut rows.money.settled_up_to, number);
        Ok(())
    }

    fn duplicate(&mut self, txn_id: &str) -> Result<Option<Duplicate>, Fault> {
        Ok(self.rows.money.duplicates.get(txn_id).cloned())
    }

    fn duplicate_of(&mut self, reference: &str) -> Result<Option<Duplicate>, Fault> {
        Ok(self.rows.money.duplicates.values().find(|own| own.reference == reference).cloned())
    }

    fn put_duplicate(&mut self, duplicate: &Duplicate) -> Result<(), Fault> {
        let rows = self.write()?;
        let twin = |own: &Duplicate| own.reference == duplicate.reference && own.txn_id != duplicate.txn_id;
        if rows.money.duplicates.values().any(twin) {
            return Err(Fault("duplicates: this money is there already".to_owned()));
        }
        let whole = matches!(duplicate.state, RefundState::Commanded | RefundState::Refunded);
        if duplicate.refunding > duplicate.amount || (whole && duplicate.refunding != duplicate.amount) {
            return Err(Fault("duplicates: what goes back is not what was taken".to_owned()));
        }
        rows.put(|rows| &mut rows.money.duplicates, duplicate.txn_id.clone(), duplicate.clone());
        Ok(())
    }

    fn put_refund_step(&mut self, txn_id: &str, step: &RefundStep) -> Result<(), Fault> {
        self.write()?.push(|rows| &mut rows.money.steps, (txn_id.to_owned(), step.clone()));
        Ok(())
    }

    fn watchers(&mut self, order: &Key) -> Result<Vec<Watcher>, Fault> {
        Ok(self.watchers_of(order).map(|(_, watcher)| watcher.clone()).collect())
    }

    fn put_watcher(&mut self, order: &Key, watcher: &Watcher) -> Result<(), Fault> {
        let place = (order.clone(), watcher.source.clone(), watcher.id);
        self.write()?.put(|rows| &mut rows.money.watchers, place, watcher.clone());
        Ok(())
    }

    fn drop_watchers(&mut self, order: &Key) -> Result<(), Fault> {
        self.write()?;
        for place in self.watchers_of(order).map(|(place, _)| place.clone()).collect::<Vec<_>>() {
            self.rows.remove(|rows| &mut rows.money.watchers, &place);
        }
        Ok(())
    }
}

impl Memory {
    fn watchers_of<'a>(&'a self, order: &'a Key) -> impl Iterator<Item = (&'a Place, &'a Watcher)> {
        let first = (order.clone(), String::new(), EventId::from_bytes([0; 16]));
        self.rows.money.watchers.range(first..).take_while(move |((own, ..), _)| own == order)
    }
}
