//! `POST /v1/authorizations`: an amount is held for an order now, so that its capture can be commanded offline.
//!
//! The same `Idempotency-Key` is the same hold for ever. An answer the acquirer did not give is asked for again with the
//! same key; the city then queries what became of it and never asks for a second hold.

use super::enrol::{read_small, whole};
use super::events::idempotency_key;
use super::problem::Trouble;
use super::{App, json};
use crate::writer::NotWritten;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use city_domain::{Answer, Authorization, Begun, Hold, Principal, Role, Wish, limits};
use conch::event::{Device, IntentKey, Key};
use conch::wire::headers;
use serde::Deserialize;
use serde_json::{Number, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    order: String,
    amount: Number,
    currency: String,
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    match hold(&app, principal, request).await {
        Ok(response) => response,
        Err(trouble) => trouble.into_response(),
    }
}

async fn hold(app: &App, principal: Principal, request: Request) -> Result<Response, Trouble> {
    if principal.role == Role::Gate {
        return Err(Trouble::new(StatusCode::FORBIDDEN, "role-forbids-topic", "A gate takes no payments")
            .detail("enrol the device with the role vendor"));
    }
    let Some(gateway) = app.gateway.clone() else {
        return Err(Trouble::new(StatusCode::NOT_IMPLEMENTED, "no-acquirer", "This city has no acquirer")
            .detail("take cash, or what was confirmed elsewhere; start the city with --acquirer"));
    };
    let intent = idempotency_key(request.headers())?;
    let _claim = super::events::claim(app, &principal, intent)?;
    let device = principal.device.clone();
    let wish = wish(read_small(request).await?, principal, intent)?;
    let begun =
        app.writer.authorize(wish.clone()).await.map_err(|problem| not_written(app, &device, problem))?;
    let (authorization, replayed) = match begun {
        Begun::Known(authorization) => (authorization, true),
        Begun::Call(call) => {
            let asked = tokio::task::spawn_blocking(move || {
                let answer = gateway.make(&call);
                (call, answer)
            });
            // When it cannot even be asked, nothing is known.
            if let Ok((call, answer)) = asked.await
                && answer != Answer::Unknown
            {
                app.writer.answered(call, answer).await;
            }
            let stands =
                app.writer.standing(wish).await.map_err(|problem| not_written(app, &device, problem))?;
            (stands.ok_or_else(unknown)?, false)
        }
        other => return Err(refused(&other)),
    };
    Ok(answer(&authorization, replayed))
}

fn not_written(app: &App, device: &Device, problem: NotWritten) -> Trouble {
    match problem {
        NotWritten::Full => super::events::overloaded(app, Some(device)),
        NotWritten::Storage => Trouble::storage(),
    }
}

fn wish(asked: Asked, principal: Principal, intent: IntentKey) -> Result<Wish, Trouble> {
    let bad = |what: &str| {
        Trouble::new(StatusCode::BAD_REQUEST, "bad-request", "This cannot be authorized").detail(what)
    };
    let order =
        Key::parse(&asked.order).map_err(|_| bad("order: 1 to 128 characters without personal data"))?;
    let amount = whole(&asked.amount)
        .filter(|amount| *amount > 0)
        .ok_or_else(|| bad("amount: whole minor units, from 1 to 2^53 - 1"))?;
    if asked.currency.len() != 3 || !asked.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Err(bad("currency: three capital letters, as in ISO 4217"));
    }
    Ok(Wish { device: principal.device, intent, order, amount, currency: asked.currency })
}

/// The acquirer has not answered.
fn unknown() -> Trouble {
    Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "authorization-unknown", "The acquirer has not answered")
        .detail("send the same with the same idempotency-key: it is queried, and nothing is held twice")
        .retry_after_s(limits::IN_FLIGHT_RETRY_S)
}

fn refused(begun: &Begun) -> Trouble {
    let conflict = |code, title, detail: &str| Trouble::new(StatusCode::CONFLICT, code, title).detail(detail);
    match begun {
        Begun::AlreadyPaid => {
            conflict("already-paid", "The order is paid", "nothing is held for it; see GET /v1/orders/{key}")
        }
        Begun::PaymentPending => conflict(
            "payment-pending",
            "The order waits for the acquirer",
            "its outcome comes on the feed; nothing more is held for it",
        ),
        _ => Trouble::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key stands for something else",
        )
        .detail("another order, amount or currency needs a key of its own"),
    }
}

fn answer(authorization: &Authorization, replayed: bool) -> Response {
    let state = match authorization.hold {
        Hold::Declined => "declined",
        Hold::Cancelled => "cancelled",
        Hold::Asked | Hold::Authorized | Hold::Used => "authorized",
    };
    let body = json!({
        "authRef": authorization.reference,
        "state": state,
        "order": authorization.order.as_str(),
        "amount": authorization.amount,
        "currency": authorization.currency,
        "reason": authorization.reason,
        "expiresAt": authorization.expires.0,
    });
    let mut response = json(StatusCode::CREATED, &body);
    if replayed {
        let name = HeaderName::from_static(headers::IDEMPOTENCY_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}
