//! MessagePack against `rmp_serde`, and what it reads, as JSON, against the careful way.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use sources::{Decoder, Format, Limits};

use super::{
    Outcome, columns,
    made::{Made, Value},
    run,
};

const LIMITS: Limits =
    Limits { max_record: 1 << 20, max_depth: 6, max_fields: 16, batch_rows: 3, max_decoded: usize::MAX };
const LIKELY: &[u8] = b"\xc0\xc1\xc2\xc3\xc4\xc7\xca\xcb\xcc\xcd\xce\xcf\xd0\xd3\xd4\xd6\xd7\xd9\xda\xdc\xdd\xde\xdf\x80\x81\x90\x91\xa0\xa1\xff\x00\x7f";

fn input(made: &mut Made) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..=made.below(2) {
        let records: Vec<Value> = (0..made.below(3)).map(|_| Value::Map(made.record())).collect();
        if made.once_in(2) {
            write(made, &Value::List(records), &mut input);
        } else {
            for record in &records {
                write(made, record, &mut input);
            }
        }
    }
    if made.once_in(3) {
        made.breakage(&mut input, LIKELY);
    }
    input
}

/// Writes a value, now and then wider than it needs to be.
fn write(made: &mut Made, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(value) if made.once_in(10) => {
            out.push(0xd3);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Double(_) if made.once_in(20) => {
            out.push(0xca);
            out.extend_from_slice(&(made.double() as f32).to_be_bytes());
        }
        Value::Text(text) if made.once_in(10) => {
            out.push(0xdb);
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Null if made.once_in(5) => out.extend_from_slice(b"\xd6\xff\x00\x01\x02\x03"),
        Value::Null if made.once_in(5) => out.extend_from_slice(b"\xc4\x02\x00\xff"),
        Value::List(items) => {
            let wide = made.once_in(10) || items.len() > 15;
            out.extend_from_slice(&if wide {
                vec![0xdc, 0, items.len() as u8]
            } else {
                vec![0x90 + items.len() as u8]
            });
            for item in items {
                write(made, item, out);
            }
        }
        Value::Map(entries) => {
            let wide = made.once_in(10) || entries.len() > 15;
            let head = if wide { vec![0xde, 0, entries.len() as u8] } else { vec![0x80 + entries.len() as u8] };
            out.extend_from_slice(&head);
            for (name, value) in entries {
                write(made, &Value::Text(name.clone()), out);
                write(made, value, out);
            }
        }
        other => out.extend_from_slice(&rmp_serde::to_vec(other).expect("packs")),
    }
}

/// What `rmp_serde` reads; `Odd` is what has no JSON.
#[derive(Debug)]
enum Any {
    Plain(Value),
    List(Vec<Any>),
    Map(Vec<(Any, Any)>),
    Odd,
}

impl Any {
    /// As JSON, if it has one.
    fn json(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Plain(value) => {
                out.extend_from_slice(&serde_json::to_vec(value).expect("JSON"));
                true
            }
            Self::List(items) => {
                out.push(b'[');
                let all = items.iter().enumerate().all(|(i, item)| {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    item.json(out)
                });
                out.push(b']');
                all
            }
            Self::Map(entries) => {
                out.push(b'{');
                let all = entries.iter().enumerate().all(|(i, (name, value))| {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    let is_text = matches!(name, Self::Plain(Value::Text(_))) && name.json(out);
                    out.push(b':');
                    is_text && value.json(out)
                });
                out.push(b'}');
                all
            }
            Self::Odd => false,
        }
    }
}

struct AnyVisitor;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Any, E> {
        Ok(Any::Plain(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Any, E> {
        Ok(Any::Plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Any, E> {
        Ok(Any::Plain(Value::Boolean(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Any, E> {
        Ok(Any::Plain(Value::Integer(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Any, E> {
        Ok(Any::Plain(i64::try_from(value).map_or(Value::Large(value), Value::Integer)))
    }

    fn visit_f32<E: Error>(self, _: f32) -> Result<Any, E> {
        // As JSON it would have the digits of a double.
        Ok(Any::Odd)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Any, E> {
        Ok(if value.is_finite() { Any::Plain(Value::Double(value)) } else { Any::Odd })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Any, E> {
        Ok(Any::Plain(Value::Text(value.to_owned())))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Any, E> {
        Ok(Any::Odd)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        Extension::deserialize(deserializer).map(|_| Any::Odd)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Any, A::Error> {
        Err(A::Error::custom("no enum is here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Any::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Any::Map(entries))
    }
}

/// An extension's type and bytes, of which nothing is kept.
struct Extension;

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Extension {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extension")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self, A::Error> {
        access.next_element::<i8>()?;
        access.next_element_seed(Bytes)?;
        Ok(self)
    }
}

struct Bytes;

impl<'de> DeserializeSeed<'de> for Bytes {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Bytes {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }
}

/// The records of an input, or nothing if it cannot be read.
fn records(input: &[u8]) -> Option<Vec<Any>> {
    let mut records = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let mut deserializer = rmp_serde::Deserializer::new(std::io::Cursor::new(rest));
        match Any::deserialize(&mut deserializer).ok()? {
            Any::List(items) => records.extend(items),
            other => records.push(other),
        }
        let taken = deserializer.position();
        rest = &rest[usize::try_from(taken).ok()?..];
    }
    (!input.is_empty()).then_some(records)
}

#[test]
fn maps() {
    let mut packed = Decoder::new(columns(), None, LIMITS);
    let mut careful = Decoder::new(columns(), None, LIMITS).without_scan();
    run("MessagePack", input, |input| {
        let found = packed.decode(Format::MsgPack, input);
        let Some(records) = records(input) else {
            let is_refused = found.accepted == 0 && found.total == 1 && found.batches.is_empty();
            let outcome = Outcome { accepted: 0, refused: 1, whole: 1 };
            return if is_refused {
                Ok(outcome)
            } else {
                Err(format!("rmp_serde cannot read it, and here is {found:?}"))
            };
        };
        if found.total != records.len() as u64 {
            return Err(format!("{} records of {}", found.total, records.len()));
        }
        let outcome = Outcome { accepted: found.accepted, refused: found.total - found.accepted, whole: 0 };
        let mut lines = Vec::new();
        for record in &records {
            if !record.json(&mut lines) {
                return Ok(outcome);
            }
            lines.push(b'\n');
        }
        let expected = careful.decode(Format::Ndjson, &lines);
        if found.batches != expected.batches {
            return Err(format!("rows differ: {:?} and {:?}", found.batches, expected.batches));
        }
        let reasons = |decoded: &sources::Decoded| -> Vec<_> {
            decoded.rejected.iter().map(|r| (r.index, r.letter.reason)).collect()
        };
        if reasons(&found) != reasons(&expected) {
            return Err(format!("refusals differ: {:?} and {:?}", found.rejected, expected.rejected));
        }
        Ok(outcome)
    });
}
