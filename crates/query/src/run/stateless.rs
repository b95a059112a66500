//! Queries whose rows each come from one event.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch},
        compute::{filter_record_batch, take_record_batch},
        datatypes::DataType,
    },
    common::Result,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{FeedKind, Reason, RowChanges, StateBlock};

use super::{
    Counters, Tick,
    changes::{Changes, KeyReader},
};
use crate::{
    letter::Refused,
    plan::{Plan, Stateless},
    stage::{Passed, caught, condition, failing, reason},
    state::block::{self, Kind, StateError},
};

/// What a query without groups remembers: the next number of a feed that only grows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    seq: i64,
    changed: bool,
}

/// Rows in the feed's columns, and which of them delete their key.
struct Made {
    passed: Passed,
    deletes: Option<BooleanArray>,
}

impl Rows {
    pub(crate) fn restore(blocks: &[StateBlock]) -> Result<Self, StateError> {
        let mut rows = Self::default();
        for block in blocks {
            let Some(data) = &block.data else { continue };
            let mut input = block::open(data)?;
            match (block::parse_id(&block.id), input.i64(), input.is_empty()) {
                (Some((Kind::Meta, _, _)), Some(seq), true) => rows.seq = seq,
                _ => return Err(StateError::Damaged("the counter of rows")),
            }
        }
        Ok(rows)
    }

    pub(crate) fn checkpoint(&mut self) -> Vec<StateBlock> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let seq = self.seq;
        vec![block::seal(block::id(Kind::Meta, 0, 0), |out| out.extend_from_slice(&seq.to_le_bytes()))]
    }

    pub(crate) fn tick(
        &mut self,
        plan: &Plan,
        query: &Stateless,
        tick: &Tick<'_>,
        dead: &mut Refused,
        counters: &mut Counters,
    ) -> Option<RowChanges> {
        let batch = tick.batch?;
        counters.rows += batch.num_rows() as u64;
        let (batch, made) = salvaged(batch, batch.num_columns(), dead, |batch| make(query, batch))?;
        let result = match plan.output().kind {
            FeedKind::Append => self.append(plan, query, &made, tick.clock),
            FeedKind::Upsert => upsert(plan, query, made, &batch, tick.clock, dead),
        };
        match result {
            Ok(changes) => changes,
            Err(error) => {
                refuse_all(&batch, &reason(&error), dead);
                None
            }
        }
    }

    /// Numbers the rows of a feed that only grows.
    fn append(&mut self, plan: &Plan, query: &Stateless, made: &Made, clock: i64) -> Result<Option<RowChanges>> {
        let rows = query.finish.strict(&made.passed.batch)?;
        let len = rows.num_rows();
        if len == 0 {
            return Ok(None);
        }
        let seq: ArrayRef = Arc::new(Int64Array::from_iter_values(self.seq..self.seq + len as i64));
        let columns = [seq].into_iter().chain(rows.columns().iter().cloned()).collect();
        let rows = RecordBatch::try_new(plan.output().schema.to_arrow(), columns)?;
        self.seq += len as i64;
        self.changed = true;
        let mut changes = Changes::default();
        changes.upsert(rows, vec![clock; len]);
        changes.finish(plan, false)
    }
}

/// The last row of each key, in the log's order.
fn upsert(
    plan: &Plan,
    query: &Stateless,
    made: Made,
    batch: &RecordBatch,
    clock: i64,
    dead: &mut Refused,
) -> Result<Option<RowChanges>> {
    let Made { passed, deletes } = made;
    let key = plan.output().key();
    let rows = passed.batch.num_rows();
    let null = |row: usize| (0..key.len()).find(|c| passed.batch.column(*c).is_null(row));
    let any_null = passed.batch.columns()[..key.len()].iter().any(|c| c.null_count() > 0);
    let complete: Vec<bool> =
        if any_null { (0..rows).map(|row| null(row).is_none()).collect() } else { vec![true; rows] };
    if any_null {
        for row in (0..rows).filter(|row| !complete[*row]) {
            let name = null(row).map_or("", |c| key[c].name.as_str());
            dead.push(Reason::NullKey, || format!("the key column `{name}` is null"), batch, passed.origin(row));
        }
    }
    // From the end: the first met of a key is its last.
    let mut newest = last_of_each_key(plan, &passed.batch, &complete)?;
    newest.sort_unstable();
    let newest = passed_rows(&passed.batch, &newest)?;
    let deletes = match deletes {
        None => None,
        Some(mask) => Some(take_mask(&mask, &newest.1)),
    };
    let mut changes = Changes::default();
    let (kept, gone) = match &deletes {
        None => (newest.0, None),
        Some(gone) => {
            let stay: BooleanArray = gone.iter().map(|g| Some(g != Some(true))).collect();
            (filter_record_batch(&newest.0, &stay)?, Some(filter_record_batch(&newest.0, gone)?))
        }
    };
    let kept = query.finish.strict(&kept)?;
    let len = kept.num_rows();
    changes.upsert(kept, vec![clock; len]);
    if let Some(gone) = gone {
        let keys = gone.columns()[..key.len()].to_vec();
        changes.delete(RecordBatch::try_new(plan.output().key_arrow(), keys)?);
    }
    changes.finish(plan, false)
}

fn passed_rows(batch: &RecordBatch, rows: &[u32]) -> Result<(RecordBatch, Vec<u32>)> {
    let indices = datafusion::arrow::array::UInt32Array::from(rows.to_vec());
    Ok((take_record_batch(batch, &indices)?, rows.to_vec()))
}

fn take_mask(mask: &BooleanArray, rows: &[u32]) -> BooleanArray {
    rows.iter().map(|r| Some(mask.is_valid(*r as usize) && mask.value(*r as usize))).collect()
}

/// The last row of each key among the complete ones, in no order.
fn last_of_each_key(plan: &Plan, batch: &RecordBatch, complete: &[bool]) -> Result<Vec<u32>> {
    let key = plan.output().key();
    let rows = (0..batch.num_rows()).rev().filter(|row| complete[*row]);
    let mut last = Vec::new();
    // One text or one number is the usual key; its value is looked up as it is.
    if key.len() == 1 && key[0].data_type.arrow() == DataType::Utf8 {
        let texts = datafusion::arrow::array::AsArray::as_string::<i32>(batch.column(0));
        let mut seen: HashMap<&str, (), FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
        last.extend(rows.filter(|row| seen.insert(texts.value(*row), ()).is_none()).map(|row| row as u32));
    } else {
        let keys = KeyReader::new(plan)?.read(batch)?;
        let mut seen: HashMap<_, (), FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
        last.extend(rows.filter(|row| seen.insert(&keys[*row], ()).is_none()).map(|row| row as u32));
    }
    Ok(last)
}

fn make(query: &Stateless, batch: &RecordBatch) -> Result<Made> {
    let mut passed = query.chain.run(batch)?;
    passed.batch = query.finish.loose(&passed.batch)?;
    let deletes = query.delete_when.as_ref().map(|expr| condition(expr, &passed.batch)).transpose()?;
    Ok(Made { passed, deletes })
}

/// Runs `work` over a batch; rows on which it fails become dead letters, and it runs
/// over the others. `None` if nothing is left. The first `columns` are the event's own.
pub(crate) fn salvaged<T>(
    batch: &RecordBatch,
    columns: usize,
    dead: &mut Refused,
    work: impl Fn(&RecordBatch) -> Result<T>,
) -> Option<(RecordBatch, T)> {
    if batch.num_rows() == 0 {
        return None;
    }
    let work = |batch: &RecordBatch| caught(|| work(batch));
    if let Ok(done) = work(batch) {
        return Some((batch.clone(), done));
    }
    let failed = failing(batch.num_rows(), |from, len| work(&batch.slice(from, len)).map(drop));
    let own: Vec<usize> = (0..columns).collect();
    let events = batch.project(&own).unwrap_or_else(|_| batch.clone());
    let mut good = vec![true; batch.num_rows()];
    for (row, why) in &failed {
        good[*row] = false;
        dead.push(Reason::QueryFailed, || why.clone(), &events, *row);
    }
    let rest = filter_record_batch(batch, &BooleanArray::from(good)).ok()?;
    if rest.num_rows() == 0 {
        return None;
    }
    match work(&rest) {
        Ok(done) => Some((rest, done)),
        Err(error) => {
            refuse_all(&rest, &reason(&error), dead);
            None
        }
    }
}

/// Every row of a batch becomes a dead letter.
pub(crate) fn refuse_all(batch: &RecordBatch, why: &str, dead: &mut Refused) {
    for row in 0..batch.num_rows() {
        dead.push(Reason::QueryFailed, || why.to_owned(), batch, row);
    }
}
