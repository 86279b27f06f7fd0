//! One event in, one verdict out: inbox, intent, effect and outcome in the transaction that is handed in.

use crate::admission::{Admitted, Candidate, Examined, Finding};
use crate::bus::Message;
use crate::directory::{self, Taken};
use crate::limits::{CLOCK_SET_MS, KEEP_MS};
use crate::outcome::{Cause, Outcome, tell};
use crate::refusal::Refusal;
use crate::role::Principal;
use crate::tx::{Fault, InboxRow, IntentRow, Kept, Scope, Tx};
use crate::{gate, payments};
use conch::event::contract::IntentRule;
use conch::event::{Device, EventId, UnixMillis};
use conch::wire::{Verdict, VerdictWord};

/// The city that judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct City {
    /// Made at its first start.
    pub id: EventId,
}

impl City {
    /// The CloudEvents `source` of what it says.
    pub fn source(&self) -> String {
        format!("conch://city/{}", self.id)
    }
}

/// What holds for all events of one request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who sent it.
    pub principal: Principal,
    /// When it arrived, by the city's clock.
    pub received: UnixMillis,
    /// When it was sent, by the device's clock.
    pub sent_at: Option<UnixMillis>,
    /// The pace window that goes out with the answer, in ms.
    pub window_ms: u64,
}

/// The answer for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this very delivery was answered before.
    pub replayed: bool,
    /// The pace window of the answer, in ms; of the first answer, when replayed.
    pub window_ms: u64,
    /// Whether an outcome was put on the sender's feed.
    pub told: bool,
    /// All devices that a service told of it, the sender among them.
    pub others: Vec<Device>,
}

impl Judged {
    /// An event that could not be judged now, because the storage failed.
    pub fn postponed(id: EventId, retry_after_ms: u64, window_ms: u64) -> Self {
        let verdict =
            Verdict { id, word: VerdictWord::Retry, problem: None, retry_after_ms: Some(retry_after_ms) };
        Self { verdict, replayed: false, window_ms, told: false, others: Vec::new() }
    }

    /// Whether it was refused because its idempotency key stands for something else.
    pub fn is_key_reuse(&self) -> bool {
        let code = self.verdict.problem.as_ref().map(|problem| problem.code());
        [Refusal::PayloadChanged, Refusal::IntentConflict].iter().any(|refusal| code == Some(refusal.code()))
    }
}

/// Judges one event. A fault leaves nothing behind once the caller rolls back.
pub fn ingest<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    request: &Request,
    event: &Examined,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Judged, Fault> {
    let candidate = match &event.finding {
        Finding::Known(candidate) => candidate,
        Finding::Stranger(refusal) => return forget(tx, request, event.id, refusal),
    };
    let envelope = &candidate.envelope;
    if let Some(row) = tx.inbox(&envelope.source, envelope.id)? {
        if row.digest != candidate.digest {
            return forget(tx, request, envelope.id, &Refusal::PayloadChanged);
        }
        return Ok(Judged {
            verdict: row.verdict,
            replayed: true,
            window_ms: row.window_ms,
            told: false,
            others: Vec::new(),
        });
    }
    let admitted = match &candidate.terms {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(tx, request, candidate, refusal),
    };
    if corrected(envelope.time, request).0 + KEEP_MS < request.received.0 {
        return refuse(tx, request, candidate, &Refusal::TooOld);
    }
    let scope = match admitted.rule {
        IntentRule::OncePerKey => Scope::Market,
        _ => Scope::Device(request.principal.device.clone()),
    };
    match tx.intent(&scope, envelope.intent)? {
        None => accept(tx, city, request, candidate, (&scope, admitted), entropy),
        Some(first) if first.fingerprint == admitted.fingerprint => {
            repeat(tx, city, request, candidate, entropy)
        }
        Some(_) => refuse(tx, request, candidate, &Refusal::IntentConflict),
    }
}

fn accept<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    request: &Request,
    candidate: &Candidate,
    (scope, admitted): (&Scope, &Admitted),
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Judged, Fault> {
    let envelope = &candidate.envelope;
    let (source, id) = (envelope.source.clone(), envelope.id);
    tx.put_intent(scope, envelope.intent, &IntentRow { fingerprint: admitted.fingerprint, source, id })?;
    let corrected = corrected(envelope.time, request);
    tx.put_event(&Kept {
        source: envelope.source.clone(),
        id,
        device: request.principal.device.clone(),
        topic: envelope.topic.clone(),
        kind: envelope.kind.clone(),
        key: envelope.key.clone(),
        intent: envelope.intent,
        sequence: envelope.sequence,
        device_time: envelope.time,
        corrected,
        received: request.received,
        body: candidate.body.clone(),
    })?;
    tx.put_outgoing(&Message {
        source: envelope.source.clone(),
        id,
        topic: envelope.topic.clone(),
        kind: envelope.kind.clone(),
        key: envelope.key.clone(),
        body: candidate.body.clone(),
    })?;
    let cause = Cause { envelope, device: &request.principal.device, at: corrected };
    let outcome = match envelope.topic.family() {
        "pay.txn" => {
            let txn_id = format!("txn-{}", EventId::mint(request.received, entropy()));
            payments::requested(tx, cause, txn_id)?
        }
        "gate.auth" => gate::presented(tx, cause)?,
        _ => None,
    };
    let told = say(tx, city, request, cause, outcome.as_ref(), entropy)?;
    let others = hand(tx, city, request, candidate, entropy)?;
    let verdict = remember(tx, request, candidate, VerdictWord::Accepted, None)?;
    Ok(Judged { verdict, replayed: false, window_ms: request.window_ms, told, others })
}

/// Asks the directory where the event belongs, if it says what it does in a conversation.
fn hand<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    request: &Request,
    candidate: &Candidate,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Vec<Device>, Fault> {
    let Some(performative) = candidate.performative else { return Ok(Vec::new()) };
    let sender = &request.principal.device;
    let Candidate { envelope, body, .. } = candidate;
    directory::deliver(
        tx,
        city,
        &Taken { envelope, body, sender, performative, now: request.received },
        entropy,
    )
}

/// The intent is known under another id: no effect, but the sender hears the outcome too.
fn repeat<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    request: &Request,
    candidate: &Candidate,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Judged, Fault> {
    let envelope = &candidate.envelope;
    let at = corrected(envelope.time, request);
    let cause = Cause { envelope, device: &request.principal.device, at };
    let outcome = match envelope.topic.family() {
        "pay.txn" => payments::repeated(tx, cause)?,
        _ => None,
    };
    let told = say(tx, city, request, cause, outcome.as_ref(), entropy)?;
    let verdict = remember(tx, request, candidate, VerdictWord::Duplicate, None)?;
    Ok(Judged { verdict, replayed: false, window_ms: request.window_ms, told, others: Vec::new() })
}

fn say<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    request: &Request,
    cause: Cause<'_>,
    outcome: Option<&Outcome>,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<bool, Fault> {
    let Some(outcome) = outcome else { return Ok(false) };
    tell(tx, city, cause, outcome, request.received, entropy())?;
    Ok(true)
}

/// A refusal of this device's own event is remembered: once refused, the same delivery can never be accepted, since
/// the device may have put a new event in its place.
fn refuse<T: Tx + ?Sized>(
    tx: &mut T,
    request: &Request,
    candidate: &Candidate,
    refusal: &Refusal,
) -> Result<Judged, Fault> {
    let id = candidate.envelope.id;
    tx.put_refusal(&request.principal.device, id, refusal.code(), request.received)?;
    let verdict = remember(tx, request, candidate, VerdictWord::Refused, Some(refusal))?;
    Ok(Judged { verdict, replayed: false, window_ms: request.window_ms, told: false, others: Vec::new() })
}

/// A refusal under an id that is not this delivery's to take: noted, but not as the answer for that id.
fn forget<T: Tx + ?Sized>(
    tx: &mut T,
    request: &Request,
    id: EventId,
    refusal: &Refusal,
) -> Result<Judged, Fault> {
    tx.put_refusal(&request.principal.device, id, refusal.code(), request.received)?;
    let problem = Some(refusal.problem());
    let verdict = Verdict { id, word: VerdictWord::Refused, problem, retry_after_ms: None };
    Ok(Judged { verdict, replayed: false, window_ms: request.window_ms, told: false, others: Vec::new() })
}

fn remember<T: Tx + ?Sized>(
    tx: &mut T,
    request: &Request,
    candidate: &Candidate,
    word: VerdictWord,
    refusal: Option<&Refusal>,
) -> Result<Verdict, Fault> {
    let problem = refusal.map(Refusal::problem);
    let verdict = Verdict { id: candidate.envelope.id, word, problem, retry_after_ms: None };
    let row = InboxRow {
        source: candidate.envelope.source.clone(),
        verdict: verdict.clone(),
        digest: candidate.digest,
        window_ms: request.window_ms,
        received: request.received,
    };
    tx.put_inbox(&row, &request.principal.device)?;
    Ok(verdict)
}

/// When it happened: the device's word, shifted by how far its clock was off when it sent. Nothing happens after it
/// arrived.
fn corrected(said: Option<UnixMillis>, request: &Request) -> UnixMillis {
    let received = request.received;
    // A clock that was never set says nothing: a phone after a power cut begins in 1970.
    let Some(said) = said.filter(|said| said.0 >= CLOCK_SET_MS) else { return received };
    let sent_at = request.sent_at.unwrap_or(received);
    let age = sent_at.0.saturating_sub(said.0);
    UnixMillis(received.0.saturating_sub(age))
}
