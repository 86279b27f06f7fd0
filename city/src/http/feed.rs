//! `GET /v1/feed`: what the city has to say to one device, by long poll.

use super::poll::{Asked, Poll};
use super::problem::Trouble;
use super::{App, json_text};
use crate::clock;
use crate::store::{Cursor, Feed, feed_after, seen_at};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use city_domain::{Principal, Role, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    asked: Asked,
) -> Response {
    let Some(poll) = Poll::read(asked) else {
        return Trouble::new(StatusCode::BAD_REQUEST, "bad-query", "The question cannot be read")
            .detail("after is a cursor of this city, wait a whole number of seconds")
            .into_response();
    };
    match listen(&app, principal, poll).await {
        Ok(feed) => json_text(StatusCode::OK, body(&feed)),
        Err(trouble) => trouble.into_response(),
    }
}

async fn listen(app: &App, principal: Principal, poll: Poll) -> Result<Feed, Trouble> {
    let start = Cursor::start(app.city.id);
    let after = match poll.after.as_deref() {
        None | Some("") => start,
        Some(text) => Cursor::parse(app.city.id, text).ok_or_else(gone)?,
    };
    note_visit(app, &principal).await?;
    let until = poll.until(limits::FEED_WAIT_S_MAX);
    let bell = app.bells.of(&principal.device);
    let mut closing = app.closing.clone();
    loop {
        let rung = bell.notified();
        tokio::pin!(rung);
        // From here on a ring is heard, so an event committed after the read below is not missed.
        rung.as_mut().enable();
        let device = principal.device.clone();
        let read = app.readers.ask(move |connection| feed_after(connection, &device, after)).await;
        let feed = read.map_err(|_| Trouble::storage())?.ok_or_else(gone)?;
        if !feed.events.is_empty() || Instant::now() >= until || *closing.borrow() {
            return Ok(feed);
        }
        let _listening = Listening::new(&app.listening);
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(until) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }
}

/// A gate that only listens is there too, so that it is told what the others let in.
async fn note_visit(app: &App, principal: &Principal) -> Result<(), Trouble> {
    if principal.role != Role::Gate {
        return Ok(());
    }
    let device = principal.device.clone();
    let seen = app.readers.ask(move |connection| seen_at(connection, &device)).await;
    let seen = seen.map_err(|_| Trouble::storage())?.unwrap_or_default();
    if seen.0 + limits::SEEN_STEP_MS.unsigned_abs() < clock::now().0 {
        app.writer.see(principal.device.clone());
    }
    Ok(())
}

/// Counts one waiting poll for as long as it lives.
struct Listening<'a>(&'a AtomicUsize);

impl<'a> Listening<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn gone() -> Trouble {
    Trouble::new(StatusCode::GONE, "cursor-gone", "This cursor is not of this city's feed")
        .detail("ask the city how things stand, then listen again without a cursor")
}

fn body(feed: &Feed) -> String {
    format!("{{\"events\":[{}],\"cursor\":\"{}\"}}", feed.events.join(","), feed.cursor)
}
