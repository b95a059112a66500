//! From a parsed query to a [`Plan`]: planned by DataFusion, split, and given its key.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType as Arrow, Field, FieldRef, Schema as ArrowSchema, SchemaRef, TimeUnit},
    common::{DFSchema, TableReference},
    error::DataFusionError,
    execution::session_state::SessionState,
    logical_expr::{Aggregate as LogicalAggregate, Expr, LogicalPlan},
    sql::sqlparser::{ast::Statement, tokenizer::Span},
};
use model::FeedSchema;

use super::{
    GroupColumn, Grouped, Inner, Kind, Plan, SEQ, Stateless, Window,
    culprit::culprit,
    names::suggest,
    output::{self, Draft, draft, finish, json_columns, key_exprs, named_key},
    session,
    split::{Split, aggregates, columns, physical, split},
    sql::{Parsed, Problem},
    told::{from_datafusion, no_column, told, type_name},
    window::Tumble,
};
use crate::{
    define::{Emit, FeedDef, Part, QueryError, StreamDef},
    grow::functions::makes_json,
    stage::{Scalar, checked},
    state::{block::FORMAT, column::Width},
};

/// Plans one feed.
pub(super) struct Planner<'a> {
    pub(super) feed: &'a FeedDef,
    pub(super) stream: &'a StreamDef,
    pub(super) state: SessionState,
}

/// What the key and the parts of a query come to.
struct Shape {
    output: FeedSchema,
    kind: Kind,
}

impl Planner<'_> {
    pub(super) fn plan(&self, parsed: &Parsed) -> Result<Plan, Vec<QueryError>> {
        let input = self.stream.schema.to_arrow();
        let table = with_window(&input, parsed.window.is_some());
        let statement = parsed.statement.clone();
        let optimized = session::optimized(&self.state, statement, &self.stream.name, table.clone())
            .map_err(|e| vec![self.refused(&e, &parsed.statement, &table)])?;
        let split = split(&optimized).map_err(|p| vec![p.error(Part::Sql)])?;
        let scan = DFSchema::try_from_qualified_schema(TableReference::bare(self.stream.name.as_str()), &table)
            .map_err(internal)?;
        let mut problems: Vec<(Problem, Part)> = Vec::new();
        let shape = match split.aggregate {
            None => self.stateless(&optimized, &split, &scan, &mut problems),
            Some(aggregate) => self.grouped(&optimized, &split, aggregate, &scan, parsed, &mut problems),
        };
        if parsed.window.is_none() && self.feed.emit == Emit::Final {
            let problem = Problem::new("`emit: final` shows a window when it closes, and this query has none")
                .hint("leave it out, or read FROM TUMBLE(…) and group by window_start");
            problems.push((problem, Part::Sql));
        }
        let errors: Vec<QueryError> = problems.into_iter().map(|(p, part)| p.error(part)).collect();
        let shape = match shape.map_err(internal)? {
            Some(shape) if errors.is_empty() => shape,
            _ => return Err(errors),
        };
        let fingerprint = self.fingerprint(&optimized, &shape, parsed.window.as_ref().map(|w| w.0));
        let Shape { output, kind } = shape;
        let stream = self.stream.name.clone();
        Ok(Plan(Arc::new(Inner { stream, output, fingerprint, kind })))
    }

    fn told(&self, error: &DataFusionError) -> Problem {
        told(error, &|name| {
            let scalar = self.state.scalar_functions().get(name).and_then(|f| f.documentation());
            let aggregate = self.state.aggregate_functions().get(name).and_then(|f| f.documentation());
            scalar.or(aggregate).map(|doc| doc.syntax_example.clone())
        })
    }

    /// What DataFusion refused, at its place.
    fn refused(&self, error: &DataFusionError, statement: &Statement, table: &SchemaRef) -> QueryError {
        let problem = match no_column(error) {
            // All other names were checked before.
            Some(name) => self
                .told(error)
                .says(format!("`{name}` is a name that SELECT gives, and cannot be read here"))
                .hint(format!("write what stands before AS {name} instead")),
            None => self.told(error),
        };
        let problem = problem.hint_unless_any("only SELECT … FROM … WHERE … GROUP BY … HAVING is read");
        let problem = match culprit(&self.state, error, statement, (&self.stream.name, table)) {
            Some(span) if !problem.has_place() => problem.at(span),
            _ => problem,
        };
        problem.error(Part::Sql)
    }

    /// A query without groups.
    fn stateless(
        &self,
        plan: &LogicalPlan,
        split: &Split<'_>,
        scan: &DFSchema,
        problems: &mut Vec<(Problem, Part)>,
    ) -> Result<Option<Shape>, DataFusionError> {
        let composed = split.pre.compose(columns(scan))?;
        let drafts = self.draft(plan.schema(), &composed, scan, problems);
        let key = match &self.feed.key {
            Some(names) => named_key(names, &drafts, problems),
            None => {
                if self.feed.delete_when.is_some() {
                    problems.push((
                        Problem::new("`delete_when` needs a key to delete").hint("add `key:` to the feed"),
                        Part::DeleteWhen,
                    ));
                }
                if drafts.iter().any(|d| d.column.name == SEQ) {
                    problems.push((
                        Problem::new(format!("`{SEQ}` is the key of a feed without `key:`"))
                            .hint("give the column another name with AS, or add `key:`"),
                        Part::Sql,
                    ));
                }
                Vec::new()
            }
        };
        if !problems.is_empty() {
            return Ok(None);
        }
        let (output, finish) = finish(&self.feed.name, &drafts, &key, true, plan.schema().as_arrow())?;
        let delete_when = match &self.feed.delete_when {
            None => None,
            Some(sql) => match self.delete_when(sql, finish.schema()) {
                Ok(expr) => Some(expr),
                Err(error) => {
                    problems.push((error, Part::DeleteWhen));
                    return Ok(None);
                }
            },
        };
        let kind = Kind::Stateless(Stateless { chain: split.pre.lower()?, finish, delete_when });
        Ok(Some(Shape { output, kind }))
    }

    fn draft(
        &self,
        schema: &DFSchema,
        composed: &[Expr],
        scan: &DFSchema,
        problems: &mut Vec<(Problem, Part)>,
    ) -> Vec<Draft> {
        let mut found = Vec::new();
        let drafts = draft(schema, &json_columns(composed, scan), &mut found);
        problems.extend(found.into_iter().map(|p| (p, Part::Sql)));
        drafts
    }

    /// The condition on which a row deletes its key.
    fn delete_when(&self, sql: &str, schema: &SchemaRef) -> Result<Scalar, Problem> {
        let hint = "write a condition over the query's columns";
        let placed = |error: DataFusionError| {
            let told = self.told(&error).hint_unless_any(hint);
            // The one thing that is read here is a column of the query.
            match no_column(&error) {
                Some(name) => {
                    let columns = schema.fields().iter().map(|f| f.name().as_str());
                    told.says(format!("the query has no column `{name}`")).hint(suggest(&name, "columns", columns))
                }
                None if matches!(error.find_root(), DataFusionError::SQL(..)) => told.hint(hint),
                None => told,
            }
        };
        let df = DFSchema::try_from(schema.as_ref().clone()).map_err(placed)?;
        let expr = self.state.create_logical_expr(sql, &df).map_err(placed)?;
        if expr.is_volatile() {
            return Err(Problem::new("`delete_when` gives another answer each time").hint("compute from columns"));
        }
        let physical = self.state.create_physical_expr(expr, &df).map_err(placed)?;
        let physical = checked(physical).map_err(placed)?;
        match physical.data_type(schema).map_err(placed)? {
            Arrow::Boolean => Ok(physical),
            other => {
                Err(Problem::new(format!("`delete_when` is true or false, found {}", type_name(&other.to_string())))
                    .hint("write a condition, such as status = 'gone'"))
            }
        }
    }

    /// A query with groups.
    fn grouped(
        &self,
        plan: &LogicalPlan,
        split: &Split<'_>,
        aggregate: &LogicalAggregate,
        scan: &DFSchema,
        parsed: &Parsed,
        problems: &mut Vec<(Problem, Part)>,
    ) -> Result<Option<Shape>, DataFusionError> {
        if self.feed.delete_when.is_some() {
            problems.push((
                Problem::new("`delete_when` is for queries without GROUP BY")
                    .hint("write the opposite condition in HAVING: a group that no longer meets it is deleted"),
                Part::DeleteWhen,
            ));
        }
        let windowed = parsed.window.is_some();
        let groups = group_columns(aggregate, windowed);
        let place = parsed.group_spans.first().copied().unwrap_or_else(Span::empty);
        if windowed && !groups.iter().any(|g| !matches!(g, GroupColumn::Key(_))) {
            let problem = Problem::new("GROUP BY over TUMBLE needs window_start or window_end")
                .hint("add window_start, window_end to GROUP BY, and to SELECT")
                .at(place);
            problems.push((problem, Part::Sql));
        }
        let composed = split.post.compose(columns(&aggregate.schema))?;
        let from_stream = split.pre.compose(columns(scan))?;
        let drafts = {
            let mut json = json_columns(&self.origins(&composed, aggregate, &from_stream), scan);
            for (json, expr) in json.iter_mut().zip(&composed) {
                *json |= is_json_aggregate(expr, aggregate);
            }
            let mut found = Vec::new();
            let drafts = draft(plan.schema(), &json, &mut found);
            problems.extend(found.into_iter().map(|p| (p, Part::Sql)));
            drafts
        };
        let group_count = aggregate.group_expr.len();
        for (index, group) in aggregate.group_expr.iter().enumerate() {
            let data_type = aggregate.schema.field(index).data_type();
            if Width::of(data_type).is_none() {
                let problem = Problem::new(format!("GROUP BY {group}: groups cannot be of type {data_type}"))
                    .hint("write cast(… AS text)")
                    .at(parsed.group_spans.get(index).copied().unwrap_or(place));
                problems.push((problem, Part::Sql));
            }
        }
        let Some(key) = self.group_key(&groups, &composed, &drafts, aggregate, parsed, problems) else {
            return Ok(None);
        };
        let mut lowered = Vec::with_capacity(aggregate.aggr_expr.len());
        for aggregate in aggregates(aggregate)? {
            match aggregate {
                Ok(aggregate) => lowered.push(aggregate),
                Err(problem) => problems.push((problem, Part::Sql)),
            }
        }
        let aggregates = lowered;
        for (lowered, expr) in aggregates.iter().zip(&aggregate.aggr_expr) {
            if let Some(state) = lowered.state.iter().find(|t| Width::of(t).is_none()) {
                let problem = Problem::new(format!("{expr}: its state has type {state}, which cannot be kept"))
                    .hint("cast its argument to double, bigint, text or timestamp");
                problems.push((problem, Part::Sql));
            }
        }
        let in_key = |column: GroupColumn| {
            key.iter().any(|k| {
                match exact_group(&composed[output::place(&drafts[*k])], &aggregate.schema, group_count) {
                    Some(group) => groups[group] == column,
                    None => false,
                }
            })
        };
        let newest_only = windowed && !in_key(GroupColumn::WindowStart) && !in_key(GroupColumn::WindowEnd);
        if newest_only && self.feed.emit == Emit::Changes && split.post.filters() {
            let problem = Problem::new("HAVING with a key that leaves the window out needs `emit: final`")
                .hint("an open window may stop to meet HAVING after it has replaced the one before; add `emit: final`");
            problems.push((problem, Part::Sql));
        }
        if !problems.is_empty() {
            return Ok(None);
        }
        let group_fields: Vec<FieldRef> = aggregate.schema.fields().iter().take(group_count).cloned().collect();
        let group_df = DFSchema::new_with_metadata(
            aggregate.schema.iter().take(group_count).map(|(q, f)| (q.cloned(), f.clone())).collect(),
            HashMap::new(),
        )?;
        let (output, finish) = finish(&self.feed.name, &drafts, &key, false, plan.schema().as_arrow())?;
        let keys: Vec<&Expr> = aggregate
            .group_expr
            .iter()
            .zip(&groups)
            .filter(|(_, g)| matches!(g, GroupColumn::Key(_)))
            .map(|(e, _)| e)
            .collect();
        let key_fields: Vec<Field> = group_fields
            .iter()
            .zip(&groups)
            .filter(|(_, g)| matches!(g, GroupColumn::Key(_)))
            .map(|(f, _)| f.as_ref().clone().with_nullable(true))
            .collect();
        let input = aggregate.input.schema();
        let feed_key_schema = output.key_arrow();
        let kind = Kind::Grouped(Box::new(Grouped {
            window: parsed
                .window
                .as_ref()
                .and_then(|(tumble, time)| Some(Window { tumble: *tumble, time: self.stream.schema.index_of(time)? })),
            emit: if windowed { self.feed.emit } else { Emit::Changes },
            refresh_ms: self.feed.refresh_ms.max(0),
            max_groups: self.feed.max_groups,
            max_group_state: usize::try_from(self.feed.max_group_state).unwrap_or(usize::MAX),
            max_memory: usize::try_from(self.feed.max_memory).unwrap_or(usize::MAX),
            idle_ttl_ms: self.feed.idle_ttl_ms.max(1),
            pre: split.pre.lower()?,
            keys: keys.into_iter().map(|e| physical(e, input)).collect::<Result<_, _>>()?,
            key_schema: Arc::new(ArrowSchema::new(key_fields)),
            state_types: aggregates.iter().flat_map(|a| a.state.iter().cloned()).collect(),
            aggregates,
            post_schema: Arc::new(aggregate.schema.as_arrow().clone()),
            post: split.post.lower()?,
            finish,
            feed_key: key_exprs(&key, &drafts, &composed, &group_df)?,
            feed_key_schema,
            group_schema: Arc::new(ArrowSchema::new(group_fields)),
            groups,
            newest_only,
        }));
        Ok(Some(Shape { output, kind }))
    }

    /// The query's columns in terms of the stream's, where a group is one of them.
    fn origins(&self, composed: &[Expr], aggregate: &LogicalAggregate, from_stream: &[Expr]) -> Vec<Expr> {
        let input = aggregate.input.schema();
        composed
            .iter()
            .map(|expr| {
                let group = exact_group(expr, &aggregate.schema, aggregate.group_expr.len());
                match group.map(|g| aggregate.group_expr[g].clone().unalias()) {
                    Some(Expr::Column(c)) => {
                        input.maybe_index_of_column(&c).map_or_else(|| expr.clone(), |i| from_stream[i].clone())
                    }
                    Some(call @ Expr::ScalarFunction(_)) => call,
                    _ => expr.clone(),
                }
            })
            .collect()
    }

    /// The drafts that make the feed's key; `None` where there is a problem.
    fn group_key(
        &self,
        groups: &[GroupColumn],
        composed: &[Expr],
        drafts: &[Draft],
        aggregate: &LogicalAggregate,
        parsed: &Parsed,
        problems: &mut Vec<(Problem, Part)>,
    ) -> Option<Vec<usize>> {
        let count = groups.len();
        let exact = |draft: &Draft| exact_group(&composed[output::place(draft)], &aggregate.schema, count);
        let find = |group: usize| drafts.iter().position(|d| exact(d) == Some(group));
        let name = |group: usize| aggregate.schema.field(group).name().clone();
        let Some(names) = &self.feed.key else {
            let both = groups.contains(&GroupColumn::WindowStart);
            let mut key = Vec::new();
            for (index, group) in groups.iter().enumerate() {
                if *group == GroupColumn::WindowEnd && both {
                    continue;
                }
                match find(index) {
                    Some(draft) if key.contains(&draft) => {}
                    Some(draft) => key.push(draft),
                    None => {
                        let problem =
                            Problem::new(format!("GROUP BY `{}` is part of the key, but is not selected", name(index)))
                                .hint("add it to SELECT; a key without the window may be said with `key:`")
                                .at(parsed.group_spans.get(index).copied().unwrap_or_else(Span::empty));
                        problems.push((problem, Part::Sql));
                    }
                }
            }
            return problems.is_empty().then_some(key);
        };
        let key = named_key(names, drafts, problems);
        let has_window =
            key.iter().any(|k| exact(&drafts[*k]).is_some_and(|g| !matches!(groups[g], GroupColumn::Key(_))));
        for index in &key {
            let draft = &drafts[*index];
            let expr = &composed[output::place(draft)];
            let references: Vec<usize> =
                expr.column_refs().into_iter().filter_map(|c| aggregate.schema.maybe_index_of_column(c)).collect();
            let name = &draft.column.name;
            if references.iter().any(|r| *r >= count) {
                let problem = Problem::new(format!(
                    "the key column `{name}` is an aggregate, so it would change with every event"
                ))
                .hint("name columns of GROUP BY");
                problems.push((problem, Part::Key));
            } else if exact(draft).is_none()
                && !has_window
                && references.iter().any(|r| !matches!(groups[*r], GroupColumn::Key(_)))
            {
                let problem = Problem::new(format!(
                    "the key column `{name}` is computed from the window, which the key leaves out"
                ))
                .hint("add window_start to the key");
                problems.push((problem, Part::Key));
            }
        }
        for (index, group) in groups.iter().enumerate() {
            let covered = key.iter().any(|k| exact(&drafts[*k]) == Some(index));
            if matches!(group, GroupColumn::Key(_)) && !covered {
                let problem = Problem::new(format!(
                    "the key leaves out GROUP BY `{}`: several groups would claim one row",
                    name(index)
                ))
                .hint("add it to the key, or take it out of GROUP BY");
                problems.push((problem, Part::Key));
            }
        }
        problems.is_empty().then_some(key)
    }

    fn fingerprint(&self, plan: &LogicalPlan, shape: &Shape, window: Option<Tumble>) -> String {
        let text = format!(
            "format {FORMAT}\ndatafusion {}\nwindow {window:?}\nemit {:?}\ndelete_when {:?}\nstream {:?}\nevent_time {:?}\noutput {:?}\n{}",
            session::DATAFUSION,
            self.feed.emit,
            self.feed.delete_when,
            self.stream.schema,
            self.stream.event_time,
            shape.output,
            plan.display_indent(),
        );
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// The GROUP BY columns of a plan.
fn group_columns(aggregate: &LogicalAggregate, windowed: bool) -> Vec<GroupColumn> {
    let mut keys = 0;
    aggregate
        .group_expr
        .iter()
        .map(|expr| match expr.clone().unalias() {
            Expr::Column(c) if windowed && c.name == "window_start" => GroupColumn::WindowStart,
            Expr::Column(c) if windowed && c.name == "window_end" => GroupColumn::WindowEnd,
            _ => {
                keys += 1;
                GroupColumn::Key(keys - 1)
            }
        })
        .collect()
}

/// Whether an expression over groups and aggregates is just an aggregate that makes json.
fn is_json_aggregate(expr: &Expr, aggregate: &LogicalAggregate) -> bool {
    let Expr::Column(column) = expr else { return false };
    let index = aggregate.schema.maybe_index_of_column(column);
    let expr = index.and_then(|index| aggregate.aggr_expr.get(index.checked_sub(aggregate.group_expr.len())?));
    match expr.map(|expr| expr.clone().unalias()) {
        Some(Expr::AggregateFunction(call)) => makes_json(call.func.name()),
        _ => false,
    }
}

/// The GROUP BY column that an expression over groups and aggregates is, if it is just that.
fn exact_group(expr: &Expr, schema: &DFSchema, groups: usize) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column).filter(|index| *index < groups),
        _ => None,
    }
}

/// The stream's columns, with those that TUMBLE adds.
fn with_window(input: &SchemaRef, windowed: bool) -> SchemaRef {
    if !windowed {
        return input.clone();
    }
    let bound = |name: &str| Arc::new(Field::new(name, Arrow::Timestamp(TimeUnit::Millisecond, None), false));
    let fields = input.fields().iter().cloned().chain([bound("window_start"), bound("window_end")]);
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

fn internal(error: DataFusionError) -> Vec<QueryError> {
    vec![from_datafusion(&error, Part::Sql)]
}
