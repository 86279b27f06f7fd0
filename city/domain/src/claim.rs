//! Claims: a gate asks before it opens, and the answer is the decision.
//!
//! A claim is made under the id of the scan's event. What it admits is admitted by that event, whether or not it ever
//! arrives: the person was told to walk in. When it arrives it confirms, unless it says that nobody was let in.

use crate::gate::{Desk, Word, admission_of};
use crate::ingest::{City, Request, corrected};
use crate::outcome::Origin;
use crate::ticket::{self, Flaw};
use crate::tx::{Fault, Scan, ScanResult, Tx};
use conch::event::{Device, EventId, Key, UnixMillis};

/// A gate asks whether to let somebody in.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who asks, and when.
    pub request: Request,
    /// Ticket id.
    pub ticket: Key,
    /// The scan's event, sent later: the claim's idempotency key.
    pub event: EventId,
    /// The gate.
    pub gate: String,
    /// When the ticket was shown, by the device's clock.
    pub scanned_at: Option<UnixMillis>,
}

/// A claim with its answer. The same claim gets the same answer for ever, whatever happened since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Who asked.
    pub device: Device,
    /// The scan's event.
    pub event: EventId,
    /// Ticket id.
    pub ticket: Key,
    /// The gate.
    pub gate: String,
    /// When the ticket was shown, corrected.
    pub at: UnixMillis,
    /// Why nobody is to be let in; admitted without a reason.
    pub refused: Option<String>,
    /// The gate that admitted the ticket before, and when.
    pub first: Option<(String, UnixMillis)>,
    /// When it was asked.
    pub received: UnixMillis,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub claimed: Claimed,
    /// Whether it was given before.
    pub replayed: bool,
}

/// The same key stands for another ticket or gate. Nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimChanged;

/// Why a ticket that was used is not admitted again.
const DUPLICATE: &str = "duplicate";
/// Why a scan is not admitted whose event said before that the gate let nobody in.
const NOT_LET_IN: &str = "refused";

/// Decides a claim. A fault leaves nothing behind once the caller rolls back.
pub fn claim<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    claim: &Claim,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Result<Answered, ClaimChanged>, Fault> {
    let device = &claim.request.principal.device;
    if let Some(claimed) = tx.claim(device, claim.event)? {
        let same = claimed.ticket == claim.ticket && claimed.gate == claim.gate;
        return Ok(if same { Ok(Answered { claimed, replayed: true }) } else { Err(ClaimChanged) });
    }
    let scan = tx.scan(device, claim.event)?;
    if scan.as_ref().is_some_and(|scan| scan.ticket != claim.ticket || scan.gate != claim.gate) {
        return Ok(Err(ClaimChanged));
    }
    let at = corrected(claim.scanned_at, &claim.request);
    let standing = tx.admission(&claim.ticket)?;
    let refused = match &scan {
        Some(scan) => after_its_event(scan),
        // Validity first: a revoked ticket is no duplicate.
        None => match ticket::flaw_outside(tx, &claim.ticket, &claim.gate, (at, claim.request.received))? {
            Some(flaw) => Some(flaw.as_str()),
            None => standing.is_some().then_some(DUPLICATE),
        },
    };
    if scan.is_none() && refused.is_none() {
        admit(tx, city, claim, at, entropy)?;
    }
    let first = standing.filter(|_| refused == Some(DUPLICATE)).map(|first| (first.gate, first.at));
    let claimed = Claimed {
        device: device.clone(),
        event: claim.event,
        ticket: claim.ticket.clone(),
        gate: claim.gate.clone(),
        at,
        refused: refused.map(str::to_owned),
        first,
        received: claim.request.received,
    };
    tx.put_claim(&claimed)?;
    Ok(Ok(Answered { claimed, replayed: false }))
}

/// The event was faster than its claim.
fn after_its_event(scan: &Scan) -> Option<&'static str> {
    match scan.result {
        ScanResult::Admitted => None,
        ScanResult::Duplicate => Some(DUPLICATE),
        ScanResult::Refused => Some(scan.flaw.map_or(NOT_LET_IN, Flaw::as_str)),
    }
}

/// The other services hear of it at once; the gate has its answer.
fn admit<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    claim: &Claim,
    at: UnixMillis,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<(), Fault> {
    let scan = Scan {
        ticket: claim.ticket.clone(),
        event: claim.event,
        device: claim.request.principal.device.clone(),
        gate: claim.gate.clone(),
        result: ScanResult::Admitted,
        flaw: None,
        inside: true,
        at,
    };
    tx.put_scan(&scan)?;
    tx.put_admission(&admission_of(&scan))?;
    let mut desk = Desk::new(city, claim.request.received, entropy);
    desk.say(tx, &Origin::of(scan.event), &Word::of_claim(&scan, claim.scanned_at))
}
