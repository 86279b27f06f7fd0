//! The levers of development besides the weather: the simulated acquirer's faults, and what a stall draws.

use super::enrol::read_small;
use super::ops::bad;
use super::problem::Trouble;
use super::weather::only_ops;
use super::{App, json};
use crate::clock;
use acquirer::{Faults, Lever};
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use city_domain::bus::Message;
use city_domain::{Fault, Principal, Tx, limits};
use conch::event::{Device, EventId, Key, time};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// `double=0.2,latency-ms=5-80`; nothing takes them all away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    faults: String,
}

fn simulated(app: &App) -> Result<&Lever, Trouble> {
    app.simulated.as_ref().ok_or_else(|| Trouble::not_found("No simulated acquirer moves money here"))
}

pub(super) async fn faults(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Response, Trouble> {
    only_ops(&principal)?;
    let faults = simulated(&app)?.faults().to_string();
    Ok(json(StatusCode::OK, &json!({ "faults": faults })))
}

pub(super) async fn set_faults(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Trouble> {
    only_ops(&principal)?;
    let lever = simulated(&app)?;
    let Wanted { faults } = read_small(request).await?;
    let read: Faults = faults.parse().map_err(|problem| bad(format!("`faults`: {problem}")))?;
    lever.set(read);
    tracing::info!(faults, "the simulated acquirer's faults changed");
    Ok(json(StatusCode::OK, &json!({ "faults": read.to_string() })))
}

/// What a stall is to say that it draws.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    circuit: String,
    stall: String,
    watts: u64,
}

/// Says a load in a stall's name, as its own report would go onto the bus.
pub(super) async fn load(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Trouble> {
    only_ops(&principal)?;
    let Report { circuit, stall, watts } = read_small(request).await?;
    let (Ok(key), Ok(device)) = (Key::parse(&circuit), Device::parse(&stall)) else {
        return Err(bad("`circuit` is a key and `stall` a device"));
    };
    if app.plan.of(&key).is_none() || watts > limits::WATTS_MAX {
        return Err(bad(format!("`circuit` is one of the plan, `watts` at most {}", limits::WATTS_MAX)));
    }
    let said = app.writer.perform(move |tx, _, entropy| {
        let now = clock::now();
        let body = json!({
            "specversion": "1.0", "id": EventId::mint(now, entropy()).to_string(),
            "source": format!("conch://device/{device}/desk"), "type": "ops.power.v1.load_reported",
            "time": time::to_rfc3339(now), "partitionkey": key.as_str(), "data": { "watts": watts },
        });
        let message = Message::read(body.to_string());
        tx.put_outgoing(&message.ok_or_else(|| Fault("the report is no event".to_owned()))?)
    });
    said.await.map_err(|_| Trouble::storage())?;
    tracing::info!(circuit, stall, watts, "a load was said in a stall's name");
    Ok(json(StatusCode::ACCEPTED, &json!({ "circuit": circuit, "stall": stall, "watts": watts })))
}
