//! Randomness from the browser's cryptographic source.

use super::{sys, value};

/// The browser has no `crypto.getRandomValues`, so no identity can be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// So many random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    let source = sys::get(&sys::scope(), "crypto");
    if source.is_undefined() {
        return Err(NoEntropy);
    }
    let drawn = value::bytes(bytes);
    sys::call(&source, "getRandomValues", &[&drawn]).map_err(|_| NoEntropy)?;
    for (byte, drawn) in bytes.iter_mut().zip(value::as_bytes(&drawn).ok_or(NoEntropy)?) {
        *byte = drawn;
    }
    Ok(())
}
