//! A city in a process of its own, and the devices that talk to it.

use crate::published;
use city_domain::Role;
use conch::event::{Device, Emit, EventId, Identity, Sequence, UnixMillis, prepare, with_sequence};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use ureq::http::Request;

static DRAWN: AtomicU64 = AtomicU64::new(1);

/// A number no other test of this run has.
pub(crate) fn draw() -> u64 {
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

/// A running city with its own data directory.
pub(crate) struct Town {
    child: Child,
    pub(crate) address: String,
    pub(crate) root: PathBuf,
}

/// What came back, or that nothing did.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of a problem document; checks that it is one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert!(self.header("conch-city").is_some());
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["type"].as_str().unwrap().strip_prefix("urn:conch:problem:").unwrap().to_owned()
    }

    /// The words of all verdicts.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let list = self.json()["verdicts"].as_array().unwrap_or_else(|| panic!("{self:?}")).clone();
        list.iter().map(|entry| entry["verdict"].as_str().unwrap().to_owned()).collect()
    }
}

impl Town {
    /// A city in development.
    pub(crate) fn open() -> Self {
        Self::open_with(&["--dev"])
    }

    pub(crate) fn open_with(options: &[&str]) -> Self {
        Self::start(Self::ground(), options, None)
    }

    /// A directory for a city.
    pub(crate) fn ground() -> PathBuf {
        let root =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("town-{}-{}", std::process::id(), draw()));
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    /// Starts on what lies in `root`, or on a copy of these books.
    pub(crate) fn start(root: PathBuf, options: &[&str], books: Option<&Path>) -> Self {
        if let Some(books) = books {
            std::fs::create_dir_all(root.join("data")).unwrap();
            std::fs::copy(books, root.join("data/city.sqlite")).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(root.join("data")).args(options);
        Self::launch(root, command)
    }

    /// Runs a command that serves; it keeps its data in `root`.
    pub(crate) fn launch(root: PathBuf, mut command: Command) -> Self {
        let log = File::options().create(true).append(true).open(root.join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(
            address.starts_with("http://"),
            "{line} {}",
            std::fs::read_to_string(root.join("log")).unwrap()
        );
        Self { child, address, root }
    }

    /// Kills the process as a power cut would, and starts it again on the same data.
    pub(crate) fn pull_the_plug(self, options: &[&str]) -> Self {
        self.pull_the_plug_and(options, |_| {})
    }

    /// The same, with something done to the books meanwhile.
    pub(crate) fn pull_the_plug_and(mut self, options: &[&str], meanwhile: impl FnOnce(&Connection)) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        meanwhile(&self.meddle());
        let root = std::mem::take(&mut self.root);
        Self::start(root, options, None)
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the process to end and tells whether it ended well.
    pub(crate) fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap()
    }

    /// The command line of the same binary on the same data.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_city"))
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .output()
            .unwrap()
    }

    /// What `city inspect` counts.
    pub(crate) fn totals(&self) -> Value {
        let output = self.command(&["inspect"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A number straight from the database file.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let books = Connection::open_with_flags(self.data().join("city.sqlite"), flags).unwrap();
        books.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The database file, to disturb it.
    pub(crate) fn meddle(&self) -> Connection {
        Connection::open(self.data().join("city.sqlite")).unwrap()
    }

    /// Sends a request; `None` when the connection ended without an answer.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .build()
            .into();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let mut response = if body.is_empty() && method != "POST" && method != "PUT" {
            agent.run(request.body(()).unwrap()).ok()?
        } else {
            agent.run(request.body(body.to_owned()).unwrap()).ok()?
        };
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string().ok()?;
        let answer = Answer { status, headers, body };
        published::hold(method, path, &answer);
        Some(answer)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, head: &[(&str, &str)], body: &str) -> Answer {
        self.try_ask(method, path, head, body).unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// A device with a token.
    pub(crate) fn enrol(&self, device: &str, role: Role) -> Caller<'_> {
        let body = json!({ "device": device, "role": role.as_str() }).to_string();
        let answer = self.ask("POST", "/v1/dev/enrol", &[("content-type", "application/json")], &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Caller::new(self, device, token)
    }

    /// Polls `/health` until a number in it is as wanted.
    pub(crate) fn until_health(&self, name: &str, wanted: u64) {
        while self.ask("GET", "/health", &[], "").json()[name] != wanted {
            std::thread::yield_now();
        }
    }

    /// Sets the weather over a device.
    pub(crate) fn weather(&self, device: &str, sky: Value) {
        let ops = self.enrol("ops-1", Role::Ops);
        let head = [("content-type", "application/json")];
        let answer = ops.ask("PUT", &format!("/v1/dev/weather/{device}"), &head, &sky.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.root.as_os_str().is_empty() && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// An enrolled device.
pub(crate) struct Caller<'a> {
    town: &'a Town,
    pub(crate) token: String,
    identity: Identity,
}

/// An encoded event with what is needed to send it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) body: String,
}

pub(crate) const SINGLE: (&str, &str) = ("content-type", "application/cloudevents+json");
pub(crate) const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

impl<'a> Caller<'a> {
    pub(crate) fn new(town: &'a Town, device: &str, token: String) -> Self {
        let device = Device::parse(device).unwrap();
        Self { town, token, identity: Identity { device, incarnation: "life-1".into() } }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, head: &[(&str, &str)], body: &str) -> Answer {
        self.try_ask(method, path, head, body).unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(head);
        self.town.try_ask(method, path, &all, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A new event, encoded by the SDK's own encoder.
    pub(crate) fn event(&self, emit: &Emit) -> Event {
        self.event_at(emit, draw())
    }

    pub(crate) fn event_at(&self, emit: &Emit, sequence: u64) -> Event {
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&draw().to_be_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let prepared = prepare(emit, &self.identity, UnixMillis(now), entropy).unwrap();
        let body = with_sequence(&prepared.tail, Sequence(sequence));
        Event { id: prepared.id.to_string(), intent: prepared.intent.to_string(), body }
    }

    pub(crate) fn pay(&self, order: &str) -> Event {
        self.event(&paying(order, 1, 12_000))
    }

    pub(crate) fn scan(&self, ticket: &str, gate: &str) -> Event {
        self.event(&Emit {
            topic: "gate.auth.v2".into(),
            kind: "scanned".into(),
            key: ticket.into(),
            payload: json!({ "gateId": gate, "ticketId": ticket }).to_string(),
            ..Emit::default()
        })
    }

    pub(crate) fn try_send(&self, event: &Event) -> Option<Answer> {
        let key = format!("\"{}\"", event.intent);
        self.try_ask("POST", "/v1/events", &[SINGLE, ("idempotency-key", &key)], &event.body)
    }

    pub(crate) fn send(&self, event: &Event) -> Answer {
        self.try_send(event).expect("an answer")
    }

    pub(crate) fn send_all(&self, events: &[Event]) -> Answer {
        self.ask("POST", "/v1/events", &[BATCH], &batch(events))
    }
}

pub(crate) fn batch(events: &[Event]) -> String {
    let bodies: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
    format!("[{}]", bodies.join(","))
}

pub(crate) fn paying(order: &str, attempt: u32, amount: u64) -> Emit {
    Emit {
        topic: "pay.txn.v2".into(),
        kind: "requested".into(),
        key: order.into(),
        payload: json!({ "amount": amount, "currency": "TWD", "method": "cash" }).to_string(),
        attempt: Some(attempt),
        ..Emit::default()
    }
}

/// A copy of an event with some text in its body replaced.
pub(crate) fn altered(event: &Event, from: &str, to: &str) -> Event {
    assert!(event.body.contains(from), "{from} is not in {}", event.body);
    Event { body: event.body.replace(from, to), ..event.clone() }
}

pub(crate) fn some_id() -> String {
    let mut entropy = [7; 10];
    entropy[2..].copy_from_slice(&draw().to_be_bytes());
    EventId::mint(UnixMillis(1_795_435_200_000), entropy).to_string()
}

/// Goes on when the clock shows another millisecond, so that what follows is later than what was.
pub(crate) fn a_millisecond_later() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1) {
        std::thread::yield_now();
    }
}
