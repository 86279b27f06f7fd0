//! Crockford's base 32: capitals and digits without those that are mistaken for each other, so that it can be read aloud
//! and lies within what a QR code writes in its short alphanumeric mode.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Five bits a sign, the last one filled up with zeros.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let sign = |value: u32| ALPHABET.get(value as usize & 31).copied().map_or('0', char::from);
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let mut held = (0u32, 0u32);
    for byte in bytes {
        held = (held.0 << 8 | u32::from(*byte), held.1 + 8);
        while held.1 >= 5 {
            held.1 -= 5;
            text.push(sign(held.0 >> held.1));
        }
        held.0 &= (1 << held.1) - 1;
    }
    if held.1 > 0 {
        text.push(sign(held.0 << (5 - held.1)));
    }
    text
}

/// Reads it as people type it: small letters, O for 0, I and L for 1. `None` for any other sign, and where the end is not
/// what [`encode`] writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let mut held = (0u32, 0u32);
    for typed in text.bytes() {
        let sign = match typed.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = ALPHABET.iter().position(|own| *own == sign)?;
        held = (held.0 << 5 | u32::try_from(value).ok()?, held.1 + 5);
        if held.1 >= 8 {
            held.1 -= 8;
            bytes.push(u8::try_from(held.0 >> held.1 & 255).ok()?);
        }
        held.0 &= (1 << held.1) - 1;
    }
    (held.0 == 0 && held.1 < 5).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_read_back_however_it_is_typed() {
        for length in 0..40u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(89) ^ 0xA5).collect();
            let text = encode(&bytes);
            assert_eq!(text.len(), (bytes.len() * 8).div_ceil(5));
            assert_eq!(decode(&text).as_deref(), Some(&bytes[..]));
            assert_eq!(decode(&text.to_lowercase().replace('0', "o").replace('1', "l")), Some(bytes));
        }
    }

    #[test]
    fn what_encode_does_not_write_is_not_read() {
        for bad in ["U", "0-", "é", "0", "000", "01"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("00"), Some(vec![0]));
    }
}
