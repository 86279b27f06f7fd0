//! Who asks: a bearer token, looked up before anything of the body is read.

use super::App;
use super::problem::Trouble;
use crate::clock;
use crate::secret::hash;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use city_domain::{Principal, Role};
use conch::event::Device;
use std::net::IpAddr;
use std::sync::Arc;

/// The address a connection came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The device an answer is for, noted on it for the log.
#[derive(Clone, Debug)]
pub(super) struct Asker(pub(super) Device);

/// Lets only enrolled devices through, and tells the handlers who it is.
pub(super) async fn require(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers()).map(hash);
    let Some((token, principal)) = token.and_then(|token| Some((token, app.keys.find(&token)?))) else {
        return unauthenticated();
    };
    app.pacer().hear(&principal.device, clock::now());
    let asker = Asker(principal.device.clone());
    request.extensions_mut().insert::<Principal>(principal);
    let mut response = next.run(request).await;
    // A long poll may outlive its token, and what it has to tell is not for whoever lost it.
    if app.keys.find(&token).is_none() {
        response = unauthenticated();
    }
    response.extensions_mut().insert(asker);
    response
}

/// Notes who was heard. It lies beneath the weather: what is lost on its way was not heard.
pub(super) async fn hear(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    next: Next,
) -> Response {
    // A board that asks is no reason for boards to ask again.
    if app.presence.hear(&principal.device, clock::now()) && principal.role != Role::Ops {
        app.bells.ring_boards();
    }
    next.run(request).await
}

fn unauthenticated() -> Response {
    Trouble::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A valid token is needed")
        .detail("send authorization: Bearer <token>; POST /v1/enrol gives one for a one-time code")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
