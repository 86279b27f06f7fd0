//! The one thread that writes. Requests wait in a bounded queue; it takes as many as are there, gives each a savepoint of
//! its own, commits once, and only then are they answered.

use crate::bells::Bells;
use crate::cashier::{self, Word};
use crate::clock;
use crate::horn;
use crate::keys::Keys;
use crate::machinery::Machinery;
use crate::metrics::Metrics;
use crate::secret::{self, Hash, hash, new_token};
use crate::store::SqlTx;
use crate::throughput::Throughput;
use city_domain::bus::{DeadLetter, Decision, NotDecided, decide};
use city_domain::bus::{Errand, Services};
use city_domain::clones::{self, Heard};
use city_domain::{
    Answer, Answered, Authorization, Begun, Call, City, Claim, ClaimChanged, Examined, Fault, Judged, Listed,
    Noted, Owed, PaymentGateway, Principal, Request, Role, StaleEpoch, Wish, authorize, claim, enter, ingest,
    limits, note, standing,
};
use conch::event::{Device, UnixMillis};
use conch::wire::VerdictWord;
use rusqlite::{Connection, OptionalExtension, params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// What a device says about its outbox in the headers of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    /// The epoch of the context that leads.
    pub(crate) epoch: Option<u64>,
    /// What it still owes.
    pub(crate) owed: Option<Owed>,
    /// Sequences that will never come.
    pub(crate) tombstones: Vec<u64>,
}

/// One delivery of one or many events.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) request: Request,
    pub(crate) events: Vec<Examined>,
    pub(crate) outbox: Outbox,
}

/// Who wants to become whom.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) device: Device,
    pub(crate) proof: Proof,
}

/// Why it may.
#[derive(Debug)]
pub(crate) enum Proof {
    /// A one-time code, by hash.
    Code(Hash),
    /// The city runs in development and the role is taken at its word.
    Development(Role),
}

/// A device's new credential. `replaced` tells that its older tokens are void.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) principal: Principal,
    pub(crate) token: String,
    pub(crate) replaced: bool,
}

/// Why the writer did not do it. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// The queue is full.
    Full,
    /// The database failed, or the city is going down.
    Storage,
}

type Reply<T> = oneshot::Sender<Result<T, NotWritten>>;

/// What a request wants, and who waits for it.
enum Job {
    Deliver(Box<Delivery>, Reply<Result<Vec<Judged>, StaleEpoch>>),
    Enrol(Enrolment, Reply<Option<Enrolled>>),
    Decide(Box<Verdict>, Reply<Taken>),
    /// A device was heard that sends nothing; nobody waits for it.
    See(Device),
    Perform(Performance),
}

impl Job {
    /// How many events it brings.
    fn events(&self) -> usize {
        if let Self::Deliver(delivery, _) = self { delivery.events.len() } else { 1 }
    }
}

/// What came of a claim.
type Claimed = Result<Answered, ClaimChanged>;
/// A piece of work with its own answer: done in the group's transaction, answered once that is known to be durable.
type Performance = Box<dyn FnOnce(&Connection, &City) -> Ending + Send>;
/// Answers; told whether the transaction was committed.
type Ending = Box<dyn FnOnce(bool)>;
/// A source of random bytes for ids.
pub(crate) type Entropy<'a> = &'a mut dyn FnMut() -> [u8; 10];

/// A person's decision about a dead letter.
struct Verdict {
    number: u64,
    decision: Decision,
    by: String,
    reason: String,
}

/// What came of it.
type Taken = Result<DeadLetter, NotDecided>;

/// What reaches the thread.
enum Work {
    Job(Job),
    /// An alert was carried out of the city, or not.
    Carried(Box<Errand>, bool),
    /// The acquirer answered, or did not; somebody may wait for what follows.
    Answered(Box<(Call, Answer)>, Option<oneshot::Sender<()>>),
    /// The acquirer's list goes on; the reader waits to hear how far it was taken.
    Listed(Listed, std::sync::mpsc::Sender<u64>),
}

/// What lies outside of the city.
pub(crate) struct Outside {
    /// Where alerts go, if anywhere.
    pub(crate) webhook: Option<String>,
    /// Who moves money, if anybody.
    pub(crate) acquirer: Option<Acquirer>,
}

/// Who moves money.
pub(crate) struct Acquirer {
    pub(crate) gateway: Arc<dyn PaymentGateway>,
    /// How far its list was read.
    pub(crate) settled_up_to: u64,
    /// How often it is read.
    pub(crate) settle_every: Duration,
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Work>,
    /// Events the bus has not taken up.
    lag: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread. It ends, with everything committed and checkpointed, when the last `Writer` is dropped.
    pub(crate) fn start(
        connection: Connection,
        city: City,
        services: Services,
        outside: Outside,
        (bells, keys): (Arc<Bells>, Arc<Keys>),
        counters: (Arc<Metrics>, Arc<Throughput>),
        queue: usize,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(queue);
        let horn = match outside.webhook {
            None => None,
            Some(address) => {
                // Weak, so that the horn does not keep the writer from its end.
                let queue = queue.downgrade();
                Some(horn::start(address, move |errand, taken| {
                    if let Some(queue) = queue.upgrade() {
                        // When the writer is gone, the next start carries the alert out once more.
                        let _ = queue.blocking_send(Work::Carried(Box::new(errand), taken));
                    }
                })?)
            }
        };
        let cashier = match outside.acquirer {
            None => None,
            Some(Acquirer { gateway, settled_up_to, settle_every }) => {
                let queue = queue.downgrade();
                let tell = move |word| {
                    let work = match word {
                        Word::Answered(word) => Work::Answered(word, None),
                        Word::Listed(listed, taken) => Work::Listed(listed, taken),
                    };
                    // When the writer is gone, the next start asks once more.
                    queue.upgrade().is_some_and(|queue| queue.blocking_send(work).is_ok())
                };
                Some(cashier::start(gateway, settled_up_to, settle_every, tell)?)
            }
        };
        let machinery = Machinery::new(city, services, horn, cashier, counters)?;
        let lag = machinery.lag();
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&connection, city, machinery, (&bells, &keys), jobs, &timer))?;
        Ok((Self { queue, lag }, thread))
    }

    /// Requests that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Whether one more would be turned away.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.capacity() == 0
    }

    /// Has a delivery judged; the answer comes after the commit.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery,
    ) -> Result<Result<Vec<Judged>, StaleEpoch>, NotWritten> {
        // What comes in faster than it can be handled is asked to come later.
        if self.lag.load(Ordering::Relaxed) > limits::OUTGOING_MAX {
            return Err(NotWritten::Full);
        }
        self.put(|reply| Job::Deliver(Box::new(delivery), reply)).await
    }

    /// Gives a device a token; `None` when the code does not allow it.
    pub(crate) async fn enrol(&self, enrolment: Enrolment) -> Result<Option<Enrolled>, NotWritten> {
        self.put(|reply| Job::Enrol(enrolment, reply)).await
    }

    /// Has a gate's question decided; the answer comes after the commit.
    pub(crate) async fn claim(&self, asked: Claim) -> Result<Claimed, NotWritten> {
        self.perform(move |tx, city, entropy| {
            let request = &asked.request;
            see(tx.0, &request.principal.device, request.received)
                .map_err(|error| Fault(error.to_string()))?;
            claim(tx, city, &asked, entropy)
        })
        .await
    }

    /// Notes that a device was heard. When the queue is full, the next time does as well.
    pub(crate) fn see(&self, device: Device) {
        let _ = self.queue.try_send(Work::Job(Job::See(device)));
    }

    /// Takes a decision about a dead letter, with who takes it and why.
    pub(crate) async fn decide(
        &self,
        number: u64,
        decision: Decision,
        (by, reason): (String, String),
    ) -> Result<Taken, NotWritten> {
        let verdict = Box::new(Verdict { number, decision, by, reason });
        self.put(|reply| Job::Decide(verdict, reply)).await
    }

    /// Begins an authorization, or finds the one that was begun under its key.
    pub(crate) async fn authorize(&self, wish: Wish) -> Result<Begun, NotWritten> {
        self.perform(move |tx, _, entropy| authorize(tx, &wish, clock::now(), entropy())).await
    }

    /// How an authorization stands after the acquirer was asked.
    pub(crate) async fn standing(&self, wish: Wish) -> Result<Option<Authorization>, NotWritten> {
        self.perform(move |tx, _, _| standing(tx, &wish, clock::now())).await
    }

    /// Takes the acquirer's answer, and returns when that is over. What could not be written is asked for again by
    /// itself.
    pub(crate) async fn answered(&self, call: Call, answer: Answer) {
        let (reply, over) = oneshot::channel();
        // It waits for its place: an answer about money is not turned away.
        if self.queue.send(Work::Answered(Box::new((call, answer)), Some(reply))).await.is_ok() {
            let _ = over.await;
        }
    }

    /// Has a piece of work done in a transaction; the answer comes after the commit.
    pub(crate) async fn perform<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqlTx<'_>, &City, Entropy<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, NotWritten> {
        if self.lag.load(Ordering::Relaxed) > limits::OUTGOING_MAX {
            return Err(NotWritten::Full);
        }
        self.put(|reply: Reply<T>| {
            Job::Perform(Box::new(move |connection, city| {
                let done = savepoint(connection, || {
                    with_entropy(|entropy| Ok(work(&mut SqlTx(connection), city, entropy)?))
                });
                Box::new(move |committed| match done {
                    Ok(value) if committed => drop(reply.send(Ok(value))),
                    Ok(_) => drop(reply.send(Err(NotWritten::Storage))),
                    Err(problem) => fail(&problem, reply),
                })
            }))
        })
        .await
    }

    async fn put<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, NotWritten> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Work::Job(job(reply))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotWritten::Full,
            mpsc::error::TrySendError::Closed(_) => NotWritten::Storage,
        })?;
        answer.await.unwrap_or(Err(NotWritten::Storage))
    }
}

fn run(
    connection: &Connection,
    city: City,
    mut machinery: Machinery,
    (bells, keys): (&Bells, &Keys),
    mut jobs: mpsc::Receiver<Work>,
    timer: &Runtime,
) {
    let mut company = Company::default();
    loop {
        // The first poll of a timeout asks the queue before the clock: with no time to wait it takes what is there.
        let waited = timer.block_on(async { tokio::time::timeout(machinery.rest(), jobs.recv()).await });
        let first = match waited {
            Ok(None) => break,
            Ok(Some(first)) => Some(first),
            Err(_) => None,
        };
        match keys.refresh(connection) {
            // A person may have decided something from the command line.
            Ok(written) if written => bells.ring_boards(),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "it was not looked whether tokens are void"),
        }
        let Some(first) = first else {
            machinery.turn(connection, bells);
            continue;
        };
        let (group, news) = gather(first, &mut jobs, &company, timer);
        if !group.is_empty() {
            let (size, began) = (group.len(), Instant::now());
            write_group(connection, &city, &mut machinery, (bells, keys), group);
            company.came(size, began.elapsed());
        }
        for work in news {
            hear(connection, &mut machinery, bells, work);
            machinery.wake();
        }
    }
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the log file was not folded into the database; the next start does it");
    }
}

/// Takes the requests that wait, up to what one commit may carry, and what came from outside among them.
fn gather(
    first: Work,
    jobs: &mut mpsc::Receiver<Work>,
    company: &Company,
    timer: &Runtime,
) -> (Vec<Job>, Vec<Work>) {
    let (mut group, mut news, mut events) = (Vec::new(), Vec::new(), 0);
    let (mut next, began) = (Some(first), Instant::now());
    while let Some(work) = next {
        match work {
            Work::Job(job) => {
                events += job.events();
                group.push(job);
            }
            other => news.push(other),
        }
        if group.len() >= limits::GROUP_REQUESTS_MAX || events >= limits::GROUP_EVENTS_MAX {
            break;
        }
        next = jobs.try_recv().ok();
        let patience = company.patience(group.len()).saturating_sub(began.elapsed());
        if next.is_none() && !patience.is_zero() {
            let waited = timer.block_on(async { tokio::time::timeout(patience, jobs.recv()).await });
            next = waited.ok().flatten();
        }
    }
    (group, news)
}

/// How many requests come together. They are answered together, so most of them come back together: a short wait for the
/// late ones spares the others a second flush. PostgreSQL knows it as `commit_delay`.
#[derive(Debug, Default)]
struct Company {
    usual: usize,
    half: Duration,
}

impl Company {
    /// How long a group of this size waits for others: half of what a group takes, and not at all when the usual number
    /// is there, as with a single request at a time.
    fn patience(&self, here: usize) -> Duration {
        if here < self.usual {
            self.half.min(Duration::from_millis(limits::GATHER_MAX_MS))
        } else {
            Duration::ZERO
        }
    }

    /// Whoever stays away is soon not waited for.
    fn came(&mut self, size: usize, took: Duration) {
        self.usual = size.max(self.usual - self.usual.div_ceil(8));
        self.half = took / 2;
    }
}

/// Takes what came from outside, in a transaction of its own.
fn hear(connection: &Connection, machinery: &mut Machinery, bells: &Bells, work: Work) {
    match work {
        Work::Carried(errand, taken) => machinery.carried(connection, bells, &errand, taken),
        Work::Answered(word, reply) => {
            machinery.answered(connection, bells, &word.0, &word.1);
            // Whoever asked may have gone away; that is its own affair.
            let _ = reply.map(|reply| reply.send(()));
        }
        Work::Listed(listed, taken) => {
            if let Some(up_to) = machinery.settled(connection, bells, &listed) {
                let _ = taken.send(up_to);
            }
        }
        Work::Job(_) => {}
    }
}

/// An answer that waits for the commit.
enum Done {
    Delivered(Result<Vec<Judged>, StaleEpoch>, Device, Reply<Result<Vec<Judged>, StaleEpoch>>),
    Enrolled(Option<Enrolled>, Reply<Option<Enrolled>>),
    Decided(Box<Taken>, Reply<Taken>),
    Performed(Ending),
}

fn write_group(
    connection: &Connection,
    city: &City,
    machinery: &mut Machinery,
    hearers: (&Bells, &Keys),
    group: Vec<Job>,
) {
    let mut begun = connection.execute_batch("BEGIN IMMEDIATE");
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        // A failure such as a full disk ends the whole transaction; what follows must not run outside of it.
        if begun.is_ok() && connection.is_autocommit() {
            begun = Err(rusqlite::Error::InvalidQuery);
        }
        match (job, &begun) {
            (Job::Deliver(_, reply), Err(_)) => drop(reply.send(Err(NotWritten::Storage))),
            (Job::Enrol(_, reply), Err(_)) => drop(reply.send(Err(NotWritten::Storage))),
            (Job::Decide(_, reply), Err(_)) => drop(reply.send(Err(NotWritten::Storage))),
            (Job::See(_), Err(_)) => {}
            (Job::See(device), Ok(())) => {
                if let Err(problem) = savepoint(connection, || Ok(see(connection, &device, clock::now())?)) {
                    tracing::error!(%problem, %device, "a visit was not noted");
                }
            }
            // Whoever waits hears that its way ended.
            (Job::Perform(performance), Err(_)) => drop(performance),
            (Job::Perform(performance), Ok(())) => {
                done.push(Done::Performed(performance(connection, city)));
            }
            (Job::Decide(verdict, reply), Ok(())) => {
                let Verdict { number, decision, by, reason } = *verdict;
                let mut tx = SqlTx(connection);
                let taken = savepoint(connection, || {
                    Ok(decide(&mut tx, number, &decision, (&by, &reason), clock::now())?)
                });
                match taken {
                    Ok(taken) => done.push(Done::Decided(Box::new(taken), reply)),
                    Err(error) => fail(&error, reply),
                }
            }
            (Job::Deliver(delivery, reply), Ok(())) => match deliver(connection, city, &delivery) {
                Ok(judged) => done.push(Done::Delivered(judged, delivery.request.principal.device, reply)),
                Err(error) => fail(&error, reply),
            },
            (Job::Enrol(enrolment, reply), Ok(())) => {
                match savepoint(connection, || enrol(connection, city, &enrolment)) {
                    Ok(enrolled) => done.push(Done::Enrolled(enrolled, reply)),
                    Err(error) => fail(&error, reply),
                }
            }
        }
    }
    let moved = begun.is_ok().then(|| machinery.turn_within(connection)).flatten();
    let committed = begun.and_then(|()| connection.execute_batch("COMMIT"));
    if let Err(error) = &committed {
        tracing::error!(%error, "the database took nothing of this group");
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            tracing::error!("the failed transaction could not be rolled back");
        }
    }
    for answer in done {
        answer_after_commit(answer, committed.is_ok(), hearers);
    }
    if committed.is_ok() {
        hearers.0.ring_boards();
    }
    match moved {
        Some(moved) if committed.is_ok() => machinery.ended(moved, hearers.0),
        // What was said waits for a turn of its own.
        _ => machinery.wake(),
    }
}

fn fail<T>(problem: &Problem, reply: Reply<T>) {
    tracing::error!(%problem, "a request was not written");
    drop(reply.send(Err(NotWritten::Storage)));
}

/// Whoever asked may have gone away; that is its own affair.
fn answer_after_commit(done: Done, committed: bool, (bells, keys): (&Bells, &Keys)) {
    match done {
        Done::Delivered(_, _, reply) if !committed => drop(reply.send(Err(NotWritten::Storage))),
        Done::Enrolled(_, reply) if !committed => drop(reply.send(Err(NotWritten::Storage))),
        Done::Decided(_, reply) if !committed => drop(reply.send(Err(NotWritten::Storage))),
        Done::Decided(taken, reply) => drop(reply.send(Ok(*taken))),
        Done::Performed(ending) => ending(committed),
        Done::Delivered(judged, device, reply) => {
            if judged.as_ref().is_ok_and(|judged| judged.iter().any(|event| event.told)) {
                bells.ring(&device);
            }
            judged.iter().flatten().flat_map(|event| &event.others).for_each(|other| bells.ring(other));
            drop(reply.send(Ok(judged)));
        }
        Done::Enrolled(enrolled, reply) => {
            if let Some(enrolled) = &enrolled {
                keys.add(hash(&enrolled.token), enrolled.principal.clone(), enrolled.replaced);
            }
            drop(reply.send(Ok(enrolled)));
        }
    }
}

/// What went wrong inside one savepoint.
#[derive(Debug)]
enum Problem {
    Sql(rusqlite::Error),
    Fault(Fault),
    Random(std::io::Error),
    Panicked,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(error) => write!(f, "{error}"),
            Self::Fault(fault) => f.write_str(&fault.0),
            Self::Random(error) => write!(f, "{error}"),
            Self::Panicked => f.write_str("a decision panicked"),
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Runs a piece of work that leaves nothing behind when it fails, and does not take its neighbours along.
fn savepoint<T>(connection: &Connection, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    connection.prepare_cached("SAVEPOINT piece")?.execute([])?;
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Problem::Panicked));
    if result.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK TO piece")?.execute([])?;
    }
    if !connection.is_autocommit() {
        connection.prepare_cached("RELEASE piece")?.execute([])?;
    }
    result
}

fn deliver(
    connection: &Connection,
    city: &City,
    delivery: &Delivery,
) -> Result<Result<Vec<Judged>, StaleEpoch>, Problem> {
    let Delivery { request, events, outbox } = delivery;
    let device = &request.principal.device;
    let incarnation = events.iter().find_map(Examined::incarnation);
    if let Some(incarnation) = incarnation {
        look_for_clones(connection, city, delivery, incarnation);
    }
    if let (Some(epoch), Some(incarnation)) = (outbox.epoch, incarnation) {
        let entered =
            savepoint(connection, || Ok(enter(&mut SqlTx(connection), device, incarnation, epoch)?))?;
        if let Err(stale) = entered {
            return Ok(Err(stale));
        }
    }
    let judged = judge_all(connection, city, request, events)?;
    let mut here = outbox.tombstones.clone();
    // What is to come again is not here.
    let arrived = events.iter().zip(&judged).filter(|(_, judged)| judged.verdict.word != VerdictWord::Retry);
    here.extend(arrived.filter_map(|(event, _)| event.sequence()).map(|sequence| sequence.0));
    if let (Some(owed), Some(incarnation)) = (outbox.owed, incarnation) {
        take_note(connection, city, request, incarnation, &here, owed);
    }
    see(connection, device, request.received)?;
    Ok(Ok(judged))
}

/// All of a request together, for that spares SQLite a copy of each page for each event. When one cannot be judged, nothing
/// of this is left, and each has a savepoint of its own: then it does not take its neighbours along.
fn judge_all(
    connection: &Connection,
    city: &City,
    request: &Request,
    events: &[Examined],
) -> Result<Vec<Judged>, Problem> {
    let one = |event| judge(connection, city, request, event);
    match savepoint(connection, || events.iter().map(one).collect()) {
        Ok(judged) => return Ok(judged),
        Err(problem) if connection.is_autocommit() => return Err(problem),
        Err(problem) => tracing::warn!(%problem, "the events of a request are judged one by one"),
    }
    let mut judged = Vec::with_capacity(events.len());
    for event in events {
        match savepoint(connection, || one(event)) {
            Ok(verdict) => judged.push(verdict),
            Err(problem) if connection.is_autocommit() => return Err(problem),
            Err(problem) => {
                let device = &request.principal.device;
                tracing::error!(%problem, %device, "an event could not be judged; it is to come again");
                judged.push(Judged::postponed(event.id(), limits::FAULT_RETRY_MS, request.window_ms));
            }
        }
    }
    Ok(judged)
}

fn judge(
    connection: &Connection,
    city: &City,
    request: &Request,
    event: &Examined,
) -> Result<Judged, Problem> {
    with_entropy(|entropy| Ok(ingest(&mut SqlTx(connection), city, request, event, entropy)?))
}

/// Does work that draws random bytes; when the source runs dry, it fails as a whole.
fn with_entropy<T>(work: impl FnOnce(Entropy<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    secret::with_entropy(work, Problem::Random)
}

/// The alarm is about the events, not part of them: if it cannot be noted, the events count all the same.
fn take_note(
    connection: &Connection,
    city: &City,
    request: &Request,
    incarnation: &str,
    here: &[u64],
    owed: Owed,
) {
    let device = &request.principal.device;
    let noted = savepoint(connection, || {
        let noted = Noted { device, incarnation, here, owed, now: request.received };
        with_entropy(|entropy| Ok(note(&mut SqlTx(connection), city, &noted, entropy)?))
    });
    match noted {
        Ok(0) => {}
        Ok(missing) => tracing::warn!(%device, missing, below = owed.lowest, "events never arrived"),
        Err(problem) => tracing::error!(%problem, %device, "arrivals were not noted"),
    }
}

/// Before anything is judged: a context that is turned away for its epoch is heard too.
fn look_for_clones(connection: &Connection, city: &City, delivery: &Delivery, incarnation: &str) {
    let Delivery { request, events, outbox } = delivery;
    let device = &request.principal.device;
    let events: Vec<_> =
        events.iter().filter_map(|event| event.sequence().map(|sequence| (sequence.0, event.id()))).collect();
    let heard = Heard {
        device,
        incarnation,
        epoch: outbox.epoch,
        owed: outbox.owed,
        events: &events,
        now: request.received,
    };
    let found = savepoint(connection, || {
        with_entropy(|entropy| Ok(clones::watch(&mut SqlTx(connection), city, &heard, entropy)?))
    });
    match found {
        Ok(None) => {}
        Ok(Some(why)) => {
            tracing::warn!(%device, why = why.as_str(), "another device bears this name: see `city devices show`");
        }
        Err(problem) => tracing::error!(%problem, %device, "it was not looked whether the device is one"),
    }
}

/// Coarse on purpose: one write a minute keeps the pace right after a restart.
fn see(connection: &Connection, device: &Device, now: UnixMillis) -> rusqlite::Result<()> {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    connection
        .prepare_cached("UPDATE devices SET seen_at = ?2 WHERE device = ?1 AND seen_at < ?2 - ?3")?
        .execute(params![device.as_str(), now, limits::SEEN_STEP_MS])?;
    Ok(())
}

fn enrol(connection: &Connection, city: &City, enrolment: &Enrolment) -> Result<Option<Enrolled>, Problem> {
    let now = i64::try_from(clock::now().0).unwrap_or(i64::MAX);
    let device = &enrolment.device;
    let (role, replaced) = match &enrolment.proof {
        Proof::Development(role) => (*role, false),
        Proof::Code(code) => {
            let role: Option<String> = connection
                .prepare_cached(
                    "UPDATE codes SET used_at = ?3 WHERE hash = ?1 AND device = ?2 AND used_at IS NULL AND expires_at > ?3 RETURNING role",
                )?
                .query_row(params![code, device.as_str(), now], |row| row.get(0))
                .optional()?;
            let Some(role) = role.as_deref().and_then(Role::parse) else { return Ok(None) };
            connection.execute("DELETE FROM tokens WHERE device = ?1", [device.as_str()])?;
            let mut tx = SqlTx(connection);
            with_entropy(|entropy| Ok(clones::forget(&mut tx, city, device, clock::now(), entropy)?))?;
            (role, true)
        }
    };
    // What it served in another role may be none of its business now.
    connection.execute(
        "DELETE FROM agents WHERE device = ?1 AND EXISTS (SELECT 1 FROM devices WHERE device = ?1 AND role <> ?2)",
        [device.as_str(), role.as_str()],
    )?;
    let token = new_token().map_err(Problem::Random)?;
    connection.execute(
        "INSERT INTO devices (device, role, enrolled_at, seen_at) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (device) DO UPDATE SET role = ?2, enrolled_at = ?3",
        params![device.as_str(), role.as_str(), now],
    )?;
    connection.execute(
        "INSERT INTO tokens (hash, device, made_at) VALUES (?1, ?2, ?3)",
        params![hash(&token), device.as_str(), now],
    )?;
    Ok(Some(Enrolled { principal: Principal { device: device.clone(), role }, token, replaced }))
}

/// Makes a one-time code; called by the command line beside a running city.
pub(crate) fn make_code(
    connection: &Connection,
    device: &Device,
    role: Role,
    code: &Hash,
    expires: UnixMillis,
) -> rusqlite::Result<()> {
    let now = i64::try_from(clock::now().0).unwrap_or(i64::MAX);
    connection.execute("DELETE FROM codes WHERE expires_at <= ?1", [now])?;
    connection.execute(
        "INSERT INTO codes (hash, device, role, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![code, device.as_str(), role.as_str(), i64::try_from(expires.0).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}
