//! Questions: what the city offers, how an order or a ticket stands, whether it is well.

use super::ops::bad;
use super::problem::Trouble;
use super::{App, json};
use crate::clock;
use crate::sagas::described;
use crate::store;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use city_domain::{Order, limits};
use conch::event::Key;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) async fn edge(State(app): State<Arc<App>>) -> Response {
    let window_ms = app.pacer().window_ms();
    let offer = json!({
        "city": app.city.id.to_string(),
        "batch": { "maxEvents": limits::BATCH_EVENTS_MAX, "maxBytes": limits::BATCH_BYTES_MAX },
        "pace": { "windowMs": window_ms },
        "now": clock::now().0,
    });
    json(StatusCode::OK, &offer)
}

pub(super) async fn order(State(app): State<Arc<App>>, key: Result<Path<String>, PathRejection>) -> Response {
    let unknown = || Trouble::not_found("The city knows no such order").into_response();
    let Some(key) = key.ok().and_then(|Path(text)| Key::parse(&text).ok()) else { return unknown() };
    let found = app.readers.ask(move |connection| {
        store::order(connection, &key)?.map(|order| told(connection, order)).transpose()
    });
    match found.await {
        Ok(Some(order)) => json(StatusCode::OK, &order),
        Ok(None) => unknown(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
pub(super) struct Ending {
    ending: String,
}

/// For whoever is told the end of a number on the telephone.
pub(super) async fn orders(
    State(app): State<Arc<App>>,
    asked: Result<Query<Ending>, QueryRejection>,
) -> Response {
    let ending = asked.ok().map(|Query(Ending { ending })| ending);
    let Some(ending) = ending.filter(|text| {
        text.bytes().all(|sign| sign.is_ascii_graphic()) && limits::ORDER_ENDING.contains(&text.len())
    }) else {
        return bad("ending is the end of an order's number, four signs at least").into_response();
    };
    let found = app.readers.ask(move |connection| {
        let orders = store::orders_ending(connection, &ending, limits::ORDERS_FOUND_MAX)?;
        orders.into_iter().map(|order| told(connection, order)).collect::<Result<Vec<_>, _>>()
    });
    match found.await {
        Ok(orders) => json(StatusCode::OK, &json!({ "orders": orders })),
        Err(error) => failed(&error),
    }
}

/// An order with what went back of it.
fn told(connection: &Connection, order: Order) -> rusqlite::Result<Value> {
    let refunds = store::duplicates(connection, Some(&order.key), true, limits::DEAD_LETTERS_PAGE)?;
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("key", json!(order.key.as_str()));
    put("state", json!(order.state.as_str()));
    put("eventId", json!(order.event.to_string()));
    put("intent", json!(order.intent.to_string()));
    put("device", json!(order.device.as_str()));
    put("amount", json!(order.amount));
    put("currency", json!(order.currency));
    put("method", json!(order.method));
    if let Some(txn_id) = order.txn_id {
        put("txnId", json!(txn_id));
    }
    if let Some(reason) = order.reason {
        put("reason", json!(reason));
    }
    if !refunds.is_empty() {
        put("refunds", refunds.iter().map(described).collect());
    }
    put("at", json!(order.at.0));
    Ok(Value::Object(answer))
}

pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let gaps = match app.readers.ask(store::missing).await {
        Ok(gaps) => gaps,
        Err(error) => return failed(&error),
    };
    let answer = json!({
        "status": "ok",
        "city": app.city.id.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "queued": app.writer.queued(),
        "listening": app.listening.load(Ordering::Relaxed),
        "gaps": gaps,
    });
    json(StatusCode::OK, &answer)
}

pub(super) fn failed(error: &rusqlite::Error) -> Response {
    tracing::error!(%error, "a question could not be answered");
    Trouble::storage().into_response()
}
