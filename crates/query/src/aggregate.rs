//! Aggregate functions: DataFusion's accumulators as tools of one tick.
//!
//! An accumulator consumes what it emits, so it cannot be the home of state. A tick
//! makes fresh ones, merges stored states into them, and takes the new states out.
//!
//! An aggregate whose state grows is none of that: see [`crate::grow`].

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, BooleanArray},
        compute::cast,
        datatypes::DataType,
    },
    common::{Result, internal_err},
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::{GroupsAccumulatorAdapter, aggregate::AggregateFunctionExpr},
};

use crate::{
    grow::Growth,
    stage::Scalar,
    wide_sum::{self, WideSum},
};

/// How an aggregate is computed.
#[derive(Debug, Clone)]
enum Method {
    /// By DataFusion's accumulator over all groups.
    Groups(Arc<AggregateFunctionExpr>),
    /// By one of DataFusion's accumulators for each group.
    Each(Arc<AggregateFunctionExpr>),
    /// A sum of integers.
    WideSum { unsigned: bool },
    /// By states that live with the groups.
    Growing(Growth),
}

/// One aggregate of a query.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    method: Method,
    pub(crate) args: Vec<Scalar>,
    pub(crate) filter: Option<Scalar>,
    /// The types of its state; none if it grows.
    pub(crate) state: Vec<DataType>,
    /// The type of its value.
    pub(crate) output: DataType,
}

impl Aggregate {
    /// From DataFusion's description; `args` are its arguments and what they are ordered by.
    pub(crate) fn new(
        function: Arc<AggregateFunctionExpr>,
        args: Vec<Scalar>,
        filter: Option<Scalar>,
        output: DataType,
    ) -> Result<Self> {
        let returns = function.field().data_type().clone();
        if function.fun().name() == "sum" && matches!(returns, DataType::Int64 | DataType::UInt64) {
            let unsigned = returns == DataType::UInt64;
            let method = Method::WideSum { unsigned };
            return Ok(Self { method, args, filter, state: vec![wide_sum::STATE], output });
        }
        let state = function.state_fields()?.iter().map(|f| f.data_type().clone()).collect();
        let method =
            if function.groups_accumulator_supported() { Method::Groups(function) } else { Method::Each(function) };
        Ok(Self { method, args, filter, state, output })
    }

    /// An aggregate whose state grows.
    pub(crate) fn growing(growth: Growth, args: Vec<Scalar>, filter: Option<Scalar>, output: DataType) -> Self {
        Self { method: Method::Growing(growth), args, filter, state: Vec::new(), output }
    }

    /// How its state grows, if it does.
    pub(crate) fn growth(&self) -> Option<&Growth> {
        match &self.method {
            Method::Growing(growth) => Some(growth),
            _ => None,
        }
    }

    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match &self.method {
            Method::Groups(function) => function.create_groups_accumulator()?,
            Method::Each(function) => {
                let function = function.clone();
                Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))
            }
            Method::WideSum { unsigned } => Box::new(WideSum::new(*unsigned)),
            Method::Growing(_) => return internal_err!("an aggregate that grows has no state of a tick"),
        })
    }

    /// The states of `total` groups after the rows of one tick.
    pub(crate) fn update(
        &self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<Vec<ArrayRef>> {
        let mut accumulator = self.accumulator()?;
        accumulator.update_batch(values, groups, filter, total)?;
        accumulator.state(EmitTo::All)
    }

    /// Fresh states merged into stored, older ones. Row `g` of `fresh` belongs to group
    /// `positions[g]`; `stored` are the states of the first groups, in their order. So
    /// every call covers all groups up to its total: accumulators take it for granted
    /// that a group they hear of for the first time has a row, and would otherwise lose
    /// that a value is null.
    pub(crate) fn merge(
        &self,
        stored: &[Vec<ArrayRef>],
        fresh: &[ArrayRef],
        positions: &[usize],
    ) -> Result<Vec<ArrayRef>> {
        let mut accumulator = self.accumulator()?;
        let mut total = 0;
        for state in stored {
            let first = total;
            total += state.first().map_or(0, |column| column.len());
            let groups: Vec<usize> = (first..total).collect();
            accumulator.merge_batch(state, &groups, total)?;
        }
        accumulator.merge_batch(fresh, positions, positions.len())?;
        accumulator.state(EmitTo::All)
    }

    /// The values of these states, one group each.
    pub(crate) fn value(&self, state: &[ArrayRef], all: &[usize]) -> Result<ArrayRef> {
        let mut accumulator = self.accumulator()?;
        accumulator.merge_batch(state, all, all.len())?;
        let value = accumulator.evaluate(EmitTo::All)?;
        if value.data_type() == &self.output { Ok(value) } else { Ok(cast(&value, &self.output)?) }
    }
}
