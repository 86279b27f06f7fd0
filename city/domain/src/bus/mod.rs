//! The bus: what the services say to each other, in order per key, at least once, each event with one effect.
//!
//! A handler writes its inbox row, its effect and what it says in one transaction ([`Tx::put_outgoing`] is part of it).
//! The [relay](relay()) moves what was said onto the log, in order per partition. Each consumer reads the log behind a
//! cursor of its own; what its handler cannot do now waits and is tried again, with the later events of its key behind
//! it, and what it can never do becomes a dead letter and an alert. No other key waits for either.
//!
//! [`Tx::put_outgoing`]: crate::Tx::put_outgoing

mod dead;
mod deliver;
mod handling;
mod machine;
mod outside;
mod relay;
mod rows;
mod subscribe;

pub use dead::{Decision, NotDecided, decide};
pub use deliver::{Consumer, Tick, Turn, due, take_page, take_up, tick};
pub use handling::{Failure, Next, Problem, after_failure};
pub use machine::{ALERTS, Errand, Machine, Moved, Outside, Services};
pub use outside::{carried, enlist, errands};
pub use relay::{Lease, hold, relay, relay_and};
pub use rows::{BusTx, Closing, DeadLetter, Wait};
pub use subscribe::{Pattern, Subscription, heard};

use conch::event::json::Json;
use conch::event::{EventId, EventType, Key, Topic};
use conch::wire::cloudevents::Envelope;

/// Partitions of the log. Fixed: another number would send the events of a key to two places.
pub const PARTITIONS: u16 = 16;

/// An event on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub source: String,
    /// Its delivery identity, unique per source.
    pub id: EventId,
    /// Topic with version.
    pub topic: Topic,
    /// Type within the topic.
    pub kind: EventType,
    /// Business key: decides partition and order.
    pub key: Key,
    /// The encoded CloudEvent, unknown attributes included.
    pub body: String,
}

impl Message {
    /// Reads an encoded event. `None` when it is none.
    pub fn read(body: String) -> Option<Self> {
        let Envelope { source, id, topic, kind, key, .. } = Envelope::read(&Json::parse(&body).ok()?).ok()?;
        Some(Self { source, id, topic, kind, key, body })
    }

    /// Its attributes and payload. `None` when its text is no event.
    pub fn envelope(&self) -> Option<Envelope> {
        Envelope::read(&Json::parse(&self.body).ok()?).ok()
    }

    /// The partition of its key.
    pub fn partition(&self) -> u16 {
        partition_of(&self.key)
    }
}

/// The partition of a key: 64-bit FNV-1a over its bytes, modulo [`PARTITIONS`]. It must never change, so it is written
/// out here and held by a table of examples.
pub fn partition_of(key: &Key) -> u16 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The remainder is below the number of partitions.
    (hash % u64::from(PARTITIONS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_in_its_partition_for_ever() {
        let of = |key: &str| partition_of(&Key::parse(key).unwrap());
        assert_eq!(["a", "order-1", "order-2", "ticket-77", "circuit-4"].map(of), [12, 13, 4, 14, 13]);
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0; PARTITIONS as usize];
        for number in 0..1_600 {
            counts[usize::from(partition_of(&Key::parse(&format!("order-{number}")).unwrap()))] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
