//! Which type has an expression, by Flink's rules?
//!
//! DataFusion's planner resolves names and builds the plan; [`apply`] then goes over it from the sources up and gives every
//! expression Flink's type: an integer literal is INT if it fits, DECIMAL arithmetic has Flink's precision, a FLOAT and a
//! DECIMAL meet in DOUBLE, COALESCE and its like become CASE, and CAST is Flink's. It runs before DataFusion's type coercion,
//! which finds little left to do. What always holds: output names stay; a plan that went through twice is the same plan.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Diagnostic, Result, ScalarValue, plan_err};
use datafusion_expr::expr::{Between, BinaryExpr, Case, Cast, InList, ScalarFunction, TryCast};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, Union, Values};

use super::functions::{arithmetic, cast, conditional, intervals, nested, type_of};
use super::planned_cast;
use crate::types::common::{common_type, decimal_shape, is_float};
use crate::types::decimal::Operation;
use crate::types::sql_name;

/// Gives every expression of a plan Flink's type.
pub fn apply(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(node)?.data)
}

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
                return plan_err!("column '{}' is {left} on one side of UNION and {right} on the other", b.name());
            }
        }
    }
    Ok(())
}

/// Schema metadata of rows that have their types: a second time a NULL would lose its own.
const TYPED: &str = "paceline.typed";

/// Rows whose columns have the type that all their values meet in. The planner has cast them to a type of its own, and
/// knows no other casts at this place: those of the query are calls.
fn values(rows: Values) -> Result<Values> {
    let none = DFSchema::empty();
    let own = |cell: Expr| match cell {
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
    let values = (0..height).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect();
    let schema = DFSchema::from_unqualified_fields(fields.into(), HashMap::from([(TYPED.to_string(), String::new())]))?;
    Ok(Values { schema: schema.into(), values })
}

/// An expression over these columns with Flink's types.
pub fn expression(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expression.transform_up(|e| typed(e, schema).map(Transformed::yes))?.data)
}

/// One expression whose parts have their types.
fn typed(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::Literal(ScalarValue::Decimal256(..), _) => plan_err!("a number has at most 38 digits"),
        Expr::Literal(value, metadata) => Ok(Expr::Literal(literal(value), metadata)),
        Expr::BinaryExpr(binary) => binary_expression(binary, schema),
        Expr::Cast(Cast { expr, field }) => explicit_cast(*expr, &field, false, schema),
        Expr::TryCast(TryCast { expr, field }) => explicit_cast(*expr, &field, true, schema),
        Expr::Case(case) => case_expression(case, schema),
        Expr::Between(Between { expr, negated, low, high }) => {
            if intervals::is_interval(&expr.get_type(schema)?) {
                let side = |op, bound: Expr| binary_expression(BinaryExpr::new(expr.clone(), op, Box::new(bound)), schema);
                let within = side(Operator::GtEq, *low)?.and(side(Operator::LtEq, *high)?);
                return Ok(if negated { Expr::Not(Box::new(within)) } else { within });
            }
            let [expr, low, high] = meet("BETWEEN", [*expr, *low, *high], schema)?;
            Ok(Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high))))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let to = expr.get_type(schema)?;
            if to.is_nested() || intervals::is_interval(&to) {
                let message = format!("IN does not take {}", sql_name(&to));
                return Err(at(DataFusionError::Plan(message), &expr));
            }
            let exact = to.is_integer() || matches!(to, DataType::Decimal128(..));
            if exact && list.iter().all(|e| matches!(e, Expr::Literal(..))) {
                // Constants take the type of what is looked for: 2 is in (2.5).
                let list = list.into_iter().map(|e| {
                    let number = e.get_type(schema)?.is_numeric();
                    if number || matches!(&e, Expr::Literal(v, _) if v.is_null()) { implicit_cast(e, &to, schema) } else { Ok(e) }
                });
                let list = list.collect::<Result<Vec<_>>>()?;
                let all = meet_all("IN", std::iter::once(*expr).chain(list).collect(), schema)?;
                return in_list(all, negated);
            }
            let mut all = vec![*expr];
            all.extend(list);
            in_list(meet_all("IN", all, schema)?, negated)
        }
        Expr::AggregateFunction(call) if not_boolean(call.params.filter.as_deref(), schema)?.is_some() => {
            let given = not_boolean(call.params.filter.as_deref(), schema)?.unwrap_or_default();
            plan_err!("'FILTER' takes a condition that is true or false, not {given}")
        }
        Expr::Negative(value) => {
            let given = value.get_type(schema)?;
            if given.is_numeric() || given.is_null() || intervals::is_interval(&given) {
                return Ok(Expr::Negative(value));
            }
            let message = format!("'-' takes a number or an INTERVAL, not {}", sql_name(&given));
            Err(at(DataFusionError::Plan(message), &value))
        }
        Expr::AggregateFunction(mut call) if call.func.name() == "count" => {
            // An untyped NULL counts nothing; a constant that is no NULL counts rows.
            for argument in &mut call.params.args {
                if matches!(argument, Expr::Literal(ScalarValue::Null, _)) {
                    *argument = Expr::Literal(ScalarValue::Int32(None), None);
                }
            }
            Ok(Expr::AggregateFunction(call))
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if matches!(func.name(), planned_cast::CAST | planned_cast::TRY_CAST) =>
        {
            let (Some(Expr::Literal(to, _)), Some(expression)) = (args.pop(), args.pop()) else {
                return plan_err!("CAST needs a type");
            };
            explicit_cast(expression, &planned_cast::target(&to)?, func.name() == planned_cast::TRY_CAST, schema)
        }
        Expr::ScalarFunction(call) if call.func.name() == type_of::NAME => type_of::text(&call.args, schema),
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == "mod" && args.len() == 2 => {
            let (left, right) = (args.remove(0), args.remove(0));
            calculate(Operation::Modulo, Operator::Modulo, left, right, schema)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match conditional::as_case(func.name(), args) {
            Ok(case) => typed_case(case, schema),
            Err(args) => nested_call(ScalarFunction { func, args }, schema),
        },
        other => Ok(other),
    }
}

/// The type of a condition that is none.
fn not_boolean(condition: Option<&Expr>, schema: &DFSchema) -> Result<Option<String>> {
    let Some(condition) = condition else { return Ok(None) };
    let given = condition.get_type(schema)?;
    Ok((given != DataType::Boolean && !given.is_null()).then(|| sql_name(&given)))
}

/// Casts the arguments of a function over nested values to what it takes.
fn nested_call(ScalarFunction { func, mut args }: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let given = args.iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if let ("extract", [unit, value], [_, DataType::Interval(_)]) = (func.name(), args.as_slice(), given.as_slice()) {
        intervals::check_part(unit, value, schema)?;
    }
    match nested::arguments(func.name(), &given) {
        None => {}
        Some(Err(reason)) => {
            let error = DataFusionError::Plan(reason);
            return Err(match args.first() {
                Some(first) => at(error, first),
                None => error,
            });
        }
        Some(Ok(types)) => {
            let cast = args.into_iter().zip(types).map(|(a, to)| implicit_cast(a, &to, schema));
            args = cast.collect::<Result<Vec<_>>>()?;
            nested::check(func.name(), &args)?;
        }
    }
    Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
}

fn in_list(mut all: Vec<Expr>, negated: bool) -> Result<Expr> {
    let expr = all.remove(0);
    Ok(Expr::InList(InList::new(Box::new(expr), all, negated)))
}

fn typed_case(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::Case(case) => {
            // The conditions are new: their sides may have different types.
            let when_then_expr = case.when_then_expr.into_iter().map(|(when, then)| {
                let when = match *when {
                    Expr::BinaryExpr(b) => {
                        check_operands(b.op, &b.op.to_string(), &b.left, &b.right, schema)?;
                        binary_expression(b, schema)?
                    }
                    other => other,
                };
                Ok((Box::new(when), then))
            });
            let when_then_expr = when_then_expr.collect::<Result<Vec<_>>>()?;
            case_expression(Case { when_then_expr, ..case }, schema)
        }
        other => Ok(other),
    }
}

fn literal(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Int64(Some(v)) => i32::try_from(v).map_or(value, |v| ScalarValue::Int32(Some(v))),
        ScalarValue::UInt64(Some(v)) => ScalarValue::Decimal128(Some(i128::from(v)), if v >= 10u64.pow(19) { 20 } else { 19 }, 0),
        // DataFusion does not count the 0 before the point.
        ScalarValue::Decimal128(Some(v), p, s) if i32::from(p) == i32::from(s) && p < 38 => {
            ScalarValue::Decimal128(Some(v), p + 1, s)
        }
        other => other,
    }
}

fn field_of(expression: &Expr, schema: &DFSchema) -> Result<Arc<Field>> {
    Ok(expression.to_field(schema)?.1)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8)
}

/// An expression in another type, without the user having asked for it.
pub fn implicit_cast(expression: Expr, to: &DataType, schema: &DFSchema) -> Result<Expr> {
    let from = field_of(&expression, schema)?;
    if from.data_type() == to {
        return Ok(expression);
    }
    if let Expr::Literal(value, _) = &expression {
        if value.is_null() {
            return Ok(Expr::Literal(ScalarValue::try_from(to)?, None));
        }
        let to = Field::new("", to.clone(), true);
        if let Some(folded) = fold(&expression, &from, &to) {
            return Ok(folded);
        }
        readable(&expression, &to)?;
    }
    // Arrow's own kernels where nothing can be lost: they are faster.
    let exact = match (from.data_type(), to) {
        (a, b) if a.is_integer() && b.is_integer() => decimal_shape(a) < decimal_shape(b),
        (DataType::Float32, DataType::Float64) => true,
        (a, DataType::Float64) => a.is_integer(),
        _ => false,
    };
    if exact {
        return Ok(Expr::Cast(Cast::new(Box::new(expression), to.clone())));
    }
    cast::call(expression, &from, &Field::new("", to.clone(), true), false)
}

/// CAST or TRY_CAST as the user wrote it.
/// Text or bytes cut and padded to the length of a field.
pub fn length_cast(expression: Expr, to: &Field, schema: &DFSchema) -> Result<Expr> {
    explicit_cast(expression, to, false, schema)
}

fn explicit_cast(expression: Expr, to: &Field, or_null: bool, schema: &DFSchema) -> Result<Expr> {
    let from = field_of(&expression, schema)?;
    if intervals::is_interval(from.data_type()) && is_text(to.data_type()) {
        return explicit_cast(intervals::to_text(expression, schema)?, to, or_null, schema);
    }
    if let Some(folded) = fold(&expression, &from, to) {
        return Ok(folded);
    }
    let widens = match (from.data_type(), to.data_type()) {
        (a, b) if a.is_integer() && b.is_integer() => decimal_shape(a) < decimal_shape(b),
        _ => false,
    };
    if widens {
        return Ok(Expr::Cast(Cast::new(Box::new(expression), to.data_type().clone())));
    }
    if !or_null {
        readable(&expression, to)?;
    }
    let place = expression.clone();
    cast::call(expression, &from, to, or_null).map_err(|e| at(e, &place))
}

/// Refuses a constant text that no row could cast.
fn readable(expression: &Expr, to: &Field) -> Result<()> {
    match expression {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match cast::constant(text, to) {
            Some(reason) => plan_err!("{reason}"),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A constant in another type. Integers stay casts: their literals would be narrowed again.
fn fold(expression: &Expr, from: &Field, to: &Field) -> Option<Expr> {
    let Expr::Literal(value, _) = expression else { return None };
    if to.data_type().is_integer() || !to.metadata().is_empty() || !from.metadata().is_empty() {
        return None;
    }
    let Ok(Expr::ScalarFunction(call)) = cast::call(expression.clone(), from, to, false) else { return None };
    let args = datafusion_expr::ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(value.clone())],
        arg_fields: vec![Arc::new(from.clone())],
        number_rows: 1,
        return_field: Arc::new(to.clone()),
        config_options: Arc::default(),
    };
    match call.func.invoke_with_args(args) {
        Ok(ColumnarValue::Scalar(value)) => Some(Expr::Literal(value, None)),
        _ => None,
    }
}

fn binary_expression(BinaryExpr { left, op, right }: BinaryExpr, schema: &DFSchema) -> Result<Expr> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    let plain = |left, right| Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))));
    if let Some(operation) = operation(op) {
        if !(a.is_numeric() || a.is_null()) || !(b.is_numeric() || b.is_null()) || a.is_null() && b.is_null() {
            return plain(*left, *right);
        }
        return calculate(operation, op, *left, *right, schema);
    }
    if a.is_nested() && b.is_nested() && matches!(op, Operator::Eq | Operator::NotEq) {
        // Two ROWs that are written out are compared field by field: NULL where a field is.
        let fields = |e: &Expr| match e {
            Expr::ScalarFunction(call) if call.func.name() == nested::ROW => Some(call.args.clone()),
            _ => None,
        };
        if let (Some(ours), Some(theirs)) = (fields(&left), fields(&right)) {
            let mut all: Option<Expr> = None;
            for (left, right) in ours.into_iter().zip(theirs) {
                let pair = BinaryExpr::new(Box::new(left), Operator::Eq, Box::new(right));
                let pair = binary_expression(pair, schema)?;
                all = Some(match all {
                    Some(all) => all.and(pair),
                    None => pair,
                });
            }
            if let Some(all) = all {
                return Ok(if op == Operator::Eq { all } else { Expr::Not(Box::new(all)) });
            }
        }
        let equal = nested_call(ScalarFunction { func: nested::equal(), args: vec![*left, *right] }, schema)?;
        return Ok(if op == Operator::Eq { equal } else { Expr::Not(Box::new(equal)) });
    }
    if is_comparison(op) && intervals::is_interval(&a) && intervals::is_interval(&b) {
        let [left, right] = intervals::lengths(*left, *right, schema)?;
        return plain(left, right);
    }
    if is_comparison(op) && (a.is_nested() || b.is_nested()) {
        let message = format!("'{op}' does not take {} and {}", sql_name(&a), sql_name(&b));
        return Err(at(DataFusionError::Plan(message), &left));
    }
    if !is_comparison(op) || a == b || a.is_null() || b.is_null() {
        return plain(*left, *right);
    }
    // Between a constant in text and a time the text is read.
    let temporal = |t: &DataType| t.is_temporal() && !matches!(t, DataType::Interval(_));
    if is_text(&a) && temporal(&b) {
        return plain(implicit_cast(*left, &b, schema)?, *right);
    }
    if is_text(&b) && temporal(&a) {
        return plain(*left, implicit_cast(*right, &a, schema)?);
    }
    if a.is_numeric() && b.is_numeric() {
        let to = if is_float(&a) || is_float(&b) {
            DataType::Float64
        } else {
            match common_type(&a, &b) {
                Some(to) => to,
                None => return plain(*left, *right),
            }
        };
        return plain(implicit_cast(*left, &to, schema)?, implicit_cast(*right, &to, schema)?);
    }
    plain(*left, *right)
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn operation(op: Operator) -> Option<Operation> {
    match op {
        Operator::Plus => Some(Operation::Add),
        Operator::Minus => Some(Operation::Subtract),
        Operator::Multiply => Some(Operation::Multiply),
        Operator::Divide => Some(Operation::Divide),
        Operator::Modulo => Some(Operation::Modulo),
        _ => None,
    }
}

/// A sum, a product and so on of two numbers; also MOD.
pub fn calculate(operation: Operation, op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    // A NULL is of the other side's type.
    let (a, b) = (if a.is_null() { b.clone() } else { a.clone() }, if b.is_null() { a } else { b });
    if is_float(&a) || is_float(&b) || a.is_integer() && b.is_integer() {
        let Some(to) = common_type(&a, &b) else { return plan_err!("no common type of {} and {}", sql_name(&a), sql_name(&b)) };
        let (left, right) = (implicit_cast(left, &to, schema)?, implicit_cast(right, &to, schema)?);
        if (&a, &b) == (&DataType::Float32, &DataType::Float64) {
            // A FLOAT on the left keeps the result a FLOAT.
            let sum = if operation == Operation::Divide || operation == Operation::Modulo {
                arithmetic::call(operation, left, right)
            } else {
                Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
            };
            return cast::call(sum, &Field::new("", b, true), &Field::new("", a, true), false);
        }
        if !matches!(operation, Operation::Divide | Operation::Modulo) {
            return Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))));
        }
        let result = arithmetic::call(operation, left, right);
        // The remainder of integers has the type of the divisor.
        return match operation {
            Operation::Modulo if to != b && to.is_integer() => {
                cast::call(result, &Field::new("", to, true), &Field::new("", b, true), false)
            }
            _ => Ok(result),
        };
    }
    let (Some((p1, s1)), Some((p2, s2))) = (decimal_shape(&a), decimal_shape(&b)) else {
        return plan_err!("no arithmetic between {} and {}", sql_name(&a), sql_name(&b));
    };
    let left = implicit_cast(left, &DataType::Decimal128(p1, s1), schema)?;
    let right = implicit_cast(right, &DataType::Decimal128(p2, s2), schema)?;
    Ok(arithmetic::call(operation, left, right))
}

/// Casts expressions to their common type.
fn meet_all(what: &str, expressions: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = expressions.iter().map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if types.windows(2).all(|t| t[0] == t[1]) {
        return Ok(expressions);
    }
    let mut to = DataType::Null;
    for (data_type, expression) in types.iter().zip(&expressions) {
        to = match common_type(&to, data_type) {
            Some(to) => to,
            // Text is read where a time is wanted.
            None if is_text(data_type) && to.is_temporal() => to,
            None if is_text(&to) && data_type.is_temporal() => data_type.clone(),
            None => {
                let message = format!("'{what}' cannot bring {} and {} together", sql_name(&to), sql_name(data_type));
                return Err(at(DataFusionError::Plan(message), expression));
            }
        };
    }
    expressions.into_iter().map(|e| implicit_cast(e, &to, schema)).collect()
}

fn meet<const N: usize>(what: &str, expressions: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let met = meet_all(what, expressions.into(), schema)?;
    met.try_into().map_err(|_| DataFusionError::Internal("as many expressions as before".into()))
}

fn case_expression(case: Case, schema: &DFSchema) -> Result<Expr> {
    let Case { expr, when_then_expr, else_expr } = case;
    let (mut whens, mut results): (Vec<Expr>, Vec<Expr>) = when_then_expr.into_iter().map(|(w, t)| (*w, *t)).unzip();
    let expr = match expr {
        None => {
            for when in &whens {
                let data_type = when.get_type(schema)?;
                if data_type != DataType::Boolean && !data_type.is_null() {
                    let message = format!("WHEN takes a condition, not {}", sql_name(&data_type));
                    return Err(at(DataFusionError::Plan(message), when));
                }
            }
            None
        }
        Some(expr) => {
            if expr.get_type(schema)?.is_nested() {
                return Err(at(
                    DataFusionError::Plan("CASE compares no ARRAY, MAP or ROW: write CASE WHEN ... = ...".into()),
                    &expr,
                ));
            }
            whens.insert(0, *expr);
            whens = meet_all("CASE", whens, schema)?;
            Some(Box::new(whens.remove(0)))
        }
    };
    let has_else = else_expr.is_some();
    results.extend(else_expr.map(|e| *e));
    let mut results = meet_all("CASE", results, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    let when_then_expr = whens.into_iter().zip(results).map(|(w, t)| (Box::new(w), Box::new(t))).collect();
    Ok(Expr::Case(Case { expr, when_then_expr, else_expr }))
}

/// An error with the place of the first column of an expression.
pub fn at(error: DataFusionError, expression: &Expr) -> DataFusionError {
    let mut span = None;
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        if let Expr::Column(column) = e {
            span = span.or(column.spans.first());
        }
        Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
    });
    match span {
        Some(span) => {
            let message = error.strip_backtrace();
            error.with_diagnostic(Diagnostic::new_error(message, Some(span)))
        }
        None => error,
    }
}

/// What a type is called where a number, a text or a time is wanted; and whether the operator takes both sides.
pub fn check_operands(op: Operator, sign: &str, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    if a.is_null() || b.is_null() {
        return Ok(());
    }
    let names = || format!("{} and {}", sql_name(&a), sql_name(&b));
    let interval = |t: &DataType| matches!(t, DataType::Interval(_) | DataType::Duration(_));
    let temporal = |t: &DataType| t.is_temporal() && !interval(t);
    if op == Operator::StringConcat {
        let (text, other) = match (is_text(&a), is_text(&b)) {
            (true, true) => return Ok(()),
            (true, false) => (&b, right),
            _ => (&a, left),
        };
        let message = format!("'||' takes text only, not {}\nDid you mean CAST(... AS STRING)?", sql_name(text));
        return Err(at(DataFusionError::Plan(message), other));
    }
    if operation(op).is_some() {
        let times = matches!(op, Operator::Multiply | Operator::Divide);
        let ok = a.is_numeric() && b.is_numeric()
            || (interval(&a) || interval(&b))
                && (temporal(&a) || temporal(&b) || interval(&a) && interval(&b) || times && (a.is_numeric() || b.is_numeric()));
        if temporal(&a) && temporal(&b) && op == Operator::Minus {
            let message = "the difference of two times needs its unit\nDid you mean TIMESTAMPDIFF(SECOND, <from>, <to>)?";
            return Err(at(DataFusionError::Plan(message.into()), left));
        }
        if !ok {
            let wrong = if a.is_numeric() { right } else { left };
            return Err(at(at(DataFusionError::Plan(format!("'{sign}' does not take {}", names())), left), wrong));
        }
    }
    if is_comparison(op) {
        let nested = a.is_nested() && common_type(&a, &b).is_some_and(|t| nested::is_comparable(&t));
        let ok = a == b && !a.is_nested()
            || nested && matches!(op, Operator::Eq | Operator::NotEq)
            || a.is_numeric() && b.is_numeric()
            || temporal(&a) && temporal(&b)
            || interval(&a) && interval(&b)
            || is_text(&a) && temporal(&b)
            || temporal(&a) && is_text(&b);
        if !ok {
            let message = format!("cannot compare {} with '{sign}'\nDid you mean to CAST one of them?", names());
            return Err(at(at(DataFusionError::Plan(message), right), left));
        }
    }
    Ok(())
}
