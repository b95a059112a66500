//! Where in a query an error of DataFusion's lies: most of them have no place.

use std::ops::ControlFlow;

use datafusion::{
    arrow::datatypes::SchemaRef,
    error::DataFusionError,
    execution::session_state::SessionState,
    sql::sqlparser::{
        ast::{Expr, GroupByExpr, SelectItem, SetExpr, Spanned, Statement, Visit, Visitor},
        tokenizer::Span,
    },
};

use super::{session, told::message};

/// Each expression is planned, which takes a millisecond or so.
const MOST: usize = 200;

/// The expressions of a SELECT, what they are made of before themselves.
struct Expressions(Vec<Expr>);

impl Visitor for Expressions {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.push(expr.clone());
        if self.0.len() < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// The smallest expression that gives the same error when it is selected alone. `table` is
/// what the statement reads.
pub(super) fn culprit(
    state: &SessionState,
    error: &DataFusionError,
    statement: &Statement,
    (table, schema): (&str, &SchemaRef),
) -> Option<Span> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let mut expressions = Expressions(Vec::new());
    let _ = select.visit(&mut expressions);
    let wanted = message(error);
    let mut alone = query.clone();
    for expr in expressions.0 {
        let span = expr.span();
        if let SetExpr::Select(select) = alone.body.as_mut() {
            select.projection = vec![SelectItem::UnnamedExpr(expr)];
            select.selection = None;
            select.having = None;
            select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        }
        let planned = session::optimized(state, Statement::Query(alone.clone()), table, schema.clone());
        if planned.is_err_and(|e| message(&e) == wanted) {
            return Some(span);
        }
    }
    let condition = select.selection.as_ref().or(select.having.as_ref());
    condition.filter(|_| wanted.contains("predicate")).map(Spanned::span)
}
