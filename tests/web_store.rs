//! The store on a real IndexedDB: what is written together, what survives, and what happens when the browser
//! takes the database away.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use conch::browser::store::Store;
use conch::event::contract::OnDead;
use conch::event::{
    Collection, Device, Emit, EventId, Identity, Key, Prepared, RecordName, Sequence, UnixMillis, prepare,
};
use conch::limits::LOAD_SEGMENTS_MAX;
use conch::outbox::append::Put;
use conch::outbox::feed::Heard;
use conch::outbox::port::{Load, LoadedRow, Page, StoreFault};
use conch::outbox::record::{AgeMark, Counter, DeadReason, LaneRecord, PaceRecord, RowRef, Status};
use conch::outbox::transact::{Appended, Batch, Closed, Done, Kept, Outcome, Refusal, Settlement};
use conch::wire::EdgeConfig;
use conch::wire::answer::FeedEvent;
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

// The browser's own objects, watched and broken on purpose. Each hook is undone by `mend`.
#[wasm_bindgen(inline_js = r#"
const real = {
  transaction: IDBDatabase.prototype.transaction,
  add: IDBObjectStore.prototype.add,
  put: IDBObjectStore.prototype.put,
  indexedDB: globalThis.indexedDB,
  setTimeout: globalThis.setTimeout,
};
const offer = (factory) => Object.defineProperty(globalThis, "indexedDB", { value: factory, configurable: true });
let seen = [];
let last = null;
export function mend() {
  IDBDatabase.prototype.transaction = real.transaction;
  IDBObjectStore.prototype.add = real.add;
  IDBObjectStore.prototype.put = real.put;
  offer(real.indexedDB);
  globalThis.setTimeout = real.setTimeout;
  seen = [];
}
export function watch() {
  mend();
  IDBDatabase.prototype.transaction = function (...args) {
    const transaction = real.transaction.apply(this, args);
    if (transaction.mode === "readwrite") seen.push(transaction.durability);
    last = this;
    return transaction;
  };
}
export const writes = () => seen.join();
export const close_behind_the_back = () => last.close();
export const say_closed = () => last.dispatchEvent(new Event("close"));
// For one call, or for all until mended, `method` on the store `name` throws.
export function throw_on(method, name, error, once) {
  IDBObjectStore.prototype[method] = function (...args) {
    if (this.name !== name) return real[method].apply(this, args);
    if (once) IDBObjectStore.prototype[method] = real[method];
    throw new DOMException("made up", error);
  };
}
// The transaction of one `put` on the store `name` is ended by the browser, for this reason.
export function abort_on_put(name, error) {
  IDBObjectStore.prototype.put = function (...args) {
    const request = real.put.apply(this, args);
    if (this.name !== name) return request;
    IDBObjectStore.prototype.put = real.put;
    Object.defineProperty(this.transaction, "error", { value: new DOMException("made up", error) });
    this.transaction.abort();
    return request;
  };
}
// The page is left in the middle of the next transaction, and perhaps kept for the way back.
let end = "";
const leave = (persisted) =>
  dispatchEvent(Object.defineProperty(new Event("pagehide"), "persisted", { value: persisted }));
export function leave_within_the_next(persisted) {
  IDBDatabase.prototype.transaction = function (...args) {
    IDBDatabase.prototype.transaction = real.transaction;
    const transaction = real.transaction.apply(this, args);
    for (const own of ["complete", "abort"]) transaction.addEventListener(own, () => { end = own; });
    queueMicrotask(() => leave(persisted));
    return transaction;
  };
}
export const its_end = () => end;
export function leave_while_made() {
  const { createObjectStore } = IDBDatabase.prototype;
  IDBDatabase.prototype.createObjectStore = function (...args) {
    IDBDatabase.prototype.createObjectStore = createObjectStore;
    queueMicrotask(() => leave(true));
    return createObjectStore.apply(this, args);
  };
}
// The page is left and kept; whoever had the database open has let it go.
export function leave_kept() {
  leave(true);
  try {
    real.transaction.call(last, "meta");
  } catch (error) {
    return error.name === "InvalidStateError";
  }
  return false;
}
// One transaction completes, but its page hears that it was aborted.
export function lose_complete() {
  IDBDatabase.prototype.transaction = function (...args) {
    const transaction = real.transaction.apply(this, args);
    if (transaction.mode === "readwrite") {
      IDBDatabase.prototype.transaction = real.transaction;
      transaction.addEventListener("complete", (event) => {
        event.stopImmediatePropagation();
        transaction.dispatchEvent(new Event("abort"));
      });
    }
    return transaction;
  };
}
// Another tab that has the database open and lets go only when told, while somebody waits to delete it.
export async function hold_and_delete(name) {
  const held = await done(indexedDB.open(name));
  const deleted = done(indexedDB.deleteDatabase(name));
  return async () => {
    held.close();
    await deleted;
  };
}
export function hurry() {
  globalThis.setTimeout = (call) => real.setTimeout.call(globalThis, call, 0);
}
// A whole database as text and back. Bytes are written as { bytes: [...] }, in keys too.
const write = (value) =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? { bytes: [...new Uint8Array(value.buffer ?? value)] }
  : Array.isArray(value) ? value.map(write)
  : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([name, own]) => [name, write(own)]))
  : value;
const read = (value) =>
  Array.isArray(value) ? value.map(read)
  : Array.isArray(value?.bytes) ? new Uint8Array(value.bytes)
  : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([name, own]) => [name, read(own)]))
  : value;
export async function dump(name) {
  const database = await done(indexedDB.open(name));
  const stores = {};
  for (const own of database.objectStoreNames) {
    const store = real.transaction.call(database, own).objectStore(own);
    const indexes = [...store.indexNames].map((index) => store.index(index))
      .map(({ name, keyPath, unique, multiEntry }) => ({ name, keyPath, unique, multiEntry }));
    const [keys, rows] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    stores[own] = { indexes, rows: keys.map((key, place) => [write(key), write(rows[place])]) };
  }
  const text = JSON.stringify({ version: database.version, stores });
  database.close();
  return text;
}
// The same with every text empty and every number nought.
export const shape = (text) =>
  JSON.stringify(JSON.parse(text), (_, value) => (typeof value === "string" ? "" : typeof value === "number" ? 0 : value));
export async function restore(name, text) {
  const { version, stores } = JSON.parse(text);
  const opening = indexedDB.open(name, version);
  opening.onupgradeneeded = () => {
    for (const [own, { indexes, rows }] of Object.entries(stores)) {
      const store = opening.result.createObjectStore(own);
      for (const { name, keyPath, unique, multiEntry } of indexes) store.createIndex(name, keyPath, { unique, multiEntry });
      for (const [key, row] of rows) store.put(read(row), read(key));
    }
  };
  (await done(opening)).close();
}
export function forbid_storage() { offer(undefined); }
const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
export const remove = async (name) => { await done(indexedDB.deleteDatabase(name)); };
// A database of version 0 was never made; WebKit goes on listing it when its making was taken back.
export const exists = async (name) => (await indexedDB.databases()).some((one) => one.name === name && one.version > 0);
export async function upgrade_to(name, version) { (await done(indexedDB.open(name, version))).close(); }
export async function records(name, store) {
  const database = await done(indexedDB.open(name));
  const count = await done(real.transaction.call(database, store).objectStore(store).count());
  database.close();
  return count;
}
"#)]
extern "C" {
    fn mend();
    fn watch();
    fn writes() -> String;
    fn close_behind_the_back();
    fn say_closed();
    fn throw_on(method: &str, name: &str, error: &str, once: bool);
    fn abort_on_put(name: &str, error: &str);
    fn leave_within_the_next(persisted: bool);
    fn its_end() -> String;
    fn leave_while_made();
    fn leave_kept() -> bool;
    fn lose_complete();
    fn forbid_storage();
    fn hold_and_delete(name: &str) -> js_sys::Promise;
    fn hurry();
    fn dump(name: &str) -> js_sys::Promise;
    fn restore(name: &str, text: &str) -> js_sys::Promise;
    fn shape(text: &str) -> String;
    fn remove(name: &str) -> js_sys::Promise;
    fn exists(name: &str) -> js_sys::Promise;
    fn upgrade_to(name: &str, version: u32) -> js_sys::Promise;
    fn records(name: &str, store: &str) -> js_sys::Promise;
}

const AT: UnixMillis = UnixMillis(1_800_000_000_000);

/// Gives the test a database of its own and deletes it afterwards.
async fn with<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let name = format!("web-store-{}", js_sys::Math::random());
    mend();
    test(name.clone()).await;
    mend();
    JsFuture::from(remove(&name)).await.unwrap();
}

fn till() -> Device {
    Device::parse("till-1").unwrap()
}

async fn open(name: &str) -> Store {
    Store::open(name, &till()).await.unwrap().0
}

async fn count(name: &str, store: &str) -> f64 {
    JsFuture::from(records(name, store)).await.unwrap().as_f64().unwrap()
}

/// A request for money: its intent is formed once per key.
fn sale(order: &str, amount: u32) -> Prepared {
    event(
        "pay.txn.v2",
        "requested",
        order,
        &format!(r#"{{"amount":{amount},"currency":"TWD","method":"cash"}}"#),
    )
}

/// An event that is meant each time.
fn note(key: &str, payload: &str) -> Prepared {
    event("stall.note.v1", "written", key, payload)
}

fn event(topic: &str, kind: &str, key: &str, payload: &str) -> Prepared {
    thread_local!(static MADE: Cell<u64> = const { Cell::new(0) });
    let made = MADE.with(|made| made.replace(made.get() + 1));
    let mut entropy = [7; 10];
    entropy[2..].copy_from_slice(&made.to_be_bytes());
    let identity = Identity { device: Device::parse("till-1").unwrap(), incarnation: "life-1".into() };
    let emit = Emit {
        topic: topic.into(),
        kind: kind.into(),
        key: key.into(),
        payload: payload.into(),
        ..Emit::default()
    };
    prepare(&emit, &identity, AT, entropy).unwrap()
}

fn sales(orders: core::ops::Range<u32>) -> Vec<Prepared> {
    orders.map(|order| sale(&format!("order-{order}"), 100)).collect()
}

async fn append(store: &Store, events: Vec<Prepared>) -> Result<Vec<Appended>, StoreFault> {
    let (events, commits) = (events.into(), Rc::default());
    match store.apply(Batch::Append { events, commits, room: u64::MAX, at: AT }).await? {
        Done::Appended(results, _) => Ok(results),
        other => panic!("{other:?}"),
    }
}

fn stored(result: &Appended) -> Kept {
    match result {
        Appended::Stored(kept) => *kept,
        other => panic!("{other:?}"),
    }
}

async fn stored_all(store: &Store, events: Vec<Prepared>) -> Vec<Kept> {
    append(store, events).await.unwrap().iter().map(stored).collect()
}

async fn lead(store: &Store) -> u64 {
    match store.apply(Batch::Lead).await.unwrap() {
        Done::Leading(epoch) => epoch,
        other => panic!("{other:?}"),
    }
}

async fn counter(store: &Store) -> Counter {
    store.opened().await.unwrap().counter
}

async fn page(store: &Store) -> Page {
    store.load(Load::After(Sequence(0))).await.unwrap()
}

async fn settle(store: &Store, epoch: u64, kept: &[Kept], outcome: &Outcome) -> Result<Counter, StoreFault> {
    let rows = page(store).await.rows;
    let rows = rows.iter().filter(|row| kept.iter().any(|one| one.id == row.id)).map(|row| Settlement {
        row: row.row,
        id: row.id,
        bytes: row.body.len(),
        lane: row.lane,
        lane_recorded: false,
        outcome: outcome.clone(),
    });
    match store.apply(Batch::Settle { epoch, rows: Rc::new(rows.collect()), at: AT }).await? {
        Done::Settled(counter) => Ok(counter),
        other => panic!("{other:?}"),
    }
}

fn dead(event: &Prepared) -> Outcome {
    Outcome::Dead {
        reason: DeadReason::Refused,
        problem: Some(r#"{"type":"urn:conch:problem:no-such-stall"}"#.into()),
        body: event.tail.clone(),
        blocks: event.on_dead == OnDead::Block,
    }
}

fn offer() -> EdgeConfig {
    EdgeConfig { city: "c1".into(), batch_events_max: 100, batch_bytes_max: 65_536, window_ms: Some(900) }
}

fn sequences(kept: &[Kept]) -> Vec<u64> {
    kept.iter().map(|one| one.row.sequence.0).collect()
}

#[wasm_bindgen_test]
async fn a_turn_of_100_is_one_strict_transaction_with_contiguous_sequences() {
    with(async |name| {
        let store = open(&name).await;
        watch();
        let kept = stored_all(&store, sales(0..100)).await;
        assert_eq!(writes(), "strict");
        assert_eq!(sequences(&kept), (1..=100).collect::<Vec<_>>());
        let totals = counter(&store).await;
        assert_eq!((totals.next, totals.owed, totals.dead), (Sequence(101), 100, 0));
        let rows = page(&store).await.rows;
        assert_eq!(totals.bytes, rows.iter().map(|row| row.body.len() as u64).sum::<u64>());
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids(&kept));
        assert!(rows.iter().all(|row| row.body.contains(&row.row.sequence.to_string())));
    })
    .await;
}

fn ids(kept: &[Kept]) -> Vec<EventId> {
    kept.iter().map(|one| one.id).collect()
}

#[wasm_bindgen_test]
async fn one_duplicate_among_100_is_replayed_and_99_are_stored() {
    with(async |name| {
        let store = open(&name).await;
        let first = stored_all(&store, vec![sale("order-42", 100)]).await;
        watch();
        let results = append(&store, sales(0..100)).await.unwrap();
        assert_eq!(writes(), "strict", "one transaction");
        let (replayed, new): (Vec<_>, Vec<_>) =
            results.iter().partition(|result| matches!(result, Appended::Replayed(_)));
        assert_eq!(replayed, [&Appended::Replayed(first[0])]);
        let new: Vec<Kept> = new.into_iter().map(stored).collect();
        assert_eq!(sequences(&new), (2..=100).collect::<Vec<_>>());
        assert_eq!(counter(&store).await.owed, 100);
        assert_eq!(page(&store).await.rows.len(), 100);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_replayed_burst_stores_nothing_new() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..300)).await;
        let before = counter(&store).await;
        let results = append(&store, sales(0..300)).await.unwrap();
        assert_eq!(results, kept.into_iter().map(Appended::Replayed).collect::<Vec<_>>());
        assert_eq!(counter(&store).await, before);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_conflict_in_a_group_fails_no_neighbour() {
    with(async |name| {
        let store = open(&name).await;
        let first = stored_all(&store, vec![sale("order-1", 100)]).await;
        let results = append(&store, vec![sale("order-0", 100), sale("order-1", 999), sale("order-2", 100)])
            .await
            .unwrap();
        assert_eq!(results[1], Appended::Conflict(first[0]));
        assert_eq!([stored(&results[0]), stored(&results[2])].map(|kept| kept.row.sequence.0), [2, 3]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn twins_in_one_turn_are_stored_once() {
    with(async |name| {
        let store = open(&name).await;
        let turn = vec![sale("order-1", 100), sale("order-1", 100), sale("order-1", 5)];
        let results = append(&store, turn).await.unwrap();
        let kept = stored(&results[0]);
        assert_eq!(results[1..], [Appended::Replayed(kept), Appended::Conflict(kept)]);
        assert_eq!(counter(&store).await.owed, 1);
        assert_eq!(count(&name, "intents").await, 1.0);
    })
    .await;
}

#[wasm_bindgen_test]
async fn an_aborted_transaction_leaves_nothing() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, vec![sale("order-1", 100)]).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept, &dead(&sale("order-1", 100))).await.unwrap();
        let before = store.opened().await.unwrap();
        // The next attempt of this intent is in the outbox already: the machine aborts after its addition.
        let taken = sale("order-1", 100);
        let redrive = Batch::Redrive { sequence: Sequence(1), event: Box::new(taken), at: AT };
        assert_eq!(store.apply(redrive).await, Err(StoreFault::Refused(Refusal::IntentTaken)));
        assert_eq!(store.opened().await.unwrap(), before);
        assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
        for records in ["intents", "marks"] {
            assert_eq!(count(&name, records).await, 1.0, "{records}");
        }
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_write_that_fails_half_way_leaves_nothing_and_spends_no_sequence() {
    with(async |name| {
        let store = open(&name).await;
        throw_on("put", "bodies", "DataError", false);
        assert!(matches!(append(&store, sales(0..5)).await, Err(StoreFault::Lost(_))));
        mend();
        for records in ["intents", "marks", "bodies"] {
            assert_eq!(count(&name, records).await, 0.0, "{records}");
        }
        assert_eq!(sequences(&stored_all(&store, sales(0..5)).await), [1, 2, 3, 4, 5]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_stale_epoch_settles_nothing() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..3)).await;
        let stale = lead(&store).await;
        assert_eq!(lead(&store).await, stale + 1);
        let refused = Err(StoreFault::Refused(Refusal::StaleEpoch));
        assert_eq!(settle(&store, stale, &kept, &Outcome::Accepted).await, refused);
        assert_eq!(page(&store).await.rows.len(), 3);
        assert_eq!(counter(&store).await.owed, 3);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_row_leaves_with_its_verdict_and_the_body_with_the_last_row() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..3)).await;
        let epoch = lead(&store).await;
        let counter = settle(&store, epoch, &kept[..2], &Outcome::Accepted).await.unwrap();
        assert_eq!(counter.owed, 1);
        assert_eq!(page(&store).await.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [kept[2].id]);
        assert_eq!(count(&name, "bodies").await, 1.0);
        let counter = settle(&store, epoch, &kept[2..], &Outcome::Duplicate).await.unwrap();
        assert_eq!((counter.owed, counter.bytes), (0, 0));
        assert_eq!(page(&store).await, Page::default());
        assert_eq!(count(&name, "bodies").await, 0.0);
        assert_eq!(count(&name, "intents").await, 1.0, "the intents stay, so that a second tap is a replay");
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_settled_row_is_not_settled_again() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..2)).await;
        let epoch = lead(&store).await;
        let rows = page(&store).await.rows;
        let row = |outcome| Settlement {
            row: kept[0].row,
            id: kept[0].id,
            bytes: rows[0].body.len(),
            lane: rows[0].lane,
            lane_recorded: false,
            outcome,
        };
        for outcome in [Outcome::Accepted, Outcome::Accepted, dead(&sale("order-0", 100))] {
            store.apply(Batch::Settle { epoch, rows: Rc::new(vec![row(outcome)]), at: AT }).await.unwrap();
            let totals = counter(&store).await;
            assert_eq!((totals.owed, totals.dead), (1, 0));
        }
        assert_eq!(store.find(kept[0].id.to_bytes()).await.unwrap().unwrap().status, Status::Accepted);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_discarded_intent_stays_closed() {
    with(async |name| {
        let store = open(&name).await;
        let event = sale("order-1", 100);
        let kept = stored_all(&store, vec![event.clone()]).await;
        let epoch = lead(&store).await;
        let counter = settle(&store, epoch, &kept, &dead(&event)).await.unwrap();
        assert_eq!((counter.owed, counter.dead), (0, 1));
        let letter = store.dead_letters(10).await.unwrap().remove(0);
        assert_eq!((letter.row, letter.blocks, letter.closed), (kept[0].row, true, None));
        let blocked = LaneRecord { lane: event.lane, dead: Some(Sequence(1)), front: None, due: None };
        assert_eq!(store.opened().await.unwrap().lanes, [blocked]);

        let discard = Batch::Discard { sequence: Sequence(1), reason: "paid in cash".into(), at: AT };
        store.apply(discard.clone()).await.unwrap();
        assert_eq!(store.apply(discard).await, Err(StoreFault::Refused(Refusal::NotFound)));
        assert_eq!(store.dead_letters(10).await.unwrap(), []);
        assert!(store.opened().await.unwrap().lanes.is_empty());
        let audit = store.dead_letter(Sequence(1)).await.unwrap().unwrap().closed.unwrap();
        assert_eq!((audit.note.as_str(), audit.redriven), ("paid in cash", false));
        assert_eq!(append(&store, vec![event]).await.unwrap(), [Appended::Stored(kept[0])], "our own id");
        assert_eq!(append(&store, vec![sale("order-1", 100)]).await.unwrap(), [Appended::Closed(kept[0])]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_redriven_letter_keeps_its_place_in_the_lane() {
    with(async |name| {
        let store = open(&name).await;
        let event = sale("order-1", 100);
        let kept = stored_all(&store, vec![event.clone(), note("other", "{}")]).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept[..1], &dead(&event)).await.unwrap();
        let again = note("order-1", r#"{"corrected":true}"#);
        let redrive = Batch::Redrive { sequence: Sequence(1), event: Box::new(again.clone()), at: AT };
        let Done::Closed(closed) = store.apply(redrive).await.unwrap() else { panic!() };
        let Closed { lane, waited: true, appended: Some(Appended::Stored(new)), counter } = closed else {
            panic!("{closed:?}")
        };
        assert_eq!((lane, new.row.sequence, counter.dead), (event.lane, Sequence(3), 0));
        let rows = page(&store).await.rows;
        let row = rows.iter().find(|row| row.id == again.id).unwrap();
        assert_eq!(row.place, Some(Sequence(1)));
        let front = LaneRecord { lane, dead: None, front: Some(Sequence(3)), due: None };
        assert_eq!(store.opened().await.unwrap().lanes, [front]);
        assert!(store.dead_letter(Sequence(1)).await.unwrap().unwrap().closed.unwrap().redriven);
    })
    .await;
}

#[wasm_bindgen_test]
async fn dead_letters_come_oldest_first_and_no_more_than_asked() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, (0..12).map(|n| note(&format!("k-{n}"), "{}")).collect()).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept, &dead(&note("k", "{}"))).await.unwrap();
        let letters = store.dead_letters(10).await.unwrap();
        assert_eq!(
            letters.iter().map(|one| one.row.sequence.0).collect::<Vec<_>>(),
            (1..=10).collect::<Vec<_>>()
        );
    })
    .await;
}

#[wasm_bindgen_test]
async fn tries_and_doubts_survive_a_reload() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..2)).await;
        let epoch = lead(&store).await;
        watch();
        for _ in 0..2 {
            store.apply(Batch::Sent { epoch, rows: vec![kept[1].row], maybe: true }).await.unwrap();
        }
        assert_eq!(writes(), "relaxed,relaxed");
        store.close();
        let rows = page(&open(&name).await).await.rows;
        assert_eq!(
            rows.iter().map(|row| (row.tries, row.maybe_sent)).collect::<Vec<_>>(),
            [(0, false), (2, true)]
        );
    })
    .await;
}

#[wasm_bindgen_test]
async fn everything_the_engine_begins_with_survives_a_reload() {
    with(async |name| {
        let store = open(&name).await;
        let life = store.life().to_owned();
        let event = sale("order-1", 100);
        stored_all(&store, vec![event.clone()]).await;
        let epoch = lead(&store).await;
        let pace = PaceRecord {
            not_before: UnixMillis(AT.0 + 5_000),
            failures: 3,
            window_ms: 20_000,
            down_since: Some(AT),
            drawn: false,
            told: true,
        };
        let offer = offer();
        let due = UnixMillis(AT.0 + 1_000);
        let ages = vec![AgeMark { at: AT, next: Sequence(2) }, AgeMark { at: due, next: Sequence(2) }];
        for batch in [
            Batch::Ages(ages.clone()),
            Batch::Beat { epoch, leaves: false },
            Batch::Pause(true),
            Batch::Pace(pace),
            Batch::Offer(offer.clone(), AT),
            Batch::Wait { epoch, lanes: vec![(event.lane, due)] },
        ] {
            assert_eq!(store.apply(batch).await, Ok(Done::Written));
        }
        store.close();
        let (store, opened) = Store::open(&name, &till()).await.unwrap();
        assert_eq!(store.life(), life);
        assert_eq!((opened.epoch, opened.paused, opened.pace), (epoch, true, pace));
        assert_eq!((opened.ages, opened.beat), (ages, 1));
        assert_eq!(opened.offer, Some((offer, AT)));
        assert_eq!(opened.lanes, [LaneRecord { lane: event.lane, dead: None, front: None, due: Some(due) }]);
        assert_eq!(opened.counter, counter(&store).await);
    })
    .await;
}

#[wasm_bindgen_test]
async fn pages_follow_the_segments() {
    with(async |name| {
        let store = open(&name).await;
        for order in 0..=LOAD_SEGMENTS_MAX {
            stored_all(&store, vec![note(&format!("k-{order}"), r#"{"text":"two\nlines"}"#)]).await;
        }
        let (full, end) = (u64::from(LOAD_SEGMENTS_MAX), Sequence(u64::from(LOAD_SEGMENTS_MAX) + 1));
        let first = store.load(Load::After(Sequence(0))).await.unwrap();
        assert_eq!((first.rows.len() as u64, first.last, first.more), (full, Some(Sequence(full)), true));
        let rest = store.load(Load::After(Sequence(full))).await.unwrap();
        assert_eq!((rest.rows.len(), rest.last, rest.more), (1, Some(end), false));
        let these = store.load(Load::These(vec![Sequence(2), Sequence(9_999), end])).await.unwrap();
        assert_eq!(these.rows.iter().map(|row| row.row.segment).collect::<Vec<_>>(), [Sequence(2), end]);
        assert_eq!((these.last, these.more), (Some(end), false));
        let row = &rest.rows[0];
        assert_eq!(row.row, RowRef { segment: end, sequence: end });
        assert!(row.body.ends_with(r#""data":{"text":"two\nlines"}}"#), "{}", row.body);
        assert_eq!(row.stored_at, AT);
    })
    .await;
}

#[wasm_bindgen_test]
async fn old_settled_segments_are_forgotten_and_owed_ones_are_not() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, vec![sale("order-1", 100)]).await;
        stored_all(&store, vec![sale("order-2", 100)]).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept, &Outcome::Accepted).await.unwrap();
        let later = UnixMillis(AT.0 + 8 * 24 * 3_600_000);
        let prune = Batch::Prune { after: Sequence(0), at: later };
        assert_eq!(store.apply(prune).await, Ok(Done::Pruned(None)));
        assert_eq!(store.find(kept[0].id.to_bytes()).await, Ok(None));
        assert_eq!(page(&store).await.rows.len(), 1);
        for records in ["intents", "marks", "bodies"] {
            assert_eq!(count(&name, records).await, 1.0, "{records}");
        }
    })
    .await;
}

/// One round looks at 64 segments; the rounds go on until the end.
#[wasm_bindgen_test]
async fn pruning_goes_on_where_the_last_round_stopped() {
    with(async |name| {
        let store = open(&name).await;
        let mut kept = Vec::new();
        for order in 0..70 {
            kept.extend(stored_all(&store, vec![sale(&format!("order-{order}"), 100)]).await);
        }
        let epoch = lead(&store).await;
        while !page(&store).await.rows.is_empty() {
            settle(&store, epoch, &kept, &Outcome::Accepted).await.unwrap();
        }
        let at = UnixMillis(AT.0 + 8 * 24 * 3_600_000);
        let first = store.apply(Batch::Prune { after: Sequence(0), at }).await;
        assert_eq!(first, Ok(Done::Pruned(Some(Sequence(64)))));
        assert_eq!(count(&name, "marks").await, 6.0);
        assert_eq!(store.apply(Batch::Prune { after: Sequence(64), at }).await, Ok(Done::Pruned(None)));
        for records in ["intents", "marks", "bodies"] {
            assert_eq!(count(&name, records).await, 0.0, "{records}");
        }
    })
    .await;
}

/// The city is told of every dead event, also after a reload, until it has heard.
#[wasm_bindgen_test]
async fn tombstones_stay_until_the_city_was_told() {
    with(async |name| {
        let store = open(&name).await;
        let events = sales(0..3);
        let outcome = dead(&events[0]);
        let kept = stored_all(&store, events).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept[..2], &outcome).await.unwrap();
        store.close();
        let store = open(&name).await;
        let told = store.opened().await.unwrap().tombstones;
        assert_eq!(told, [Sequence(1), Sequence(2)]);
        store.apply(Batch::Buried(vec![Sequence(1)])).await.unwrap();
        assert_eq!(store.opened().await.unwrap().tombstones, [Sequence(2)]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn what_became_of_an_id_is_known_after_a_reload() {
    with(async |name| {
        let store = open(&name).await;
        let event = sale("order-1", 100);
        let kept = stored_all(&store, vec![sale("order-0", 100), event.clone(), sale("order-2", 100)]).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept[..1], &Outcome::Accepted).await.unwrap();
        settle(&store, epoch, &kept[1..2], &dead(&event)).await.unwrap();
        store.close();
        let store = open(&name).await;
        let mut fates = Vec::new();
        for one in &kept {
            let fate = store.find(one.id.to_bytes()).await.unwrap().unwrap();
            assert_eq!(fate.kept, *one);
            assert_eq!(store.find(one.intent.to_bytes()).await.unwrap().unwrap(), fate);
            fates.push((fate.status, fate.note.is_some()));
        }
        assert_eq!(fates, [(Status::Accepted, false), (Status::Dead, true), (Status::Owed, false)]);
        assert_eq!(store.find([9; 16]).await, Ok(None));
    })
    .await;
}

#[wasm_bindgen_test]
async fn two_stores_on_one_database_give_no_sequence_twice() {
    with(async |name| {
        let (one, other) = (open(&name).await, open(&name).await);
        let mut running = Vec::new();
        for turn in 0..20 {
            let store = if turn % 2 == 0 { &one } else { &other };
            running.push(append(store, sales(turn * 10..turn * 10 + 10)));
        }
        let mut given = Vec::new();
        for results in together(running).await {
            given.extend(results.unwrap().iter().map(|result| stored(result).row.sequence.0));
        }
        given.sort_unstable();
        assert_eq!(given, (1..=200).collect::<Vec<_>>());
        assert_eq!(counter(&one).await, counter(&other).await);
    })
    .await;
}

/// Polls all of them at once and waits for the last.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    core::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let core::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            core::task::Poll::Ready(())
        } else {
            core::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[wasm_bindgen_test]
async fn a_connection_closed_behind_its_back_is_opened_again() {
    with(async |name| {
        let store = open(&name).await;
        watch();
        stored_all(&store, sales(0..1)).await;
        close_behind_the_back();
        assert_eq!(sequences(&stored_all(&store, sales(1..2)).await), [2]);
        close_behind_the_back();
        assert_eq!(page(&store).await.rows.len(), 2, "questions survive it as well");
        say_closed();
        assert_eq!(sequences(&stored_all(&store, sales(2..3)).await), [3]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_transaction_the_browser_ended_is_tried_once_more() {
    with(async |name| {
        let store = open(&name).await;
        abort_on_put("meta", "UnknownError");
        assert_eq!(sequences(&stored_all(&store, sales(0..5)).await), [1, 2, 3, 4, 5]);
        assert_eq!(counter(&store).await.owed, 5);
    })
    .await;
}

#[wasm_bindgen_test]
async fn what_runs_in_a_page_that_is_kept_is_taken_back_and_done_once_it_is_back() {
    with(async |name| {
        let store = open(&name).await;
        leave_within_the_next(true);
        assert_eq!(sequences(&stored_all(&store, sales(0..5)).await), [1, 2, 3, 4, 5]);
        assert_eq!(its_end(), "abort", "standing still it would block everybody else");
        assert_eq!(counter(&store).await.owed, 5);
        leave_within_the_next(true);
        assert_eq!(page(&store).await.rows.len(), 5, "questions are asked again as well");
        assert_eq!(its_end(), "abort");
    })
    .await;
}

#[wasm_bindgen_test]
async fn what_runs_in_a_page_that_is_left_for_good_may_still_land() {
    with(async |name| {
        let store = open(&name).await;
        leave_within_the_next(false);
        stored_all(&store, sales(0..5)).await;
        assert_eq!(its_end(), "complete");
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_page_that_is_kept_begins_nothing_before_it_opened_the_database_again() {
    with(async |name| {
        let store = open(&name).await;
        watch();
        stored_all(&store, sales(0..1)).await;
        assert!(leave_kept());
        assert_eq!(sequences(&stored_all(&store, sales(1..2)).await), [2]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn an_outbox_that_is_made_in_a_page_that_is_kept_is_made_anew() {
    with(async |name| {
        leave_while_made();
        assert!(matches!(Store::open(&name, &till()).await, Err(StoreFault::Unavailable(_))));
        assert!(!JsFuture::from(exists(&name)).await.unwrap().is_truthy());
        let store = open(&name).await;
        assert_eq!(sequences(&stored_all(&store, sales(0..1)).await), [1]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn an_append_that_had_completed_after_all_is_found_by_its_own_ids() {
    with(async |name| {
        let store = open(&name).await;
        lose_complete();
        let kept = stored_all(&store, sales(0..5)).await;
        assert_eq!(sequences(&kept), [1, 2, 3, 4, 5]);
        let totals = counter(&store).await;
        assert_eq!((totals.owed, totals.next), (5, Sequence(6)), "stored once, not twice");
        assert_eq!(page(&store).await.rows.len(), 5);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_decision_whose_end_was_not_heard_is_not_called_refused() {
    with(async |name| {
        let store = open(&name).await;
        let event = sale("order-1", 100);
        let kept = stored_all(&store, vec![event.clone()]).await;
        let epoch = lead(&store).await;
        settle(&store, epoch, &kept, &dead(&event)).await.unwrap();
        lose_complete();
        let discard = Batch::Discard { sequence: Sequence(1), reason: "paid in cash".into(), at: AT };
        assert!(matches!(store.apply(discard).await, Err(StoreFault::Lost(_))));
        assert_eq!(store.dead_letters(10).await.unwrap(), []);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_database_deleted_under_the_store_is_lost_and_not_made_anew() {
    with(async |name| {
        let store = open(&name).await;
        let life = store.life().to_owned();
        stored_all(&store, sales(0..1)).await;
        JsFuture::from(remove(&name)).await.unwrap();
        assert!(matches!(append(&store, sales(1..2)).await, Err(StoreFault::Lost(_))));
        assert_eq!(JsFuture::from(exists(&name)).await.unwrap(), JsValue::FALSE);
        // Somebody opens it anew: another life, whose sequences begin again.
        let anew = open(&name).await;
        assert_ne!(anew.life(), life);
        assert!(matches!(append(&store, sales(1..2)).await, Err(StoreFault::Lost(_))));
        assert_eq!(sequences(&stored_all(&anew, sales(1..2)).await), [1]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_newer_release_gets_the_database_and_an_older_one_says_so() {
    with(async |name| {
        let store = open(&name).await;
        stored_all(&store, sales(0..1)).await;
        // It would wait for ever if our handle did not let go.
        JsFuture::from(upgrade_to(&name, 2)).await.unwrap();
        assert_eq!(append(&store, sales(1..2)).await, Err(StoreFault::Newer));
        assert_eq!(Store::open(&name, &till()).await.err(), Some(StoreFault::Newer));
        assert_eq!(count(&name, "bodies").await, 1.0, "nothing was taken away");
    })
    .await;
}

/// What the first release leaves behind. A later layout gets a file of its own beside it.
const VERSION_1: &str = include_str!("fixtures/version-1.json");

#[wasm_bindgen_test]
async fn every_row_of_version_1_is_still_read() {
    with(async |name| {
        JsFuture::from(restore(&name, VERSION_1)).await.unwrap();
        let (store, opened) = Store::open(&name, &till()).await.unwrap();
        assert_eq!(store.life(), "5c1f4f7e-52a4-4f30-9d4c-0c9f6f3a7b11");
        let counter =
            Counter { next: Sequence(8), owed: 3, dead: 1, bytes: opened.counter.bytes, unknown: 1 };
        assert_eq!((opened.counter, opened.epoch, opened.paused), (counter, 1, true));
        assert_eq!((opened.pace.failures, opened.pace.told, opened.beat), (3, true, 1));
        assert_eq!(
            (opened.cursor.as_str(), opened.tombstones.as_slice()),
            ("c1.7", [Sequence(4)].as_slice())
        );
        assert_eq!(opened.ages, [AgeMark { at: AT, next: Sequence(2) }]);
        assert_eq!(opened.offer.unwrap().0.batch_events_max, 100);
        let rows = page(&store).await.rows;
        assert_eq!(sequences_of(&rows), [1, 5, 7]);
        assert_eq!((rows[0].tries, rows[0].maybe_sent, rows[2].place), (1, true, Some(Sequence(4))));
        assert!(rows[0].body.contains(r#""sequence":"0000000000000001""#) && rows[0].body.ends_with('}'));
        assert_eq!(rows.iter().map(|row| row.body.len() as u64).sum::<u64>(), opened.counter.bytes);
        let lanes: Vec<_> =
            opened.lanes.iter().map(|lane| (lane.dead, lane.front, lane.due.is_some())).collect();
        assert!(lanes.contains(&(Some(Sequence(3)), None, false)), "{lanes:?}");
        assert!(lanes.contains(&(None, Some(Sequence(7)), false)), "{lanes:?}");
        assert!(lanes.contains(&(None, None, true)), "{lanes:?}");
        let letters = store.dead_letters(10).await.unwrap();
        assert_eq!(letters.iter().map(|one| one.row.sequence.0).collect::<Vec<_>>(), [3]);
        assert!(letters[0].problem.as_deref().unwrap().contains("already_paid"));
        assert!(store.dead_letter(Sequence(4)).await.unwrap().unwrap().closed.unwrap().redriven);
        assert!(!store.dead_letter(Sequence(6)).await.unwrap().unwrap().closed.unwrap().redriven);
        let accepted = EventId::parse(ACCEPTED_IN_VERSION_1).unwrap();
        assert_eq!(store.find(accepted.to_bytes()).await.unwrap().unwrap().status, Status::Accepted);
        assert_eq!(store.answers_to(accepted).await.unwrap().len(), 1);
        let record =
            RecordName { collection: Collection::parse("tickets").unwrap(), key: Key::parse("t-1").unwrap() };
        assert_eq!(store.record(record).await.unwrap().as_deref(), Some(r#"{"used":true}"#));
        // And it goes on: a known intent is a replay, a new one comes next.
        let results = append(&store, vec![sale("order-1", 100), note("later", "{}")]).await.unwrap();
        assert!(
            matches!(results[0], Appended::Replayed(kept) if kept.row.sequence == Sequence(1)),
            "{results:?}"
        );
        assert_eq!(stored(&results[1]).row.sequence, Sequence(8));
    })
    .await;
}

/// The second event of [`VERSION_1`].
const ACCEPTED_IN_VERSION_1: &str = "01a3185c-5000-7707-8000-000000000004";

/// What is written today differs from the file in values, not in form: another form needs another version. The console
/// says what was written, for the file of the next version.
#[wasm_bindgen_test]
async fn what_is_written_has_the_layout_of_version_1() {
    with(async |name| {
        let store = open(&name).await;
        let keyed = |key| sale(key, 100);
        let refused = keyed("order-3");
        let blocked = keyed("order-4");
        let corrected = keyed("order-6");
        let events = vec![
            keyed("order-1"),
            keyed("order-2"),
            refused.clone(),
            blocked.clone(),
            note("waits", "{}"),
            corrected.clone(),
        ];
        let kept = stored_all(&store, events).await;
        let epoch = lead(&store).await;
        let rows = page(&store).await.rows;
        store.apply(Batch::Sent { epoch, rows: vec![kept[0].row], maybe: true }).await.unwrap();
        settle(&store, epoch, &kept[1..2], &Outcome::Accepted).await.unwrap();
        for (place, event) in [(2, &refused), (3, &blocked), (5, &corrected)] {
            let Outcome::Dead { reason, blocks, .. } = dead(event) else { panic!() };
            let body = rows[place].body.clone();
            let problem = Some(
                r#"{"type":"urn:conch:problem:already_paid","title":"Paid","status":422,"detail":"x"}"#
                    .into(),
            );
            settle(&store, epoch, &kept[place..=place], &Outcome::Dead { reason, problem, body, blocks })
                .await
                .unwrap();
        }
        let again = note("order-4", r#"{"corrected":true}"#);
        store.apply(Batch::Redrive { sequence: Sequence(4), event: Box::new(again), at: AT }).await.unwrap();
        store
            .apply(Batch::Discard { sequence: Sequence(6), reason: "paid in cash".into(), at: AT })
            .await
            .unwrap();
        store.apply(Batch::Buried(vec![Sequence(3), Sequence(6)])).await.unwrap();
        let pace = PaceRecord {
            not_before: AT,
            failures: 3,
            window_ms: 900,
            down_since: Some(AT),
            drawn: false,
            told: true,
        };
        let offer = offer();
        let event = FeedEvent {
            id: EventId::mint(AT, [9; 10]),
            cause: Some(kept[1].id),
            body: r#"{"id":"x"}"#.into(),
        };
        let record =
            RecordName { collection: Collection::parse("tickets").unwrap(), key: Key::parse("t-1").unwrap() };
        let put = vec![Put { record, value: Some(r#"{"used":true}"#.into()) }];
        for batch in [
            Batch::Ages(vec![AgeMark { at: AT, next: Sequence(2) }]),
            Batch::Beat { epoch, leaves: false },
            Batch::Pause(true),
            Batch::Pace(pace),
            Batch::Offer(offer, AT),
            Batch::Wait { epoch, lanes: vec![(note("waits", "{}").lane, AT)] },
            Batch::Feed { epoch, heard: vec![Heard { event, put }].into(), cursor: "c1.7".into(), at: AT },
        ] {
            store.apply(batch).await.unwrap();
        }
        store.close();
        let text = JsFuture::from(dump(&name)).await.unwrap().as_string().unwrap();
        wasm_bindgen_test::console_log!("{text}");
        assert_eq!(shape(&text), shape(VERSION_1));
    })
    .await;
}

fn sequences_of(rows: &[LoadedRow]) -> Vec<u64> {
    rows.iter().map(|row| row.row.sequence.0).collect()
}

#[wasm_bindgen_test]
async fn a_database_belongs_to_the_device_it_was_made_for() {
    with(async |name| {
        stored_all(&open(&name).await, sales(0..1)).await;
        let other = Device::parse("till-2").unwrap();
        assert_eq!(Store::open(&name, &other).await.err(), Some(StoreFault::OtherDevice("till-1".into())));
        assert_eq!(page(&open(&name).await).await.rows.len(), 1, "nothing was changed");
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_database_that_another_tab_does_not_let_go_is_told_and_stands_in_nobodys_way() {
    with(async |name| {
        open(&name).await.close();
        let let_go: js_sys::Function = JsFuture::from(hold_and_delete(&name)).await.unwrap().unchecked_into();
        hurry();
        assert_eq!(Store::open(&name, &till()).await.err(), Some(StoreFault::Blocked));
        mend();
        let deleted = let_go.call0(&JsValue::UNDEFINED).unwrap();
        JsFuture::from(js_sys::Promise::resolve(&deleted)).await.unwrap();
        // What nobody waited for any more has opened by now, or will; deleting waits for it to close again.
        JsFuture::from(remove(&name)).await.unwrap();
        assert_eq!(sequences(&stored_all(&open(&name).await, sales(0..1)).await), [1]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    with(async |name| {
        let store = open(&name).await;
        let before = stored_all(&store, sales(0..1)).await;
        for broken in ["add intents", "put marks", "put bodies", "put meta", "late"] {
            watch();
            match broken.split_once(' ') {
                Some((method, records)) => throw_on(method, records, "QuotaExceededError", true),
                None => abort_on_put("meta", "QuotaExceededError"),
            }
            assert_eq!(append(&store, sales(1..50)).await, Err(StoreFault::Quota), "{broken}");
            assert_eq!(writes(), "strict", "a full disk is not tried again");
            mend();
            assert_eq!(counter(&store).await.next, Sequence(2), "{broken}");
            for records in ["intents", "marks", "bodies"] {
                assert_eq!(count(&name, records).await, 1.0, "{broken} {records}");
            }
        }
        assert_eq!(page(&store).await.rows.len(), before.len());
        assert_eq!(stored_all(&store, sales(1..50)).await.len(), 49, "with room again it goes on");
    })
    .await;
}

#[wasm_bindgen_test]
async fn verdicts_are_strict_too() {
    with(async |name| {
        let store = open(&name).await;
        let kept = stored_all(&store, sales(0..1)).await;
        let epoch = lead(&store).await;
        watch();
        settle(&store, epoch, &kept, &Outcome::Accepted).await.unwrap();
        assert_eq!(writes(), "strict");
    })
    .await;
}

#[wasm_bindgen_test]
async fn without_a_database_there_is_no_store() {
    with(async |name| {
        forbid_storage();
        assert!(matches!(Store::open(&name, &till()).await, Err(StoreFault::Unavailable(_))));
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_database_that_is_no_outbox_is_not_touched() {
    with(async |name| {
        JsFuture::from(upgrade_to(&name, 1)).await.unwrap();
        assert!(matches!(Store::open(&name, &till()).await, Err(StoreFault::Unavailable(_))));
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_closed_store_stays_closed() {
    with(async |name| {
        let store = open(&name).await;
        store.close();
        assert!(matches!(append(&store, sales(0..1)).await, Err(StoreFault::Unavailable(_))));
        assert!(matches!(store.opened().await, Err(StoreFault::Unavailable(_))));
    })
    .await;
}

#[wasm_bindgen_test]
async fn transactions_leave_no_handlers_behind() {
    with(async |name| {
        let store = open(&name).await;
        let held = async |store: &Store| {
            for order in 0..20 {
                stored_all(store, vec![note(&format!("k-{order}"), "{}")]).await;
                page(store).await;
            }
            wasm_bindgen::externref_heap_live_count()
        };
        let before = held(&store).await;
        assert_eq!(held(&store).await, before);
    })
    .await;
}
