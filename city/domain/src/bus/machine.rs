//! A turn of the bus: what was said goes onto the log, and from there to the services and out of the city.
//!
//! A turn is of bounded size. What it did is a [`Moved`]; once that is durable, the machine is told
//! ([`Machine::ended`]), and when it was lost, it is not: then the next turn does it all again.

use super::{
    BusTx, Consumer, Lease, Message, PARTITIONS, Subscription, Turn, Wait, due, enlist, errands, hold,
    relay_and, take_page, tick,
};
use crate::books::Books;
use crate::gateway::{Call, hand_out};
use crate::limits;
use crate::tx::Fault;
use conch::event::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The consumer that carries alerts out of the city.
pub const ALERTS: &str = "alerts-webhook";

/// The services that hear what others say.
pub type Services = Vec<Box<dyn Consumer + Send>>;

/// An alert on its way out of the city, and where it waits.
pub type Errand = (Wait, Message);

/// Who is there besides the services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Somebody carries alerts out.
    pub horn: bool,
    /// Somebody asks the acquirer.
    pub cashier: bool,
}

/// The bus and whom it serves, in one life of the city.
pub struct Machine {
    services: Services,
    outside: Outside,
    /// Holds the lease. The lock on the data directory lets only one city run, so its id is enough, and a city that was
    /// killed goes on at once.
    holder: String,
    /// Whether a newly named webhook was given its place: it hears what is raised from then on, not the past.
    placed: bool,
    /// By consumer, the services' and then the webhook's: a bit for each partition in which there may be something to
    /// take up. Only the relay adds to the log, so nobody need look elsewhere.
    fresh: Vec<u16>,
    /// Alerts on their way, by their places.
    away: BTreeSet<(u16, u64)>,
    /// What the acquirer is being asked, by its id.
    asking: BTreeSet<String>,
    /// When old rows are forgotten next.
    forget_at: UnixMillis,
}

/// What a turn did.
#[derive(Debug, Default)]
pub struct Moved {
    /// Events that went on, and calls.
    pub events: usize,
    /// When there is work next, as far as is known.
    pub next: Option<UnixMillis>,
    /// Alerts to be carried out of the city.
    pub errands: Vec<Errand>,
    /// What the acquirer is to be asked.
    pub calls: Vec<Call>,
    /// What went onto the log, by topic.
    pub topics: BTreeMap<String, u32>,
    /// There is more to do at once.
    pub more: bool,
    /// What was said and is not on the log, if that was looked at.
    pub backlog: Option<u64>,
    /// What is to be taken up, as it is afterwards.
    fresh: Option<Vec<u16>>,
    /// Whether there may be more old rows, if it was time to forget some.
    forgotten: Option<bool>,
}

impl Moved {
    /// What came from outside was taken.
    pub fn one() -> Self {
        Self { events: 1, ..Self::default() }
    }

    fn comes(&mut self, at: Option<UnixMillis>) {
        self.next = [self.next, at].into_iter().flatten().min();
    }
}

impl Machine {
    /// Whatever an earlier life left is work.
    pub fn new(services: Services, outside: Outside, holder: String, now: UnixMillis) -> Self {
        Self {
            services,
            outside,
            holder,
            placed: false,
            fresh: Vec::new(),
            away: BTreeSet::new(),
            asking: BTreeSet::new(),
            forget_at: now,
        }
    }

    /// Those who hear.
    pub fn services(&self) -> &[Box<dyn Consumer + Send>] {
        &self.services
    }

    /// One turn.
    pub fn turn<T: BusTx + Books>(&self, tx: &mut T, turn: &mut Turn<'_>) -> Result<Moved, Fault> {
        let mut moved = Moved::default();
        if let Lease::Theirs(until) = hold(tx, "bus", &self.holder, turn.now)? {
            moved.next = Some(until);
            return Ok(moved);
        }
        if !self.placed {
            self.place(tx)?;
            tx.recall_operations(turn.now)?;
        }
        // After a start anything may lie there.
        let mut fresh = self.fresh.clone();
        fresh.resize(self.services.len() + 1, u16::MAX);
        let (relayed, appended) = on_the_log(tx, turn.now, &mut moved.topics)?;
        moved.events += relayed;
        fresh.iter_mut().for_each(|bits| *bits |= appended);
        moved.backlog = Some(tx.backlog()?);
        let mut pages = Pages::default();
        for (service, bits) in self.services.iter().zip(&mut fresh) {
            moved.events += rounds(bits, |partition| {
                let cursor = tx.cursor(service.name(), partition)?;
                let page = pages.behind(tx, partition, cursor)?;
                take_page(tx, service.as_ref(), partition, &page, turn)
            })?;
            let tried = due(tx, service.as_ref(), limits::TURN_EVENTS_MAX, turn)?;
            let (done, clock) = tick(tx, service.as_ref(), limits::TURN_EVENTS_MAX, turn)?;
            moved.events += tried + done;
            moved.comes(tx.next_due(service.name())?);
            moved.comes(clock);
        }
        if let (true, Some(bits)) = (self.outside.horn, fresh.last_mut()) {
            self.call(tx, turn.now, bits, &mut moved)?;
        }
        let heard = fresh.iter().take(self.services.len() + usize::from(self.outside.horn));
        // What the services said goes on with the next turn.
        moved.more = heard.into_iter().any(|bits| *bits != 0) || !tx.said_in()?.is_empty();
        moved.fresh = Some(fresh);
        if self.outside.cashier {
            self.ask(tx, turn, &mut moved)?;
        }
        if self.forget_at <= turn.now && moved.events == 0 {
            let mut names: Vec<&str> = self.services.iter().map(|service| service.name()).collect();
            names.extend(self.outside.horn.then_some(ALERTS));
            let before = UnixMillis(turn.now.0.saturating_sub(limits::KEEP_MS));
            moved.forgotten = Some(tx.forget(&names, before, limits::FORGET_ROWS_MAX)?.1);
        }
        Ok(moved)
    }

    /// What a turn did is durable. What is to be carried out and asked is on its way from now on, unless it is told
    /// otherwise ([`Self::carried`], [`Self::answered`]).
    pub fn ended(&mut self, moved: &Moved, now: UnixMillis) {
        if let Some(fresh) = &moved.fresh {
            self.placed = true;
            self.fresh.clone_from(fresh);
        }
        if let Some(more) = moved.forgotten {
            self.forget_at = UnixMillis(now.0 + if more { 0 } else { limits::FORGET_EVERY_MS });
        }
        self.away.extend(moved.errands.iter().map(|(wait, _)| (wait.partition, wait.offset)));
        self.asking.extend(moved.calls.iter().map(|call| call.operation.id.clone()));
    }

    /// An alert is not on its way any more.
    pub fn carried(&mut self, (wait, _): &Errand) {
        self.away.remove(&(wait.partition, wait.offset));
    }

    /// The acquirer is not being asked this any more.
    pub fn answered(&mut self, call: &Call) {
        self.asking.remove(&call.operation.id);
    }

    /// Gives a newly named webhook its place, at the end of the log; without one nothing waits for it.
    fn place<T: BusTx>(&self, tx: &mut T) -> Result<(), Fault> {
        if !self.outside.horn {
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
    fn call<T: BusTx>(
        &self,
        tx: &mut T,
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
        moved.comes(tx.next_due(ALERTS)?.filter(|due| *due > now));
        Ok(())
    }

    /// Finds what the acquirer is to be asked, as much as may be asked at once.
    fn ask<T: BusTx + Books>(&self, tx: &mut T, turn: &mut Turn<'_>, moved: &mut Moved) -> Result<(), Fault> {
        let room = limits::CALLS_MAX.saturating_sub(self.asking.len());
        moved.calls = hand_out(tx, room, &|id| self.asking.contains(id), turn)?;
        moved.events += moved.calls.len();
        // With no room left the next answer makes some.
        moved.comes(tx.next_operation()?.filter(|_| moved.calls.len() < room));
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
    fn behind<T: BusTx>(&mut self, tx: &mut T, partition: u16, cursor: u64) -> Result<Page, Fault> {
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
fn on_the_log<T: BusTx>(
    tx: &mut T,
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
