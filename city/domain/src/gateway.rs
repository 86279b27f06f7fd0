//! The acquirer as the city sees it, and what follows from each of its answers.
//!
//! Whatever is asked carries an id of ours. It is written down as asked before the first byte leaves, so after a crash or
//! a lost answer it is known that the acquirer may have done it, and it is queried by the same id until that is known.
//! Only a definite no ends an id; another try has another one.
//!
//! | stands | what happens | then |
//! |---|---|---|
//! | wanted | it is handed to the caller | asked |
//! | asked | done | done: its effect, in the same transaction |
//! | asked | refused | refused: its effect, in the same transaction |
//! | asked | no answer, or one that says nothing | asked; queried later, each wait longer up to the cap |
//! | asked | a query finds nothing | wanted: sent again under the same id |
//! | done, refused | anything | stays: an answer that comes late changes nothing |

use crate::books::{Authorization, Hold, Movement, Operation, Service, Stand};
use crate::bus::{BusTx, Failure, Next, Turn, after_failure};
use crate::limits::{ASK_AGAIN_MS, TRIES_MAX};
use crate::tx::{Fault, Tx};
use crate::{payments, refunds};
use conch::event::{Key, UnixMillis};
use conch::wire::cloudevents::Envelope;

/// What the acquirer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did it, and calls it so. Of money that moved, how much.
    Done {
        /// Its reference.
        reference: String,
        /// Minor units.
        amount: u64,
        /// ISO 4217.
        currency: String,
    },
    /// It did not and will not do it under this id.
    Refused(String),
    /// A query found nothing under this id.
    NotFound,
    /// Nothing is known: no answer in time, a broken connection, a failure of its own.
    Unknown,
}

/// A part of the acquirer's list of what it moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// What moved, in the order in which it did.
    pub movements: Vec<Movement>,
    /// Where to go on.
    pub up_to: u64,
}

/// The acquirer. Each call waits for the answer; it may be made from several threads at once. Everything goes by ids of
/// ours: the same id is done once, however often it is sent.
pub trait PaymentGateway: Send + Sync {
    /// Holds an amount.
    fn authorize(&self, call: &Call) -> Answer;
    /// Takes what is held.
    fn capture(&self, call: &Call) -> Answer;
    /// Lets go of what is held.
    fn cancel(&self, call: &Call) -> Answer;
    /// Gives back what was taken.
    fn refund(&self, call: &Call) -> Answer;
    /// What became of an id of ours.
    fn query(&self, call: &Call) -> Answer;
    /// What moved behind a place in its list. `None` when there was no answer.
    fn list(&self, after: u64) -> Option<Listed>;

    /// Makes a call.
    fn make(&self, call: &Call) -> Answer {
        match call.operation.service {
            _ if call.query => self.query(call),
            Service::Authorize => self.authorize(call),
            Service::Capture => self.capture(call),
            Service::Cancel => self.cancel(call),
            Service::Refund => self.refund(call),
        }
    }
}

/// What is to be asked of the acquirer now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is about.
    pub operation: Operation,
    /// Whether it is only asked what became of it.
    pub query: bool,
    /// The trace it belongs to, as W3C writes it.
    pub traceparent: Option<String>,
}

impl Operation {
    /// Something new, to be asked at a time.
    pub(crate) fn wanted(
        id: String,
        service: Service,
        order: &Key,
        about: String,
        (amount, currency): (u64, &str),
        at: UnixMillis,
    ) -> Self {
        let statement = format!("{order}");
        Self {
            id,
            service,
            order: order.clone(),
            about,
            amount,
            currency: currency.to_owned(),
            statement,
            stand: Stand::Wanted,
            tries: 0,
            due: Some(at),
            reference: None,
            reason: None,
            cause: None,
            told_late: false,
            at,
        }
    }
}

/// Finds what is to be asked now, and writes it down as asked. `skip` names what is on its way.
pub fn hand_out<T: BusTx>(
    tx: &mut T,
    now: UnixMillis,
    limit: usize,
    skip: &dyn Fn(&str) -> bool,
) -> Result<Vec<Call>, Fault> {
    let mut calls = Vec::new();
    for operation in tx.due_operations(now, limit)? {
        let query = operation.stand == Stand::Asked;
        let asked =
            Operation { stand: Stand::Asked, due: Some(UnixMillis(now.0 + ASK_AGAIN_MS)), ..operation };
        tx.put_operation(&asked)?;
        if !skip(&asked.id) {
            let traceparent = cause_of(tx, &asked)?.and_then(|cause| cause.traceparent);
            calls.push(Call { operation: asked, query, traceparent });
        }
    }
    Ok(calls)
}

/// The event an operation follows from.
pub(crate) fn cause_of<T: Tx + ?Sized>(tx: &mut T, operation: &Operation) -> Result<Option<Envelope>, Fault> {
    envelope(tx, operation.cause.as_ref())
}

/// An accepted event, by source and id.
pub(crate) fn envelope<T: Tx + ?Sized>(
    tx: &mut T,
    cause: Option<&(String, conch::event::EventId)>,
) -> Result<Option<Envelope>, Fault> {
    let Some((source, id)) = cause else { return Ok(None) };
    let body = tx.event_body(source, *id)?;
    Ok(body.and_then(|body| read(&body)))
}

/// An event from its text.
pub(crate) fn read(body: &str) -> Option<Envelope> {
    Envelope::read(&conch::event::json::Json::parse(body).ok()?).ok()
}

/// Takes an answer. What follows from it is written with it, or the answer counts as none and is asked for again.
pub fn answered<T: BusTx>(tx: &mut T, id: &str, answer: &Answer, turn: &mut Turn<'_>) -> Result<(), Fault> {
    let Some(operation) = tx.operation(id)? else { return Ok(()) };
    if operation.due.is_none() {
        return Ok(());
    }
    let told = turn.told.len();
    let done = tx.piece(&mut |tx| take(tx, &operation, answer, turn));
    if let Err(failure) = done {
        turn.told.truncate(told);
        let problem = match failure {
            Failure::Storage(fault) => return Err(fault),
            Failure::Never(problem) | Failure::Later(problem) => problem,
        };
        turn.troubles.push(format!("the answer to {id} could not be taken: {}", problem.detail));
        tx.put_operation(&later(&operation, turn))?;
    }
    Ok(())
}

fn take(tx: &mut dyn Tx, operation: &Operation, answer: &Answer, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let own = || operation.clone();
    match answer {
        Answer::Unknown => tx.put_operation(&later(operation, turn))?,
        Answer::NotFound => {
            tx.put_operation(&Operation { stand: Stand::Wanted, due: Some(turn.now), ..own() })?;
        }
        Answer::Refused(reason) => {
            let reason: String = reason.chars().take(REASON_CHARS).collect();
            let refused =
                Operation { stand: Stand::Refused, due: None, reason: Some(reason.clone()), ..own() };
            tx.put_operation(&refused)?;
            was_refused(tx, &refused, &reason, turn)?;
        }
        Answer::Done { reference, amount, currency } => {
            let done =
                Operation { stand: Stand::Done, due: None, reference: Some(reference.clone()), ..own() };
            tx.put_operation(&done)?;
            let movement = Movement {
                reference: reference.clone(),
                operation: operation.id.clone(),
                service: operation.service,
                amount: *amount,
                currency: currency.clone(),
            };
            match operation.service {
                Service::Capture | Service::Refund => payments::moved(tx, &movement, false, turn)?,
                Service::Authorize => held(tx, operation, Hold::Authorized, None)?,
                Service::Cancel => {}
            }
        }
    }
    Ok(())
}

/// Longest reason that is kept of an acquirer's, in characters.
const REASON_CHARS: usize = 200;

fn later(operation: &Operation, turn: &mut Turn<'_>) -> Operation {
    let tries = operation.tries.saturating_add(1);
    // The ladder's last step again and again: money whose whereabouts are unknown is never given up.
    let due = match after_failure(tries.min(TRIES_MAX - 1), false, turn.now, turn.jitter) {
        Next::Wait(due) => due,
        Next::Dead => UnixMillis(turn.now.0 + ASK_AGAIN_MS),
    };
    Operation { stand: Stand::Asked, tries, due: Some(due), ..operation.clone() }
}

fn was_refused(
    tx: &mut dyn Tx,
    operation: &Operation,
    reason: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    match operation.service {
        Service::Authorize => Ok(held(tx, operation, Hold::Declined, Some(reason))?),
        Service::Capture => payments::not_captured(tx, operation, reason, turn),
        Service::Refund => refunds::refused(tx, operation, reason, turn),
        Service::Cancel => {
            turn.troubles.push(format!("the acquirer does not let go of {}: {reason}", operation.about));
            Ok(())
        }
    }
}

fn held(tx: &mut dyn Tx, operation: &Operation, hold: Hold, reason: Option<&str>) -> Result<(), Fault> {
    match tx.authorization(&operation.about)? {
        Some(authorization) if authorization.hold == Hold::Asked => {
            tx.put_authorization(&Authorization { hold, reason: reason.map(str::to_owned), ..authorization })
        }
        _ => Ok(()),
    }
}
