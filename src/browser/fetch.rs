//! One request to the city, and what came back as a plain [`Reply`].
//!
//! It never judges: a refused redirect, a broken body and a dead link are all [`Reply::NoAnswer`], and what a
//! status means is decided by `wire::classify`. Cookies are not sent and caches are not asked.

use super::sys::{self, Answer, BodyChunk, FetchOptions};
use crate::limits::{ANSWER_BYTES_MAX, TIMER_MAX_MS};
use crate::wire::{Reply, headers, retry_after};
use gloo_timers::callback::Timeout;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, Response};

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
    pub abort: Option<AbortController>,
}

/// Sends it and reads the answer, all within the time a request may take. Dropping the future aborts the request.
pub async fn send(request: &Request) -> Reply {
    let controller = request.abort.clone().map_or_else(AbortController::new, Ok);
    let Ok(controller) = controller else { return Reply::NoAnswer };
    let timed_out = Rc::new(Cell::new(false));
    let abort = AbortOnDrop(controller);
    let timeout = {
        let (timed_out, controller) = (Rc::clone(&timed_out), abort.0.clone());
        Timeout::new(
            u32::try_from(request.timeout_ms.min(TIMER_MAX_MS)).unwrap_or(u32::MAX >> 1),
            move || {
                timed_out.set(true);
                controller.abort();
            },
        )
    };
    let reply = exchange(request, &abort.0).await;
    drop(timeout);
    match reply {
        Ok(reply) => reply,
        Err(_) if timed_out.get() => Reply::Timeout,
        Err(_) => Reply::NoAnswer,
    }
}

/// Ends whatever is still under way: an abandoned request, or the rest of an answer that is too large.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange(request: &Request, controller: &AbortController) -> Result<Reply, JsValue> {
    let sent = sys::scope().fetch(&request.url, &options(request, controller)?)?;
    let response: Response = JsFuture::from(sent).await?.unchecked_into();
    let found = response.headers();
    let header = |name: &str| found.get(name).ok().flatten();
    Ok(Reply::Http {
        status: response.status(),
        city: header(headers::CITY),
        retry_after: header(headers::RETRY_AFTER),
        date: header("date").and_then(|value| retry_after::http_date(&value)),
        body: body(response.unchecked_into()).await?,
    })
}

fn options(request: &Request, controller: &AbortController) -> Result<FetchOptions, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let options: FetchOptions = sys::options();
    options.set_headers(&headers);
    options.set_method(if request.body.is_some() { "POST" } else { "GET" });
    if let Some(body) = &request.body {
        options.set_body(body);
    }
    options.set_redirect("error");
    options.set_credentials(if request.cookies { "same-origin" } else { "omit" });
    options.set_cache("no-store");
    options.set_abort(&controller.signal());
    Ok(options)
}

/// At most so much of the body as an answer may have; a portal's endless page is cut off.
async fn body(answer: Answer) -> Result<String, JsValue> {
    let Some(stream) = answer.body() else { return Ok(String::new()) };
    let reader = stream.reader()?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        let chunk: BodyChunk = JsFuture::from(reader.read()?).await?.unchecked_into();
        if chunk.done() {
            break;
        }
        if let Some(part) = chunk.value() {
            bytes.append(&mut part.to_vec());
        }
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    // What is no text, or was cut inside a character, is no JSON either, and an empty answer says as little.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}
