//! Blocks of state as bytes.
//!
//! ```text
//!   id:    kind (1) │ pane's start, big endian, sign flipped (8) │ chunk, big endian (4)
//!   data:  format version (1) │ content │ first 8 bytes of BLAKE3 over all before
//! ```

use model::StateBlock;

/// The version of the form of all blocks. State of another version is not read.
pub(crate) const FORMAT: u8 = 1;

/// Bytes of the checksum behind the content.
pub(crate) const SUM: usize = 8;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What belongs to the whole query.
    Meta,
    /// A chunk of keys.
    Keys,
    /// A chunk of a pane.
    Pane,
    /// The growing states of a few groups of a pane.
    Grown,
    /// The growing states of one group that has large ones.
    Large,
}

/// State that cannot be taken up again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A block whose bytes are not what was written.
    #[error("a block of the query's state is damaged ({0}); rebuild the feed from the log")]
    Damaged(&'static str),
    /// A block of another format version.
    #[error(
        "the query's state has format version {found}, this version of tidewire reads {FORMAT}; rebuild the feed from the log"
    )]
    Version {
        /// The version found.
        found: u8,
    },
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Meta => b'M',
            Self::Keys => b'K',
            Self::Pane => b'P',
            Self::Grown => b'G',
            Self::Large => b'L',
        }
    }
}

/// The id of a block.
pub(crate) fn id(kind: Kind, start: i64, chunk: u32) -> Vec<u8> {
    let mut id = Vec::with_capacity(13);
    id.push(kind.byte());
    id.extend_from_slice(&(start as u64 ^ 1 << 63).to_be_bytes());
    id.extend_from_slice(&chunk.to_be_bytes());
    id
}

/// The inverse of [`id`].
pub(crate) fn parse_id(id: &[u8]) -> Option<(Kind, i64, u32)> {
    let (kind, rest) = id.split_first()?;
    let kinds = [Kind::Meta, Kind::Keys, Kind::Pane, Kind::Grown, Kind::Large];
    let kind = kinds.into_iter().find(|k| k.byte() == *kind)?;
    let (start, chunk) = rest.split_first_chunk::<8>()?;
    let start = (u64::from_be_bytes(*start) ^ 1 << 63) as i64;
    Some((kind, start, u32::from_be_bytes(chunk.try_into().ok()?)))
}

/// A block with this content.
pub(crate) fn seal(id: Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> StateBlock {
    let mut data = vec![FORMAT];
    content(&mut data);
    let sum = blake3::hash(&data);
    data.extend_from_slice(&sum.as_bytes()[..SUM]);
    StateBlock { id, data: Some(data) }
}

/// The content of a block, checked.
pub(crate) fn open(data: &[u8]) -> Result<Reader<'_>, StateError> {
    let (body, sum) = data.split_last_chunk::<SUM>().ok_or(StateError::Damaged("it is cut off"))?;
    let version = *body.first().ok_or(StateError::Damaged("it is cut off"))?;
    if blake3::hash(body).as_bytes()[..SUM] != sum[..] {
        return Err(StateError::Damaged("its checksum is wrong"));
    }
    if version != FORMAT {
        return Err(StateError::Version { found: version });
    }
    Ok(Reader::new(&body[1..]))
}

/// Reads little-endian values; `None` at the end.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn i128(&mut self) -> Option<i128> {
        self.array().map(i128::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_and_sort_by_pane() {
        let panes = [i64::MIN, -1, 0, 1, i64::MAX];
        let ids: Vec<_> = panes.iter().map(|p| id(Kind::Pane, *p, 7)).collect();
        assert!(ids.is_sorted());
        for (pane, id) in panes.iter().zip(&ids) {
            assert_eq!(parse_id(id), Some((Kind::Pane, *pane, 7)));
        }
        assert_eq!(parse_id(b"P123"), None);
        assert_eq!(parse_id(b""), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let data = seal(id(Kind::Meta, 0, 0), |out| out.extend_from_slice(b"content")).data.unwrap();
        assert!(open(&data).is_ok());
        for bit in 0..data.len() * 8 {
            let mut damaged = data.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..data.len() {
            assert!(open(&data[..len]).is_err(), "length {len}");
        }
    }
}
