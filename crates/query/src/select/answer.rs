//! The answer's columns, in types that feeds have, so that clients read one as they read the
//! other.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::RecordBatch,
        compute::{CastOptions, can_cast_types, cast_with_options},
        datatypes::SchemaRef,
    },
    common::{DFSchema, Result},
};
use model::{Column, DataType, Schema, schema::is_json};

use crate::plan::output::widened;

#[derive(Debug)]
pub(super) struct Answer {
    schema: Schema,
    arrow: SchemaRef,
}

impl Answer {
    /// `Err` names a column whose values have no text.
    pub(super) fn of(schema: &DFSchema) -> Result<Self, String> {
        let columns = schema.fields().iter().map(|field| {
            // Intervals, times of day and the like have no type of their own: their text says it all.
            let data_type = widened(field.data_type(), is_json(field)).unwrap_or(DataType::Text);
            if !can_cast_types(field.data_type(), &data_type.arrow()) {
                return Err(field.name().clone());
            }
            Ok(Column::new(field.name().clone(), data_type))
        });
        let schema = Schema::new(columns.collect::<Result<_, _>>()?);
        let arrow = schema.to_arrow();
        Ok(Self { schema, arrow })
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.schema.columns
    }

    /// Rows of the plan as rows of the answer. A value that the type cannot hold is an error,
    /// not a null.
    pub(super) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let columns = batch.columns().iter().zip(self.arrow.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &options)
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.arrow), columns.collect::<Result<_, _>>()?)?)
    }
}
