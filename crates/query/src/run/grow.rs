//! Rows into states that grow, as far as `max_group_state` lets them.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, new_empty_array},
        compute::{cast, filter},
        datatypes::DataType,
    },
    common::{Result, ScalarValue, internal_err},
};
use model::Reason;

use super::{
    assign::Locals,
    grouped::{Found, Groups, NONE, Prepared},
    room::Room,
    show::Pick,
};
use crate::{
    plan::Grouped,
    state::grown::{Group, Grown},
};

/// What a tick's rows did to states that grow.
pub(super) struct Grew {
    /// The states of groups that are new, by the tick's number of the group.
    pub(super) fresh: Vec<Option<Group>>,
    /// The rows that a group has no room for.
    pub(super) too_large: Vec<(usize, Reason)>,
    /// Those, and the rows of groups that there is no room for; empty if there are none.
    pub(super) refused: Vec<bool>,
}

impl Groups {
    /// Takes rows into the states that grow, in the log's order.
    pub(super) fn grow(&mut self, query: &Grouped, prepared: &Prepared, locals: &Locals, found: &mut Found) -> Grew {
        let mut panes: Vec<Option<Grown>> =
            locals.windows.iter().map(|start| self.panes.get_mut(start).and_then(|pane| pane.grown.take())).collect();
        let before: Vec<usize> = panes.iter().map(|grown| grown.as_ref().map_or(0, Grown::bytes)).collect();
        let mut grew =
            Grew { fresh: locals.groups.iter().map(|_| None).collect(), too_large: Vec::new(), refused: Vec::new() };
        for (row, local) in locals.of_row.iter().enumerate() {
            let mut taken = false;
            if !found.refuses(*local) {
                let fresh = &mut grew.fresh[*local];
                let group = match (found.slots[*local], &mut panes[locals.groups[*local].window]) {
                    (slot, Some(grown)) if slot != NONE => grown.get_mut(slot),
                    _ => Some(fresh.get_or_insert_with(|| Group::start(query.growths()))),
                };
                let took = group.map_or(Err(Reason::GroupTooLarge), |group| {
                    take(group, prepared, row, query.max_group_state, &mut found.room)
                });
                match took {
                    Ok(()) => taken = true,
                    Err(reason) => grew.too_large.push((row, reason)),
                }
            }
            if !taken {
                grew.refused.resize(locals.of_row.len(), false);
                grew.refused[row] = true;
            }
        }
        for (number, local) in locals.groups.iter().enumerate() {
            let settle = |group: &mut Group| group.states.iter_mut().for_each(|state| state.settle());
            match (found.slots[number], &mut panes[local.window]) {
                (slot, Some(grown)) if slot != NONE => {
                    if let Some(group) = grown.get_mut(slot) {
                        settle(group);
                    }
                    grown.touched(slot);
                }
                _ => grew.fresh[number].iter_mut().for_each(settle),
            }
        }
        for ((start, grown), before) in locals.windows.iter().zip(panes).zip(before) {
            if let Some(pane) = self.panes.get_mut(start) {
                self.in_panes = self.in_panes + grown.as_ref().map_or(0, Grown::bytes) - before;
                pane.grown = grown;
            }
        }
        grew
    }

    /// The values of the n-th aggregate that grows, a row for each pick.
    pub(super) fn grown_values(&self, index: usize, output: &DataType, picks: &[Pick]) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(picks.len());
        for (start, slot) in picks {
            let group = self.panes.get(start).and_then(|pane| pane.grown.as_ref()?.get(*slot));
            match group.and_then(|group| group.states.get(index)) {
                Some(state) => values.push(state.value()?),
                None => return internal_err!("a group without the state of an aggregate"),
            }
        }
        if values.is_empty() {
            return Ok(new_empty_array(output));
        }
        let values = ScalarValue::iter_to_array(values)?;
        if values.data_type() == output { Ok(values) } else { Ok(cast(&values, output)?) }
    }
}

/// Takes a row into all states of its group, or into none if there is no room: in the group,
/// or in the feed.
fn take(group: &mut Group, prepared: &Prepared, row: usize, max: usize, room: &mut Room) -> Result<(), Reason> {
    let each = || group.states.iter().zip(&prepared.inputs).filter(|(_, input)| input.counts(row));
    let more: usize = each().map(|(state, input)| state.more(input, row)).sum();
    if more > 0 {
        if group.bytes() + more > max {
            return Err(Reason::GroupTooLarge);
        }
        room.take_bytes(more)?;
    }
    for (state, input) in group.states.iter_mut().zip(&prepared.inputs) {
        if input.counts(row) {
            state.add(input, row);
        }
    }
    Ok(())
}

impl Prepared {
    /// The rows without those that are refused; none if there are none. Aggregates that grow
    /// have taken theirs.
    pub(super) fn without(&self, refused: &[bool]) -> Result<Option<Self>> {
        if refused.is_empty() {
            return Ok(None);
        }
        let mask: BooleanArray = refused.iter().map(|refused| Some(!refused)).collect();
        let kept = |arrays: &[ArrayRef]| arrays.iter().map(|a| filter(a, &mask)).collect::<Result<Vec<_>, _>>();
        let condition = |old: &BooleanArray| Ok(filter(old, &mask)?.as_boolean().clone());
        let mut passed = self.passed.clone();
        passed.keep(&mask)?;
        Ok(Some(Self {
            passed,
            keys: kept(&self.keys)?,
            args: self.args.iter().map(|args| kept(args)).collect::<Result<_, _>>()?,
            filters: self.filters.iter().map(|f| f.as_ref().map(condition).transpose()).collect::<Result<_>>()?,
            inputs: Vec::new(),
        }))
    }
}

/// The new groups' states, by the numbers that the groups have once refused rows are gone.
pub(super) fn moved(
    mut fresh: Vec<Option<Group>>,
    before: &Locals,
    after: &Locals,
    refused: &[bool],
) -> Vec<Option<Group>> {
    let mut moved: Vec<Option<Group>> = after.groups.iter().map(|_| None).collect();
    let kept = before.of_row.iter().zip(refused).filter(|(_, refused)| !**refused).map(|(local, _)| *local);
    for (old, new) in kept.zip(&after.of_row) {
        if let Some(group) = fresh[old].take() {
            moved[*new] = Some(group);
        }
    }
    moved
}
