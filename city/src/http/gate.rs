//! `GET /v1/gate`: what a gate must have at hand to judge tickets by itself: keys, policy, tickets taken back, and gates.
//!
//! Tickets are named by their digests, because an id opens gates. The list carries no earlier use: that comes on feeds.

use super::problem::Trouble;
use super::query::failed;
use super::{App, json_text};
use crate::clock;
use crate::store::{self, GateList};
use crate::ticket_code;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use city_domain::{Policy, Principal, Role, digest, limits};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    asked: HeaderMap,
) -> Response {
    if principal.role == Role::Vendor {
        return Trouble::new(StatusCode::FORBIDDEN, "gates-only", "Only gates and ops have this list")
            .detail("enrol the device with the role gate")
            .into_response();
    }
    let most = limits::GATE_LIST_TICKETS_MAX;
    match app.readers.ask(move |connection| store::gate_list(connection, most)).await {
        Ok(list) => answer(&list, &asked),
        Err(error) => failed(&error),
    }
}

/// The tag is of what the list says and not of when it was made, so that a gate learns with one line that it is still good.
fn answer(list: &GateList, asked: &HeaderMap) -> Response {
    let mut said = described(list);
    let tag = hex(Sha256::digest(Value::Object(said.clone()).to_string()).get(..16).unwrap_or_default());
    let tag = format!("\"{tag}\"");
    let held = asked.get(header::IF_NONE_MATCH).and_then(|held| held.to_str().ok()).unwrap_or_default();
    let mut response = if held.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        said.insert("listedAt".to_owned(), json!(clock::now().0));
        json_text(StatusCode::OK, Value::Object(said).to_string())
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn described(list: &GateList) -> Map<String, Value> {
    let keys = list
        .keys
        .iter()
        .map(|(number, secret)| json!({ "number": number, "public": hex(&ticket_code::public(secret)) }));
    let bound = list.bound.iter().map(|(ticket, gates)| json!({ "digest": digest(ticket), "gates": gates }));
    let policy = match list.policy {
        Policy::Any => "any",
        Policy::Known => "known",
    };
    Map::from_iter([
        ("policy".to_owned(), json!(policy)),
        ("keys".to_owned(), keys.collect()),
        ("revoked".to_owned(), list.revoked.iter().map(|ticket| json!(digest(ticket))).collect()),
        ("bound".to_owned(), bound.collect()),
        ("complete".to_owned(), json!(list.complete)),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
