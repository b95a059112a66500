//! The expressions of a query: columns that exist, functions that can be kept up to date,
//! types to cast to.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::{
    execution::session_state::SessionState,
    logical_expr::Volatility,
    sql::sqlparser::{
        ast::{
            DataType as SqlType, DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments, Ident,
            ObjectNamePart, Select, SelectItem, Spanned, Visit, VisitMut, visit_expressions, visit_expressions_mut,
        },
        tokenizer::Span,
    },
};

use super::{
    names::{nearest, suggest},
    sql::{Problem, folded},
};

/// The aggregates whose state has a fixed width.
const AGGREGATES: [&str; 17] = [
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "var",
    "var_samp",
    "var_sample",
    "var_pop",
    "var_population",
    "bool_and",
    "bool_or",
    "first_value",
];
const LAST_VALUE: &str = "last_value";

/// The aggregates whose state grows with what they have seen.
const GROWING: [&str; 10] = [
    "median",
    "percentile_cont",
    "quantile_cont",
    "approx_percentile_cont",
    "approx_median",
    "approx_distinct",
    "mode",
    "array_agg",
    "string_agg",
    "histogram",
];

/// Those that take DISTINCT.
const DISTINCT: [&str; 11] = [
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "percentile_cont",
    "quantile_cont",
    "array_agg",
    "string_agg",
];

/// What the clock or chance decides.
const NOW: [&str; 8] =
    ["now", "current_timestamp", "current_date", "current_time", "today", "localtimestamp", "localtime", "uuid"];

pub(crate) fn window_function() -> Problem {
    Problem::new("window functions (OVER) need the rows around each row, which are not kept")
        .hint("aggregate over TUMBLE(stream, time_column, INTERVAL '…') instead")
}

/// What columns may be called.
pub(crate) struct Names<'a> {
    pub(crate) columns: Vec<&'a str>,
    pub(crate) aliases: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    pub(crate) windowed: bool,
    pub(crate) stream: &'a str,
}

pub(crate) fn aliases(select: &Select) -> BTreeSet<String> {
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// Quotes names whose case would be lost but that are a column's name as they stand, so
/// that `metricName` finds the column `metricName`. `user`, which SQL has a function of, is
/// the column where there is one.
pub(crate) fn keep_names<V: VisitMut>(select: &mut V, names: &Names<'_>) {
    let _ = visit_expressions_mut(select, |expr| {
        if let Expr::Function(Function { name, args: FunctionArguments::None, .. }) = expr
            && let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && names.columns.contains(&folded(ident).as_str())
        {
            *expr = Expr::Identifier(Ident { quote_style: Some('"'), value: folded(ident), span: ident.span });
        }
        let ident = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        if let Some(ident) = ident {
            let folded = folded(ident);
            if ident.quote_style.is_none()
                && !names.columns.contains(&folded.as_str())
                && names.columns.contains(&ident.value.as_str())
            {
                ident.quote_style = Some('"');
            }
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Checks every expression; whether there is an aggregate.
pub(crate) fn check_expressions<V: Visit>(
    select: &V,
    names: &Names<'_>,
    state: &SessionState,
    problems: &mut Vec<Problem>,
) -> bool {
    let mut aggregates = false;
    let _ = visit_expressions(select, |expr| {
        match expr {
            Expr::Identifier(ident) => check_column(ident, names, problems),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] if names.tables.contains(&folded(table)) => check_column(column, names, problems),
                [table, ..] => problems.push(
                    Problem::new(format!("the query reads no `{}`", table.value))
                        .hint(suggest(&table.value, "what it reads", names.tables.iter().map(String::as_str)))
                        .at(table.span),
                ),
                [] => {}
            },
            Expr::Function(function) => aggregates |= check_function(function, state, problems),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => problems.push(
                Problem::new("a SELECT within an expression is not here yet")
                    .hint("write one SELECT over the stream")
                    .at(expr.span()),
            ),
            Expr::Cast { data_type, expr: inner, .. } => check_type(data_type, inner.span(), problems),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    aggregates
}

fn check_column(ident: &Ident, names: &Names<'_>, problems: &mut Vec<Problem>) {
    let name = folded(ident);
    if names.columns.contains(&name.as_str()) || names.aliases.contains(&name) {
        return;
    }
    let hint = if !names.windowed && matches!(name.as_str(), "window_start" | "window_end") {
        format!("it comes from FROM TUMBLE({}, time_column, INTERVAL '10 seconds')", names.stream)
    } else {
        let candidates = names.columns.iter().copied().chain(names.aliases.iter().map(String::as_str));
        suggest(&ident.value, "columns", candidates)
    };
    problems.push(Problem::new(format!("there is no column `{}`", ident.value)).hint(hint).at(ident.span));
}

/// Checks a call; whether it is an aggregate.
fn check_function(function: &Function, state: &SessionState, problems: &mut Vec<Problem>) -> bool {
    let span = function.name.span();
    let name = function.name.to_string().to_lowercase();
    if function.over.is_some() {
        problems.push(window_function().at(span));
        return false;
    }
    if NOW.contains(&name.as_str()) || name == "random" || name == "rand" {
        let problem = if name == "random" || name == "rand" || name == "uuid" {
            Problem::new(format!("{name}() gives another value each time, so a replay could not repeat it"))
                .hint("compute from columns of the event")
        } else {
            Problem::new(format!("{name}() would change the answer without any event"))
                .hint("use the event's time, or window_end over TUMBLE; `keep:` and `idle_ttl:` drop what is old")
        };
        problems.push(problem.at(span));
        return false;
    }
    if supported().any(|known| known == name) {
        check_aggregate(function, &name, span, problems);
        return true;
    }
    if state.aggregate_functions().contains_key(&name) {
        let hint = match name.as_str() {
            "approx_percentile_cont_with_weight" => {
                "approx_percentile_cont(value, 0.95) counts each row once".to_owned()
            }
            _ => format!("aggregates: {}", supported().collect::<Vec<_>>().join(", ")),
        };
        problems.push(Problem::new(format!("{name}() is not here yet")).hint(hint).at(span));
        return true;
    }
    match state.scalar_functions().get(&name) {
        Some(scalar) if scalar.signature().volatility == Volatility::Volatile => problems.push(
            Problem::new(format!("{name}() gives another value each time, so a replay could not repeat it"))
                .hint("compute from columns of the event")
                .at(span),
        ),
        Some(_) => {}
        None if state.window_functions().contains_key(&name) => problems.push(window_function().at(span)),
        None => {
            let mut known: Vec<&str> = state.scalar_functions().keys().map(String::as_str).collect();
            known.extend(supported().map(|name: &str| name));
            let hint = match (name.as_str(), nearest(&name, known.into_iter())) {
                ("tumble" | "hop" | "session" | "count_window", _) => {
                    "windows stand in FROM: FROM TUMBLE(…)".to_owned()
                }
                ("json_get", _) => {
                    "write column -> 'field', or json_get_str, json_get_int, json_get_float or json_get_bool".to_owned()
                }
                (_, Some(near)) => format!("did you mean `{near}`?"),
                (_, None) => "see the list of functions in the documentation".to_owned(),
            };
            problems.push(Problem::new(format!("there is no function `{name}`")).hint(hint).at(span));
        }
    }
    false
}

/// Every aggregate that feeds can have.
fn supported() -> impl Iterator<Item = &'static str> {
    AGGREGATES.into_iter().chain([LAST_VALUE]).chain(GROWING)
}

fn check_aggregate(function: &Function, name: &str, span: Span, problems: &mut Vec<Problem>) {
    let FunctionArguments::List(list) = &function.args else { return };
    let first = list.args.first().map_or_else(|| "x".to_owned(), ToString::to_string);
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) && !DISTINCT.contains(&name) {
        let hint = match name {
            "approx_distinct" => format!("it counts each value once by itself: write approx_distinct({first})"),
            _ => format!("leave DISTINCT out; these take it: {}", DISTINCT.join(", ")),
        };
        problems.push(Problem::new(format!("{name}(DISTINCT …) is not here")).hint(hint).at(span));
    }
    let ordered = list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::OrderBy(_)));
    if (name == "first_value" || name == LAST_VALUE) && !ordered {
        problems.push(
            Problem::new(format!("{name}() without an order depends on how events arrive"))
                .hint(format!("write {name}({first} ORDER BY time_column)"))
                .at(span),
        );
    }
}

/// Names of types that DataFusion does not know get a suggestion.
fn check_type(data_type: &SqlType, span: Span, problems: &mut Vec<Problem>) {
    const TYPES: [&str; 12] = [
        "text",
        "varchar",
        "bigint",
        "int",
        "integer",
        "smallint",
        "double",
        "float",
        "real",
        "boolean",
        "timestamp",
        "date",
    ];
    let name = match data_type {
        SqlType::Custom(name, _) => name.to_string(),
        SqlType::JSON | SqlType::JSONB => "json".to_owned(),
        _ => return,
    };
    let hint = if name.eq_ignore_ascii_case("json") {
        "use text: a json column that is only selected stays json".to_owned()
    } else {
        suggest(&name, "types", TYPES.into_iter())
    };
    let place = match data_type {
        SqlType::Custom(name, _) => name.span(),
        _ => Span::empty(),
    };
    problems.push(Problem::new(format!("there is no type `{name}` to cast to")).hint(hint).at(place).at(span));
}
