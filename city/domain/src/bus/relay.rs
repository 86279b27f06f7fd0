//! From the outbox of the services onto the log.

use super::{BusTx, Message};
use crate::limits::LEASE_MS;
use crate::tx::Fault;
use conch::event::UnixMillis;

/// Whether the work that only one may do is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Until then.
    Ours(UnixMillis),
    /// Another one holds it until then.
    Theirs(UnixMillis),
}

/// Takes or keeps a lease. One that has run out goes to whoever asks.
pub fn hold<T: BusTx + ?Sized>(
    tx: &mut T,
    name: &str,
    holder: &str,
    now: UnixMillis,
) -> Result<Lease, Fault> {
    let held = tx.lease(name)?;
    if let Some((other, until)) = &held
        && other != holder
        && *until > now
    {
        return Ok(Lease::Theirs(*until));
    }
    // Renewed when half of it is over: an idle city writes nothing.
    if let Some((own, until)) = &held
        && own == holder
        && until.0 > now.0 + LEASE_MS / 2
    {
        return Ok(Lease::Ours(*until));
    }
    let until = UnixMillis(now.0 + LEASE_MS);
    tx.put_lease(name, holder, until)?;
    Ok(Lease::Ours(until))
}

/// Moves what was said in a partition onto the log, in its order, and tells how much it was. An event that lies there
/// already, because an earlier relay ended between the two steps, is not appended twice.
pub fn relay<T: BusTx + ?Sized>(
    tx: &mut T,
    partition: u16,
    limit: usize,
    now: UnixMillis,
) -> Result<usize, Fault> {
    relay_and(tx, partition, limit, now, &mut |_| {})
}

/// The same, and shows what was appended to whoever counts.
pub fn relay_and<T: BusTx + ?Sized>(
    tx: &mut T,
    partition: u16,
    limit: usize,
    now: UnixMillis,
    appended: &mut dyn FnMut(&Message),
) -> Result<usize, Fault> {
    let said = tx.outgoing(partition, limit)?;
    for (place, message) in &said {
        if tx.append(message, now)? {
            appended(message);
        }
        tx.drop_outgoing(partition, *place)?;
    }
    Ok(said.len())
}
