//! Which window and which group each row of a tick belongs to.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray},
        compute::{filter_record_batch, max, min},
        datatypes::{SchemaRef, TimestampMillisecondType},
        temporal_conversions::timestamp_ms_to_datetime,
    },
    common::Result,
    logical_expr::EmitTo,
    physical_plan::aggregates::{group_values::new_group_values, order::GroupOrdering},
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::Reason;

use crate::{
    letter::Refused,
    plan::{Grouped, Window},
    watermark::other_unit,
};

/// The windows of a batch's rows.
#[derive(Debug)]
pub(crate) enum Starts {
    /// The query has no windows.
    None,
    /// All rows are in one window.
    One(i64),
    /// The start of each row's window.
    Each(Vec<i64>),
}

impl Starts {
    /// The start of a row's window; 0 without windows.
    #[inline]
    pub(crate) fn of(&self, row: usize) -> i64 {
        match self {
            Self::None => 0,
            Self::One(start) => *start,
            Self::Each(starts) => starts[row],
        }
    }

    fn keep(self, keep: &[bool]) -> Self {
        match self {
            Self::Each(starts) => {
                Self::Each(starts.into_iter().zip(keep).filter(|(_, k)| **k).map(|(s, _)| s).collect())
            }
            other => other,
        }
    }
}

/// Finds the windows of rows. Rows without a time, beyond all time, or too late become
/// dead letters; a row that the query's WHERE leaves out is not late.
pub(crate) fn windows(
    query: &Grouped,
    window: Window,
    batch: &RecordBatch,
    closed: i64,
    dead: &mut Refused,
) -> Result<(RecordBatch, Starts)> {
    let times = batch.column(window.time).as_primitive::<TimestampMillisecondType>();
    let tumble = window.tumble;
    if times.null_count() == 0
        && let (Some(first), Some(last)) = (min(times), max(times))
        && let (Some(start), Some(end)) = (tumble.start(first), tumble.start(last))
        && start == end
        && tumble.end(start) > closed
    {
        return Ok((batch.clone(), Starts::One(start)));
    }
    let mut starts = Vec::with_capacity(times.len());
    let mut on_time = vec![true; times.len()];
    let mut late = vec![false; times.len()];
    // Neighbours are mostly in one window: a comparison instead of a division.
    let mut known = 0..0;
    for row in 0..times.len() {
        let time = times.value(row);
        if times.is_null(row) {
            dead.push(Reason::Missing, || "the event has no time".to_owned(), batch, row);
            on_time[row] = false;
            starts.push(0);
            continue;
        }
        if !known.contains(&time) {
            let Some(start) = tumble.start(time) else {
                dead.push(Reason::OutOfRange, || format!("no window can hold the time {time}"), batch, row);
                on_time[row] = false;
                starts.push(0);
                continue;
            };
            known = start..tumble.end(start);
        }
        if known.end <= closed {
            on_time[row] = false;
            late[row] = true;
        }
        starts.push(known.start);
    }
    if late.contains(&true) {
        let late_starts = Starts::Each(starts.clone()).keep(&late);
        let late = filter_record_batch(batch, &BooleanArray::from(late))?;
        refuse_late(query, window, &late, &late_starts, closed, dead);
    }
    if on_time.contains(&false) {
        let starts = Starts::Each(starts).keep(&on_time);
        return Ok((filter_record_batch(batch, &BooleanArray::from(on_time))?, starts));
    }
    Ok((batch.clone(), Starts::Each(starts)))
}

fn refuse_late(query: &Grouped, window: Window, batch: &RecordBatch, starts: &Starts, closed: i64, dead: &mut Refused) {
    let all: Vec<usize> = (0..batch.num_rows()).collect();
    let wanted = match with_bounds(batch, window, starts).and_then(|b| query.pre.run(&b)) {
        Ok(passed) => (0..passed.batch.num_rows()).map(|row| passed.origin(row)).collect(),
        Err(_) => all,
    };
    let times = batch.column(window.time).as_primitive::<TimestampMillisecondType>();
    for row in wanted {
        let start = starts.of(row);
        let end = window.tumble.end(start);
        let unit = other_unit(times.value(row), closed);
        let message = || {
            let [time, start, end, closed] = [times.value(row), start, end, closed].map(clock);
            format!("its time is {time}; the window {start} to {end} is closed: the watermark is {closed}{unit}")
        };
        dead.push(Reason::Late, message, batch, row);
    }
}

/// A time for a person.
fn clock(ms: i64) -> String {
    match timestamp_ms_to_datetime(ms) {
        Some(time) => time.format("%FT%T%.3fZ").to_string(),
        None => ms.to_string(),
    }
}

/// The batch with `window_start` and `window_end`.
pub(crate) fn with_bounds(batch: &RecordBatch, window: Window, starts: &Starts) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |bound: &dyn Fn(usize) -> i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).map(bound)))
    };
    let start = column(&|row| starts.of(row));
    let end = column(&|row| window.tumble.end(starts.of(row)));
    let bound = |name: &str, array: &ArrayRef| {
        Arc::new(datafusion::arrow::datatypes::Field::new(name, array.data_type().clone(), false))
    };
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(bound("window_start", &start));
    fields.push(bound("window_end", &end));
    let columns = batch.columns().iter().cloned().chain([start, end]).collect();
    Ok(RecordBatch::try_new(Arc::new(datafusion::arrow::datatypes::Schema::new(fields)), columns)?)
}

/// A group of this tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local {
    /// Which of the tick's windows.
    pub(crate) window: usize,
    /// Which of the tick's keys.
    pub(crate) key: usize,
}

/// The groups of this tick, numbered by their first row.
#[derive(Debug)]
pub(crate) struct Locals {
    /// The number of each row's group.
    pub(crate) of_row: Vec<usize>,
    pub(crate) groups: Vec<Local>,
    /// The starts of the tick's windows.
    pub(crate) windows: Vec<i64>,
    /// The key columns, a row for each of the tick's keys.
    pub(crate) keys: Vec<ArrayRef>,
    pub(crate) key_count: usize,
}

/// Numbers the groups of this tick. `start` tells the window of each row.
pub(crate) fn locals(
    keys: &[ArrayRef],
    schema: &SchemaRef,
    rows: usize,
    one: Option<i64>,
    start: impl Fn(usize) -> i64,
) -> Result<Locals> {
    let mut of_row = Vec::new();
    let (keys, key_count) = if keys.is_empty() {
        of_row.resize(rows, 0);
        (Vec::new(), 1)
    } else {
        let mut values = new_group_values(schema.clone(), &GroupOrdering::None)?;
        values.intern(keys, &mut of_row)?;
        let count = values.len();
        (values.emit(EmitTo::All)?, count)
    };
    if let Some(start) = one {
        let groups = (0..key_count).map(|key| Local { window: 0, key }).collect();
        return Ok(Locals { of_row, groups, windows: vec![start], keys, key_count });
    }
    let mut windows: Vec<i64> = Vec::new();
    let mut groups: Vec<Local> = Vec::new();
    let mut last = (i64::MIN, usize::MAX);
    // The windows of a tick are few, so a table of all their keys is small; where it is
    // not, groups are looked up by hash.
    let mut tables: Vec<Vec<u32>> = Vec::new();
    let mut by_hash: HashMap<(usize, usize), usize, FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
    let mut by_start: HashMap<i64, usize, FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
    for (row, group) in of_row.iter_mut().enumerate() {
        let key = *group;
        let start = start(row);
        if last.1 == usize::MAX || last.0 != start {
            let window = *by_start.entry(start).or_insert_with(|| {
                windows.push(start);
                windows.len() - 1
            });
            last = (start, window);
        }
        let window = last.1;
        let mut add = || {
            groups.push(Local { window, key });
            groups.len() - 1
        };
        if windows.len() * key_count <= 16 * rows {
            while tables.len() <= window {
                tables.push(vec![u32::MAX; key_count]);
            }
            let known = &mut tables[window][key];
            if *known == u32::MAX {
                *known = match by_hash.get(&(window, key)) {
                    Some(known) => *known as u32,
                    None => add() as u32,
                };
            }
            *group = *known as usize;
        } else {
            let table = tables.get(window).map(|t| t[key]).filter(|known| *known != u32::MAX);
            *group = match table {
                Some(known) => known as usize,
                None => *by_hash.entry((window, key)).or_insert_with(add),
            };
        }
    }
    Ok(Locals { of_row, groups, windows, keys, key_count })
}
