//! The small binary forms inside the store's blobs: LEB128 variable-length integers,
//! length-prefixed bytes, and a CRC-32 over what must not be misread.

/// Appends `value` as LEB128, seven bits a byte, lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number: zigzag, so that small negative ones stay small.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the `put_` functions wrote; `None` where the bytes end too early or say nonsense.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A count of things that take at least one byte each: bounded by what is left, so
    /// that a wrong number cannot ask for a huge allocation.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.to_owned())
    }
}

/// The CRC-32 of `parts`, one behind the other.
pub(crate) fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Appends the CRC of `name` and `bytes`. The name (a row's key) is not stored with it:
/// it shows up content that stands under another key.
pub(crate) fn seal(name: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc(&[name, &bytes]);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The inverse of [`seal`]: `None` where the CRC does not fit.
pub(crate) fn unseal<'a>(name: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (bytes, sum) = sealed.split_last_chunk::<4>()?;
    (crc(&[name, bytes]) == u32::from_le_bytes(*sum)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_signed(&mut out, value as i64);
            let mut reader = Reader(&out);
            assert_eq!((reader.varint(), reader.signed()), (Some(value), Some(value as i64)));
            assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn nonsense_is_none() {
        assert_eq!(Reader(&[0x80; 11]).varint(), None);
        assert_eq!(Reader(&[5, 1, 2]).bytes(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0x03, 0]).count(), None);
        assert_eq!(Reader(&[1, 0xff]).text(), None);
    }

    #[test]
    fn a_seal_breaks_with_any_bit() {
        let sealed = seal(b"name", b"content".to_vec());
        assert_eq!(unseal(b"name", &sealed), Some(&b"content"[..]));
        assert_eq!(unseal(b"other", &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut broken = sealed.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(b"name", &broken), None);
        }
    }
}
