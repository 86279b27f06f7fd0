//! From the log to the consumers' handlers.

use super::dead::bury;
use super::{BusTx, Failure, Message, Next, Problem, Subscription, Wait, after_failure, heard};
use crate::ingest::City;
use crate::limits::RETRY_CAP_MS;
use crate::outcome::Said;
use crate::tx::{Fault, Tx};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Key, Topic, UnixMillis};
use conch::pace::Jitter;
use conch::wire::cloudevents::Envelope;
use std::borrow::Cow;

/// What holds for one turn of work.
pub struct Turn<'a> {
    /// The city that works.
    pub city: &'a City,
    /// Now, by the city's clock.
    pub now: UnixMillis,
    /// For ids.
    pub entropy: &'a mut dyn FnMut() -> [u8; 10],
    /// For waits.
    pub jitter: &'a mut Jitter,
    /// Devices whose feeds grew; a handler that tells one of them notes it here.
    pub told: Vec<Device>,
    /// Dead letters of this turn.
    pub died: usize,
    /// What a person should read in the log.
    pub troubles: Vec<String>,
}

impl<'a> Turn<'a> {
    /// A turn that has done nothing yet.
    pub fn new(
        city: &'a City,
        now: UnixMillis,
        entropy: &'a mut dyn FnMut() -> [u8; 10],
        jitter: &'a mut Jitter,
    ) -> Self {
        Self { city, now, entropy, jitter, told: Vec::new(), died: 0, troubles: Vec::new() }
    }

    /// Says an event of the city's own on the bus, and to a device on its feed. `cause` is what it follows from.
    pub(crate) fn say<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        (topic, kind, key): (&str, &str, &Key),
        cause: Option<&Envelope>,
        device: Option<&Device>,
        data: Json,
    ) -> Result<(), Failure> {
        let (Ok(topic), Ok(kind)) = (Topic::parse(topic), EventType::parse(kind)) else {
            return Err(Failure::never("no-type", format!("{topic}.{kind} is no type")));
        };
        let id = EventId::mint(self.now, (self.entropy)());
        let said = Said { city: self.city, topic: &topic, kind: &kind, key, id, now: self.now };
        // What would break its contract is this service's mistake, and no failure of the storage's.
        said.check(&data).map_err(|fault| Failure::never("breaks-contract", fault.0))?;
        said.say(tx, cause, device, data)?;
        self.told.extend(device.cloned());
        Ok(())
    }

    /// Tells one device something that may be forgotten after a time, and nobody else.
    pub(crate) fn pass_on<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        (topic, kind, key): (&str, &str, &Key),
        (device, until): (&Device, UnixMillis),
        data: Json,
    ) -> Result<(), Failure> {
        let (Ok(topic), Ok(kind)) = (Topic::parse(topic), EventType::parse(kind)) else {
            return Err(Failure::never("no-type", format!("{topic}.{kind} is no type")));
        };
        let id = EventId::mint(self.now, (self.entropy)());
        let said = Said { city: self.city, topic: &topic, kind: &kind, key, id, now: self.now };
        said.tell_only(tx, None, (device, Some(until)), data)?;
        self.told.push(device.clone());
        Ok(())
    }
}

/// What came of a look at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Something was done; there may be more.
    Did,
    /// Nothing is due before that time, if ever.
    Rests(Option<UnixMillis>),
}

/// A service that hears what others say.
pub trait Consumer {
    /// Its name: its cursor and inbox lie under it, so it must never change.
    fn name(&self) -> &'static str;
    /// What it wants to hear.
    fn subscriptions(&self) -> Vec<Subscription>;
    /// Does what follows from the event. Whatever it wrote is taken back when it fails.
    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure>;
    /// Does what time alone makes due, one thing at most. Tells whether it did, and else when there will be something.
    fn tick(&self, _tx: &mut dyn Tx, _turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        Ok(Tick::Rests(None))
    }
}

/// Takes up to `limit` events from the log and tells how far it moved. Each wanted one is handled, or waits: because its
/// handler failed, or because an earlier one of its key waits.
pub fn take_up<T: BusTx>(
    tx: &mut T,
    consumer: &dyn Consumer,
    partition: u16,
    limit: usize,
    turn: &mut Turn<'_>,
) -> Result<usize, Fault> {
    let cursor = tx.cursor(consumer.name(), partition)?;
    let found = tx.log_after(partition, cursor, limit)?;
    take_page(tx, consumer, partition, &found, turn)
}

/// The same with what lies behind the consumer's cursor, read by the caller: one look may serve several consumers.
pub fn take_page<T: BusTx>(
    tx: &mut T,
    consumer: &dyn Consumer,
    partition: u16,
    found: &[(u64, Option<Message>)],
    turn: &mut Turn<'_>,
) -> Result<usize, Fault> {
    let Some((last, _)) = found.last() else { return Ok(0) };
    let subscriptions = consumer.subscriptions();
    for (offset, message) in found {
        let Some(message) = message else {
            turn.troubles.push(format!("event {partition}/{offset} cannot be read and is passed over"));
            continue;
        };
        let Some(message) = heard(&subscriptions, message) else { continue };
        let message = message.as_ref();
        // The log may be read again from an earlier place.
        if tx.wait(consumer.name(), partition, *offset)?.is_some() {
            continue;
        }
        let mut wait = Wait::behind(consumer.name(), (partition, *offset), message.key.clone());
        if tx.first_wait(consumer.name(), &message.key)?.is_some() {
            tx.put_wait(&wait)?;
        } else if let Some((hopeless, problem)) = attempt(tx, consumer, message, turn)? {
            failed(tx, consumer.name(), &mut wait, message, (hopeless, problem), turn)?;
        }
    }
    tx.put_cursor(consumer.name(), partition, *last)?;
    Ok(found.len())
}

/// Tries up to `limit` waiting events again whose time has come, and tells how many.
pub fn due<T: BusTx>(
    tx: &mut T,
    consumer: &dyn Consumer,
    limit: usize,
    turn: &mut Turn<'_>,
) -> Result<usize, Fault> {
    let waits = tx.due_waits(consumer.name(), turn.now, limit)?;
    let tried = waits.len();
    let subscriptions = consumer.subscriptions();
    for mut wait in waits {
        // Of a key only the first goes; it lets the next one go.
        let first = tx.first_wait(consumer.name(), &wait.key)?;
        if first.is_some_and(|first| (first.partition, first.offset) != (wait.partition, wait.offset)) {
            tx.put_wait(&Wait { due: None, ..wait })?;
            continue;
        }
        let Some(message) = written(tx, &wait)? else {
            let place = format!("event {}/{}", wait.partition, wait.offset);
            turn.troubles.push(format!("{place} cannot be read any more and is passed over"));
            done(tx, consumer.name(), &wait, turn.now)?;
            continue;
        };
        let own = heard(&subscriptions, &message).map(Cow::into_owned);
        match own {
            Some(own) => match attempt(tx, consumer, &own, turn)? {
                None => done(tx, consumer.name(), &wait, turn.now)?,
                Some(failure) => failed(tx, consumer.name(), &mut wait, &own, failure, turn)?,
            },
            // What a person mended must not vanish because nobody understands it.
            None if wait.body.is_some() => {
                let problem = Problem { code: "not-heard", detail: "mended so, nobody hears it".to_owned() };
                failed(tx, consumer.name(), &mut wait, &message, (true, problem), turn)?;
            }
            // What nobody wants any more is done.
            None => done(tx, consumer.name(), &wait, turn.now)?,
        }
    }
    Ok(tried)
}

/// It waits no more, and the next one of its key goes on.
pub(super) fn done<T: BusTx>(tx: &mut T, consumer: &str, wait: &Wait, now: UnixMillis) -> Result<(), Fault> {
    tx.drop_wait(consumer, wait.partition, wait.offset)?;
    release(tx, consumer, wait, now)
}

/// The event that waits.
pub(super) fn written<T: BusTx>(tx: &mut T, wait: &Wait) -> Result<Option<Message>, Fault> {
    match &wait.body {
        Some(body) => Ok(Message::read(body.clone())),
        None => tx.log_at(wait.partition, wait.offset),
    }
}

/// Lets a service do what time alone makes due, up to `limit` things. Tells how many, and when there is more to do.
pub fn tick<T: BusTx>(
    tx: &mut T,
    consumer: &dyn Consumer,
    limit: usize,
    turn: &mut Turn<'_>,
) -> Result<(usize, Option<UnixMillis>), Fault> {
    for done in 0..limit {
        let mut result = Tick::Rests(None);
        let told = turn.told.len();
        let ticked = tx.piece(&mut |tx| {
            result = consumer.tick(tx, turn)?;
            Ok(())
        });
        match (ticked, result) {
            (Ok(()), Tick::Did) => {}
            (Ok(()), Tick::Rests(next)) => return Ok((done, next)),
            (Err(Failure::Storage(fault)), _) => return Err(fault),
            (Err(Failure::Never(problem) | Failure::Later(problem)), _) => {
                // It must not hold up what others wait for.
                turn.told.truncate(told);
                turn.troubles.push(format!(
                    "{} could not do what was due: {}",
                    consumer.name(),
                    problem.detail
                ));
                return Ok((done, Some(UnixMillis(turn.now.0 + RETRY_CAP_MS))));
            }
        }
    }
    Ok((limit, Some(turn.now)))
}

/// Lets the next event of a key go on, if it stands behind the one that is gone.
fn release<T: BusTx>(tx: &mut T, consumer: &str, gone: &Wait, now: UnixMillis) -> Result<(), Fault> {
    if let Some(next) = tx.first_wait(consumer, &gone.key)?
        && next.due.is_none()
        && !next.dead
    {
        tx.put_wait(&Wait { due: Some(now), ..next })?;
    }
    Ok(())
}

/// One try: the inbox row and the effect together, or nothing. `None` when it is done, now or before.
fn attempt<T: BusTx>(
    tx: &mut T,
    consumer: &dyn Consumer,
    message: &Message,
    turn: &mut Turn<'_>,
) -> Result<Option<(bool, Problem)>, Fault> {
    let (name, now) = (consumer.name(), turn.now);
    if !tx.put_handled(name, &message.source, message.id, now)? {
        return Ok(None);
    }
    let told = turn.told.len();
    let done = tx.piece(&mut |tx| consumer.handle(tx, message, turn));
    let failure = match done {
        Ok(()) => return Ok(None),
        Err(Failure::Storage(fault)) => return Err(fault),
        Err(Failure::Never(problem)) => (true, problem),
        Err(Failure::Later(problem)) => (false, problem),
    };
    tx.drop_handled(name, &message.source, message.id)?;
    turn.told.truncate(told);
    Ok(Some(failure))
}

pub(super) fn failed<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    wait: &mut Wait,
    message: &Message,
    (hopeless, problem): (bool, Problem),
    turn: &mut Turn<'_>,
) -> Result<(), Fault> {
    wait.tries += 1;
    match after_failure(wait.tries, hopeless, turn.now, turn.jitter) {
        Next::Wait(due) => {
            (wait.due, wait.dead) = (Some(due), false);
            tx.put_wait(wait)
        }
        Next::Dead => bury(tx, consumer, wait, message, &problem, turn),
    }
}
