//! The application's own records: what a commit brings along, and the way to read them.

use super::driver::Driver;
use super::errors::{self, Retry, error};
use super::values;
use crate::event::fingerprint::canonical;
use crate::event::json::Json;
use crate::event::{Collection, Emit, Key, RecordName};
use crate::limits::{COMMIT_EVENTS_MAX, COMMIT_RECORDS_MAX, RECORD_BYTES_MAX, RECORDS_PAGE_MAX};
use crate::outbox::append::{Guard, Put};
use js_sys::{Array, Function, JSON, Object, Promise, Reflect};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

#[wasm_bindgen]
extern "C" {
    type CommitShape;
    #[wasm_bindgen(method, getter)]
    fn expect(this: &CommitShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn put(this: &CommitShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn remove(this: &CommitShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn emit(this: &CommitShape) -> JsValue;

    type RecordShape;
    #[wasm_bindgen(method, getter)]
    fn collection(this: &RecordShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn key(this: &RecordShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn value(this: &RecordShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn equals(this: &RecordShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn absent(this: &RecordShape) -> JsValue;

    type PageShape;
    #[wasm_bindgen(method, getter)]
    fn after(this: &PageShape) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn limit(this: &PageShape) -> JsValue;
}

/// What `commit` was given.
pub(super) struct CommitIn {
    pub(super) emits: Vec<Emit>,
    pub(super) expect: Vec<Guard>,
    pub(super) put: Vec<Put>,
}

fn wrong(text: &str) -> JsValue {
    error("bad-option", text, Retry::IsVain)
}

/// Reads what `commit` was given.
pub(super) fn read_commit(value: &JsValue) -> Result<CommitIn, JsValue> {
    if !value.is_object() {
        return Err(wrong("commit takes one object: { expect, put, remove, emit }."));
    }
    let shape: &CommitShape = value.unchecked_ref();
    let events = list(shape.emit(), "emit")?;
    let emits = events.iter().map(values::read_emit).collect::<Result<Vec<_>, _>>()?;
    let expect = list(shape.expect(), "expect")?.iter().map(read_guard).collect::<Result<Vec<_>, _>>()?;
    let put = read_puts(shape)?;
    let fits =
        (1..=COMMIT_EVENTS_MAX).contains(&emits.len()) && expect.len() + put.len() <= COMMIT_RECORDS_MAX;
    if !fits {
        return Err(wrong("A commit takes 1 to 100 events and names at most 100 records."));
    }
    Ok(CommitIn { emits, expect, put })
}

fn read_puts(shape: &CommitShape) -> Result<Vec<Put>, JsValue> {
    let mut put = Vec::new();
    for one in list(shape.put(), "put")? {
        let value = Some(read_value(&one.unchecked_ref::<RecordShape>().value())?);
        put.push(Put { record: read_name(&one)?, value });
    }
    for one in list(shape.remove(), "remove")? {
        put.push(Put { record: read_name(&one)?, value: None });
    }
    Ok(put)
}

/// Asks the page what an event of the feed does to its records.
pub(super) fn effects(apply: &Function, event: &JsValue) -> Result<Vec<Put>, JsValue> {
    let effect = apply.call1(&JsValue::UNDEFINED, event)?;
    if effect.is_undefined() || effect.is_null() {
        return Ok(Vec::new());
    }
    // A promise comes too late: the effect must be known in the transaction that remembers the event.
    if !effect.is_object() || effect.is_instance_of::<Promise>() {
        return Err(wrong("`apply` answers { put, remove } or nothing, at once."));
    }
    read_puts(effect.unchecked_ref())
}

fn list(value: JsValue, name: &str) -> Result<Vec<JsValue>, JsValue> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    let array = value.dyn_into::<Array>().map_err(|_| wrong(&format!("`{name}` must be an array.")))?;
    Ok(array.to_vec())
}

fn read_guard(value: &JsValue) -> Result<Guard, JsValue> {
    let record = read_name(value)?;
    let shape: &RecordShape = value.unchecked_ref();
    let expected = match (shape.absent().is_truthy(), shape.equals()) {
        (true, equals) if equals.is_undefined() => None,
        (false, equals) if !equals.is_undefined() => Some(read_value(&equals)?),
        _ => return Err(wrong("An expectation says `absent: true` or `equals`.")),
    };
    Ok(Guard { record, expected })
}

fn read_name(value: &JsValue) -> Result<RecordName, JsValue> {
    if !value.is_object() {
        return Err(wrong("A record is named by { collection, key }."));
    }
    let shape: &RecordShape = value.unchecked_ref();
    Ok(RecordName { collection: read_collection(&shape.collection())?, key: read_key(&shape.key())? })
}

fn read_collection(value: &JsValue) -> Result<Collection, JsValue> {
    let text = value.as_string().unwrap_or_default();
    Collection::parse(&text).map_err(|problem| wrong(&errors::name_text("The collection", &problem)))
}

fn read_key(value: &JsValue) -> Result<Key, JsValue> {
    let text = value.as_string().unwrap_or_default();
    Key::parse(&text).map_err(|problem| errors::of_key("The record's key", &problem))
}

/// A record's value in its canonical form, so that equal values are equal texts.
fn read_value(value: &JsValue) -> Result<String, JsValue> {
    let text = values::read_payload(value)?;
    let json = Json::parse(&text).map_err(|problem| {
        error("bad-payload", &format!("A record's value: {}.", problem.what), Retry::IsVain)
    })?;
    let mut form = String::new();
    canonical(&json, &mut form);
    if form.len() > RECORD_BYTES_MAX {
        let text = format!("A record has at most {RECORD_BYTES_MAX} bytes of JSON.");
        return Err(error("too-large", &text, Retry::IsVain));
    }
    Ok(form)
}

/// One collection of the application's records, for reading. They are written by commits.
#[wasm_bindgen]
pub struct Records {
    driver: Rc<Driver>,
    collection: Collection,
}

impl Records {
    pub(super) fn of(driver: &Rc<Driver>, collection: &JsValue) -> Result<Self, JsValue> {
        Ok(Self { driver: Rc::clone(driver), collection: read_collection(collection)? })
    }
}

#[wasm_bindgen]
impl Records {
    /// The record of a key, `undefined` when there is none.
    pub fn get(&self, key: &JsValue) -> Promise {
        let (driver, collection, key) = (Rc::clone(&self.driver), self.collection.clone(), read_key(key));
        future_to_promise(async move {
            let found = driver.store.record(RecordName { collection, key: key? }).await;
            let found = found.map_err(|fault| errors::of_store(&fault))?;
            Ok(found.and_then(|text| JSON::parse(&text).ok()).unwrap_or(JsValue::UNDEFINED))
        })
    }

    /// Records in the order of their keys, as `{ key, value }`.
    pub fn list(&self, page: &JsValue) -> Promise {
        let (driver, collection) = (Rc::clone(&self.driver), self.collection.clone());
        let page = read_page(page);
        future_to_promise(async move {
            let (after, limit) = page?;
            let found = driver.store.records(collection, after, limit).await;
            let found = found.map_err(|fault| errors::of_store(&fault))?;
            let list: Array = found.iter().filter_map(|(key, text)| entry(key, text)).collect();
            Ok(list.into())
        })
    }
}

fn read_page(value: &JsValue) -> Result<(Option<Key>, u32), JsValue> {
    if !value.is_object() {
        return Ok((None, RECORDS_PAGE_MAX));
    }
    let shape: &PageShape = value.unchecked_ref();
    let after = shape.after();
    let after = if after.is_undefined() { None } else { Some(read_key(&after)?) };
    // The cast saturates, and a limit that is none reads as the highest.
    let limit = shape.limit().as_f64().map_or(RECORDS_PAGE_MAX, |limit| limit as u32);
    Ok((after, limit.clamp(1, RECORDS_PAGE_MAX)))
}

fn entry(key: &str, text: &str) -> Option<JsValue> {
    let entry = Object::new();
    Reflect::set(&entry, &"key".into(), &key.into()).ok()?;
    Reflect::set(&entry, &"value".into(), &JSON::parse(text).ok()?).ok()?;
    Some(entry.into())
}
