//! From any older version to this one, step by step, inside the browser's upgrade transaction. A step never
//! drops a row.

mod to_v1;

use crate::browser::sys::{IdbDatabase, IdbTransaction};
use crate::event::Device;
use wasm_bindgen::JsValue;

/// Brings a database of version `from` (0 when it is new, and then for this device) to the current version.
pub(super) fn upgrade(
    database: &IdbDatabase,
    transaction: &IdbTransaction,
    from: u32,
    device: Option<&Device>,
) -> Result<(), JsValue> {
    if from < 1 {
        to_v1::step(database, transaction, device)?;
    }
    Ok(())
}
