//! Bad weather, in development only: what happens to a device's requests on the way, on purpose.

use super::enrol::read_small;
use super::problem::Trouble;
use super::{App, Impostor, json};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use city_domain::{Principal, Role, limits};
use conch::event::Device;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Marks an answer that never reaches its asker: the connection is closed in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Severed;

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Clear,
    /// The connection closes before the city did anything.
    DropRequest,
    /// The connection closes after the city did everything.
    DropAnswer,
    Delay,
    #[serde(rename = "status-503")]
    Status503,
    #[serde(rename = "status-429")]
    Status429,
    /// A portal answers in the city's place.
    CaptiveHtml,
}

/// The weather over one device.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sky {
    mode: Mode,
    /// How many requests it lasts; until cleared when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

/// Stands for every device without weather of its own.
const EVERYWHERE: &str = "*";

/// All weather, by device.
#[derive(Debug, Default)]
pub(crate) struct Weather(Mutex<BTreeMap<String, Sky>>);

impl Weather {
    fn set(&self, device: &str, sky: Sky) {
        let mut skies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sky.mode == Mode::Clear || sky.count == Some(0) {
            skies.remove(device);
        } else {
            skies.insert(device.to_owned(), sky);
        }
    }

    /// The weather the next request of a device meets; it counts as met.
    fn meet(&self, device: &Device) -> Option<Sky> {
        let mut skies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = if skies.contains_key(device.as_str()) { device.as_str() } else { EVERYWHERE };
        let sky = skies.get_mut(place)?;
        let met = *sky;
        if let Some(count) = &mut sky.count {
            *count -= 1;
            if *count == 0 {
                skies.remove(place);
            }
        }
        Some(met)
    }
}

pub(super) async fn blow(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    next: Next,
) -> Response {
    let Some(sky) = app.weather.as_ref().and_then(|weather| weather.meet(&principal.device)) else {
        return next.run(request).await;
    };
    let stormy = |status, code| {
        Trouble::new(status, code, "Bad weather")
            .retry_after_s(sky.retry_after_s.unwrap_or(1))
            .into_response()
    };
    match sky.mode {
        Mode::Clear => next.run(request).await,
        Mode::DropRequest => severed(),
        Mode::DropAnswer => {
            next.run(request).await;
            severed()
        }
        Mode::Delay => {
            let delay_ms = sky.delay_ms.unwrap_or(0).min(limits::WEATHER_DELAY_MS_MAX);
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            next.run(request).await
        }
        Mode::Status503 => stormy(StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        Mode::Status429 => stormy(StatusCode::TOO_MANY_REQUESTS, "too-many-requests"),
        Mode::CaptiveHtml => portal(),
    }
}

fn severed() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Severed);
    response
}

fn portal() -> Response {
    let page = "<!doctype html><title>Welcome</title><p>Please accept the terms to use this network.";
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    response.extensions_mut().insert(Impostor);
    response
}

pub(super) fn only_ops(principal: &Principal) -> Result<(), Trouble> {
    if principal.role == Role::Ops {
        return Ok(());
    }
    Err(Trouble::new(StatusCode::FORBIDDEN, "role-forbids", "Only ops may look after the weather"))
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Path(device): Path<String>,
    request: Request,
) -> Response {
    match changed(&app, &principal, &device, request).await {
        Ok(sky) => json(StatusCode::OK, &json!({ "device": device, "sky": sky })),
        Err(trouble) => trouble.into_response(),
    }
}

async fn changed(app: &App, principal: &Principal, device: &str, request: Request) -> Result<Sky, Trouble> {
    only_ops(principal)?;
    if device != EVERYWHERE && Device::parse(device).is_err() {
        return Err(Trouble::not_found("This cannot be a device's name"));
    }
    let sky: Sky = read_small(request).await?;
    if let Some(weather) = &app.weather {
        weather.set(device, sky);
    }
    tracing::info!(device, mode = ?sky.mode, count = sky.count, "the weather changed");
    Ok(sky)
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Response {
    if let Err(trouble) = only_ops(&principal) {
        return trouble.into_response();
    }
    let skies =
        app.weather.as_ref().map(|weather| weather.0.lock().unwrap_or_else(PoisonError::into_inner).clone());
    json(StatusCode::OK, &json!({ "weather": skies.unwrap_or_default() }))
}
