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
use city_domain::bus::{
    BusTx, Consumer, Lease, Message, PARTITIONS, Subscription, Turn, Wait, carried, due, enlist, errands,
    hold, relay_and, take_page, tick,
};
use city_domain::{Answer, Books, Call, City, Fault, Listed, answered, hand_out, limits, settle};
use conch::event::{Device, UnixMillis};
use conch::pace::Jitter;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// The services that hear what others say.
pub(crate) type Services = Vec<Box<dyn Consumer + Send>>;

/// The name of those who ask the acquirer.
pub(crate) const ACQUIRER: &str = "acquirer";

/// The consumer that carries alerts out of the city.
pub(crate) const ALERTS: &str = "alerts-webhook";

/// An alert on its way, and where it waits.
pub(crate) type Errand = (Wait, Message);

/// The bus and whom it serves.
pub(crate) struct Machinery {
    city: City,
    services: Services,
    /// Holds the lease. The lock on the data directory lets only one city run, so its id is enough, and a city that was
    /// killed goes on at once.
    holder: String,
    jitter: Jitter,
    /// Where alerts go, if anywhere.
    horn: Option<Sender<Errand>>,
    /// Who asks the acquirer, if there is one.
    cashier: Option<Sender<Call>>,
    metrics: Arc<Metrics>,
    throughput: Arc<Throughput>,
    /// Alerts on their way, by their places.
    away: BTreeSet<(u16, u64)>,
    /// By consumer, the services' and then the webhook's: a bit for each partition in which there may be something to
    /// take up. Only the relay adds to the log, so nobody need look elsewhere.
    fresh: Vec<u16>,
    /// What the acquirer is being asked, by its id.
    asking: BTreeSet<String>,
    /// Whether a newly named webhook was given its place: it hears what is raised from then on, not the past.
    placed: bool,
    /// When old rows are forgotten next.
    forget_at: UnixMillis,
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

/// What a turn did.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    events: usize,
    told: Vec<Device>,
    died: usize,
    next: Option<UnixMillis>,
    errands: Vec<Errand>,
    calls: Vec<Call>,
    /// What went onto the log, by topic.
    topics: BTreeMap<String, u32>,
    /// There is more to do at once.
    more: bool,
    /// What is to be taken up, as it is afterwards.
    fresh: Option<Vec<u16>>,
    /// Whether there may be more old rows, if it was time to forget some.
    forgotten: Option<bool>,
    /// What was said and is not on the log, if that was looked at.
    backlog: Option<u64>,
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
        Ok(Self {
            city,
            services,
            holder: city.id.to_string(),
            jitter: Jitter::new(u64::from_be_bytes(seed)),
            horn,
            cashier,
            metrics,
            throughput,
            lag: Arc::default(),
            placed: false,
            away: BTreeSet::new(),
            asking: BTreeSet::new(),
            fresh: Vec::new(),
            forget_at: clock::now(),
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
    pub(crate) fn turn_within(&mut self, connection: &Connection) -> Option<Result<Moved, Fault>> {
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
                Ok(Moved { events: 1, ..Moved::default() })
            })
        });
        self.away.remove(&(errand.0.partition, errand.0.offset));
        self.ended(moved, bells);
    }

    /// The acquirer answered, or did not. What cannot be written is asked for again.
    pub(crate) fn answered(&mut self, connection: &Connection, bells: &Bells, call: &Call, answer: &Answer) {
        let moved = self.in_transaction(connection, |own, connection| {
            own.with_turn(connection, |_, tx, turn| {
                answered(tx, &call.operation.id, answer, turn)?;
                Ok(Moved { events: 1, ..Moved::default() })
            })
        });
        self.asking.remove(&call.operation.id);
        self.ended(moved, bells);
    }

    /// The acquirer's list goes on. Gives how far it is taken; nothing when that could not be written.
    pub(crate) fn settled(&mut self, connection: &Connection, bells: &Bells, listed: &Listed) -> Option<u64> {
        let mut up_to = None;
        let moved = self.in_transaction(connection, |own, connection| {
            own.with_turn(connection, |_, tx, turn| {
                settle(tx, listed, turn)?;
                up_to = Some(tx.settled_up_to()?);
                Ok(Moved { events: 1, ..Moved::default() })
            })
        });
        let written = moved.is_ok();
        self.ended(moved, bells);
        up_to.filter(|_| written)
    }

    fn in_transaction(
        &mut self,
        connection: &Connection,
        work: impl FnOnce(&mut Self, &Connection) -> Result<Moved, Fault>,
    ) -> Result<Moved, Fault> {
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
    pub(crate) fn ended(&mut self, moved: Result<Moved, Fault>, bells: &Bells) {
        let moved = match moved {
            Ok(moved) => moved,
            Err(fault) => {
                tracing::error!(problem = fault.0, "the bus stands still for a while");
                self.busy = false;
                self.stalled = Some(UnixMillis(clock::now().0 + limits::STORAGE_RETRY_S * 1_000));
                return;
            }
        };
        self.busy = moved.more;
        self.throughput.count(&moved.topics, clock::now());
        if moved.events > 0 || !moved.topics.is_empty() {
            bells.ring_boards();
        }
        if let Some(fresh) = moved.fresh {
            self.placed = true;
            self.fresh = fresh;
        }
        if let Some(more) = moved.forgotten {
            self.forget_at = UnixMillis(clock::now().0 + if more { 0 } else { limits::FORGET_EVERY_MS });
        }
        if let Some(backlog) = moved.backlog {
            self.lag.store(backlog, Ordering::Relaxed);
        }
        self.next = moved.next;
        if moved.died > 0 {
            self.metrics.died(moved.died);
            tracing::error!(died = moved.died, "events became dead letters: see `city dead-letters list`");
        }
        for device in moved.told {
            bells.ring(&device);
        }
        for errand in moved.errands {
            let place = (errand.0.partition, errand.0.offset);
            if self.horn.as_ref().is_some_and(|horn| horn.send(errand).is_ok()) {
                self.away.insert(place);
            }
        }
        for call in moved.calls {
            let id = call.operation.id.clone();
            if self.cashier.as_ref().is_some_and(|cashier| cashier.send(call).is_ok()) {
                self.asking.insert(id);
            }
        }
    }

    fn with_turn(
        &mut self,
        connection: &Connection,
        work: impl FnOnce(&Self, &mut SqlTx<'_>, &mut Turn<'_>) -> Result<Moved, Fault>,
    ) -> Result<Moved, Fault> {
        let mut jitter = self.jitter.clone();
        let city = self.city;
        let moved = with_entropy(
            |entropy| {
                let mut turn = Turn::new(&city, clock::now(), entropy, &mut jitter);
                let moved = work(self, &mut SqlTx(connection), &mut turn);
                for trouble in turn.troubles {
                    tracing::error!(trouble, "a service is in trouble");
                }
                moved.map(|moved| Moved { told: turn.told, died: turn.died, ..moved })
            },
            |error| Fault(error.to_string()),
        );
        self.jitter = jitter;
        moved
    }

    fn work(&mut self, connection: &Connection) -> Result<Moved, Fault> {
        self.with_turn(connection, |own, tx, turn| {
            if let Lease::Theirs(until) = hold(tx, "bus", &own.holder, turn.now)? {
                return Ok(Moved { next: Some(until), ..Moved::default() });
            }
            let mut moved = Moved::default();
            if !own.placed {
                own.place(tx)?;
                tx.recall_operations(turn.now)?;
            }
            // After a start anything may lie there.
            let mut fresh = own.fresh.clone();
            fresh.resize(own.services.len() + 1, u16::MAX);
            let (relayed, appended) = on_the_log(tx, turn.now, &mut moved.topics)?;
            moved.events += relayed;
            fresh.iter_mut().for_each(|bits| *bits |= appended);
            moved.backlog = Some(tx.backlog()?);
            let mut pages = Pages::default();
            for (service, bits) in own.services.iter().zip(&mut fresh) {
                moved.events += rounds(bits, |partition| {
                    let cursor = tx.cursor(service.name(), partition)?;
                    let page = pages.behind(tx, partition, cursor)?;
                    take_page(tx, service.as_ref(), partition, &page, turn)
                })?;
                let tried = due(tx, service.as_ref(), limits::TURN_EVENTS_MAX, turn)?;
                let (done, clock) = tick(tx, service.as_ref(), limits::TURN_EVENTS_MAX, turn)?;
                moved.events += tried + done;
                moved.next = [moved.next, tx.next_due(service.name())?, clock].into_iter().flatten().min();
            }
            if let (Some(_), Some(bits)) = (&own.horn, fresh.last_mut()) {
                own.call(tx, turn.now, bits, &mut moved)?;
            }
            let heard = fresh.iter().take(own.services.len() + usize::from(own.horn.is_some()));
            // What the services said goes on with the next turn.
            moved.more = heard.into_iter().any(|bits| *bits != 0) || !tx.said_in()?.is_empty();
            moved.fresh = Some(fresh);
            if own.cashier.is_some() {
                let room = limits::CALLS_MAX.saturating_sub(own.asking.len());
                moved.calls = hand_out(tx, room, &|id| own.asking.contains(id), turn)?;
                moved.events += moved.calls.len();
                // With no room left the next answer makes some.
                let next = tx.next_operation()?.filter(|_| moved.calls.len() < room);
                moved.next = [moved.next, next].into_iter().flatten().min();
            }
            if own.forget_at <= turn.now && moved.events == 0 {
                let mut names: Vec<&str> = own.services.iter().map(|service| service.name()).collect();
                names.extend(own.horn.as_ref().map(|_| ALERTS));
                let before = UnixMillis(turn.now.0.saturating_sub(limits::KEEP_MS));
                moved.forgotten = Some(tx.forget(&names, before, limits::FORGET_ROWS_MAX)?.1);
            }
            Ok(moved)
        })
    }

    /// Gives a newly named webhook its place, at the end of the log; without one nothing waits for it.
    fn place(&self, tx: &mut SqlTx<'_>) -> Result<(), Fault> {
        if self.horn.is_none() {
            return tx.retire(ALERTS);
        }
        for partition in 0..PARTITIONS {
            if tx.cursor(ALERTS, partition)? > 0 {
                return Ok(());
            }
        }
        for partition in 0..PARTITIONS {
            let head = tx.head(partition)?;
            if head > 0 {
                tx.put_cursor(ALERTS, partition, head)?;
            }
        }
        Ok(())
    }

    /// Finds the alerts to be carried out, as many as may be on their way.
    fn call(
        &self,
        tx: &mut SqlTx<'_>,
        now: UnixMillis,
        bits: &mut u16,
        moved: &mut Moved,
    ) -> Result<(), Fault> {
        let raised: Vec<_> = Subscription::to("ops.alerts.*", &["raised"]).into_iter().collect();
        moved.events +=
            rounds(bits, |partition| enlist(tx, ALERTS, &raised, partition, limits::TURN_EVENTS_MAX, now))?;
        let mut errands = errands(tx, ALERTS, now, limits::ERRANDS_MAX)?;
        errands.retain(|(wait, _)| !self.away.contains(&(wait.partition, wait.offset)));
        errands.truncate(limits::ERRANDS_MAX.saturating_sub(self.away.len()));
        moved.errands = errands;
        // What is on its way is due, but not to be looked for again before it is back.
        let next = tx.next_due(ALERTS)?.filter(|due| *due > now);
        moved.next = [moved.next, next].into_iter().flatten().min();
        Ok(())
    }
}

/// The most that a turn does of one kind.
const TURN_MAX: usize = limits::TURN_EVENTS_MAX * PARTITIONS as usize;

/// A part of the log, by offset.
type Page = Rc<Vec<(u64, Option<Message>)>>;

/// What was read of the log in one turn: the services mostly stand at the same place, and nothing is added meanwhile.
#[derive(Default)]
struct Pages(BTreeMap<(u16, u64), Page>);

impl Pages {
    fn behind(&mut self, tx: &mut SqlTx<'_>, partition: u16, cursor: u64) -> Result<Page, Fault> {
        if let Some(page) = self.0.get(&(partition, cursor)) {
            return Ok(page.clone());
        }
        let page = Rc::new(tx.log_after(partition, cursor, limits::TURN_EVENTS_MAX)?);
        self.0.insert((partition, cursor), page.clone());
        Ok(page)
    }
}

/// Moves what was said onto the log, every partition its share, round by round. Tells how much it was, and where it lies
/// now, a bit for each partition.
fn on_the_log(
    tx: &mut SqlTx<'_>,
    now: UnixMillis,
    topics: &mut BTreeMap<String, u32>,
) -> Result<(usize, u16), Fault> {
    let mut count = |message: &Message| match topics.get_mut(message.topic.as_str()) {
        Some(events) => *events += 1,
        None => drop(topics.insert(message.topic.as_str().to_owned(), 1)),
    };
    let (mut events, mut appended) = (0, 0);
    while events < TURN_MAX {
        let said = tx.said_in()?;
        if said.is_empty() {
            break;
        }
        for partition in said {
            events += relay_and(tx, partition, limits::TURN_EVENTS_MAX, now, &mut count)?;
            appended |= 1 << partition;
        }
    }
    Ok((events, appended))
}

/// Gives every partition with something in it its share, round by round, until the turn has done enough or nothing is
/// left; then its bit is cleared.
fn rounds(bits: &mut u16, mut step: impl FnMut(u16) -> Result<usize, Fault>) -> Result<usize, Fault> {
    let mut events = 0;
    while *bits != 0 && events < TURN_MAX {
        for partition in (0..PARTITIONS).filter(|partition| *bits & (1 << partition) != 0).collect::<Vec<_>>()
        {
            let moved = step(partition)?;
            events += moved;
            if moved < limits::TURN_EVENTS_MAX {
                *bits &= !(1 << partition);
            }
        }
    }
    Ok(events)
}
