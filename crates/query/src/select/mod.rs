//! A pull query: one SELECT over the rows of one feed, run to its end.
//!
//! What may be asked is told by the plan, not by the text: one scan of one feed, and above it
//! only what reads. So there is no way to a file, a setting or another table, whatever the SQL
//! of DataFusion learns. The rows come in as a stream and are read once, so that a SELECT holds
//! what its operators must remember and not the whole feed.
//!
//! - [`Select::plan`]: SQL over feeds to something that can be run
//! - `table`: a feed as a table that is read once
//! - `answer`: the answer's columns, in types that feeds have

mod answer;
mod table;

use std::{ops::ControlFlow, sync::Arc};

use datafusion::{
    arrow::{array::RecordBatch, error::ArrowError},
    common::{TableReference, tree_node::TreeNodeRecursion},
    error::DataFusionError,
    execution::{
        SessionStateBuilder, TaskContext,
        context::SessionContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
        session_state::SessionState,
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, execute_stream},
    sql::{
        parser::Statement as DfStatement,
        sqlparser::ast::{Query, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor},
    },
};
use futures_util::StreamExt;
use model::{Column, FeedSchema};

use self::{answer::Answer, table::Rows};
use crate::{
    define::{Part, QueryError},
    plan::{
        expressions::{Names, keep_names},
        names::{nearest, suggest},
        parse::read_statements,
        session,
        sql::{Problem, is_too_deep, name_columns, too_deep},
        told::{from_datafusion, no_column},
    },
};

/// Rows of a batch: between two of them a query that is no longer wanted can be dropped.
const BATCH_ROWS: usize = 1024;

/// What a pull query may take.
#[derive(Debug, Clone, Copy)]
pub struct SelectLimits {
    /// Bytes that its operators may remember, and bytes of the answer.
    pub memory: usize,
    /// Rows of the answer; what is beyond them is left out.
    pub rows: usize,
}

/// Why a pull query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// It is none that can be asked.
    #[error(transparent)]
    Refused(#[from] QueryError),
    /// It needs more memory than it may have.
    #[error("the query needs more than {limit} bytes")]
    TooLarge {
        /// How much it may have.
        limit: usize,
    },
    /// It failed on a value: a division by zero, a cast, or a feed's rows that broke off.
    #[error("{0}")]
    Failed(String),
}

/// The answer to a pull query.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The rows, in the schema of [`Select::columns`].
    pub batches: Vec<RecordBatch>,
    /// How many rows they are.
    pub rows: usize,
    /// Whether there were more.
    pub truncated: bool,
}

/// A pull query that can be run.
#[derive(Debug)]
pub struct Select {
    feed: usize,
    rows: Arc<Rows>,
    plan: LogicalPlan,
    answer: Answer,
    state: SessionState,
}

impl Select {
    /// Plans one SELECT over one of these feeds.
    pub fn plan(sql: &str, feeds: &[FeedSchema]) -> Result<Self, QueryError> {
        plan(sql, feeds).map_err(|problem| problem.error(Part::Sql))
    }

    /// The feed that it reads, as an index into those it was planned over.
    pub fn feed(&self) -> usize {
        self.feed
    }

    /// The columns of its answer.
    pub fn columns(&self) -> &[Column] {
        self.answer.columns()
    }

    /// Runs it over the feed's rows, in the feed's schema. Needs a runtime of tokio around it.
    pub async fn run(
        self,
        rows: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
        limits: SelectLimits,
    ) -> Result<Selected, SelectError> {
        let failed = |error: DataFusionError| failure(&error, limits.memory);
        self.rows.fill(Box::new(rows));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(failed)?;
        let state = SessionStateBuilder::new_from_existing(self.state).with_runtime_env(runtime).build();
        let physical: Arc<dyn ExecutionPlan> = state.create_physical_plan(&self.plan).await.map_err(failed)?;
        let mut stream = execute_stream(physical, Arc::new(TaskContext::from(&state))).map_err(failed)?;
        let mut selected = Selected { batches: Vec::new(), rows: 0, truncated: false };
        let mut bytes = 0;
        while let Some(batch) = stream.next().await {
            let batch = self.answer.batch(&batch.map_err(failed)?).map_err(failed)?;
            let room = limits.rows - selected.rows;
            selected.truncated = batch.num_rows() > room;
            let batch = if selected.truncated { batch.slice(0, room) } else { batch };
            bytes += own_bytes(&batch);
            if bytes > limits.memory {
                return Err(SelectError::TooLarge { limit: limits.memory });
            }
            selected.rows += batch.num_rows();
            selected.batches.push(batch);
            if selected.truncated {
                break;
            }
        }
        Ok(selected)
    }
}

/// What the rows of a batch take. It may be a slice of one that is far larger.
fn own_bytes(batch: &RecordBatch) -> usize {
    // What cannot be told counts whole.
    let own = |array: &datafusion::arrow::array::ArrayRef| {
        array.to_data().get_slice_memory_size().unwrap_or(array.get_array_memory_size())
    };
    batch.columns().iter().map(own).sum()
}

fn failure(error: &DataFusionError, limit: usize) -> SelectError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => SelectError::TooLarge { limit },
        _ => SelectError::Failed(from_datafusion(error, Part::Sql).message),
    }
}

fn plan(sql: &str, feeds: &[FeedSchema]) -> Result<Select, Problem> {
    let mut statement = read(sql)?;
    let columns = feeds.iter().flat_map(|f| &f.schema.columns).map(|c| c.name.as_str()).collect();
    let names = Names { columns, aliases: [].into(), tables: [].into(), windowed: false, stream: "", time: None };
    keep_names(&mut statement, &names);
    if let Statement::Query(query) = &mut statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        name_columns(select);
    }
    let mut options = session::config();
    options = options.with_batch_size(BATCH_ROWS);
    // Without functions that are tables: a feed is the one thing that has rows.
    let builder = SessionStateBuilder::new().with_config(options).with_default_features();
    let mut state = builder.with_table_functions([].into()).build();
    session::register_scalars(&mut state);
    let context = SessionContext::new_with_state(state);
    let tables: Vec<Arc<Rows>> = feeds.iter().map(|f| Rows::new(f.schema.to_arrow())).collect();
    for (feed, rows) in feeds.iter().zip(&tables) {
        let registered =
            rows.table().and_then(|table| context.register_table(TableReference::bare(&*feed.name), table));
        registered.map_err(|e| problem(&e, feeds))?;
    }
    let state = context.state();
    let planned = session::ready(state.statement_to_plan(DfStatement::Statement(Box::new(statement))));
    let plan = planned.and_then(|plan| plan).map_err(|e| problem(&e, feeds))?;
    let name = scanned(&plan)?;
    let feed = feeds.iter().position(|f| f.name == name).ok_or_else(|| unknown(&name, feeds))?;
    let answer = Answer::of(plan.schema()).map_err(|column| {
        Problem::new(format!("column `{column}` has a type that an answer has no form for"))
            .hint("take its parts, or cast(… AS text)")
    })?;
    Ok(Select { feed, rows: Arc::clone(&tables[feed]), plan, answer, state })
}

/// One SELECT, not too deep for what recurses over it.
fn read(sql: &str) -> Result<Statement, Problem> {
    let mut statements = read_statements(sql)?;
    let [statement] = statements.as_slice() else {
        let problem = Problem::new(format!("a query is one SELECT, found {} statements", statements.len()));
        return Err(problem.hint("write SELECT … FROM a feed"));
    };
    let Statement::Query(query) = statement else {
        return Err(Problem::new("a query is a SELECT, found another statement: feeds are only read here")
            .hint("write SELECT … FROM a feed")
            .at(statement.span()));
    };
    if is_too_deep(query) {
        return Err(too_deep());
    }
    if let ControlFlow::Break(clause) = query.visit(&mut Unheeded) {
        return Err(Problem::new(format!("a query has no {clause}")).hint("leave it out"));
    }
    Ok(statements.remove(0))
}

/// Finds clauses of which the plan would say nothing: what is not done must not pass for done.
struct Unheeded;

impl Visitor for Unheeded {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if query.locks.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break("FOR UPDATE or FOR SHARE") }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<&'static str> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break("TABLESAMPLE")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The one table that a plan scans; everything else in it only reads.
fn scanned(plan: &LogicalPlan) -> Result<String, Problem> {
    let mut scans = Vec::new();
    let mut refused = None;
    // Everything that is not listed is refused: what DataFusion learns is not let in by itself.
    let walked = plan.apply_with_subqueries(|node| {
        refused = match node {
            LogicalPlan::TableScan(scan) => {
                scans.push(scan.table_name.table().to_owned());
                None
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::EmptyRelation(_) => None,
            LogicalPlan::Join(_) => Some("a join"),
            LogicalPlan::Union(_) => Some("a UNION"),
            LogicalPlan::Subquery(_) => Some("a SELECT within an expression"),
            LogicalPlan::RecursiveQuery(_) => Some("a recursive query"),
            LogicalPlan::Values(_) => Some("VALUES"),
            LogicalPlan::Unnest(_) => Some("unnest()"),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => Some("EXPLAIN"),
            _ => Some("this statement"),
        };
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|e| from_datafusion(&e, Part::Sql)).map_err(|e| Problem::new(e.message))?;
    let hint = "write one SELECT over one feed: WHERE, GROUP BY, HAVING, DISTINCT, ORDER BY and LIMIT are read";
    if let Some(what) = refused {
        return Err(Problem::new(format!("{what} is not read by a query")).hint(hint));
    }
    match scans.as_slice() {
        [table] => Ok(table.clone()),
        [] => Err(Problem::new("the query reads no feed").hint("name one behind FROM")),
        _ => {
            Err(Problem::new(format!("a query reads one feed once, and this one reads {}", scans.join(", ")))
                .hint(hint))
        }
    }
}

fn unknown(name: &str, feeds: &[FeedSchema]) -> Problem {
    let names = feeds.iter().map(|f| f.name.as_str());
    Problem::new(format!("there is no feed `{name}`")).hint(suggest(name, "feeds", names))
}

/// What DataFusion says, in words of feeds.
fn problem(error: &DataFusionError, feeds: &[FeedSchema]) -> Problem {
    let told = from_datafusion(error, Part::Sql);
    if let Some(name) = missing(&told.message, "table '", "' not found") {
        return unknown(name.rsplit('.').next().unwrap_or(name), feeds);
    }
    if let Some(name) = missing(&told.message, "able function '", "' not found") {
        return Problem::new(format!("there is no function {name}() that could stand behind FROM"))
            .hint("name a feed there: its windows are columns already");
    }
    let told = Problem::from_error(told);
    match no_column(error) {
        Some(name) => {
            let columns = feeds.iter().flat_map(|f| &f.schema.columns).map(|c| c.name.as_str());
            let hint = nearest(&name, columns).map(|near| format!("did you mean `{near}`?"));
            let told = told.says(format!("there is no column `{name}`"));
            match hint {
                Some(hint) => told.hint(hint),
                None => told,
            }
        }
        None => told,
    }
}

fn missing<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once(after).map(|(name, _)| name)
}
