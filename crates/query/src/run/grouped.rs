//! Queries with groups: rows come in, are aggregated by group, and are merged into the
//! state of the groups that they touch.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{
    arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch},
    common::{Result, internal_err},
};
use model::{Reason, RowChanges, StateBlock};

use super::{
    Counters, Tick,
    assign::{Local, Locals, Starts, locals, windows, with_bounds},
    changes::Changes,
    grow::moved,
    room::{Costs, Room, refuse},
    stateless::{refuse_all, salvaged},
};
use crate::{
    define::Emit,
    grow::Input,
    letter::Refused,
    plan::{Grouped, Plan},
    stage::{Passed, column, condition, reason},
    state::{
        block::{self, Kind},
        column::Cells,
        grown::Group,
        idle::Idle,
        keys::{KeyRows, Keys},
        pane::{Pane, SHOWN},
    },
};

/// The pane of a query without windows.
pub(crate) const ONLY: i64 = 0;

pub(super) const NONE: u32 = u32::MAX;

/// The groups of a query.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) keys: Keys,
    /// By the start of the window.
    pub(crate) panes: BTreeMap<i64, Pane>,
    pub(crate) live: u64,
    /// What [`Pane::held`] of all panes comes to.
    pub(crate) in_panes: usize,
    costs: Costs,
    /// Panes with groups that changed since they were shown.
    pub(crate) pending: BTreeSet<i64>,
    /// The clock when changes were last shown.
    pub(crate) last_shown: Option<i64>,
    pub(crate) meta_changed: bool,
    /// Blocks that the next checkpoint removes.
    pub(crate) removed: Vec<StateBlock>,
}

/// Rows ready to be aggregated.
pub(super) struct Prepared {
    pub(super) passed: Passed,
    pub(super) keys: Vec<ArrayRef>,
    /// The arguments of each aggregate; none of one that grows.
    pub(super) args: Vec<Vec<ArrayRef>>,
    pub(super) filters: Vec<Option<BooleanArray>>,
    /// The arguments of the aggregates that grow.
    pub(super) inputs: Vec<Input>,
}

/// Where the groups of a tick go.
pub(super) struct Found {
    key_rows: KeyRows,
    /// The id of each of the tick's keys, or [`NONE`].
    ids: Vec<u32>,
    /// The slot of each of the tick's groups, or [`NONE`] for a new one.
    pub(super) slots: Vec<u32>,
    /// The groups that there is no room for, and why; empty if all have room.
    pub(super) refused: Vec<Option<Reason>>,
    /// The room that is left.
    pub(super) room: Room,
}

impl Found {
    /// Whether there is no room for one of the tick's groups.
    pub(super) fn refuses(&self, group: usize) -> bool {
        self.refused.get(group).is_some_and(Option::is_some)
    }
}

/// The states of a tick's groups.
struct Merged {
    states: Vec<ArrayRef>,
    /// The row of each group.
    positions: Vec<usize>,
    /// The growing states of groups that are new, by the group.
    fresh: Vec<Option<Group>>,
}

impl Groups {
    pub(crate) fn new(query: &Grouped) -> Self {
        let types: Vec<_> = query.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let mut groups = Self {
            keys: Keys::new(&types, query.newest_only).expect("planning refuses types that cannot be kept"),
            panes: BTreeMap::new(),
            live: 0,
            in_panes: 0,
            costs: Costs::of(query),
            pending: BTreeSet::new(),
            last_shown: None,
            meta_changed: false,
            removed: Vec::new(),
        };
        if query.window.is_none() {
            groups.pane(query, ONLY);
        }
        groups
    }

    /// The pane of a window, new if need be.
    pub(crate) fn pane(&mut self, query: &Grouped, start: i64) -> &mut Pane {
        self.panes.entry(start).or_insert_with(|| {
            Pane::new(start, query.window.is_some(), &query.state_types, query.growths().next().is_some())
                .expect("planning refuses types that cannot be kept")
        })
    }

    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// What keys and groups count for.
    pub(crate) fn held(&self) -> usize {
        self.keys.held(self.costs.key) + self.live as usize * self.costs.group + self.in_panes
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes() + self.panes.values().map(Pane::heap_bytes).sum::<usize>()
    }

    pub(crate) fn tick(
        &mut self,
        plan: &Plan,
        query: &Grouped,
        tick: &Tick<'_>,
        dead: &mut Refused,
        counters: &mut Counters,
    ) -> Option<RowChanges> {
        let mut changes = Changes::default();
        if query.window.is_none() {
            self.expire(query, tick.clock, &mut changes, counters);
        }
        if let Some(batch) = tick.batch.filter(|b| b.num_rows() > 0) {
            counters.rows += batch.num_rows() as u64;
            if let Err(error) = self.take(query, batch, tick, dead, counters) {
                refuse_all(batch, &reason(&error), dead);
            }
        }
        self.show(query, tick, &mut changes, dead, counters);
        self.close(query, tick.watermark, counters);
        // Without a window in the key, two windows that close at once show one key twice.
        changes.finish(plan, query.newest_only).unwrap_or_else(|error| {
            debug_assert!(false, "changes that do not fit the feed: {error}");
            None
        })
    }

    /// Takes in the rows of a tick.
    fn take(
        &mut self,
        query: &Grouped,
        batch: &RecordBatch,
        tick: &Tick<'_>,
        dead: &mut Refused,
        counters: &mut Counters,
    ) -> Result<()> {
        let mut letters = Refused::new(dead.room());
        let columns = batch.num_columns();
        let (batch, starts) = match query.window {
            None => (batch.clone(), Starts::None),
            Some(window) => {
                let (batch, starts) = windows(query, window, batch, tick.watermark_before, &mut letters)?;
                (with_bounds(&batch, window, &starts)?, starts)
            }
        };
        let taken = match salvaged(&batch, columns, &mut letters, |batch| prepare(query, batch)) {
            None => Ok(()),
            Some((kept, prepared)) => {
                // Failed rows are gone from `kept`, so windows are read again from it.
                let starts = if kept.num_rows() == batch.num_rows() { starts } else { read_starts(query, &kept) };
                let own: Vec<usize> = (0..columns).collect();
                self.absorb(query, &kept.project(&own)?, &prepared, &starts, tick.clock, &mut letters, counters)
            }
        };
        // Letters of rows that an internal failure refuses as a whole would stand twice.
        if taken.is_ok() {
            dead.append(letters);
        }
        taken
    }

    /// Aggregates prepared rows and merges them into the groups. Nothing changes if it fails.
    #[expect(clippy::too_many_arguments, reason = "one step of `take`, split for its length")]
    fn absorb(
        &mut self,
        query: &Grouped,
        batch: &RecordBatch,
        prepared: &Prepared,
        starts: &Starts,
        clock: i64,
        dead: &mut Refused,
        counters: &mut Counters,
    ) -> Result<()> {
        if prepared.passed.batch.num_rows() == 0 {
            return Ok(());
        }
        let room = Room {
            groups: query.max_groups.saturating_sub(self.live),
            bytes: query.max_memory.saturating_sub(self.held()),
        };
        let (mut locals, mut found) = self.located(query, prepared, starts, room)?;
        let mut merged = self.merged(query, prepared, &locals, &found, counters)?;
        counters.groups_touched += locals.groups.len() as u64;
        for (row, group) in locals.of_row.iter().enumerate().take_while(|_| !found.refused.is_empty()) {
            if let Some(reason) = found.refused[*group] {
                refuse(query, reason, batch, prepared.passed.origin(row), dead);
            }
        }
        if !prepared.inputs.is_empty() {
            let grown = self.grow(query, prepared, &locals, &mut found);
            for (row, reason) in &grown.too_large {
                refuse(query, *reason, batch, prepared.passed.origin(*row), dead);
            }
            merged.fresh = grown.fresh;
            if let Some(kept) = prepared.without(&grown.refused)? {
                // The other aggregates go on without the refused rows as well.
                if kept.passed.batch.num_rows() == 0 {
                    return Ok(());
                }
                let before = locals;
                // What is left of them has its room.
                (locals, found) = self.located(query, &kept, starts, Room::ENDLESS)?;
                let fresh = moved(merged.fresh, &before, &locals, &grown.refused);
                merged = Merged { fresh, ..self.merged(query, &kept, &locals, &found, counters)? };
            }
        }
        let cells = merged.states.iter().map(Cells::of).collect::<Result<Vec<_>, _>>()?;
        self.write(query, &locals, found, merged, &cells, clock);
        Ok(())
    }

    /// Numbers the groups of these rows and looks them up.
    fn located(&self, query: &Grouped, prepared: &Prepared, starts: &Starts, room: Room) -> Result<(Locals, Found)> {
        let rows = prepared.passed.batch.num_rows();
        let one = match starts {
            Starts::None => Some(ONLY),
            Starts::One(start) => Some(*start),
            Starts::Each(_) => None,
        };
        let locals =
            locals(&prepared.keys, &query.key_schema, rows, one, |row| starts.of(prepared.passed.origin(row)))?;
        let found = self.find(&locals, room)?;
        Ok((locals, found))
    }

    /// Looks up the groups of this tick.
    fn find(&self, locals: &Locals, mut room: Room) -> Result<Found> {
        let key_rows = KeyRows::new(&locals.keys, locals.key_count)?;
        let ids: Vec<u32> = self.keys.find_all(&key_rows).into_iter().map(|id| id.unwrap_or(NONE)).collect();
        let panes: Vec<Option<&Pane>> = locals.windows.iter().map(|start| self.panes.get(start)).collect();
        let mut refused = Vec::new();
        let mut slots = Vec::with_capacity(locals.groups.len());
        for (index, local) in locals.groups.iter().enumerate() {
            let id = ids[local.key];
            let slot = if id == NONE { None } else { panes[local.window].and_then(|pane| pane.find(id)) };
            slots.push(slot.unwrap_or(NONE));
            let taken = if slot.is_none() {
                let key = if id == NONE { self.costs.key + key_rows.text_bytes(local.key) } else { 0 };
                room.take(self.costs.group + key)
            } else if self.costs.texts {
                room.take_bytes(0)
            } else {
                Ok(())
            };
            if let Err(reason) = taken {
                refused.resize(locals.groups.len(), None);
                refused[index] = Some(reason);
            }
        }
        Ok(Found { key_rows, ids, slots, refused, room })
    }

    /// The states of this tick's groups: what its rows make, merged with what is stored.
    /// Group `g` stands at `Merged::positions[g]`.
    fn merged(
        &self,
        query: &Grouped,
        prepared: &Prepared,
        locals: &Locals,
        found: &Found,
        counters: &mut Counters,
    ) -> Result<Merged> {
        let total = locals.groups.len();
        // The slots of each window that hold a state already.
        let mut slots: Vec<Vec<u32>> = vec![Vec::new(); locals.windows.len()];
        for (local, slot) in locals.groups.iter().zip(&found.slots) {
            if *slot != NONE {
                slots[local.window].push(*slot);
            }
        }
        let positions = positions(locals, found, &slots);
        counters.panes_visited += slots.len() as u64;
        let mut states = Vec::with_capacity(query.state_types.len());
        for (index, aggregate) in query.aggregates.iter().enumerate().filter(|(_, a)| a.growth().is_none()) {
            let columns = states.len()..states.len() + aggregate.state.len();
            let filter = prepared.filters[index].as_ref();
            let fresh = aggregate.update(&prepared.args[index], &locals.of_row, filter, total)?;
            let mut stored = Vec::new();
            for (start, slots) in locals.windows.iter().zip(&slots).filter(|(_, slots)| !slots.is_empty()) {
                let pane = &self.panes[start];
                stored.push(columns.clone().map(|c| pane.columns.gather(c, slots)).collect::<Result<Vec<_>, _>>()?);
            }
            states.extend(if stored.is_empty() { fresh } else { aggregate.merge(&stored, &fresh, &positions)? });
            if states.len() != columns.end {
                return internal_err!("an aggregate of another state than planned");
            }
        }
        for (state, expected) in states.iter().zip(&query.state_types) {
            if state.data_type() != expected || state.len() != total {
                return internal_err!("a state of type {} where {expected} was planned", state.data_type());
            }
        }
        Ok(Merged { states, positions, fresh: Vec::new() })
    }

    /// Writes the states into their slots; new groups get one.
    fn write(
        &mut self,
        query: &Grouped,
        locals: &Locals,
        mut found: Found,
        mut merged: Merged,
        cells: &[Cells],
        clock: i64,
    ) {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); locals.windows.len()];
        for (group, local) in locals.groups.iter().enumerate() {
            if !found.refuses(group) {
                rows[local.window].push(group as u32);
            }
        }
        for (start, rows) in locals.windows.iter().zip(&rows) {
            if rows.is_empty() {
                continue;
            }
            self.pane(query, *start);
            let Some(pane) = self.panes.get_mut(start) else { continue };
            if let Some(idle) = &pane.idle {
                idle.approach(rows.iter().map(|group| found.slots[*group as usize]).filter(|slot| *slot != NONE));
            }
            let before = pane.held();
            let mut slots = Vec::with_capacity(rows.len());
            for group in rows {
                let mut slot = found.slots[*group as usize];
                if slot == NONE {
                    let key = locals.groups[*group as usize].key;
                    let id = &mut found.ids[key];
                    if *id == NONE {
                        *id = self.keys.insert(&found.key_rows, key);
                    }
                    self.keys.hold(*id);
                    slot = pane.insert(*id);
                    self.live += 1;
                    if let (Some(grown), Some(group)) = (&mut pane.grown, merged.fresh.get_mut(*group as usize)) {
                        grown.put(slot, group.take().unwrap_or_else(|| Group::start(query.growths())));
                    }
                    if let Some(idle) = &mut pane.idle {
                        idle.add(slot, clock);
                    }
                } else if let Some(idle) = &mut pane.idle {
                    idle.touch(slot, clock);
                }
                pane.mark(slot);
                if query.emit == Emit::Changes {
                    pane.await_show(slot);
                }
                slots.push(slot);
            }
            let rows: Vec<u32> = rows.iter().map(|group| merged.positions[*group as usize] as u32).collect();
            pane.columns.scatter(&slots, cells, &rows);
            self.in_panes = self.in_panes + pane.held() - before;
            if query.emit == Emit::Changes {
                self.pending.insert(*start);
            }
        }
    }

    /// Drops groups without a window that have gone too long without an event.
    fn expire(&mut self, query: &Grouped, clock: i64, changes: &mut Changes, counters: &mut Counters) {
        let Some(pane) = self.panes.get_mut(&ONLY) else { return };
        let mut idle = Vec::new();
        while let Some((slot, seen)) = pane.idle.as_ref().and_then(Idle::oldest)
            && seen.saturating_add(query.idle_ttl_ms) <= clock
        {
            idle.push(slot);
            // The group stays readable until its key has been read; only the list moves on.
            if let Some(list) = &mut pane.idle {
                list.remove(slot);
            }
        }
        if idle.is_empty() {
            return;
        }
        idle.sort_unstable();
        let shown: Vec<(i64, u32)> =
            idle.iter().filter(|slot| pane.is(**slot, SHOWN)).map(|slot| (ONLY, *slot)).collect();
        match self.feed_keys(query, &shown) {
            Ok(keys) => changes.delete(keys),
            Err(error) => debug_assert!(false, "a key that was shown can be made again: {error}"),
        }
        let Some(pane) = self.panes.get_mut(&ONLY) else { return };
        let before = pane.held();
        for slot in &idle {
            pane.remove(*slot);
            self.keys.release(*slot);
        }
        self.in_panes = self.in_panes + pane.held() - before;
        self.live -= idle.len() as u64;
        counters.groups_released += idle.len() as u64;
    }

    /// Releases the panes of windows that end by the watermark.
    fn close(&mut self, query: &Grouped, watermark: i64, counters: &mut Counters) {
        let Some(window) = query.window else { return };
        while let Some(entry) = self.panes.first_entry() {
            if window.tumble.end(*entry.key()) > watermark {
                break;
            }
            let pane = entry.remove();
            for slot in 0..pane.len() {
                self.keys.release(pane.key(slot));
            }
            self.in_panes -= pane.held();
            self.live -= u64::from(pane.len());
            counters.groups_released += u64::from(pane.len());
            pane.drop_blocks(&mut self.removed);
        }
    }

    pub(crate) fn due(&self, query: &Grouped) -> Option<i64> {
        let idle = self.panes.get(&ONLY).and_then(|pane| pane.idle.as_ref()?.oldest());
        let idle = idle.filter(|_| query.window.is_none()).map(|(_, seen)| seen.saturating_add(query.idle_ttl_ms));
        let refresh = (!self.pending.is_empty())
            .then(|| self.last_shown.map_or(i64::MIN, |shown| shown.saturating_add(query.refresh_ms)));
        [idle, refresh].into_iter().flatten().min()
    }

    pub(crate) fn checkpoint(&mut self, counters: &mut Counters) -> Vec<StateBlock> {
        let mut blocks = std::mem::take(&mut self.removed);
        if std::mem::take(&mut self.meta_changed) {
            let shown = self.last_shown.unwrap_or(i64::MIN);
            let id = block::id(Kind::Meta, 0, 0);
            blocks.push(block::seal(id, |out| out.extend_from_slice(&shown.to_le_bytes())));
        }
        counters.blocks_written += self.keys.checkpoint(&mut blocks);
        for pane in self.panes.values_mut() {
            counters.blocks_written += pane.checkpoint(&mut blocks);
        }
        blocks
    }
}

/// The row of each group among the merged states: groups with a stored state first, in the
/// order in which they are gathered.
fn positions(locals: &Locals, found: &Found, slots: &[Vec<u32>]) -> Vec<usize> {
    let mut new = 0;
    let mut next: Vec<usize> = slots
        .iter()
        .map(|slots| {
            let first = new;
            new += slots.len();
            first
        })
        .collect();
    let place = |(local, slot): (&Local, &u32)| {
        let counter = if *slot == NONE { &mut new } else { &mut next[local.window] };
        *counter += 1;
        *counter - 1
    };
    locals.groups.iter().zip(&found.slots).map(place).collect()
}

fn prepare(query: &Grouped, batch: &RecordBatch) -> Result<Prepared> {
    let passed = query.pre.run(batch)?;
    let batch = &passed.batch;
    let keys = query.keys.iter().map(|e| column(e, batch)).collect::<Result<_>>()?;
    let mut args = query
        .aggregates
        .iter()
        .map(|a| a.args.iter().map(|e| column(e, batch)).collect::<Result<Vec<_>>>())
        .collect::<Result<Vec<_>>>()?;
    let filters = query
        .aggregates
        .iter()
        .map(|a| a.filter.as_ref().map(|e| condition(e, batch)).transpose())
        .collect::<Result<Vec<_>>>()?;
    let mut inputs = Vec::new();
    for (index, aggregate) in query.aggregates.iter().enumerate() {
        if let Some(growth) = aggregate.growth() {
            inputs.push(growth.read(&std::mem::take(&mut args[index]), filters[index].as_ref())?);
        }
    }
    Ok(Prepared { passed, keys, args, filters, inputs })
}

/// The windows of rows that have their bounds.
fn read_starts(query: &Grouped, batch: &RecordBatch) -> Starts {
    use datafusion::arrow::{array::AsArray, datatypes::TimestampMillisecondType};
    if query.window.is_none() {
        return Starts::None;
    }
    let start = batch.column(batch.num_columns() - 2).as_primitive::<TimestampMillisecondType>();
    Starts::Each(start.values().to_vec())
}
