//! One device: its disk, its clocks, the lock and the channel of its origin, and the contexts that share them.

use crate::disk::Disk;
use crate::oracle::{Context, Memory};
use crate::world::{At, What};
use conch::event::{Emit, EventId, Identity, LaneHash, Sequence};
use conch::outbox::Engine;
use conch::outbox::engine::Ticket;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One device.
pub struct Device {
    pub(crate) identity: Identity,
    pub(crate) disk: Disk,
    /// Transactions that overlap run in the order they were made.
    pub(crate) disk_free_at: u64,
    pub(crate) health: Health,
    /// How far its wall clock is off, in ms.
    pub(crate) skew_ms: i64,
    /// How long its monotonic clock stood still while it slept, in ms.
    pub(crate) slept_ms: u64,
    /// It sleeps until then.
    pub(crate) asleep_until: u64,
    /// Without locks the epoch and a beat in the store choose who leads.
    pub(crate) lock: Option<Lock>,
    /// Whether its contexts can speak to each other.
    pub(crate) has_channel: bool,
    pub(crate) memory: Memory,
    /// The databases that were thrown away, the first one first.
    pub(crate) past: Vec<Past>,
    /// What was noted of the outbox beside it.
    pub(crate) marker: Option<String>,
    /// The release that a page opened now has.
    pub(crate) published: u32,
    /// Whether a newer page asked to upgrade, and nobody could yet.
    pub(crate) upgrade_asked: bool,
    /// Whether its credentials have run out.
    pub(crate) expired: bool,
    /// The latest request of each of its contexts that reached the city.
    pub(crate) arrived: BTreeMap<At, u64>,
    /// How many events its people made.
    pub(crate) emits: u64,
    /// Since when lanes that flow have something that is not sent.
    pub(crate) ready: BTreeMap<LaneHash, u64>,
    pub(crate) tabs: Vec<Tab>,
    /// What a person saw fail and taps again, with the same meaning.
    pub(crate) again: Vec<Emit>,
    /// Tallies to be tried again, for nobody heard how they ended.
    pub(crate) tallies_again: Vec<(String, u64)>,
    /// Whether a person is about to decide about its dead letters.
    pub(crate) looked_at: bool,
    /// How often an event of the feed had its effect.
    pub(crate) effects: u64,
}

/// A database that was thrown away, and what the oracle knew of it.
pub(crate) struct Past {
    pub(crate) identity: Identity,
    pub(crate) disk: Disk,
    pub(crate) memory: Memory,
    /// Whether what was noted beside it survived.
    pub(crate) marked: bool,
    /// Whether a page was told.
    pub(crate) told: bool,
}

impl Device {
    /// What the oracle knows of the life a page speaks for, and its disk.
    pub(crate) fn known_to(&mut self, tab: usize) -> (&mut Memory, &Disk) {
        let born = self.tabs.get(tab).map_or(self.past.len(), |tab| tab.born);
        match self.past.get_mut(born) {
            Some(past) => past.known(),
            None => (&mut self.memory, &self.disk),
        }
    }
}

/// What is wrong with a device's storage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    /// The database cannot be opened before.
    pub(crate) gone_until: u64,
    /// The disk is full until then.
    pub(crate) full_until: u64,
    /// So many events still fit in one write while it is full.
    pub(crate) room: usize,
    /// Whether nothing at all can be written while it is full.
    pub(crate) brimful: bool,
}

/// The Web Lock of one origin.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    tokens: u64,
    pub(crate) holder: Option<Claim>,
    queue: VecDeque<Claim>,
}

/// One request for the lock. A context that asks anew has another one, and hears no more of the old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) context: Context,
    pub(crate) token: u64,
}

impl Lock {
    fn claim(&mut self, context: Context) -> Claim {
        self.tokens += 1;
        Claim { context, token: self.tokens }
    }

    /// Asks in turn. Returns the claim, and whether it was granted at once.
    pub(crate) fn request(&mut self, context: Context) -> (Claim, bool) {
        let claim = self.claim(context);
        if self.holder.is_some() {
            self.queue.push_back(claim);
            return (claim, false);
        }
        self.holder = Some(claim);
        (claim, true)
    }

    /// Takes it from whoever holds it, who is returned.
    pub(crate) fn steal(&mut self, context: Context) -> (Claim, Option<Claim>) {
        let claim = self.claim(context);
        (claim, self.holder.replace(claim))
    }

    /// A context lets go of the lock or its place in the queue. Returns who has it now because of that.
    pub(crate) fn release(&mut self, context: Context) -> Option<Claim> {
        self.queue.retain(|claim| claim.context != context);
        if self.holder.is_none_or(|claim| claim.context != context) {
            return None;
        }
        self.holder = self.queue.pop_front();
        self.holder
    }
}

/// One context: a page with an engine, or the place of one.
#[derive(Default)]
pub(crate) struct Tab {
    pub(crate) engine: Option<Engine>,
    /// Which database of the device it opened.
    pub(crate) born: usize,
    /// The release it runs.
    pub(crate) release: u32,
    /// Whether its connection to the database is open.
    pub(crate) holds: bool,
    /// Since when it waits for others to let go of the database.
    pub(crate) opening_since: Option<u64>,
    /// Since when its connection waits behind an upgrade.
    pub(crate) blocked_since: Option<u64>,
    /// Whether it is a service worker and no page.
    pub(crate) worker: bool,
    /// What was noted beside the database before it opened.
    pub(crate) seen: Option<String>,
    /// What it noted last beside the database.
    pub(crate) noted: Option<(Sequence, u64)>,
    /// Requests whose end it has not heard.
    pub(crate) awaits: BTreeSet<u64>,
    /// Rises with every end, so that answers to a dead page are dropped.
    pub(crate) life: u64,
    /// The device's monotonic time when the page was opened.
    pub(crate) origin_ms: u64,
    /// The page's monotonic time at which its timer rings.
    pub(crate) timer: Option<u64>,
    pub(crate) frozen: Option<Frozen>,
    /// Its claim to the lock.
    pub(crate) token: u64,
    pub(crate) tickets: u64,
    /// What its people asked for and were not answered yet.
    pub(crate) wishes: u64,
    pub(crate) taps: BTreeMap<Ticket, Emit>,
    /// Tallies under way: key and number.
    pub(crate) tallies: BTreeMap<Ticket, (String, u64)>,
    /// Discards and redrives under way.
    pub(crate) decisions: BTreeMap<Ticket, Sequence>,
    /// Whether its last request failed.
    pub(crate) failed: bool,
    /// What its requests carry, for the faults that need it.
    pub(crate) sent: BTreeMap<u64, Vec<EventId>>,
}

/// A page whose scripts do not run.
#[derive(Debug, Default)]
pub(crate) struct Frozen {
    /// What happens to it once it runs again, in order.
    pub(crate) waiting: VecDeque<What>,
    /// Whether its transactions stand still as well.
    pub(crate) store_too: bool,
}

impl Tab {
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.wishes += 1;
        Ticket(self.tickets)
    }
}
