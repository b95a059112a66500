//! Access to what is inside json: the operators `->` and `->>`, and functions.

use std::sync::Arc;

use datafusion::{
    common::{DFSchema, Result},
    execution::FunctionRegistry,
    logical_expr::{
        Expr, ScalarUDF,
        expr::ScalarFunction,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};
use datafusion_functions_json::udfs::{
    json_as_text_udf, json_contains_udf, json_get_bool_udf, json_get_float_udf, json_get_int_udf, json_get_json_udf,
    json_get_str_udf, json_length_udf,
};

/// The function behind `->`, whose values are json.
const GET_JSON: &str = "json_get_json";

/// Adds the functions and the operators. Those of the library whose values have a type that
/// feeds do not have are left out.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let functions: [Arc<ScalarUDF>; 8] = [
        json_as_text_udf(),
        json_contains_udf(),
        json_get_bool_udf(),
        json_get_float_udf(),
        json_get_int_udf(),
        json_get_json_udf(),
        json_get_str_udf(),
        json_length_udf(),
    ];
    for function in functions {
        registry.register_udf(function)?;
    }
    registry.register_expr_planner(Arc::new(Operators))
}

/// Whether the values of a function are json.
pub(super) fn makes_json(function: &str) -> bool {
    function == GET_JSON
}

/// `->` is json, `->>` is text.
#[derive(Debug)]
struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match expr.op {
            BinaryOperator::Arrow => json_get_json_udf(),
            BinaryOperator::LongArrow => json_as_text_udf(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let call = ScalarFunction::new_udf(function, vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
