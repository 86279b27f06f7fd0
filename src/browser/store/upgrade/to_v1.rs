//! Version 1: the first layout, and the identity of this life of the database.

use crate::browser::store::layout::{
    BODIES, DEAD, HOLDER, INBOX, INTENTS, LANES, LIFE, MARKS, META, OWED, STATE,
};
use crate::browser::store::value::Value;
use crate::browser::{clock, entropy};
use crate::event::Device;
use uuid::Builder;
use wasm_bindgen::JsValue;
use web_sys::{IdbDatabase, IdbIndexParameters, IdbTransaction};

pub(super) fn step(
    database: &IdbDatabase,
    transaction: &IdbTransaction,
    device: Option<&Device>,
) -> Result<(), JsValue> {
    for name in [BODIES, LANES, DEAD, STATE, INBOX, META] {
        database.create_object_store(name)?;
    }
    let holder = IdbIndexParameters::new();
    holder.set_unique(true);
    holder.set_multi_entry(true);
    database
        .create_object_store(INTENTS)?
        .create_index_with_str_and_optional_parameters(HOLDER, "k", &holder)?;
    database.create_object_store(MARKS)?.create_index_with_str(OWED, "o")?;

    let random = entropy::bytes::<16>().map_err(|_| JsValue::from_str("no random source"))?;
    let life = Value::new();
    life.set_text("incarnation", &Builder::from_random_bytes(random).into_uuid().to_string());
    if let Some(device) = device {
        life.set_text("device", device.as_str());
    }
    life.set_whole("created", clock::wall().0);
    life.set_whole("layout", 1);
    transaction.object_store(META)?.put_with_key(life.as_js(), &JsValue::from_str(LIFE))?;
    Ok(())
}
