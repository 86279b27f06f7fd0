//! The city over HTTP: who may ask, what is answered, and that every answer proves whose it is.

mod auth;
mod authorizations;
mod board;
mod civic;
mod desk;
mod directory;
mod enrol;
mod events;
mod feed;
mod gate;
mod market;
mod ops;
mod pages;
mod poll;
mod problem;
mod query;
mod state;
mod tickets;
mod weather;

pub(crate) use auth::Peer;
pub(crate) use state::App;
pub(crate) use tickets::{described, described_ticket};
pub(crate) use weather::Severed;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use conch::wire::headers;
use problem::Trouble;
use std::sync::Arc;
use std::time::Instant;

/// An answer without the city's identity: only the bad weather makes one.
#[derive(Clone, Copy)]
struct Impostor;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let judged = Router::new()
        .route("/v1/events", post(events::post))
        .route("/v1/authorizations", post(authorizations::post))
        .route("/v1/edge", get(query::edge))
        .route("/v1/feed", get(feed::get))
        .route("/v1/gate", get(gate::get))
        .route("/v1/orders/{key}", get(query::order))
        .route("/v1/tickets/{key}", get(tickets::get))
        .route("/v1/tickets/{key}/claim", post(tickets::claim))
        .route("/v1/directory", get(directory::list).post(directory::register).delete(directory::withdraw))
        .route_layer(from_fn_with_state(app.clone(), auth::hear))
        .route_layer(from_fn_with_state(app.clone(), weather::blow));
    let ops = Router::new()
        .route("/metrics", get(ops::metrics))
        .route("/v1/dead-letters", get(ops::list))
        .route("/v1/dead-letters/{number}", get(ops::show))
        .route("/v1/dead-letters/{number}/redrive", post(ops::redrive))
        .route("/v1/dead-letters/{number}/discard", post(ops::discard))
        .route("/v1/orders", get(query::orders))
        .route("/v1/cases/{key}", get(ops::case))
        .route("/v1/sagas", get(ops::sagas))
        .route("/v1/sagas/{txn}", get(ops::saga))
        .route("/v1/sagas/{txn}/retry", post(ops::retry))
        .route("/v1/sagas/{txn}/settle", post(ops::settle))
        .route("/v1/devices/{device}/write-off", post(ops::write_off))
        .route("/v1/board", get(board::get))
        .route("/v1/circuits/{key}", get(ops::circuit))
        .route_layer(from_fn(ops::only))
        .route_layer(from_fn_with_state(app.clone(), auth::hear));
    let mut known = judged.merge(ops);
    if app.weather.is_some() {
        known = known
            .route("/v1/dev/weather", get(weather::list))
            .route("/v1/dev/weather/{device}", put(weather::set))
            .route("/v1/dev/acquirer", get(desk::faults).put(desk::set_faults))
            .route("/v1/dev/loads", post(desk::load));
    }
    known = known.route_layer(from_fn_with_state(app.clone(), auth::require));
    let mut open = Router::new()
        .route("/v1/enrol", post(enrol::with_code))
        .route("/v1/civic", post(civic::post))
        .route("/v1/civic/{case}", get(civic::get))
        .route("/v1/market", get(market::get))
        .route("/health", get(query::health))
        .route("/", get(pages::front))
        .route("/pages", get(pages::index));
    if app.weather.is_some() {
        open = open.route("/v1/dev/enrol", post(enrol::in_development));
    }
    if app.authority.is_some() {
        open = open.route("/v1/dev/certificate", get(pages::certificate));
    }
    known
        .merge(open)
        .fallback(pages::any)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(app.clone(), tell))
        .layer(from_fn_with_state(app.clone(), identify))
        .with_state(app)
}

/// `Allow` is added by the router.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Trouble::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This address does not take the method",
    )
    .into_response()
}

async fn identify(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.extensions().get::<Impostor>().is_none()
        && let Ok(id) = HeaderValue::from_str(&app.city.id.to_string())
    {
        response.headers_mut().insert(headers::CITY, id);
    }
    response
}

/// One line per request: the route's pattern, never the path, because keys stand in it.
async fn tell(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // A made-up method must not become a label for ever.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    app.metrics.answered(&method, &route, status, started.elapsed());
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let device =
        response.extensions().get::<auth::Asker>().map(|asker| asker.0.to_string()).unwrap_or_default();
    tracing::debug!(method, route, status, ms, device, "answered");
    response
}

/// A JSON answer that no cache may keep.
fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

/// A JSON text that is ready.
fn json_text(status: StatusCode, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Body::from(text)).into_response()
}
