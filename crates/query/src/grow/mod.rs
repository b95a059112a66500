//! Aggregates whose state grows with what they have seen.
//!
//! A group has one live state for each of them, updated in place and never copied:
//!
//! ```text
//!   row ──► more(): the bytes it would add
//!             ├─ within `max_group_state` ─► add()
//!             └─ beyond it ────────────────► dead letter, the group goes on without the row
//!   end of the tick ─► settle()      shown ─► value()      checkpoint ─► encode(), decode()
//! ```
//!
//! What is written is the whole state, exactly: one that was read back gives the same values
//! and takes the same rows from then on as the one that was not (INV-2). So [`Growing::bytes`]
//! counts what is in a state, never how much memory happened to be got for it; and sketches
//! whose merges depend on how rows were cut into ticks settle at the end of each tick, where
//! a replay cuts as well.
//!
//! # Layout
//!
//! - `read`: a tick's arguments, in the form that states take them
//! - `distinct`, `mode`: by value, in a hash table
//! - `quantile`: median and exact percentiles
//! - `list`: `array_agg` and `string_agg`
//! - `sketch`: approximations of bounded size
//! - `histogram`: counts by given edges
//! - `functions`: what DataFusion has to know of those that it lacks

mod distinct;
pub(crate) mod functions;
mod histogram;
mod list;
mod mode;
mod quantile;
mod read;
mod sketch;

use std::{fmt::Debug, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, BooleanArray},
        datatypes::DataType,
    },
    common::{Result, ScalarValue},
};

use self::{
    distinct::Distinct,
    histogram::Histogram,
    list::List,
    mode::Mode,
    quantile::Quantile,
    sketch::{Distincts, Percentile},
};
pub(crate) use self::{
    distinct::Sum,
    list::ListRule,
    read::{Input, Kind},
};
use crate::state::block::Reader;

/// The state of one aggregate of one group.
pub(crate) trait Growing: Debug + Send + Sync {
    /// How many bytes it counts for.
    fn bytes(&self) -> usize;

    /// How many bytes more it would count for with this row.
    fn more(&self, input: &Input, row: usize) -> usize;

    /// Takes in a row.
    fn add(&mut self, input: &Input, row: usize);

    /// All rows of the tick are in.
    fn settle(&mut self) {}

    /// The aggregate's value.
    fn value(&self) -> Result<ScalarValue>;

    /// Writes the whole state.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What a growing aggregate computes.
#[derive(Debug, Clone)]
pub(crate) enum Growth {
    /// `count`, `sum` and `avg` of the values that differ.
    Distinct { kind: Kind, sum: Sum },
    /// The value that is most often there.
    Mode { kind: Kind, of: DataType },
    /// The value at a place in the order, such as the median.
    Quantile { at: f64, distinct: bool },
    /// Every value.
    List(Arc<ListRule>),
    /// About the value at a place in the order.
    Percentile { at: f64, centroids: usize },
    /// About how many values differ.
    Distincts { kind: Kind },
    /// How many values are between edges.
    Histogram { edges: Arc<[f64]> },
}

impl Growth {
    /// The state of a group without rows.
    pub(crate) fn start(&self) -> Box<dyn Growing> {
        match self {
            Self::Distinct { sum, .. } => Box::new(Distinct::new(*sum)),
            Self::Mode { kind, of } => Box::new(Mode::new(*kind, of.clone())),
            Self::Quantile { at, distinct } => Box::new(Quantile::new(*at, *distinct)),
            Self::List(rule) => Box::new(List::new(rule.clone())),
            Self::Percentile { at, centroids } => Box::new(Percentile::new(*at, *centroids)),
            Self::Distincts { .. } => Box::new(Distincts::default()),
            Self::Histogram { edges } => Box::new(Histogram::new(edges.clone())),
        }
    }

    /// The inverse of [`Growing::encode`]; `None` if the bytes are not of this form.
    pub(crate) fn decode(&self, input: &mut Reader<'_>) -> Option<Box<dyn Growing>> {
        Some(match self {
            Self::Distinct { kind, sum } => Box::new(Distinct::decode(*kind, *sum, input)?),
            Self::Mode { kind, of } => Box::new(Mode::decode(*kind, of.clone(), input)?),
            Self::Quantile { at, distinct } => Box::new(Quantile::decode(*at, *distinct, input)?),
            Self::List(rule) => Box::new(List::decode(rule.clone(), input)?),
            Self::Percentile { at, centroids } => Box::new(Percentile::decode(*at, *centroids, input)?),
            Self::Distincts { .. } => Box::new(Distincts::decode(input)?),
            Self::Histogram { edges } => Box::new(Histogram::decode(edges.clone(), input)?),
        })
    }

    /// Makes a tick's arguments ready. `filter` is the aggregate's own.
    pub(crate) fn read(&self, args: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Input> {
        match self {
            Self::Distinct { kind, .. } | Self::Mode { kind, .. } => Input::items(&args[0], *kind, filter),
            Self::Quantile { .. } => Input::numbers(&args[0], true, filter),
            Self::Percentile { .. } | Self::Histogram { .. } => Input::numbers(&args[0], false, filter),
            Self::Distincts { kind } => Input::hashes(&args[0], *kind, filter),
            Self::List(rule) => rule.read(args, filter),
        }
    }
}
