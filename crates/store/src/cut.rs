//! Cuts: what a tick took, in the form that is written before its results are shown.

use crate::wire::{Reader, put_bytes, put_signed, put_varint, seal, unseal};

/// What a tick took: with the state before it, all that is needed to run it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// The tick's number; grows from cut to cut.
    pub tick: u64,
    /// The clock's reading, in milliseconds since 1970; never falls.
    pub clock: i64,
    /// Where each replayable source stands after this tick.
    pub positions: Vec<Position>,
    /// What else the tick depends on. The store returns it without looking inside.
    pub inputs: Vec<u8>,
}

/// Where a replayable source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The source.
    pub source: String,
    /// Its position, in the source's own form.
    pub position: String,
}

/// An entry that a cut took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryRef {
    /// The stream's number.
    pub stream: u64,
    /// The entry's number within its stream.
    pub seq: u64,
}

/// A cut as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredCut {
    pub cut: Cut,
    /// The tick of the cut before this one, so that a lost row is seen.
    pub previous: u64,
    pub entries: Vec<EntryRef>,
}

impl StoredCut {
    /// The bytes of a cut, sealed with its tick.
    pub(crate) fn encode(cut: &Cut, previous: u64, entries: &[EntryRef]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + cut.inputs.len());
        put_varint(&mut out, previous);
        put_signed(&mut out, cut.clock);
        put_varint(&mut out, entries.len() as u64);
        for entry in entries {
            put_varint(&mut out, entry.stream);
            put_varint(&mut out, entry.seq);
        }
        put_varint(&mut out, cut.positions.len() as u64);
        for Position { source, position } in &cut.positions {
            put_bytes(&mut out, source.as_bytes());
            put_bytes(&mut out, position.as_bytes());
        }
        put_bytes(&mut out, &cut.inputs);
        seal(&cut.tick.to_le_bytes(), out)
    }

    /// The inverse of [`StoredCut::encode`]; `None` for bytes that are not what was written.
    pub(crate) fn decode(tick: u64, sealed: &[u8]) -> Option<Self> {
        let mut reader = Reader(unseal(&tick.to_le_bytes(), sealed)?);
        let previous = reader.varint()?;
        let clock = reader.signed()?;
        let entries = (0..reader.count()?)
            .map(|_| Some(EntryRef { stream: reader.varint()?, seq: reader.varint()? }))
            .collect::<Option<_>>()?;
        let positions = (0..reader.count()?)
            .map(|_| Some(Position { source: reader.text()?, position: reader.text()? }))
            .collect::<Option<_>>()?;
        let inputs = reader.bytes()?.to_vec();
        reader.0.is_empty().then_some(Self { cut: Cut { tick, clock, positions, inputs }, previous, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_comes_back_and_only_under_its_tick() {
        let cut = Cut {
            tick: 77,
            clock: -5,
            positions: vec![Position { source: "file:a".into(), position: "12".into() }],
            inputs: vec![1, 2, 3],
        };
        let entries = vec![EntryRef { stream: 3, seq: 900 }];
        let bytes = StoredCut::encode(&cut, 76, &entries);
        assert_eq!(StoredCut::decode(77, &bytes), Some(StoredCut { cut, previous: 76, entries }));
        assert_eq!(StoredCut::decode(78, &bytes), None);
    }
}
