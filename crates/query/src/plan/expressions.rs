//! The expressions of a query: columns that exist, functions that can be kept up to date,
//! types to cast to.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::{
    execution::session_state::SessionState,
    logical_expr::Volatility,
    sql::sqlparser::{
        ast::{
            AccessExpr, DataType as SqlType, DuplicateTreatment, Expr, Function, FunctionArgumentClause,
            FunctionArguments, Ident, ObjectNamePart, Select, SelectItem, Spanned, Subscript, Visit, VisitMut,
            visit_expressions, visit_expressions_mut,
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
    /// The stream's event time.
    pub(crate) time: Option<&'a str>,
}

pub(crate) const SUBQUERY: &str = "a SELECT within an expression is not here yet";

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
                [column, field, ..] if names.columns.contains(&folded(column).as_str()) => problems.push(
                    Problem::new(format!(
                        "`{}` is a column, and no table with a column `{}`",
                        column.value, field.value
                    ))
                    .hint(format!("a field of json is read by {} ->> '{}'", column.value, field.value))
                    .at(column.span),
                ),
                [table, ..] => problems.push(
                    Problem::new(format!("the query reads no `{}`", table.value))
                        .hint(suggest(&table.value, "what it reads", names.tables.iter().map(String::as_str)))
                        .at(table.span),
                ),
                [] => {}
            },
            Expr::Function(function) => aggregates |= check_function(function, state, problems),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                problems.push(Problem::new(SUBQUERY).hint("write one SELECT over the stream").at(expr.span()));
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let field = match access_chain.first() {
                    Some(AccessExpr::Subscript(Subscript::Index { index })) => index.to_string(),
                    _ => "'field'".to_owned(),
                };
                problems.push(
                    Problem::new(format!("`{expr}`: brackets read nothing here"))
                        .hint(format!("a field of json is read by {root} ->> {field}"))
                        .at(root.span()),
                );
            }
            Expr::Array(array) => {
                let inner = array.elem.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                problems.push(
                    Problem::new("brackets make a list, and lists cannot be made here")
                        .hint(format!("a name stands alone or between double quotes: {inner}"))
                        .at(expr.span()),
                );
            }
            Expr::Substring { expr: inner, substring_from: None, substring_for: None, .. } => problems.push(
                Problem::new("substr() does not say where to begin")
                    .hint(format!("write substr({inner}, 1, 5) for the first five letters"))
                    .at(inner.span()),
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
        let time = names.time.unwrap_or("time_column");
        format!("it comes from FROM TUMBLE({}, {time}, INTERVAL '10 seconds')", names.stream)
    } else if ["second", "minute", "hour", "day", "week", "month", "year"].contains(&name.as_str()) {
        format!("a unit of time is a text: '{name}'")
    } else if ident.value.starts_with(['‘', '’', '“', '”', '„']) {
        format!("texts stand between straight single quotes: '{}'", ident.value.trim_matches(['‘', '’', '“', '”', '„']))
    } else {
        let candidates = names.columns.iter().copied().chain(names.aliases.iter().map(String::as_str));
        match nearest(&name, candidates.clone()) {
            None if ident.quote_style.is_some() => {
                format!("double quotes make a name; a text stands between single ones: '{}'", ident.value)
            }
            _ => suggest(&ident.value, "columns", candidates),
        }
    };
    problems.push(Problem::new(format!("there is no column `{}`", ident.value)).hint(hint).at(ident.span));
}

/// Aggregates in WHERE, which comes before there are groups; whether there was one.
pub(crate) fn check_where(condition: &Expr, problems: &mut Vec<Problem>) -> bool {
    // Those of a SELECT within are its own.
    let within = visit_expressions(condition, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if within.is_break() {
        return false;
    }
    let found = visit_expressions(condition, |expr| match expr {
        Expr::Function(call) if supported().any(|name| call.name.to_string().eq_ignore_ascii_case(name)) => {
            ControlFlow::Break((call.to_string(), call.name.span()))
        }
        _ => ControlFlow::Continue(()),
    });
    let ControlFlow::Break((call, span)) = found else { return false };
    problems.push(
        Problem::new(format!("{call} stands in WHERE, which chooses rows before they are aggregated"))
            .hint("move the condition to HAVING, behind GROUP BY")
            .at(span),
    );
    true
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
            // None that would be refused in its turn.
            let scalar = state
                .scalar_functions()
                .iter()
                .filter(|(name, f)| !NOW.contains(&name.as_str()) && f.signature().volatility != Volatility::Volatile);
            let mut known: Vec<&str> = scalar.map(|(name, _)| name.as_str()).collect();
            known.extend(supported().map(|name: &str| name));
            let hint = match (name.as_str(), nearest(&name, known.into_iter())) {
                ("tumble" | "hop" | "session" | "count_window", _) => {
                    "windows stand in FROM: FROM TUMBLE(stream, time_column, INTERVAL '10 seconds')".to_owned()
                }
                ("json_get", _) => {
                    "write column -> 'field', or json_get_str, json_get_int, json_get_float or json_get_bool".to_owned()
                }
                (_, near) => match (called_elsewhere(&name), near) {
                    (Some(here), _) => format!("write {here}"),
                    (None, Some(near)) => format!("did you mean `{near}`?"),
                    (None, None) => {
                        let aggregates = supported().collect::<Vec<_>>().join(", ");
                        format!("functions are those of Apache DataFusion; aggregates: {aggregates}")
                    }
                },
            };
            problems.push(Problem::new(format!("there is no function `{}`", function.name)).hint(hint).at(span));
        }
    }
    false
}

/// What other databases call otherwise.
fn called_elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "len" | "strlen" => "length(text)",
        "isnull" => "x IS NULL",
        "if" | "iif" | "iff" | "decode" => "CASE WHEN condition THEN x ELSE y END",
        "group_concat" | "listagg" | "wm_concat" => "string_agg(value, ', ')",
        "quantile" | "percentile" | "percentile_disc" | "p50" | "p90" | "p95" | "p99" => "percentile_cont(value, 0.95)",
        "countif" | "count_if" => "count(*) FILTER (WHERE condition)",
        "sumif" | "sum_if" => "sum(value) FILTER (WHERE condition)",
        "uniq" | "count_distinct" | "countdistinct" | "uniqexact" => "count(DISTINCT x)",
        "rate" | "irate" | "increase" => "count(*) or sum(value) over TUMBLE, divided by its seconds",
        "tostartofsecond" | "tostartofminute" | "tostartofhour" | "tostartofday" | "time_bucket" | "datetrunc" => {
            "date_trunc('minute', time_column), or FROM TUMBLE(…) and window_start"
        }
        "any" | "any_value" | "first" | "earliest" => "first_value(x ORDER BY time_column)",
        "last" | "latest" | "argmax" => "last_value(x ORDER BY time_column)",
        "getdate" | "sysdate" | "unix_timestamp" => "the event's time: a query has no clock",
        "json_extract" | "json_value" | "get_json_object" | "json_extract_string" => "column ->> 'field'",
        "todate" | "to_datetime" | "from_unixtime" => "to_timestamp(…)",
        _ => return None,
    })
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
