//! From the outbox of the services onto the log.

use super::BusTx;
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
    if let Some((other, until)) = tx.lease(name)?
        && other != holder
        && until > now
    {
        return Ok(Lease::Theirs(until));
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
    let said = tx.outgoing(partition, limit)?;
    for (_, message) in &said {
        tx.append(message, now)?;
    }
    if let Some((last, _)) = said.last() {
        tx.drop_outgoing(partition, *last)?;
    }
    Ok(said.len())
}
