//! What DataFusion has to know of aggregates that it lacks, or whose value is another here.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Result, not_impl_err, plan_err},
    logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, function::AccumulatorArgs},
};

/// An aggregate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ours {
    /// The value that is most often there.
    Mode,
    /// A json list; feeds have no columns of lists.
    ArrayAgg,
    /// A json list of counts.
    Histogram,
}

/// All of them.
pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let function = |ours: Ours| {
        let signature = match ours {
            Ours::Mode | Ours::ArrayAgg => Signature::any(1, Volatility::Immutable),
            Ours::Histogram => Signature::user_defined(Volatility::Immutable),
        };
        Arc::new(AggregateUDF::new_from_impl(Function { ours, signature }))
    };
    [Ours::Mode, Ours::ArrayAgg, Ours::Histogram].into_iter().map(function).collect()
}

/// Whether the values of an aggregate are json.
pub(crate) fn makes_json(name: &str) -> bool {
    matches!(name, "array_agg" | "histogram")
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    ours: Ours,
    signature: Signature,
}

impl AggregateUDFImpl for Function {
    fn name(&self) -> &str {
        match self.ours {
            Ours::Mode => "mode",
            Ours::ArrayAgg => "array_agg",
            Ours::Histogram => "histogram",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() < 2 || arg_types.iter().any(|t| !t.is_numeric()) {
            return plan_err!("{} takes a number and its edges, as in histogram(value, 10, 100, 1000)", self.name());
        }
        Ok(vec![DataType::Float64; arg_types.len()])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.ours {
            Ours::Mode => arg_types.first().cloned().unwrap_or(DataType::Null),
            Ours::ArrayAgg | Ours::Histogram => DataType::Utf8,
        })
    }

    fn is_nullable(&self) -> bool {
        self.ours != Ours::Histogram
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.ours == Ours::ArrayAgg
    }

    /// Queries of feeds run on [`super::Growing`] states; DataFusion only plans them.
    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("{} is for the SQL of feeds", self.name())
    }
}
