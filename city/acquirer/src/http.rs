//! The acquirer over HTTP: four requests by the merchant's id, a query, and the list of what moved.

use crate::faults::Faults;
use crate::ledger::{Ledger, Service, Task};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// Movements in one answer.
const PAGE: u32 = 500;
/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Ids whose tries are counted; beyond it all are counted anew.
const TRIES_KEPT: usize = 100_000;

/// Why it did not start.
#[derive(Debug)]
pub enum Problem {
    /// Its books cannot be opened.
    Books(rusqlite::Error),
    /// The address cannot be listened on, or a thread cannot start.
    Io(std::io::Error),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Books(error) => write!(f, "the acquirer's books cannot be opened: {error}"),
            Self::Io(error) => write!(f, "the acquirer cannot start: {error}"),
        }
    }
}

impl std::error::Error for Problem {}

/// A running acquirer, on a thread of its own for as long as the process lives.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    faults: Lever,
    thread: std::thread::JoinHandle<std::io::Result<()>>,
}

/// Changes a running acquirer's faults.
#[derive(Clone, Debug)]
pub struct Lever(Arc<Mutex<Faults>>);

impl Lever {
    /// From now on these go wrong.
    pub fn set(&self, faults: Faults) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// What goes wrong now.
    pub fn faults(&self) -> Faults {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// What changes its faults.
    pub fn lever(&self) -> Lever {
        self.faults.clone()
    }

    /// Waits for its end, which comes with a failure of the network.
    pub fn wait(self) -> std::io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the acquirer panicked")))
    }
}

struct Desk {
    ledger: Mutex<Ledger>,
    faults: Lever,
    /// How often each id was heard, so that each try has its own luck.
    tries: Mutex<HashMap<String, u64>>,
}

/// Starts it with its books in a file, or in memory.
pub fn start(address: SocketAddr, file: Option<PathBuf>, faults: Faults) -> Result<Running, Problem> {
    let ledger = Ledger::open(file.as_deref()).map_err(Problem::Books)?;
    let faults = Lever(Arc::new(Mutex::new(faults)));
    let desk = Arc::new(Desk { ledger: Mutex::new(ledger), faults: faults.clone(), tries: Mutex::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Io)?;
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(Problem::Io)?;
    let address = listener.local_addr().map_err(Problem::Io)?;
    let thread = std::thread::Builder::new()
        .name("acquirer".into())
        .spawn(move || runtime.block_on(async { axum::serve(listener, router(desk)).await }))
        .map_err(Problem::Io)?;
    Ok(Running { address, faults, thread })
}

fn router(desk: Arc<Desk>) -> Router {
    let does = |service| {
        post(move |State(desk): State<Arc<Desk>>, body: String| async move {
            perform(&desk, service, &body).await
        })
    };
    Router::new()
        .route("/authorizations", does(Service::Authorize))
        .route("/captures", does(Service::Capture))
        .route("/cancellations", does(Service::Cancel))
        .route("/refunds", does(Service::Refund))
        .route("/tasks", get(query))
        .route("/movements", get(movements))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

impl Desk {
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, id: &str) -> u64 {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= TRIES_KEPT {
            tries.clear();
        }
        let count = tries.entry(id.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// The way to the desk: slow, now and then closed, now and then a dead end.
    async fn way(&self, id: &str) -> Result<u64, Response> {
        let count = self.hear(id);
        let faults = self.faults.faults();
        tokio::time::sleep(faults.latency(id, count)).await;
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if faults.happens(faults.outage, "outage", "", second) {
            return Err(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        if faults.happens(faults.lose_request, "lose-request", id, count) {
            return Err(self.silence().await);
        }
        Ok(count)
    }

    /// No answer: the caller waits, and hears from a gateway on the way if it waits long enough.
    async fn silence(&self) -> Response {
        tokio::time::sleep(Duration::from_millis(self.faults.faults().hang_ms)).await;
        StatusCode::GATEWAY_TIMEOUT.into_response()
    }
}

async fn perform(desk: &Desk, service: Service, body: &str) -> Response {
    let task: Task = match serde_json::from_str(body) {
        Ok(task) => task,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, axum::Json(json!({ "problem": error.to_string() })))
                .into_response();
        }
    };
    let count = match desk.way(&task.id).await {
        Ok(count) => count,
        Err(response) => return response,
    };
    let faults = desk.faults.faults();
    let decline = faults.happens(faults.decline, "decline", &task.id, 0)
        || (service == Service::Refund && faults.happens(faults.refuse_refund, "refuse-refund", &task.id, 0));
    let double = service == Service::Capture && faults.happens(faults.double, "double", &task.id, 0);
    let outcome = desk.ledger().perform(service, &task, decline, double);
    if faults.happens(faults.lose_answer, "lose-answer", &task.id, count) {
        return desk.silence().await;
    }
    match outcome {
        Ok(Some(outcome)) => axum::Json(outcome).into_response(),
        Ok(None) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

async fn query(State(desk): State<Arc<Desk>>, Query(Id { id }): Query<Id>) -> Response {
    if let Err(response) = desk.way(&id).await {
        return response;
    }
    match desk.ledger().query(&id) {
        Ok(Some(outcome)) => axum::Json(outcome).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, axum::Json(json!({ "state": "unknown" }))).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct After {
    after: u64,
}

async fn movements(State(desk): State<Arc<Desk>>, Query(After { after }): Query<After>) -> Response {
    if let Err(response) = desk.way("movements").await {
        return response;
    }
    match desk.ledger().movements(after, PAGE) {
        Ok(movements) => axum::Json(json!({ "movements": movements })).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
