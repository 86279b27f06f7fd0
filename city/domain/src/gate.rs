//! The gate service: a ticket is admitted once. Whoever scans it later hears where and when it was used.

use crate::outcome::{Cause, Outcome};
use crate::tx::{Admission, Fault, Scan, ScanResult, Tx};
use conch::event::json::Json;
use conch::event::{Topic, UnixMillis};

/// A scan, whichever version said it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Presented {
    gate: String,
    /// Whether the gate let the person in.
    let_in: bool,
    scanned_at: Option<UnixMillis>,
}

/// Takes a scan of either version and says what became of the ticket. Outcomes are spoken in version 2, because
/// version 1 has no type the city could say.
pub(crate) fn presented<T: Tx + ?Sized>(tx: &mut T, cause: Cause<'_>) -> Result<Option<Outcome>, Fault> {
    let envelope = cause.envelope;
    let (Some(seen), Ok(topic)) = (
        read(envelope.topic.version(), envelope.kind.as_str(), &envelope.data),
        Topic::parse("gate.auth.v2"),
    ) else {
        return Ok(None);
    };
    let first = tx.admission(&envelope.key)?;
    let result = decide(seen.let_in, first.is_some());
    tx.put_scan(&Scan {
        ticket: envelope.key.clone(),
        event: envelope.id,
        device: cause.device.clone(),
        gate: seen.gate.clone(),
        result,
        at: cause.at,
    })?;
    if result == ScanResult::Admitted {
        tx.put_admission(&Admission {
            ticket: envelope.key.clone(),
            event: envelope.id,
            device: cause.device.clone(),
            gate: seen.gate.clone(),
            at: cause.at,
        })?;
    }
    let kind = match result {
        ScanResult::Admitted => "admitted",
        ScanResult::Duplicate => "duplicate_admission",
        ScanResult::Refused => "refused",
    };
    let decision = if result == ScanResult::Admitted { "admitted" } else { "refused" };
    let first = first.filter(|_| result == ScanResult::Duplicate);
    let number = |at: UnixMillis| Json::Number(at.0.to_string());
    Ok(Some(Outcome::new(
        &topic,
        kind,
        vec![
            ("gateId", Some(Json::Text(seen.gate))),
            ("ticketId", Some(Json::Text(envelope.key.to_string()))),
            ("decision", Some(Json::Text(decision.to_owned()))),
            ("scannedAt", seen.scanned_at.map(number)),
            ("firstGateId", first.as_ref().map(|first| Json::Text(first.gate.clone()))),
            ("firstAt", first.as_ref().map(|first| number(first.at))),
        ],
    )))
}

fn decide(let_in: bool, used: bool) -> ScanResult {
    match (let_in, used) {
        (false, _) => ScanResult::Refused,
        (true, false) => ScanResult::Admitted,
        (true, true) => ScanResult::Duplicate,
    }
}

/// The adapter between the versions: old ticketing says `verified` with `ok`, or `denied`.
fn read(version: u32, kind: &str, data: &Json) -> Option<Presented> {
    let text = |name| data.get(name).and_then(Json::as_text).map(str::to_owned);
    match (version, kind) {
        (1, "verified" | "denied") => Some(Presented {
            gate: text("gate")?,
            let_in: kind == "verified" && data.get("ok").and_then(Json::as_whole) == Some(1),
            scanned_at: None,
        }),
        (2, "scanned") => Some(Presented {
            gate: text("gateId")?,
            let_in: text("decision").as_deref() != Some("refused"),
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
        assert_eq!(let_in(1, "verified", r#"{"gate":"n1","code":"t","ok":1}"#), Some(true));
        assert_eq!(let_in(1, "verified", r#"{"gate":"n1","code":"t","ok":0}"#), Some(false));
        assert_eq!(let_in(1, "denied", r#"{"gate":"n1","code":"t","ok":1}"#), Some(false));
        assert_eq!(let_in(2, "scanned", r#"{"gateId":"n1","ticketId":"t"}"#), Some(true));
        assert_eq!(
            let_in(2, "scanned", r#"{"gateId":"n1","ticketId":"t","decision":"refused"}"#),
            Some(false)
        );
        assert_eq!(let_in(2, "admitted", r#"{"gateId":"n1","ticketId":"t"}"#), None);
    }

    #[test]
    fn a_ticket_is_admitted_once_and_never_by_a_refusal() {
        assert_eq!(decide(true, false), ScanResult::Admitted);
        assert_eq!(decide(true, true), ScanResult::Duplicate);
        assert_eq!(decide(false, false), ScanResult::Refused);
        assert_eq!(decide(false, true), ScanResult::Refused);
    }
}
