//! A value of MessagePack as JSON text, for columns that hold JSON.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::pack::{Head, head};

/// Why a value has no JSON, for behind "found".
type Refused = &'static str;

/// Appends the value at the beginning of `value`, which was walked over before: it is whole,
/// and nests no deeper than a record may. Bytes become base64 and times milliseconds, as in
/// frames. After an error a part may have been appended.
pub(super) fn append(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Refused> {
    any(out, value, 0).map(|_| ())
}

/// Appends a value that holds no others.
pub(super) fn append_scalar(out: &mut Vec<u8>, value: Head<'_>) -> Result<(), Refused> {
    match value {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Boolean(true) => out.extend_from_slice(b"true"),
        Head::Boolean(false) => out.extend_from_slice(b"false"),
        Head::Integer(number) | Head::Time(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Head::Large(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Head::Single(number) if number.is_finite() => json(out, &number)?,
        Head::Double(number) if number.is_finite() => json(out, &number)?,
        Head::Single(_) | Head::Double(_) => return Err("NaN or an infinity, which JSON does not have"),
        Head::Text(text) => json(out, std::str::from_utf8(text).map_err(|_| "text that is not valid UTF-8")?)?,
        Head::Bytes(bytes) => json(out, &STANDARD.encode(bytes))?,
        Head::Extension(_) => return Err("an extension, which JSON does not have"),
        Head::List(_) | Head::Map(_) => return Err("a value that holds others"),
    }
    Ok(())
}

/// Returns where the value ends.
fn any(out: &mut Vec<u8>, value: &[u8], pos: usize) -> Result<usize, Refused> {
    let (found, mut pos) = head(value, pos).map_err(|_| "a value that is cut off")?;
    match found {
        Head::List(items) => {
            out.push(b'[');
            for item in 0..items {
                if item > 0 {
                    out.push(b',');
                }
                pos = any(out, value, pos)?;
            }
            out.push(b']');
        }
        Head::Map(entries) => {
            out.push(b'{');
            for entry in 0..entries {
                if entry > 0 {
                    out.push(b',');
                }
                if !matches!(head(value, pos), Ok((Head::Text(_), _))) {
                    return Err("a map with a name that is no text, which JSON does not have");
                }
                pos = any(out, value, pos)?;
                out.push(b':');
                pos = any(out, value, pos)?;
            }
            out.push(b'}');
        }
        scalar => append_scalar(out, scalar)?,
    }
    Ok(pos)
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Refused> {
    serde_json::to_writer(out, value).map_err(|_| "a value that JSON does not have")
}
