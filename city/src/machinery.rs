//! The bus at work, on the writer's thread: what was said goes onto the log, and from there to the services.
//!
//! A turn is of bounded size, so that requests never wait long for it: behind a group of requests in the same transaction,
//! for one flush serves both, else in one of its own.

use crate::bells::Bells;
use crate::clock;
use crate::metrics::Metrics;
use crate::secret::{random, with_entropy};
use crate::store::SqlTx;
use crate::throughput::Throughput;
use city_domain::bus::{ALERTS, Errand, Machine, Moved, Outside, Services, Turn, carried};
use city_domain::{Answer, Books, Call, City, Fault, Listed, answered, limits, settle};
use conch::event::{Device, UnixMillis};
use conch::pace::Jitter;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// The name of those who ask the acquirer.
pub(crate) const ACQUIRER: &str = "acquirer";

/// The bus and whom it serves.
pub(crate) struct Machinery {
    city: City,
    machine: Machine,
    jitter: Jitter,
    /// Where alerts go, if anywhere.
    horn: Option<Sender<Errand>>,
    /// Who asks the acquirer, if there is one.
    cashier: Option<Sender<Call>>,
    metrics: Arc<Metrics>,
    throughput: Arc<Throughput>,
    /// What was said and is not on the log, for those who let new events in.
    lag: Arc<AtomicU64>,
    /// The storage failed: nothing is done before.
    stalled: Option<UnixMillis>,
    /// When the last turn began.
    began: Option<Instant>,
    /// There may be work now.
    busy: bool,
    /// When there is work next, as far as is known.
    next: Option<UnixMillis>,
}

/// What a turn did, and whom it told.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    moved: Moved,
    told: Vec<Device>,
    died: usize,
}

impl Machinery {
    /// Whatever an earlier run left is work.
    pub(crate) fn new(
        city: City,
        services: Services,
        horn: Option<Sender<Errand>>,
        cashier: Option<Sender<Call>>,
        (metrics, throughput): (Arc<Metrics>, Arc<Throughput>),
    ) -> std::io::Result<Self> {
        let seed = random::<8>()?;
        let outside = Outside { horn: horn.is_some(), cashier: cashier.is_some() };
        Ok(Self {
            city,
            machine: Machine::new(services, outside, city.id.to_string(), clock::now()),
            jitter: Jitter::new(u64::from_be_bytes(seed)),
            horn,
            cashier,
            metrics,
            throughput,
            lag: Arc::default(),
            stalled: None,
            began: None,
            busy: true,
            next: None,
        })
    }

    /// What was said and is not on the log, kept up to date.
    pub(crate) fn lag(&self) -> Arc<AtomicU64> {
        self.lag.clone()
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
            return self.spacing();
        }
        let until = |at: UnixMillis| Duration::from_millis(at.0.saturating_sub(clock::now().0));
        self.next.map_or(look, |at| until(at).min(look))
    }

    /// One turn, in a transaction of its own.
    pub(crate) fn turn(&mut self, connection: &Connection, bells: &Bells) {
        if self.is_stalled() {
            return;
        }
        self.began = Some(Instant::now());
        let moved = self.in_transaction(connection, |own, connection| own.work(connection));
        self.ended(moved, bells);
    }

    /// One turn within the transaction of a group of requests, so that one flush serves both. What came of it goes to
    /// [`Self::ended`] once that is committed, and to nobody when it is not. A turn that fails leaves the group alone.
    pub(crate) fn turn_within(&mut self, connection: &Connection) -> Option<Result<Ended, Fault>> {
        if !self.spacing().is_zero() || self.is_stalled() {
            return None;
        }
        self.began = Some(Instant::now());
        let sql = |error: rusqlite::Error| Fault(error.to_string());
        let step = |sql: &str| connection.prepare_cached(sql).and_then(|mut step| step.execute([]));
        if let Err(error) = step("SAVEPOINT turn") {
            return Some(Err(sql(error)));
        }
        let moved = self.work(connection);
        if connection.is_autocommit() {
            return Some(Err(Fault("the transaction is gone".to_owned())));
        }
        let back = if moved.is_err() { step("ROLLBACK TO turn").map(drop) } else { Ok(()) };
        let released = back.and_then(|()| step("RELEASE turn").map(drop)).map_err(sql);
        Some(moved.and_then(|moved| released.map(|()| moved)))
    }

    /// How long until the next turn may begin: what comes in meanwhile shares its work.
    fn spacing(&self) -> Duration {
        let every = Duration::from_millis(limits::TURN_EVERY_MS);
        self.began.map_or(Duration::ZERO, |began| every.saturating_sub(began.elapsed()))
    }

    /// Whether it stands still for a while, because the storage failed.
    fn is_stalled(&mut self) -> bool {
        let stalled = self.stalled.is_some_and(|until| until > clock::now());
        if stalled {
            self.busy = false;
        } else {
            self.stalled = None;
        }
        stalled
    }

    /// An alert was carried out of the city, or not.
    pub(crate) fn carried(&mut self, connection: &Connection, bells: &Bells, errand: &Errand, taken: bool) {
        let moved = self.in_transaction(connection, |own, connection| {
            own.with_turn(connection, |_, tx, turn| {
                carried(tx, ALERTS, errand.clone(), taken, turn)?;
                Ok(Moved::one())
            })
        });
        self.machine.carried(errand);
        self.ended(moved, bells);
    }

    /// The acquirer answered, or did not. What cannot be written is asked for again.
    pub(crate) fn answered(&mut self, connection: &Connection, bells: &Bells, call: &Call, answer: &Answer) {
        let moved = self.in_transaction(connection, |own, connection| {
            own.with_turn(connection, |_, tx, turn| {
                answered(tx, &call.operation.id, answer, turn)?;
                Ok(Moved::one())
            })
        });
        self.machine.answered(call);
        self.ended(moved, bells);
    }

    /// The acquirer's list goes on. Gives how far it is taken; nothing when that could not be written.
    pub(crate) fn settled(&mut self, connection: &Connection, bells: &Bells, listed: &Listed) -> Option<u64> {
        let mut up_to = None;
        let moved = self.in_transaction(connection, |own, connection| {
            own.with_turn(connection, |_, tx, turn| {
                settle(tx, listed, turn)?;
                up_to = Some(tx.settled_up_to()?);
                Ok(Moved::one())
            })
        });
        let written = moved.is_ok();
        self.ended(moved, bells);
        up_to.filter(|_| written)
    }

    fn in_transaction(
        &mut self,
        connection: &Connection,
        work: impl FnOnce(&mut Self, &Connection) -> Result<Ended, Fault>,
    ) -> Result<Ended, Fault> {
        let sql = |error: rusqlite::Error| Fault(error.to_string());
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        let done = work(self, connection).and_then(|moved| {
            connection.execute_batch("COMMIT").map_err(sql)?;
            Ok(moved)
        });
        if done.is_err() && !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            tracing::error!("the failed turn could not be rolled back");
        }
        done
    }

    /// What follows once it is durable.
    pub(crate) fn ended(&mut self, ended: Result<Ended, Fault>, bells: &Bells) {
        let Ended { moved, told, died } = match ended {
            Ok(ended) => ended,
            Err(fault) => {
                tracing::error!(problem = fault.0, "the bus stands still for a while");
                self.busy = false;
                self.stalled = Some(UnixMillis(clock::now().0 + limits::STORAGE_RETRY_S * 1_000));
                return;
            }
        };
        self.machine.ended(&moved, clock::now());
        self.busy = moved.more;
        self.next = moved.next;
        self.throughput.count(&moved.topics, clock::now());
        if moved.events > 0 || !moved.topics.is_empty() {
            bells.ring_boards();
        }
        if let Some(backlog) = moved.backlog {
            self.lag.store(backlog, Ordering::Relaxed);
        }
        if died > 0 {
            self.metrics.died(died);
            tracing::error!(died, "events became dead letters: see `city dead-letters list`");
        }
        for device in told {
            bells.ring(&device);
        }
        for errand in moved.errands {
            if let Some(horn) = &self.horn
                && let Err(lost) = horn.send(errand)
            {
                self.machine.carried(&lost.0);
            }
        }
        for call in moved.calls {
            if let Some(cashier) = &self.cashier
                && let Err(lost) = cashier.send(call)
            {
                self.machine.answered(&lost.0);
            }
        }
    }

    fn with_turn(
        &mut self,
        connection: &Connection,
        work: impl FnOnce(&Self, &mut SqlTx<'_>, &mut Turn<'_>) -> Result<Moved, Fault>,
    ) -> Result<Ended, Fault> {
        let mut jitter = self.jitter.clone();
        let city = self.city;
        let moved = with_entropy(
            |entropy| {
                let mut turn = Turn::new(&city, clock::now(), entropy, &mut jitter);
                let moved = work(self, &mut SqlTx(connection), &mut turn);
                for trouble in turn.troubles {
                    tracing::error!(trouble, "a service is in trouble");
                }
                moved.map(|moved| Ended { moved, told: turn.told, died: turn.died })
            },
            |error| Fault(error.to_string()),
        );
        self.jitter = jitter;
        moved
    }

    fn work(&mut self, connection: &Connection) -> Result<Ended, Fault> {
        self.with_turn(connection, |own, tx, turn| own.machine.turn(tx, turn))
    }
}
