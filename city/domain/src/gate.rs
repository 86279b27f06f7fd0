//! The gate service: of all scans that let somebody in with a ticket, the earliest is its admission and the others are
//! duplicates, in whatever order they arrive.
//!
//! What a gate did is a fact and what the ticket was good for is another: a scan whose event says `admitted` is recorded
//! as that, with what was wrong with the ticket beside it. Only where the event leaves the decision to the city is a bad
//! ticket refused.

use crate::ingest::City;
use crate::limits::{BESIDE_MAX, DIGEST_LIFE_MS, RESCAN_MS, TURNED_AWAY_MS};
use crate::outcome::{self, Cause, Origin};
use crate::ticket::{self, Flaw, digest, digest_key};
use crate::tx::{Admission, Fault, Scan, ScanResult, Tx};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Key, Topic, UnixMillis};

/// A scan, whichever version said it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Presented {
    gate: String,
    /// Whether the gate let the person in; without a word the city decides.
    let_in: Option<bool>,
    scanned_at: Option<UnixMillis>,
}

/// Takes a scan of either version and says what became of the ticket. Outcomes are spoken in version 2, because
/// version 1 has no type the city could say.
pub(crate) fn presented<T: Tx + ?Sized>(
    tx: &mut T,
    desk: &mut Desk<'_>,
    cause: Cause<'_>,
) -> Result<(), Fault> {
    let envelope = cause.envelope;
    let Some(seen) = read(envelope.topic.version(), envelope.kind.as_str(), &envelope.data) else {
        return Ok(());
    };
    let claimed = tx.claim(cause.device, envelope.id)?.filter(|claimed| claimed.ticket == envelope.key);
    let before = tx.scan(cause.device, envelope.id)?;
    // A claim was made then; its event may be more exact.
    let at = before.as_ref().map_or(cause.at, |before| before.at.min(cause.at));
    let flaw = ticket::flaw(tx, &envelope.key, &seen.gate, at)?;
    let let_in = seen.let_in.or(claimed.as_ref().map(|claimed| claimed.refused.is_none()));
    let verdict = decide(let_in, flaw);
    let used = tx.admission(&envelope.key)?.is_some();
    let scan = Scan {
        ticket: envelope.key.clone(),
        event: envelope.id,
        device: cause.device.clone(),
        gate: seen.gate.clone(),
        result: match verdict {
            Verdict::Refused => ScanResult::Refused,
            Verdict::LetIn if used => ScanResult::Duplicate,
            Verdict::LetIn => ScanResult::Admitted,
        },
        flaw,
        inside: let_in == Some(true) || (verdict == Verdict::LetIn && !used),
        at,
    };
    match &before {
        Some(_) => tx.change_scan(&scan)?,
        None => tx.put_scan(&scan)?,
    }
    if seen.let_in == Some(false) {
        turn_away(tx, &scan, envelope.causation.as_deref())?;
    }
    if let Some(before) = before.as_ref().filter(|before| before.ticket != scan.ticket) {
        // The claim was for another ticket, which is free again.
        let settled = settle(tx, &before.ticket)?;
        desk.others(tx, &Origin::from(envelope), &settled, None)?;
    }
    let claim = claimed.and_then(|claimed| claimed.refused);
    let own = Word {
        reason: match (verdict, flaw) {
            (Verdict::Refused, Some(flaw)) => Some(flaw.as_str()),
            (Verdict::Refused, None) => claim.as_deref(),
            (Verdict::LetIn, flaw) => flaw.map(Flaw::admitted_but),
        },
        scanned_at: seen.scanned_at,
        to: Some(cause.device),
        ..Word::about(&scan)
    };
    // What became of a claim was said when it was made.
    let said = before.filter(|before| before.ticket == scan.ticket).map(|before| before.result);
    desk.heard(tx, &Origin::from(envelope), own, said)
}

/// A gate says of somebody it has just let in that they did not go in after all: it names its own earlier scan as the
/// cause. That scan stays and lets nobody in; who owns the admission now is settled with the one that says so.
fn turn_away<T: Tx + ?Sized>(tx: &mut T, says: &Scan, cause: Option<&str>) -> Result<(), Fault> {
    let Some(meant) = cause.and_then(EventId::parse) else { return Ok(()) };
    let Some(scan) = tx.scan(&says.device, meant)? else { return Ok(()) };
    let lately = says.at.0.abs_diff(scan.at.0) <= TURNED_AWAY_MS;
    if scan.event != says.event && scan.ticket == says.ticket && scan.inside && lately {
        tx.change_scan(&Scan { result: ScanResult::Refused, inside: false, ..scan })?;
    }
    Ok(())
}

/// What the gate did, or is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    LetIn,
    Refused,
}

fn decide(let_in: Option<bool>, flaw: Option<Flaw>) -> Verdict {
    match (let_in, flaw) {
        (Some(true), _) | (None, None) => Verdict::LetIn,
        (Some(false), _) | (None, Some(_)) => Verdict::Refused,
    }
}

/// What became of the scans of a ticket.
#[derive(Debug, Default)]
struct Settled {
    /// The earliest that let somebody in: the admission.
    first: Option<Scan>,
    /// The one that was it before and is a duplicate now.
    displaced: Option<Scan>,
    /// Whether the admission went to another scan.
    moved: bool,
    /// The ticket, when it was taken for used and nobody is inside with it after all.
    freed: Option<Key>,
}

/// Gives the admission to the earliest scan that let somebody in.
fn settle<T: Tx + ?Sized>(tx: &mut T, ticket: &Key) -> Result<Settled, Fault> {
    let standing = tx.admission(ticket)?;
    let Some(first) = tx.first_scan(ticket)? else {
        if standing.is_none() {
            return Ok(Settled::default());
        }
        tx.drop_admission(ticket)?;
        return Ok(Settled { freed: Some(ticket.clone()), ..Settled::default() });
    };
    // The one that was it goes before the one that is it now: the books hold one admitted scan a ticket.
    let (mut displaced, mut moved) = (None, false);
    match &standing {
        None => tx.put_admission(&admission_of(&first))?,
        Some(standing) => {
            moved = (standing.event, &standing.device) != (first.event, &first.device);
            if moved {
                displaced = displace(tx, standing)?;
            }
            if *standing != admission_of(&first) {
                tx.move_admission(&admission_of(&first))?;
            }
        }
    }
    let is_told = first.result == ScanResult::Admitted;
    let first = Scan { result: ScanResult::Admitted, inside: true, ..first };
    if !is_told {
        tx.change_scan(&first)?;
    }
    Ok(Settled { first: Some(first), displaced, moved, freed: None })
}

/// Makes the scan of an admission a duplicate, if it still is one that let in with this ticket.
fn displace<T: Tx + ?Sized>(tx: &mut T, standing: &Admission) -> Result<Option<Scan>, Fault> {
    let scan = tx.scan(&standing.device, standing.event)?;
    let scan = scan.filter(|scan| scan.ticket == standing.ticket && scan.result == ScanResult::Admitted);
    let Some(scan) = scan else { return Ok(None) };
    let scan = Scan { result: ScanResult::Duplicate, inside: true, ..scan };
    tx.change_scan(&scan)?;
    Ok(Some(scan))
}

/// The admission a scan is.
pub(crate) fn admission_of(scan: &Scan) -> Admission {
    let Scan { ticket, event, device, gate, at, .. } = scan.clone();
    Admission { ticket, event, device, gate, at }
}

/// What is said about one scan.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    scan: &'a Scan,
    /// The admission, when the scan is another.
    first: Option<&'a Scan>,
    reason: Option<&'a str>,
    scanned_at: Option<UnixMillis>,
    /// On whose feed.
    to: Option<&'a Device>,
    on_bus: bool,
}

impl<'a> Word<'a> {
    fn about(scan: &'a Scan) -> Self {
        Self { scan, first: None, reason: None, scanned_at: None, to: None, on_bus: false }
    }

    /// What a claim admitted, for the other services: its gate has the answer.
    pub(crate) fn of_claim(scan: &'a Scan, scanned_at: Option<UnixMillis>) -> Self {
        Self { scanned_at, on_bus: true, ..Self::about(scan) }
    }

    fn data(&self) -> Json {
        let text = |text: &str| Some(Json::Text(text.to_owned()));
        let number = |at: UnixMillis| Json::Number(at.0.to_string());
        let decision = if self.scan.inside { "admitted" } else { "refused" };
        let members = [
            ("gateId", text(&self.scan.gate)),
            ("ticketId", text(self.scan.ticket.as_str())),
            ("decision", text(decision)),
            ("reason", self.reason.and_then(text)),
            ("scannedAt", self.scanned_at.map(number)),
            ("firstGateId", self.first.and_then(|first| text(&first.gate))),
            ("firstAt", self.first.map(|first| number(first.at))),
        ];
        object(members)
    }
}

fn object<const N: usize>(members: [(&str, Option<Json>); N]) -> Json {
    let said = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(said.collect())
}

/// Where the gate service speaks, and whom it told.
pub(crate) struct Desk<'a> {
    city: &'a City,
    now: UnixMillis,
    entropy: &'a mut dyn FnMut() -> [u8; 10],
    /// Devices whose feeds grew.
    pub(crate) told: Vec<Device>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(city: &'a City, now: UnixMillis, entropy: &'a mut dyn FnMut() -> [u8; 10]) -> Self {
        Self { city, now, entropy, told: Vec::new() }
    }

    /// Settles the ticket of a scan that came, and tells everybody what follows. `own` is what its sender hears, but for
    /// what the ticket's other scans make of it; `said` is what the others know of it.
    fn heard<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        origin: &Origin,
        own: Word<'_>,
        said: Option<ScanResult>,
    ) -> Result<(), Fault> {
        let settled = settle(tx, &own.scan.ticket)?;
        let first = settled.first.as_ref();
        let result = match own.scan.result {
            ScanResult::Refused => ScanResult::Refused,
            _ if first.is_some_and(|first| is_same(first, own.scan)) => ScanResult::Admitted,
            _ => ScanResult::Duplicate,
        };
        let inside = own.scan.inside || result == ScanResult::Admitted;
        let scan = Scan { result, inside, ..own.scan.clone() };
        let (first, on_bus) = (first.filter(|_| result == ScanResult::Duplicate), said != Some(result));
        self.say(tx, origin, &Word { scan: &scan, first, on_bus, ..own })?;
        if result != ScanResult::Refused && is_new_flaw(tx, &scan)? {
            self.alarm(tx, origin, "admitted_invalid", &scan, None)?;
        }
        // A device that asks about a ticket it let in itself has let nobody in again.
        let news = on_bus && (inside || first.is_some_and(|first| first.device != scan.device));
        if let Some(first) = first.filter(|_| news)
            && is_double(tx, &scan, first)?
        {
            self.double(tx, origin, &scan, first)?;
        }
        self.others(tx, origin, &settled, Some(&scan))
    }

    /// Tells the devices of scans that another one's arrival made a duplicate, or the admission.
    fn others<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        origin: &Origin,
        settled: &Settled,
        came: Option<&Scan>,
    ) -> Result<(), Fault> {
        if let Some(ticket) = &settled.freed {
            // The other gates may have heard of it.
            tx.put_digest(ticket, UnixMillis(self.now.0 + DIGEST_LIFE_MS))?;
        }
        let Some(first) = settled.first.as_ref().filter(|_| settled.moved) else { return Ok(()) };
        if came.is_none_or(|came| !is_same(came, first)) {
            let to = Some(&first.device);
            let reason = first.flaw.map(Flaw::admitted_but);
            let word = Word { reason, to, on_bus: true, ..Word::about(first) };
            self.say(tx, &Origin::of(first.event), &word)?;
        }
        let Some(lost) = &settled.displaced else { return Ok(()) };
        let reason = lost.flaw.map(Flaw::admitted_but);
        let to = Some(&lost.device);
        let word = Word { first: Some(first), reason, to, on_bus: true, ..Word::about(lost) };
        self.say(tx, &Origin::of(lost.event), &word)?;
        if is_other_visit(lost, first) { self.double(tx, origin, lost, first) } else { Ok(()) }
    }

    /// Two were let in with one ticket: the first one's gate hears where else, and the people who run the market.
    fn double<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        origin: &Origin,
        lost: &Scan,
        first: &Scan,
    ) -> Result<(), Fault> {
        if lost.device != first.device {
            let to = Some(&first.device);
            let word = Word { first: Some(first), to, ..Word::about(lost) };
            self.say(tx, &Origin::of(lost.event), &word)?;
        }
        self.alarm(tx, origin, "double_admission", lost, Some(first))
    }

    /// A ticket's id opens gates, so an alert names it by its digest.
    fn alarm<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        origin: &Origin,
        alert: &str,
        scan: &Scan,
        first: Option<&Scan>,
    ) -> Result<(), Fault> {
        let number = |at: UnixMillis| Json::Number(at.0.to_string());
        let data = object([
            ("alert", Some(Json::Text(alert.to_owned()))),
            ("digest", Some(Json::Text(digest(&scan.ticket)))),
            ("code", scan.flaw.map(|flaw| Json::Text(flaw.as_str().to_owned()))),
            ("gateId", Some(Json::Text(scan.gate.clone()))),
            ("at", Some(number(scan.at))),
            ("firstGateId", first.map(|first| Json::Text(first.gate.clone()))),
            ("firstAt", first.map(|first| number(first.at))),
        ]);
        let key = digest_key(&scan.ticket)?;
        let (topic, kind) = names("ops.alerts.v1", "raised")?;
        let said = outcome::Said {
            city: self.city,
            topic: &topic,
            kind: &kind,
            key: &key,
            id: self.mint(),
            now: self.now,
        };
        said.say_of(tx, Some(origin), None, data)
    }

    pub(crate) fn say<T: Tx + ?Sized>(
        &mut self,
        tx: &mut T,
        origin: &Origin,
        word: &Word<'_>,
    ) -> Result<(), Fault> {
        let kind = match word.scan.result {
            ScanResult::Admitted => "admitted",
            ScanResult::Duplicate => "duplicate_admission",
            ScanResult::Refused => "refused",
        };
        let (topic, kind) = names("gate.auth.v2", kind)?;
        let key = &word.scan.ticket;
        let said = outcome::Said {
            city: self.city,
            topic: &topic,
            kind: &kind,
            key,
            id: self.mint(),
            now: self.now,
        };
        match word.to {
            Some(device) if !word.on_bus => said.tell_only(tx, Some(origin), (device, None), word.data())?,
            to => said.say_of(tx, Some(origin), to, word.data())?,
        }
        self.told.extend(word.to.cloned());
        Ok(())
    }

    fn mint(&mut self) -> EventId {
        EventId::mint(self.now, (self.entropy)())
    }
}

fn names(topic: &str, kind: &str) -> Result<(Topic, EventType), Fault> {
    match (Topic::parse(topic), EventType::parse(kind)) {
        (Ok(topic), Ok(kind)) => Ok((topic, kind)),
        _ => Err(Fault(format!("{topic}.{kind} is no type"))),
    }
}

fn is_same(one: &Scan, other: &Scan) -> bool {
    one.event == other.event && one.device == other.device
}

/// Whether somebody else walked in, rather than one ticket held before one camera twice.
fn is_other_visit(lost: &Scan, first: &Scan) -> bool {
    lost.device != first.device || lost.at.0.abs_diff(first.at.0) > RESCAN_MS
}

/// Whether a duplicate is news: of one device the first is told, since a scanner that is held before the same ticket all
/// night says nothing new. What was no other visit was not told, and an attempt hides nobody who walked in later.
fn is_double<T: Tx + ?Sized>(tx: &mut T, lost: &Scan, first: &Scan) -> Result<bool, Fault> {
    let told = |other: &Scan| {
        other.result == ScanResult::Duplicate
            && is_other_visit(other, first)
            && (other.inside || !lost.inside)
    };
    Ok(is_other_visit(lost, first) && !tx.beside(lost, BESIDE_MAX)?.iter().any(told))
}

/// Whether a device let in with a ticket that was no good, and not for the same reason before.
fn is_new_flaw<T: Tx + ?Sized>(tx: &mut T, scan: &Scan) -> Result<bool, Fault> {
    Ok(scan.flaw.is_some() && tx.beside(scan, BESIDE_MAX)?.iter().all(|other| other.flaw != scan.flaw))
}

/// The adapter between the versions: old ticketing says `verified` with `ok`, or `denied`. It decides by itself.
fn read(version: u32, kind: &str, data: &Json) -> Option<Presented> {
    let text = |name| data.get(name).and_then(Json::as_text).map(str::to_owned);
    match (version, kind) {
        (1, "verified" | "denied") => Some(Presented {
            gate: text("gate")?,
            let_in: Some(kind == "verified" && data.get("ok").and_then(Json::as_whole) == Some(1)),
            scanned_at: None,
        }),
        (2, "scanned") => Some(Presented {
            gate: text("gateId")?,
            let_in: text("decision").map(|decision| decision == "admitted"),
            scanned_at: data.get("scannedAt").and_then(Json::as_whole).map(UnixMillis),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_as_one() {
        let let_in = |version, kind, text: &str| {
            read(version, kind, &Json::parse(text).unwrap()).map(|seen| seen.let_in)
        };
        assert_eq!(let_in(1, "verified", r#"{"gate":"n1","code":"t","ok":1}"#), Some(Some(true)));
        assert_eq!(let_in(1, "verified", r#"{"gate":"n1","code":"t","ok":0}"#), Some(Some(false)));
        assert_eq!(let_in(1, "denied", r#"{"gate":"n1","code":"t","ok":1}"#), Some(Some(false)));
        let scan = |decision: &str| format!(r#"{{"gateId":"n1","ticketId":"t"{decision}}}"#);
        assert_eq!(let_in(2, "scanned", &scan("")), Some(None), "the city decides");
        assert_eq!(let_in(2, "scanned", &scan(r#","decision":"admitted""#)), Some(Some(true)));
        assert_eq!(let_in(2, "scanned", &scan(r#","decision":"refused""#)), Some(Some(false)));
        assert_eq!(let_in(2, "admitted", &scan("")), None);
    }

    #[test]
    fn row_what_the_gate_did_is_a_fact_and_else_a_bad_ticket_is_refused() {
        assert_eq!(decide(Some(true), None), Verdict::LetIn);
        assert_eq!(decide(Some(true), Some(Flaw::Revoked)), Verdict::LetIn);
        assert_eq!(decide(Some(false), None), Verdict::Refused);
        assert_eq!(decide(Some(false), Some(Flaw::Revoked)), Verdict::Refused);
        assert_eq!(decide(None, None), Verdict::LetIn);
        assert_eq!(decide(None, Some(Flaw::Revoked)), Verdict::Refused);
    }
}
