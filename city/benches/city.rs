//! How fast the city takes events in, beside what this machine's disk and loopback allow in the same run. Every figure that
//! counts is a ratio of two that were measured next to each other; what is absolute says what this machine is.
//!
//! The load is open: each request has a moment at which it should go, and its latency counts from there, so that a city
//! that stalls cannot slow its own load down.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

use city_domain::bus::PARTITIONS;
use city_domain::limits;
use conch::event::{Device, Emit, EventId, Identity, Sequence, UnixMillis, prepare, with_sequence};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long each rate is offered.
const TRIAL: Duration = Duration::from_millis(1_500);
/// A rate is borne when this part of it was answered in time.
const BORNE: f64 = 0.97;
/// And when this part of the requests was answered within the patience.
const PATIENCE: Duration = Duration::from_millis(250);
/// Orders of the large city.
const ORDERS: usize = 1_000_000;
/// Questions asked of each city.
const QUESTIONS: usize = 4_000;

/// Requests that may wait, so many that nobody is turned away.
const QUEUE: &str = "8192";
/// Requests of each line of which the cost is counted.
const COUNTED: usize = 500;

/// Devices that send; more lines than these share them.
const DEVICES: usize = 8;

/// Numbers of events that were drawn.
static DRAWN: AtomicU64 = AtomicU64::new(1);

/// How a load is spread: each line sends batch after batch, and all lines are about equally far.
#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    lines: usize,
}

impl Shape {
    /// What may be on its way at once.
    fn group(self) -> usize {
        self.batch * self.lines
    }

    /// The device and the order of an event. Tills name their orders themselves, so orders go into as many places of the
    /// books as there are lines; that counts, for a flush writes each place's page.
    fn names(self, number: u64) -> (String, String) {
        let line = (number as usize / self.batch) % self.lines;
        (device(line), format!("order-{line}-{number:09}"))
    }
}

fn device(line: usize) -> String {
    format!("till-{}", line % DEVICES)
}

fn main() {
    // `cargo test` builds benchmarks as well, and runs them with this.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("The city beside its machine, {} processors\n", thread::available_parallelism().unwrap());
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let flushes = flushes(&root);
    println!("disk       one flushed 4 KiB append after another: {flushes:>7.0} /s");
    // `cargo bench -p city -- 1x64` looks at one event a request over 64 lines only.
    let only = std::env::args().find_map(|argument| {
        let (batch, lines) = argument.split_once('x')?;
        Some((batch.parse().ok()?, lines.parse().ok()?))
    });
    // And this at the cost of a refusal alone.
    if std::env::args().any(|argument| argument == "refusals") {
        refusals(&root);
        return std::fs::remove_dir_all(&root).unwrap();
    }
    ingest(&root, only);
    if only.is_none() {
        refusals(&root);
        outcome(&root);
        questions(&root);
    }
    std::fs::remove_dir_all(&root).unwrap();
}

fn flushes(root: &Path) -> f64 {
    let mut file = File::create(root.join("flush")).unwrap();
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < TRIAL {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

// ------------------------------------------------------------------------------------------------ what SQL allows

/// Events a second when the statements of one payment in cash are run for a whole group of events in each flushed transaction, and
/// nothing else is done: no HTTP, no JSON, no decision. They are those the city runs, from the look into the inbox to the
/// services' look at the log.
fn sql_alone(root: &Path, shape: Shape) -> f64 {
    let file = root.join("sql.sqlite");
    let _ = std::fs::remove_file(&file);
    let mut books = Connection::open(&file).unwrap();
    books.pragma_update(None, "journal_mode", "WAL").unwrap();
    books.pragma_update(None, "synchronous", "FULL").unwrap();
    books.pragma_update(None, "cache_size", -limits::CACHE_KIB).unwrap();
    books.pragma_update(None, "wal_autocheckpoint", limits::CHECKPOINT_PAGES).unwrap();
    books.pragma_update(None, "temp_store", "MEMORY").unwrap();
    books.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
    books.set_prepared_statement_cache_capacity(256);
    // The layouts of the file, in order, as many as there are.
    let layout = |step| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{step:03}.sql"));
    for path in (1..).map(layout).take_while(|path| path.exists()) {
        books.execute_batch(&std::fs::read_to_string(path).unwrap()).unwrap();
    }
    let body = event("till-x", "order-x", UnixMillis(0), 1).body;
    let (began, mut written) = (Instant::now(), 0u64);
    while began.elapsed() < TRIAL {
        let transaction = books.transaction().unwrap();
        for _ in 0..shape.lines.min(limits::GROUP_EVENTS_MAX.div_ceil(shape.batch)) {
            run(&transaction, "SAVEPOINT piece", &[]);
            for _ in 0..shape.batch {
                taken_in(&transaction, shape, written, &body);
                written += 1;
            }
            run(&transaction, "RELEASE piece", &[]);
        }
        on_the_log(&transaction);
        transaction.commit().unwrap();
    }
    written as f64 / began.elapsed().as_secs_f64()
}

/// Services that look at the log.
const SERVICES: usize = 4;

fn run(books: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) {
    books.prepare_cached(sql).unwrap().execute(values).unwrap();
}

fn asks(books: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> bool {
    books.prepare_cached(sql).unwrap().exists(values).unwrap()
}

/// One event, up to what is said of it.
fn taken_in(books: &Connection, shape: Shape, number: u64, body: &str) {
    let mut id = [1; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let mut other = [2; 16];
    other[8..].copy_from_slice(&number.to_be_bytes());
    let (device, order) = shape.names(number);
    let (source, partition) =
        (format!("conch://device/{device}/life"), (number % u64::from(PARTITIONS)) as u16);
    let number = number as i64 + 1;
    let say = |id: [u8; 16], kind: &str| {
        run(
            books,
            "INSERT INTO outgoing (partition, source, id, topic, type, key, body) VALUES (?1, ?2, ?3, 'pay.txn.v2', ?4, ?5, ?6)",
            params![partition, source, id, kind, order, body],
        );
    };
    asks(
        books,
        "SELECT 1 FROM events WHERE source = ?1 AND sequence = ?2 AND id <> ?3",
        params![source, number, id],
    );
    asks(
        books,
        "SELECT verdict, problem, digest FROM inbox WHERE source = ?1 AND id = ?2",
        params![source, id],
    );
    asks(books, "SELECT fingerprint, source, id FROM intents WHERE scope = '' AND intent = ?1", params![id]);
    run(books, "INSERT INTO intents VALUES ('', ?1, zeroblob(32), ?2, ?1)", params![id, source]);
    run(
        books,
        "INSERT INTO events VALUES (NULL, ?1, ?2, ?6, 'pay.txn.v2', 'requested', ?3, ?2, ?5, 2, 3, 4, ?4)",
        params![source, id, order, body, number, device],
    );
    say(id, "requested");
    asks(books, "SELECT state, event, intent FROM orders WHERE key = ?1", params![order]);
    run(
        books,
        "INSERT INTO orders VALUES (?1, 'captured', ?2, ?2, ?3, 120, 'TWD', 'cash', ?1, NULL, 7)",
        params![order, id, device],
    );
    run(books, "INSERT INTO captures VALUES (?1, ?1, ?2, 120, 'TWD', 7)", params![order, id]);
    asks(books, "SELECT coalesce(max(sequence), 0) FROM feed WHERE device = ?1", params![device]);
    run(
        books,
        "INSERT INTO feed (device, sequence, id, body) VALUES (?4, ?1, ?2, ?3)",
        params![number, other, body, device],
    );
    say(other, "captured");
    run(
        books,
        "INSERT INTO inbox VALUES (?1, ?2, ?3, 'accepted', NULL, zeroblob(32), 0, 3)",
        params![source, id, device],
    );
}

/// A row of what was said.
type Said = (i64, String, [u8; 16], String, String, String, String);

/// What was said goes onto the log, and each service looks at it.
fn on_the_log(books: &Connection) {
    for partition in 0..PARTITIONS {
        let mut looked: i64 = books
            .prepare_cached("SELECT coalesce(max(offset), 0) FROM log WHERE partition = ?1")
            .unwrap()
            .query_row([partition], |row| row.get(0))
            .unwrap();
        let before = looked;
        let mut said = books
            .prepare_cached("SELECT place, source, id, topic, type, key, body FROM outgoing WHERE partition = ?1 ORDER BY place")
            .unwrap();
        let said: Vec<Said> = said
            .query_map([partition], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                ))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for (place, source, id, topic, kind, key, body) in &said {
            looked += 1;
            run(
                books,
                "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 9)",
                params![partition, looked, source, id, topic, kind, key, body],
            );
            run(books, "DELETE FROM outgoing WHERE place = ?1", params![place]);
        }
        for service in 0..if said.is_empty() { 0 } else { SERVICES } {
            let mut heard = books
                .prepare_cached("SELECT offset, source, id, topic, type, key, body FROM log WHERE partition = ?1 AND offset > ?2 ORDER BY offset")
                .unwrap();
            let heard = heard.query_map(params![partition, before], |row| row.get::<_, String>(6)).unwrap();
            assert_eq!(
                heard.map(|body| body.unwrap().len()).filter(|length| *length > 0).count(),
                said.len()
            );
            run(
                books,
                "INSERT INTO cursors VALUES (?1, ?2, ?3) ON CONFLICT (consumer, partition) DO UPDATE SET offset = ?3",
                params![format!("service-{service}"), partition, looked],
            );
        }
    }
}

// ------------------------------------------------------------------------------------------------ what loopback allows

/// Events a second when the same requests go over as many lines to somebody who reads them and says a word, and does nothing
/// else.
fn loopback(shape: Shape) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ready = &requests(shape, &["x".repeat(43)], 1)[0][0];
    let until = Instant::now() + TRIAL;
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..shape.lines {
                let (stream, _) = listener.accept().unwrap();
                scope.spawn(move || {
                    let mut line = Line::over(stream, String::new());
                    while line.read().is_some() {
                        line.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}");
                    }
                });
            }
        });
        let lines: Vec<_> = (0..shape.lines)
            .map(|_| {
                scope.spawn(|| {
                    let (mut line, mut count) = (Line::open(&address), 0);
                    while Instant::now() < until {
                        line.ask("POST", "/v1/events", &ready.head, &ready.body);
                        count += shape.batch;
                    }
                    count
                })
            })
            .collect();
        lines.into_iter().map(|line| line.join().unwrap()).sum::<usize>() as f64 / TRIAL.as_secs_f64()
    })
}

// ------------------------------------------------------------------------------------------------ a running city

struct Town {
    child: Child,
    address: String,
    data: PathBuf,
}

impl Town {
    fn start(root: &Path, name: &str, queue: &str) -> Self {
        let data = root.join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_city"))
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--capacity", "1000000", "--queue", queue])
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
        Self { child, address, data }
    }

    /// Processor time it has used, in the ticks of Linux.
    fn ticks(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        fields.skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum()
    }

    fn enrol(&self, device: &str) -> String {
        let body = format!(r#"{{"device":"{device}","role":"vendor"}}"#);
        let head = "content-type: application/json\r\n";
        let (status, answer) = Line::open(&self.address).ask("POST", "/v1/dev/enrol", head, &body);
        assert_eq!(status, 201, "{answer}");
        answer.split(r#""token":""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kept-alive connection; bare, so that the load costs the machine little.
struct Line {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Line {
    fn open(address: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address.to_owned())
    }

    fn over(stream: TcpStream, host: String) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream), host }
    }

    fn ask(&mut self, method: &str, path: &str, head: &str, body: &str) -> (u16, String) {
        let host = &self.host;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.write(request.as_bytes());
        let (first, body) = self.read().expect("an answer");
        (first.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
    }

    fn write(&mut self, message: &[u8]) {
        self.reader.get_mut().write_all(message).unwrap();
    }

    /// The first line and the body of what comes next; `None` at the end.
    fn read(&mut self) -> Option<(String, Vec<u8>)> {
        let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
        self.reader.read_line(&mut first).unwrap();
        if first.is_empty() {
            return None;
        }
        while line != "\r\n" {
            line.clear();
            self.reader.read_line(&mut line).unwrap();
            if let Some((name, value)) = line.trim_end().split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        Some((first, body))
    }
}

struct Event {
    intent: String,
    body: String,
}

fn event(device: &str, order: &str, now: UnixMillis, number: u64) -> Event {
    let identity = Identity { device: Device::parse(device).unwrap(), incarnation: "life-1".into() };
    let emit = Emit {
        topic: "pay.txn.v2".into(),
        kind: "requested".into(),
        key: order.into(),
        payload: r#"{"amount":12000,"currency":"TWD","method":"cash"}"#.into(),
        attempt: Some(1),
        ..Emit::default()
    };
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&number.to_be_bytes());
    let prepared = prepare(&emit, &identity, now, entropy).unwrap();
    Event { intent: prepared.intent.to_string(), body: with_sequence(&prepared.tail, Sequence(number)) }
}

/// A request that is ready to go.
struct Ready {
    head: String,
    body: String,
}

/// So many requests for each line, from all lines as if at once.
fn requests(shape: Shape, tokens: &[String], each: usize) -> Vec<Vec<Ready>> {
    let Shape { batch, lines } = shape;
    let now = UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    // Begins with the first line.
    let drawn = DRAWN.fetch_add(((each + 1) * shape.group()) as u64, Ordering::Relaxed);
    let first = drawn.next_multiple_of(shape.group() as u64);
    let request = |line: usize, place: usize| {
        let authorization = format!("authorization: Bearer {}\r\n", tokens[line % tokens.len()]);
        let events: Vec<Event> = (0..batch)
            .map(|within| {
                let number = first + ((place * lines + line) * batch + within) as u64;
                let (device, order) = shape.names(number);
                event(&device, &order, now, number)
            })
            .collect();
        if let [Event { intent, body }] = &events[..] {
            let head = format!(
                "{authorization}content-type: application/cloudevents+json\r\nidempotency-key: \"{intent}\"\r\n"
            );
            return Ready { head, body: body.clone() };
        }
        let bodies: Vec<String> = events.into_iter().map(|event| event.body).collect();
        let head = format!("{authorization}content-type: application/cloudevents-batch+json\r\n");
        Ready { head, body: format!("[{}]", bodies.join(",")) }
    };
    (0..lines).map(|line| (0..each).map(|place| request(line, place)).collect()).collect()
}

/// What came of offering a rate.
struct Trial {
    borne: bool,
    answered: f64,
    median: Duration,
}

/// Offers so many requests a second over so many connections.
fn offer(town: &Town, tokens: &[String], shape: Shape, rate: f64) -> Trial {
    let count = ((rate * TRIAL.as_secs_f64()) as usize).max(shape.lines);
    let lists = requests(shape, tokens, count.div_ceil(shape.lines));
    let late = AtomicUsize::new(0);
    let began = Instant::now() + Duration::from_millis(20);
    let mut waits: Vec<Duration> = thread::scope(|scope| {
        let lines: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(n, list)| {
                let late = &late;
                scope.spawn(move || {
                    let mut line = Line::open(&town.address);
                    let mut waits = Vec::with_capacity(list.len());
                    for (place, ready) in list.iter().enumerate() {
                        let due = began + Duration::from_secs_f64((place * shape.lines + n) as f64 / rate);
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let (status, answer) = line.ask("POST", "/v1/events", &ready.head, &ready.body);
                        assert!(matches!(status, 200 | 202 | 503), "{status} {answer}");
                        let wait = due.elapsed();
                        if wait > PATIENCE || status == 503 {
                            late.fetch_add(1, Ordering::Relaxed);
                        }
                        // Hopeless: the rest would only keep the bench waiting.
                        if wait > 8 * PATIENCE {
                            late.fetch_add(list.len() - place - 1, Ordering::Relaxed);
                            break;
                        }
                        waits.push(wait);
                    }
                    waits
                })
            })
            .collect();
        lines.into_iter().flat_map(|line| line.join().unwrap()).collect()
    });
    waits.sort();
    let sent = lists.iter().map(Vec::len).sum::<usize>();
    let borne = late.load(Ordering::Relaxed) as f64 <= (1.0 - BORNE) * sent as f64;
    let median = waits.get(waits.len() / 2).copied().unwrap_or_default();
    Trial { borne, answered: rate, median }
}

/// The highest rate that is borne, found by doubling and halving, to a twentieth.
fn most(town: &Town, tokens: &[String], shape: Shape) -> Trial {
    let (mut low, mut high, mut rate) = (None::<Trial>, f64::INFINITY, 2_000.0 / shape.batch as f64);
    for _ in 0..11 {
        let trial = offer(town, tokens, shape, rate);
        if trial.borne {
            low = Some(trial);
        } else {
            high = rate;
        }
        let floor = low.as_ref().map_or(0.0, |trial| trial.answered);
        rate = match (floor, high) {
            (floor, high) if high.is_infinite() => floor * 2.0,
            (0.0, high) => high / 2.0,
            (floor, high) if high / floor < 1.05 => break,
            (floor, high) => (floor * high).sqrt(),
        };
        // What the bus has not taken up yet is not part of the next trial.
        settle(town);
    }
    low.expect("some rate is borne")
}

fn settle(town: &Town) {
    let books = Connection::open(town.data.join("city.sqlite")).unwrap();
    books.busy_timeout(Duration::from_secs(10)).unwrap();
    while books.query_row("SELECT count(*) FROM outgoing", [], |row| row.get::<_, i64>(0)).unwrap() > 0 {
        thread::sleep(Duration::from_millis(20));
    }
}

fn ingest(root: &Path, only: Option<(usize, usize)>) {
    println!(
        "\ningest     durable, each event with its order, capture, outcome and its way over the bus; open load"
    );
    println!("                                         SQL alone, flushed");
    println!(
        "           batch  lines    loopback  by request   by group    events/s   ratio to each   median wait"
    );
    for batch in [1, 10, 100] {
        for lines in [1, 8, 64] {
            if only.is_some_and(|only| only != (batch, lines)) {
                continue;
            }
            let town = Town::start(root, &format!("ingest-{batch}-{lines}"), QUEUE);
            let shape = Shape { batch, lines };
            let tokens: Vec<String> = (0..lines.min(DEVICES)).map(|n| town.enrol(&device(n))).collect();
            let before = sql_alone(root, shape);
            let trial = most(&town, &tokens, shape);
            let after = sql_alone(root, shape);
            let (own, alone) = (trial.answered * batch as f64, f64::midpoint(before, after));
            let single = if lines == 1 { alone } else { sql_alone(root, Shape { batch, lines: 1 }) };
            println!(
                "           {batch:>5}  {lines:>5}  {:>10.0}  {single:>10.0}  {alone:>9.0}  {own:>10.0}     {:.2}  {:.2}  {:>9.1} ms",
                loopback(shape),
                own / single,
                own / alone,
                trial.median.as_secs_f64() * 1e3
            );
            if (batch, lines) == (100, 8) {
                weigh(&town);
            }
        }
    }
}

fn weigh(town: &Town) {
    settle(town);
    let books = Connection::open(town.data.join("city.sqlite")).unwrap();
    let _: i64 = books.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap_or(0);
    let events: i64 = books.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    let (pages, size): (i64, i64) = books
        .query_row(
            "SELECT (SELECT page_count FROM pragma_page_count), (SELECT page_size FROM pragma_page_size)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let wire = event("till-1", "order-1-123456789", UnixMillis(0), 1).body.len();
    println!(
        "           {} bytes on disk for each event of {wire} bytes, with all that follows from it",
        pages * size / events.max(1)
    );
}

/// What it costs to turn one event away, beside taking one with all that follows from it: processor time of the city, which
/// other work on the machine hardly touches.
fn refusals(root: &Path) {
    let shape = Shape { batch: 1, lines: 64 };
    let town = Town::start(root, "taking", QUEUE);
    let tokens: Vec<String> = (0..DEVICES).map(|n| town.enrol(&device(n))).collect();
    all(&town, 202, requests(shape, &tokens, 20));
    settle(&town);
    let before = town.ticks();
    all(&town, 202, requests(shape, &tokens, COUNTED));
    settle(&town);
    let taken = town.ticks() - before;
    let town = Town::start(root, "refusing", "1");
    let tokens: Vec<String> = (0..DEVICES).map(|n| town.enrol(&device(n))).collect();
    let books = Connection::open(town.data.join("city.sqlite")).unwrap();
    books.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = thread::scope(|scope| {
        // The writer waits for the books with one or two of these, and the last is all that its queue holds.
        for list in requests(Shape { batch: 1, lines: 3 }, &tokens, 1) {
            let address = &town.address;
            scope.spawn(move || Line::open(address).ask("POST", "/v1/events", &list[0].head, &list[0].body));
            thread::sleep(Duration::from_millis(50));
        }
        let before = town.ticks();
        all(&town, 503, requests(shape, &tokens, COUNTED));
        let refused = town.ticks() - before;
        books.execute_batch("ROLLBACK").unwrap();
        refused
    });
    println!("refusals   {:.3} × the processor time of an event that is taken", refused / taken);
}

/// Sends all of them, one after the other on each line.
fn all(town: &Town, wanted: u16, lists: Vec<Vec<Ready>>) {
    thread::scope(|scope| {
        for list in lists {
            scope.spawn(move || {
                let mut line = Line::open(&town.address);
                for Ready { head, body } in list {
                    let (status, answer) = line.ask("POST", "/v1/events", &head, &body);
                    assert_eq!(status, wanted, "{answer}");
                }
            });
        }
    });
}

/// From the first byte of a sale to its outcome on the feed.
fn outcome(root: &Path) {
    let town = Town::start(root, "outcome", QUEUE);
    let token = town.enrol(&device(0));
    let authorization = format!("authorization: Bearer {token}\r\n");
    let (mut sale, mut feed) = (Line::open(&town.address), Line::open(&town.address));
    let mut cursor = String::new();
    let mut spans = Vec::new();
    let mut answers = Vec::new();
    for ready in requests(Shape { batch: 1, lines: 1 }, &[token], 300).remove(0) {
        let (authorization, feed, place) = (&authorization, &mut feed, cursor.clone());
        let began = Instant::now();
        cursor = thread::scope(|scope| {
            let heard = scope.spawn(move || {
                let path = format!("/v1/feed?after={place}&wait=5");
                let (status, answer) = feed.ask("GET", &path, authorization, "");
                assert!(status == 200 && answer.contains("captured"), "{answer}");
                let cursor = answer.rsplit(r#""cursor":""#).next().unwrap().split('"').next().unwrap();
                (cursor.to_owned(), began.elapsed())
            });
            let (status, answer) = sale.ask("POST", "/v1/events", &ready.head, &ready.body);
            assert_eq!(status, 202, "{answer}");
            answers.push(began.elapsed());
            let (cursor, span) = heard.join().unwrap();
            spans.push(span);
            cursor
        });
    }
    spans.sort();
    answers.sort();
    let (span, answer) = (spans[spans.len() / 2], answers[answers.len() / 2]);
    println!(
        "\noutcome    captured on the feed after {:.2} × the time of the answer itself ({:.1} ms)",
        span.as_secs_f64() / answer.as_secs_f64(),
        answer.as_secs_f64() * 1e3
    );
}

/// The same question to a city with nothing else in it and to one with a million orders, turn by turn.
fn questions(root: &Path) {
    let (small, large) = (Town::start(root, "small", QUEUE), Town::start(root, "large", QUEUE));
    fill(&large);
    fill_one(&small);
    let mut sides: Vec<(Line, String, Vec<Duration>)> = [&small, &large]
        .into_iter()
        .map(|town| {
            let head = format!("authorization: Bearer {}\r\n", town.enrol("till-1"));
            (Line::open(&town.address), head, Vec::new())
        })
        .collect();
    for question in 0..QUESTIONS {
        for (side, (line, head, spans)) in sides.iter_mut().enumerate() {
            let order = if side == 0 { 1 } else { question * 7919 % ORDERS + 1 };
            let began = Instant::now();
            let (status, answer) = line.ask("GET", &format!("/v1/orders/order-{order}"), head, "");
            assert_eq!(status, 200, "{answer}");
            spans.push(began.elapsed());
        }
    }
    let median = |spans: &mut Vec<Duration>| {
        spans.sort();
        spans[spans.len() / 2].as_secs_f64()
    };
    let small = median(&mut sides[0].2);
    let large = median(&mut sides[1].2);
    println!("queries    with {ORDERS} orders {:.2} × the time with one order", large / small);
}

const ORDER: &str =
    "INSERT INTO orders VALUES (?1, 'captured', ?2, ?2, 'till-1', 120, 'TWD', 'cash', ?1, NULL, 7)";

fn fill_one(town: &Town) {
    let books = Connection::open(town.data.join("city.sqlite")).unwrap();
    books.execute(ORDER, params!["order-1", [0u8; 16]]).unwrap();
}

fn fill(town: &Town) {
    let mut books = Connection::open(town.data.join("city.sqlite")).unwrap();
    let transaction = books.transaction().unwrap();
    for number in 1..=ORDERS {
        let id = EventId::mint(UnixMillis(number as u64), [1; 10]).to_bytes();
        let order = format!("order-{number}");
        transaction.prepare_cached(ORDER).unwrap().execute(params![order, id]).unwrap();
    }
    transaction.commit().unwrap();
}
