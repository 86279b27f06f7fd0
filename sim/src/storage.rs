//! A device's storage as a page meets it: transactions in a queue, connections that are lost under them, a disk that is
//! full. What to do about a lost connection is done as `browser/store` does it.

use crate::bug::Bug;
use crate::oracle::{Broken, Scope, masked, tables_agree};
use crate::plan::Trouble;
use crate::world::{At, LOOK_EVERY, What, Work, World};
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
}

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
            let input = match work {
                Work::Apply(_) => Input::Applied { op, result: Err(lost()) },
                Work::Reread => Input::Reread { op, result: Err(lost()) },
                Work::Load(_) => Input::Loaded { op, result: Err(lost()) },
            };
            self.stored(at, input, false);
            return Ok(());
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
                self.stored(at, Input::Applied { op, result }, shared);
            }
            Work::Reread => {
                let result = Ok(self.device(at.device)?.disk.opened());
                self.stored(at, Input::Reread { op, result }, false);
            }
            Work::Load(load) => {
                let result = Ok(self.device(at.device)?.disk.load(&load));
                self.stored(at, Input::Loaded { op, result }, false);
            }
        }
        Ok(())
    }

    fn connection(&mut self, at: At) -> Result<Connection, Broken> {
        let (before, after) = (self.strikes(Trouble::Handle, 60), self.strikes(Trouble::Handle, 60));
        let now = self.now;
        let gone = self.device(at.device)?.health.gone_until > now;
        Ok(match (gone || before, after) {
            (true, _) => Connection::GoneBefore,
            (_, true) => Connection::GoneAfter,
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
            return Ok(Err(StoreFault::Quota));
        }
        let result = device.disk.apply(batch);
        device.memory.applied(at.context(), batch, &result, &device.disk.now)?;
        masked(batch, &device.disk)?;
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
