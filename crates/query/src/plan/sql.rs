//! What can be told from the SQL text alone: its clauses, functions and columns, with
//! where they stand. What is left over goes to DataFusion.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::{
    execution::session_state::SessionState,
    sql::sqlparser::{
        ast::{
            Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Spanned,
            Statement, TableFactor, Visit, Visitor,
        },
        tokenizer::{Location, Span},
    },
};

use super::{
    expressions::{Names, SUBQUERY, aliases, check_expressions, check_where, keep_names, window_function},
    names::suggest,
    parse::read_statements,
    window::{Tumble, tumble_args},
};
use crate::define::{Part, QueryError, StreamDef};

/// How deep expressions may nest: planners of SQL recurse, and so does running them.
/// A chain such as `a OR b OR c` nests as deep as it is long.
const MAX_DEPTH: usize = 100;

/// How deep parentheses and the like may nest: each level takes the parser some 20 KiB of stack.
pub(super) const MAX_NESTING: usize = 50;

/// How many words and signs a query may have. What is parsed is dropped recursively too,
/// before its depth is known.
pub(super) const MAX_TOKENS: usize = 4000;

/// A problem in the making: found somewhere, to be placed by the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    span: Option<Span>,
    no_stream: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, span: None, no_stream: None }
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

    /// That nothing is called so.
    fn no_stream(mut self, name: &str) -> Self {
        self.no_stream = Some(name.to_owned());
        self
    }

    /// Whether it is about a SELECT within an expression.
    fn is_subquery(&self) -> bool {
        self.message == SUBQUERY
    }

    /// Whether it was found somewhere.
    pub(crate) fn has_place(&self) -> bool {
        self.span.is_some()
    }

    /// The same place with another message.
    pub(crate) fn says(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// With this hint where there is no better one.
    pub(crate) fn hint_unless_any(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// One that was told already.
    pub(crate) fn from_error(error: QueryError) -> Self {
        let place = error.at.map(|(line, column)| Location { line: line.into(), column: column.into() });
        Self {
            message: error.message,
            hint: error.hint,
            span: place.map(|start| Span { start, end: start }),
            no_stream: error.no_stream,
        }
    }

    pub(crate) fn error(self, part: Part) -> QueryError {
        QueryError {
            message: self.message,
            hint: self.hint,
            at: self.span.map(|s| (s.start.line as u32, s.start.column as u32)),
            part,
            no_stream: self.no_stream,
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
pub(crate) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Parses one SELECT and checks what its text can tell.
pub(crate) fn parse(
    sql: &str,
    streams: &[StreamDef],
    state: &SessionState,
    problems: &mut Vec<Problem>,
) -> Option<Parsed> {
    let mut statements = match read_statements(sql) {
        Ok(statements) => statements,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    if statements.len() != 1 {
        let hint = if statements.is_empty() { "write SELECT … FROM …" } else { "write a feed for each SELECT" };
        problems.push(Problem::new(format!("a feed is one SELECT, found {} statements", statements.len())).hint(hint));
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
    // What follows would be about names that it gives.
    if query.with.is_some() {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        problems.push(
            Problem::new("a feed is one SELECT; UNION, INTERSECT, EXCEPT and VALUES cannot be kept up to date here")
                .hint("write a feed for each SELECT")
                .at(query.body.span()),
        );
        return None;
    };
    check_select(select, problems);
    let source = read_source(sql, select, streams, problems)?;
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
        time: stream.event_time.as_deref(),
        tables: [source.alias.clone().unwrap_or_else(|| stream.name.clone())].into(),
        windowed: source.window.is_some(),
        stream: &stream.name,
    };
    keep_names(&mut **select, &names);
    if select.selection.as_ref().is_some_and(|condition| check_where(condition, problems)) {
        return None;
    }
    let found = problems.len();
    let aggregates = check_expressions(&**select, &names, state, problems);
    if aggregates && problems[found..].iter().any(Problem::is_subquery) {
        // The aggregate may be the inner SELECT's.
        return None;
    }
    let (group_spans, has_group_by) = group_by(select, problems);
    let grouped = has_group_by || aggregates || select.having.is_some();
    if grouped && !has_group_by {
        let example = if source.window.is_some() { "window_start, window_end" } else { "a column" };
        problems.push(
            Problem::new("an aggregate over all rows has no key to show it under")
                .hint(format!("add GROUP BY {example}, and the same to SELECT"))
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

pub(crate) fn too_deep() -> Problem {
    Problem::new("the SQL is too long or nests too deeply").hint(format!(
        "at most {MAX_DEPTH} levels and {MAX_TOKENS} words are read; x IN (…) takes the place of a long chain of OR"
    ))
}

/// Stops at the first expression that is too deep, before a recursion runs out of stack.
pub(crate) fn is_too_deep(query: &Query) -> bool {
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

struct Source {
    stream: usize,
    window: Option<(Tumble, String)>,
    alias: Option<String>,
    span: Span,
}

/// Reads FROM, and leaves the stream's own name there.
fn read_source(sql: &str, select: &mut Select, streams: &[StreamDef], problems: &mut Vec<Problem>) -> Option<Source> {
    let stream_names = || streams.iter().map(|s| s.name.as_str());
    let [table] = select.from.as_mut_slice() else {
        let problem = if select.from.is_empty() {
            Problem::new("the query reads no stream").hint(if only_a_comment_ends(sql) {
                "`--` takes the rest of its line; a text behind `>` is one line, behind `|` it stays as it is"
            } else {
                "add FROM and a stream"
            })
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
        return None;
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
                            .hint("write TUMBLE(stream, time_column, INTERVAL '10 seconds') instead")
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
                .no_stream(&stream_ident.value)
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

/// Whether a comment stands in the last line, where it may hide what was meant to follow.
fn only_a_comment_ends(sql: &str) -> bool {
    sql.trim_end().lines().next_back().is_some_and(|line| line.contains("--"))
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
pub(crate) fn name_columns(select: &mut Select) {
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
