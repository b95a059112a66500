//! DataFusion, set up for planning alone.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use datafusion::{
    catalog::TableProvider,
    common::{Result, TableReference, config::Dialect, internal_err},
    datasource::empty::EmptyTable,
    execution::{FunctionRegistry, SessionStateBuilder, context::SessionContext, session_state::SessionState},
    logical_expr::LogicalPlan,
    optimizer::{
        OptimizerRule, eliminate_filter::EliminateFilter, optimize_projections::OptimizeProjections,
        push_down_filter::PushDownFilter, simplify_expressions::SimplifyExpressions,
    },
    prelude::SessionConfig,
    sql::{parser::Statement as DfStatement, sqlparser::ast::Statement},
};

use super::json;
use crate::grow::functions::functions;

/// The major version of DataFusion. It decides what states look like.
pub(crate) const DATAFUSION: &str = "55";

/// A session with every function and no table.
///
/// The rules are those that keep a plan a chain of filters, projections and one
/// aggregate; others would turn it into something that cannot be split.
pub(crate) fn session() -> SessionState {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    let builder = SessionStateBuilder::new().with_config(config()).with_default_features();
    let mut state = builder.with_optimizer_rules(rules).build();
    register(&mut state);
    state
}

/// How SQL is read everywhere.
pub(crate) fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.sql_parser.dialect = Dialect::PostgreSQL;
    // Text is Utf8 in every batch; views would be cast back and forth.
    options.sql_parser.map_string_types_to_utf8view = false;
    config
}

/// Adds the functions of ours.
fn register(state: &mut SessionState) {
    for function in functions() {
        // It only fails where functions cannot be registered at all.
        let _ = state.register_udaf(function);
    }
    register_scalars(state);
}

/// Adds those of one row. The aggregates of ours need the state that a feed keeps.
pub(crate) fn register_scalars(state: &mut SessionState) {
    let _ = json::register(state);
}

/// Plans a statement over one table, and optimises it.
pub(crate) fn optimized(
    state: &SessionState,
    statement: Statement,
    table: &str,
    schema: datafusion::arrow::datatypes::SchemaRef,
) -> Result<LogicalPlan> {
    let context = SessionContext::new_with_state(state.clone());
    let provider: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(schema));
    // The catalog is the state's, which may have planned before.
    context.deregister_table(TableReference::bare(table))?;
    context.register_table(TableReference::bare(table), provider)?;
    let plan = ready(context.state().statement_to_plan(DfStatement::Statement(Box::new(statement))))??;
    state.optimize(&plan)
}

/// The result of a future that never waits: planning is async in its signature alone.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => internal_err!("planning waited for something"),
    }
}
