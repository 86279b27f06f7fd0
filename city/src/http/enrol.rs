//! How a device gets its credential: with a one-time code, or at its word while the city runs in development.

use super::auth::Peer;
use super::problem::Trouble;
use super::{App, json};
use crate::clock;
use crate::secret::hash_code;
use crate::writer::{Enrolment, NotWritten, Proof};
use axum::body::to_bytes;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use city_domain::{Role, limits};
use conch::event::Device;
use conch::limits::SAFE_INTEGER_MAX;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, json};
use std::sync::Arc;
use std::time::Duration;

#[derive(Deserialize)]
struct WithCode {
    code: String,
    device: String,
}

#[derive(Deserialize)]
struct InDevelopment {
    device: String,
    role: String,
}

pub(super) async fn with_code(
    State(app): State<Arc<App>>,
    Extension(Peer(address)): Extension<Peer>,
    request: Request,
) -> Response {
    if let Err(wait_s) = app.enrolments.take(address, clock::now()) {
        return Trouble::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", "Too many tries to enrol")
            .retry_after_s(wait_s)
            .into_response();
    }
    let asked: WithCode = match read_small(request).await {
        Ok(asked) => asked,
        Err(trouble) => return trouble.into_response(),
    };
    let Some(device) = parse_device(&asked.device) else { return bad_device().into_response() };
    enrol(&app, Enrolment { device, proof: Proof::Code(hash_code(&asked.code)) }).await
}

pub(super) async fn in_development(State(app): State<Arc<App>>, request: Request) -> Response {
    let asked: InDevelopment = match read_small(request).await {
        Ok(asked) => asked,
        Err(trouble) => return trouble.into_response(),
    };
    let Some(device) = parse_device(&asked.device) else { return bad_device().into_response() };
    let Some(role) = Role::parse(&asked.role) else {
        return Trouble::new(StatusCode::BAD_REQUEST, "bad-role", "There is no such role")
            .detail("role is gate, vendor or ops")
            .into_response();
    };
    enrol(&app, Enrolment { device, proof: Proof::Development(role) }).await
}

async fn enrol(app: &App, enrolment: Enrolment) -> Response {
    let enrolled = match app.writer.enrol(enrolment).await {
        Ok(Some(enrolled)) => enrolled,
        Ok(None) => {
            return Trouble::new(StatusCode::FORBIDDEN, "code-refused", "The code does not open anything")
                .detail("it is mistyped, used, expired or for another device; ask for a new one")
                .into_response();
        }
        Err(NotWritten::Full | NotWritten::Storage) => return Trouble::storage().into_response(),
    };
    let principal = enrolled.principal;
    tracing::info!(device = %principal.device, role = principal.role.as_str(), "a device enrolled");
    let answer = json!({
        "device": principal.device.as_str(),
        "role": principal.role.as_str(),
        "token": enrolled.token,
    });
    json(StatusCode::CREATED, &answer)
}

fn parse_device(text: &str) -> Option<Device> {
    Device::parse(text).ok()
}

fn bad_device() -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "bad-device", "This cannot be a device's name")
        .detail("a device is 1 to 64 of a-z, 0-9 and -")
}

/// Reads a small JSON body. The content type is required: a page of another origin cannot send it unasked.
pub(super) async fn read_small<T: DeserializeOwned>(request: Request) -> Result<T, Trouble> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(Trouble::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body must be JSON")
            .detail("send content-type: application/json"));
    }
    let limit = Duration::from_millis(limits::BODY_TIMEOUT_MS);
    let read = tokio::time::timeout(limit, to_bytes(body, limits::SMALL_BYTES_MAX)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or_else(|| {
        Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large or too slow")
    })?;
    serde_json::from_slice(&bytes).map_err(|_| {
        Trouble::new(StatusCode::BAD_REQUEST, "bad-request", "The body is not what is expected here")
            .detail("see the description of this address for its members")
    })
}

/// A whole number from 0 to 2^53 - 1. `12000.0` is one as well: JSON has no other numbers, and some languages write all of
/// theirs with a point.
pub(super) fn whole(number: &Number) -> Option<u64> {
    let fits = |number: &f64| number.fract() == 0.0 && (0.0..=SAFE_INTEGER_MAX as f64).contains(number);
    let whole = number.as_u64().or_else(|| number.as_f64().filter(fits).map(|number| number as u64))?;
    (whole <= SAFE_INTEGER_MAX).then_some(whole)
}

fn is_json(head: &HeaderMap) -> bool {
    let kind = head.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json")
}
