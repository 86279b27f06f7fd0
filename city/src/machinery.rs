//! The bus at work, on the writer's thread: what was said goes onto the log, and from there to the services.
//!
//! One turn is one transaction of bounded size, so that requests never wait long behind it.

use crate::bells::Bells;
use crate::clock;
use crate::secret::random;
use crate::store::SqlTx;
use city_domain::bus::{BusTx, Consumer, Lease, PARTITIONS, Turn, due, hold, relay, take_up};
use city_domain::{City, Fault, limits};
use conch::event::{Device, UnixMillis};
use conch::pace::Jitter;
use rusqlite::Connection;
use std::cell::Cell;
use std::time::Duration;

/// The services that hear what others say.
pub(crate) type Services = Vec<Box<dyn Consumer + Send>>;

/// The bus and whom it serves.
pub(crate) struct Machinery {
    city: City,
    services: Services,
    /// Holds the lease. The lock on the data directory lets only one city run, so its id is enough, and a city that was
    /// killed goes on at once.
    holder: String,
    jitter: Jitter,
    /// There may be work now.
    busy: bool,
    /// When there is work next, as far as is known.
    next: Option<UnixMillis>,
}

/// What a turn did.
#[derive(Debug, Default)]
struct Moved {
    events: usize,
    told: Vec<Device>,
    died: usize,
    next: Option<UnixMillis>,
}

impl Machinery {
    /// Whatever an earlier run left is work.
    pub(crate) fn new(city: City, services: Services) -> std::io::Result<Self> {
        let seed = random::<8>()?;
        Ok(Self {
            city,
            services,
            holder: city.id.to_string(),
            jitter: Jitter::new(u64::from_be_bytes(seed)),
            busy: true,
            next: None,
        })
    }

    /// Something was said.
    pub(crate) fn wake(&mut self) {
        self.busy = true;
    }

    /// How long nothing is to be done. Never longer than a second: a person may have decided about a dead letter from
    /// the command line.
    pub(crate) fn rest(&self) -> Duration {
        let look = Duration::from_millis(limits::LOOK_AGAIN_MS);
        if self.busy {
            return Duration::ZERO;
        }
        let until = |at: UnixMillis| Duration::from_millis(at.0.saturating_sub(clock::now().0));
        self.next.map_or(look, |at| until(at).min(look))
    }

    /// One turn, in a transaction of its own.
    pub(crate) fn turn(&mut self, connection: &Connection, bells: &Bells) {
        let moved = connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| Fault(error.to_string()));
        let moved = moved.and_then(|()| self.work(connection)).and_then(|moved| {
            connection.execute_batch("COMMIT").map_err(|error| Fault(error.to_string()))?;
            Ok(moved)
        });
        match moved {
            Ok(Moved { events, told, died, next }) => {
                self.busy = events > 0;
                self.next = next;
                if died > 0 {
                    tracing::error!(died, "events became dead letters: see `city dead-letters list`");
                }
                for device in told {
                    bells.ring(&device);
                }
            }
            Err(fault) => {
                tracing::error!(problem = fault.0, "the bus stands still for a while");
                if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                    tracing::error!("the failed turn could not be rolled back");
                }
                self.busy = false;
                self.next = Some(UnixMillis(clock::now().0 + limits::STORAGE_RETRY_S * 1_000));
            }
        }
    }

    fn work(&mut self, connection: &Connection) -> Result<Moved, Fault> {
        let now = clock::now();
        let mut tx = SqlTx(connection);
        if let Lease::Theirs(until) = hold(&mut tx, "bus", &self.holder, now)? {
            return Ok(Moved { next: Some(until), ..Moved::default() });
        }
        let dry = Cell::new(None);
        let mut entropy = || {
            random().unwrap_or_else(|error| {
                dry.set(Some(error));
                [0; 10]
            })
        };
        let mut turn = Turn {
            city: &self.city,
            now,
            entropy: &mut entropy,
            jitter: &mut self.jitter,
            told: Vec::new(),
            died: 0,
        };
        let mut events = 0;
        for partition in 0..PARTITIONS {
            if events >= limits::TURN_EVENTS_MAX {
                break;
            }
            events += relay(&mut tx, partition, limits::TURN_EVENTS_MAX, now)?;
        }
        let mut next = None;
        for service in &self.services {
            for partition in 0..PARTITIONS {
                events += take_up(&mut tx, service.as_ref(), partition, limits::TURN_EVENTS_MAX, &mut turn)?;
            }
            events += due(&mut tx, service.as_ref(), limits::TURN_EVENTS_MAX, &mut turn)?;
            next = [next, tx.next_due(service.name())?].into_iter().flatten().min();
        }
        let Turn { told, died, .. } = turn;
        match dry.take() {
            Some(error) => Err(Fault(error.to_string())),
            None => Ok(Moved { events, told, died, next }),
        }
    }
}
