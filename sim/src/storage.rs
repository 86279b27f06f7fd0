//! A device's storage as a page meets it: transactions in a queue, connections that are lost under them, a disk that is
//! full. What to do about a lost connection is done as `browser/store` does it.

use crate::bug::Bug;
use crate::oracle::{Broken, Scope, masked, tables_agree};
use crate::plan::Trouble;
use crate::weather::Weather;
use crate::world::{At, LOOK_EVERY, What, Work, World};
use conch::limits::OPEN_TIMEOUT_MS;
use conch::outbox::engine::Input;
use conch::outbox::port::{Applied, Batch, StoreFault};
use conch::outbox::transact::Refusal;

/// How a call meets the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Holds,
    /// Gone before the write took effect.
    GoneBefore,
    /// Gone after it: the write took effect, and nobody hears of it.
    GoneAfter,
    /// A newer page's upgrade is in the way, or was there already.
    Shut(Shut),
}

/// Why a connection cannot be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shut {
    /// It waits a while.
    Waits,
    /// It has waited long enough.
    Blocked,
    /// The database has a layout that this page does not know.
    Newer,
}

/// How often a connection that waits behind an upgrade looks again, in ms.
const LOOK_AGAIN_MS: u64 = 500;

impl World {
    pub(crate) fn queue_store(&mut self, at: At, op: u64, work: Work, again: bool) -> Result<(), Broken> {
        let took = 1 + self.chance.up_to(15);
        let now = self.now;
        let device = self.device(at.device)?;
        device.disk_free_at = device.disk_free_at.max(now) + took;
        let time = device.disk_free_at;
        let settles = matches!(&work, Work::Apply(batch) if matches!(**batch, Batch::Settle { .. }));
        self.schedule(time, at, What::StoreRuns { op, work, again });
        // Frozen between the city's answer and the write of it: by the thaw another context may lead.
        if settles && self.strikes(Trouble::Freeze, 20) {
            let ms = 20_000 + self.chance.up_to(60_000);
            return self.freezes(at.device, at.tab, ms);
        }
        Ok(())
    }

    pub(crate) fn store_runs(&mut self, at: At, op: u64, work: Work, again: bool) -> Result<(), Broken> {
        let connection = self.connection(at)?;
        let shared = Self::is_shared(&work);
        let lost = || StoreFault::Lost("the connection is gone".to_owned());
        if let Connection::Shut(why) = connection {
            let fault = match why {
                Shut::Newer => StoreFault::Newer,
                Shut::Blocked => StoreFault::Blocked,
                Shut::Waits => {
                    self.schedule(self.now + LOOK_AGAIN_MS, at, What::StoreRuns { op, work, again });
                    return Ok(());
                }
            };
            return self.stored(at, failed(op, &work, fault), false);
        }
        if connection != Connection::Holds {
            self.report.lost += 1;
            if let (Connection::GoneAfter, Work::Apply(batch)) = (connection, &work) {
                // The write took effect, whatever the page hears.
                let _ = self.apply(at, batch)?;
            }
            if !again {
                // The store opens the database again and tries once more with the same ids.
                return self.queue_store(at, op, work, true);
            }
            return self.stored(at, failed(op, &work, lost()), false);
        }
        match work {
            Work::Apply(batch) => {
                let mut result = self.apply(at, &batch)?;
                // A decision of a person is no longer open once it was taken, so a second try cannot tell whose it was.
                let once =
                    matches!(*batch, Batch::Redrive { .. } | Batch::Revive { .. } | Batch::Discard { .. });
                let vain =
                    matches!(result, Err(StoreFault::Refused(Refusal::NotFound | Refusal::IntentTaken)));
                if again && once && vain {
                    result = Err(lost());
                }
                let shared = shared && result.is_ok();
                self.stored(at, Input::Applied { op, result }, shared)
            }
            Work::Reread => {
                let result = Ok(self.device(at.device)?.disk.opened());
                self.stored(at, Input::Reread { op, result }, false)
            }
            Work::Load(load) => {
                let result = Ok(self.device(at.device)?.disk.load(&load));
                self.stored(at, Input::Loaded { op, result }, false)
            }
        }
    }

    fn connection(&mut self, at: At) -> Result<Connection, Broken> {
        let (before, after) = (self.strikes(Trouble::Handle, 60), self.strikes(Trouble::Handle, 60));
        let now = self.now;
        let own = self.device(at.device)?;
        let (gone, lives) = (own.health.gone_until > now, own.past.len());
        let (layout, asked) = (own.disk.now.layout, own.upgrade_asked);
        let tab = self.tab(at)?;
        // Another database has taken the place of the one that was thrown away, or none yet.
        if tab.born < lives {
            return Ok(Connection::GoneBefore);
        }
        if !tab.holds {
            if layout > tab.release {
                return Ok(Connection::Shut(Shut::Newer));
            }
            if asked {
                let since = *tab.blocked_since.get_or_insert(now);
                if now < since + OPEN_TIMEOUT_MS {
                    return Ok(Connection::Shut(Shut::Waits));
                }
                tab.blocked_since = None;
                return Ok(Connection::Shut(Shut::Blocked));
            }
            tab.blocked_since = None;
            tab.holds = true;
        }
        Ok(match (gone || before, after) {
            (true, _) => {
                self.met(Weather::Aborted);
                Connection::GoneBefore
            }
            (_, true) => {
                self.met(Weather::DeadHandle);
                Connection::GoneAfter
            }
            _ => Connection::Holds,
        })
    }

    /// One transaction, and the oracle's look at what it did.
    fn apply(&mut self, at: At, batch: &Batch) -> Result<Applied, Broken> {
        let (now, lies) = (self.now, self.plan.bug == Some(Bug::QuotaLies));
        self.transactions += 1;
        let looks = self.transactions.is_multiple_of(LOOK_EVERY);
        let device = self.device(at.device)?;
        let full = now < device.health.full_until && !fits(batch, device.health.room, device.health.brimful);
        if full && lies && matches!(batch, Batch::Append { .. }) {
            return Ok(device.disk.clone().apply(batch));
        }
        if full {
            self.report.full += 1;
            self.met(Weather::Quota);
            return Ok(Err(StoreFault::Quota));
        }
        let result = device.disk.apply(batch);
        let took_over = matches!((batch, &result), (Batch::Lead, Ok(_)))
            && device.memory.is_led()
            && !device.memory.is_led_by(at.context());
        device.memory.applied(at.context(), batch, &result, &device.disk.now)?;
        masked(batch, &device.disk)?;
        if took_over {
            self.met(Weather::HandOver);
        }
        self.report.stale += u64::from(result == Err(StoreFault::Refused(Refusal::StaleEpoch)));
        let (Some(device), Some(feed)) = (self.devices.get_mut(at.device), self.city.feeds.get(at.device))
        else {
            return Ok(result);
        };
        if matches!(batch, Batch::Feed { .. }) {
            device.memory.applied_once(&device.disk, feed)?;
        }
        tables_agree(&device.disk.now, &self.city, Scope::Segments(&device.disk.touched))?;
        if looks {
            self.look(at.device)?;
        }
        Ok(result)
    }
}

/// What a page hears of work that failed.
fn failed(op: u64, work: &Work, fault: StoreFault) -> Input {
    match work {
        Work::Apply(_) => Input::Applied { op, result: Err(fault) },
        Work::Reread => Input::Reread { op, result: Err(fault) },
        Work::Load(_) => Input::Loaded { op, result: Err(fault) },
    }
}

/// Whether a write goes in although the disk is full.
fn fits(batch: &Batch, room: usize, brimful: bool) -> bool {
    match batch {
        Batch::Append { events, .. } => !brimful && events.len() <= room,
        Batch::Redrive { .. } | Batch::Revive { .. } => !brimful && room > 0,
        _ => !brimful,
    }
}

/// Whether other contexts must look again after this write.
pub(crate) fn concerns_others(batch: &Batch) -> bool {
    matches!(
        batch,
        Batch::Append { .. }
            | Batch::Settle { .. }
            | Batch::Wait { .. }
            | Batch::Redrive { .. }
            | Batch::Revive { .. }
            | Batch::Discard { .. }
            | Batch::Pause(_)
    )
}
