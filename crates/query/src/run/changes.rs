//! What a tick changes, with each key once.

use std::collections::HashMap;

use datafusion::{
    arrow::{
        array::{BooleanArray, RecordBatch},
        compute::{concat_batches, filter_record_batch},
        error::ArrowError,
        row::{OwnedRow, RowConverter, SortField},
    },
    common::Result,
};
use model::RowChanges;

use crate::plan::Plan;

/// Upserts and deletes in the order in which they came about.
#[derive(Default)]
pub(crate) struct Changes {
    upserts: Vec<RecordBatch>,
    times: Vec<i64>,
    deletes: Vec<RecordBatch>,
}

impl Changes {
    /// Adds rows in the feed's schema, with what `keep` counts from.
    pub(crate) fn upsert(&mut self, rows: RecordBatch, times: impl IntoIterator<Item = i64>) {
        self.times.extend(times);
        if rows.num_rows() > 0 {
            self.upserts.push(rows);
        }
    }

    /// Adds keys. A key that is also upserted in this tick is not deleted.
    pub(crate) fn delete(&mut self, keys: RecordBatch) {
        if keys.num_rows() > 0 {
            self.deletes.push(keys);
        }
    }

    /// The changes, each key once; the last upsert of a key wins. `repeated` says that
    /// keys may have been upserted twice.
    pub(crate) fn finish(self, plan: &Plan, repeated: bool) -> Result<Option<RowChanges>> {
        if self.upserts.is_empty() && self.deletes.is_empty() {
            return Ok(None);
        }
        let mut upserts = one(self.upserts, || RecordBatch::new_empty(plan.0.output.schema.to_arrow()))?;
        let mut deletes = one(self.deletes, || plan.no_deletes())?;
        let mut times = self.times;
        if upserts.num_rows() > 0 && (repeated || deletes.num_rows() > 0) {
            let mut keys = KeyReader::new(plan)?;
            let upserted = keys.read(&upserts)?;
            let last: HashMap<&OwnedRow, usize> = upserted.iter().enumerate().map(|(i, key)| (key, i)).collect();
            let deleted = keys.read(&deletes)?;
            deletes = filter_record_batch(&deletes, &deleted.iter().map(|k| Some(!last.contains_key(k))).collect())?;
            let keep: Vec<bool> = upserted.iter().enumerate().map(|(i, key)| last[key] == i).collect();
            let mut kept = keep.iter();
            times.retain(|_| *kept.next().unwrap_or(&true));
            upserts = filter_record_batch(&upserts, &BooleanArray::from(keep))?;
        }
        Ok(Some(RowChanges { upserts, times, deletes }))
    }
}

fn one(batches: Vec<RecordBatch>, none: impl FnOnce() -> RecordBatch) -> Result<RecordBatch, ArrowError> {
    match batches.as_slice() {
        [] => Ok(none()),
        [batch] => Ok(batch.clone()),
        [first, ..] => concat_batches(first.schema_ref(), &batches),
    }
}

/// Reads the feed's key from rows.
pub(crate) struct KeyReader {
    converter: RowConverter,
    len: usize,
}

impl KeyReader {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let output = &plan.0.output;
        let fields = output.key().iter().map(|c| SortField::new(c.data_type.arrow())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, len: output.key_len })
    }

    /// The key of each row, comparable and hashable.
    pub(crate) fn read(&mut self, batch: &RecordBatch) -> Result<Vec<OwnedRow>> {
        let rows = self.converter.convert_columns(&batch.columns()[..self.len])?;
        Ok(rows.iter().map(|r| r.owned()).collect())
    }
}
