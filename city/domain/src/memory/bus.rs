//! The rows of the bus.

use super::Memory;
use crate::bus::{BusTx, Closing, DeadLetter, Failure, Message, Wait};
use crate::tx::{Fault, Tx};
use conch::event::{EventId, Key, UnixMillis};
use std::collections::BTreeMap;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bus {
    pub(super) said: u64,
    pub(super) outgoing: BTreeMap<(u16, u64), Message>,
    leases: BTreeMap<String, (String, UnixMillis)>,
    pub(super) log: BTreeMap<(u16, u64), Message>,
    logged: BTreeMap<(String, EventId), ()>,
    cursors: BTreeMap<(String, u16), u64>,
    pub(super) handled: BTreeMap<(String, String, EventId), ()>,
    pub(super) waits: BTreeMap<(String, u16, u64), Wait>,
    pub(super) dead: BTreeMap<u64, DeadLetter>,
}

impl BusTx for Memory {
    fn piece(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Failure>) -> Result<(), Failure> {
        self.whole(|books| work(books))
    }

    fn said_in(&mut self) -> Result<Vec<u16>, Fault> {
        let mut said: Vec<u16> = self.rows.bus.outgoing.keys().map(|(partition, _)| *partition).collect();
        said.dedup();
        Ok(said)
    }

    fn outgoing(&mut self, partition: u16, limit: usize) -> Result<Vec<(u64, Message)>, Fault> {
        let all = self.rows.bus.outgoing.range((partition, 0)..=(partition, u64::MAX));
        Ok(all.take(limit).map(|((_, place), message)| (*place, message.clone())).collect())
    }

    fn drop_outgoing(&mut self, partition: u16, place: u64) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.bus.outgoing, &(partition, place));
        Ok(())
    }

    fn backlog(&mut self) -> Result<u64, Fault> {
        Ok(self.rows.bus.outgoing.len() as u64)
    }

    fn lease(&mut self, name: &str) -> Result<Option<(String, UnixMillis)>, Fault> {
        Ok(self.rows.bus.leases.get(name).cloned())
    }

    fn put_lease(&mut self, name: &str, holder: &str, until: UnixMillis) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.bus.leases, name.to_owned(), (holder.to_owned(), until));
        Ok(())
    }

    fn append(&mut self, message: &Message, _at: UnixMillis) -> Result<bool, Fault> {
        if !self.write()?.put(|rows| &mut rows.bus.logged, (message.source.clone(), message.id), ()) {
            return Ok(false);
        }
        let partition = message.partition();
        let offset = self.head(partition)? + 1;
        self.rows.put(|rows| &mut rows.bus.log, (partition, offset), message.clone());
        Ok(true)
    }

    fn log_after(
        &mut self,
        partition: u16,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Option<Message>)>, Fault> {
        let all = self.rows.bus.log.range((partition, offset + 1)..=(partition, u64::MAX));
        Ok(all.take(limit).map(|((_, offset), message)| (*offset, Some(message.clone()))).collect())
    }

    fn log_at(&mut self, partition: u16, offset: u64) -> Result<Option<Message>, Fault> {
        Ok(self.rows.bus.log.get(&(partition, offset)).cloned())
    }

    fn head(&mut self, partition: u16) -> Result<u64, Fault> {
        let last = self.rows.bus.log.range((partition, 0)..=(partition, u64::MAX)).next_back();
        Ok(last.map_or(0, |((_, offset), _)| *offset))
    }

    fn cursor(&mut self, consumer: &str, partition: u16) -> Result<u64, Fault> {
        Ok(self.rows.bus.cursors.get(&(consumer.to_owned(), partition)).copied().unwrap_or(0))
    }

    fn put_cursor(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.write()?.put(|rows| &mut rows.bus.cursors, (consumer.to_owned(), partition), offset);
        Ok(())
    }

    fn put_handled(
        &mut self,
        consumer: &str,
        source: &str,
        id: EventId,
        _at: UnixMillis,
    ) -> Result<bool, Fault> {
        let own = (consumer.to_owned(), source.to_owned(), id);
        Ok(self.write()?.put(|rows| &mut rows.bus.handled, own, ()))
    }

    fn drop_handled(&mut self, consumer: &str, source: &str, id: EventId) -> Result<(), Fault> {
        let own = (consumer.to_owned(), source.to_owned(), id);
        self.write()?.remove(|rows| &mut rows.bus.handled, &own);
        Ok(())
    }

    fn wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<Option<Wait>, Fault> {
        Ok(self.rows.bus.waits.get(&(consumer.to_owned(), partition, offset)).cloned())
    }

    fn first_wait(&mut self, consumer: &str, key: &Key) -> Result<Option<Wait>, Fault> {
        Ok(self.waits_of(consumer).find(|wait| wait.key == *key).cloned())
    }

    fn due_waits(&mut self, consumer: &str, now: UnixMillis, limit: usize) -> Result<Vec<Wait>, Fault> {
        let is_due = |wait: &&Wait| wait.due.is_some_and(|due| due <= now);
        let mut due: Vec<Wait> = self.waits_of(consumer).filter(is_due).cloned().collect();
        due.sort_by_key(|wait| (wait.due, wait.partition, wait.offset));
        due.truncate(limit);
        Ok(due)
    }

    fn next_due(&mut self, consumer: &str) -> Result<Option<UnixMillis>, Fault> {
        Ok(self.waits_of(consumer).filter_map(|wait| wait.due).min())
    }

    fn put_wait(&mut self, wait: &Wait) -> Result<(), Fault> {
        let place = (wait.consumer.clone(), wait.partition, wait.offset);
        self.write()?.put(|rows| &mut rows.bus.waits, place, wait.clone());
        Ok(())
    }

    fn drop_wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.write()?.remove(|rows| &mut rows.bus.waits, &(consumer.to_owned(), partition, offset));
        Ok(())
    }

    fn forget(
        &mut self,
        _consumers: &[&str],
        _before: UnixMillis,
        _limit: usize,
    ) -> Result<(usize, bool), Fault> {
        self.write()?;
        // Books in memory are shorter than any retention.
        Ok((0, false))
    }

    fn retire(&mut self, consumer: &str) -> Result<(), Fault> {
        self.write()?;
        let cursors = self.rows.bus.cursors.keys().filter(|(own, _)| own == consumer);
        for cursor in cursors.cloned().collect::<Vec<_>>() {
            self.rows.remove(|rows| &mut rows.bus.cursors, &cursor);
        }
        let waits = self.waits_of(consumer).map(|wait| (consumer.to_owned(), wait.partition, wait.offset));
        for wait in waits.collect::<Vec<_>>() {
            self.rows.remove(|rows| &mut rows.bus.waits, &wait);
        }
        Ok(())
    }

    fn put_dead(&mut self, letter: &DeadLetter) -> Result<u64, Fault> {
        let rows = self.write()?;
        let number = rows.bus.dead.len() as u64 + 1;
        rows.put(|rows| &mut rows.bus.dead, number, DeadLetter { number, ..letter.clone() });
        Ok(number)
    }

    fn open_of_kind(&mut self, fingerprint: &str, most: u64) -> Result<u64, Fault> {
        let open =
            self.rows.bus.dead.values().filter(|own| own.closed.is_none() && own.fingerprint == fingerprint);
        Ok((open.count() as u64).min(most))
    }

    fn dead(&mut self, number: u64) -> Result<Option<DeadLetter>, Fault> {
        Ok(self.rows.bus.dead.get(&number).cloned())
    }

    fn close_dead(&mut self, number: u64, closing: &Closing) -> Result<(), Fault> {
        let rows = self.write()?;
        let open = rows.bus.dead.get(&number).filter(|letter| letter.closed.is_none()).cloned();
        let letter = open.ok_or_else(|| Fault("dead_letters: there is no open one".to_owned()))?;
        let closed = DeadLetter { closed: Some(closing.clone()), ..letter };
        rows.put(|rows| &mut rows.bus.dead, number, closed);
        Ok(())
    }
}

impl Memory {
    /// What waits in a consumer, in the order of the log.
    fn waits_of<'a>(&'a self, consumer: &'a str) -> impl Iterator<Item = &'a Wait> {
        let own = self.rows.bus.waits.range((consumer.to_owned(), 0, 0)..);
        own.map(|(_, wait)| wait).take_while(move |wait| wait.consumer == consumer)
    }
}
