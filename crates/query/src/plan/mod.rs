//! SQL to a [`Plan`], or every reason why not.

mod culprit;
pub(crate) mod expressions;
mod growth;
mod json;
pub(crate) mod names;
pub(crate) mod output;
pub(crate) mod parse;
pub(crate) mod planner;
pub(crate) mod session;
mod split;
pub(crate) mod sql;
pub(crate) mod told;
mod window;

use std::sync::Arc;

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::{DataType as Arrow, SchemaRef},
};
use model::{FeedSchema, StateBlock};

pub(crate) use self::{output::Finish, output::SEQ, window::Tumble};
use self::{planner::Planner, sql::Problem};
use crate::{
    aggregate::Aggregate,
    define::{Emit, FeedDef, Part, QueryError, StreamDef},
    grow::Growth,
    run::Query,
    stage::{Chain, Scalar},
    state::block::StateError,
};

/// A planned query. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plan(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) stream: String,
    pub(crate) output: FeedSchema,
    pub(crate) fingerprint: String,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Stateless(Stateless),
    Grouped(Box<Grouped>),
}

/// A query whose rows each come from one event.
#[derive(Debug)]
pub(crate) struct Stateless {
    pub(crate) chain: Chain,
    pub(crate) finish: Finish,
    /// Over the feed's columns.
    pub(crate) delete_when: Option<Scalar>,
}

/// A column of GROUP BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupColumn {
    WindowStart,
    WindowEnd,
    /// The n-th column of the groups' keys.
    Key(usize),
}

/// The windows of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) tumble: Tumble,
    /// The stream's column that windows go by.
    pub(crate) time: usize,
}

/// A query whose rows each come from the events of a group.
#[derive(Debug)]
pub(crate) struct Grouped {
    pub(crate) window: Option<Window>,
    pub(crate) emit: Emit,
    pub(crate) refresh_ms: i64,
    pub(crate) max_groups: u64,
    pub(crate) max_group_state: usize,
    pub(crate) max_memory: usize,
    pub(crate) idle_ttl_ms: i64,
    pub(crate) pre: Chain,
    /// Every GROUP BY column, in order.
    pub(crate) groups: Vec<GroupColumn>,
    /// The GROUP BY columns that are not the window's, over what `pre` yields.
    pub(crate) keys: Vec<Scalar>,
    /// Their types.
    pub(crate) key_schema: SchemaRef,
    pub(crate) aggregates: Vec<Aggregate>,
    /// The types of all states, one aggregate after the other.
    pub(crate) state_types: Vec<Arrow>,
    /// The GROUP BY columns, then the aggregates: what `post` takes.
    pub(crate) post_schema: SchemaRef,
    pub(crate) post: Chain,
    pub(crate) finish: Finish,
    /// The feed's key over the GROUP BY columns alone.
    pub(crate) feed_key: Vec<Scalar>,
    pub(crate) feed_key_schema: SchemaRef,
    /// The GROUP BY columns alone.
    pub(crate) group_schema: SchemaRef,
    /// The feed's key leaves the window out: only the newest window's row is shown.
    pub(crate) newest_only: bool,
}

impl Grouped {
    /// The aggregates whose state grows.
    pub(crate) fn growths(&self) -> impl Iterator<Item = &Growth> {
        self.aggregates.iter().filter_map(Aggregate::growth)
    }
}

/// Planning recurses once for each level of an expression, by some 20 KiB in a debug build,
/// and the text may nest 100 levels deep. A stack of its own makes that independent of
/// who asks.
const STACK: usize = 32 << 20;

/// Plans a feed's query over these streams; every problem that can be found at once.
pub fn plan(streams: &[StreamDef], feed: &FeedDef) -> Result<Plan, Vec<QueryError>> {
    let unavailable = |what: &str| {
        let problem = Problem::new(format!("the query could not be planned: {what}"));
        vec![problem.hint("this is a fault of tidewire, not of the query").error(Part::Sql)]
    };
    std::thread::scope(|scope| {
        let planning = std::thread::Builder::new()
            .name("plan".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || plan_here(streams, feed))
            .map_err(|e| unavailable(&e.to_string()))?;
        planning.join().unwrap_or_else(|_| Err(unavailable("the planner panicked")))
    })
}

fn plan_here(streams: &[StreamDef], feed: &FeedDef) -> Result<Plan, Vec<QueryError>> {
    let state = session::session();
    let mut problems = Vec::new();
    let parsed = sql::parse(&feed.sql, streams, &state, &mut problems);
    let errors: Vec<QueryError> = problems.into_iter().map(|p| p.error(Part::Sql)).collect();
    match parsed {
        Some(parsed) if errors.is_empty() => Planner { feed, stream: &streams[parsed.stream], state }.plan(&parsed),
        _ => Err(deduplicated(errors)),
    }
}

/// One error of a kind is enough: a misspelt column is often named twice.
fn deduplicated(errors: Vec<QueryError>) -> Vec<QueryError> {
    let mut kept: Vec<QueryError> = Vec::new();
    for error in errors {
        if !kept.iter().any(|k| k.message == error.message) {
            kept.push(error);
        }
    }
    kept
}

impl Plan {
    /// The one stream it reads.
    pub fn stream(&self) -> &str {
        &self.0.stream
    }

    /// The feed it makes, the key's columns first.
    pub fn output(&self) -> &FeedSchema {
        &self.0.output
    }

    /// Whether the times of its rows are ends of windows, in event time; else they are
    /// readings of the cut's clock.
    pub fn windowed(&self) -> bool {
        matches!(&self.0.kind, Kind::Grouped(grouped) if grouped.window.is_some())
    }

    /// Whether each of its rows comes from one event.
    pub fn stateless(&self) -> bool {
        matches!(self.0.kind, Kind::Stateless(_))
    }

    /// State of a plan with another fingerprint is not this plan's.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The query with no events yet.
    pub fn start(&self) -> Query {
        Query::start(self.clone())
    }

    /// The query as a checkpoint left it. `blocks` are the newest of each id.
    pub fn restore(&self, blocks: Vec<StateBlock>) -> Result<Query, StateError> {
        Query::restore(self.clone(), blocks)
    }

    /// No rows, in the schema of the feed's key.
    pub(crate) fn no_deletes(&self) -> RecordBatch {
        RecordBatch::new_empty(self.0.output.key_arrow())
    }
}
