//! For the people who run the market: dead letters, cases and what is counted.

use super::enrol::read_small;
use super::problem::Trouble;
use super::query::failed;
use super::{App, json};
use crate::clock;
use crate::letters::described;
use crate::sagas;
use crate::store;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use city_domain::bus::{Decision, Failure, NotDecided, Turn};
use city_domain::{
    Fault, Load, NotWrittenOff, Principal, RefundDecision, RefundNotDecided, Role, decide_refund, limits,
};
use conch::event::json::Json;
use conch::event::{Device, Key, time};
use conch::pace::Jitter;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lets only ops through.
pub(super) async fn only(
    Extension(principal): Extension<Principal>,
    request: Request,
    next: Next,
) -> Response {
    if principal.role == Role::Ops {
        return next.run(request).await;
    }
    Trouble::new(StatusCode::FORBIDDEN, "ops-only", "Only the people who run the market may do this")
        .detail("enrol the device with the role ops")
        .into_response()
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut levels = match app.readers.ask(store::levels).await {
        Ok(levels) => levels,
        Err(error) => return failed(&error),
    };
    levels.queued = app.writer.queued() as u64;
    levels.listening = app.listening.load(std::sync::atomic::Ordering::Relaxed) as u64;
    match app.metrics.text(&levels) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], Body::from(text)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    fingerprint: Option<String>,
    #[serde(default)]
    all: bool,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(wanted)) = wanted else {
        return bad("the query takes fingerprint, all=true and limit").into_response();
    };
    let limit = wanted.limit.unwrap_or(limits::DEAD_LETTERS_PAGE).min(limits::DEAD_LETTERS_PAGE);
    let found = app.readers.ask(move |connection| {
        store::dead_letters(connection, wanted.fingerprint.as_deref(), wanted.all, limit)
    });
    match found.await {
        Ok(letters) => {
            let letters: Vec<Value> = letters.iter().map(described).collect();
            json(StatusCode::OK, &json!({ "deadLetters": letters }))
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn show(State(app): State<Arc<App>>, number: Result<Path<u64>, PathRejection>) -> Response {
    let Ok(Path(number)) = number else { return missing().into_response() };
    match app.readers.ask(move |connection| store::dead_letter(connection, number)).await {
        Ok(Some(letter)) => json(StatusCode::OK, &described(&letter)),
        Ok(None) => missing().into_response(),
        Err(error) => failed(&error),
    }
}

pub(super) async fn redrive(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    number: Result<Path<u64>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    let (number, Word { reason, payload }) = (number.map_err(|_| missing())?.0, read_small(request).await?);
    let payload = payload.map(|payload| Json::parse_payload(&payload.to_string())).transpose();
    let payload = payload.map_err(|problem| bad(format!("the payload is {}", problem.what)))?;
    let decision = Decision::Redrive { payload, due: clock::now() };
    decided(&app, &principal, number, decision, reason).await
}

pub(super) async fn discard(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    number: Result<Path<u64>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    let (number, Word { reason, .. }) = (number.map_err(|_| missing())?.0, read_small(request).await?);
    decided(&app, &principal, number, Decision::Discard, reason).await
}

/// Refunds of money that moved twice: the open ones, or all.
pub(super) async fn sagas(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(wanted)) = wanted else { return bad("the query takes all=true and limit").into_response() };
    let limit = wanted.limit.unwrap_or(limits::DEAD_LETTERS_PAGE).min(limits::DEAD_LETTERS_PAGE);
    match app.readers.ask(move |connection| store::duplicates(connection, None, wanted.all, limit)).await {
        Ok(found) => {
            let sagas: Vec<Value> = found.iter().map(sagas::described).collect();
            json(StatusCode::OK, &json!({ "sagas": sagas }))
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn saga(State(app): State<Arc<App>>, txn: Result<Path<String>, PathRejection>) -> Response {
    let unknown = || Trouble::not_found("Nothing moved twice under this reference").into_response();
    let Ok(Path(txn)) = txn else { return unknown() };
    match app.readers.ask(move |connection| store::refund(connection, &txn)).await {
        Ok(Some(story)) => json(StatusCode::OK, &sagas::told(&story)),
        Ok(None) => unknown(),
        Err(error) => failed(&error),
    }
}

pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    txn: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    refund_decided(&app, &principal, txn, RefundDecision::Retry, request).await
}

pub(super) async fn settle(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    txn: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    refund_decided(&app, &principal, txn, RefundDecision::Settle, request).await
}

/// What a person decided about a refund that is stuck.
async fn refund_decided(
    app: &App,
    principal: &Principal,
    txn: Result<Path<String>, PathRejection>,
    decision: RefundDecision,
    request: Request,
) -> Result<Response, Trouble> {
    let unknown = || Trouble::not_found("Nothing moved twice under this reference");
    let (Path(txn), Reason { reason }) = (txn.map_err(|_| unknown())?, read_small(request).await?);
    let (by, asked) = (principal.device.to_string(), txn.clone());
    let taken = app.writer.perform(move |tx, city, entropy| {
        let seed = u64::from_be_bytes(entropy().first_chunk().copied().unwrap_or_default());
        let mut jitter = Jitter::new(seed);
        let mut turn = Turn::new(city, clock::now(), entropy, &mut jitter);
        let taken = decide_refund(tx, &asked, decision, (&by, &reason), &mut turn);
        let taken = taken.map_err(|failure| match failure {
            Failure::Storage(fault) => fault,
            Failure::Never(problem) | Failure::Later(problem) => Fault(problem.detail),
        })?;
        Ok((taken, turn.told))
    });
    let (taken, told) = taken.await.map_err(|_| Trouble::storage())?;
    told.iter().for_each(|device| app.bells.ring(device));
    match taken {
        Ok(duplicate) => Ok(json(StatusCode::OK, &sagas::described(&duplicate))),
        Err(RefundNotDecided::Missing) => Err(unknown()),
        Err(RefundNotDecided::Reason) => {
            Err(bad(format!("`reason` is 1 to {} characters: it is kept", limits::REASON_CHARS_MAX)))
        }
        Err(RefundNotDecided::Stands(state)) => {
            Err(Trouble::new(StatusCode::CONFLICT, "decided", "This is not for a person to decide now")
                .detail(format!("the refund is {}: it goes by itself or is over", state.as_str())))
        }
    }
}

/// Gives up what never came from a device.
pub(super) async fn write_off(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    device: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Trouble> {
    let unknown = || Trouble::not_found("Nothing of such a device is missing");
    let device = device.ok().and_then(|Path(name)| Device::parse(&name).ok()).ok_or_else(unknown)?;
    let Reason { reason } = read_small(request).await?;
    let (by, asked) = (principal.device.to_string(), device.clone());
    let taken = app.writer.perform(move |tx, city, entropy| {
        city_domain::write_off(tx, city, &asked, (&by, &reason), clock::now(), entropy)
    });
    match taken.await.map_err(|_| Trouble::storage())? {
        Ok(missing) => {
            tracing::warn!(%device, missing, by = %principal.device, "what never came was given up");
            Ok(json(StatusCode::OK, &json!({ "device": device.as_str(), "writtenOff": missing })))
        }
        Err(NotWrittenOff::NothingMissing) => Err(unknown()),
        Err(NotWrittenOff::Reason) => {
            Err(bad(format!("`reason` is 1 to {} characters: it is kept", limits::REASON_CHARS_MAX)))
        }
    }
}

/// Why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

/// Why, and what takes the payload's place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    reason: String,
    payload: Option<Value>,
}

async fn decided(
    app: &App,
    principal: &Principal,
    number: u64,
    decision: Decision,
    reason: String,
) -> Result<Response, Trouble> {
    let taken = app.writer.decide(number, decision, (principal.device.to_string(), reason)).await;
    match taken.map_err(|_| Trouble::storage())? {
        Ok(letter) => Ok(json(StatusCode::OK, &described(&letter))),
        Err(NotDecided::Missing) => Err(missing()),
        Err(NotDecided::Reason) => {
            Err(bad(format!("`reason` is 1 to {} characters: it is kept", limits::REASON_CHARS_MAX)))
        }
        Err(NotDecided::TooLarge) => {
            Err(bad(format!("with this payload the event is larger than {} bytes", limits::EVENT_BYTES_MAX)))
        }
        Err(NotDecided::Closed(closing)) => {
            let what = if closing.redriven { "sent again" } else { "given up" };
            let at = time::to_rfc3339(closing.at);
            Err(Trouble::new(StatusCode::CONFLICT, "decided", "This dead letter was decided about before")
                .detail(format!("{what} by {} at {at}", closing.by)))
        }
        Err(NotDecided::Gone) => {
            Err(Trouble::new(StatusCode::GONE, "gone", "The event is no longer kept").detail("discard it"))
        }
    }
}

pub(super) async fn case(State(app): State<Arc<App>>, key: Result<Path<String>, PathRejection>) -> Response {
    let unknown = || Trouble::not_found("The city knows no such case").into_response();
    let Some(key) = key.ok().and_then(|Path(text)| Key::parse(&text).ok()) else { return unknown() };
    let found = app
        .readers
        .ask(move |connection| Ok((store::case(connection, &key)?, store::contacts(connection, &key)?)));
    match found.await {
        Ok((Some(case), contacts)) => json(
            StatusCode::OK,
            &json!({
                "key": case.key.as_str(), "kind": case.kind, "place": case.place, "unit": case.unit,
                "state": case.state.as_str(), "reports": case.reports, "due": case.due.0,
                "resolveBy": case.resolve_by.map(|at| at.0), "escalated": case.escalated, "contacts": contacts,
                "reportedAt": case.reported_at.0, "changedAt": case.changed_at.0,
            }),
        ),
        Ok((None, _)) => unknown(),
        Err(error) => failed(&error),
    }
}

/// What the stalls of a circuit draw, what it bears, and who is shed.
pub(super) async fn circuit(
    State(app): State<Arc<App>>,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Trouble> {
    let unknown = || Trouble::not_found("The city knows no such circuit");
    let key = key.ok().and_then(|Path(text)| Key::parse(&text).ok()).ok_or_else(unknown)?;
    let asked = key.clone();
    let loads = match app.readers.ask(move |connection| store::loads(connection, &asked)).await {
        Ok(loads) => loads,
        Err(error) => return Ok(failed(&error)),
    };
    let planned = app.plan.of(&key);
    if planned.is_none() && loads.is_empty() {
        return Err(unknown());
    }
    let drawn: u64 = loads.iter().map(|load| load.drawn).sum();
    let stall = |load: &Load| {
        json!({
            "stall": load.stall.as_str(), "drawnWatts": load.drawn, "wantedWatts": load.watts, "at": load.at.0,
            "importance": planned.map(|circuit| circuit.importance(&load.stall)),
            "shed": load.shed_at.is_some(), "shedAt": load.shed_at.map(|at| at.0),
        })
    };
    Ok(json(
        StatusCode::OK,
        &json!({
            "circuit": key.as_str(), "limitWatts": planned.map(|circuit| circuit.limit_watts), "drawnWatts": drawn,
            "stalls": loads.iter().map(stall).collect::<Vec<_>>(),
        }),
    ))
}

fn missing() -> Trouble {
    Trouble::not_found("There is no such dead letter")
}

pub(super) fn bad(detail: impl Into<String>) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood").detail(detail)
}
