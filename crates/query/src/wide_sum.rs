//! `sum` of integers without overflow.
//!
//! DataFusion's own wraps around and goes on with a wrong number. This one adds in 128
//! bits, so the order of events does not matter and a sum that leaves the 64 bits and
//! comes back is right; only showing one that is outside of them fails.

use std::{mem::size_of, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array},
        datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type},
    },
    common::{Result, exec_err, not_impl_err},
    logical_expr::{EmitTo, GroupsAccumulator},
};

/// The type of its state: 128 bits, of which no decimal digit is behind the point.
pub(crate) const STATE: DataType = DataType::Decimal128(38, 0);

/// Sums of integers, one a group; `None` before the first number.
#[derive(Debug)]
pub(crate) struct WideSum {
    sums: Vec<Option<i128>>,
    unsigned: bool,
}

impl WideSum {
    /// Sums of `BIGINT`, or of `BIGINT UNSIGNED`.
    pub(crate) fn new(unsigned: bool) -> Self {
        Self { sums: Vec::new(), unsigned }
    }

    fn add(
        &mut self,
        nulls: &dyn Array,
        value: impl Fn(usize) -> i128,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) {
        self.sums.resize(total, None);
        let all = nulls.null_count() == 0 && filter.is_none();
        for (row, group) in groups.iter().enumerate() {
            if all || (nulls.is_valid(row) && filter.is_none_or(|f| f.is_valid(row) && f.value(row))) {
                let sum = &mut self.sums[*group];
                // 2^64 numbers of 64 bits fit into 128.
                *sum = Some(sum.unwrap_or(0).wrapping_add(value(row)));
            }
        }
    }
}

impl GroupsAccumulator for WideSum {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        if self.unsigned {
            let numbers = values[0].as_primitive::<UInt64Type>();
            self.add(numbers, |row| i128::from(numbers.value(row)), groups, filter, total);
        } else {
            let numbers = values[0].as_primitive::<Int64Type>();
            self.add(numbers, |row| i128::from(numbers.value(row)), groups, filter, total);
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let sums = values[0].as_primitive::<Decimal128Type>();
        self.add(sums, |row| sums.value(row), groups, None, total);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        if self.unsigned {
            let fit = |sum: Option<i128>| sum.map(|s| u64::try_from(s).or_else(|_| outside(s))).transpose();
            Ok(Arc::new(sums.into_iter().map(fit).collect::<Result<UInt64Array>>()?))
        } else {
            let fit = |sum: Option<i128>| sum.map(|s| i64::try_from(s).or_else(|_| outside(s))).transpose();
            Ok(Arc::new(sums.into_iter().map(fit).collect::<Result<Int64Array>>()?))
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let sums: Decimal128Array = sums.into_iter().collect();
        Ok(vec![Arc::new(sums.with_data_type(STATE))])
    }

    fn convert_to_state(&self, _values: &[ArrayRef], _filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("rows are always aggregated before they are merged")
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Option<i128>>()
    }
}

fn outside<T>(sum: i128) -> Result<T> {
    exec_err!("the sum {sum} is outside of what a bigint can hold")
}
