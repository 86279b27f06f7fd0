//! Version 1: the first layout, and the identity of this life of the database.

use crate::browser::store::layout::{
    BODIES, DEAD, HOLDER, INBOX, INTENTS, LANES, LIFE, MARKS, META, OWED, STATE,
};
use crate::browser::store::requests::put;
use crate::browser::sys::{self, IdbDatabase, IdbTransaction};
use crate::browser::value::Value;
use crate::browser::{clock, entropy};
use crate::event::Device;
use uuid::Builder;
use wasm_bindgen::JsValue;

pub(super) fn step(
    database: &IdbDatabase,
    transaction: &IdbTransaction,
    device: Option<&Device>,
) -> Result<(), JsValue> {
    let create = |name: &str| sys::call(database, "createObjectStore", &[&sys::text(name)]);
    for name in [BODIES, LANES, DEAD, STATE, INBOX, META] {
        create(name)?;
    }
    let every = sys::object();
    sys::set(&every, "unique", &JsValue::TRUE);
    sys::set(&every, "multiEntry", &JsValue::TRUE);
    sys::call(&create(INTENTS)?, "createIndex", &[&sys::text(HOLDER), &sys::text("k"), &every])?;
    sys::call(&create(MARKS)?, "createIndex", &[&sys::text(OWED), &sys::text("o")])?;

    let random = entropy::bytes::<16>().map_err(|_| JsValue::from_str("no random source"))?;
    let life = Value::new();
    life.set_text("incarnation", &Builder::from_random_bytes(random).into_uuid().to_string());
    if let Some(device) = device {
        life.set_text("device", device.as_str());
    }
    life.set_whole("created", clock::wall().0);
    life.set_whole("layout", 1);
    put(transaction, META, &life.into_js(), &sys::text(LIFE))
}
