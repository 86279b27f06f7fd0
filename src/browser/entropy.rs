//! Randomness from the browser's cryptographic source.

use super::sys;

/// The browser has no `crypto.getRandomValues`, so no identity can be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// So many random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    let source = sys::scope().crypto().ok_or(NoEntropy)?;
    source.get_random_values_with_u8_array(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}
