//! Queries at work: one tick after the other.

mod assign;
mod changes;
mod grouped;
mod grow;
mod restore;
mod room;
mod show;
mod stateless;

use datafusion::arrow::array::RecordBatch;
use model::{Offset, RowChanges, StateBlock};

use self::{grouped::Groups, stateless::Rows};
use crate::{
    letter::Refused,
    plan::{Kind, Plan},
    state::block::StateError,
};

/// What one tick brings to a query.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// The tick's number.
    pub number: Offset,
    /// The cut's clock, milliseconds since 1970; never falls.
    pub clock: i64,
    /// What arrived, in the stream's schema and the log's order.
    pub batch: Option<&'a RecordBatch>,
    /// The stream's watermark before the tick; `i64::MIN` while there is none. What falls
    /// into windows that end by then is late.
    pub watermark_before: i64,
    /// The stream's watermark after the tick. Windows that end by then are closed.
    pub watermark: i64,
    /// How many dead letters there is room for.
    pub letters: usize,
}

/// What a query makes of a tick.
#[derive(Debug, Default)]
pub struct Output {
    /// What changed, if anything did.
    pub changes: Option<RowChanges>,
    /// Rows that were refused. Their `feed` is empty.
    pub dead: Refused,
}

/// How much work a query has done, for tests: none of it may grow with what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Rows that came in.
    pub rows: u64,
    /// Groups whose state was read or written, once for each tick.
    pub groups_touched: u64,
    /// Groups whose row was made.
    pub groups_shown: u64,
    /// Groups that were released when their window closed or they were idle.
    pub groups_released: u64,
    /// Panes that were looked at, once for each tick and use.
    pub panes_visited: u64,
    /// Blocks handed to a checkpoint.
    pub blocks_written: u64,
}

/// A query at work.
#[derive(Debug)]
pub struct Query {
    plan: Plan,
    state: State,
    counters: Counters,
}

#[derive(Debug)]
enum State {
    Rows(Rows),
    Groups(Box<Groups>),
}

impl Query {
    pub(crate) fn start(plan: Plan) -> Self {
        let state = match &plan.0.kind {
            Kind::Stateless(_) => State::Rows(Rows::default()),
            Kind::Grouped(grouped) => State::Groups(Box::new(Groups::new(grouped))),
        };
        Self { plan, state, counters: Counters::default() }
    }

    pub(crate) fn restore(plan: Plan, blocks: Vec<StateBlock>) -> Result<Self, StateError> {
        let state = match &plan.0.kind {
            Kind::Stateless(_) => State::Rows(Rows::restore(&blocks)?),
            Kind::Grouped(grouped) => State::Groups(Box::new(Groups::restore(grouped, blocks)?)),
        };
        Ok(Self { plan, state, counters: Counters::default() })
    }

    /// Runs one tick. It never fails as a whole: rows on which it fails become dead letters.
    pub fn tick(&mut self, tick: &Tick<'_>) -> Output {
        let mut dead = Refused::new(tick.letters);
        let changes = match (&mut self.state, &self.plan.0.kind) {
            (State::Rows(rows), Kind::Stateless(query)) => {
                rows.tick(&self.plan, query, tick, &mut dead, &mut self.counters)
            }
            (State::Groups(groups), Kind::Grouped(query)) => {
                groups.tick(&self.plan, query, tick, &mut dead, &mut self.counters)
            }
            // `start` and `restore` make the state that the plan asks for.
            _ => None,
        };
        Output { changes, dead }
    }

    /// The clock at which a tick without events has work to do, if any is waiting.
    pub fn due(&self) -> Option<i64> {
        match (&self.state, &self.plan.0.kind) {
            (State::Groups(groups), Kind::Grouped(query)) => groups.due(query),
            _ => None,
        }
    }

    /// What changed since the last call, or since the query was restored.
    pub fn checkpoint(&mut self) -> Vec<StateBlock> {
        match &mut self.state {
            State::Rows(rows) => rows.checkpoint(),
            State::Groups(groups) => groups.checkpoint(&mut self.counters),
        }
    }

    /// How many groups it holds.
    pub fn groups(&self) -> u64 {
        match &self.state {
            State::Rows(_) => 0,
            State::Groups(groups) => groups.live(),
        }
    }

    /// What its groups count for, in bytes: what `max_memory` is compared with. It follows
    /// from what they hold alone.
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Rows(_) => 0,
            State::Groups(groups) => groups.held(),
        }
    }

    /// How much work it has done since it was started or restored.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes on the heap that its groups take, without texts in columns.
    pub fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Rows(_) => 0,
            State::Groups(groups) => groups.heap_bytes(),
        }
    }
}
