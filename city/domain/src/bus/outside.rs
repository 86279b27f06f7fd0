//! Consumers outside of the transaction: what they do cannot be taken back, so it is done at least once. Each event waits
//! from the start, is carried out when it is due, and what came of it is noted afterwards.

use super::deliver::{Turn, failed, release, written};
use super::{BusTx, Failure, Message, Subscription, Wait, heard};
use crate::tx::Fault;
use conch::event::UnixMillis;

/// Takes up to `limit` events from the log; each wanted one waits, the first of its key due at once.
pub fn enlist<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    subscriptions: &[Subscription],
    partition: u16,
    limit: usize,
    now: UnixMillis,
) -> Result<usize, Fault> {
    let cursor = tx.cursor(consumer, partition)?;
    let found = tx.log_after(partition, cursor, limit)?;
    for (offset, message) in found.iter().filter(|(_, message)| heard(subscriptions, message).is_some()) {
        let first = tx.first_wait(consumer, &message.key)?.is_none();
        tx.put_wait(&Wait {
            consumer: consumer.to_owned(),
            partition,
            offset: *offset,
            key: message.key.clone(),
            tries: 0,
            due: first.then_some(now),
            body: None,
        })?;
    }
    if let Some((last, _)) = found.last() {
        tx.put_cursor(consumer, partition, *last)?;
    }
    Ok(found.len())
}

/// What is to be carried out now, at most so much.
pub fn errands<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<(Wait, Message)>, Fault> {
    let mut errands = Vec::new();
    for wait in tx.due_waits(consumer, now, limit)? {
        let message = written(tx, &wait)?;
        errands.push((wait, message));
    }
    Ok(errands)
}

/// Notes what came of an errand.
pub fn carried<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    (mut wait, message): (Wait, Message),
    outcome: Result<(), Failure>,
    turn: &mut Turn<'_>,
) -> Result<(), Fault> {
    let failure = match outcome {
        Ok(()) => {
            tx.put_handled(consumer, &message.source, message.id, turn.now)?;
            tx.drop_wait(consumer, wait.partition, wait.offset)?;
            return release(tx, consumer, &wait, turn.now);
        }
        Err(Failure::Storage(fault)) => return Err(fault),
        Err(Failure::Never(problem)) => (true, problem),
        Err(Failure::Later(problem)) => (false, problem),
    };
    failed(tx, consumer, &mut wait, &message, failure, turn)
}
