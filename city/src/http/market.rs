//! `GET /v1/market`: the market's gates, stalls and menus, for whoever asks; a page keeps it and asks only what changed.

use super::App;
use super::problem::Trouble;
use crate::market::Published;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// It may be a minute old: a price that changes needs a city started anew.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

pub(super) async fn get(State(app): State<Arc<App>>, head: HeaderMap) -> Response {
    let Some(Published { text, tag }) = &app.market else {
        return Trouble::not_found("This city was told of no market")
            .detail("start it with --market FILE")
            .into_response();
    };
    let mut response = if knows(&head, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Whether the asker has this very text (RFC 9110, 13.1.2: compared weakly).
fn knows(head: &HeaderMap, tag: &str) -> bool {
    let given = head.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|own| own == "*" || own.strip_prefix("W/").unwrap_or(own) == tag)
}
