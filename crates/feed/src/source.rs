//! The columns of a record batch, checked against the feed's and typed once a batch, so
//! that no row pays for a lookup.

use std::borrow::Cow;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_buffer::NullBuffer;
use model::{Column, DataType};

use crate::{as_text::to_texts, error::ApplyError};

/// The cells of a column, by type.
pub(crate) enum Cells<'a> {
    I64(&'a [i64]),
    I32(&'a [i32]),
    F64(&'a [f64]),
    Bool(&'a BooleanArray),
    Text(Cow<'a, StringArray>),
}

impl Cells<'_> {
    /// A value of fixed width in 64 bits, equal if and only if the values are: a double by
    /// its bits. 0 for a text.
    #[inline]
    pub(crate) fn word(&self, row: usize) -> u64 {
        match self {
            Self::I64(cells) => cells[row] as u64,
            Self::I32(cells) => cells[row] as u64,
            Self::F64(cells) => cells[row].to_bits(),
            Self::Bool(cells) => cells.value(row).into(),
            Self::Text(_) => 0,
        }
    }
}

/// A column of a record batch.
pub(crate) struct Source<'a> {
    pub cells: Cells<'a>,
    /// `None` if no cell is null.
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Source<'a> {
    fn of(column: &Column, array: &'a ArrayRef) -> Result<Self, ApplyError> {
        let any = array.as_any();
        let cells = match column.data_type {
            DataType::BigInt => any.downcast_ref::<Int64Array>().map(|a| Cells::I64(a.values())),
            DataType::Timestamp => any.downcast_ref::<TimestampMillisecondArray>().map(|a| Cells::I64(a.values())),
            DataType::Int => any.downcast_ref::<Int32Array>().map(|a| Cells::I32(a.values())),
            DataType::Date => any.downcast_ref::<Date32Array>().map(|a| Cells::I32(a.values())),
            DataType::Double => any.downcast_ref::<Float64Array>().map(|a| Cells::F64(a.values())),
            DataType::Boolean => any.downcast_ref().map(Cells::Bool),
            DataType::Text | DataType::Json => any.downcast_ref().map(Cow::Borrowed).map(Cells::Text),
            DataType::Decimal { .. } | DataType::Bytes | DataType::TextList => {
                to_texts(column.data_type, array).map(Cow::Owned).map(Cells::Text)
            }
        };
        let cells = cells.ok_or_else(|| ApplyError::Type {
            column: column.name.clone(),
            expected: column.data_type,
            found: array.data_type().to_string(),
        })?;
        let nulls = array.nulls().filter(|n| n.null_count() > 0);
        if nulls.is_some() && !column.nullable {
            return Err(ApplyError::Null(column.name.clone()));
        }
        Ok(Self { cells, nulls })
    }

    /// The columns of a batch; none for a batch without rows, whatever its schema.
    pub(crate) fn of_batch(columns: &[Column], batch: &'a RecordBatch) -> Result<Vec<Self>, ApplyError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if batch.num_columns() != columns.len() {
            return Err(ApplyError::Columns { expected: columns.len(), found: batch.num_columns() });
        }
        columns.iter().zip(batch.columns()).map(|(column, array)| Self::of(column, array)).collect()
    }

    #[inline]
    pub(crate) fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|n| n.is_valid(row))
    }
}
