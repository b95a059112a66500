//! Checkpoint and restore.
//!
//! One block for each chunk that changed, at its place in the table, and one small block,
//! the head, for what belongs to the feed as a whole:
//!
//! ```text
//! head   version, key_len, type of each column, chunks, rows, tombstones,
//!        offset, last change, floor, number of the next change
//! chunk  used, live (bits by slot)
//!        of used slots: changed[], number[], time[]
//!        a column each: valid (bits by slot), values[] of used slots; beyond the key, of live ones
//! ```
//!
//! Links, the index and ages are not kept: they follow from `changed`, `number` and `time`.

use model::{DataType, FeedSchema, StateBlock};

use crate::{
    block::{Damaged, Reader, Writer},
    chunk::{Bits, Chunk, Field},
    error::StateError,
    feed::{Feed, Options},
    order::Chain,
    table::{Table, used_slots},
};

/// Changes with the layout of blocks. State of another version is refused, never misread.
const VERSION: u8 = 1;

/// The id of the head. A chunk's id is `c` and its number, big-endian.
const HEAD: u8 = b'h';
const CHUNK: u8 = b'c';

/// What the last checkpoint wrote.
#[derive(Default)]
pub(crate) struct Written {
    head: Vec<u8>,
    chunks: usize,
}

/// The head's content.
struct Head {
    chunks: usize,
    live: u64,
    tombstones: u64,
    offset: u64,
    last_change: u64,
    floor: u64,
    number: u32,
}

impl Feed {
    /// The blocks that changed since the last call, or since the feed was made or restored.
    /// Merged by id over those of former calls they are what [`Feed::restore`] takes.
    pub fn checkpoint(&mut self) -> Vec<StateBlock> {
        let mut blocks = Vec::new();
        let key_len = self.schema.key_len;
        for chunk in 0..self.table.chunks.len() {
            if std::mem::take(&mut self.table.dirty[chunk]) {
                blocks.push(StateBlock { id: chunk_id(chunk), data: Some(write_chunk(&self.table, chunk, key_len)) });
            }
        }
        let gone = self.table.chunks.len()..self.written.chunks;
        blocks.extend(gone.map(|chunk| StateBlock { id: chunk_id(chunk), data: None }));
        self.written.chunks = self.table.chunks.len();
        let head = self.write_head();
        if head != self.written.head {
            self.written.head.clone_from(&head);
            blocks.push(StateBlock { id: vec![HEAD], data: Some(head) });
        }
        blocks
    }

    /// The feed as of a checkpoint: the same rows, offsets, tombstones, floor and order of
    /// changes. `schema` must be the one that it was made with; `options` may differ.
    pub fn restore(schema: FeedSchema, options: Options, blocks: Vec<StateBlock>) -> Result<Self, StateError> {
        let feed = schema.name.clone();
        let fail = |problem: String| StateError { feed: feed.clone(), problem };
        let mut head = None;
        let mut chunks = Vec::new();
        for StateBlock { id, data } in blocks {
            let Some(data) = data else { continue };
            match *id.as_slice() {
                [HEAD] => head = Some(data),
                [CHUNK, a, b, c, d] => chunks.push((u32::from_be_bytes([a, b, c, d]) as usize, data)),
                _ => return Err(fail(format!("it has a block of an unknown name, {id:?}"))),
            }
        }
        let written = head.ok_or_else(|| fail("its head is missing".to_owned()))?;
        let head = read_head(&written, &schema).map_err(|Damaged(what)| fail(format!("in its head, {what}")))?;
        chunks.sort_unstable_by_key(|(number, _)| *number);
        if chunks.len() != head.chunks || chunks.iter().enumerate().any(|(i, (number, _))| i != *number) {
            return Err(fail(format!("it has {} blocks of rows instead of {}", chunks.len(), head.chunks)));
        }
        let mut feed = Self::new(schema, options);
        for (number, data) in &chunks {
            read_chunk(&mut feed, data, &head)
                .map_err(|Damaged(what)| fail(format!("in its block {number} of rows, {what}")))?;
        }
        feed.offset = head.offset;
        feed.last_change = head.last_change;
        feed.floor = head.floor;
        feed.number = head.number;
        feed.link().map_err(|Damaged(what)| fail(what.to_owned()))?;
        if feed.live_len as u64 != head.live || feed.tombstones() as u64 != head.tombstones {
            let found = (feed.live_len, feed.tombstones());
            return Err(fail(format!(
                "it has {} rows and {} deleted keys instead of {} and {}",
                found.0, found.1, head.live, head.tombstones
            )));
        }
        feed.written = Written { head: written, chunks: chunks.len() };
        Ok(feed)
    }

    /// Makes the index, the lists and the ages of a table that was read.
    fn link(&mut self) -> Result<(), Damaged> {
        if !self.table.index_restored() {
            return Err(Damaged("a key stands twice in its rows"));
        }
        self.table.count_restored();
        let mut slots: Vec<u32> = used_slots(&self.table.used).collect();
        slots.sort_by_cached_key(|slot| self.table.metas.get(*slot).order());
        let (mut live, tombs): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| self.table.is_live(*slot));
        let metas = &mut self.table.metas;
        for slot in &live {
            self.live.push(metas, Chain::Change, *slot);
        }
        for slot in tombs {
            self.tombs.push(metas, Chain::Change, slot);
        }
        self.live_len = live.len();
        live.sort_by_cached_key(|slot| metas.get(*slot).time);
        for slot in live {
            let time = metas.get(slot).time;
            self.ages.add(metas, slot, time);
        }
        Ok(())
    }

    fn write_head(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        write_schema(&mut out, &self.schema);
        out.u32(self.table.chunks.len() as u32);
        out.u64(self.live_len as u64);
        out.u64(self.tombstones() as u64);
        out.u64(self.offset);
        out.u64(self.last_change);
        out.u64(self.floor);
        out.u32(self.number);
        out.0
    }
}

fn chunk_id(chunk: usize) -> Vec<u8> {
    let mut id = vec![CHUNK];
    id.extend_from_slice(&(chunk as u32).to_be_bytes());
    id
}

/// What chunks are read by: they do not say it themselves.
fn write_schema(out: &mut Writer, schema: &FeedSchema) {
    out.u32(schema.key_len as u32);
    out.u32(schema.schema.columns.len() as u32);
    for column in &schema.schema.columns {
        let code = match column.data_type {
            DataType::Text => 0,
            DataType::BigInt => 1,
            DataType::Int => 2,
            DataType::Double => 3,
            DataType::Boolean => 4,
            DataType::Timestamp => 5,
            DataType::Json => 6,
            DataType::Decimal { .. } => 7,
            DataType::Date => 8,
            DataType::Bytes => 9,
            DataType::TextList => 10,
        };
        out.u8(code);
        if let DataType::Decimal { precision, scale } = column.data_type {
            out.u8(precision);
            out.u8(scale);
        }
    }
}

fn read_head(data: &[u8], schema: &FeedSchema) -> Result<Head, Damaged> {
    let mut input = Reader(data);
    if input.u8()? != VERSION {
        return Err(Damaged("another version of this program has written it"));
    }
    let mut expected = Writer::default();
    write_schema(&mut expected, schema);
    if input.bytes(expected.0.len())? != expected.0 {
        return Err(Damaged("its columns are not the feed's"));
    }
    let head = Head {
        chunks: input.u32()? as usize,
        live: input.u64()?,
        tombstones: input.u64()?,
        offset: input.u64()?,
        last_change: input.u64()?,
        floor: input.u64()?,
        number: input.u32()?,
    };
    input.end()?;
    if head.last_change > head.offset || head.floor > head.offset {
        return Err(Damaged("its offsets do not fit together"));
    }
    Ok(head)
}

fn write_chunk(table: &Table, number: usize, key_len: usize) -> Vec<u8> {
    let (chunk, used) = (&table.chunks[number], table.used[number]);
    let metas = || used.iter().map(|at| table.metas.of_chunk(number, at));
    let slots = |column: usize| if column < key_len { used } else { chunk.live };
    // A little more than what is written, texts aside: it is written once, and not moved.
    let fields = table.fields.len();
    let mut out = Writer(Vec::with_capacity(used.count() * (20 + 8 * fields) + (2 + fields) * size_of::<Bits>()));
    out.bits(used);
    out.bits(chunk.live);
    if used.is_empty() {
        return out.0;
    }
    metas().for_each(|m| out.u64(m.changed));
    metas().for_each(|m| out.u32(m.number));
    metas().for_each(|m| out.i64(m.time));
    for (column, field) in table.fields.iter().enumerate() {
        write_column(&mut out, chunk, *field, slots(column));
    }
    out.0
}

fn write_column(out: &mut Writer, chunk: &Chunk, field: Field, slots: Bits) {
    out.bits(chunk.valid(field, slots));
    let word = |at| chunk.word(at, field);
    match field.data_type {
        DataType::BigInt | DataType::Timestamp | DataType::Double => slots.iter().for_each(|at| out.u64(word(at))),
        DataType::Int | DataType::Date => slots.iter().for_each(|at| out.u32(word(at) as u32)),
        DataType::Boolean => {
            let mut values = Bits::default();
            slots.iter().for_each(|at| values.set(at, word(at) != 0));
            out.bits(values);
        }
        DataType::Text | DataType::Json | DataType::Decimal { .. } | DataType::Bytes | DataType::TextList => {
            slots.iter().for_each(|at| out.u32(chunk.text(at, field).len() as u32));
            slots.iter().for_each(|at| out.0.extend_from_slice(chunk.text(at, field).as_bytes()));
        }
    }
}

fn read_chunk(feed: &mut Feed, data: &[u8], head: &Head) -> Result<(), Damaged> {
    let mut input = Reader(data);
    let (used, live) = (input.bits()?, input.bits()?);
    if !live.is_within(&used) {
        return Err(Damaged("a row stands in a free place"));
    }
    if used.is_empty() {
        feed.table.push_chunk(Chunk::vacant(), used);
        return input.end();
    }
    let mut chunk = Chunk::new(&feed.table.fields);
    chunk.live = live;
    let number = feed.table.chunks.len();
    let mut metas = vec![(0, 0, 0); used.count()];
    for meta in &mut metas {
        meta.0 = input.u64()?;
        if meta.0 > head.last_change {
            return Err(Damaged("a row is newer than the feed"));
        }
    }
    for meta in &mut metas {
        meta.1 = input.u32()?;
    }
    for meta in &mut metas {
        meta.2 = input.i64()?;
    }
    for (i, (field, declared)) in feed.table.fields.iter().zip(&feed.schema.schema.columns).enumerate() {
        let slots = if i < feed.schema.key_len { used } else { live };
        read_column(&mut input, &mut chunk, *field, declared.nullable, slots)?;
    }
    input.end()?;
    feed.table.push_chunk(chunk, used);
    for (at, (changed, order, time)) in used.iter().zip(metas) {
        let meta = feed.table.metas.of_chunk_mut(number, at);
        (meta.changed, meta.number, meta.time) = (changed, order, time);
    }
    Ok(())
}

fn read_column(
    input: &mut Reader<'_>,
    chunk: &mut Chunk,
    field: Field,
    nullable: bool,
    slots: Bits,
) -> Result<(), Damaged> {
    let valid = input.bits()?;
    if !valid.is_within(&slots) || !nullable && !slots.is_within(&valid) {
        return Err(Damaged("a value is missing, or one too many"));
    }
    slots.without(&valid).iter().for_each(|at| chunk.set_null(at, field, true));
    match field.data_type {
        DataType::BigInt | DataType::Timestamp | DataType::Double => {
            for at in slots.iter() {
                chunk.set_word(at, field, input.u64()?);
            }
        }
        DataType::Int | DataType::Date => {
            for at in slots.iter() {
                chunk.set_word(at, field, input.u32()? as i32 as u64);
            }
        }
        DataType::Boolean => {
            let values = input.bits()?;
            slots.iter().for_each(|at| chunk.set_word(at, field, values.get(at).into()));
        }
        DataType::Text | DataType::Json | DataType::Decimal { .. } | DataType::Bytes | DataType::TextList => {
            let lens = slots.iter().map(|_| input.u32()).collect::<Result<Vec<_>, _>>()?;
            for (at, len) in slots.iter().zip(lens) {
                let text = std::str::from_utf8(input.bytes(len as usize)?);
                chunk.set_text(at, field, text.map_err(|_| Damaged("a text is not UTF-8"))?);
            }
        }
    }
    Ok(())
}
