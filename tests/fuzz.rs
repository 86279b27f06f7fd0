//! Texts nobody would write, put before whatever reads texts: seeds of `tests/corpus`, cut off at every sign, and then
//! changed at random. The promises: no panic, no hang, nothing larger than what came in, and what is written from what
//! was read is read as the same.
//!
//! `PROPTEST_CASES` sets how many changed texts each reader gets; `cargo xtask proof` gives them many. A text that breaks
//! something is printed in its smallest form: it goes into the corpus.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the promise")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use city_domain::bus::{BusTx, Message};
use city_domain::{
    City, Examined, Form, Memory, Noted, Owed, Principal, Request, Role, Rules, file_form, ingest, note,
};
use conch::event::fingerprint::{canonical, fingerprint};
use conch::event::json::Json;
use conch::event::{
    Device, Emit, EventId, EventType, Identity, IntentKey, Key, Sequence, Stored, Topic, UnixMillis, pii,
    prepare, time, with_sequence,
};
use conch::limits::{
    ANSWER_BYTES_MAX, CURSOR_CHARS_MAX, EVENT_BYTES_MAX, KEY_CHARS_MAX, RETRY_AFTER_MAX_MS, SAFE_INTEGER_MAX,
};
use conch::wire::answer::FeedPage;
use conch::wire::classify::Asked;
use conch::wire::cloudevents::Envelope;
use conch::wire::{
    Answer, EdgeConfig, Problem, Reply, ReplyClass, VerdictWord, classify, retry_after, single,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::de::IgnoredAny;
use std::path::Path;
use std::time::{Duration, Instant};

/// Changed texts for each reader where nothing else is said.
const CASES: u32 = 1_500;
/// A reader that takes longer for one text hangs. Thousands of times what it needs, for a machine under load.
const HANGS_AFTER: Duration = Duration::from_secs(5);
const NOW: UnixMillis = UnixMillis(1_795_435_200_000);

/// What readers look for, or trip over.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "null",
    "true",
    "-",
    "0",
    "1",
    "e",
    "E+",
    ".",
    " ",
    "\n",
    "\t",
    "\0",
    "\u{7f}",
    "\\u0000",
    "\\ud83c",
    "\\udf0a",
    "\\u",
    "1e400",
    "1e-400",
    "1e999999999999999999999",
    "9007199254740992",
    "18446744073709551616",
    "-0",
    "00",
    "\u{feff}",
    "\u{fffd}",
    "\u{3000}",
    "\u{2028}",
    "夜市",
    "🌊",
    "é",
    "+",
    "/",
    "-",
    "_",
    "%",
    "@",
    "conch://device/till-1/life-1",
    "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11",
    "pay.txn.v2.requested",
    "stall.note.v1.written",
    "4111111111111111",
    "0912345678",
    "someone@example.com",
    "A123456789",
    "\"data\":{}",
    "\"id\":1",
    "\"data_base64\":\"AA==\"",
    "\"attempt\":1001",
    "\"sequence\":\"+1\"",
    "GMT",
    "1970",
    "9999",
    "Feb",
    "31",
    "60",
    "Z",
    "[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":",
    "<html>",
];

/// One change of a text. Places are taken modulo its length.
#[derive(Clone, Debug)]
enum Change {
    Cut {
        at: u16,
        bytes: u8,
    },
    Repeat {
        at: u16,
        bytes: u8,
        times: u8,
    },
    Overwrite {
        at: u16,
        byte: u8,
    },
    Put {
        at: u16,
        word: usize,
    },
    /// Bytes of another seed.
    Splice {
        at: u16,
        seed: usize,
        from: u16,
        bytes: u8,
    },
    End {
        at: u16,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<u16>();
    prop_oneof![
        3 => (at, 1..40_u8).prop_map(|(at, bytes)| Change::Cut { at, bytes }),
        1 => (at, 1..40_u8, 1..30_u8).prop_map(|(at, bytes, times)| Change::Repeat { at, bytes, times }),
        3 => (at, any::<u8>()).prop_map(|(at, byte)| Change::Overwrite { at, byte }),
        5 => (at, 0..WORDS.len()).prop_map(|(at, word)| Change::Put { at, word }),
        2 => (at, any::<usize>(), at, 1..80_u8)
            .prop_map(|(at, seed, from, bytes)| Change::Splice { at, seed, from, bytes }),
        1 => at.prop_map(|at| Change::End { at }),
    ]
}

fn changed(seeds: &[String], seed: usize, changes: &[Change]) -> String {
    let mut bytes = seeds[seed % seeds.len()].clone().into_bytes();
    for change in changes {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        let end = |at: usize, length: u8| (at + usize::from(length)).min(bytes.len());
        match *change {
            Change::Cut { at, bytes: length } => {
                let at = place(at);
                bytes.drain(at..end(at, length));
            }
            Change::Repeat { at, bytes: length, times } => {
                let at = place(at);
                let part = bytes[at..end(at, length)].repeat(times.into());
                bytes.splice(at..at, part);
            }
            Change::Overwrite { at, byte } => {
                let at = place(at);
                bytes.splice(at..end(at, 1), [byte]);
            }
            Change::Put { at, word } => {
                let at = place(at);
                bytes.splice(at..at, WORDS[word].bytes());
            }
            Change::Splice { at, seed, from, bytes: length } => {
                let other = seeds[seed % seeds.len()].as_bytes();
                let from = usize::from(from) % (other.len() + 1);
                let at = place(at);
                bytes.splice(
                    at..at,
                    other[from..(from + usize::from(length)).min(other.len())].iter().copied(),
                );
            }
            Change::End { at } => {
                let at = place(at);
                bytes.truncate(at);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn corpus(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Keeps a promise for every seed, every beginning of every seed, and many changed ones.
fn fuzz(folder: &str, promise: impl Fn(&str)) {
    let watched = |text: &str| {
        let began = Instant::now();
        promise(text);
        assert!(began.elapsed() < HANGS_AFTER, "{:?} for {} bytes", began.elapsed(), text.len());
    };
    let seeds = corpus(folder);
    for seed in &seeds {
        watched(seed);
        seed.char_indices().for_each(|(at, _)| watched(&seed[..at]));
    }
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let texts =
        (any::<usize>(), vec(change(), 0..10)).prop_map(|(seed, changes)| changed(&seeds, seed, &changes));
    TestRunner::new(config)
        .run(&texts, |text| {
            watched(&text);
            Ok(())
        })
        .unwrap_or_else(|broken| panic!("{broken}"));
}

fn written(value: &Json) -> String {
    let mut out = String::new();
    value.write(&mut out);
    out
}

/// Values and characters of a value.
fn extent(value: &Json) -> (usize, usize) {
    let sum = |parts: &mut dyn Iterator<Item = (usize, usize)>| {
        parts.fold((1, 0), |(values, bytes), (more, longer)| (values + more, bytes + longer))
    };
    match value {
        Json::Null | Json::Bool(_) => (1, 0),
        Json::Number(text) | Json::Text(text) => (1, text.len()),
        Json::Array(elements) => sum(&mut elements.iter().map(extent)),
        Json::Object(members) => sum(&mut members.iter().map(|(name, value)| {
            let (values, bytes) = extent(value);
            (values, bytes + name.len())
        })),
    }
}

fn numbers(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Number(text) => found.push(text.clone()),
        Json::Array(elements) => elements.iter().for_each(|element| numbers(element, found)),
        Json::Object(members) => members.iter().for_each(|(_, value)| numbers(value, found)),
        _ => {}
    }
}

/// What our reader refuses though the grammar allows it: too deep, twice the same name, half a surrogate pair.
const STRICTER: [&str; 3] = ["nested too deep", "a member name stands twice", "half of a surrogate pair"];

#[test]
fn json_is_read_as_others_read_it_and_written_as_it_was_read() {
    fuzz("json", |text| {
        let others = serde_json::from_str::<IgnoredAny>(text);
        let value = match Json::parse(text) {
            Ok(value) => value,
            Err(problem) => {
                assert!(problem.at <= text.len() + 1 && Json::parse_payload(text).is_err());
                assert!(others.is_err() || STRICTER.contains(&problem.what), "{problem:?}");
                return;
            }
        };
        assert!(others.is_ok(), "{others:?}");
        let (values, bytes) = extent(&value);
        assert!(values <= text.len() && bytes <= text.len());
        let again = written(&value);
        assert!(again.len() <= text.len(), "{again}");
        assert_eq!(Json::parse(&again).as_ref(), Ok(&value));
        let mut all = Vec::new();
        numbers(&value, &mut all);
        for number in all {
            let (length, double) = (number.len(), number.parse::<f64>().unwrap());
            let value = Json::Number(number);
            match value.as_whole() {
                Some(whole) => assert!(whole <= SAFE_INTEGER_MAX && double == whole as f64, "{value:?}"),
                // Longer ones lie between doubles.
                None if length > 15 => {}
                None => {
                    assert!(value.is_inexact() || double <= 0.0 || double.fract() != 0.0, "{value:?}");
                }
            }
        }
    });
}

/// Both ends compute a fingerprint of whatever they were given; the same value has the same one however it was spelt.
#[test]
fn the_canonical_form_is_a_fixed_point_and_bounded() {
    fuzz("json", |text| {
        let Ok(value) = Json::parse(text) else { return };
        let mut once = String::new();
        canonical(&value, &mut once);
        // A number takes at most 25 characters: sign, 17 digits, point, exponent.
        assert!(once.len() <= text.len() + 25 * extent(&value).0, "{once}");
        let again = Json::parse(&once).unwrap();
        let mut twice = String::new();
        canonical(&again, &mut twice);
        assert_eq!(once, twice);
        assert_eq!(fingerprint(&value, &[]), fingerprint(&again, &[]));
    });
}

/// A stored event may come back from a damaged disk, and a page's letters are read from it.
#[test]
fn stored_events_are_read_or_not_and_a_plain_servers_request_is_sound() {
    fuzz("events", |text| {
        if let Some(stored) = Stored::read(text) {
            assert!(stored.emit.payload.len() <= text.len() + 4, "a missing payload is null");
            Json::parse(&stored.emit.payload).unwrap();
        }
        if let Some((headers, body)) = single::request(text) {
            Json::parse(&body).unwrap();
            for (name, value) in headers {
                // What a header cannot hold would end the request, or begin another one.
                let plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
                assert!(plain || name == "idempotency-key", "{name}: {value:?}");
            }
        }
    });
}

#[test]
fn an_envelope_holds_names_that_were_checked_and_no_more_than_came() {
    fuzz("events", |text| {
        let Ok(value) = Json::parse(text) else { return };
        let Ok(envelope) = Envelope::read(&value) else { return };
        assert_eq!(Key::parse(envelope.key.as_str()).as_ref(), Ok(&envelope.key));
        assert!(envelope.key.as_str().len() <= KEY_CHARS_MAX && (1..=1_000).contains(&envelope.attempt));
        assert_eq!(Topic::parse(envelope.topic.as_str()).as_ref(), Ok(&envelope.topic));
        assert_eq!(EventType::parse(envelope.kind.as_str()).as_ref(), Ok(&envelope.kind));
        assert_eq!(IntentKey::parse(&envelope.intent.to_string()), Some(envelope.intent));
        assert!(envelope.sequence.is_none_or(|sequence| (1..=SAFE_INTEGER_MAX).contains(&sequence.0)));
        if let Some(at) = envelope.time {
            assert_eq!(time::from_rfc3339(&time::to_rfc3339(at)), Some(at));
        }
        assert!(envelope.source.len() + written(&envelope.data).len() <= text.len() + 4);
    });
}

/// Whatever an emit says in its texts, what is encoded is an event that the other end reads as it was meant.
#[test]
fn what_is_prepared_from_any_text_is_read_back_as_it_was_meant() {
    let identity = Identity { device: Device::parse("till-1").unwrap(), incarnation: "life-1".into() };
    fuzz("json", |text| {
        let emit = Emit {
            topic: "stall.note.v1".into(),
            kind: "written".into(),
            key: text.chars().take(40).collect::<String>(),
            payload: text.into(),
            correlation: Some(text.chars().rev().take(20).collect()),
            ..Emit::default()
        };
        for emit in [Emit { key: "k".into(), correlation: None, ..emit.clone() }, emit] {
            let Ok(prepared) = prepare(&emit, &identity, NOW, [7; 10]) else { continue };
            let whole = with_sequence(&prepared.tail, Sequence(3));
            assert!(whole.len() == prepared.bytes && whole.len() <= EVENT_BYTES_MAX && !whole.contains('\n'));
            let envelope = Envelope::read(&Json::parse(&whole).unwrap()).unwrap();
            assert_eq!(
                (envelope.key.as_str(), envelope.id, envelope.intent),
                (emit.key.as_str(), prepared.id, prepared.intent)
            );
            let stored = Stored::read(&whole).unwrap();
            assert_eq!(stored.emit.payload, written(&envelope.data));
            assert!(prepared.masked || envelope.data == Json::parse(text).unwrap());
        }
    });
}

/// What is said on the bus and nobody took up.
fn said(books: &mut Memory) -> Vec<Message> {
    let partitions = books.said_in().unwrap();
    partitions
        .into_iter()
        .flat_map(|own| books.outgoing(own, 10).unwrap())
        .map(|(_, message)| message)
        .collect()
}

fn id(end: u8) -> EventId {
    EventId::parse(&format!("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a{end:02x}")).unwrap()
}

fn reply(status: u16, city: bool, body: &str) -> Reply {
    Reply::Http {
        status,
        city: city.then(|| "c1".into()),
        retry_after: Some(body.chars().take(40).collect()),
        date: None,
        body: body.into(),
        html: false,
    }
}

const STATUSES: [u16; 16] = [200, 202, 204, 302, 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503, 511];

#[test]
fn no_body_makes_anything_but_the_city_judge_and_nothing_judges_what_was_not_sent() {
    let sent = [id(0x11), id(0x12), id(0x13)];
    fuzz("answers", |body| {
        for status in STATUSES {
            for asked in [Asked::Verdicts(&sent), Asked::Offer, Asked::Feed] {
                let foreign = classify(&reply(status, false, body), asked, NOW);
                assert!(matches!(foreign, ReplyClass::Link(_)), "{status} {foreign:?}");
                match classify(&reply(status, true, body), asked, NOW) {
                    ReplyClass::Judged(answer) => {
                        assert!((200..300).contains(&status) && !answer.verdicts.is_empty());
                        assert!(answer.verdicts.iter().all(|verdict| sent.contains(&verdict.id)));
                    }
                    ReplyClass::Slot(wait) => assert!(wait <= RETRY_AFTER_MAX_MS),
                    ReplyClass::Told(wait) | ReplyClass::InFlight(wait) => {
                        assert!(wait.is_none_or(|ms| ms <= RETRY_AFTER_MAX_MS));
                    }
                    _ => {}
                }
            }
            let plain = single::classify(&reply(status, false, body), sent[0], &single::REFUSED, NOW);
            if let ReplyClass::Judged(answer) = plain {
                let [verdict] = &answer.verdicts[..] else { panic!("{answer:?}") };
                let expected = if status < 300 { VerdictWord::Accepted } else { VerdictWord::Refused };
                assert_eq!((verdict.id, verdict.word), (sent[0], expected));
                assert!(status < 300 || single::REFUSED.contains(&status));
                assert!(!body.trim_start().starts_with('<'), "a portal's page");
            }
        }
    });
}

#[test]
fn answers_hold_no_more_than_came_and_problems_are_written_as_they_were_read() {
    fuzz("answers", |text| {
        let Ok(value) = Json::parse(text) else { return };
        if let Some(answer) = Answer::read(&value) {
            assert!(answer.verdicts.len() <= text.len() / 36);
        }
        if let Some(offer) = EdgeConfig::read(&value) {
            assert!(offer.batch_events_max >= 1 && offer.city.len() <= text.len());
        }
        if let Some(page) = FeedPage::read(&value) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!((1..=CURSOR_CHARS_MAX).contains(&page.cursor.len()) && page.cursor.bytes().all(plain));
            assert!(page.events.iter().map(|event| event.body.len()).sum::<usize>() <= text.len());
            for event in page.events {
                assert_eq!(
                    Json::parse(&event.body).unwrap().text("id").and_then(EventId::parse),
                    Some(event.id)
                );
            }
        }
        if let Some(problem) = Problem::read(&value) {
            let written = problem.to_json();
            assert!(written.len() <= text.len() + 60);
            assert_eq!(Problem::read(&Json::parse(&written).unwrap()), Some(problem));
        }
    });
}

#[test]
fn a_told_wait_is_an_hour_at_most_and_a_time_that_is_read_can_be_written() {
    fuzz("times", |text| {
        assert!(retry_after::wait_ms(text, NOW).is_none_or(|ms| ms <= RETRY_AFTER_MAX_MS));
        assert!(retry_after::wait_ms(text, UnixMillis(u64::MAX)).is_none_or(|ms| ms <= RETRY_AFTER_MAX_MS));
        let read = [retry_after::http_date(text), time::from_rfc3339(text)];
        for at in read.into_iter().flatten() {
            let again = time::to_rfc3339(at);
            assert_eq!(time::from_rfc3339(&again), Some(at), "{again}");
        }
    });
}

#[test]
fn masking_is_done_once_adds_little_and_leaves_no_whole_token() {
    fuzz("texts", |text| {
        let mut once = Json::Text(text.into());
        let masked = pii::mask(&mut once, &[]);
        assert_eq!(masked, once.as_text() != Some(text), "it says what it did");
        assert!(once.as_text().unwrap().len() <= 2 * text.len());
        let mut twice = once.clone();
        assert!(!pii::mask(&mut twice, &[]) && twice == once);
        for token in
            once.as_text().unwrap().split([' ', ',', ';', '\n', '\t', '，', '。', '、', '；', '\u{3000}'])
        {
            assert!(
                !pii::mask(&mut Json::Text(token.trim_end_matches('.').into()), &[]),
                "{token:?} is left"
            );
        }
        // A name is either refused, or the same text again.
        if let Ok(key) = Key::parse(text) {
            assert!(key.as_str() == text && pii::in_name(text).is_none());
        }
        for name in
            [Topic::parse(text).map(|own| own.to_string()), Device::parse(text).map(|own| own.to_string())]
        {
            assert!(name.is_err() || name.as_deref() == Ok(text));
        }
    });
}

/// What the open door of the city reads: names of a form, and what a device says of its outbox in a header.
#[test]
fn forms_and_headers_stay_within_their_limits_and_cost_one_row() {
    let (city, device) = (City { id: id(0x99) }, Device::parse("till-1").unwrap());
    let rules = Rules::read(r#"[{"kind":"other","unit":"patrol","withinMinutes":60}]"#).unwrap();
    fuzz("texts", |text| {
        if let Ok(form) = Form::read(text, text, Some(text), Some(text)) {
            let mut books = Memory::default();
            let filed =
                file_form(&mut books, (&city, &rules), &form, Some((text, text)), NOW, &mut || [7; 10]);
            assert!(!filed.unwrap().unwrap().replayed);
            let said = said(&mut books);
            assert_eq!(said.len(), 1);
            // Six characters for one that must be escaped, thrice, and the event around them.
            assert!(said[0].body.len() <= 6 * 3 * text.len() + 1_000, "{}", said[0].body);
            assert_eq!(Message::read(said[0].body.clone()).as_ref(), Some(&said[0]));
            let again =
                file_form(&mut books, (&city, &rules), &form, Some((text, text)), NOW, &mut || [8; 10]);
            assert!(again.unwrap().unwrap().replayed && books.backlog().unwrap() == 1);
        }
        for text in [text.to_owned(), format!("1-{text}"), format!("{text}-9007199254740991")] {
            let Some(owed) = Owed::parse(&text) else { continue };
            assert!(owed.lowest >= 1 && owed.highest <= SAFE_INTEGER_MAX);
            let mut books = Memory::default();
            let noted =
                Noted { device: &device, incarnation: "life", here: &[1, owed.highest], owed, now: NOW };
            let missing = note(&mut books, &city, &noted, &mut || [9; 10]).unwrap();
            assert_eq!(missing, books.missing());
        }
    });
}

/// Whatever is in a body, the city judges it or not; what it judged it judges again in the same words, and an event
/// that was not taken left nothing behind that says it was.
#[test]
fn the_city_judges_any_body_once_and_says_the_same_again() {
    let city = City { id: id(0x99) };
    fuzz("events", |text| {
        let Ok(element) = Json::parse(text) else { return };
        for role in [Role::Vendor, Role::Gate, Role::Ops] {
            let principal = Principal { device: Device::parse("till-1").unwrap(), role };
            let Some(examined) = Examined::read(&element, &principal) else { continue };
            let named = examined.id().to_string();
            assert!(element.text("id").is_some_and(|came| came.eq_ignore_ascii_case(&named)), "{named}");
            let request = Request { principal, received: NOW, sent_at: Some(NOW), window_ms: 0 };
            let (mut books, mut drawn) = (Memory::default(), 0_u8);
            let mut judge = || {
                let mut entropy = || {
                    drawn = drawn.wrapping_add(1);
                    [drawn; 10]
                };
                ingest(&mut books, &city, &request, &examined, &mut entropy).unwrap()
            };
            let (first, second) = (judge(), judge());
            assert_eq!((first.verdict.id, &second.verdict), (examined.id(), &first.verdict));
            assert!(!first.replayed && !second.told && second.others.is_empty());
            let taken = first.verdict.word == VerdictWord::Accepted;
            assert_eq!(books.events().len(), usize::from(taken));
            for message in said(&mut books) {
                assert_eq!(Message::read(message.body.clone()), Some(message));
            }
            if taken {
                assert!(second.replayed && examined.unreadable().is_none());
            } else {
                assert_eq!(first.verdict.word, VerdictWord::Refused);
                assert!(first.verdict.problem.is_some(), "a refusal is explained");
            }
        }
    });
}

/// Changes of what nobody takes would never get far.
#[test]
fn every_seed_of_an_event_is_taken_from_somebody() {
    let device = Device::parse("till-1").unwrap();
    for seed in corpus("events") {
        let taken = [Role::Vendor, Role::Gate, Role::Ops].into_iter().any(|role| {
            let principal = Principal { device: device.clone(), role };
            let examined = Examined::read(&Json::parse(&seed).unwrap(), &principal).unwrap();
            let request = Request { principal, received: NOW, sent_at: Some(NOW), window_ms: 0 };
            let city = City { id: id(0x99) };
            let judged = ingest(&mut Memory::default(), &city, &request, &examined, &mut || [1; 10]);
            judged.unwrap().verdict.word == VerdictWord::Accepted
        });
        assert!(taken, "{seed}");
    }
}

/// Texts as large as they may be, made to cost as much as they can.
#[test]
fn the_largest_texts_are_read_and_judged_in_time() {
    let fill = |part: &str| part.repeat(ANSWER_BYTES_MAX / part.len());
    let members = |backwards: bool| {
        let count = ANSWER_BYTES_MAX / 10;
        let names =
            (0..count).map(|n| format!("\"{:05}\":1", if backwards { count - n } else { n * 7_919 % count }));
        format!("{{{}}}", names.collect::<Vec<_>>().join(","))
    };
    let texts = [
        ("members from the last to the first", members(true)),
        ("members in no order", members(false)),
        ("elements", format!("[{}0]", fill("0,"))),
        ("empty objects", format!("[{}0]", fill("{},"))),
        ("escapes", format!("\"{}\"", fill("\\u0000"))),
        ("a number", fill("9")),
        ("a fraction", format!("0.{}", fill("0"))),
        ("an exponent", format!("1e{}", fill("9"))),
        ("nesting", fill("[")),
        ("spaces", fill(" ")),
        ("words to look at", format!("\"{}\"", fill("0912345678 "))),
        ("a card without end", format!("\"{}\"", fill("4111-"))),
        ("separators", format!("\"{}\"", fill(" ;,."))),
    ];
    for (name, text) in texts {
        let began = Instant::now();
        if let Ok(mut value) = Json::parse(&text) {
            fingerprint(&value, &[]);
            pii::mask(&mut value, &[]);
            let (_, inexact) = (value.as_whole(), value.is_inexact());
            assert!(!inexact || matches!(value, Json::Number(_)));
            written(&value);
        }
        let took = began.elapsed();
        println!("{name}: {took:?}");
        assert!(took < HANGS_AFTER, "{name}: {took:?} for {} bytes", text.len());
    }
}
