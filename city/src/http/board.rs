//! `GET /v1/board`: how the market stands, for the people who run it. One picture, and by long poll the next one as soon as
//! something happened.
//!
//! It is read at most every [`limits::BOARD_EVERY_MS`], however many boards ask and however much happens: all who ask
//! meanwhile share one picture.

use super::ops::bad;
use super::poll::{Asked, Poll};
use super::problem::Trouble;
use super::{App, json_text};
use crate::clock;
use crate::store::{self, Sight};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use city_domain::{Circuit, Load, carried, limits, refund_moves};
use conch::event::{Device, UnixMillis};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The picture that all boards share.
#[derive(Debug, Default)]
pub(crate) struct Boards(Mutex<Option<Picture>>);

#[derive(Clone, Debug)]
struct Picture {
    /// How much had happened when it was begun.
    happened: u64,
    read: Instant,
    /// The members of the answer but for its time and its stamp, without the outer braces.
    members: Arc<str>,
}

pub(super) async fn get(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let Some(poll) = Poll::read(asked) else {
        return bad("after is the stamp of an earlier answer, wait a whole number of seconds")
            .into_response();
    };
    match look(&app, poll).await {
        Ok((picture, stamp)) => {
            let now = clock::now().0;
            json_text(StatusCode::OK, format!(r#"{{"now":{now},"stamp":"{stamp}",{}}}"#, picture.members))
        }
        Err(trouble) => trouble.into_response(),
    }
}

async fn look(app: &App, poll: Poll) -> Result<(Picture, String), Trouble> {
    let until = poll.until(limits::BOARD_WAIT_S_MAX);
    let mut happened = app.bells.boards();
    let mut closing = app.closing.clone();
    loop {
        // What happens from here on is a reason to look again.
        happened.borrow_and_update();
        let picture = picture(app).await?;
        let stamp = format!("{}.{}", app.started.0, picture.happened);
        let news = poll.after.as_deref() != Some(stamp.as_str());
        if news || Instant::now() >= until || *closing.borrow() {
            return Ok((picture, stamp));
        }
        tokio::select! {
            _ = happened.changed() => {}
            () = tokio::time::sleep_until(until) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }
}

/// The picture at hand if it is young enough, else a new one. Whoever waits for it here has the same one.
async fn picture(app: &App) -> Result<Picture, Trouble> {
    let mut at_hand = app.boards.0.lock().await;
    let happened = app.bells.boards();
    if let Some(picture) = at_hand.as_ref() {
        let next = picture.read + Duration::from_millis(limits::BOARD_EVERY_MS);
        if picture.happened == *happened.borrow() && Instant::now() < next {
            return Ok(picture.clone());
        }
        tokio::time::sleep_until(next).await;
    }
    let (happened, read) = (*happened.borrow(), Instant::now());
    let circuits = app.plan.circuits().to_vec();
    let found = app.readers.ask(move |connection| {
        let mut loads = Vec::new();
        for circuit in circuits {
            let own = store::loads(connection, &circuit.name)?;
            loads.push((circuit, own));
        }
        Ok((store::sight(connection)?, loads))
    });
    let (sight, loads) = found.await.map_err(|error| {
        tracing::error!(%error, "the board could not be read");
        Trouble::storage()
    })?;
    let picture = Picture { happened, read, members: described(app, sight, &loads).into() };
    *at_hand = Some(picture.clone());
    Ok(picture)
}

/// The members of the answer as text, without the braces around them.
fn described(app: &App, mut sight: Sight, loads: &[(Circuit, Vec<Load>)]) -> String {
    let now = clock::now();
    for own in &mut sight.devices.list {
        if let Some(at) = Device::parse(&own.device).ok().and_then(|device| app.presence.of(&device)) {
            own.heard_at = own.heard_at.max(at.0);
        }
    }
    let flow = |flow: crate::throughput::Flow| json!({ "topic": flow.topic, "lastMinute": flow.last_minute, "steps": flow.steps });
    let waiting = sight.levels.waiting.iter();
    let mut all = json!({
        "city": app.city.id.to_string(),
        "since": app.started.0,
        "development": app.weather.is_some(),
        "accepted": sight.accepted,
        "repeated": app.metrics.repeated(),
        "refused": app.metrics.refused(),
        "missing": sight.missing,
        "owed": sight.owed,
        "throughput": {
            "at": now.0,
            "stepSeconds": limits::THROUGHPUT_STEP_S,
            "topics": app.throughput.flows(now).into_iter().map(flow).collect::<Vec<_>>(),
        },
        "bus": {
            "outgoing": sight.levels.outgoing,
            "waiting": waiting.map(|(consumer, events)| json!({ "consumer": consumer, "events": events })).collect::<Vec<_>>(),
            "queued": app.writer.queued(),
        },
        "circuits": loads.iter().map(|(circuit, loads)| circuit_described(circuit, loads, now)).collect::<Vec<_>>(),
        "sagaMoves": refund_moves().iter().map(|(from, to)| [from.as_str(), to.as_str()]).collect::<Vec<_>>(),
    });
    if let (Value::Object(all), Ok(Value::Object(seen))) = (&mut all, serde_json::to_value(&sight)) {
        all.extend(seen);
    }
    let text = all.to_string();
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// What is shed first, then what draws most.
fn circuit_described(circuit: &Circuit, loads: &[Load], now: UnixMillis) -> Value {
    let mut shown: Vec<&Load> = loads.iter().collect();
    shown.sort_by_key(|load| (load.shed_at.is_none(), std::cmp::Reverse(load.drawn), load.stall.clone()));
    let stall = |load: &&Load| {
        json!({
            "stall": load.stall.as_str(), "drawnWatts": load.drawn, "at": load.at.0,
            "importance": circuit.importance(&load.stall), "shedAt": load.shed_at.map(|at| at.0),
        })
    };
    json!({
        "circuit": circuit.name.as_str(),
        "limitWatts": circuit.limit_watts,
        "shedAboveWatts": circuit.limit_watts * limits::SHED_ABOVE / 100,
        "carriedWatts": carried(loads, now),
        "total": loads.len(),
        "stalls": shown.iter().take(limits::BOARD_ROWS_MAX as usize).map(stall).collect::<Vec<_>>(),
    })
}
