//! `POST /v1/civic`: the public form, and `GET /v1/civic/{case}`: how a case stands. Both without a token.

use super::auth::Peer;
use super::enrol::read_small;
use super::events::overloaded;
use super::problem::Trouble;
use super::query::failed;
use super::{App, json};
use crate::throttle::Throttle;
use crate::writer::NotWritten;
use crate::{clock, store};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use city_domain::{Form, FormProblem, file_form};
use conch::event::Key;
use conch::limits::KEY_CHARS_MAX;
use conch::wire::headers;
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    place: String,
    note: Option<String>,
    contact: Option<String>,
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(Peer(address)): Extension<Peer>,
    request: Request,
) -> Result<Response, Trouble> {
    throttled(&app.forms, address)?;
    let key = idempotency_key(request.headers())?;
    let Written { kind, place, note, contact } = read_small(request).await?;
    let form = Form::read(&kind, &place, note.as_deref(), contact.as_deref()).map_err(not_taken)?;
    let (rules, now) = (app.rules.clone(), clock::now());
    let filed = app.writer.perform(move |tx, city, entropy| {
        let address = address.to_string();
        let asker = key.as_deref().map(|key| (address.as_str(), key));
        file_form(tx, (city, &rules), &form, asker, now, entropy)
    });
    let filed = match filed.await {
        Ok(filed) => filed.map_err(not_taken)?,
        Err(NotWritten::Full) => return Err(overloaded(&app, None)),
        Err(NotWritten::Storage) => return Err(Trouble::storage()),
    };
    let answer = json!({ "case": filed.case.as_str(), "unit": filed.unit, "known": filed.known });
    let mut response = json(StatusCode::ACCEPTED, &answer);
    if filed.replayed {
        let name = HeaderName::from_static(headers::IDEMPOTENCY_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// How a case stands, for anybody who knows its name: nothing of what was reported.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(Peer(address)): Extension<Peer>,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Trouble> {
    throttled(&app.case_questions, address)?;
    let unknown = || Trouble::not_found("The city knows no such case");
    let key = key.ok().and_then(|Path(text)| Key::parse(&text).ok()).ok_or_else(unknown)?;
    let asked = key.clone();
    let found = app
        .readers
        .ask(move |connection| Ok((store::case(connection, &asked)?, store::filed(connection, &asked)?)));
    match found.await {
        Ok((Some(case), _)) => Ok(json(
            StatusCode::OK,
            &json!({ "case": key.as_str(), "state": case.state.as_str(), "unit": case.unit }),
        )),
        // The service has not seen its first report yet.
        Ok((None, true)) => Ok(json(StatusCode::OK, &json!({ "case": key.as_str(), "state": "received" }))),
        Ok((None, false)) => Err(unknown()),
        Err(error) => Ok(failed(&error)),
    }
}

fn throttled(throttle: &Throttle, address: IpAddr) -> Result<(), Trouble> {
    throttle.take(address, clock::now()).map_err(|wait_s| {
        Trouble::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests from this address",
        )
        .retry_after_s(wait_s)
    })
}

/// A string in quotes, as the draft has it.
fn idempotency_key(head: &HeaderMap) -> Result<Option<String>, Trouble> {
    let mut values = head.get_all(headers::IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).unwrap_or_default();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    if values.next().is_some() || inner.is_empty() || inner.len() > KEY_CHARS_MAX || inner.contains('"') {
        return Err(Trouble::new(
            StatusCode::BAD_REQUEST,
            "idempotency-key-malformed",
            "The Idempotency-Key cannot be read",
        )
        .detail(format!("it is one quoted text of 1 to {KEY_CHARS_MAX} characters")));
    }
    Ok(Some(inner.to_owned()))
}

fn not_taken(problem: FormProblem) -> Trouble {
    match problem {
        FormProblem::Member(name, most) => {
            Trouble::new(StatusCode::BAD_REQUEST, "bad-form", "The form cannot be taken")
                .detail(format!("{name} is 1 to {most} characters"))
        }
        FormProblem::KeyReused => Trouble::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payload-changed",
            "The same Idempotency-Key with another report",
        )
        .detail("a second report needs a key of its own"),
    }
}
