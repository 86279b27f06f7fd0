//! The application's own records: what a commit brings along, and the way to read them.

use super::driver::Driver;
use super::errors::{self, Retry, error};
use super::values;
use crate::browser::sys::{self, Array, Function, Promise, get};
use crate::browser::value::Value;
use crate::event::fingerprint::canonical;
use crate::event::json::Json;
use crate::event::{Collection, Emit, Key, RecordName};
use crate::limits::{COMMIT_EVENTS_MAX, COMMIT_RECORDS_MAX, RECORD_BYTES_MAX, RECORDS_PAGE_MAX};
use crate::outbox::append::{Guard, Put};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

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
    values::only(value, &["expect", "put", "remove", "emit"])?;
    let (mut emits, mut expect) = (Vec::new(), Vec::new());
    for event in list(value, "emit")? {
        emits.push(values::read_emit(&event)?);
    }
    for guard in list(value, "expect")? {
        expect.push(read_guard(&guard)?);
    }
    let put = read_puts(value)?;
    let fits =
        (1..=COMMIT_EVENTS_MAX).contains(&emits.len()) && expect.len() + put.len() <= COMMIT_RECORDS_MAX;
    if !fits {
        return Err(wrong("A commit takes 1 to 100 events and names at most 100 records."));
    }
    Ok(CommitIn { emits, expect, put })
}

fn read_puts(given: &JsValue) -> Result<Vec<Put>, JsValue> {
    let mut put = Vec::new();
    for one in list(given, "put")? {
        let value = Some(read_value(&get(&one, "value"))?);
        put.push(Put { record: read_name(&one)?, value });
    }
    for one in list(given, "remove")? {
        put.push(Put { record: read_name(&one)?, value: None });
    }
    Ok(put)
}

/// Asks the page what an event of the feed does to its records.
pub(super) fn effects(apply: &Function, event: &JsValue) -> Result<Vec<Put>, JsValue> {
    let effect = sys::call_back(apply, &[event])?;
    if effect.is_undefined() || effect.is_null() {
        return Ok(Vec::new());
    }
    // A promise comes too late: the effect must be known in the transaction that remembers the event.
    if !effect.is_object() || get(&effect, "then").is_function() {
        return Err(wrong("`apply` answers { put, remove } or nothing, at once."));
    }
    read_puts(&effect)
}

fn list(given: &JsValue, name: &str) -> Result<Vec<JsValue>, JsValue> {
    let value = get(given, name);
    if value.is_undefined() || Array::is_array(&value) {
        return Ok(sys::items(&value));
    }
    Err(wrong(&format!("`{name}` must be an array.")))
}

fn read_guard(value: &JsValue) -> Result<Guard, JsValue> {
    let record = read_name(value)?;
    let equals = get(value, "equals");
    let expected = match (get(value, "absent").is_truthy(), equals.is_undefined()) {
        (true, true) => None,
        (false, false) => Some(read_value(&equals)?),
        _ => return Err(wrong("An expectation says `absent: true` or `equals`.")),
    };
    Ok(Guard { record, expected })
}

fn read_name(value: &JsValue) -> Result<RecordName, JsValue> {
    if !value.is_object() {
        return Err(wrong("A record is named by { collection, key }."));
    }
    Ok(RecordName {
        collection: read_collection(&get(value, "collection"))?,
        key: read_key(&get(value, "key"))?,
    })
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
        let (collection, key) = (self.collection.clone(), read_key(key));
        self.driver.later(async move |driver| {
            let found = driver.store.record(RecordName { collection, key: key? }).await;
            let found = found.map_err(|fault| errors::of_store(&fault))?;
            Ok(found.and_then(|text| sys::parse(&text)).unwrap_or_default())
        })
    }

    /// Records in the order of their keys, as `{ key, value }`.
    pub fn list(&self, page: &JsValue) -> Promise {
        let (collection, page) = (self.collection.clone(), read_page(page));
        self.driver.later(async move |driver| {
            let (after, limit) = page?;
            let found = driver.store.records(collection, after, limit).await;
            let found = found.map_err(|fault| errors::of_store(&fault))?;
            Ok(values::array(&found, entry))
        })
    }
}

fn read_page(value: &JsValue) -> Result<(Option<Key>, u32), JsValue> {
    if !value.is_object() {
        return Ok((None, RECORDS_PAGE_MAX));
    }
    let after = get(value, "after");
    let after = if after.is_undefined() { None } else { Some(read_key(&after)?) };
    // The cast saturates, and a limit that is none reads as the highest.
    let limit = get(value, "limit").as_f64().map_or(RECORDS_PAGE_MAX, |limit| limit as u32);
    Ok((after, limit.clamp(1, RECORDS_PAGE_MAX)))
}

fn entry((key, text): &(String, String)) -> Option<JsValue> {
    let plain = Value::new();
    plain.set_text("key", key);
    plain.set("value", &sys::parse(text)?);
    Some(plain.into_js())
}
