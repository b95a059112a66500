//! What can be told from the SQL text alone: its clauses, functions and columns, with
//! where they stand. What is left over goes to DataFusion.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::{
    execution::session_state::SessionState,
    logical_expr::Volatility,
    sql::sqlparser::{
        ast::{
            DataType as SqlType, DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments,
            GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Spanned, Statement,
            TableFactor, Visit, VisitMut, Visitor, visit_expressions, visit_expressions_mut,
        },
        dialect::GenericDialect,
        parser::{Parser, ParserError},
        tokenizer::{Span, Token, Tokenizer},
    },
};

use super::{
    names::{nearest, suggest},
    window::{Tumble, tumble_args},
};
use crate::define::{Part, QueryError, StreamDef};

/// How deep expressions may nest: planners of SQL recurse, and so does running them.
/// A chain such as `a OR b OR c` nests as deep as it is long.
const MAX_DEPTH: usize = 100;

/// How deep parentheses and the like may nest: each level takes the parser some 20 KiB of stack.
const MAX_NESTING: usize = 50;

/// How many words and signs a query may have. What is parsed is dropped recursively too,
/// before its depth is known.
const MAX_TOKENS: usize = 4000;

/// The aggregates whose state has a fixed width.
pub(crate) const AGGREGATES: [&str; 17] = [
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

/// Aggregates whose state grows with what they have seen.
const GROWING: [&str; 10] = [
    "median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "percentile_cont",
    "approx_median",
    "approx_distinct",
    "array_agg",
    "string_agg",
    "nth_value",
    "quantile_cont",
];

/// What the clock or chance decides.
const NOW: [&str; 8] =
    ["now", "current_timestamp", "current_date", "current_time", "today", "localtimestamp", "localtime", "uuid"];

/// A problem in the making: found somewhere, to be placed by the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    span: Option<Span>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, span: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the place unless a nearer one is known.
    pub(crate) fn at(mut self, span: Span) -> Self {
        if self.span.is_none() && span.start.line > 0 {
            self.span = Some(span);
        }
        self
    }

    pub(crate) fn error(self, part: Part) -> QueryError {
        QueryError {
            message: self.message,
            hint: self.hint,
            at: self.span.map(|s| (s.start.line as u32, s.start.column as u32)),
            part,
        }
    }
}

/// A query whose text holds nothing that is refused.
pub(crate) struct Parsed {
    /// Ready for the planner: `TUMBLE` replaced by the stream's own name, columns named.
    pub(crate) statement: Statement,
    /// The index of the stream it reads.
    pub(crate) stream: usize,
    /// Its windows, with the name of the time column.
    pub(crate) window: Option<(Tumble, String)>,
    /// Where the GROUP BY expressions stand.
    pub(crate) group_spans: Vec<Span>,
}

/// The name of a plain identifier, as SQL folds it.
pub(crate) fn ident_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        _ => None,
    }
}

/// Unquoted names are lower case, as in PostgreSQL.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Parses one SELECT and checks what its text can tell.
pub(crate) fn parse(
    sql: &str,
    streams: &[StreamDef],
    state: &SessionState,
    problems: &mut Vec<Problem>,
) -> Option<Parsed> {
    let statements = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(ParserError::from)
        .and_then(|tokens| {
            let words = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
            if words > MAX_TOKENS {
                return Err(ParserError::RecursionLimitExceeded);
            }
            Parser::new(&GenericDialect {})
                .with_recursion_limit(MAX_NESTING)
                .with_tokens_with_locations(tokens)
                .parse_statements()
        });
    let mut statements = match statements {
        Ok(statements) => statements,
        Err(error) => {
            problems.push(parse_problem(&error.to_string()));
            return None;
        }
    };
    if statements.len() != 1 {
        problems.push(
            Problem::new(format!("a feed is one SELECT, found {} statements", statements.len()))
                .hint("write SELECT … FROM …"),
        );
        return None;
    }
    let mut statement = statements.remove(0);
    let Statement::Query(query) = &mut statement else {
        problems.push(Problem::new("a feed is a SELECT, found another statement").hint("write SELECT … FROM …"));
        return None;
    };
    if is_too_deep(query) {
        problems.push(too_deep());
        return None;
    }
    check_query(query, problems);
    let SetExpr::Select(select) = query.body.as_mut() else {
        problems.push(
            Problem::new("a feed is one SELECT; UNION, INTERSECT, EXCEPT and VALUES cannot be kept up to date here")
                .hint("write a feed for each SELECT")
                .at(query.body.span()),
        );
        return None;
    };
    check_select(select, problems);
    let source = read_source(select, streams, problems)?;
    let stream = &streams[source.stream];

    let names = Names {
        columns: stream
            .schema
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .chain(source.window.is_some().then_some(["window_start", "window_end"]).into_iter().flatten())
            .collect(),
        aliases: aliases(select),
        tables: [source.alias.clone().unwrap_or_else(|| stream.name.clone())].into(),
        windowed: source.window.is_some(),
        stream: &stream.name,
    };
    keep_case(&mut **select, &names);
    let aggregates = check_expressions(&**select, &names, state, problems);
    let (group_spans, has_group_by) = group_by(select, problems);
    let grouped = has_group_by || aggregates || select.having.is_some();
    if grouped && !has_group_by {
        let example = if source.window.is_some() { "window_start, window_end" } else { "a column" };
        problems.push(
            Problem::new("an aggregate over all rows has no key to show it under")
                .hint(format!("add GROUP BY {example}"))
                .at(select.select_token.0.span),
        );
    } else if source.window.is_some() && !grouped {
        problems.push(
            Problem::new("TUMBLE needs a GROUP BY: a window is what its rows are aggregated over")
                .hint("add GROUP BY …, window_start, window_end; or read the stream itself")
                .at(source.span),
        );
    }
    name_columns(select);
    check_names(select, problems);
    Some(Parsed { stream: source.stream, window: source.window, group_spans, statement })
}

fn too_deep() -> Problem {
    Problem::new("the SQL is too long or nests too deeply").hint(format!(
        "at most {MAX_DEPTH} levels and {MAX_TOKENS} words are read; x IN (…) takes the place of a long chain of OR"
    ))
}

/// Stops at the first expression that is too deep, before a recursion runs out of stack.
fn is_too_deep(query: &Query) -> bool {
    struct Depth(usize);
    impl Visitor for Depth {
        type Break = ();
        fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.0 += 1;
            if self.0 > MAX_DEPTH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Depth(0)).is_break()
}

/// "… at Line: 1, Column: 8" as a place.
fn parse_problem(text: &str) -> Problem {
    let text = text.trim_start_matches("sql parser error: ");
    let mut problem = Problem::new(format!("the SQL does not parse: {text}"));
    if text.contains("recursion limit") {
        return too_deep();
    }
    if let Some((message, place)) = text.rsplit_once(" at Line: ")
        && let Some((line, column)) = place.split_once(", Column: ")
        && let (Ok(line), Ok(column)) = (line.parse::<u64>(), column.parse::<u64>())
    {
        problem = Problem::new(format!("the SQL does not parse: {message}"));
        let start = datafusion::sql::sqlparser::tokenizer::Location { line, column };
        problem = problem.at(Span { start, end: start });
    }
    problem
}

/// Clauses of the whole query.
fn check_query(query: &Query, problems: &mut Vec<Problem>) {
    if let Some(with) = &query.with {
        problems.push(Problem::new("WITH is not here yet").hint("write one SELECT over the stream").at(with.span()));
    }
    if let Some(order) = &query.order_by {
        problems.push(
            Problem::new("ORDER BY has no meaning for a feed: its rows stand by key")
                .hint("leave it out; sort where the rows are shown")
                .at(order.span()),
        );
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        let span = query
            .limit_clause
            .as_ref()
            .map(Spanned::span)
            .or_else(|| query.fetch.as_ref().map(Spanned::span))
            .unwrap_or_else(Span::empty);
        problems.push(
            Problem::new("LIMIT is not here yet: which rows stay would change with every event")
                .hint("leave it out; `keep:` and `keep_rows:` bound a feed")
                .at(span),
        );
    }
    if !query.locks.is_empty() || query.for_clause.is_some() || !query.pipe_operators.is_empty() {
        problems
            .push(Problem::new("only SELECT … FROM … WHERE … GROUP BY … HAVING is read").hint("leave the rest out"));
    }
}

/// Clauses of the SELECT.
fn check_select(select: &Select, problems: &mut Vec<Problem>) {
    let place = select.select_token.0.span;
    if select.distinct.is_some() {
        problems.push(
            Problem::new("SELECT DISTINCT would have to remember every row it has seen")
                .hint("write GROUP BY over the columns that make a row distinct")
                .at(place),
        );
    }
    if select.qualify.is_some() || !select.named_window.is_empty() {
        problems.push(window_function().at(place));
    }
    let other = select.top.is_some()
        || select.into.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.exclude.is_some();
    if other {
        problems.push(
            Problem::new("only SELECT … FROM … WHERE … GROUP BY … HAVING is read").hint("leave the rest out").at(place),
        );
    }
}

fn window_function() -> Problem {
    Problem::new("window functions (OVER) need the rows around each row, which are not kept")
        .hint("aggregate over TUMBLE(stream, time_column, INTERVAL '…') instead")
}

struct Source {
    stream: usize,
    window: Option<(Tumble, String)>,
    alias: Option<String>,
    span: Span,
}

/// Reads FROM, and leaves the stream's own name there.
fn read_source(select: &mut Select, streams: &[StreamDef], problems: &mut Vec<Problem>) -> Option<Source> {
    let stream_names = || streams.iter().map(|s| s.name.as_str());
    let [table] = select.from.as_mut_slice() else {
        let problem = if select.from.is_empty() {
            Problem::new("the query reads no stream").hint("add FROM and a stream")
        } else {
            Problem::new("a query reads one stream; joins are not here yet")
                .hint("name one stream in FROM")
                .at(select.from[1].span())
        };
        problems.push(problem.at(select.select_token.0.span));
        return None;
    };
    if let Some(join) = table.joins.first() {
        problems.push(
            Problem::new("a query reads one stream; joins are not here yet")
                .hint("name one stream in FROM")
                .at(join.span()),
        );
    }
    let place = table.relation.span();
    let (name, alias, args) = match &mut table.relation {
        TableFactor::Table { name, alias, args, .. } => (name, alias, args),
        TableFactor::Derived { subquery, .. } => {
            problems.push(
                Problem::new("a query reads a stream, not another SELECT")
                    .hint("write one SELECT over the stream")
                    .at(subquery.span())
                    .at(place),
            );
            return None;
        }
        other => {
            problems.push(
                Problem::new(format!("FROM takes a stream or TUMBLE(…), found `{other}`"))
                    .hint("write FROM stream, or FROM TUMBLE(stream, time_column, INTERVAL '10 seconds')")
                    .at(place),
            );
            return None;
        }
    };
    let span = name.span();
    let Some(written) = single_part(name) else {
        problems.push(
            Problem::new(format!("`{name}` is not a stream"))
                .hint(suggest(&name.to_string(), "streams", stream_names()))
                .at(span),
        );
        return None;
    };
    let alias_name = alias.as_ref().map(|a| folded(&a.name));
    let (stream_ident, window) = match args.take() {
        None => (written, None),
        Some(args) => {
            let function = written.value.to_uppercase();
            match function.as_str() {
                "TUMBLE" => {}
                "HOP" | "SESSION" | "COUNT_WINDOW" => {
                    problems.push(
                        Problem::new(format!("{function} windows are not here yet"))
                            .hint("TUMBLE(stream, time_column, INTERVAL '10 seconds') is")
                            .at(span),
                    );
                    return None;
                }
                _ => {
                    problems.push(
                        Problem::new(format!("`{}` is not a window function", written.value))
                            .hint("write TUMBLE(stream, time_column, INTERVAL '10 seconds')")
                            .at(span),
                    );
                    return None;
                }
            }
            match tumble_args(&args.args) {
                Ok(args) => {
                    let Expr::Identifier(stream) = args.stream else { return None };
                    (stream.clone(), Some((args.width, args.time.clone())))
                }
                Err(problem) => {
                    problems.push(problem.at(span));
                    return None;
                }
            }
        }
    };
    let stream_name = folded(&stream_ident);
    let Some(index) = streams
        .iter()
        .position(|s| s.name == stream_name)
        .or_else(|| streams.iter().position(|s| s.name == stream_ident.value))
    else {
        problems.push(
            Problem::new(format!("there is no stream `{}`", stream_ident.value))
                .hint(suggest(&stream_ident.value, "streams", stream_names()))
                .at(stream_ident.span)
                .at(span),
        );
        return None;
    };
    let stream = &streams[index];
    *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', &stream.name))]);
    let window = match window {
        None => None,
        Some((width, time)) => Some((Tumble { width }, check_time(&time, stream, problems)?)),
    };
    if window.is_some() {
        for column in ["window_start", "window_end"] {
            if stream.schema.index_of(column).is_some() {
                problems.push(
                    Problem::new(format!("stream `{}` has a column `{column}`, which TUMBLE adds", stream.name))
                        .hint("give the stream's column another name; `from:` says the field it comes from")
                        .at(span),
                );
            }
        }
    }
    Some(Source { stream: index, window, alias: alias_name, span })
}

fn single_part(name: &ObjectName) -> Option<Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(ident.clone()),
        _ => None,
    }
}

/// The time column of a window must be the stream's event time: the watermark is of no other.
fn check_time(time: &Expr, stream: &StreamDef, problems: &mut Vec<Problem>) -> Option<String> {
    let Expr::Identifier(ident) = time else { return None };
    let columns = || stream.schema.columns.iter().map(|c| c.name.as_str());
    let name = folded(ident);
    let Some(column) = columns().find(|c| *c == name).or_else(|| columns().find(|c| *c == ident.value)) else {
        problems.push(
            Problem::new(format!("stream `{}` has no column `{}`", stream.name, ident.value))
                .hint(suggest(&ident.value, "columns", columns()))
                .at(ident.span),
        );
        return None;
    };
    match &stream.event_time {
        Some(event_time) if event_time == column => Some(column.to_owned()),
        Some(event_time) => {
            problems.push(
                Problem::new(format!("windows go by the stream's event time, `{event_time}`, found `{column}`"))
                    .hint(format!("write `{event_time}` here, or change `event_time:` of stream `{}`", stream.name))
                    .at(ident.span),
            );
            None
        }
        None => {
            problems.push(
                Problem::new(format!("stream `{}` has no event time, so its windows would never close", stream.name))
                    .hint(format!("add `event_time: {{ column: {column} }}` to the stream"))
                    .at(ident.span),
            );
            None
        }
    }
}

/// What columns may be called.
struct Names<'a> {
    columns: Vec<&'a str>,
    aliases: BTreeSet<String>,
    tables: BTreeSet<String>,
    windowed: bool,
    stream: &'a str,
}

fn aliases(select: &Select) -> BTreeSet<String> {
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// Quotes names whose case would be lost but that are a column's name as they stand, so
/// that `metricName` finds the column `metricName`.
fn keep_case<V: VisitMut>(select: &mut V, names: &Names<'_>) {
    let _ = visit_expressions_mut(select, |expr| {
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
fn check_expressions<V: Visit>(
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
    if AGGREGATES.contains(&name.as_str()) || name == LAST_VALUE {
        check_aggregate(function, &name, span, problems);
        return true;
    }
    if state.aggregate_functions().contains_key(&name) || GROWING.contains(&name.as_str()) {
        let problem = if GROWING.contains(&name.as_str()) {
            Problem::new(format!("{name}() is not here yet: what it has to remember grows with every event"))
                .hint("min, max, avg and stddev take a fixed amount of memory")
        } else {
            Problem::new(format!("{name}() is not here yet")).hint(format!("aggregates: {}", aggregate_list()))
        };
        problems.push(problem.at(span));
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
            known.extend(AGGREGATES);
            known.push(LAST_VALUE);
            let hint = match (name.as_str(), nearest(&name, known.into_iter())) {
                ("tumble" | "hop" | "session" | "count_window", _) => {
                    "windows stand in FROM: FROM TUMBLE(…)".to_owned()
                }
                (_, Some(near)) => format!("did you mean `{near}`?"),
                (_, None) => "see the list of functions in the documentation".to_owned(),
            };
            problems.push(Problem::new(format!("there is no function `{name}`")).hint(hint).at(span));
        }
    }
    false
}

fn aggregate_list() -> String {
    let mut all: Vec<&str> = AGGREGATES.to_vec();
    all.push(LAST_VALUE);
    all.join(", ")
}

fn check_aggregate(function: &Function, name: &str, span: Span, problems: &mut Vec<Problem>) {
    let FunctionArguments::List(list) = &function.args else { return };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        problems.push(
            Problem::new(format!("{name}(DISTINCT …) is not here yet: it has to remember every value it has seen"))
                .hint("group by the value in one feed, and count its rows where it is read")
                .at(span),
        );
    }
    let ordered = list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::OrderBy(_)));
    if (name == "first_value" || name == LAST_VALUE) && !ordered {
        let arg = list.args.first().map_or_else(|| "x".to_owned(), ToString::to_string);
        problems.push(
            Problem::new(format!("{name}() without an order depends on how events arrive"))
                .hint(format!("write {name}({arg} ORDER BY time_column)"))
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

/// Where the GROUP BY expressions stand, and whether there are any.
fn group_by(select: &Select, problems: &mut Vec<Problem>) -> (Vec<Span>, bool) {
    let refuse = |what: &str, span: Span| {
        Problem::new(format!("GROUP BY {what} is not here yet"))
            .hint("name each column; write a feed for each grouping")
            .at(span)
            .at(select.select_token.0.span)
    };
    match &select.group_by {
        GroupByExpr::All(_) => {
            problems.push(refuse("ALL", select.group_by.span()));
            (Vec::new(), true)
        }
        GroupByExpr::Expressions(exprs, modifiers) => {
            if !modifiers.is_empty()
                || exprs.iter().any(|e| matches!(e, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)))
            {
                problems.push(refuse("ROLLUP, CUBE and GROUPING SETS", select.group_by.span()));
            }
            (exprs.iter().map(Spanned::span).collect(), !exprs.is_empty())
        }
    }
}

/// Gives columns without a name the text of their expression.
fn name_columns(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        {
            let alias = Ident::with_quote('"', expr.to_string());
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// A feed's columns need names of their own.
fn check_names(select: &Select, problems: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for item in &select.projection {
        let ident = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
            _ => None,
        };
        let Some(ident) = ident else { continue };
        let name = folded(ident);
        if !names.insert(name.clone()) {
            problems.push(
                Problem::new(format!("two columns are called `{name}`"))
                    .hint("give one another name with AS")
                    .at(ident.span)
                    .at(item.span()),
            );
        }
    }
}
