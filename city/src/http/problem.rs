//! Errors as RFC 9457 problem documents, each with a code that outlives its wording.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use conch::wire::{Problem, headers};
use std::fmt::Write as _;

/// An answer that says no to a request as a whole.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    slot_ms: Option<u64>,
    extra: Vec<(HeaderName, HeaderValue)>,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, detail: String::new(), slot_ms: None, extra: Vec::new() }
    }

    /// What exactly, and what to do. Never a value somebody sent.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(super) fn retry_after_s(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A moment kept free for whoever asked. The header says it in whole seconds, at least one, for those who read nothing
    /// finer and add up to a second themselves.
    pub(super) fn slot_ms(mut self, wait_ms: u64) -> Self {
        self.slot_ms = Some(wait_ms);
        self.retry_after_s((wait_ms / 1_000).max(1))
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extra.push((name, value));
        self
    }

    /// The database failed as a whole.
    pub(super) fn storage() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage", "The city cannot reach its storage")
            .detail("nothing was taken; send the same again")
            .retry_after_s(city_domain::limits::STORAGE_RETRY_S)
    }

    /// Nothing is there.
    pub(super) fn not_found(title: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", title)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("{}{}", headers::PROBLEM_PREFIX, self.code),
            title: self.title.to_owned(),
            status: Some(self.status.as_u16()),
            detail: self.detail,
        };
        let mut text = problem.to_json();
        if let Some(wait_ms) = self.slot_ms {
            // A member beside those of every problem (RFC 9457 3.2).
            text.truncate(text.len() - 1);
            let _ = write!(text, ",\"retryAfterMs\":{wait_ms}}}");
        }
        let mut response = (self.status, Body::from(text)).into_response();
        let own = response.headers_mut();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::PROBLEM));
        own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        own.extend(self.extra);
        response
    }
}
