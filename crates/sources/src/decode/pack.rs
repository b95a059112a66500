//! The bytes of MessagePack: what stands at a place, and where it ends.

use rmp::Marker;

/// The type of the extension that is a time.
const TIME: i8 = -1;

/// One value, or the beginning of one that holds others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head<'a> {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// An integer beyond an `i64`.
    Large(u64),
    Single(f32),
    Double(f64),
    /// Its bytes may not be UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// A time: milliseconds since 1970, cut towards the past.
    Time(i64),
    Extension(i8),
    /// So many values follow.
    List(u32),
    /// So many names follow, each with its value.
    Map(u32),
}

/// Bytes that are no MessagePack, or the end of them within a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub at: usize,
    pub what: &'static str,
}

/// Where a value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skipped {
    pub end: usize,
    /// Whether it nests deeper than allowed.
    pub deep: bool,
}

/// The head of the value at `pos`, and where its bytes end: of a list or map, where what it
/// holds begins. Nothing is allocated for what a head claims.
#[inline]
pub(super) fn head(bytes: &[u8], pos: usize) -> Result<(Head<'_>, usize), Broken> {
    let cut = || Broken { at: bytes.len(), what: "it is cut off" };
    let first = *bytes.get(pos).ok_or_else(cut)?;
    let mut input = Input { bytes, pos: pos + 1 };
    let head = match Marker::from_u8(first) {
        Marker::FixPos(n) => Some(Head::Integer(i64::from(n))),
        Marker::FixNeg(n) => Some(Head::Integer(i64::from(n))),
        Marker::Null => Some(Head::Nil),
        Marker::False => Some(Head::Boolean(false)),
        Marker::True => Some(Head::Boolean(true)),
        Marker::U8 => input.array().map(|b| Head::Integer(i64::from(u8::from_be_bytes(b)))),
        Marker::U16 => input.array().map(|b| Head::Integer(i64::from(u16::from_be_bytes(b)))),
        Marker::U32 => input.array().map(|b| Head::Integer(i64::from(u32::from_be_bytes(b)))),
        Marker::U64 => input.array().map(|b| {
            let value = u64::from_be_bytes(b);
            i64::try_from(value).map_or(Head::Large(value), Head::Integer)
        }),
        Marker::I8 => input.array().map(|b| Head::Integer(i64::from(i8::from_be_bytes(b)))),
        Marker::I16 => input.array().map(|b| Head::Integer(i64::from(i16::from_be_bytes(b)))),
        Marker::I32 => input.array().map(|b| Head::Integer(i64::from(i32::from_be_bytes(b)))),
        Marker::I64 => input.array().map(|b| Head::Integer(i64::from_be_bytes(b))),
        Marker::F32 => input.array().map(|b| Head::Single(f32::from_be_bytes(b))),
        Marker::F64 => input.array().map(|b| Head::Double(f64::from_be_bytes(b))),
        Marker::FixStr(n) => input.take(u32::from(n)).map(Head::Text),
        Marker::Str8 => input.len8().and_then(|n| input.take(n)).map(Head::Text),
        Marker::Str16 => input.len16().and_then(|n| input.take(n)).map(Head::Text),
        Marker::Str32 => input.len32().and_then(|n| input.take(n)).map(Head::Text),
        Marker::Bin8 => input.len8().and_then(|n| input.take(n)).map(Head::Bytes),
        Marker::Bin16 => input.len16().and_then(|n| input.take(n)).map(Head::Bytes),
        Marker::Bin32 => input.len32().and_then(|n| input.take(n)).map(Head::Bytes),
        Marker::FixExt1 => input.extension(1),
        Marker::FixExt2 => input.extension(2),
        Marker::FixExt4 => input.extension(4),
        Marker::FixExt8 => input.extension(8),
        Marker::FixExt16 => input.extension(16),
        Marker::Ext8 => input.len8().and_then(|n| input.extension(n)),
        Marker::Ext16 => input.len16().and_then(|n| input.extension(n)),
        Marker::Ext32 => input.len32().and_then(|n| input.extension(n)),
        Marker::FixArray(n) => Some(Head::List(u32::from(n))),
        Marker::Array16 => input.len16().map(Head::List),
        Marker::Array32 => input.len32().map(Head::List),
        Marker::FixMap(n) => Some(Head::Map(u32::from(n))),
        Marker::Map16 => input.len16().map(Head::Map),
        Marker::Map32 => input.len32().map(Head::Map),
        Marker::Reserved => return Err(Broken { at: pos, what: "the byte c1 begins no value" }),
    };
    head.map(|head| (head, input.pos)).ok_or_else(cut)
}

/// Where the value at `pos`, of any kind, ends. `open` is room to work in, kept from one call
/// to the next; it grows to `max_nested` at most.
#[inline]
pub(super) fn skip(bytes: &[u8], mut pos: usize, max_nested: usize, open: &mut Vec<u64>) -> Result<Skipped, Broken> {
    open.clear();
    let mut deep = false;
    loop {
        let (head, next) = head(bytes, pos)?;
        pos = next;
        let holds = match head {
            Head::List(n) => Some(u64::from(n)),
            Head::Map(n) => Some(2 * u64::from(n)),
            _ => None,
        };
        if let Some(holds) = holds {
            let too_deep = open.len() >= max_nested;
            deep |= too_deep;
            match open.last_mut() {
                // It is refused anyway; only its end is still looked for, so that what it
                // holds may count as its holder's.
                Some(left) if too_deep => {
                    *left = left.saturating_add(holds);
                }
                _ if holds > 0 => {
                    open.push(holds);
                    continue;
                }
                _ => {}
            }
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return Ok(Skipped { end: pos, deep });
        }
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.bytes.get(self.pos..)?.first_chunk()?;
        self.pos += N;
        Some(array)
    }

    fn len8(&mut self) -> Option<u32> {
        self.array().map(u8::from_be_bytes).map(u32::from)
    }

    fn len16(&mut self) -> Option<u32> {
        self.array().map(u16::from_be_bytes).map(u32::from)
    }

    fn len32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn take(&mut self, len: u32) -> Option<&'a [u8]> {
        let end = self.pos.checked_add(len as usize)?;
        let taken = self.bytes.get(self.pos..end)?;
        self.pos = end;
        Some(taken)
    }

    fn extension(&mut self, len: u32) -> Option<Head<'a>> {
        let kind = i8::from_be_bytes(self.array()?);
        let data = self.take(len)?;
        Some(if kind == TIME { time(data).map_or(Head::Extension(kind), Head::Time) } else { Head::Extension(kind) })
    }
}

/// The three forms of a time in the specification of MessagePack.
fn time(data: &[u8]) -> Option<i64> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(*data.first_chunk()?)), 0),
        8 => {
            let both = u64::from_be_bytes(*data.first_chunk()?);
            ((both & ((1 << 34) - 1)) as i64, both >> 34)
        }
        12 => (i64::from_be_bytes(*data.last_chunk()?), u64::from(u32::from_be_bytes(*data.first_chunk()?))),
        _ => return None,
    };
    let millis = seconds.saturating_mul(1000).saturating_add((nanos / 1_000_000) as i64);
    (nanos < 1_000_000_000).then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_forms() {
        for (data, expected) in [
            (&[0xff, 0xff, 0xff, 0xff][..], Some(4_294_967_295_000)),
            (&(999_999_999_u64 << 34 | 0x11).to_be_bytes(), Some(17_999)),
            (&[&500_000_u32.to_be_bytes()[..], &(-1_i64).to_be_bytes()].concat(), Some(-1000)),
            (&[&1_000_000_000_u32.to_be_bytes()[..], &0_i64.to_be_bytes()].concat(), None),
            (&[0; 5], None),
        ] {
            assert_eq!(time(data), expected, "{data:?}");
        }
    }

    #[test]
    fn what_claims_more_than_there_is_is_cut_off() {
        for bytes in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff\x01",
            b"\xdb\xff\xff\xff\xff",
            b"\xcd\x01",
            b"\xc7\x04\xff",
            b"",
        ] {
            let broken = skip(bytes, 0, 64, &mut Vec::new());
            assert_eq!(broken, Err(Broken { at: bytes.len(), what: "it is cut off" }), "{bytes:?}");
        }
        assert_eq!(skip(b"\x91\xc1", 0, 64, &mut Vec::new()).map_err(|b| b.at), Err(1));
    }

    #[test]
    fn depth_counts_empty_holders_and_the_end_is_found_behind_any_depth() {
        let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x90, 0x05]].concat();
        for (depth, deep) in [(1, false), (3, false), (4, true), (100_000, true)] {
            let skipped = skip(&nested(depth), 0, 3, &mut Vec::new());
            assert_eq!(skipped, Ok(Skipped { end: depth, deep }), "{depth}");
        }
        let wide = b"\x92\x82\x01\x91\x02\x03\x04\x91\xc0\x09";
        assert_eq!(skip(wide, 0, 1, &mut Vec::new()), Ok(Skipped { end: 9, deep: true }));
        assert_eq!(skip(wide, 0, 0, &mut Vec::new()), Ok(Skipped { end: 9, deep: true }));
        assert_eq!(skip(wide, 0, 3, &mut Vec::new()), Ok(Skipped { end: 9, deep: false }));
    }
}
