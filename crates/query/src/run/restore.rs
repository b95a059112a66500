//! Groups from the blocks of a checkpoint.

use model::StateBlock;

use super::grouped::{Groups, ONLY};
use crate::{
    grow::Growth,
    plan::Grouped,
    state::{
        block::{self, Kind, StateError},
        pane::Pane,
    },
};

impl Groups {
    /// The groups as the checkpoint left them.
    pub(crate) fn restore(query: &Grouped, blocks: Vec<StateBlock>) -> Result<Self, StateError> {
        let mut groups = Self::new(query);
        let mut parts = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let Some(data) = &block.data else { continue };
            let (kind, start, chunk) = block::parse_id(&block.id).ok_or(StateError::Damaged("its id"))?;
            parts.push((kind, start, chunk, data));
        }
        // Keys before the groups that hold them, chunks in their order.
        parts.sort_unstable_by_key(|(kind, start, chunk, _)| (order(*kind), *start, *chunk));
        let growths: Vec<&Growth> = query.growths().collect();
        let mut seen = Vec::new();
        for (kind, start, chunk, data) in parts {
            let mut input = block::open(data)?;
            match kind {
                Kind::Meta => {
                    let shown =
                        input.i64().filter(|_| input.is_empty()).ok_or(StateError::Damaged("the query's clock"))?;
                    groups.last_shown = (shown != i64::MIN).then_some(shown);
                }
                Kind::Keys => groups.keys.restore(chunk, input)?,
                Kind::Pane => {
                    if let Some(window) = query.window {
                        if window.tumble.start(start) != Some(start) {
                            return Err(StateError::Damaged("a window that is none"));
                        }
                    } else if start != ONLY {
                        return Err(StateError::Damaged("a window where there is none"));
                    }
                    groups.pane(query, start);
                    let Some(pane) = groups.panes.get_mut(&start) else { continue };
                    groups.live += pane.restore(chunk, input, &mut groups.keys, &mut seen)?;
                    if !pane.pending.is_empty() {
                        groups.pending.insert(start);
                    }
                }
                Kind::Grown | Kind::Large => {
                    let pane = groups.panes.get_mut(&start);
                    let Some((len, grown)) = pane.and_then(|pane| Some((pane.len(), pane.grown.as_mut()?))) else {
                        return Err(StateError::Damaged("what groups remember, without the groups"));
                    };
                    grown.restore(kind, chunk, len, &growths, input)?;
                }
            }
        }
        if !groups.panes.values().all(Pane::is_whole) {
            return Err(StateError::Damaged("groups that remember nothing"));
        }
        groups.keys.finish_restore()?;
        groups.in_panes = groups.panes.values().map(Pane::held).sum();
        seen.sort_unstable();
        if let Some(idle) = groups.panes.get_mut(&ONLY).and_then(|pane| pane.idle.as_mut()) {
            for (clock, slot) in seen {
                idle.add(slot, clock);
            }
        }
        Ok(groups)
    }
}

fn order(kind: Kind) -> u8 {
    match kind {
        Kind::Meta => 0,
        Kind::Keys => 1,
        Kind::Pane => 2,
        Kind::Grown | Kind::Large => 3,
    }
}
