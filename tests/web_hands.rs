//! The small hands in a real browser: clocks, entropy, requests, wakes and the leader's lock.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use conch::browser::fetch::{Request, send};
use conch::browser::lock::{Claim, Lock, LockChange, NoLocks};
use conch::browser::wakes::{Wake, Wakes};
use conch::browser::{clock, entropy};
use conch::event::UnixMillis;
use conch::limits::ANSWER_BYTES_MAX;
use conch::wire::Reply;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

// A city made up for one request, and the browser's own events and locks from outside.
#[wasm_bindgen(inline_js = r#"
const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout, locks: navigator.locks };
let asked = null;
export function mend() {
  globalThis.fetch = real.fetch;
  globalThis.setTimeout = real.setTimeout;
  Object.defineProperty(navigator, "locks", { value: real.locks, configurable: true });
}
export function answer_with(status, body, headers) {
  globalThis.fetch = async (url, options) => {
    asked = { url, ...options };
    return new Response(body, { status, headers: JSON.parse(headers) });
  };
}
export function answer_without_end(text) {
  const part = new TextEncoder().encode(text.repeat(1024));
  globalThis.fetch = async (url, options) => {
    asked = { url, ...options };
    return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(part) }));
  };
}
export function answer_never() {
  globalThis.fetch = (url, options) => new Promise((_, reject) => {
    asked = { url, ...options };
    options.signal.addEventListener("abort", () => reject(options.signal.reason));
  });
}
export function hurry() {
  globalThis.setTimeout = (call) => real.setTimeout.call(globalThis, call, 0);
}
export const asked_for = () => [asked.method, asked.redirect, asked.credentials, asked.cache, asked.body ?? ""].join(" ");
export const asked_header = (name) => new Headers(asked.headers).get(name);
export const was_aborted = () => asked !== null && asked.signal.aborted;
export const was_asked = () => asked !== null;
export const forget = () => { asked = null; };
export const tick = () => new Promise((resolve) => real.setTimeout.call(globalThis, resolve, 0));
export const say = (name) => globalThis.dispatchEvent(new Event(name));
export const say_hidden_or_visible = () => document.dispatchEvent(new Event("visibilitychange"));
export const steal = (name) => real.locks.request(name, { steal: true }, () => {});
export const waiting = async (name) => (await real.locks.query()).pending.filter((one) => one.name === name).length;
export function without_locks() {
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
}
async function durability() {
  const opening = indexedDB.open("web-hands-durability");
  opening.onupgradeneeded = () => opening.result.createObjectStore("s");
  await new Promise((resolve) => { opening.onsuccess = resolve; });
  const options = { durability: "strict" };
  const heard = opening.result.transaction("s", "readwrite", options).durability === "strict";
  opening.result.close();
  indexedDB.deleteDatabase("web-hands-durability");
  return heard;
}
// The row of docs/engines.md that this engine would write of itself.
export async function offered() {
  const agent = navigator.userAgent;
  const engine = agent.includes("Firefox/") ? "firefox" : agent.includes("Chrome/") ? "chromium" : "webkit";
  const context = globalThis.document ? "window" : globalThis.clients ? "service-worker" : "worker";
  const offers = [
    await durability(),
    typeof navigator.locks?.request === "function",
    typeof BroadcastChannel === "function",
    typeof navigator.storage?.persist === "function",
    typeof navigator.storage?.estimate === "function",
    typeof SyncManager === "function",
    "keepalive" in Request.prototype,
  ];
  return `| ${[engine, context, ...offers.map((has) => (has ? "yes" : "no"))].join(" | ")} |`;
}
"#)]
extern "C" {
    fn mend();
    fn answer_with(status: u16, body: &str, headers: &str);
    fn answer_without_end(text: &str);
    fn answer_never();
    fn hurry();
    fn asked_for() -> String;
    fn asked_header(name: &str) -> Option<String>;
    fn was_aborted() -> bool;
    fn was_asked() -> bool;
    fn forget();
    fn tick() -> js_sys::Promise;
    fn say(name: &str);
    fn say_hidden_or_visible();
    fn steal(name: &str) -> js_sys::Promise;
    fn waiting(name: &str) -> js_sys::Promise;
    fn without_locks();
    fn offered() -> js_sys::Promise;
}

const TABLE: &str = include_str!("../docs/engines.md");

/// Lets the browser go on until something holds; the runner's own limit ends a wait in vain.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        JsFuture::from(tick()).await.unwrap();
    }
}

fn get() -> Request {
    Request { url: "/v1/edge".into(), timeout_ms: 20_000, ..Request::default() }
}

#[wasm_bindgen_test]
fn the_clocks_tell_the_time_and_never_go_back() {
    let (wall, page) = (clock::wall(), clock::monotonic_ms());
    assert!(wall > UnixMillis(1_700_000_000_000));
    assert!(clock::monotonic_ms() >= page);
}

#[wasm_bindgen_test]
fn entropy_is_not_drawn_twice() {
    assert_ne!(entropy::bytes::<16>().unwrap(), entropy::bytes::<16>().unwrap());
}

#[wasm_bindgen_test]
async fn an_answer_comes_with_what_proves_it() {
    answer_with(
        503,
        "later",
        r#"{"conch-city":"c1","retry-after":"7","date":"Sun, 06 Nov 1994 08:49:37 GMT"}"#,
    );
    let request = Request {
        headers: vec![("authorization", "Bearer t".into()), ("conch-epoch", "3".into())],
        body: Some("{}".into()),
        ..get()
    };
    let reply = send(&request).await;
    mend();
    let expected = Reply::Http {
        status: 503,
        city: Some("c1".into()),
        retry_after: Some("7".into()),
        date: Some(UnixMillis(784_111_777_000)),
        body: "later".into(),
        html: false,
    };
    assert_eq!(reply, expected);
    assert_eq!(asked_for(), "POST error omit no-store {}");
    assert_eq!(asked_header("conch-epoch").as_deref(), Some("3"));
}

#[wasm_bindgen_test]
async fn a_question_has_no_body_and_its_answer_perhaps_no_headers() {
    answer_with(200, "", "{}");
    let reply = send(&get()).await;
    mend();
    let nothing = Reply::Http {
        status: 200,
        city: None,
        retry_after: None,
        date: None,
        body: String::new(),
        html: false,
    };
    assert_eq!(reply, nothing);
    assert_eq!(asked_for(), "GET error omit no-store ");
}

#[wasm_bindgen_test]
async fn an_endless_answer_is_cut_off() {
    answer_without_end("<p>");
    let reply = send(&get()).await;
    mend();
    let Reply::Http { status: 200, body, .. } = reply else { panic!("{reply:?}") };
    assert!(body.starts_with("<p><p>"));
    assert_eq!(body.len(), ANSWER_BYTES_MAX);
    assert!(was_aborted(), "the rest is not read");
}

#[wasm_bindgen_test]
async fn an_answer_cut_inside_a_character_is_still_read() {
    answer_without_end("蒼螺夜市");
    let reply = send(&get()).await;
    mend();
    let Reply::Http { status: 200, body, .. } = reply else { panic!("{reply:?}") };
    // Each character has three bytes, and the limit is no multiple of three.
    assert!(body.starts_with("蒼螺夜市蒼") && body.ends_with("\u{fffd}"));
    assert!(body.len() <= ANSWER_BYTES_MAX + 3);
    assert!(was_aborted(), "the rest is not read");
}

#[wasm_bindgen_test]
async fn a_dead_link_gives_no_answer() {
    let nobody = Request { url: "http://127.0.0.1:1/".into(), timeout_ms: 20_000, ..Request::default() };
    assert_eq!(send(&nobody).await, Reply::NoAnswer);
    let malformed = Request { headers: vec![("not a name", String::new())], ..get() };
    assert_eq!(send(&malformed).await, Reply::NoAnswer);
}

#[wasm_bindgen_test]
async fn silence_ends_in_a_timeout() {
    answer_never();
    hurry();
    let reply = send(&get()).await;
    mend();
    assert_eq!(reply, Reply::Timeout);
}

#[wasm_bindgen_test]
async fn a_request_nobody_waits_for_is_aborted() {
    forget();
    answer_never();
    {
        let request = get();
        let mut sending = Box::pin(send(&request));
        core::future::poll_fn(|context| {
            assert!(sending.as_mut().poll(context).is_pending());
            core::task::Poll::Ready(())
        })
        .await;
        assert!(was_asked() && !was_aborted());
    }
    mend();
    assert!(was_aborted());
}

#[wasm_bindgen_test]
async fn one_timer_rings_once_and_a_newer_one_replaces_it() {
    let woken = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&woken);
    let wakes = Wakes::listen(move |wake| heard.borrow_mut().push(wake));
    wakes.set(u64::MAX);
    wakes.set(0);
    until(|| !woken.borrow().is_empty()).await;
    assert_eq!(*woken.borrow(), [Wake::Timer], "a wait too long for the browser does not end at once");
    wakes.set(0);
    wakes.clear();
    JsFuture::from(tick()).await.unwrap();
    assert_eq!(woken.borrow().len(), 1);
}

#[wasm_bindgen_test]
fn the_scopes_signs_wake_until_it_is_dropped() {
    let woken = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&woken);
    let wakes = Wakes::listen(move |wake| heard.borrow_mut().push(wake));
    for name in ["online", "pageshow", "focus", "pagehide"] {
        say(name);
    }
    assert_eq!(*woken.borrow(), [Wake::Online, Wake::Shown, Wake::Focused, Wake::Leaving]);
    drop(wakes);
    say("online");
    assert_eq!(woken.borrow().len(), 4);
}

/// What needs a document. Workers have none, and `cargo xtask test` leaves this module out there.
pub mod page {
    use super::*;

    #[wasm_bindgen_test]
    fn a_page_that_is_seen_again_wakes_until_it_is_dropped() {
        let woken = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&woken);
        let wakes = Wakes::listen(move |wake| heard.borrow_mut().push(wake));
        say_hidden_or_visible();
        assert_eq!(*woken.borrow(), [Wake::Visible]);
        drop(wakes);
        say_hidden_or_visible();
        assert_eq!(woken.borrow().len(), 1);
    }
}

/// What an engine lacks is known, so that a release which takes more away is noticed.
#[wasm_bindgen_test]
async fn the_table_says_what_this_engine_offers_here() {
    let row = JsFuture::from(offered()).await.unwrap().as_string().unwrap();
    // For `cargo xtask engines`, which makes the table of it.
    console_log!("{row}");
    assert!(TABLE.lines().any(|line| line == row), "docs/engines.md needs this row:\n{row}");
}

#[wasm_bindgen_test]
async fn one_context_leads_and_the_next_follows_when_it_ends() {
    let changes = Rc::new(RefCell::new(Vec::new()));
    let queue = |who: &'static str| {
        let changes = Rc::clone(&changes);
        Lock::request("web-hands-queue", Claim::Queue, move |change| changes.borrow_mut().push((who, change)))
            .unwrap()
    };
    let one = queue("one");
    until(|| one.is_held()).await;
    let two = queue("two");
    let three = queue("three");
    until_waiting("conch:web-hands-queue", 2.0).await;
    assert!(!two.is_held());
    drop(two);
    until_waiting("conch:web-hands-queue", 1.0).await;
    drop(one);
    until(|| three.is_held()).await;
    assert_eq!(*changes.borrow(), [("one", LockChange::Gained), ("three", LockChange::Gained)]);
}

async fn until_waiting(name: &str, number: f64) {
    while JsFuture::from(waiting(name)).await.unwrap().as_f64() != Some(number) {}
}

#[wasm_bindgen_test]
async fn a_stolen_lock_is_lost() {
    let changes = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&changes);
    let lock = Lock::request("web-hands-stolen", Claim::Queue, move |change| heard.borrow_mut().push(change))
        .unwrap();
    until(|| lock.is_held()).await;
    spawn_local(async { drop(JsFuture::from(steal("conch:web-hands-stolen")).await) });
    until(|| changes.borrow().len() == 2).await;
    assert_eq!(*changes.borrow(), [LockChange::Gained, LockChange::Lost]);
    assert!(!lock.is_held());
}

#[wasm_bindgen_test]
async fn a_claim_to_steal_takes_the_lock_at_once() {
    let changes = Rc::new(RefCell::new(Vec::new()));
    let claim = |who: &'static str, claim: Claim| {
        let changes = Rc::clone(&changes);
        Lock::request("web-hands-theft", claim, move |change| changes.borrow_mut().push((who, change)))
            .unwrap()
    };
    let silent = claim("silent", Claim::Queue);
    until(|| silent.is_held()).await;
    let thief = claim("thief", Claim::Steal);
    until(|| changes.borrow().len() == 3).await;
    assert!(thief.is_held() && !silent.is_held());
    assert!(changes.borrow().contains(&("silent", LockChange::Lost)));
}

#[wasm_bindgen_test]
fn missing_locks_are_told() {
    without_locks();
    let lock = Lock::request("web-hands-missing", Claim::Queue, |_| {});
    mend();
    assert_eq!(lock.err(), Some(NoLocks));
}
