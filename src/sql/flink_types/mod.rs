//! Which type has an expression, by Flink's rules?
//!
//! DataFusion's planner resolves names and builds the plan; [`apply`] then goes over it from the
//! sources up and gives every expression Flink's type: an integer literal is INT if it fits,
//! DECIMAL arithmetic has Flink's precision, a FLOAT and a DECIMAL meet in DOUBLE, COALESCE and its
//! like become CASE, and CAST is Flink's. It runs before DataFusion's type coercion, which finds
//! little left to do. What always holds: output names stay; a plan that went through twice is the
//! same plan.
//!
//! In reading order: `expressions` (which expression), `operators`, `arithmetic` and `cases` (their
//! parts), `nested_calls`, `casts` and `meet` (from type to type), `operands` (what is refused),
//! `places` (where it stands).

mod arithmetic;
mod cases;
mod casts;
mod expressions;
mod meet;
mod nested_calls;
mod operands;
mod operators;
mod places;

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, NullEquality, Result, ScalarValue, plan_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Cast, Expr, ExprSchemable, Join, LogicalPlan, Union, Values};

use crate::types::common::common_type;
use crate::types::sql_name;
pub use casts::{implicit_cast, length_cast};
pub use expressions::expression;
use meet::meet_all;
pub use operands::check_operands;
pub use places::at;

/// Gives every expression of a plan Flink's type.
pub(crate) fn apply(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(node)?.data)
}

/// One node of a plan whose inputs have their types.
fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_) | LogicalPlan::Limit(_)) {
        return Ok(Transformed::no(plan));
    }
    if let LogicalPlan::Values(rows) = plan {
        let done = rows.schema.metadata().contains_key(TYPED);
        return Ok(Transformed::yes(LogicalPlan::Values(if done { rows } else { values(rows)? })));
    }
    if let LogicalPlan::Union(union) = &plan {
        same_types(union)?;
    }
    if let LogicalPlan::Join(join) = &plan
        && join.null_equality == NullEquality::NullEqualsNull
    {
        same_columns(join)?;
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|e| {
        let name = names.save(&e);
        Ok(Transformed::yes(name.restore(expression(e, &schema)?)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

/// Refuses sides of a UNION that have no type in common.
fn same_types(union: &Union) -> Result<()> {
    let Some((first, others)) = union.inputs.split_first() else { return Ok(()) };
    for other in others {
        for (a, b) in first.schema().fields().iter().zip(other.schema().fields()) {
            if common_type(a.data_type(), b.data_type()).is_none() {
                let (left, right) = (sql_name(a.data_type()), sql_name(b.data_type()));
                return plan_err!(
                    "column '{}' is {left} on one side of UNION and {right} on the other",
                    b.name()
                );
            }
        }
    }
    Ok(())
}

/// Refuses sides of INTERSECT or EXCEPT, which are joins by all columns, that have no type in common.
fn same_columns(join: &Join) -> Result<()> {
    for (a, b) in &join.on {
        let (left, right) = (a.get_type(join.left.schema())?, b.get_type(join.right.schema())?);
        if common_type(&left, &right).is_none() {
            return plan_err!(
                "column '{a}' is {} on one side of INTERSECT or EXCEPT and {} on the other",
                sql_name(&left),
                sql_name(&right)
            );
        }
    }
    Ok(())
}

/// Schema metadata of rows that have their types: a second time a NULL would lose its own.
const TYPED: &str = "paceline.typed";

/// True for TIMESTAMP '...', DATE '...' and TIME '...'.
fn is_typed_text(cast: &Cast) -> bool {
    matches!(&*cast.expr, Expr::Literal(ScalarValue::Utf8(_), _))
        && cast.field.data_type().is_temporal()
}

/// Rows whose columns have the type that all their values meet in. The planner has cast them to a
/// type of its own. The query's casts are calls, but for TIMESTAMP '...' and its like, which are
/// casts of a text: to a time the planner casts no text here.
fn values(rows: Values) -> Result<Values> {
    let none = DFSchema::empty();
    let own = |cell: Expr| match cell {
        Expr::Cast(cast) if is_typed_text(&cast) => Expr::Cast(cast),
        Expr::Cast(cast) => *cast.expr,
        Expr::Literal(value, _) if value.is_null() => Expr::Literal(ScalarValue::Null, None),
        other => other,
    };
    let mut columns: Vec<Vec<Expr>> = vec![vec![]; rows.schema.fields().len()];
    for row in rows.values {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(expression(own(cell), &none)?);
        }
    }
    let mut fields = Vec::with_capacity(columns.len());
    for (column, field) in columns.iter_mut().zip(rows.schema.fields()) {
        *column = meet_all("VALUES", std::mem::take(column), &none)?;
        let data_type = column.first().map_or(Ok(DataType::Null), |cell| cell.get_type(&none))?;
        fields.push(Field::new(field.name(), data_type, true));
    }
    let height = columns.first().map_or(0, Vec::len);
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let values =
        (0..height).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect();
    let schema = DFSchema::from_unqualified_fields(
        fields.into(),
        HashMap::from([(TYPED.to_string(), String::new())]),
    )?;
    Ok(Values { schema: schema.into(), values })
}
