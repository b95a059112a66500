//! Filters and projections over a batch, and which rows went through.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions},
        compute::filter_record_batch,
        datatypes::SchemaRef,
    },
    common::{
        Result, exec_err, internal_err,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::Operator,
    physical_expr::{PhysicalExpr, expressions::BinaryExpr},
};

/// Runs user's expressions. A function that panics on a value fails on it, as one does that
/// says so: the event is in the log, and would stop every later start. Whatever `work`
/// changes must be thrown away by the caller when it fails.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        exec_err!("a function cannot take this value: {}", why.unwrap_or("it says no more"))
    })
}

/// An expression over the columns of a batch.
pub(crate) type Scalar = Arc<dyn PhysicalExpr>;

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Keeps the rows for which it is true.
    Filter(Scalar),
    /// Makes columns.
    Project { exprs: Vec<Scalar>, schema: SchemaRef },
    /// Chooses columns.
    Columns(Vec<usize>),
}

/// Steps, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    pub(crate) stages: Vec<Stage>,
}

/// The rows that went through a [`Chain`].
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) batch: RecordBatch,
    /// The row of the input that each row came from; none if all went through.
    rows: Option<Vec<u32>>,
}

impl Passed {
    /// Every row of a batch.
    pub(crate) fn all(batch: RecordBatch) -> Self {
        Self { batch, rows: None }
    }

    /// The row of the input that `row` came from.
    #[inline]
    pub(crate) fn origin(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row] as usize)
    }

    /// Keeps the rows for which the mask is true.
    pub(crate) fn keep(&mut self, mask: &BooleanArray) -> Result<()> {
        if mask.null_count() == 0 && mask.true_count() == mask.len() {
            return Ok(());
        }
        self.batch = filter_record_batch(&self.batch, mask)?;
        let kept = (0..mask.len()).filter(|i| mask.is_valid(*i) && mask.value(*i));
        self.rows = Some(match &self.rows {
            None => kept.map(|i| i as u32).collect(),
            Some(rows) => kept.map(|i| rows[i]).collect(),
        });
        Ok(())
    }
}

impl Chain {
    /// Runs every step.
    pub(crate) fn run(&self, batch: &RecordBatch) -> Result<Passed> {
        let mut passed = Passed::all(batch.clone());
        for stage in &self.stages {
            match stage {
                Stage::Filter(predicate) => {
                    let mask = condition(predicate, &passed.batch)?;
                    passed.keep(&mask)?;
                }
                Stage::Project { exprs, schema } => passed.batch = project(exprs, schema, &passed.batch)?,
                Stage::Columns(columns) => passed.batch = passed.batch.project(columns)?,
            }
        }
        Ok(passed)
    }
}

/// Evaluates an expression for each row.
pub(crate) fn column(expr: &Scalar, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

/// Evaluates a condition for each row; null counts as false where it is used.
pub(crate) fn condition(expr: &Scalar, batch: &RecordBatch) -> Result<BooleanArray> {
    let array = column(expr, batch)?;
    match array.as_boolean_opt() {
        Some(mask) => Ok(mask.clone()),
        None => internal_err!("a condition of type {}", array.data_type()),
    }
}

/// Makes a batch of these expressions.
pub(crate) fn project(exprs: &[Scalar], schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = exprs.iter().map(|e| column(e, batch)).collect::<Result<Vec<_>>>()?;
    // A batch without columns still has rows: count(*) reads no column.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The same expression, failing where integers overflow instead of going on with a
/// wrong number.
pub(crate) fn checked(expr: Scalar) -> Result<Scalar> {
    expr.transform_up(|e| {
        let Some(binary) = e.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(e)) };
        if !matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply) {
            return Ok(Transformed::no(e));
        }
        let checked = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
        Ok(Transformed::yes(Arc::new(checked.with_fail_on_overflow(true)) as Scalar))
    })
    .data()
}

/// The rows on which `attempt` fails, with the failure, found by halving: `k` of `n`
/// rows cost about `k log n` attempts.
pub(crate) fn failing(rows: usize, mut attempt: impl FnMut(usize, usize) -> Result<()>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut parts = vec![(0, rows)];
    while let Some((from, len)) = parts.pop() {
        let Err(error) = attempt(from, len) else { continue };
        if len <= 1 {
            found.push((from, reason(&error)));
        } else {
            let half = len / 2;
            parts.push((from + half, len - half));
            parts.push((from, half));
        }
    }
    found
}

/// A failure in one line for a person.
pub(crate) fn reason(error: &datafusion::error::DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("Arrow error: ").trim_start_matches("Execution error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use datafusion::common::exec_err;

    use super::*;

    #[test]
    fn exactly_the_failing_rows_are_found_in_few_attempts() {
        let bad = [3, 4, 700];
        let mut attempts = 0;
        let found = failing(1000, |from, len| {
            attempts += 1;
            if bad.iter().any(|b| (from..from + len).contains(b)) { exec_err!("no") } else { Ok(()) }
        });
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), bad);
        assert!(attempts < 70, "{attempts} attempts");
    }
}
