//! A logical plan, cut at its aggregate.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, FieldRef},
    common::{
        Column, DFSchema, Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::context::ExecutionProps,
    logical_expr::{
        Aggregate as LogicalAggregate, Expr, LogicalPlan, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::{
        aggregate::{AggregateExprBuilder, AggregateFunctionExpr, LoweredAggregateBuilder},
        create_physical_expr,
        expressions::cast,
    },
};

use super::{growth::growth, sql::Problem};
use crate::{
    aggregate::Aggregate,
    stage::{Chain, Scalar, Stage, checked},
};

/// Steps as DataFusion describes them, from the input to the output.
pub(crate) struct Steps<'a> {
    nodes: Vec<&'a LogicalPlan>,
}

/// A plan in its parts.
pub(crate) struct Split<'a> {
    pub(crate) pre: Steps<'a>,
    pub(crate) aggregate: Option<&'a LogicalAggregate>,
    pub(crate) post: Steps<'a>,
}

/// Cuts a plan at its aggregate.
pub(crate) fn split(plan: &LogicalPlan) -> Result<Split<'_>, Problem> {
    let mut aggregate = None;
    let mut post = Vec::new();
    let mut pre = Vec::new();
    let mut node = plan;
    loop {
        let part = if aggregate.is_some() { &mut pre } else { &mut post };
        node = match node {
            LogicalPlan::Projection(p) => {
                part.push(node);
                &p.input
            }
            LogicalPlan::Filter(f) => {
                part.push(node);
                &f.input
            }
            LogicalPlan::SubqueryAlias(s) => &s.input,
            LogicalPlan::Aggregate(a) if aggregate.is_none() => {
                aggregate = Some(a);
                &a.input
            }
            LogicalPlan::TableScan(_) => {
                part.push(node);
                break;
            }
            LogicalPlan::EmptyRelation(_) => {
                return Err(Problem::new("the query can never have a row")
                    .hint("a condition in WHERE or HAVING is always false; NULL is equal to nothing: write IS NULL"));
            }
            other => {
                let text = other.display().to_string();
                let name = text.split([':', ' ']).next().unwrap_or_default().to_owned();
                return Err(Problem::new(format!("{name} cannot be kept up to date incrementally"))
                    .hint("write one SELECT … FROM … WHERE … GROUP BY … HAVING"));
            }
        };
    }
    if aggregate.is_none() {
        pre = std::mem::take(&mut post);
    }
    pre.reverse();
    post.reverse();
    Ok(Split { pre: Steps { nodes: pre }, aggregate, post: Steps { nodes: post } })
}

impl Steps<'_> {
    /// Ready to run.
    pub(crate) fn lower(&self) -> Result<Chain> {
        let mut stages = Vec::new();
        for node in &self.nodes {
            match node {
                LogicalPlan::TableScan(scan) => {
                    if let Some(columns) = &scan.projection {
                        stages.push(Stage::Columns(columns.clone()));
                    }
                }
                LogicalPlan::Filter(filter) => {
                    stages.push(Stage::Filter(physical(&filter.predicate, filter.input.schema())?));
                }
                LogicalPlan::Projection(projection) => {
                    let input = projection.input.schema();
                    stages.push(Stage::Project {
                        exprs: projection.expr.iter().map(|e| physical(e, input)).collect::<Result<_>>()?,
                        schema: Arc::new(projection.schema.as_arrow().clone()),
                    });
                }
                _ => {}
            }
        }
        Ok(Chain { stages })
    }

    /// Each output column in terms of the input's columns. `input` are those, as the
    /// first step sees them.
    pub(crate) fn compose(&self, input: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut current = input;
        for node in &self.nodes {
            match node {
                LogicalPlan::TableScan(scan) => {
                    if let Some(columns) = &scan.projection {
                        current = columns.iter().map(|c| current[*c].clone()).collect();
                    }
                }
                LogicalPlan::Projection(projection) => {
                    let schema = projection.input.schema();
                    current = projection.expr.iter().map(|e| substitute(e, schema, &current)).collect::<Result<_>>()?;
                }
                _ => {}
            }
        }
        Ok(current)
    }

    /// Whether a step drops rows.
    pub(crate) fn filters(&self) -> bool {
        self.nodes.iter().any(|n| matches!(n, LogicalPlan::Filter(_)))
    }
}

fn substitute(expr: &Expr, schema: &DFSchema, with: &[Expr]) -> Result<Expr> {
    let expr = expr
        .clone()
        .transform(|e| match &e {
            Expr::Column(column) => Ok(Transformed::yes(with[schema.index_of_column(column)?].clone())),
            _ => Ok(Transformed::no(e)),
        })
        .data()?;
    Ok(expr.unalias())
}

/// The columns of a schema as expressions.
pub(crate) fn columns(schema: &DFSchema) -> Vec<Expr> {
    schema.iter().map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name()))).collect()
}

/// An expression ready to run.
pub(crate) fn physical(expr: &Expr, schema: &DFSchema) -> Result<Scalar> {
    let props = ExecutionProps::new();
    checked(create_physical_expr(expr, schema, &props, &PhysicalPlanningContext::default())?)
}

/// The aggregates ready to run, or why one cannot be.
pub(crate) fn aggregates(aggregate: &LogicalAggregate) -> Result<Vec<Result<Aggregate, Problem>>> {
    let schema = aggregate.input.schema();
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let outputs = aggregate.schema.fields().iter().skip(aggregate.group_expr.len());
    let lower = |(expr, field): (&Expr, &FieldRef)| {
        let lowered = LoweredAggregateBuilder::new(expr, schema, schema.as_arrow(), &props, &context).build()?;
        let function = first_or_last_of_booleans(lowered.aggregate, schema)?;
        let ordered = function.order_bys().iter().map(|o| o.expr.clone());
        let args = function.expressions().into_iter().chain(ordered).map(checked).collect::<Result<_>>()?;
        let filter = lowered.filter.map(checked).transpose()?;
        let output = field.data_type().clone();
        match growth(&function, schema.as_arrow()) {
            Err(problem) => Ok(Err(problem)),
            Ok(Some(growth)) => Ok(Ok(Aggregate::growing(growth, args, filter, output))),
            Ok(None) => Aggregate::new(function, args, filter, output).map(Ok),
        }
    };
    aggregate.aggr_expr.iter().zip(outputs).map(lower).collect()
}

/// `first_value` and `last_value` of booleans run over bytes. DataFusion computes those of
/// booleans alone with one accumulator a group, which settles ties by how events were
/// cut into ticks.
fn first_or_last_of_booleans(
    function: Arc<AggregateFunctionExpr>,
    schema: &DFSchema,
) -> Result<Arc<AggregateFunctionExpr>> {
    let name = function.fun().name();
    if function.field().data_type() != &DataType::Boolean || !matches!(name, "first_value" | "last_value") {
        return Ok(function);
    }
    let args = function
        .expressions()
        .into_iter()
        .map(|e| cast(e, schema.as_arrow(), DataType::Int8))
        .collect::<Result<Vec<_>>>()?;
    let over_bytes = AggregateExprBuilder::new(Arc::new(function.fun().clone()), args)
        .order_by(function.order_bys().to_vec())
        .schema(Arc::new(schema.as_arrow().clone()))
        .alias(function.name())
        .with_ignore_nulls(function.ignore_nulls())
        .build()?;
    Ok(Arc::new(over_bytes))
}
