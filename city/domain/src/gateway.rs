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
//! | asked | a query finds nothing | wanted: after a wait, sent again under the same id |
//! | wanted, or a query finds nothing | it is not needed any more | refused, and never sent |
//! | done, refused | anything | stays: an answer that comes late changes nothing |

use crate::books::{Authorization, Hold, Movement, Operation, Service, Stand};
use crate::bus::{BusTx, Failure, Next, Turn, after_failure};
use crate::limits::{ASK_AGAIN_MS, REASON_CHARS_MAX, REFERENCE_CHARS_MAX, TRIES_MAX};
use crate::tx::{Fault, Tx};
use crate::{payments, refunds};
use conch::event::json::Json;
use conch::event::{EventId, Key, UnixMillis, pii};
use conch::limits::SAFE_INTEGER_MAX;
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
    /// Behind which place it was asked for.
    pub after: u64,
    /// What moved, in the order in which it did.
    pub movements: Vec<Movement>,
    /// References of what this release has no word for.
    pub strange: Vec<String>,
    /// The last place it shows.
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

/// Finds what is to be asked now, and writes it down as asked. `skip` names what is on its way. What is not needed any
/// more and was never asked is not asked at all.
pub fn hand_out<T: BusTx>(
    tx: &mut T,
    limit: usize,
    skip: &dyn Fn(&str) -> bool,
    turn: &mut Turn<'_>,
) -> Result<Vec<Call>, Fault> {
    let mut calls = Vec::new();
    for operation in tx.due_operations(turn.now, limit)? {
        let query = operation.stand == Stand::Asked;
        if !query && let Some(reason) = needless(tx, &operation, turn.now)? {
            end(tx, &operation, reason, turn)?;
            continue;
        }
        let due = Some(UnixMillis(turn.now.0 + ASK_AGAIN_MS));
        let asked = Operation { stand: Stand::Asked, due, ..operation };
        tx.put_operation(&asked)?;
        if !skip(&asked.id) {
            let traceparent = cause_of(tx, &asked)?.and_then(|cause| cause.traceparent);
            calls.push(Call { operation: asked, query, traceparent });
        }
    }
    Ok(calls)
}

/// Why something the acquirer has not done need not be done any more.
fn needless<T: Tx + ?Sized>(
    tx: &mut T,
    operation: &Operation,
    now: UnixMillis,
) -> Result<Option<&'static str>, Fault> {
    Ok(match operation.service {
        Service::Capture => tx.capture(&operation.order)?.map(|_| "already_paid"),
        Service::Refund => (!refunds::is_wanted(tx, operation)?).then_some("not_needed"),
        Service::Authorize => {
            let own = tx.authorization(&operation.about)?;
            own.filter(|own| own.expires <= now).map(|_| "expired")
        }
        Service::Cancel => None,
    })
}

/// Ends what was never done.
fn end<T: BusTx>(tx: &mut T, operation: &Operation, reason: &str, turn: &mut Turn<'_>) -> Result<(), Fault> {
    let answer = Answer::Refused(reason.to_owned());
    guarded(tx, operation, turn, &mut |tx, turn| take(tx, operation, &answer, turn))
}

/// The event an operation follows from.
pub(crate) fn cause_of<T: Tx + ?Sized>(tx: &mut T, operation: &Operation) -> Result<Option<Envelope>, Fault> {
    envelope(tx, operation.cause.as_ref())
}

/// An accepted event, by source and id.
pub(crate) fn envelope<T: Tx + ?Sized>(
    tx: &mut T,
    cause: Option<&(String, EventId)>,
) -> Result<Option<Envelope>, Fault> {
    let Some((source, id)) = cause else { return Ok(None) };
    let body = tx.event_body(source, *id)?;
    Ok(body.and_then(|body| read(&body)))
}

/// An event from its text.
pub(crate) fn read(body: &str) -> Option<Envelope> {
    Envelope::read(&Json::parse(body).ok()?).ok()
}

/// Takes an answer. What follows from it is written with it, or the answer counts as none and is asked for again.
pub fn answered<T: BusTx>(tx: &mut T, id: &str, answer: &Answer, turn: &mut Turn<'_>) -> Result<(), Fault> {
    let Some(operation) = tx.operation(id)? else { return Ok(()) };
    if operation.due.is_none() {
        return Ok(());
    }
    let answer = sound(answer, turn);
    guarded(tx, &operation, turn, &mut |tx, turn| take(tx, &operation, &answer, turn))
}

/// Does it, or leaves the operation as one without an answer.
fn guarded<T: BusTx>(
    tx: &mut T,
    operation: &Operation,
    turn: &mut Turn<'_>,
    work: &mut dyn FnMut(&mut dyn Tx, &mut Turn<'_>) -> Result<(), Failure>,
) -> Result<(), Fault> {
    let told = turn.told.len();
    let problem = match tx.piece(&mut |tx| work(tx, turn)) {
        Ok(()) => return Ok(()),
        Err(Failure::Storage(fault)) => return Err(fault),
        Err(Failure::Never(problem) | Failure::Later(problem)) => problem,
    };
    turn.told.truncate(told);
    turn.troubles.push(format!("the answer to {} could not be taken: {}", operation.id, problem.detail));
    tx.put_operation(&later(operation, turn))
}

/// An answer as it can be taken. What names no money, or nothing at all, says nothing.
fn sound(answer: &Answer, turn: &mut Turn<'_>) -> Answer {
    match answer {
        Answer::Refused(reason) => {
            let mut reason = Json::Text(reason.chars().take(REASON_CHARS_MAX).collect());
            pii::mask(&mut reason, &[]);
            let reason = reason.as_text().map(str::trim).filter(|reason| !reason.is_empty());
            Answer::Refused(reason.unwrap_or("refused").to_owned())
        }
        Answer::Done { reference, amount, currency } if !is_money(reference, *amount, currency) => {
            turn.troubles.push("the acquirer's answer names no money; it is asked again".to_owned());
            Answer::Unknown
        }
        other => other.clone(),
    }
}

/// Whether an amount can be put on the books under this name.
pub(crate) fn is_money(reference: &str, amount: u64, currency: &str) -> bool {
    (1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count())
        && (1..=SAFE_INTEGER_MAX).contains(&amount)
        && currency.len() == 3
        && currency.bytes().all(|letter| letter.is_ascii_uppercase())
}

fn take(tx: &mut dyn Tx, operation: &Operation, answer: &Answer, turn: &mut Turn<'_>) -> Result<(), Failure> {
    match answer {
        Answer::Unknown => Ok(tx.put_operation(&later(operation, turn))?),
        Answer::NotFound => match needless(tx, operation, turn.now)? {
            Some(reason) => refuse(tx, operation, reason, turn),
            None => {
                // An answer all the same: the wait begins anew, and is one, so that two who misunderstand each other
                // are no storm.
                let fresh = Operation { tries: 0, ..operation.clone() };
                tx.put_operation(&Operation { tries: 0, stand: Stand::Wanted, ..later(&fresh, turn) })?;
                Ok(())
            }
        },
        Answer::Refused(reason) => refuse(tx, operation, reason, turn),
        Answer::Done { reference, amount, currency } => {
            did(tx, operation, reference, (*amount, currency), turn)
        }
    }
}

fn refuse(tx: &mut dyn Tx, operation: &Operation, reason: &str, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let refused =
        Operation { stand: Stand::Refused, due: None, reason: Some(reason.to_owned()), ..operation.clone() };
    tx.put_operation(&refused)?;
    match operation.service {
        Service::Authorize => Ok(held(tx, operation, Hold::Declined, Some(reason))?),
        Service::Capture => payments::not_captured(tx, operation, reason, turn),
        Service::Refund => refunds::refused(tx, operation, reason, turn),
        // The payer's money stays held until the acquirer lets go of it by itself.
        Service::Cancel => payments::strange(tx, "hold_kept", &refused, turn),
    }
}

fn did(
    tx: &mut dyn Tx,
    operation: &Operation,
    reference: &str,
    (amount, currency): (u64, &str),
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let done = Operation {
        stand: Stand::Done,
        due: None,
        reference: Some(reference.to_owned()),
        ..operation.clone()
    };
    match operation.service {
        Service::Capture | Service::Refund => {
            // A name that stands for other money says nothing about this.
            if tx.movement(reference)?.is_some_and(|known| known.operation != operation.id) {
                tx.put_operation(&later(operation, turn))?;
                return payments::strange(tx, "movement_changed", &done, turn);
            }
            tx.put_operation(&done)?;
            let movement = Movement {
                reference: reference.to_owned(),
                operation: operation.id.clone(),
                service: operation.service,
                amount,
                currency: currency.to_owned(),
            };
            payments::moved(tx, &movement, false, turn)
        }
        Service::Authorize => {
            tx.put_operation(&done)?;
            if (amount, currency) == (operation.amount, operation.currency.as_str()) {
                return Ok(held(tx, operation, Hold::Authorized, None)?);
            }
            // Less than was asked for pays nothing, and is let go.
            held(tx, operation, Hold::Declined, Some("amount_mismatch"))?;
            payments::let_go(tx, &done, turn.now)?;
            payments::strange(tx, "amount_mismatch", &done, turn)
        }
        Service::Cancel => Ok(tx.put_operation(&done)?),
    }
}

fn later(operation: &Operation, turn: &mut Turn<'_>) -> Operation {
    let tries = operation.tries.saturating_add(1);
    // The ladder's last step again and again: money whose whereabouts are unknown is never given up.
    let due = match after_failure(tries.min(TRIES_MAX - 1), false, turn.now, turn.jitter) {
        Next::Wait(due) => due,
        Next::Dead => UnixMillis(turn.now.0 + ASK_AGAIN_MS),
    };
    Operation { stand: Stand::Asked, tries, due: Some(due), ..operation.clone() }
}

fn held(tx: &mut dyn Tx, operation: &Operation, hold: Hold, reason: Option<&str>) -> Result<(), Fault> {
    match tx.authorization(&operation.about)? {
        Some(authorization) if authorization.hold == Hold::Asked => {
            tx.put_authorization(&Authorization { hold, reason: reason.map(str::to_owned), ..authorization })
        }
        _ => Ok(()),
    }
}
