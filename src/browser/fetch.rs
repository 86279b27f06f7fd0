//! One request to the city, and what came back as a plain [`Reply`].
//!
//! It never judges: a refused redirect, a broken body and a dead link are all [`Reply::NoAnswer`], and what a
//! status means is decided by `wire::classify`. Cookies are not sent and caches are not asked.

use super::promise::outcome;
use super::wakes::Timer;
use super::{sys, value};
use crate::limits::ANSWER_BYTES_MAX;
use crate::wire::{Reply, headers, retry_after};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// What to send.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Absolute, or relative to the page.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// With a body it is a POST, without one a GET.
    pub body: Option<String>,
    /// How long it may take, in ms.
    pub timeout_ms: u64,
    /// Whether the page's cookies for its own origin go along.
    pub cookies: bool,
    /// Ends it from outside.
    pub abort: Option<Abort>,
}

/// The way to end a request from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Abort(JsValue);

impl Abort {
    /// None where the browser cannot abort.
    pub fn new() -> Option<Self> {
        sys::make("AbortController", &[]).ok().map(Self)
    }

    /// Ends it; one that has ended hears nothing of it.
    pub fn abort(&self) {
        sys::abort(&self.0);
    }
}

/// Sends it and reads the answer, all within the time a request may take. Dropping the future aborts the request.
pub async fn send(request: &Request) -> Reply {
    let Some(abort) = request.abort.clone().or_else(Abort::new) else { return Reply::NoAnswer };
    let timed_out = Rc::new(Cell::new(false));
    let timer = {
        let (timed_out, abort) = (Rc::clone(&timed_out), abort.clone());
        Timer::set(request.timeout_ms, move || {
            timed_out.set(true);
            abort.abort();
        })
    };
    let abort = AbortOnDrop(abort);
    let reply = exchange(request, &abort.0).await;
    drop(timer);
    match reply {
        Ok(reply) => reply,
        Err(_) if timed_out.get() => Reply::Timeout,
        Err(_) => Reply::NoAnswer,
    }
}

/// Ends whatever is still under way: an abandoned request, or the rest of an answer that is too large.
struct AbortOnDrop(Abort);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange(request: &Request, abort: &Abort) -> Result<Reply, JsValue> {
    let sent = sys::call(&sys::scope(), "fetch", &[&sys::text(&request.url), &options(request, abort)])?;
    let response = outcome(&sent).await?;
    let body = body(&response).await?;
    Ok(read(&response, body))
}

fn read(response: &JsValue, body: String) -> Reply {
    let found = sys::get(response, "headers");
    let header = |name: &str| sys::call(&found, "get", &[&sys::text(name)]).ok()?.as_string();
    Reply::Http {
        // The cast saturates, and a status has three digits.
        status: sys::get(response, "status").as_f64().unwrap_or_default() as u16,
        city: header(headers::CITY),
        retry_after: header(headers::RETRY_AFTER),
        html: header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        date: header("date").and_then(|value| retry_after::http_date(&value)),
        body,
    }
}

fn options(request: &Request, abort: &Abort) -> JsValue {
    let headers = sys::object();
    for (name, value) in &request.headers {
        sys::set(&headers, name, &sys::text(value));
    }
    let options = sys::object();
    sys::set(&options, "headers", &headers);
    sys::set(&options, "signal", &sys::get(&abort.0, "signal"));
    if let Some(body) = &request.body {
        sys::set(&options, "body", &sys::text(body));
    }
    for (name, value) in [
        ("method", if request.body.is_some() { "POST" } else { "GET" }),
        ("redirect", "error"),
        ("credentials", if request.cookies { "same-origin" } else { "omit" }),
        ("cache", "no-store"),
    ] {
        sys::set(&options, name, &sys::text(value));
    }
    options
}

/// At most so much of the body as an answer may have; a portal's endless page is cut off.
async fn body(response: &JsValue) -> Result<String, JsValue> {
    let stream = sys::get(response, "body");
    if !stream.is_object() {
        return Ok(String::new());
    }
    let reader = sys::call(&stream, "getReader", &[])?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        let chunk = outcome(&sys::call(&reader, "read", &[])?).await?;
        // At its end there is no more.
        let Some(mut part) = value::as_bytes(&sys::get(&chunk, "value")) else { break };
        bytes.append(&mut part);
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    text_of(&bytes)
}

/// The browser's own decoder: a second one is half a kilobyte. As everywhere on the web, what is no UTF-8 becomes
/// U+FFFD; to call such a page empty would hide that it is one.
fn text_of(bytes: &[u8]) -> Result<String, JsValue> {
    let decoder = sys::make("TextDecoder", &[])?;
    let text = sys::call(&decoder, "decode", &[&value::bytes(bytes)])?;
    Ok(text.as_string().unwrap_or_default())
}
