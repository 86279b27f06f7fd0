//! Tokens and one-time codes. Only their SHA-256 is kept: both are random, so a slow hash would add nothing.

use crate::base32;
use city_domain::limits;
use sha2::{Digest, Sha256};
use std::cell::Cell;

/// What is stored of a secret.
pub(crate) type Hash = [u8; 32];

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Does work that draws random bytes for ids; when the source runs dry, it fails as a whole, as `dry` says.
pub(crate) fn with_entropy<T, E>(
    work: impl FnOnce(&mut dyn FnMut() -> [u8; 10]) -> Result<T, E>,
    dry: impl FnOnce(std::io::Error) -> E,
) -> Result<T, E> {
    let failed = Cell::new(None);
    let mut entropy = || {
        random().unwrap_or_else(|error| {
            failed.set(Some(error));
            [0; 10]
        })
    };
    let done = work(&mut entropy);
    match failed.take() {
        Some(error) => Err(dry(error)),
        None => done,
    }
}

/// A new token: 256 bits in hexadecimal.
pub(crate) fn new_token() -> std::io::Result<String> {
    let bytes: [u8; limits::TOKEN_BYTES] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new one-time code in groups of four, to be read aloud and typed.
pub(crate) fn new_code() -> std::io::Result<String> {
    let bytes: [u8; limits::CODE_BYTES] = random()?;
    let digits = base32::encode(&bytes);
    let mut code = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.push(digit);
    }
    Ok(code)
}

/// The hash of a token.
pub(crate) fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The hash of a code, however it was typed.
pub(crate) fn hash_code(typed: &str) -> Hash {
    let code: String = typed
        .chars()
        // An eastern keyboard types full-width signs.
        .map(|sign| match sign {
            '\u{ff10}'..='\u{ff5a}' => char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign),
            other => other,
        })
        .filter(char::is_ascii_alphanumeric)
        .map(|sign| match sign.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    hash(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_way_people_type() {
        let code = new_code().unwrap();
        assert_eq!(code.len(), 19, "{code}");
        assert_ne!(code, new_code().unwrap());
        assert_eq!(hash_code(&code), hash_code(&code.to_lowercase().replace('-', " ")));
        assert_eq!(hash_code("10-O1l"), hash_code("100 1 1"));
        assert_eq!(hash_code("１０−ＡＢ　ｃｄ"), hash_code("10AB CD"), "as an eastern keyboard types");
        assert_eq!(hash_code("10\u{a0}ab–cd\n"), hash_code("10AB CD"), "as it is copied out of a letter");
        assert_eq!(new_token().unwrap().len(), 64);
    }
}
