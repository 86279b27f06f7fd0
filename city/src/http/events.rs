//! `POST /v1/events`: one event or a batch in, a verdict for each out.
//!
//! What is cheap comes first: token, queue, content type, length and key are looked at before a byte of the body is
//! read, and the body is read within its limits before any of it is parsed.

use super::problem::Trouble;
use super::{App, json_text};
use crate::clock;
use crate::writer::{Delivery, NotWritten, Outbox};
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use city_domain::{Examined, Judged, Owed, Principal, StaleEpoch, limits};
use conch::event::json::Json;
use conch::event::{Device, IntentKey, UnixMillis};
use conch::wire::headers;
use std::sync::Arc;
use std::time::Duration;

/// The two forms a request has.
#[derive(Clone, Copy)]
enum Form {
    /// One event under the idempotency key of the header.
    Single(IntentKey),
    Batch,
}

impl Form {
    fn bytes_max(self) -> usize {
        match self {
            Self::Single(_) => limits::EVENT_BYTES_MAX,
            Self::Batch => limits::BATCH_BYTES_MAX,
        }
    }
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    match take(&app, principal, request).await {
        Ok(response) => response,
        Err(trouble) => trouble.into_response(),
    }
}

async fn take(app: &App, principal: Principal, request: Request) -> Result<Response, Trouble> {
    if app.writer.is_full() {
        return Err(overloaded(app, Some(&principal.device)));
    }
    let (parts, body) = request.into_parts();
    let form = form(&parts.headers)?;
    let text = read_body(&parts.headers, body, form.bytes_max()).await?;
    let received = clock::now();
    let json = Json::parse(&text).map_err(|problem| {
        bad_request("not-json", "The body is not JSON")
            .detail(format!("at byte {}: {}", problem.at, problem.what))
    })?;
    drop(text);
    let events = examine(&json, form, &principal)?;
    drop(json);
    let _claim = match form {
        Form::Single(key) => Some(claim(app, &principal, key)?),
        Form::Batch => None,
    };
    let window_ms = app.pacer().window_ms();
    let sent_at = number(&parts.headers, headers::SENT_AT).map(UnixMillis);
    tell_skew(&principal, sent_at, received);
    let device = principal.device.clone();
    let request = city_domain::Request { principal, received, sent_at, window_ms };
    let outbox = outbox(&parts.headers);
    let judged = match app.writer.deliver(Delivery { request, events, outbox }).await {
        Ok(Ok(judged)) => judged,
        Ok(Err(StaleEpoch { highest })) => return Err(stale(highest)),
        Err(NotWritten::Full) => return Err(overloaded(app, Some(&device))),
        Err(NotWritten::Storage) => return Err(Trouble::storage()),
    };
    for one in &judged {
        app.metrics.judged(one);
    }
    answer(form, &judged, window_ms)
}

pub(super) fn bad_request(code: &'static str, title: &'static str) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, code, title)
}

pub(super) fn unprocessable(code: &'static str, title: &'static str) -> Trouble {
    Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, code, title)
}

/// A slot instead of one constant, so that those who are turned away do not all return together.
pub(super) fn overloaded(app: &App, device: Option<&Device>) -> Trouble {
    let wait_ms = app.pacer().slot_ms(device, clock::now(), app.writer.queued());
    Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The city is busy")
        .detail("nothing was taken; come back as told")
        .slot_ms(wait_ms)
}

fn stale(highest: u64) -> Trouble {
    Trouble::new(StatusCode::CONFLICT, "stale-epoch", "Another context of this device leads now")
        .detail(format!("epoch {highest} has spoken; nothing was taken"))
        .retry_after_s(limits::STALE_EPOCH_RETRY_S)
}

fn form(head: &HeaderMap) -> Result<Form, Trouble> {
    let kind = head.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        headers::EVENT => idempotency_key(head).map(Form::Single),
        headers::BATCH => Ok(Form::Batch),
        _ => Err(Trouble::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "Events come as CloudEvents in JSON",
        )
        .detail(format!("send {} or {}", headers::EVENT, headers::BATCH))),
    }
}

pub(super) fn idempotency_key(head: &HeaderMap) -> Result<IntentKey, Trouble> {
    let mut values = head.get_all(headers::IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Err(bad_request("idempotency-key-missing", "One event needs an Idempotency-Key")
            .detail("send idempotency-key: \"<the event's idempotencykey>\""));
    };
    let malformed = || {
        bad_request("idempotency-key-malformed", "The Idempotency-Key cannot be read")
            .detail("it is one quoted UUID, the event's idempotencykey")
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    value.to_str().ok().and_then(IntentKey::parse).ok_or_else(malformed)
}

async fn read_body(head: &HeaderMap, body: Body, most: usize) -> Result<String, Trouble> {
    let too_large = || {
        Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            .detail(format!("at most {most} bytes"))
    };
    let announced =
        head.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(
        Duration::from_millis(limits::BODY_TIMEOUT_MS),
        to_bytes(body, most),
    )
    .await
    {
        Err(_) => {
            return Err(Trouble::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The body came too slowly",
            ));
        }
        // Reading fails beyond the limit, or because the sender went away and hears no answer anyway.
        Ok(Err(_)) => return Err(too_large()),
        Ok(Ok(bytes)) => bytes,
    };
    String::from_utf8(bytes.into())
        .map_err(|_| bad_request("not-json", "The body is not JSON").detail("it is not UTF-8"))
}

fn examine(json: &Json, form: Form, principal: &Principal) -> Result<Vec<Examined>, Trouble> {
    match form {
        Form::Single(key) => examine_one(json, key, principal).map(|event| vec![event]),
        Form::Batch => examine_all(json, principal),
    }
}

fn examine_one(json: &Json, key: IntentKey, principal: &Principal) -> Result<Examined, Trouble> {
    let unreadable = || bad_request("unreadable-event", "Not an event the city can read");
    let event = Examined::read(json, principal).ok_or_else(|| unreadable().detail("id: must be a UUID"))?;
    if let Some(refusal) = event.unreadable() {
        return Err(unreadable().detail(refusal.problem().detail));
    }
    if event.intent().is_some_and(|own| own != key) {
        return Err(unprocessable("idempotency-key-mismatch", "The Idempotency-Key is not the event's")
            .detail("the header must equal the event's idempotencykey"));
    }
    Ok(event)
}

fn examine_all(json: &Json, principal: &Principal) -> Result<Vec<Examined>, Trouble> {
    let elements =
        json.as_array().ok_or_else(|| bad_request("not-a-batch", "A batch is a JSON array of events"))?;
    if elements.len() > limits::BATCH_EVENTS_MAX {
        return Err(Trouble::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-many-events",
            "The batch has too many events",
        )
        .detail(format!("at most {}", limits::BATCH_EVENTS_MAX)));
    }
    let read = |(index, element)| {
        Examined::read(element, principal).ok_or_else(|| {
            bad_request("unreadable-event", "An element of the batch has no readable id")
                .detail(format!("element {index}: no verdict could name it; nothing was taken"))
        })
    };
    elements.iter().enumerate().map(read).collect()
}

pub(super) fn claim<'a>(
    app: &'a App,
    principal: &Principal,
    key: IntentKey,
) -> Result<super::state::InFlightGuard<'a>, Trouble> {
    app.in_flight.claim(&principal.device, key).ok_or_else(|| {
        Trouble::new(StatusCode::CONFLICT, "in-flight", "The same key is being worked on")
            .detail("ask again; the answer will be there")
            .retry_after_s(limits::IN_FLIGHT_RETRY_S)
    })
}

pub(super) fn number(head: &HeaderMap, name: &str) -> Option<u64> {
    let text = head.get(name)?.to_str().ok()?.trim();
    text.parse().ok().filter(|number| *number <= conch::limits::SAFE_INTEGER_MAX)
}

/// A header that cannot be read is as good as none: nothing about the events depends on it.
fn outbox(head: &HeaderMap) -> Outbox {
    let text = |name| head.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let tombstones = text(headers::TOMBSTONES)
        .unwrap_or("")
        .split(',')
        .filter_map(|sequence| sequence.trim().parse().ok())
        .filter(|sequence| (1..=conch::limits::SAFE_INTEGER_MAX).contains(sequence))
        .take(limits::TOMBSTONES_MAX)
        .collect();
    Outbox {
        epoch: number(head, headers::EPOCH),
        owed: text(headers::OWED).and_then(Owed::parse),
        tombstones,
    }
}

fn tell_skew(principal: &Principal, sent_at: Option<UnixMillis>, received: UnixMillis) {
    let Some(sent_at) = sent_at else { return };
    let skew_ms = sent_at.0.abs_diff(received.0);
    if skew_ms > limits::CLOCK_SKEW_TOLD_MS {
        let ahead = sent_at > received;
        tracing::warn!(device = %principal.device, skew_ms, ahead, "a device's clock is wrong; times are corrected");
    }
}

fn answer(form: Form, judged: &[Judged], window_ms: u64) -> Result<Response, Trouble> {
    let (Form::Single(_), [one]) = (form, judged) else {
        return Ok(json_text(StatusCode::OK, verdicts(judged, window_ms)));
    };
    if one.is_key_reuse() {
        let detail = one.verdict.problem.as_ref().map(|problem| problem.detail.clone()).unwrap_or_default();
        let payload_changed =
            one.verdict.problem.as_ref().is_some_and(|problem| problem.code() == "payload-changed");
        let (code, title) = if payload_changed {
            ("payload-changed", "The event changed after it was sent")
        } else {
            ("intent-conflict", "The same intent with another meaning")
        };
        return Err(unprocessable(code, title).detail(detail));
    }
    let mut response = json_text(StatusCode::ACCEPTED, verdicts(judged, one.window_ms));
    if one.replayed {
        let name = HeaderName::from_static(headers::IDEMPOTENCY_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn verdicts(judged: &[Judged], window_ms: u64) -> String {
    let mut body = String::from("{\"verdicts\":[");
    for (index, Judged { verdict, .. }) in judged.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&format!("{{\"id\":\"{}\",\"verdict\":\"{}\"", verdict.id, verdict.word.as_str()));
        if let Some(problem) = &verdict.problem {
            body.push_str(",\"problem\":");
            body.push_str(&problem.to_json());
        }
        if let Some(wait) = verdict.retry_after_ms {
            body.push_str(&format!(",\"retryAfterMs\":{wait}"));
        }
        body.push('}');
    }
    body.push_str(&format!("],\"pace\":{{\"windowMs\":{window_ms}}}}}"));
    body
}
