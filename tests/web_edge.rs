//! The face in a real browser: real IndexedDB, real locks, real channels; only the city's answers are played.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use conch::sdk::edge::Edge;
use js_sys::{Array, Function, JSON, Object, Promise, Reflect};
use wasm_bindgen::convert::TryFromJsValue;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

// A city that is played: `answer` decides what a request gets, and what was sent is kept. The pages' own tests run
// against the real one; here its silence must last exactly as long as a test wants.
#[wasm_bindgen(inline_js = r#"
let requests = [];
let mode = "silent";
const told = [];
const head = { "conch-city": "c1", "content-type": "application/json" };
const real = globalThis.fetch;
globalThis.fetch = (url, options) => {
  if (!String(url).includes("/v1/")) return real(url, options);
  if (String(url).includes("/v1/feed")) return answerFeed(String(url));
  const body = options.body ?? "";
  requests.push(body);
  told.splice(0).forEach((tell) => tell());
  if (mode === "silent") return new Promise(() => {});
  if (mode === "down") return Promise.reject(new TypeError("down"));
  if (mode === "portal") return Promise.resolve(new Response("<html>", { status: 200 }));
  if (mode === "old portal") {
    // UTF-16 with its mark, then Big5: neither is UTF-8.
    const bytes = requests.length % 2 ? [0xff, 0xfe, 0x3c, 0, 0x68, 0] : [0x3c, 0x68, 0x3e, 0xa4, 0xa4];
    return Promise.resolve(new Response(new Uint8Array(bytes), { status: 200 }));
  }
  if (String(url).endsWith("/v1/edge")) {
    const offer = { city: "c1", batch: { maxEvents: 100, maxBytes: 65536 }, pace: { windowMs: 0 } };
    return Promise.resolve(new Response(JSON.stringify(offer), { headers: head }));
  }
  const events = [JSON.parse(body)].flat();
  const problem = { type: "urn:conch:problem:no", title: "No", status: 422, detail: "no" };
  const verdicts = events.map(({ id }) => (mode === "refuse" ? { id, verdict: "refused", problem } : { id, verdict: "accepted" }));
  return Promise.resolve(new Response(JSON.stringify({ verdicts, pace: { windowMs: 0 } }), { headers: head }));
};
let feed = [];
let asked = [];
let gone = false;
const waiting = [];
function answerFeed(url) {
  asked.push(url);
  if (gone) {
    gone = false;
    return Promise.resolve(new Response("{}", { status: 410, headers: head }));
  }
  const after = Number(/after=c1\.(\d+)/.exec(url)?.[1] ?? 0);
  const answer = () => new Response(JSON.stringify({ events: feed.slice(after), cursor: `c1.${feed.length}` }), { headers: head });
  return feed.length > after ? Promise.resolve(answer()) : new Promise((done) => waiting.push(() => done(answer())));
}
export function say(events) {
  feed.push(...JSON.parse(events));
  waiting.splice(0).forEach((answer) => answer());
}
export function feedAsked() { return asked; }
export function loseCursor() { gone = true; }
export function city(next) { feed = []; asked = []; mode = next; requests = []; }
export function sent() { return requests; }
export function requested() { return new Promise((done) => (requests.length > 0 ? done() : told.push(done))); }
export function remove(name) {
  return new Promise((done) => { const r = indexedDB.deleteDatabase(name); r.onsuccess = r.onerror = r.onblocked = done; });
}
// Everything that lies in a database, as one text.
export async function everything(name) {
  const done = (request) => new Promise((ends, fails) => { request.onsuccess = () => ends(request.result); request.onerror = fails; });
  const database = await done(indexedDB.open(name));
  const rows = [];
  for (const own of database.objectStoreNames) {
    rows.push(await done(database.transaction(own).objectStore(own).getAll()));
  }
  database.close();
  return JSON.stringify(rows);
}
export function canary(name, text) {
  const key = `conch:${name}`;
  const before = localStorage.getItem(key);
  if (text !== undefined) localStorage.setItem(key, text);
  return before;
}
export function controller() { return new AbortController(); }
const locks = navigator.locks;
export function holdLock(database) {
  return new Promise((held) => locks.request(`conch:${database}`, () => { held(); return new Promise(() => {}); }).catch(() => {}));
}
export function stealLock(database) {
  let release;
  const held = new Promise((done) => (release = done));
  return new Promise((got) => locks.request(`conch:${database}`, { steal: true }, () => { got(release); return held; }).catch(() => {}));
}
export function withoutLocks(without) {
  const value = without ? undefined : locks;
  Object.defineProperty(navigator, "locks", { value, configurable: true });
}
const clock = performance.now.bind(performance);
let ahead = 0;
performance.now = () => clock() + ahead;
export function tick() { return new Promise((done) => setTimeout(done)); }
export function later(ms) { ahead += ms; dispatchEvent(new Event("focus")); }
"#)]
extern "C" {
    fn city(mode: &str);
    fn sent() -> Array;
    fn requested() -> Promise;
    fn remove(name: &str) -> Promise;
    fn everything(name: &str) -> Promise;
    fn canary(name: &str, text: Option<&str>) -> String;
    fn controller() -> web_sys::AbortController;
    /// The city says these events to the device.
    fn say(events: &str);
    /// The addresses by which the feed was asked for.
    #[wasm_bindgen(js_name = feedAsked)]
    fn feed_asked() -> Array;
    /// The next question for the feed finds its cursor gone.
    #[wasm_bindgen(js_name = loseCursor)]
    fn lose_cursor();
    /// A context that leads and is never heard: a frozen tab.
    #[wasm_bindgen(js_name = holdLock)]
    fn hold_lock(database: &str) -> Promise;
    /// Takes the lock from whoever has it; resolves to the way to give it back.
    #[wasm_bindgen(js_name = stealLock)]
    fn steal_lock(database: &str) -> Promise;
    #[wasm_bindgen(js_name = withoutLocks)]
    fn without_locks(without: bool);
    /// The monotonic clock goes on, and a person looks at the page.
    fn later(ms: u32);
    fn tick() -> Promise;
}

fn object(text: &str) -> JsValue {
    JSON::parse(text).unwrap()
}

fn get(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap()
}

fn text(value: &JsValue, name: &str) -> String {
    get(value, name).as_string().unwrap_or_default()
}

/// What a promise of the face comes to.
async fn outcome(promise: impl Into<JsValue>) -> Result<JsValue, JsValue> {
    JsFuture::from(promise.into().unchecked_into::<Promise>()).await
}

fn choices(database: &str) -> JsValue {
    let options = object(r#"{"city":"/","device":"till-1"}"#);
    Reflect::set(&options, &"database".into(), &database.into()).unwrap();
    options
}

async fn open(database: &str) -> Edge {
    Edge::try_from_js_value(outcome(Edge::open(choices(database))).await.unwrap()).unwrap()
}

fn pay(key: &str, amount: u64) -> JsValue {
    object(&format!(
        r#"{{"topic":"pay.txn.v2","type":"requested","key":"{key}","payload":{{"amount":{amount},"currency":"TWD","method":"cash"}}}}"#
    ))
}

async fn emit(edge: &Edge, event: &JsValue) -> Result<JsValue, JsValue> {
    outcome(edge.emit(event)).await
}

async fn settled(edge: &Edge, receipt: &JsValue) -> JsValue {
    outcome(edge.settled(&get(receipt, "id"), &JsValue::UNDEFINED)).await.unwrap()
}

/// Waits until a snapshot is as wanted.
async fn until(edge: &Edge, wanted: impl Fn(&JsValue) -> bool + 'static) {
    let mut resolve = None;
    let promise = Promise::new(&mut |done, _| resolve = Some(done));
    let done = resolve.unwrap();
    let listener = Closure::<dyn Fn(JsValue)>::new(move |snapshot: JsValue| {
        if wanted(&snapshot) {
            done.call0(&JsValue::UNDEFINED).unwrap();
        }
    });
    let stop = edge.subscribe(listener.as_ref()).unwrap();
    JsFuture::from(promise).await.unwrap();
    stop.unchecked_ref::<Function>().call0(&JsValue::UNDEFINED).unwrap();
}

fn why_is(word: &'static str) -> impl Fn(&JsValue) -> bool {
    move |snapshot| text(snapshot, "whyNotSending") == word
}

async fn clean(name: &str) {
    JsFuture::from(remove(name)).await.unwrap();
}

#[wasm_bindgen_test]
async fn an_emit_is_on_disk_and_its_verdict_arrives() {
    let name = "edge-settles";
    clean(name).await;
    city("accept");
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 12_000)).await.unwrap();
    assert_eq!(
        (text(&receipt, "durabilityRequested"), get(&receipt, "replayed").as_bool()),
        ("strict".into(), Some(false))
    );
    assert_eq!(get(&receipt, "sequence").as_f64(), Some(1.0));
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(0.0));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn reload_in_flight_sends_the_same_bytes_again_and_settles_once() {
    let name = "edge-reload";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 500)).await.unwrap();
    JsFuture::from(requested()).await.unwrap();
    let first = sent().get(0).as_string().unwrap();
    outcome(edge.close()).await.unwrap();

    let edge = open(name).await;
    until(&edge, |snapshot| get(snapshot, "unknown").as_f64() == Some(1.0)).await;
    city("accept");
    outcome(edge.close()).await.unwrap();
    let edge = open(name).await;
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    assert!(sent().iter().any(|body| body.as_string().as_deref() == Some(&first)), "the bytes changed");

    outcome(edge.close()).await.unwrap();
    let edge = open(name).await;
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted", "also after another reload");
    let again = emit(&edge, &pay("o-1", 500)).await.unwrap();
    assert_eq!((text(&again, "id"), get(&again, "replayed").as_bool()), (text(&receipt, "id"), Some(true)));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn two_taps_in_one_turn_are_one_sale_and_spoil_no_neighbour() {
    let name = "edge-taps";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let taps = [pay("o-1", 5), pay("o-1", 5), pay("o-1", 6), object(r#"{"topic":"Bad"}"#), pay("o-2", 7)];
    let promises: Array = taps.iter().map(|tap| JsValue::from(edge.emit(tap))).collect();
    let outcomes: Array = JsFuture::from(Promise::all_settled(&promises)).await.unwrap().unchecked_into();
    let value = |index: u32| get(&outcomes.get(index), "value");
    let code = |index: u32| text(&get(&outcomes.get(index), "reason"), "code");
    assert_eq!(text(&value(0), "id"), text(&value(1), "id"));
    assert_eq!(get(&value(1), "replayed").as_bool(), Some(true));
    assert_eq!((code(2).as_str(), code(3).as_str()), ("conflict", "bad-type"));
    assert_eq!(get(&value(4), "sequence").as_f64(), Some(2.0));
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(2.0));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn every_mistake_has_its_code_and_says_what_to_do() {
    let name = "edge-mistakes";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let big = format!(r#"{{"topic":"a.b.v1","type":"said","key":"k","payload":"{}"}}"#, "x".repeat(70_000));
    for (event, code) in [
        (r#"{"type":"requested","key":"k","payload":{}}"#, "bad-topic"),
        (r#"{"topic":"pay.txn.v9","type":"requested","key":"k","payload":{}}"#, "bad-topic"),
        (r#"{"topic":"pay.txn.v2","type":"asked","key":"k","payload":{}}"#, "bad-type"),
        (r#"{"topic":"pay.txn.v2","type":"captured","key":"k","payload":{}}"#, "bad-type"),
        (r#"{"topic":"a.b.v1","type":"said","key":"a b","payload":{}}"#, "bad-key"),
        (r#"{"topic":"a.b.v1","type":"said","key":"4111111111111111","payload":{}}"#, "pii-in-key"),
        (r#"{"topic":"a.b.v1","type":"said","key":"k"}"#, "bad-payload"),
        (r#"{"topic":"pay.txn.v2","type":"requested","key":"k","payload":{"amount":"12"}}"#, "bad-payload"),
        (r#"{"topic":"a.b.v1","type":"said","key":"k","payload":9007199254740993}"#, "bad-number"),
        (r#"{"topic":"pay.txn.v2","type":"requested","key":"k","intent":"x","payload":{}}"#, "bad-intent"),
        (r#"{"topic":"a.b.v1","type":"said","key":"k","attempt":0,"payload":{}}"#, "bad-intent"),
        (r#"{"topic":"a.b.v1","type":"said","key":"k","id":"7","payload":{}}"#, "bad-intent"),
        (big.as_str(), "too-large"),
    ] {
        let error = emit(&edge, &object(event)).await.unwrap_err();
        assert_eq!(
            (text(&error, "name").as_str(), text(&error, "code").as_str()),
            ("ConchError", code),
            "{event:.80}"
        );
        assert!(error.is_instance_of::<js_sys::Error>() && text(&error, "message").len() > 20);
        assert_eq!(get(&error, "retryable").as_bool(), Some(false));
    }
    let odd = object(r#"{"topic":"a.b.v1","type":"said","key":"k"}"#);
    Reflect::set(&odd, &"payload".into(), &js_sys::BigInt::from(1).into()).unwrap();
    assert_eq!(text(&emit(&edge, &odd).await.unwrap_err(), "code"), "bad-number");
    Reflect::set(&odd, &"payload".into(), &odd).unwrap();
    assert_eq!(text(&emit(&edge, &odd).await.unwrap_err(), "code"), "bad-payload");
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(0.0), "nothing of it was written");
    for options in [
        "{}",
        r#"{"city":"/"}"#,
        r#"{"city":"/","device":"Gate"}"#,
        r#"{"city":"/","device":"g","credentials":1}"#,
        r#"{"city":"/","device":"g","crendentials":null}"#,
        r#"{"city":"/","single":"/orders","device":"g"}"#,
        r#"{"single":"","device":"g"}"#,
        r#"{"single":"ftp://shop.example/orders","device":"g"}"#,
        r#"{"single":"javascript:alert(1)","device":"g"}"#,
        r#"{"single":"https://me:secret@shop.example/orders","device":"g"}"#,
    ] {
        let error = outcome(Edge::open(object(options))).await.err().unwrap();
        assert_eq!(text(&error, "code"), "bad-option", "{options}");
    }
    // What the compiler would have found, were there one.
    let typo = object(r#"{"topic":"a.b.v1","type":"said","key":"k","payload":1,"intnet":"x"}"#);
    let error = emit(&edge, &typo).await.unwrap_err();
    assert_eq!(
        (text(&error, "code"), text(&error, "message")),
        ("bad-option".into(), "There is no `intnet` here.".into())
    );
    let unguarded =
        object(r#"{"expects":[],"emit":[{"topic":"a.b.v1","type":"said","key":"k","payload":1}]}"#);
    assert_eq!(text(&outcome(edge.commit(&unguarded)).await.unwrap_err(), "code"), "bad-option");
    for odd in [JsValue::UNDEFINED, JsValue::NULL, 5.into(), object("{}")] {
        let wait = edge.settled(&odd, &JsValue::UNDEFINED);
        assert_eq!(text(&outcome(wait).await.unwrap_err(), "code"), "not-found", "{odd:?}");
        assert_eq!(text(&outcome(edge.outcomes_of(&odd)).await.unwrap_err(), "code"), "not-found");
        assert_eq!(text(&edge.new_key(&odd).unwrap_err(), "code"), "bad-key", "{odd:?}");
        assert_eq!(text(&outcome(edge.discard(1.0, &odd)).await.unwrap_err(), "code"), "bad-option");
        for listened in [edge.subscribe(&odd), edge.notices(&odd), edge.outcomes(&odd)] {
            assert_eq!(text(&listened.unwrap_err(), "code"), "bad-option");
        }
    }
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(0.0));
    outcome(edge.close()).await.unwrap();
    assert_eq!(text(&emit(&edge, &pay("o-1", 1)).await.unwrap_err(), "code"), "closed");
    assert_eq!(text(&edge.snapshot(), "whyNotSending"), "closed");
    clean(name).await;
}

/// Such a page read as an empty answer, and an empty 200 settles.
#[wasm_bindgen_test]
async fn a_portals_page_in_an_old_encoding_settles_nothing() {
    let name = "edge-old-portal";
    clean(name).await;
    city("old portal");
    let options = object(r#"{"single":"/v1/orders","device":"till-1"}"#);
    Reflect::set(&options, &"database".into(), &name.into()).unwrap();
    let edge = Edge::try_from_js_value(outcome(Edge::open(options)).await.unwrap()).unwrap();
    let note =
        |key: &str| object(&format!(r#"{{"topic":"a.b.v1","type":"said","key":"{key}","payload":1}}"#));
    emit(&edge, &note("a")).await.unwrap();
    until(&edge, |snapshot| text(snapshot, "link") == "captive").await;
    emit(&edge, &note("b")).await.unwrap();
    edge.flush();
    until(&edge, |snapshot| get(snapshot, "unknown").as_f64() == Some(2.0)).await;
    assert!(sent().length() >= 2);
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(2.0));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_portal_settles_nothing_and_a_refusal_becomes_a_dead_letter() {
    let name = "edge-dead";
    clean(name).await;
    city("portal");
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 5)).await.unwrap();
    until(&edge, |snapshot| text(snapshot, "link") == "captive").await;
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(1.0));
    city("refuse");
    edge.flush();
    let verdict = settled(&edge, &receipt).await;
    assert_eq!(
        (text(&verdict, "verdict"), text(&get(&verdict, "problem"), "type")),
        ("refused".into(), "urn:conch:problem:no".into())
    );
    let letters: Array = outcome(edge.dead_letters(None)).await.unwrap().unchecked_into();
    assert_eq!(
        (letters.length(), text(&letters.get(0), "key"), text(&letters.get(0), "reason")),
        (1, "o-1".into(), "refused".into())
    );

    city("accept");
    let payload = get(&pay("o-1", 6), "payload");
    let again = outcome(edge.redrive(1.0, payload)).await.unwrap();
    assert_ne!(text(&again, "intent"), text(&receipt, "intent"));
    assert_eq!(text(&settled(&edge, &again).await, "verdict"), "accepted");
    assert_eq!(
        text(&outcome(edge.redrive(1.0, JsValue::UNDEFINED)).await.unwrap_err(), "code"),
        "not-redrivable"
    );

    city("refuse");
    let other = emit(&edge, &pay("o-2", 5)).await.unwrap();
    settled(&edge, &other).await;
    let letters: Array = outcome(edge.dead_letters(None)).await.unwrap().unchecked_into();
    let sequence = get(&letters.get(0), "sequence").as_f64().unwrap();
    outcome(edge.discard(sequence, &"the buyer left".into())).await.unwrap();
    assert_eq!(text(&emit(&edge, &pay("o-2", 5)).await.unwrap_err(), "code"), "intent-closed");
    assert_eq!(get(&edge.snapshot(), "dead").as_f64(), Some(0.0));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_second_tab_does_not_send_but_its_events_are_delivered() {
    let name = "edge-tabs";
    clean(name).await;
    city("accept");
    let first = open(name).await;
    until(&first, |snapshot| get(snapshot, "leader").as_bool() == Some(true)).await;
    let second = open(name).await;
    let receipt = emit(&second, &pay("o-1", 5)).await.unwrap();
    assert_eq!(text(&settled(&second, &receipt).await, "verdict"), "accepted");
    assert_eq!(get(&second.snapshot(), "leader").as_bool(), Some(false));
    assert_eq!(sent().length(), 1);
    outcome(first.close()).await.unwrap();
    until(&second, |snapshot| get(snapshot, "leader").as_bool() == Some(true)).await;
    outcome(second.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_pause_is_on_disk_once_told() {
    let name = "edge-pause";
    clean(name).await;
    city("accept");
    let edge = open(name).await;
    outcome(edge.pause()).await.unwrap();
    let receipt = emit(&edge, &pay("o-1", 5)).await.unwrap();
    outcome(edge.close()).await.unwrap();
    let edge = open(name).await;
    until(&edge, why_is("paused")).await;
    assert_eq!(sent().length(), 0);
    outcome(edge.resume()).await.unwrap();
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_wait_for_a_verdict_can_be_given_up_and_an_unknown_id_is_told() {
    let name = "edge-abort";
    clean(name).await;
    city("down");
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 5)).await.unwrap();
    let controller = controller();
    let options = Object::new();
    Reflect::set(&options, &"signal".into(), &controller.signal()).unwrap();
    let wait = edge.settled(&get(&receipt, "id"), &options);
    controller.abort();
    assert_eq!(text(&outcome(wait).await.unwrap_err(), "code"), "aborted");
    for id in ["0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11", "junk"] {
        let wait = edge.settled(&id.into(), &JsValue::UNDEFINED);
        assert_eq!(text(&outcome(wait).await.unwrap_err(), "code"), "not-found");
    }
    let key = edge.new_key(&"order".into()).unwrap();
    assert!(key.len() == 32 && key.starts_with("order-") && key != edge.new_key(&"order".into()).unwrap());
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_leader_that_is_never_heard_is_replaced() {
    let name = "edge-frozen";
    clean(name).await;
    city("accept");
    JsFuture::from(hold_lock(name)).await.unwrap();
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 5)).await.unwrap();
    assert_eq!(text(&edge.snapshot(), "whyNotSending"), "not-leader");
    later(29_000);
    assert_eq!(get(&edge.snapshot(), "leader").as_bool(), Some(false));
    later(2_000);
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_leader_whose_lock_was_stolen_sends_no_more_until_it_has_it_back() {
    let name = "edge-stolen";
    clean(name).await;
    city("accept");
    let edge = open(name).await;
    until(&edge, |snapshot| get(snapshot, "leader").as_bool() == Some(true)).await;
    let release: Function = JsFuture::from(steal_lock(name)).await.unwrap().unchecked_into();
    until(&edge, |snapshot| get(snapshot, "leader").as_bool() == Some(false)).await;
    let receipt = emit(&edge, &pay("o-1", 5)).await.unwrap();
    assert_eq!((text(&edge.snapshot(), "whyNotSending"), sent().length()), ("not-leader".into(), 0));
    release.call0(&JsValue::UNDEFINED).unwrap();
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn without_locks_one_leads_and_the_next_follows_its_silence() {
    let name = "edge-lockless";
    clean(name).await;
    without_locks(true);
    city("silent");
    let first = open(name).await;
    let receipt = emit(&first, &pay("o-1", 5)).await.unwrap();
    JsFuture::from(requested()).await.unwrap();
    later(11_000);
    until(&first, why_is("sending")).await;
    let second = open(name).await;
    assert_eq!(text(&second.snapshot(), "whyNotSending"), "not-leader", "the first leads");
    outcome(first.close()).await.unwrap();
    city("accept");
    later(31_000);
    assert_eq!(text(&settled(&second, &receipt).await, "verdict"), "accepted");
    outcome(second.close()).await.unwrap();
    without_locks(false);
    clean(name).await;
}

#[wasm_bindgen_test]
async fn closing_lets_what_was_begun_on_disk_end() {
    let name = "edge-closing";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let promise = edge.emit(&pay("o-1", 5));
    let closed = edge.close();
    let receipt = outcome(promise).await.unwrap();
    outcome(closed).await.unwrap();
    let edge = open(name).await;
    let again = emit(&edge, &pay("o-1", 5)).await.unwrap();
    assert_eq!((text(&again, "id"), get(&again, "replayed").as_bool()), (text(&receipt, "id"), Some(true)));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

async fn commit(edge: &Edge, text: &str) -> Result<JsValue, JsValue> {
    outcome(edge.commit(&object(text))).await
}

/// state-with-event, in a real database.
#[wasm_bindgen_test]
async fn records_go_in_with_their_events_or_not_at_all() {
    let name = "edge-commit";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let scanned = |key: &str, gate: &str| {
        format!(
            r#"{{"expect":[{{"collection":"tickets","key":"{key}","absent":true}}],
                 "put":[{{"collection":"tickets","key":"{key}","value":{{"used":true,"gate":"{gate}"}}}}],
                 "emit":[{{"topic":"a.b.v1","type":"scanned","key":"{key}","payload":{{}}}}]}}"#
        )
    };
    let first = edge.commit(&object(&scanned("t-1", "n1")));
    let second = edge.commit(&object(&scanned("t-1", "n2")));
    let third = edge.commit(&object(&scanned("t-2", "n1")));
    let receipts: Array = outcome(first).await.unwrap().unchecked_into();
    assert_eq!(get(&receipts.get(0), "sequence").as_f64(), Some(1.0));
    assert_eq!(text(&outcome(second).await.unwrap_err(), "code"), "guard-failed");
    outcome(third).await.unwrap();
    outcome(edge.close()).await.unwrap();

    let edge = open(name).await;
    let tickets = edge.records(&"tickets".into()).unwrap();
    let one = outcome(tickets.get(&"t-1".into())).await.unwrap();
    assert_eq!((get(&one, "used").as_bool(), text(&one, "gate")), (Some(true), "n1".into()));
    let list = async |page: &str| -> Vec<String> {
        let found: Array = outcome(tickets.list(&object(page))).await.unwrap().unchecked_into();
        found.iter().map(|own| text(&own, "key")).collect()
    };
    assert_eq!(list("null").await, ["t-1", "t-2"]);
    assert_eq!(list(r#"{"after":"t-1"}"#).await, ["t-2"]);
    assert_eq!(list(r#"{"limit":1}"#).await, ["t-1"]);
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(2.0));

    let moved = r#"{"expect":[{"collection":"tickets","key":"t-1","equals":{"gate":"n1","used":true}}],
        "remove":[{"collection":"tickets","key":"t-1"}],
        "emit":[{"topic":"a.b.v1","type":"freed","key":"t-1","payload":{}}]}"#;
    commit(&edge, moved).await.unwrap();
    assert!(outcome(tickets.get(&"t-1".into())).await.unwrap().is_undefined());
    for (bad, code) in [
        ("{}", "bad-option"),
        (r#"{"emit":[]}"#, "bad-option"),
        (r#"{"emit":[{"topic":"Bad","type":"x","key":"k","payload":1}]}"#, "bad-topic"),
        (r#"{"expect":[{"collection":"t","key":"k"}],"emit":[]}"#, "bad-option"),
        (r#"{"put":[{"collection":"T","key":"k","value":1}],"emit":[]}"#, "bad-option"),
        (r#"{"put":[{"collection":"t","key":"0912345678","value":1}],"emit":[]}"#, "pii-in-key"),
        (r#"{"put":[{"collection":"t","key":"k"}],"emit":[]}"#, "bad-payload"),
    ] {
        assert_eq!(text(&commit(&edge, bad).await.unwrap_err(), "code"), code, "{bad}");
    }
    assert_eq!(get(&edge.snapshot(), "backlog").as_f64(), Some(3.0));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

async fn open_with(database: &str, apply: &Function) -> Edge {
    let options = object(r#"{"city":"/","device":"till-1"}"#);
    Reflect::set(&options, &"database".into(), &database.into()).unwrap();
    Reflect::set(&options, &"apply".into(), apply).unwrap();
    Edge::try_from_js_value(outcome(Edge::open(options)).await.unwrap()).unwrap()
}

/// Collects what a listener hears.
fn ear() -> (Function, Array) {
    let heard = Array::new();
    let own = heard.clone();
    let listener = Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| {
        own.push(&event);
    });
    (listener.into_js_value().unchecked_into(), heard)
}

/// Waits until so many were heard.
async fn until_heard(heard: &Array, many: u32) {
    while heard.length() < many {
        JsFuture::from(tick()).await.unwrap();
    }
}

/// Effect, inbox and cursor are one transaction: each event of the feed changes the records once.
#[wasm_bindgen_test]
async fn what_the_city_says_is_applied_once_and_told_in_every_tab() {
    let name = "edge-feed";
    clean(name).await;
    city("accept");
    let apply = Function::new_with_args(
        "event",
        r#"if (event.type === "odd") throw new Error("unreadable");
           if (event.type === "late") return Promise.resolve({});
           if (event.type === "plain") return null;
           return { put: [{ collection: "paid", key: event.key, value: event.payload }] };"#,
    );
    let edge = open_with(name, &apply).await;
    until(&edge, |snapshot| get(snapshot, "leader").as_bool() == Some(true)).await;
    let other = open(name).await;
    let (receipt, (listener, heard), (beside, elsewhere), (watcher, notices)) =
        (emit(&edge, &pay("o-1", 5)).await.unwrap(), ear(), ear(), ear());
    edge.outcomes(&listener).unwrap();
    edge.notices(&watcher).unwrap();
    other.outcomes(&beside).unwrap();
    let own = text(&receipt, "id");
    let event = |id: &str, kind: &str, cause: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","type":"pay.txn.v2.{kind}","partitionkey":"o-1","time":"2026-11-24T20:00:00Z",{cause}"data":{{"txnId":"t-1"}}}}"#
        )
    };
    let cause = format!(r#""causationid":"{own}","#);
    let captured = event("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11", "captured", &cause);
    let odd = event("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a12", "odd", "");
    let late = event("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a14", "late", "");
    let plain = event("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a15", "plain", "");
    say(&format!("[{captured},{captured},{odd},{late},{plain}]"));
    until_heard(&elsewhere, 4).await;
    assert_eq!(
        (heard.length(), text(&heard.get(0), "type"), text(&heard.get(1), "type")),
        (4, "captured".into(), "odd".into())
    );
    let first = elsewhere.get(0);
    assert_eq!((text(&first, "topic"), text(&first, "causationId")), ("pay.txn.v2".into(), own.clone()));
    assert_eq!(text(&get(&first, "payload"), "txnId"), "t-1");
    let failed = notices.iter().filter(|own| text(own, "code") == "apply-failed").count();
    assert_eq!(failed, 2, "one threw, one was async; null says that nothing changes");

    // After a reload it goes on where it was, and what was heard is still known.
    outcome(other.close()).await.unwrap();
    outcome(edge.close()).await.unwrap();
    let edge = open_with(name, &apply).await;
    let (listener, heard) = ear();
    edge.outcomes(&listener).unwrap();
    say(&format!("[{captured},{}]", event("0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a13", "refunded", &cause)));
    until_heard(&heard, 1).await;
    assert_eq!(text(&heard.get(0), "type"), "refunded", "the twin is not told again");
    assert!(feed_asked().iter().any(|url| url.as_string().unwrap().contains("after=c1.5&")));
    let known: Array = outcome(edge.outcomes_of(&own.as_str().into())).await.unwrap().unchecked_into();
    let kinds: Vec<String> = known.iter().map(|own| text(&own, "type")).collect();
    assert_eq!(kinds, ["captured", "refunded"]);
    let paid = outcome(edge.records(&"paid".into()).unwrap().get(&"o-1".into())).await.unwrap();
    assert_eq!(text(&paid, "txnId"), "t-1");

    // A city that lost our place says so; the page asks how things stand.
    let (watcher, notices) = ear();
    edge.notices(&watcher).unwrap();
    lose_cursor();
    say("[]");
    later(1_000);
    until_heard(&notices, 1).await;
    assert_eq!(text(&notices.get(0), "code"), "resync");
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn what_is_owed_is_listed_and_what_may_have_reached_the_city_is_named() {
    let name = "edge-owed";
    clean(name).await;
    city("silent");
    let edge = open(name).await;
    let first = emit(&edge, &pay("o-1", 100)).await.unwrap();
    JsFuture::from(requested()).await.unwrap();
    let second = emit(&edge, &pay("o-2", 200)).await.unwrap();
    let owed = Array::from(&outcome(edge.owed(None)).await.unwrap());
    assert_eq!(
        [text(&owed.get(0), "id"), text(&owed.get(1), "id")],
        [text(&first, "id"), text(&second, "id")]
    );
    assert_eq!(text(&owed.get(1), "key"), "o-2");
    assert_eq!(get(&get(&owed.get(1), "payload"), "amount").as_f64(), Some(200.0));
    assert_eq!(
        [0, 1].map(|at| get(&owed.get(at), "unknown").as_bool()),
        [Some(false); 2],
        "answers may come"
    );
    assert_eq!([0, 1].map(|at| get(&owed.get(at), "tries").as_f64()), [Some(1.0), Some(0.0)]);
    assert_eq!(Array::from(&outcome(edge.owed(Some(1))).await.unwrap()).length(), 1);
    outcome(edge.close()).await.unwrap();
    let edge = open(name).await;
    let owed = Array::from(&outcome(edge.owed(None)).await.unwrap());
    assert_eq!([0, 1].map(|at| get(&owed.get(at), "unknown").as_bool()), [Some(true), Some(false)]);
    assert_eq!(get(&edge.snapshot(), "unknown").as_f64(), Some(1.0), "the badge says the same");
    outcome(edge.close()).await.unwrap();
}

/// A person in a tab that does not lead said "send now", and nobody heard.
#[wasm_bindgen_test]
async fn send_now_is_heard_by_whoever_leads() {
    let name = "edge-flush";
    clean(name).await;
    city("down");
    let edge = open(name).await;
    emit(&edge, &pay("o-1", 100)).await.unwrap();
    until(&edge, |snapshot| text(snapshot, "link") == "down").await;
    let other = open(name).await;
    assert_eq!(get(&other.snapshot(), "leader").as_bool(), Some(false));
    for _ in 0..3 {
        let asked = requested();
        other.flush();
        JsFuture::from(asked).await.unwrap();
    }
    outcome(other.close()).await.unwrap();
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

/// A token that no header can hold made a request that never left and counted as perhaps sent.
#[wasm_bindgen_test]
async fn a_token_that_cannot_travel_holds_the_event() {
    let name = "edge-odd-token";
    clean(name).await;
    city("accept");
    let options = choices(name);
    let token = Function::new_no_args("return 'night\\nmarket 夜市'");
    Reflect::set(&options, &"credentials".into(), &token).unwrap();
    let edge = Edge::try_from_js_value(outcome(Edge::open(options)).await.unwrap()).unwrap();
    emit(&edge, &pay("o-1", 100)).await.unwrap();
    until(&edge, |snapshot| text(snapshot, "whyNotSending") == "held").await;
    assert_eq!(get(&edge.snapshot(), "unknown").as_f64(), Some(0.0));
    assert_eq!((sent().length(), get(&edge.snapshot(), "held").as_f64()), (0, Some(1.0)));
    outcome(edge.close()).await.unwrap();
    clean(name).await;
}

#[wasm_bindgen_test]
async fn a_token_is_asked_for_once_and_never_written() {
    let name = "edge-secret";
    clean(name).await;
    city("accept");
    let options = object(r#"{"city":"/","device":"till-1"}"#);
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let counts = std::rc::Rc::clone(&asked);
    let token = Closure::<dyn Fn() -> JsValue>::new(move || {
        counts.set(counts.get() + 1);
        Promise::resolve(&JsValue::from("a-secret-token")).into()
    });
    Reflect::set(&options, &"database".into(), &name.into()).unwrap();
    Reflect::set(&options, &"credentials".into(), token.as_ref()).unwrap();
    let edge = Edge::try_from_js_value(outcome(Edge::open(options)).await.unwrap()).unwrap();
    let receipt = emit(&edge, &pay("o-1", 100)).await.unwrap();
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "accepted");
    outcome(edge.close()).await.unwrap();
    let rows = JsFuture::from(everything(name)).await.unwrap().as_string().unwrap();
    assert_eq!(asked.get(), 1, "the feed and the first event go out beside each other, with one question");
    assert!(rows.contains("incarnation") && !rows.contains("a-secret-token"));
}

#[wasm_bindgen_test]
async fn a_decision_that_races_the_end_is_taken_or_told_but_never_half_done() {
    let name = "edge-race";
    clean(name).await;
    city("refuse");
    let edge = open(name).await;
    let receipt = emit(&edge, &pay("o-1", 100)).await.unwrap();
    assert_eq!(text(&settled(&edge, &receipt).await, "verdict"), "refused");
    city("silent");
    let (redriven, closed) = (edge.redrive(1.0, JsValue::UNDEFINED), edge.close());
    let answer = outcome(redriven).await;
    outcome(closed).await.unwrap();
    let edge = open(name).await;
    let dead = Array::from(&outcome(edge.dead_letters(None)).await.unwrap()).length();
    let owed = Array::from(&outcome(edge.owed(None)).await.unwrap()).length();
    match answer {
        Ok(_) => assert_eq!((dead, owed), (0, 1)),
        Err(error) => assert_eq!((text(&error, "code"), dead, owed), ("closed".into(), 1, 0)),
    }
    outcome(edge.close()).await.unwrap();
}

/// What only windows have.
pub mod page {
    use super::*;

    /// What is noted once one sale is owed and the outbox is closed.
    async fn seen_after_a_sale(name: &str) -> String {
        clean(name).await;
        city("silent");
        let edge = open(name).await;
        emit(&edge, &pay("o-1", 100)).await.unwrap();
        outcome(edge.close()).await.unwrap();
        canary(name, None)
    }

    async fn alarm_after(name: &str, seen: &str) -> (String, Vec<String>) {
        canary(name, Some(seen));
        let edge = open(name).await;
        let alarm = text(&get(&edge.snapshot(), "storage"), "alarm");
        let (listener, heard) = ear();
        edge.notices(&listener).unwrap();
        assert!(get(&get(&edge.snapshot(), "storage"), "alarm").is_null(), "it was told");
        outcome(edge.close()).await.unwrap();
        (alarm, heard.iter().map(|notice| text(&notice, "code")).collect())
    }

    #[wasm_bindgen_test]
    async fn an_outbox_that_is_not_the_one_last_seen_raises_the_alarm_once() {
        let name = "edge-canary";
        let seen = seen_after_a_sale(name).await;
        let life = seen.split(' ').next().unwrap().to_owned();
        assert!(seen.ends_with(" 2 1"), "one event, owed: {seen}");
        assert_eq!(alarm_after(name, "another-life 9 3").await, ("evicted".into(), vec!["evicted".into()]));
        assert_eq!(
            alarm_after(name, &format!("{life} 99 3")).await,
            ("restored".into(), vec!["restored".into()])
        );
        let seen = canary(name, None);
        assert_eq!(
            alarm_after(name, &seen).await,
            (String::new(), Vec::new()),
            "what was told is not told again"
        );
    }

    /// The second tab compared what the first had noted meanwhile with what it had read before, and raised the alarm.
    #[wasm_bindgen_test]
    async fn what_another_tab_notes_while_this_one_opens_is_no_alarm() {
        let name = "edge-beside";
        let seen = seen_after_a_sale(name).await;
        let life = seen.split(' ').next().unwrap().to_owned();
        let opening = Edge::open(choices(name));
        for _ in 0..5 {
            JsFuture::from(Promise::resolve(&JsValue::UNDEFINED)).await.unwrap();
        }
        canary(name, Some(&format!("{life} 9 8")));
        let edge = Edge::try_from_js_value(outcome(opening).await.unwrap()).unwrap();
        assert!(get(&get(&edge.snapshot(), "storage"), "alarm").is_null());
        outcome(edge.close()).await.unwrap();
    }
}
