//! The feed's columns: types that feeds have, the key first.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType as Arrow, Field, Schema as ArrowSchema, SchemaRef, TimeUnit},
    },
    common::{DFSchema, Result},
    logical_expr::Expr,
    physical_expr::expressions::{Column as ColumnExpr, cast},
};
use model::{Column, DataType, FeedKind, FeedSchema, Schema, schema::is_json};

use super::{json::makes_json, names::suggest, split::physical, sql::Problem};
use crate::{
    define::Part,
    stage::{Scalar, project},
};

/// Makes the feed's rows out of the query's.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    exprs: Vec<Scalar>,
    /// Every column nullable: nulls where the feed allows none are found afterwards.
    loose: SchemaRef,
    /// The feed's schema, without `_seq`.
    strict: SchemaRef,
}

impl Finish {
    /// The feed's columns; a key may still be null.
    pub(crate) fn loose(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        project(&self.exprs, &self.loose, batch)
    }

    /// The same rows in the feed's schema; fails where a null stands that may not.
    pub(crate) fn strict(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(self.strict.clone(), batch.columns().to_vec())?)
    }

    /// The feed's schema with every column nullable.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.loose
    }
}

/// A column of the query, before the key is chosen.
pub(crate) struct Draft {
    /// Its place in the query's own output.
    index: usize,
    pub(crate) column: Column,
    from: Arrow,
}

/// The type that a feed's column has for values of this type, where none is lost.
pub(crate) fn widened(from: &Arrow, json: bool) -> Option<DataType> {
    Some(match from {
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View if json => DataType::Json,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => DataType::Text,
        Arrow::Int8 | Arrow::Int16 | Arrow::Int32 | Arrow::UInt8 | Arrow::UInt16 => DataType::Int,
        Arrow::Int64 | Arrow::UInt32 | Arrow::UInt64 => DataType::BigInt,
        Arrow::Float16 | Arrow::Float32 | Arrow::Float64 => DataType::Double,
        Arrow::Boolean => DataType::Boolean,
        Arrow::Timestamp(..) => DataType::Timestamp,
        Arrow::Date32 => DataType::Date,
        &Arrow::Decimal128(precision, scale) => {
            let scale = u8::try_from(scale).ok().filter(|scale| *scale <= precision)?;
            DataType::Decimal { precision, scale }
        }
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView => DataType::Bytes,
        Arrow::List(item) if matches!(item.data_type(), Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View) => {
            DataType::TextList
        }
        _ => return None,
    })
}

/// What to write for a type that feeds do not have.
fn instead(from: &Arrow) -> &'static str {
    match from {
        Arrow::Decimal32(..) | Arrow::Decimal64(..) | Arrow::Decimal128(..) | Arrow::Decimal256(..) => {
            "write cast(… AS decimal(38, 6)), or another with at most 38 digits"
        }
        Arrow::Date64 => "write cast(… AS date)",
        Arrow::Interval(_) | Arrow::Duration(_) | Arrow::Time32(_) | Arrow::Time64(_) => {
            "write cast(… AS text), or extract a number with date_part('epoch', …)"
        }
        Arrow::Null => "write cast(NULL AS text), or the type it shall have",
        _ => "write cast(… AS text)",
    }
}

/// The query's columns as a feed can have them. `json` says which are a stream's json
/// column, only selected.
pub(crate) fn draft(schema: &DFSchema, json: &[bool], problems: &mut Vec<Problem>) -> Vec<Draft> {
    let mut names = BTreeSet::new();
    let mut drafts = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        if !names.insert(name.clone()) {
            problems
                .push(Problem::new(format!("two columns are called `{name}`")).hint("give one another name with AS"));
            continue;
        }
        match widened(field.data_type(), json[index]) {
            Some(data_type) => drafts.push(Draft {
                index,
                column: Column { name: name.clone(), data_type, nullable: field.is_nullable() },
                from: field.data_type().clone(),
            }),
            None => problems.push(
                Problem::new(format!("column `{name}` has type {}, which feeds do not have", field.data_type()))
                    .hint(instead(field.data_type())),
            ),
        }
    }
    drafts
}

/// Which of `exprs` are json: the stream's json columns, only selected, and parts of them.
pub(crate) fn json_columns(exprs: &[Expr], stream: &DFSchema) -> Vec<bool> {
    exprs
        .iter()
        .map(|expr| match expr {
            Expr::Column(column) => stream.maybe_index_of_column(column).is_some_and(|i| is_json(stream.field(i))),
            Expr::ScalarFunction(call) => makes_json(call.func.name()),
            _ => false,
        })
        .collect()
}

/// The drafts that a key names, in its order.
pub(crate) fn named_key(names: &[String], drafts: &[Draft], problems: &mut Vec<(Problem, Part)>) -> Vec<usize> {
    let mut key = Vec::new();
    for name in names {
        match drafts.iter().position(|d| d.column.name == *name) {
            Some(index) if key.contains(&index) => {
                problems.push((Problem::new(format!("the key names `{name}` twice")), Part::Key));
            }
            Some(index) => key.push(index),
            None => problems.push((
                Problem::new(format!("the key names `{name}`, which the query does not select")).hint(suggest(
                    name,
                    "columns",
                    drafts.iter().map(|d| d.column.name.as_str()),
                )),
                Part::Key,
            )),
        }
    }
    if names.is_empty() {
        problems
            .push((Problem::new("the key has no columns").hint("name at least one, or leave `key:` out"), Part::Key));
    }
    key
}

/// The feed's schema and how to make its rows. `key` indexes `drafts`; without one the
/// feed only grows.
pub(crate) fn finish(
    feed: &str,
    drafts: &[Draft],
    key: &[usize],
    not_null: bool,
    input: &ArrowSchema,
) -> Result<(FeedSchema, Finish)> {
    let order = key.iter().copied().chain((0..drafts.len()).filter(|i| !key.contains(i)));
    let mut columns = Vec::new();
    let mut exprs = Vec::new();
    for (place, index) in order.enumerate() {
        let draft = &drafts[index];
        let mut column = draft.column.clone();
        column.nullable &= !(not_null && place < key.len());
        let name = input.field(draft.index).name();
        let expr: Scalar = Arc::new(ColumnExpr::new(name, draft.index));
        exprs.push(widen(expr, &draft.from, column.data_type, input)?);
        columns.push(column);
    }
    let strict = Schema::new(columns.clone()).to_arrow();
    let loose = strict.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<Field>>();
    let finish = Finish { exprs, loose: Arc::new(ArrowSchema::new(loose)), strict };
    let kind = if key.is_empty() { FeedKind::Append } else { FeedKind::Upsert };
    if kind == FeedKind::Append {
        columns.insert(0, Column::new(SEQ, DataType::BigInt).not_null());
    }
    let schema = FeedSchema { name: feed.to_owned(), schema: Schema::new(columns), key_len: key.len().max(1), kind };
    Ok((schema, finish))
}

/// The key column of a feed that only grows.
pub(crate) const SEQ: &str = "_seq";

fn widen(expr: Scalar, from: &Arrow, to: DataType, input: &ArrowSchema) -> Result<Scalar> {
    if *from == to.arrow() {
        return Ok(expr);
    }
    // Another time zone's timestamps are the same instants; only their unit changes.
    let expr = match from {
        Arrow::Timestamp(unit, Some(_)) if *unit != TimeUnit::Millisecond => {
            cast(expr, input, Arrow::Timestamp(*unit, None))?
        }
        _ => expr,
    };
    cast(expr, input, to.arrow())
}

/// Expressions for key columns alone, over the columns that groups have.
pub(crate) fn key_exprs(key: &[usize], drafts: &[Draft], composed: &[Expr], groups: &DFSchema) -> Result<Vec<Scalar>> {
    key.iter()
        .map(|index| {
            let draft = &drafts[*index];
            let expr = physical(&composed[draft.index], groups)?;
            widen(expr, &draft.from, draft.column.data_type, groups.as_arrow())
        })
        .collect()
}

/// The place of a draft in the query's own output.
pub(crate) fn place(draft: &Draft) -> usize {
    draft.index
}
