//! What a query makes of one tick, and state as blocks of bytes.

use arrow_array::RecordBatch;

/// What a query makes of one tick: the newest state of every touched key.
///
/// A key stands at most once in `upserts` and `deletes` together. Upserts are in
/// the feed's schema, the key's columns first; deletes have the key's columns alone.
#[derive(Debug, Clone)]
pub struct RowChanges {
    /// Rows that are new or replaced.
    pub upserts: RecordBatch,
    /// One for each row of `upserts`, in milliseconds: what `keep` counts from. The
    /// window's end, or the cut's clock for a row without a window.
    pub times: Vec<i64>,
    /// Keys whose rows are gone.
    pub deletes: RecordBatch,
}

impl RowChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.upserts.num_rows() == 0 && self.deletes.num_rows() == 0
    }
}

/// A piece of state on its way to or from the checkpoint. Its owner (a query, a feed)
/// chooses `id`; the store writes and returns it without looking inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateBlock {
    /// Unique within the owner.
    pub id: Vec<u8>,
    /// The content, or `None` to remove the block.
    pub data: Option<Vec<u8>>,
}
