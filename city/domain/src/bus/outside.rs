//! Consumers outside of the transaction: what they do cannot be taken back, so it is done at least once. Each event waits
//! from the start, is carried out when it is due, and what came of it is noted afterwards.

use super::deliver::{Turn, done, written};
use super::{BusTx, Message, Next, Subscription, Wait, after_failure, heard};
use crate::limits::TRIES_MAX;
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
    for (offset, message) in &found {
        let Some(message) = message.as_ref().and_then(|message| heard(subscriptions, message)) else {
            continue;
        };
        if tx.wait(consumer, partition, *offset)?.is_some() {
            continue;
        }
        let first = tx.first_wait(consumer, &message.key)?.is_none();
        let wait = Wait::behind(consumer, (partition, *offset), message.key.clone());
        tx.put_wait(&Wait { due: first.then_some(now), ..wait })?;
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
        match written(tx, &wait)? {
            Some(message) => errands.push((wait, message)),
            None => done(tx, consumer, &wait, now)?,
        }
    }
    Ok(errands)
}

/// Notes what came of an errand. What failed is tried again for as long as it takes: an alert that was given up would be
/// one nobody heard of.
pub fn carried<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    (mut wait, message): (Wait, Message),
    taken: bool,
    turn: &mut Turn<'_>,
) -> Result<(), Fault> {
    if taken {
        tx.put_handled(consumer, &message.source, message.id, turn.now)?;
        return done(tx, consumer, &wait, turn.now);
    }
    wait.tries = wait.tries.saturating_add(1);
    // The ladder's last step again and again.
    if let Next::Wait(due) = after_failure(wait.tries.min(TRIES_MAX - 1), false, turn.now, turn.jitter) {
        wait.due = Some(due);
    }
    tx.put_wait(&wait)
}
