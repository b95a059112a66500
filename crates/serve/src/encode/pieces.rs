//! A snapshot in pieces, so that other views' deltas go between.

use arrow_array::RecordBatch;
use feed::Snapshot;
use model::FeedSchema;

/// The most bytes of a piece. One row larger than it is a piece of its own.
const PIECE_BYTES: usize = 64 << 10;

/// The pieces under way.
struct Pieces<F> {
    write: F,
    /// What a piece may have beside what goes around it.
    most: usize,
    made: Vec<Vec<u8>>,
    /// How large a row was of late; the next piece's rows are chosen by it.
    row_bytes: usize,
}

/// Splits a snapshot, and has each part written by `write`. At least one, if an empty one.
pub fn split(
    snapshot: &Snapshot,
    schema: &FeedSchema,
    write: impl FnMut(&mut Vec<u8>, &[RecordBatch]),
) -> Vec<Vec<u8>> {
    // A head, a cursor and WebSocket's own header need less than this.
    let around = 256 + schema.name.len().min(PIECE_BYTES / 2);
    let row_bytes = 16 * schema.schema.columns.len();
    let mut pieces = Pieces { write, most: PIECE_BYTES - around, made: Vec::new(), row_bytes };
    let mut group = Vec::new();
    let mut rows = 0;
    for batch in snapshot.batches() {
        let mut at = 0;
        while at < batch.num_rows() {
            let room = pieces.rows_that_fit().saturating_sub(rows).max(1);
            let taken = room.min(batch.num_rows() - at);
            group.push(batch.slice(at, taken));
            at += taken;
            rows += taken;
            if rows >= pieces.rows_that_fit() {
                pieces.push(&group);
                group.clear();
                rows = 0;
            }
        }
    }
    if rows == 0 && pieces.made.is_empty() {
        group.push(RecordBatch::new_empty(schema.schema.to_arrow()));
    }
    if !group.is_empty() {
        pieces.push(&group);
    }
    pieces.made
}

impl<F: FnMut(&mut Vec<u8>, &[RecordBatch])> Pieces<F> {
    /// Leaves a quarter for rows that are larger than the last ones.
    fn rows_that_fit(&self) -> usize {
        (PIECE_BYTES * 3 / 4 / self.row_bytes.max(1)).max(1)
    }

    fn push(&mut self, group: &[RecordBatch]) {
        let rows: usize = group.iter().map(RecordBatch::num_rows).sum();
        let mut data = Vec::with_capacity(rows * self.row_bytes + 64);
        (self.write)(&mut data, group);
        self.row_bytes = data.len().checked_div(rows).map_or(self.row_bytes, |bytes| bytes + 1);
        if data.len() <= self.most || rows <= 1 {
            self.made.push(data);
            return;
        }
        let (left, right) = halves(group, rows / 2);
        self.push(&left);
        self.push(&right);
    }
}

/// Splits a group after `at` rows.
fn halves(group: &[RecordBatch], at: usize) -> (Vec<RecordBatch>, Vec<RecordBatch>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut room = at;
    for batch in group {
        let taken = room.min(batch.num_rows());
        if taken > 0 {
            left.push(batch.slice(0, taken));
        }
        if taken < batch.num_rows() {
            right.push(batch.slice(taken, batch.num_rows() - taken));
        }
        room -= taken;
    }
    (left, right)
}
