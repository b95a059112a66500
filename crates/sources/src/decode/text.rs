//! JSON's strings, blanks and nested values, without recursion, and base64 within them.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Base64 is read with its padding or without, as producers differ in it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The 64-bit word with `byte` in each place.
const fn splat(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The first byte at or behind `pos` that plain text of a JSON string does not have: a
/// quote, a backslash or a control character. Eight bytes at once (Mycroft's test for a
/// zero byte): a flag may be wrong only above a right one, and the lowest is used.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut pos: usize) -> Option<usize> {
    const HIGH: u64 = splat(0x80);
    while let Some(chunk) = bytes.get(pos..).and_then(|b| b.first_chunk()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ splat(b'"');
        let backslash = word ^ splat(b'\\');
        let flags = (quote.wrapping_sub(splat(1)) & !quote)
            | (backslash.wrapping_sub(splat(1)) & !backslash)
            | (word.wrapping_sub(splat(0x20)) & !word);
        if flags & HIGH != 0 {
            return Some(pos + (flags & HIGH).trailing_zeros() as usize / 8);
        }
        pos += 8;
    }
    let rest = bytes.get(pos..)?;
    rest.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..0x20)).map(|i| pos + i)
}

/// Appends what a JSON string means, from `pos` behind its opening quote, and returns where
/// it ends. `None` if it is no JSON string, or has half of a surrogate pair.
pub(super) fn unescape(bytes: &[u8], mut pos: usize, out: &mut Vec<u8>) -> Option<usize> {
    loop {
        let end = plain_end(bytes, pos)?;
        out.extend_from_slice(&bytes[pos..end]);
        match bytes[end] {
            b'"' => return Some(end + 1),
            b'\\' => {}
            _ => return None,
        }
        pos = end + 2;
        out.push(match *bytes.get(end + 1)? {
            plain @ (b'"' | b'\\' | b'/') => plain,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, after) = unicode(bytes, pos)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                pos = after;
                continue;
            }
            _ => return None,
        });
    }
}

/// The character of `\uXXXX`, whose digits start at `pos`, or of a pair of them.
fn unicode(bytes: &[u8], pos: usize) -> Option<(char, usize)> {
    let first = hex4(bytes, pos)?;
    if !(0xD800..0xE000).contains(&first) {
        return Some((char::from_u32(first)?, pos + 4));
    }
    if bytes.get(pos + 4..pos + 6)? != b"\\u" {
        return None;
    }
    let second = hex4(bytes, pos + 6)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Some((char::from_u32(code)?, pos + 10))
}

fn hex4(bytes: &[u8], pos: usize) -> Option<u32> {
    let digits = bytes.get(pos..pos + 4)?;
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

/// Where the JSON string whose opening quote is before `pos` ends.
pub(super) fn skip_string(bytes: &[u8], mut pos: usize) -> Option<usize> {
    loop {
        let end = plain_end(bytes, pos)?;
        match bytes[end] {
            b'"' => return Some(end + 1),
            b'\\' => {}
            _ => return None,
        }
        pos = end + 2;
        match *bytes.get(end + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' => {
                hex4(bytes, pos)?;
                pos += 4;
            }
            _ => return None,
        }
    }
}

/// Appends valid JSON without the blanks between its tokens.
pub(super) fn append_compact(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'"')) {
        let end = if rest[at] == b'"' { skip_string(rest, at + 1).unwrap_or(rest.len()) } else { at };
        out.extend_from_slice(&rest[..end]);
        rest = &rest[end.max(at + 1)..];
    }
    out.extend_from_slice(rest);
}

/// Appends the bytes that base64 text means, of the standard alphabet or the one for URLs.
/// After `None` a part may have been appended.
pub(super) fn append_base64(out: &mut Vec<u8>, text: &str) -> Option<()> {
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
    let engine = if memchr::memchr2(b'-', b'_', text.as_bytes()).is_some() { URL } else { PLAIN };
    engine.decode_vec(text, out).ok()
}

/// How deep JSON's brackets nest; of what is no JSON, some number.
pub(super) fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut pos) = (0_usize, 0, 0);
    while let Some(&byte) = json.get(pos) {
        pos += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => pos = skip_string(json, pos).unwrap_or(json.len()),
            _ => {}
        }
    }
    deepest
}

/// The greatest length up to `max` that does not cut a UTF-8 character.
pub(crate) fn char_boundary(bytes: &[u8], max: usize) -> usize {
    if bytes.len() <= max {
        return bytes.len();
    }
    (max.saturating_sub(3)..=max).rev().find(|&i| bytes[i] & 0xC0 != 0x80).unwrap_or(max)
}

/// The beginning of a text that a message quotes.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", &text[..char_boundary(text.as_bytes(), SHOWN)])
}

/// Where in a body a byte stands, for a person.
pub(super) fn place(bytes: &[u8], at: usize) -> String {
    let before = &bytes[..at.min(bytes.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |i| i + 1) + 1;
    format!("line {line}, column {column} (byte {})", before.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_go_and_strings_stay() {
        let mut out = Vec::new();
        append_compact(&mut out, b"{ \"a b\" :\t[ 1 ,\r\n \"c \\\" d\" ] }");
        assert_eq!(out, b"{\"a b\":[1,\"c \\\" d\"]}");
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(depth(br#"{"a":[1,{"b":"[[[\"[["}]}"#), 3);
        assert_eq!(depth("[".repeat(10_000).as_bytes()), 10_000);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        for text in [r#"\ud800""#, r#"\udc00\ud800""#, r#"\ud800x""#, r#"\u12g4""#, r#"\x""#, "open"] {
            assert_eq!(unescape(text.as_bytes(), 0, &mut Vec::new()), None, "{text}");
        }
    }

    #[test]
    fn a_place_counts_lines_and_columns_from_one() {
        assert_eq!(place(b"ab\ncd", 4), "line 2, column 2 (byte 4)");
        assert_eq!(place(b"", 9), "line 1, column 1 (byte 0)");
    }

    proptest! {
        #[test]
        fn strings_mean_what_serde_json_says(text in ".{0,40}", ascii in any::<bool>()) {
            let json = serde_json::to_string(&text).expect("text is JSON");
            let json = if ascii {
                let escaped: Vec<String> = json.encode_utf16().map(|unit| match unit {
                    0x20..0x7F => char::from(unit as u8).to_string(),
                    _ => format!("\\u{unit:04x}"),
                }).collect();
                escaped.concat()
            } else {
                json
            };
            let mut out = Vec::new();
            prop_assert_eq!(unescape(json.as_bytes(), 1, &mut out), Some(json.len()));
            prop_assert_eq!(&out, text.as_bytes());
            prop_assert_eq!(skip_string(json.as_bytes(), 1), Some(json.len()));
        }

        #[test]
        fn plain_text_ends_at_the_first_special_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            prop_assert_eq!(plain_end(&bytes, 0), expected);
        }
    }
}
