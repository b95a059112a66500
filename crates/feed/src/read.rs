//! What readers get. Immutable and shared: the feed moves on beside it.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use model::Offset;

use crate::{
    chunk::{Chunk, Field, SLOTS},
    gather::{MAX_TEXT, gather, text_bytes},
};

/// The encodings of a delta or snapshot, each made by the first who needs it (INV-7). An
/// empty list costs next to nothing: most deltas are encoded in one way or none.
#[derive(Default)]
struct Encoded(Mutex<Vec<(u32, Made)>>);

/// Pieces that one reader makes and the others wait for.
type Made = Arc<OnceLock<Arc<[Bytes]>>>;

impl Encoded {
    fn get(&self, number: u32, make: impl FnOnce() -> Arc<[Bytes]>) -> Arc<[Bytes]> {
        // Held for a short search alone: an encoding that takes long holds up no other.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match known.iter().find(|(n, _)| *n == number) {
            Some((_, cell)) => Arc::clone(cell),
            None => {
                let cell = Made::default();
                known.push((number, Arc::clone(&cell)));
                cell
            }
        };
        drop(known);
        Arc::clone(cell.get_or_init(make))
    }
}

/// The answer to [`Feed::changes_since`](crate::Feed::changes_since).
#[derive(Debug, Clone)]
pub enum Changes {
    /// The whole table: there was no cursor, or none that can be resumed.
    Snapshot(Arc<Snapshot>),
    /// What changed since the cursor.
    Delta(Arc<Delta>),
}

impl Changes {
    /// The cursor of a client that has applied it.
    pub fn offset(&self) -> Offset {
        match self {
            Self::Snapshot(snapshot) => snapshot.offset,
            Self::Delta(delta) => delta.to,
        }
    }
}

/// The newest change of each key that changed after the tick `from`, up to and with the
/// tick `to`. So it is right for any cursor between the two: what a client has already is
/// written again, and the delete of a key that it lacks is ignored.
pub struct Delta {
    /// The cursor it was asked for.
    pub from: Offset,
    /// The cursor behind it.
    pub to: Offset,
    /// Rows in the feed's schema, by last change.
    pub upserts: RecordBatch,
    /// Keys, in the schema of the key columns, by last change.
    pub deletes: RecordBatch,
    encoded: Encoded,
}

impl Delta {
    pub(crate) fn new(from: Offset, to: Offset, upserts: RecordBatch, deletes: RecordBatch) -> Self {
        Self { from, to, upserts, deletes, encoded: Encoded::default() }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.upserts.num_rows() == 0 && self.deletes.num_rows() == 0
    }

    /// The encoding of this number; `make` makes it if nobody has yet. All who share the
    /// delta share it. What a number means is up to the caller, who uses few of them.
    pub fn encoded(&self, number: u32, make: impl FnOnce(&Self) -> Arc<[Bytes]>) -> Arc<[Bytes]> {
        self.encoded.get(number, || make(self))
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = (self.upserts.num_rows(), self.deletes.num_rows());
        write!(f, "Delta({}..{}: {} upserts, {} deletes)", self.from, self.to, rows.0, rows.1)
    }
}

/// The rows of a feed as of a tick.
pub struct Snapshot {
    /// The cursor behind it.
    pub offset: Offset,
    schema: SchemaRef,
    fields: Box<[Field]>,
    chunks: Vec<Arc<Chunk>>,
    len: usize,
    encoded: Encoded,
}

impl Snapshot {
    pub(crate) fn new(
        offset: Offset,
        schema: SchemaRef,
        fields: Box<[Field]>,
        chunks: Vec<Arc<Chunk>>,
        len: usize,
    ) -> Self {
        Self { offset, schema, fields, chunks, len, encoded: Encoded::default() }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows in the feed's schema, in batches of 1 to 256, each made when it is asked
    /// for. Their order is where they happen to stand.
    pub fn batches(&self) -> impl Iterator<Item = RecordBatch> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            while let Some(chunk) = self.chunks.get(next / SLOTS) {
                let mut slots = Vec::new();
                let mut text = 0;
                let first = (next / SLOTS * SLOTS) as u32;
                for at in chunk.live.iter().filter(|at| *at >= next % SLOTS) {
                    let slot = first + at as u32;
                    text += text_bytes(&self.chunks, slot, &self.fields);
                    if text > MAX_TEXT && !slots.is_empty() {
                        next = slot as usize;
                        return Some(gather(&self.chunks, &slots, &self.fields, &self.schema));
                    }
                    slots.push(slot);
                }
                next = first as usize + SLOTS;
                if !slots.is_empty() {
                    return Some(gather(&self.chunks, &slots, &self.fields, &self.schema));
                }
            }
            None
        })
    }

    /// The encoding of this number; `make` makes it if nobody has yet. All who share the
    /// snapshot share it. What a number means is up to the caller, who uses few of them.
    pub fn encoded(&self, number: u32, make: impl FnOnce(&Self) -> Arc<[Bytes]>) -> Arc<[Bytes]> {
        self.encoded.get(number, || make(self))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({}: {} rows)", self.offset, self.len)
    }
}
