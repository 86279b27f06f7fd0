//! Who sends slowly, half, too much or nonsense, and the others meanwhile.

use crate::town::{BATCH, Caller, SINGLE, Town, batch};
use city_domain::{Role, limits};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// An answer that takes longer than this, with nothing in its way, does not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection for which the system has no place is tried again after a second.
const TRIED_AGAIN: Duration = Duration::from_secs(1);
/// Connections that began something and do not go on.
const HALF_OPEN: usize = 1_000;

fn connect(town: &Town) -> TcpStream {
    let stream = TcpStream::connect(town.address.strip_prefix("http://").unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The head of a request with one body of so many bytes.
fn head(caller: &Caller<'_>, kind: &str, length: usize, more: &str) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: city\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n{more}content-length: {length}\r\n\r\n",
        caller.token
    )
}

/// The status of the answer; `None` when the connection ended without one.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut line = [0; 12];
    match stream.read_exact(&mut line) {
        Ok(()) => std::str::from_utf8(&line).unwrap().rsplit(' ').next().unwrap().parse().ok(),
        Err(error) => {
            let ended = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
            assert!(ended, "neither an answer nor an end: {error}");
            None
        }
    }
}

/// Lets this process, and the city it starts, have so many files open.
fn raise_open_files(wanted: u64) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft = line.split_whitespace().next().unwrap();
    if soft != "unlimited" && soft.parse::<u64>().unwrap() < wanted {
        let pid = std::process::id().to_string();
        let raised = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={wanted}:")]).status();
        assert!(raised.unwrap().success(), "{wanted} open files are needed: ulimit -n {wanted}");
    }
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out() {
    raise_open_files(4 * HALF_OPEN as u64);
    let town = Town::open();
    let (till, other) = (town.enrol("till-1", Role::Vendor), town.enrol("till-2", Role::Vendor));
    let whole = batch(&[other.pay("o-never")]);
    let request = format!("{}{whole}", head(&other, BATCH.1, whole.len(), ""));
    // Some end within the head, some within the body, some have said nothing at all.
    let mut slowest = Duration::ZERO;
    let half_open: Vec<TcpStream> = (0..HALF_OPEN)
        .map(|n| {
            let began = Instant::now();
            let mut stream = connect(&town);
            slowest = slowest.max(began.elapsed());
            stream.write_all(&request.as_bytes()[..n * 7_919 % request.len()]).unwrap();
            stream
        })
        .collect();
    assert!(slowest < TRIED_AGAIN, "one was sent away: {slowest:?}");
    let began = Instant::now();
    for n in 0..20 {
        assert_eq!(till.send(&till.pay(&format!("o-{n}"))).verdicts(), ["accepted"]);
        assert_eq!(till.get("/v1/edge").status, 200);
    }
    assert!(began.elapsed() < PATIENCE, "40 requests took {:?}", began.elapsed());
    assert_eq!(town.totals()["events"], 20);
    drop(half_open);
    assert_eq!(till.send(&till.pay("o-after")).verdicts(), ["accepted"]);
    assert_eq!(town.totals()["events"], 21, "of what came by half nothing was taken");
}

#[test]
fn an_event_that_comes_sign_by_sign_is_taken() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let event = till.pay("o-1");
    let key = format!("idempotency-key: \"{}\"\r\n", event.intent);
    let mut stream = connect(&town);
    for byte in format!("{}{}", head(&till, SINGLE.1, event.body.len(), &key), event.body).bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!((status(&mut stream), &town.totals()["events"]), (Some(202), &1.into()));
}

#[test]
fn what_ends_half_way_leaves_nothing_in_the_way_of_the_whole() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let event = till.pay("o-1");
    let key = format!("idempotency-key: \"{}\"\r\n", event.intent);
    let request = format!("{}{}", head(&till, SINGLE.1, event.body.len(), &key), event.body);
    for end in [0, 1, 40, request.len() - event.body.len(), request.len() - 1] {
        for politely in [true, false] {
            let mut stream = connect(&town);
            stream.write_all(&request.as_bytes()[..end]).unwrap();
            if politely {
                stream.shutdown(Shutdown::Write).unwrap();
                let answer = status(&mut stream);
                assert!(answer.is_none_or(|status| status >= 400), "{end}: {answer:?}");
            }
        }
    }
    assert_eq!(town.totals()["events"], 0);
    assert_eq!(till.send(&event).verdicts(), ["accepted"]);
}

#[test]
fn heads_without_end_are_refused_and_harm_nobody() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let long = format!("GET /health HTTP/1.1\r\nhost: city\r\nx-long: {}", "x".repeat(2_000_000));
    let many = format!("GET /health HTTP/1.1\r\nhost: city\r\n{}", "x-more: 1\r\n".repeat(100_000));
    let address = format!("GET /{} HTTP/1.1\r\nhost: city\r\n\r\n", "x".repeat(2_000_000));
    for (name, head) in [("one header", long), ("many headers", many), ("an address", address)] {
        let mut stream = connect(&town);
        // The city may close while we still write; its answer is what counts.
        let _ = stream.write_all(head.as_bytes());
        let answer = status(&mut stream);
        assert!(answer.is_none_or(|status| [400, 414, 431].contains(&status)), "{name}: {answer:?}");
        assert_eq!(till.get("/v1/edge").status, 200, "{name}");
    }
}

#[test]
fn a_head_that_contradicts_itself_or_is_none_is_refused() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let bearer = format!("authorization: Bearer {}\r\ncontent-type: {}\r\n", till.token, BATCH.1);
    for (name, request) in [
        (
            "two lengths",
            format!(
                "POST /v1/events HTTP/1.1\r\nhost: city\r\n{bearer}content-length: 2\r\ncontent-length: 3\r\n\r\n[]]"
            ),
        ),
        (
            "a negative length",
            format!("POST /v1/events HTTP/1.1\r\nhost: city\r\n{bearer}content-length: -2\r\n\r\n[]"),
        ),
        (
            "a length that is no number",
            format!("POST /v1/events HTTP/1.1\r\nhost: city\r\n{bearer}content-length: 2e0\r\n\r\n[]"),
        ),
        (
            "an unknown coding",
            format!("POST /v1/events HTTP/1.1\r\nhost: city\r\n{bearer}transfer-encoding: gzip\r\n\r\n[]"),
        ),
        (
            "a broken chunk",
            format!(
                "POST /v1/events HTTP/1.1\r\nhost: city\r\n{bearer}transfer-encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n"
            ),
        ),
        (
            "a space before the colon",
            format!("POST /v1/events HTTP/1.1\r\nhost : city\r\n{bearer}content-length: 2\r\n\r\n[]"),
        ),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("no protocol", "\u{16}\u{3}\u{1}\0\u{5}\0\0\0\0\0\r\n\r\n".to_owned()),
    ] {
        let mut stream = connect(&town);
        let _ = stream.write_all(request.as_bytes());
        let answer = status(&mut stream);
        assert!(answer.is_none_or(|status| (400..500).contains(&status)), "{name}: {answer:?}");
        let mut rest = Vec::new();
        assert!(
            stream.read_to_end(&mut rest).is_ok_and(|bytes| bytes < 10_000) || answer.is_none(),
            "{name}: it ends"
        );
    }
    assert_eq!((town.totals()["events"].clone(), till.get("/v1/edge").status), (0.into(), 200));
}

/// A body is cut at its limit however it is sent, and what was read of it is not kept.
#[test]
fn bodies_without_end_from_many_are_cut_while_others_are_served() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let chunk = " ".repeat(64 * 1024);
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: city\r\nauthorization: Bearer {}\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        till.token, BATCH.1
    );
    let mut streams: Vec<TcpStream> = (0..20).map(|_| connect(&town)).collect();
    for stream in &mut streams {
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..limits::BATCH_BYTES_MAX / chunk.len() {
            let _ = write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len());
        }
    }
    assert_eq!(till.send(&till.pay("o-1")).verdicts(), ["accepted"]);
    for stream in &mut streams {
        let _ = write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len());
        assert_eq!(status(stream), Some(413));
    }
}
