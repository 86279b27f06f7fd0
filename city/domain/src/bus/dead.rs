//! Dead letters: what a handler cannot do, kept for a person, told as an alert, and what the person decides.

use super::deliver::{Turn, done};
use super::{BusTx, Closing, DeadLetter, Failure, Message, Problem, Wait};
use crate::contracts::contract;
use crate::limits::{EVENT_BYTES_MAX, REASON_CHARS_MAX};
use crate::tx::Fault;
use crate::versions::said_as;
use conch::event::contract::OnDead;
use conch::event::fingerprint::fingerprint;
use conch::event::json::Json;
use conch::event::{Key, UnixMillis, pii};

/// The topic of the alerts.
const ALERTS: &str = "ops.alerts";
/// Beyond so many open failures of one kind the alert has been given often enough.
const ALERT_UP_TO: u64 = 1_000;

/// Keeps an event that will not be tried again by itself, and raises the alarm.
pub(super) fn bury<T: BusTx>(
    tx: &mut T,
    consumer: &str,
    wait: &Wait,
    message: &Message,
    problem: &Problem,
    turn: &mut Turn<'_>,
) -> Result<(), Fault> {
    let blocks = matches!(
        contract(&message.topic, &message.kind),
        Ok(Some(contract)) if contract.on_dead == OnDead::Block
    );
    let fingerprint = kind_of_failure(consumer, message, problem.code);
    let letter = DeadLetter {
        number: 0,
        consumer: consumer.to_owned(),
        partition: wait.partition,
        offset: wait.offset,
        message: Message { body: masked(&message.body), ..message.clone() },
        tries: wait.tries,
        code: problem.code.to_owned(),
        detail: problem.detail.clone(),
        fingerprint,
        mended: wait.body.clone(),
        blocks,
        at: turn.now,
        closed: None,
    };
    let number = tx.put_dead(&letter)?;
    turn.died += 1;
    if blocks {
        // Its key waits behind it for the decision.
        tx.put_wait(&Wait { due: None, dead: true, ..wait.clone() })?;
    } else {
        done(tx, consumer, wait, turn.now)?;
    }
    // Whoever carries alerts away must not raise one for each alert it could not carry.
    if message.topic.family() != ALERTS {
        // One failure of a kind is news, and so is each tenfold; a thousand alerts are none.
        let open = tx.open_of_kind(&letter.fingerprint, ALERT_UP_TO + 1)?;
        if [1, 10, 100, ALERT_UP_TO].contains(&open) {
            alarm(tx, &DeadLetter { number, ..letter }, open, turn)?;
        }
    }
    Ok(())
}

fn alarm<T: BusTx>(tx: &mut T, letter: &DeadLetter, open: u64, turn: &mut Turn<'_>) -> Result<(), Fault> {
    // Some sixteen digits would pass for a card number, which no key may hold.
    let key = Key::parse(&format!("kind-{}", letter.fingerprint)).or_else(|_| Key::parse("dead-letter"));
    let key = key.map_err(|_| Fault("the alert has no name".to_owned()))?;
    let text = |value: &str| Json::Text(value.to_owned());
    let data = Json::Object(vec![
        ("alert".to_owned(), text("dead_letter")),
        ("fingerprint".to_owned(), text(&letter.fingerprint)),
        ("deadLetter".to_owned(), Json::Number(letter.number.to_string())),
        ("open".to_owned(), Json::Number(open.to_string())),
        ("consumer".to_owned(), text(&letter.consumer)),
        ("topic".to_owned(), text(letter.message.topic.as_str())),
        ("type".to_owned(), text(letter.message.kind.as_str())),
        ("code".to_owned(), text(&letter.code)),
        ("tries".to_owned(), Json::Number(letter.tries.to_string())),
    ]);
    let cause = letter.message.envelope();
    turn.say(tx, ("ops.alerts.v1", "raised", &key), cause.as_ref(), None, data).map_err(|failure| {
        match failure {
            Failure::Storage(fault) => fault,
            Failure::Never(problem) | Failure::Later(problem) => Fault(problem.detail),
        }
    })
}

/// The same for all failures of one kind: eight bytes of SHA-256 over consumer, topic, type and code, in hex.
fn kind_of_failure(consumer: &str, message: &Message, code: &str) -> String {
    let parts = [consumer, message.topic.as_str(), message.kind.as_str(), code];
    let parts = Json::Object(vec![(
        "of".to_owned(),
        Json::Array(parts.iter().map(|part| Json::Text((*part).to_owned())).collect()),
    )]);
    fingerprint(&parts, &["of"]).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The event without the personal data of its payload. What cannot be read shows nothing of itself.
fn masked(body: &str) -> String {
    let Ok(Json::Object(mut members)) = Json::parse(body) else { return "{}".to_owned() };
    for (name, value) in &mut members {
        if name == "data" {
            pii::mask(value, &[]);
        }
    }
    let mut text = String::new();
    Json::Object(members).write(&mut text);
    text
}

/// What a person decides about a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is tried again.
    Redrive {
        /// In place of the payload it had.
        payload: Option<Json>,
        /// When; many at once are spread, so that they do not come as a flood.
        due: UnixMillis,
    },
    /// It is given up.
    Discard,
}

/// Why a decision was not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// There is no such dead letter.
    Missing,
    /// It was decided about before.
    Closed(Closing),
    /// A decision needs a reason of 1 to [`REASON_CHARS_MAX`] characters.
    Reason,
    /// The event it stands for is no longer on the log.
    Gone,
    /// With this payload the event would be larger than an event may be.
    TooLarge,
}

/// Takes a decision and keeps who took it and why.
pub fn decide<T: BusTx>(
    tx: &mut T,
    number: u64,
    decision: &Decision,
    (by, reason): (&str, &str),
    now: UnixMillis,
) -> Result<Result<DeadLetter, NotDecided>, Fault> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Ok(Err(NotDecided::Reason));
    }
    let letter = match tx.dead(number)? {
        None => return Ok(Err(NotDecided::Missing)),
        Some(DeadLetter { closed: Some(closing), .. }) => return Ok(Err(NotDecided::Closed(closing))),
        Some(letter) => letter,
    };
    let place = (letter.partition, letter.offset);
    let wait = Wait::behind(&letter.consumer, place, letter.message.key.clone());
    match decision {
        Decision::Redrive { payload, due } => {
            let Some(message) = tx.log_at(letter.partition, letter.offset)? else {
                return Ok(Err(NotDecided::Gone));
            };
            let body = match payload {
                // In the form in which the consumer saw it.
                Some(payload) => {
                    let Message { topic, kind, .. } = &letter.message;
                    said_as(&message.body, topic, kind, payload.clone()).or(Some(message.body))
                }
                None => letter.mended.clone(),
            };
            if body.as_ref().is_some_and(|body| body.len() > EVENT_BYTES_MAX) {
                return Ok(Err(NotDecided::TooLarge));
            }
            // Behind an earlier one of its key it stands until that is done.
            let first = tx.first_wait(&letter.consumer, &wait.key)?;
            let ahead = first.is_some_and(|first| (first.partition, first.offset) < place);
            tx.put_wait(&Wait { body, due: (!ahead).then_some(*due), ..wait })?;
        }
        Decision::Discard if letter.blocks => done(tx, &letter.consumer, &wait, now)?,
        // Nobody waits for it.
        Decision::Discard => {}
    }
    let redriven = matches!(decision, Decision::Redrive { .. });
    let closing = Closing { at: now, by: by.to_owned(), redriven, reason: reason.to_owned() };
    tx.close_dead(number, &closing)?;
    Ok(Ok(DeadLetter { closed: Some(closing), ..letter }))
}
