//! Which groups' rows are shown, when, and what becomes of those that are not.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray},
        compute::concat,
    },
    common::Result,
};
use model::Reason;

use super::{Counters, Tick, changes::Changes, grouped::Groups};
use crate::{
    define::Emit,
    letter::Refused,
    plan::{GroupColumn, Grouped},
    stage::{caught, failing, project},
    state::pane::{FAILED, LIVE, PENDING, Pane, SHOWN},
};

/// A group: the start of its pane, and its slot there.
pub(crate) type Pick = (i64, u32);

/// Rows of the feed, and which of the picks they are of.
struct Made {
    rows: RecordBatch,
    picks: Vec<usize>,
}

impl Groups {
    /// Shows what is due.
    pub(crate) fn show(
        &mut self,
        query: &Grouped,
        tick: &Tick<'_>,
        changes: &mut Changes,
        dead: &mut Refused,
        counters: &mut Counters,
    ) {
        let picks = self.pick(query, tick, counters);
        if picks.is_empty() {
            return;
        }
        counters.groups_shown += picks.len() as u64;
        let time = |(start, _): Pick| query.window.map_or(tick.clock, |w| w.tumble.end(start));
        let mut shown = vec![false; picks.len()];
        let mut failed = Vec::new();
        match self.make(query, &picks) {
            Ok(made) => take_in(made, &picks, 0, &mut shown, changes, time),
            Err(_) => {
                // Some group's row cannot be made: the others' are.
                failed = failing(picks.len(), |from, len| self.make(query, &picks[from..from + len]).map(drop));
                let mut from = 0;
                for to in failed.iter().map(|f| f.0).chain([picks.len()]) {
                    if let Ok(made) = self.make(query, &picks[from..to]) {
                        take_in(made, &picks, from, &mut shown, changes, time);
                    }
                    from = to + 1;
                }
            }
        }
        let mut gone = Vec::new();
        let mut failed = failed.into_iter().peekable();
        for (index, pick) in picks.iter().enumerate() {
            let failure = failed.next_if(|(at, _)| *at == index);
            let Some(pane) = self.panes.get_mut(&pick.0) else { continue };
            if pane.is(pick.1, SHOWN) && !shown[index] {
                gone.push(*pick);
            }
            pane.set(pick.1, SHOWN, shown[index]);
            let said = pane.is(pick.1, FAILED);
            pane.set(pick.1, FAILED, failure.is_some());
            if let Some((_, why)) = failure
                && !said
                && let Ok(groups) = self.group_batch(query, &[*pick])
            {
                dead.push(Reason::QueryFailed, || format!("the row of this group: {why}"), &groups, 0);
            }
        }
        match self.feed_keys(query, &gone) {
            Ok(keys) => changes.delete(keys),
            Err(error) => debug_assert!(false, "a key that was shown can be made again: {error}"),
        }
    }

    /// The groups whose rows are due, by pane and slot.
    fn pick(&mut self, query: &Grouped, tick: &Tick<'_>, counters: &mut Counters) -> Vec<Pick> {
        let closing = |start: i64| query.window.is_some_and(|w| w.tumble.end(start) <= tick.watermark);
        let mut picks = Vec::new();
        if query.emit == Emit::Final {
            for (start, pane) in self.panes.iter().take_while(|(start, _)| closing(**start)) {
                counters.panes_visited += 1;
                picks.extend((0..pane.len()).map(|slot| (*start, slot)));
            }
            return picks;
        }
        let due = self.last_shown.is_none_or(|shown| tick.clock >= shown.saturating_add(query.refresh_ms));
        let panes: Vec<i64> = self.pending.iter().copied().take_while(|start| due || closing(*start)).collect();
        for start in panes {
            self.pending.remove(&start);
            let Some(pane) = self.panes.get_mut(&start) else { continue };
            counters.panes_visited += 1;
            picks.extend(drain(pane).into_iter().map(|slot| (start, slot)));
        }
        if picks.is_empty() {
            return picks;
        }
        if due && query.refresh_ms > 0 {
            self.last_shown = Some(tick.clock);
            self.meta_changed = true;
        }
        if query.newest_only {
            self.keep_newest(&mut picks);
        }
        picks
    }

    /// Leaves out groups of windows that are older than one shown of the same key.
    fn keep_newest(&mut self, picks: &mut Vec<Pick>) {
        for pass in 0..2 {
            let (keys, panes) = (&mut self.keys, &self.panes);
            picks.retain(|(start, slot)| {
                let newest = panes.get(start).is_some_and(|pane| keys.show(pane.key(*slot), *start));
                // The first pass only finds the newest window of each key.
                pass == 0 || newest
            });
        }
    }

    /// The rows of these groups, as far as HAVING lets them through.
    fn make(&self, query: &Grouped, picks: &[Pick]) -> Result<Made> {
        caught(|| self.rows(query, picks))
    }

    fn rows(&self, query: &Grouped, picks: &[Pick]) -> Result<Made> {
        if picks.is_empty() {
            return Ok(Made {
                rows: query.finish.strict(&RecordBatch::new_empty(query.finish.schema().clone()))?,
                picks: Vec::new(),
            });
        }
        let mut columns = self.group_columns(query, picks)?;
        let all: Vec<usize> = (0..picks.len()).collect();
        let runs = runs(picks);
        let (mut first, mut growing) = (0, 0);
        for aggregate in &query.aggregates {
            if aggregate.growth().is_some() {
                columns.push(self.grown_values(growing, &aggregate.output, picks)?);
                growing += 1;
                continue;
            }
            let states = first..first + aggregate.state.len();
            first = states.end;
            let states = states.map(|c| self.state_column(c, &runs)).collect::<Result<Vec<_>>>()?;
            columns.push(aggregate.value(&states, &all)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
        let batch = RecordBatch::try_new_with_options(query.post_schema.clone(), columns, &options)?;
        let passed = query.post.run(&batch)?;
        let rows = query.finish.strict(&query.finish.loose(&passed.batch)?)?;
        let picks = (0..rows.num_rows()).map(|row| passed.origin(row)).collect();
        Ok(Made { rows, picks })
    }

    fn state_column(&self, column: usize, runs: &[(i64, Vec<u32>)]) -> Result<ArrayRef> {
        let parts = runs
            .iter()
            .filter_map(|(start, slots)| Some(self.panes.get(start)?.columns.gather(column, slots)))
            .collect::<Result<Vec<_>, _>>()?;
        if let [one] = parts.as_slice() {
            return Ok(one.clone());
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }

    /// The GROUP BY columns of these groups.
    fn group_columns(&self, query: &Grouped, picks: &[Pick]) -> Result<Vec<ArrayRef>> {
        let mut ids = Vec::with_capacity(picks.len());
        for (start, slots) in runs(picks) {
            if let Some(pane) = self.panes.get(&start) {
                ids.extend(slots.iter().map(|slot| pane.key(*slot)));
            }
        }
        let keys = self.keys.gather(&ids)?;
        let bound = |end: bool| -> ArrayRef {
            let bounds = picks.iter().map(|(start, _)| match query.window {
                Some(window) if end => window.tumble.end(*start),
                _ => *start,
            });
            Arc::new(TimestampMillisecondArray::from_iter_values(bounds))
        };
        Ok(query
            .groups
            .iter()
            .map(|group| match group {
                GroupColumn::WindowStart => bound(false),
                GroupColumn::WindowEnd => bound(true),
                GroupColumn::Key(index) => keys[*index].clone(),
            })
            .collect())
    }

    fn group_batch(&self, query: &Grouped, picks: &[Pick]) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
        let columns = self.group_columns(query, picks)?;
        Ok(RecordBatch::try_new_with_options(query.group_schema.clone(), columns, &options)?)
    }

    /// The feed's keys of these groups.
    pub(crate) fn feed_keys(&self, query: &Grouped, picks: &[Pick]) -> Result<RecordBatch> {
        if picks.is_empty() {
            return Ok(RecordBatch::new_empty(query.feed_key_schema.clone()));
        }
        project(&query.feed_key, &query.feed_key_schema, &self.group_batch(query, picks)?)
    }
}

/// The slots that wait to be shown, in order; they wait no more.
fn drain(pane: &mut Pane) -> Vec<u32> {
    let mut slots = std::mem::take(&mut pane.pending);
    slots.sort_unstable();
    slots.dedup();
    // A group that was dropped while it waited has no row to show.
    slots.retain(|slot| pane.is(*slot, LIVE) && pane.is(*slot, PENDING));
    for slot in &slots {
        pane.set(*slot, PENDING, false);
    }
    slots
}

/// Picks by pane.
fn runs(picks: &[Pick]) -> Vec<(i64, Vec<u32>)> {
    picks.chunk_by(|a, b| a.0 == b.0).map(|run| (run[0].0, run.iter().map(|p| p.1).collect())).collect()
}

fn take_in(
    made: Made,
    picks: &[Pick],
    from: usize,
    shown: &mut [bool],
    changes: &mut Changes,
    time: impl Fn(Pick) -> i64,
) {
    for index in &made.picks {
        shown[from + index] = true;
    }
    changes.upsert(made.rows, made.picks.iter().map(|index| time(picks[from + index])));
}
