//! From DataFusion's description of an aggregate to a [`Growth`], where its state grows.

use std::sync::Arc;

use datafusion::{
    arrow::{
        compute::SortOptions,
        datatypes::{DataType, Schema as ArrowSchema},
        row::SortField,
    },
    common::ScalarValue,
    physical_expr::{
        ScalarFunctionExpr,
        aggregate::AggregateFunctionExpr,
        expressions::{Column as ColumnExpr, Literal},
    },
};
use model::{Column, schema::is_json};

use super::{json::makes_json, output::widened, sql::Problem};
use crate::{
    grow::{Growth, Kind, ListRule, Sum},
    stage::Scalar,
};

/// How many centroids a t-digest has unless said.
const CENTROIDS: usize = 100;
/// How many edges a histogram may have.
const MAX_EDGES: usize = 1000;

/// How the aggregate grows; `None` if its state has a fixed width.
pub(super) fn growth(function: &AggregateFunctionExpr, schema: &ArrowSchema) -> Result<Option<Growth>, Problem> {
    let args = function.expressions();
    let name = function.fun().name();
    let distinct = function.is_distinct();
    let Some(value) = args.first() else { return Ok(None) };
    let of = value.data_type(schema).unwrap_or(DataType::Null);
    let descending = function.order_bys().first().is_some_and(|sort| sort.options.descending);
    let kind = || {
        Kind::of(&of).ok_or_else(|| {
            Problem::new(format!("{name}() cannot tell values of type {of} apart")).hint("write cast(… AS text)")
        })
    };
    Ok(Some(match name {
        "count" | "sum" | "avg" if distinct => {
            if args.len() > 1 {
                return Err(Problem::new(format!("{name}(DISTINCT …) takes one value, found {}", args.len()))
                    .hint("put them together, as in count(DISTINCT concat_ws('|', a, b))"));
            }
            let sum = match (name, function.field().data_type()) {
                ("count", _) => Sum::Count,
                ("avg", DataType::Float64) => Sum::Avg,
                ("sum", DataType::Float64) => Sum::Double,
                ("sum", DataType::Int64) => Sum::Signed,
                ("sum", DataType::UInt64) => Sum::Unsigned,
                (_, other) => {
                    return Err(Problem::new(format!("{name}(DISTINCT …) cannot add values of type {other}"))
                        .hint("write cast(… AS double)"));
                }
            };
            Growth::Distinct { kind: kind()?, sum }
        }
        "median" => Growth::Quantile { at: 0.5, distinct },
        "percentile_cont" => Growth::Quantile { at: fraction(name, args.get(1), descending)?, distinct },
        "mode" => Growth::Mode { kind: kind()?, of },
        "approx_distinct" => Growth::Distincts { kind: kind()? },
        "approx_median" => Growth::Percentile { at: 0.5, centroids: CENTROIDS },
        "approx_percentile_cont" => {
            let centroids = match args.get(2).map(|arg| number(Some(arg))) {
                None => CENTROIDS,
                Some(Some(n)) if (10.0..=10_000.0).contains(&n) => n as usize,
                Some(_) => {
                    return Err(Problem::new(format!("the centroids of {name}() are a number from 10 to 10000"))
                        .hint("leave them out, which is 100"));
                }
            };
            Growth::Percentile { at: fraction(name, args.get(1), descending)?, centroids }
        }
        "histogram" => Growth::Histogram { edges: edges(&args[1..])? },
        "array_agg" | "string_agg" => Growth::List(Arc::new(list(function, value, &of, schema)?)),
        _ => return Ok(None),
    }))
}

/// A constant number.
fn number(arg: Option<&Scalar>) -> Option<f64> {
    let literal = arg?.downcast_ref::<Literal>()?;
    match literal.value().cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(number)) => number,
        _ => None,
    }
}

fn fraction(name: &str, arg: Option<&Scalar>, descending: bool) -> Result<f64, Problem> {
    match number(arg).filter(|at| (0.0..=1.0).contains(at)) {
        Some(at) => Ok(if descending { 1.0 - at } else { at }),
        None => Err(Problem::new(format!("the percentile of {name}() is a number from 0 to 1"))
            .hint(format!("write {name}(value, 0.95)"))),
    }
}

fn edges(args: &[Scalar]) -> Result<Arc<[f64]>, Problem> {
    let hint = "write constants that rise, as in histogram(value, 10, 100, 1000)";
    let edges: Vec<f64> = args.iter().filter_map(|arg| number(Some(arg)).filter(|edge| edge.is_finite())).collect();
    if edges.len() < args.len() {
        return Err(Problem::new("an edge of histogram() is not a constant number").hint(hint));
    }
    if !edges.is_sorted_by(|a, b| a < b) {
        return Err(Problem::new("the edges of histogram() do not rise").hint(hint));
    }
    if edges.len() > MAX_EDGES {
        return Err(Problem::new(format!("histogram() has {} edges, the most is {MAX_EDGES}", edges.len()))
            .hint("group by a computed bucket instead, as in GROUP BY floor(value / 10)"));
    }
    Ok(edges.into())
}

fn list(
    function: &AggregateFunctionExpr,
    value: &Scalar,
    of: &DataType,
    schema: &ArrowSchema,
) -> Result<ListRule, Problem> {
    let args = function.expressions();
    let name = function.fun().name();
    let distinct = function.is_distinct();
    let sorts = function.order_bys();
    if distinct && !matches!(sorts, [] | [_]) || sorts.iter().any(|sort| distinct && !sort.expr.eq(value)) {
        return Err(Problem::new(format!("{name}(DISTINCT …) can be ordered by its own value alone"))
            .hint("leave DISTINCT or ORDER BY out"));
    }
    let (json, separator) = if name == "array_agg" {
        // A json column that is only collected stays json, and so does a part of one.
        let column = value.downcast_ref::<ColumnExpr>().is_some_and(|column| is_json(schema.field(column.index())));
        let part = value.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| makes_json(call.fun().name()));
        let json = column || part;
        let Some(element) = widened(of, json) else {
            return Err(Problem::new(format!("array_agg() of values of type {of}")).hint("write cast(… AS text)"));
        };
        (Some(Arc::new(Column::new("element", element).to_field())), ",".to_owned())
    } else {
        let separator = args.get(1).and_then(|arg| arg.downcast_ref::<Literal>()).map(Literal::value);
        let Some(Some(separator)) = separator.and_then(ScalarValue::try_as_str) else {
            return Err(Problem::new("the separator of string_agg() is not a constant text")
                .hint("write string_agg(value, ', ')"));
        };
        (None, separator.to_owned())
    };
    let own = [(value.clone(), SortOptions { descending: false, nulls_first: false })];
    let said: Vec<(Scalar, SortOptions)> = sorts.iter().map(|sort| (sort.expr.clone(), sort.options)).collect();
    let order_by = if distinct && said.is_empty() { &own[..] } else { &said[..] };
    let field = |(expr, options): &(Scalar, SortOptions)| {
        let data_type = expr.data_type(schema).unwrap_or(DataType::Null);
        SortField::new_with_options(data_type, *options)
    };
    Ok(ListRule {
        json,
        separator,
        ignore_nulls: function.ignore_nulls(),
        distinct,
        order: order_by.iter().map(field).collect(),
        // Without ORDER BY the value is its own order.
        order_from: if distinct { 0 } else { args.len() },
        output: function.field().data_type().clone(),
    })
}
