//! Tickets: how one stands, and the claim, by which a gate asks before it opens.
//!
//! A claim is one decision on the writer like an event's, under the id of the scan's event. It waits for a commit and for
//! nothing else; how long a gate waits for it (300 ms) is the gate's affair, whose own rules decide after that. What was
//! admitted stays admitted, also if the answer is lost or the event never comes: the same key gets the same answer.

use super::enrol::{read_small, whole};
use super::events::{bad_request, idempotency_key, number, overloaded, unprocessable};
use super::problem::Trouble;
use super::query::failed;
use super::{App, json};
use crate::clock;
use crate::store::{self, TicketView};
use crate::writer::NotWritten;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use city_domain::{Answered, Claim, ClaimChanged, Principal, Role, Scan, ScanResult, Ticket, digest, limits};
use conch::event::{EventId, Key, UnixMillis};
use conch::wire::headers;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use std::sync::Arc;

pub(super) async fn get(State(app): State<Arc<App>>, key: Result<Path<String>, PathRejection>) -> Response {
    let unknown = || Trouble::not_found("The ticket was neither issued nor scanned here").into_response();
    let Some(key) = key.ok().and_then(|Path(text)| Key::parse(&text).ok()) else { return unknown() };
    let own = key.clone();
    match app.readers.ask(move |connection| store::ticket(connection, &own)).await {
        Ok(Some(view)) => json(StatusCode::OK, &described(&key, &view)),
        Ok(None) => unknown(),
        Err(error) => failed(&error),
    }
}

/// A ticket as JSON, over HTTP and on the command line.
pub(crate) fn described(key: &Key, view: &TicketView) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("key", json!(key.as_str()));
    put("state", json!(state(view)));
    put("digest", json!(digest(key)));
    put("scans", json!(view.scans));
    if let Some(first) = &view.first {
        for (name, value) in scan_members(first) {
            put(name, value);
        }
    }
    put("duplicates", view.duplicates.iter().map(|scan| Value::from_iter(scan_members(scan))).collect());
    if let Some(ticket) = &view.issued {
        put("issued", described_ticket(ticket));
    }
    Value::Object(answer)
}

/// In one word. Who was admitted is inside, whatever became of the ticket.
fn state(view: &TicketView) -> &'static str {
    let revoked = view.issued.as_ref().is_some_and(|ticket| ticket.revoked.is_some());
    match view.first.as_ref().map(|first| first.result) {
        Some(ScanResult::Admitted) => "admitted",
        _ if revoked => "revoked",
        Some(_) => "refused",
        None => "issued",
    }
}

fn scan_members(scan: &Scan) -> Vec<(&'static str, Value)> {
    let mut members = vec![
        ("eventId", json!(scan.event.to_string())),
        ("device", json!(scan.device.as_str())),
        ("gateId", json!(scan.gate)),
        ("at", json!(scan.at.0)),
    ];
    members.extend(scan.flaw.map(|flaw| ("flaw", json!(flaw.as_str()))));
    members
}

/// What the city issued.
pub(crate) fn described_ticket(ticket: &Ticket) -> Value {
    json!({
        "class": ticket.class,
        "validFrom": ticket.valid_from.map(|at| at.0),
        "validUntil": ticket.valid_until.map(|at| at.0),
        "gates": ticket.gates,
        "issuedAt": ticket.issued_at.0,
        "revokedAt": ticket.revoked.as_ref().map(|(at, _)| at.0),
        "revokedReason": ticket.revoked.as_ref().map(|(_, reason)| reason),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    gate_id: String,
    scanned_at: Option<Number>,
}

pub(super) async fn claim(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    key: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match take(&app, principal, key, request).await {
        Ok(response) => response,
        Err(trouble) => trouble.into_response(),
    }
}

async fn take(
    app: &App,
    principal: Principal,
    key: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    if app.writer.is_full() {
        return Err(overloaded(app, Some(&principal.device)));
    }
    if principal.role == Role::Vendor {
        return Err(Trouble::new(StatusCode::FORBIDDEN, "gates-only", "Only gates and ops claim tickets")
            .detail("enrol the device with the role gate"));
    }
    app.claims.take(principal.device.clone(), clock::now()).map_err(|wait_s| {
        Trouble::new(StatusCode::TOO_MANY_REQUESTS, "too-many-claims", "Too many claims of this device")
            .detail("nothing was decided; the gate's own rules hold meanwhile, and its scans are taken")
            .retry_after_s(wait_s)
    })?;
    let ticket = key.ok().and_then(|Path(text)| Key::parse(&text).ok()).ok_or_else(|| {
        bad_request("bad-key", "This cannot be a ticket's id")
            .detail("a key is 1 to 128 printable ASCII characters and no personal data")
    })?;
    let event = EventId::from_bytes(idempotency_key(request.headers())?.to_bytes());
    let sent_at = number(request.headers(), headers::SENT_AT).map(UnixMillis);
    let Asked { gate_id, scanned_at } = read_small(request).await?;
    if gate_id.is_empty() || gate_id.chars().count() > limits::GATE_CHARS_MAX {
        return Err(bad_request("bad-request", "The gate has no name")
            .detail(format!("gateId is 1 to {} characters", limits::GATE_CHARS_MAX)));
    }
    let scanned_at = scanned_at.map(|at| {
        whole(&at).map(UnixMillis).ok_or_else(|| {
            bad_request("bad-request", "The time cannot be read")
                .detail("scannedAt is milliseconds since 1970")
        })
    });
    let scanned_at = scanned_at.transpose()?;
    let device = principal.device.clone();
    let request = city_domain::Request { principal, received: clock::now(), sent_at, window_ms: 0 };
    let claim = Claim { request, ticket, event, gate: gate_id, scanned_at };
    match app.writer.claim(claim).await {
        Ok(Ok(answered)) => Ok(answer(&answered)),
        Ok(Err(ClaimChanged)) => {
            Err(unprocessable("payload-changed", "The same key was sent for another ticket or gate")
                .detail("every scan has an Idempotency-Key of its own: the id of its event"))
        }
        Err(NotWritten::Full) => Err(overloaded(app, Some(&device))),
        Err(NotWritten::Storage) => Err(Trouble::storage()),
    }
}

fn answer(answered: &Answered) -> Response {
    let claimed = &answered.claimed;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("key", json!(claimed.ticket.as_str()));
    put("decision", json!(if claimed.refused.is_none() { "admit" } else { "refuse" }));
    if let Some(reason) = &claimed.refused {
        put("reason", json!(reason));
    }
    put("gateId", json!(claimed.gate));
    put("at", json!(claimed.at.0));
    if let Some((gate, at)) = &claimed.first {
        put("firstGateId", json!(gate));
        put("firstAt", json!(at.0));
    }
    let mut response = json(StatusCode::OK, &Value::Object(body));
    if answered.replayed {
        let name = HeaderName::from_static(headers::IDEMPOTENCY_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}
