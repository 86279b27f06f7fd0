//! Refunds: money that moved twice goes back, each step of it on record for ever.
//!
//! | state | what happens | then |
//! |---|---|---|
//! | found | the service hears of it | commanded, refund 1 |
//! | commanded | the acquirer did it | refunded |
//! | commanded | the acquirer refuses, fewer than [`REFUNDS_MAX`] so far | commanded, the next refund after a wait |
//! | commanded | the acquirer refuses once more | stuck: an alert, a person decides |
//! | stuck | a person has it tried again | commanded, the next refund |
//! | found, stuck | a person gave it back another way | settled |
//! | found, stuck | the acquirer did it after all | refunded |
//! | refunded, settled | the acquirer did it once more | stays, and an alert: it went back twice |
//! | any | anything else | stays |
//!
//! An answer that says nothing is no step: the same refund is queried by the same id (`gateway.rs`). A refund that takes
//! long is told. The id of a refund is `refund:<dupTxnId>:<number>`, and the store refuses a second one beside one that
//! is under way or done, and more than was taken.

use crate::books::{Duplicate, Movement, Operation, RefundState, RefundStep, Service, Stand};
use crate::bus::{Consumer, Failure, Message, Next, Subscription, Tick, Turn, after_failure};
use crate::device_of;
use crate::gateway::envelope;
use crate::limits::{OPERATION_LATE_MS, REASON_CHARS_MAX, REFUNDS_MAX, TRIES_MAX, UNLISTED_MS};
use crate::outcome::Outcome;
use crate::payments::{alert, cancel, shown};
use crate::tx::{Fault, Tx};
use conch::event::json::Json;
use conch::event::{Topic, UnixMillis};

/// What moves a refund on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// The service heard of it.
    Heard,
    /// The acquirer gave it back.
    Refunded,
    /// The acquirer will not do it under this id.
    Refused,
    /// A person has it tried again.
    Retried,
    /// A person gave it back another way.
    Settled,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Command,
    Finish,
    Stick,
    Settle,
    /// It went back although that was over.
    Twice,
    Stay,
}

fn step(state: RefundState, refunds: u32, happening: Happening) -> Step {
    use RefundState::{Commanded, Found, Refunded, Settled, Stuck};
    match (state, happening) {
        (Found, Happening::Heard) | (Stuck, Happening::Retried) => Step::Command,
        (Found | Commanded | Stuck, Happening::Refunded) => Step::Finish,
        (Commanded, Happening::Refused) if refunds < REFUNDS_MAX => Step::Command,
        (Commanded, Happening::Refused) => Step::Stick,
        (Found | Stuck, Happening::Settled) => Step::Settle,
        (Refunded | Settled, Happening::Refunded) => Step::Twice,
        _ => Step::Stay,
    }
}

/// Every move from one state to another that the table above allows, for whoever draws it.
pub fn refund_moves() -> Vec<(RefundState, RefundState)> {
    use Happening::{Heard, Refunded, Refused, Retried, Settled};
    let mut moves = Vec::new();
    for state in RefundState::ALL {
        for happening in [Heard, Refunded, Refused, Retried, Settled] {
            for refunds in [0, REFUNDS_MAX] {
                let to = match step(state, refunds, happening) {
                    Step::Command => RefundState::Commanded,
                    Step::Finish => RefundState::Refunded,
                    Step::Stick => RefundState::Stuck,
                    Step::Settle => RefundState::Settled,
                    Step::Twice | Step::Stay => continue,
                };
                if !moves.contains(&(state, to)) {
                    moves.push((state, to));
                }
            }
        }
    }
    moves
}

/// The service that gives back what moved twice, and looks after what takes long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refunds;

impl Consumer for Refunds {
    fn name(&self) -> &'static str {
        "refunds"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        Subscription::to("pay.txn.*", &["duplicate_captured"]).into_iter().collect()
    }

    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        let envelope = message.envelope();
        let txn_id = envelope.as_ref().and_then(|envelope| envelope.data.text("dupTxnId"));
        let txn_id = txn_id.ok_or_else(|| Failure::never("bad-payload", "`dupTxnId` is missing"))?;
        let duplicate = tx.duplicate(txn_id)?;
        let duplicate =
            duplicate.ok_or_else(|| Failure::never("no-duplicate", "nothing moved twice under this name"))?;
        move_on(tx, duplicate, Happening::Heard, "", turn)
    }

    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        let mut next: Option<UnixMillis> = None;
        let mut rest = |at: UnixMillis| next = Some(next.map_or(at, |next| next.min(at)));
        if let Some(open) = tx.oldest_open()? {
            let late = UnixMillis(open.at.0 + OPERATION_LATE_MS);
            if late <= turn.now {
                told_late(tx, open, turn)?;
                return Ok(Tick::Did);
            }
            rest(late);
        }
        if let Some(held) = tx.next_expiry()? {
            if held.expires <= turn.now {
                cancel(tx, held, turn.now)?;
                return Ok(Tick::Did);
            }
            rest(held.expires);
        }
        if let Some((movement, at)) = tx.oldest_unlisted()? {
            let late = UnixMillis(at.0 + UNLISTED_MS);
            if late <= turn.now {
                tx.mark_listed(&movement.reference)?;
                let order = tx.operation(&movement.operation)?.map(|operation| operation.order);
                let members = vec![
                    ("reference", shown(&movement.reference)),
                    ("amount", Json::Number(movement.amount.to_string())),
                    ("currency", Json::Text(movement.currency)),
                ];
                alert(tx, "movement_unlisted", order.as_ref(), None, members, turn)?;
                return Ok(Tick::Did);
            }
            rest(late);
        }
        Ok(Tick::Rests(next))
    }
}

/// What was asked of the acquirer and takes long is told once; it is asked for on and on.
fn told_late(tx: &mut dyn Tx, operation: Operation, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let operation = Operation { told_late: true, ..operation };
    tx.put_operation(&operation)?;
    let cause = envelope(tx, operation.cause.as_ref())?;
    let word = if operation.service == Service::Refund { "refund_late" } else { "payment_late" };
    let members = vec![
        ("operation", Json::Text(operation.id.clone())),
        ("amount", Json::Number(operation.amount.to_string())),
        ("currency", Json::Text(operation.currency.clone())),
        ("tries", Json::Number(operation.tries.to_string())),
    ];
    alert(tx, word, Some(&operation.order), cause.as_ref(), members, turn)
}

/// Whether this refund is the one that is under way.
pub(crate) fn is_wanted<T: Tx + ?Sized>(tx: &mut T, operation: &Operation) -> Result<bool, Fault> {
    let duplicate = of(tx, operation)?;
    Ok(duplicate.is_some_and(|own| own.state == RefundState::Commanded && refund_id(&own) == operation.id))
}

/// The acquirer gave money back under this id.
pub(crate) fn went_back(
    tx: &mut dyn Tx,
    operation: &Operation,
    movement: &Movement,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    match of(tx, operation)? {
        Some(duplicate) if movement.amount == duplicate.amount => {
            move_on(tx, duplicate, Happening::Refunded, &movement.reference, turn)
        }
        // A part is not the whole: a person sees to the rest.
        Some(duplicate) => {
            let refunding = movement.amount.min(duplicate.amount);
            let part = Duplicate { state: RefundState::Stuck, refunding, ..duplicate };
            note(tx, &part, &format!("{} of {} went back", movement.amount, part.amount), turn.now)?;
            about(tx, "raised", &part, "refund_stuck", turn)
        }
        None => Err(Failure::later("no-duplicate", format!("{} gives nothing back", operation.id))),
    }
}

/// The acquirer will not give it back under this id.
pub(crate) fn refused(
    tx: &mut dyn Tx,
    operation: &Operation,
    reason: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    match of(tx, operation)? {
        // The refusal of an earlier refund, or of one that is not needed any more, says nothing about the one that is under way.
        Some(duplicate)
            if duplicate.state != RefundState::Commanded || operation.id != refund_id(&duplicate) =>
        {
            Ok(())
        }
        Some(duplicate) => {
            let duplicate = Duplicate { refunding: 0, ..duplicate };
            move_on(tx, duplicate, Happening::Refused, reason, turn)
        }
        None => Err(Failure::later("no-duplicate", format!("{} gives nothing back", operation.id))),
    }
}

fn of<T: Tx + ?Sized>(tx: &mut T, operation: &Operation) -> Result<Option<Duplicate>, Fault> {
    let txn_id = operation.id.strip_prefix("refund:").and_then(|rest| rest.rsplit_once(':'));
    txn_id.map_or(Ok(None), |(txn_id, _)| tx.duplicate(txn_id))
}

fn refund_id(duplicate: &Duplicate) -> String {
    format!("refund:{}:{}", duplicate.txn_id, duplicate.attempt)
}

fn move_on(
    tx: &mut dyn Tx,
    duplicate: Duplicate,
    happening: Happening,
    detail: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    match step(duplicate.state, duplicate.attempt, happening) {
        Step::Stay => Ok(()),
        Step::Command => command(tx, duplicate, detail, turn),
        Step::Finish => {
            let amount = duplicate.amount;
            let was_stuck = duplicate.state == RefundState::Stuck;
            let done = Duplicate { state: RefundState::Refunded, refunding: amount, ..duplicate };
            note(tx, &done, detail, turn.now)?;
            leave(tx, &refund_id(&done))?;
            say(tx, &done, "refunded", CAPTURED_TWICE, turn)?;
            if was_stuck { about(tx, "cleared", &done, "refund_stuck", turn) } else { Ok(()) }
        }
        Step::Stick => {
            let stuck = Duplicate { state: RefundState::Stuck, ..duplicate };
            note(tx, &stuck, detail, turn.now)?;
            about(tx, "raised", &stuck, "refund_stuck", turn)
        }
        Step::Settle => {
            let settled = Duplicate { state: RefundState::Settled, ..duplicate };
            note(tx, &settled, detail, turn.now)?;
            say(tx, &settled, "refunded", "settled_by_hand", turn)?;
            about(tx, "cleared", &settled, "refund_stuck", turn)
        }
        Step::Twice => {
            put_step(tx, &duplicate, detail, turn.now)?;
            about(tx, "raised", &duplicate, "refunded_twice", turn)
        }
    }
}

/// Why money goes back, as vendor and payer read it.
pub(crate) const CAPTURED_TWICE: &str = "captured_twice";

fn command(tx: &mut dyn Tx, duplicate: Duplicate, detail: &str, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let refunding = duplicate.amount;
    let attempt = duplicate.attempt + 1;
    let commanded = Duplicate { state: RefundState::Commanded, attempt, refunding, ..duplicate };
    note(tx, &commanded, detail, turn.now)?;
    // The first goes at once, each later one after a longer wait.
    let due = match after_failure((attempt - 1).clamp(1, TRIES_MAX - 1), false, turn.now, turn.jitter) {
        Next::Wait(due) if attempt > 1 => due,
        _ => turn.now,
    };
    let money = (commanded.amount, commanded.currency.as_str());
    let about = commanded.reference.clone();
    let refund =
        Operation::wanted(refund_id(&commanded), Service::Refund, &commanded.order, about, money, turn.now);
    let statement = format!("{}: {CAPTURED_TWICE}, {}", commanded.order, commanded.txn_id);
    let cause = commanded.cause.clone();
    tx.put_operation(&Operation { statement, cause, due: Some(due), ..refund })?;
    say(tx, &commanded, "refund_commanded", CAPTURED_TWICE, turn)
}

/// A refund the acquirer has not heard of is not needed any more.
fn leave(tx: &mut dyn Tx, id: &str) -> Result<(), Fault> {
    match tx.operation(id)? {
        Some(refund) if refund.stand == Stand::Wanted => {
            let reason = Some("an earlier one went back after all".to_owned());
            tx.put_operation(&Operation { stand: Stand::Refused, due: None, reason, ..refund })
        }
        _ => Ok(()),
    }
}

fn note(tx: &mut dyn Tx, duplicate: &Duplicate, detail: &str, now: UnixMillis) -> Result<(), Fault> {
    tx.put_duplicate(duplicate)?;
    put_step(tx, duplicate, detail, now)
}

/// Adds a step with the state the refund has now.
pub(crate) fn put_step(
    tx: &mut dyn Tx,
    duplicate: &Duplicate,
    detail: &str,
    at: UnixMillis,
) -> Result<(), Fault> {
    let detail = detail.chars().take(2 * REASON_CHARS_MAX).collect();
    let step = RefundStep { state: duplicate.state, attempt: duplicate.attempt, detail, at };
    tx.put_refund_step(&duplicate.txn_id, &step)
}

/// Says on the bus, and to the till the money came from, how it goes on. The words are those of the version it asked in.
pub(crate) fn say(
    tx: &mut dyn Tx,
    duplicate: &Duplicate,
    kind: &'static str,
    reason: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let cause = envelope(tx, duplicate.cause.as_ref())?;
    let topic = match &cause {
        Some(cause) => cause.topic.clone(),
        None => {
            Topic::parse("pay.txn.v2").map_err(|_| Failure::never("no-topic", "no topic to say it on"))?
        }
    };
    let device = duplicate.cause.as_ref().and_then(|(source, _)| device_of(source));
    let refund = (duplicate.attempt > 0).then(|| Json::Text(refund_id(duplicate)));
    let outcome = Outcome::new(
        &topic,
        kind,
        vec![
            ("txnId", refund),
            ("origTxnId", Some(Json::Text(duplicate.first_txn_id.clone()))),
            ("dupTxnId", Some(Json::Text(duplicate.txn_id.clone()))),
            ("amount", Some(Json::Number(duplicate.amount.to_string()))),
            ("currency", Some(Json::Text(duplicate.currency.clone()))),
            ("reason", Some(Json::Text(reason.to_owned()))),
        ],
    );
    turn.say(tx, (topic.as_str(), kind, &duplicate.order), cause.as_ref(), device.as_ref(), outcome.data())
}

fn about(
    tx: &mut dyn Tx,
    kind: &str,
    duplicate: &Duplicate,
    word: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let cause = envelope(tx, duplicate.cause.as_ref())?;
    let data = Json::Object(vec![
        ("alert".to_owned(), Json::Text(word.to_owned())),
        ("dupTxnId".to_owned(), Json::Text(duplicate.txn_id.clone())),
        ("amount".to_owned(), Json::Number(duplicate.amount.to_string())),
        ("currency".to_owned(), Json::Text(duplicate.currency.clone())),
        ("tries".to_owned(), Json::Number(duplicate.attempt.to_string())),
    ]);
    turn.say(tx, ("ops.alerts.v1", kind, &duplicate.order), cause.as_ref(), None, data)
}

/// What a person decides about a refund that is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundDecision {
    /// The acquirer is asked once more, under a new id.
    Retry,
    /// It was given back another way.
    Settle,
}

/// Why a decision about a refund was not taken. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundNotDecided {
    /// Nothing moved twice under this name.
    Missing,
    /// It stands so, and this is not for a person to decide.
    Stands(RefundState),
    /// A decision needs a reason of 1 to [`REASON_CHARS_MAX`] characters.
    Reason,
}

/// Takes a person's decision and keeps who took it and why.
pub fn decide_refund(
    tx: &mut dyn Tx,
    txn_id: &str,
    decision: RefundDecision,
    (by, reason): (&str, &str),
    turn: &mut Turn<'_>,
) -> Result<Result<Duplicate, RefundNotDecided>, Failure> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Ok(Err(RefundNotDecided::Reason));
    }
    let Some(duplicate) = tx.duplicate(txn_id)? else { return Ok(Err(RefundNotDecided::Missing)) };
    let happening = match decision {
        RefundDecision::Retry => Happening::Retried,
        RefundDecision::Settle => Happening::Settled,
    };
    let state = duplicate.state;
    // Where a part went back, asking for the whole again would give back too much.
    let parted = decision == RefundDecision::Retry && duplicate.refunding > 0;
    if parted || step(state, duplicate.attempt, happening) == Step::Stay {
        return Ok(Err(RefundNotDecided::Stands(state)));
    }
    move_on(tx, duplicate, happening, &format!("{by}: {reason}"), turn)?;
    Ok(tx.duplicate(txn_id)?.ok_or(RefundNotDecided::Missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use RefundState::{Commanded, Found, Refunded, Settled, Stuck};

    #[test]
    fn row_what_is_found_is_commanded_once() {
        assert_eq!(step(Found, 0, Happening::Heard), Step::Command);
        for state in [Commanded, Stuck, Refunded, Settled] {
            assert_eq!(step(state, 1, Happening::Heard), Step::Stay, "{state:?}");
        }
    }

    #[test]
    fn row_what_the_acquirer_did_is_refunded() {
        assert_eq!(step(Commanded, 1, Happening::Refunded), Step::Finish);
        assert_eq!(step(Stuck, 5, Happening::Refunded), Step::Finish, "after all");
        assert_eq!(step(Found, 0, Happening::Refunded), Step::Finish, "of its own accord");
    }

    #[test]
    fn row_a_refusal_is_followed_by_another_refund() {
        assert_eq!(step(Commanded, REFUNDS_MAX - 1, Happening::Refused), Step::Command);
        for state in [Found, Stuck, Refunded, Settled] {
            assert_eq!(step(state, 1, Happening::Refused), Step::Stay, "{state:?}");
        }
    }

    #[test]
    fn row_the_last_refusal_needs_a_person() {
        assert_eq!(step(Commanded, REFUNDS_MAX, Happening::Refused), Step::Stick);
        assert_eq!(step(Commanded, u32::MAX, Happening::Refused), Step::Stick);
    }

    #[test]
    fn row_a_person_decides_about_what_is_stuck() {
        assert_eq!(step(Stuck, REFUNDS_MAX, Happening::Retried), Step::Command);
        assert_eq!(step(Stuck, REFUNDS_MAX, Happening::Settled), Step::Settle);
        assert_eq!(step(Found, 0, Happening::Settled), Step::Settle);
        for state in [Commanded, Refunded, Settled] {
            assert_eq!(step(state, 1, Happening::Retried), Step::Stay, "{state:?}");
            assert_eq!(step(state, 1, Happening::Settled), Step::Stay, "{state:?}");
        }
        assert_eq!(step(Found, 0, Happening::Retried), Step::Stay, "it goes by itself");
    }

    #[test]
    fn what_is_drawn_is_what_the_table_allows() {
        let drawn: Vec<_> = refund_moves().iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        let table = [
            ("found", "commanded"),
            ("found", "refunded"),
            ("found", "settled"),
            ("commanded", "refunded"),
            ("commanded", "commanded"),
            ("commanded", "stuck"),
            ("stuck", "refunded"),
            ("stuck", "commanded"),
            ("stuck", "settled"),
        ];
        assert_eq!(drawn, table);
    }

    #[test]
    fn row_what_went_back_twice_is_told() {
        assert_eq!(step(Refunded, 1, Happening::Refunded), Step::Twice);
        assert_eq!(step(Settled, 1, Happening::Refunded), Step::Twice);
    }
}
