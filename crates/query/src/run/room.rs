//! What the groups of a query count for, and whether there is room for more.
//!
//! Bytes are counted from what is held, and not asked of the allocator: a replay of the same
//! ticks, from any checkpoint, comes to the same number, and so refuses the same rows (INV-2).

use datafusion::arrow::array::RecordBatch;
use model::Reason;

use crate::{letter::Refused, plan::Grouped, state::column::Columns};

/// A key's hash, its count of panes, and its place in the index.
const KEY: usize = 16;
/// A group's key, flags, and place in its window's index.
const IN_WINDOW: usize = 16;
/// A group's flags, and its place among the idle.
const IDLE: usize = 32;

/// What a key and a group of a query count for, texts and what grows aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) key: usize,
    pub(crate) group: usize,
    /// Whether a group that is there already may come to hold more, without growing states.
    pub(crate) texts: bool,
}

impl Costs {
    pub(crate) fn of(query: &Grouped) -> Self {
        let keys: Vec<_> = query.key_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let newest = if query.newest_only { size_of::<i64>() } else { 0 };
        Self {
            key: KEY + newest + Columns::counted_bytes(&keys),
            group: if query.window.is_some() { IN_WINDOW } else { IDLE } + Columns::counted_bytes(&query.state_types),
            texts: Columns::have_texts(&query.state_types),
        }
    }
}

/// What a tick may still add.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) groups: u64,
    pub(super) bytes: usize,
}

impl Room {
    /// Room for everything.
    pub(super) const ENDLESS: Self = Self { groups: u64::MAX, bytes: usize::MAX };

    /// Takes the room of one more group; the reason if there is none.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        if self.groups == 0 {
            return Err(Reason::TooManyGroups);
        }
        self.take_bytes(bytes)?;
        self.groups -= 1;
        Ok(())
    }

    /// Takes room in a group that is there; the reason if there is none.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), Reason> {
        // Nothing may be added once nothing is left, whatever it counts for.
        self.bytes = match self.bytes.checked_sub(bytes) {
            Some(left) if self.bytes > 0 => left,
            _ => return Err(Reason::FeedTooLarge),
        };
        Ok(())
    }
}

/// Refuses a row that there is no room for.
pub(super) fn refuse(query: &Grouped, reason: Reason, batch: &RecordBatch, row: usize, dead: &mut Refused) {
    let message = || match reason {
        Reason::TooManyGroups => format!("the query holds {} groups already: `max_groups`", query.max_groups),
        Reason::FeedTooLarge => {
            format!("the query's groups hold {} bytes already, their part of `max_memory`", query.max_memory)
        }
        _ => format!("its group would remember more than {} bytes: `max_group_state`", query.max_group_state),
    };
    dead.push(reason, message, batch, row);
}
