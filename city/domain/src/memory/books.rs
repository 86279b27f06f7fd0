//! The rows about money that an acquirer moves, with the constraints the database has.

use super::{Memory, insert};
use crate::books::{
    Authorization, Books, Duplicate, Hold, Movement, Operation, RefundState, RefundStep, Service, Stand,
    Watcher,
};
use crate::tx::{Capture, Fault};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Money {
    authorizations: BTreeMap<String, Authorization>,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) movements: BTreeMap<String, (Movement, bool, UnixMillis)>,
    settled_up_to: u64,
    told: BTreeSet<String>,
    pub(super) duplicates: BTreeMap<String, Duplicate>,
    pub(super) steps: Vec<(String, RefundStep)>,
    watchers: BTreeMap<(Key, String, EventId), Watcher>,
}

impl Books for Memory {
    fn event_body(&mut self, source: &str, id: EventId) -> Result<Option<String>, Fault> {
        let found = self.events.iter().find(|event| event.id == id && event.source == source);
        Ok(found.map(|event| event.body.clone()))
    }

    fn authorization(&mut self, reference: &str) -> Result<Option<Authorization>, Fault> {
        Ok(self.money.authorizations.get(reference).cloned())
    }

    fn authorization_of(
        &mut self,
        device: &Device,
        intent: IntentKey,
    ) -> Result<Option<Authorization>, Fault> {
        let mut all = self.money.authorizations.values();
        Ok(all.find(|own| own.device == *device && own.intent == intent).cloned())
    }

    fn put_authorization(&mut self, authorization: &Authorization) -> Result<(), Fault> {
        self.spend()?;
        self.money.authorizations.insert(authorization.reference.clone(), authorization.clone());
        Ok(())
    }

    fn next_expiry(&mut self) -> Result<Option<Authorization>, Fault> {
        let held = self.money.authorizations.values().filter(|own| own.hold == Hold::Authorized);
        Ok(held.min_by_key(|own| own.expires).cloned())
    }

    fn operation(&mut self, id: &str) -> Result<Option<Operation>, Fault> {
        Ok(self.money.operations.get(id).cloned())
    }

    fn put_operation(&mut self, operation: &Operation) -> Result<(), Fault> {
        self.spend()?;
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
        if refunds && self.money.operations.values().any(|other| rivals(&other)) {
            return Err(Fault("operations: another refund is under way".to_owned()));
        }
        self.money.operations.insert(operation.id.clone(), operation.clone());
        Ok(())
    }

    fn due_operations(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<Operation>, Fault> {
        let due = |own: &&Operation| own.due.is_some_and(|due| due <= now);
        let mut found: Vec<Operation> = self.money.operations.values().filter(due).cloned().collect();
        found.sort_by_key(|own| own.due);
        found.truncate(limit);
        Ok(found)
    }

    fn recall_operations(&mut self, now: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        for own in self.money.operations.values_mut().filter(|own| own.stand == Stand::Asked) {
            own.due = Some(now);
        }
        Ok(())
    }

    fn next_operation(&mut self) -> Result<Option<UnixMillis>, Fault> {
        Ok(self.money.operations.values().filter_map(|own| own.due).min())
    }

    fn held_for(&mut self, order: &Key) -> Result<Vec<Authorization>, Fault> {
        let held = |own: &&Authorization| own.hold == Hold::Authorized && own.order == *order;
        Ok(self.money.authorizations.values().filter(held).cloned().collect())
    }

    fn oldest_open(&mut self) -> Result<Option<Operation>, Fault> {
        let open = self.money.operations.values().filter(|own| own.due.is_some() && !own.told_late);
        Ok(open.min_by_key(|own| own.at).cloned())
    }

    fn capture(&mut self, order: &Key) -> Result<Option<Capture>, Fault> {
        Ok(self.captures.get(order).cloned())
    }

    fn movement(&mut self, reference: &str) -> Result<Option<Movement>, Fault> {
        Ok(self.money.movements.get(reference).map(|(movement, ..)| movement.clone()))
    }

    fn put_movement(&mut self, movement: &Movement, listed: bool, at: UnixMillis) -> Result<(), Fault> {
        self.spend()?;
        if movement.amount == 0 || !matches!(movement.service, Service::Capture | Service::Refund) {
            return Err(Fault("movements: this is no money that moved".to_owned()));
        }
        let row = (movement.clone(), listed, at);
        insert(&mut self.money.movements, movement.reference.clone(), row, "movements")
    }

    fn mark_listed(&mut self, reference: &str) -> Result<(), Fault> {
        self.spend()?;
        if let Some((_, listed, _)) = self.money.movements.get_mut(reference) {
            *listed = true;
        }
        Ok(())
    }

    fn movements_of(&mut self, operation: &str) -> Result<Vec<(Movement, bool)>, Fault> {
        let own = self.money.movements.values().filter(|(movement, ..)| movement.operation == operation);
        Ok(own.map(|(movement, listed, _)| (movement.clone(), *listed)).collect())
    }

    fn oldest_unlisted(&mut self) -> Result<Option<(Movement, UnixMillis)>, Fault> {
        let unlisted = self.money.movements.values().filter(|(_, listed, _)| !listed);
        Ok(unlisted.min_by_key(|(.., at)| *at).map(|(movement, _, at)| (movement.clone(), *at)))
    }

    fn put_told(&mut self, what: &str) -> Result<bool, Fault> {
        self.spend()?;
        Ok(self.money.told.insert(what.to_owned()))
    }

    fn settled_up_to(&mut self) -> Result<u64, Fault> {
        Ok(self.money.settled_up_to)
    }

    fn put_settled_up_to(&mut self, number: u64) -> Result<(), Fault> {
        self.spend()?;
        self.money.settled_up_to = number;
        Ok(())
    }

    fn duplicate(&mut self, txn_id: &str) -> Result<Option<Duplicate>, Fault> {
        Ok(self.money.duplicates.get(txn_id).cloned())
    }

    fn duplicate_of(&mut self, reference: &str) -> Result<Option<Duplicate>, Fault> {
        Ok(self.money.duplicates.values().find(|own| own.reference == reference).cloned())
    }

    fn put_duplicate(&mut self, duplicate: &Duplicate) -> Result<(), Fault> {
        self.spend()?;
        let twin = |own: &Duplicate| own.reference == duplicate.reference && own.txn_id != duplicate.txn_id;
        if self.money.duplicates.values().any(twin) {
            return Err(Fault("duplicates: this money is there already".to_owned()));
        }
        let whole = matches!(duplicate.state, RefundState::Commanded | RefundState::Refunded);
        if duplicate.refunding > duplicate.amount || (whole && duplicate.refunding != duplicate.amount) {
            return Err(Fault("duplicates: what goes back is not what was taken".to_owned()));
        }
        self.money.duplicates.insert(duplicate.txn_id.clone(), duplicate.clone());
        Ok(())
    }

    fn put_refund_step(&mut self, txn_id: &str, step: &RefundStep) -> Result<(), Fault> {
        self.spend()?;
        self.money.steps.push((txn_id.to_owned(), step.clone()));
        Ok(())
    }

    fn watchers(&mut self, order: &Key) -> Result<Vec<Watcher>, Fault> {
        let own = self.money.watchers.iter().filter(|((key, ..), _)| key == order);
        Ok(own.map(|(_, watcher)| watcher.clone()).collect())
    }

    fn put_watcher(&mut self, order: &Key, watcher: &Watcher) -> Result<(), Fault> {
        self.spend()?;
        let place = (order.clone(), watcher.source.clone(), watcher.id);
        self.money.watchers.insert(place, watcher.clone());
        Ok(())
    }

    fn drop_watchers(&mut self, order: &Key) -> Result<(), Fault> {
        self.spend()?;
        self.money.watchers.retain(|(key, ..), _| key != order);
        Ok(())
    }
}
