//! The way to the acquirer: a few threads that ask it, and one that reads its list.

use crate::machinery::ACQUIRER;
use city_domain::{Answer, Call, Listed, Movement, PaymentGateway, Service, limits};
use serde::Deserialize;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// The acquirer over HTTP.
pub(crate) struct HttpAcquirer {
    agent: Agent,
    address: String,
}

#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Said {
    Done { reference: String, amount: u64, currency: String },
    Refused { reason: String },
    Unknown,
}

#[derive(Deserialize)]
struct List {
    movements: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    number: u64,
    reference: String,
    id: String,
    service: String,
    amount: u64,
    currency: String,
}

impl HttpAcquirer {
    pub(crate) fn new(address: &str, timeout_ms: u64) -> Self {
        let agent = Agent::config_builder()
            // What the environment names for browsing is no way for money.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_millis(timeout_ms)))
            .build();
        Self { agent: agent.into(), address: address.trim_end_matches('/').to_owned() }
    }

    fn post(&self, path: &str, call: &Call) -> Answer {
        let own = &call.operation;
        let body = json!({
            "id": own.id,
            "about": own.about,
            "amount": own.amount,
            "currency": own.currency,
            "statement": own.statement,
        });
        let mut request = self.agent.post(format!("{}{path}", self.address));
        request = request.header("content-type", "application/json");
        if let Some(trace) = &call.traceparent {
            request = request.header("traceparent", trace);
        }
        said(request.send(body.to_string()))
    }
}

/// Only what the acquirer says in its own words counts; anything else says nothing.
fn said(answer: Result<Response<ureq::Body>, ureq::Error>) -> Answer {
    let Ok(mut answer) = answer else { return Answer::Unknown };
    if !matches!(answer.status().as_u16(), 200 | 404) {
        return Answer::Unknown;
    }
    let text = answer.body_mut().with_config().limit(limits::SMALL_BYTES_MAX as u64).read_to_string();
    match text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Said::Done { reference, amount, currency }) => Answer::Done { reference, amount, currency },
        Some(Said::Refused { reason }) => Answer::Refused(reason),
        Some(Said::Unknown) => Answer::NotFound,
        None => Answer::Unknown,
    }
}

impl PaymentGateway for HttpAcquirer {
    fn authorize(&self, call: &Call) -> Answer {
        self.post("/authorizations", call)
    }

    fn capture(&self, call: &Call) -> Answer {
        self.post("/captures", call)
    }

    fn cancel(&self, call: &Call) -> Answer {
        self.post("/cancellations", call)
    }

    fn refund(&self, call: &Call) -> Answer {
        self.post("/refunds", call)
    }

    fn query(&self, call: &Call) -> Answer {
        let request = self.agent.get(format!("{}/tasks", self.address)).query("id", &call.operation.id);
        said(request.call())
    }

    fn list(&self, after: u64) -> Option<Listed> {
        let request = self.agent.get(format!("{}/movements", self.address));
        let mut answer = request.query("after", after.to_string()).call().ok()?;
        if answer.status().as_u16() != 200 {
            return None;
        }
        let text = answer.body_mut().read_to_string().ok()?;
        let list: List = serde_json::from_str(&text).ok()?;
        let up_to = list.movements.iter().map(|entry| entry.number).max().unwrap_or(after);
        let mut listed = Listed { after, up_to, ..Listed::default() };
        for Entry { reference, id, service, amount, currency, .. } in list.movements {
            match Service::parse(&service) {
                Some(service) if matches!(service, Service::Capture | Service::Refund) => {
                    listed.movements.push(Movement { reference, operation: id, service, amount, currency });
                }
                _ => listed.strange.push(reference),
            }
        }
        Some(listed)
    }
}

/// What the threads tell the writer.
pub(crate) enum Word {
    /// The acquirer answered, or did not.
    Answered(Box<(Call, Answer)>),
    /// A part of its list, and where to say how far it was taken.
    Listed(Listed, Sender<u64>),
}

/// Starts the threads. They end when the sender of calls is dropped; `tell` says whether anybody listens.
pub(crate) fn start(
    gateway: Arc<dyn PaymentGateway>,
    settled_up_to: u64,
    settle_every: Duration,
    tell: impl Fn(Word) -> bool + Clone + Send + 'static,
) -> std::io::Result<Sender<Call>> {
    let (send, calls) = channel();
    let calls = Arc::new(Mutex::new(calls));
    for _ in 0..limits::CALLS_MAX {
        let (gateway, calls, tell) = (gateway.clone(), calls.clone(), tell.clone());
        std::thread::Builder::new().name(ACQUIRER.into()).spawn(move || ask(&*gateway, &calls, tell))?;
    }
    std::thread::Builder::new()
        .name("settlement".into())
        .spawn(move || settle(&*gateway, settled_up_to, settle_every, tell))?;
    Ok(send)
}

fn ask(gateway: &dyn PaymentGateway, calls: &Mutex<Receiver<Call>>, tell: impl Fn(Word) -> bool) {
    loop {
        let next = calls.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(call) = next else { return };
        // A caller that is gone would leave its call to nobody.
        let made = catch_unwind(AssertUnwindSafe(|| gateway.make(&call)));
        let answer = made.unwrap_or(Answer::Unknown);
        if !tell(Word::Answered(Box::new((call, answer)))) {
            return;
        }
    }
}

fn settle(gateway: &dyn PaymentGateway, from: u64, every: Duration, tell: impl Fn(Word) -> bool) {
    let mut up_to = from;
    let mut deaf = false;
    loop {
        let before = up_to;
        let listed = gateway.list(up_to.saturating_sub(limits::LIST_OVERLAP));
        if listed.is_none() && !deaf {
            tracing::error!("the acquirer's list cannot be read; what only it knows is not found meanwhile");
        }
        deaf = listed.is_none();
        if let Some(listed) = listed.filter(|listed| before > 0 || *listed != Listed::default()) {
            let (taken, wait) = channel();
            if !tell(Word::Listed(listed, taken)) {
                return;
            }
            // Without a word it was not taken, and comes again.
            up_to = wait.recv().unwrap_or(before);
        }
        if up_to <= before {
            std::thread::sleep(every);
        }
    }
}
