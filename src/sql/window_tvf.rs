//! TUMBLE, HOP and CUMULATE in FROM: from `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL ...))` to a node of the logical plan.
//!
//! The node adds window_start, window_end and window_time to its input's columns. It is never run as such: `plan::lower`
//! joins it with the aggregation above it.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, Operator, UserDefinedLogicalNodeCore};
use sqlparser::ast::{Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, TableFactor};

use super::catalog::ROWTIME;
use super::dialect::TABLE_ARGUMENT;
use crate::operator::window::slice::{WindowKind, Windows};
use crate::operator::window::window_bound_type;

/// Columns that the node adds, in this order.
pub const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

#[derive(Debug, Clone)]
pub struct WindowTvf {
    pub windows: Windows,
    pub rowtime: Column,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl WindowTvf {
    pub fn try_new(windows: Windows, rowtime: Column, input: LogicalPlan) -> Result<WindowTvf> {
        let mut fields: Vec<_> = input.schema().iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
        let qualifier = fields.first().and_then(|(q, _)| q.clone());
        let zone = match input.schema().field(input.schema().index_of_column(&rowtime)?).data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        for name in WINDOW_COLUMNS {
            let field = if name == WINDOW_COLUMNS[2] {
                Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), false)
                    .with_metadata(HashMap::from([(ROWTIME.into(), "true".into())]))
            } else {
                Field::new(name, window_bound_type(), false)
            };
            fields.push((qualifier.clone(), Arc::new(field)));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(WindowTvf { windows, rowtime, input, schema })
    }
}

impl PartialEq for WindowTvf {
    fn eq(&self, other: &Self) -> bool {
        self.windows == other.windows && self.rowtime == other.rowtime && self.input == other.input
    }
}
impl Eq for WindowTvf {}
impl PartialOrd for WindowTvf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}
impl Hash for WindowTvf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{:?}", self.windows).hash(state);
        self.rowtime.hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for WindowTvf {
    fn name(&self) -> &str {
        "Window"
    }
    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }
    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }
    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.rowtime.clone())]
    }
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        WINDOW_COLUMNS.iter().map(ToString::to_string).collect()
    }
    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Window: {:?} on {}", self.windows, self.rowtime.name)
    }
    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(Expr::Column(rowtime)), Some(input)) = (exprs.into_iter().next(), inputs.into_iter().next()) else {
            return plan_err!("a window needs one input and one rowtime");
        };
        WindowTvf::try_new(self.windows, rowtime, input)
    }
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|&c| c < input.fields().len()).collect();
        needed.extend(input.maybe_index_of_column(&self.rowtime));
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Plans the window functions in FROM.
#[derive(Debug)]
pub struct WindowPlanner;

impl RelationPlanner for WindowPlanner {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let TableFactor::TableFunction { expr, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let SqlExpr::Function(function) = expr else {
            return plan_err!("TABLE(...) takes a window function: TUMBLE, HOP, CUMULATE");
        };
        let name = function.name.to_string().to_uppercase();
        let FunctionArguments::List(list) = function.args else { return plan_err!("'{name}' needs arguments") };
        let arguments = Arguments::new(&name, list.args)?;
        let node = match name.as_str() {
            "TUMBLE" => {
                let [size, offset] = arguments.intervals(["SIZE", "OFFSET"], 1, context)?;
                let size_ms = positive(&name, "size", size)?;
                (WindowKind::Tumble { size_ms }, offset, arguments)
            }
            "CUMULATE" => {
                let [step, size, offset] = arguments.intervals(["STEP", "SIZE", "OFFSET"], 2, context)?;
                let (step_ms, size_ms) = (positive(&name, "step", step)?, positive(&name, "size", size)?);
                if size_ms % step_ms != 0 {
                    return plan_err!(
                        "'CUMULATE' requires maxSize to be an integral multiple of step, but got maxSize {size_ms} ms and step {step_ms} ms"
                    );
                }
                (WindowKind::Cumulate { step_ms, size_ms }, offset, arguments)
            }
            "HOP" => {
                let [slide, size, offset] = arguments.intervals(["SLIDE", "SIZE", "OFFSET"], 2, context)?;
                let (slide_ms, size_ms) = (positive(&name, "slide", slide)?, positive(&name, "size", size)?);
                if size_ms % slide_ms != 0 {
                    return plan_err!(
                        "'HOP' requires size to be an integral multiple of slide, but got size {size_ms} ms and slide {slide_ms} ms"
                    );
                }
                (WindowKind::Hop { slide_ms, size_ms }, offset, arguments)
            }
            "SESSION" => return plan_err!("window function 'SESSION' is not supported yet; TUMBLE, HOP and CUMULATE are"),
            _ => return plan_err!("'{name}' is not a window function; TUMBLE, HOP and CUMULATE are"),
        };
        let (kind, offset, arguments) = node;
        let windows = Windows { kind, offset_ms: offset.unwrap_or(0) };
        let input = context.plan(arguments.table)?;
        let rowtime_name = arguments.rowtime;
        let matching = input.schema().iter().find(|(_, f)| *f.name() == rowtime_name);
        let Some((qualifier, field)) = matching else {
            return plan_err!("DESCRIPTOR names no column of the table: '{rowtime_name}'");
        };
        if !field.metadata().contains_key(ROWTIME) {
            return plan_err!("'{rowtime_name}' is not a rowtime: its table needs WATERMARK FOR {rowtime_name} AS ...");
        }
        let rowtime = Column::new(qualifier.cloned(), field.name());
        let node = WindowTvf::try_new(windows, rowtime, input)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The arguments of a window function, by position or by name.
struct Arguments {
    function: String,
    table: TableFactor,
    rowtime: String,
    positional: Vec<SqlExpr>,
    named: Vec<(String, SqlExpr)>,
}

impl Arguments {
    fn new(function: &str, arguments: Vec<FunctionArg>) -> Result<Arguments> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => positional.push(e),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => named.push((name.value.to_uppercase(), e)),
                FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), arg: FunctionArgExpr::Expr(e), .. } => {
                    named.push((name.value.to_uppercase(), e));
                }
                other => return plan_err!("'{function}' does not take the argument {other}"),
            }
        }
        let mut take = |name: &str| -> Result<SqlExpr> {
            if let Some(at) = named.iter().position(|(n, _)| n == name) {
                return Ok(named.remove(at).1);
            }
            if positional.is_empty() { plan_err!("'{function}' needs {name}") } else { Ok(positional.remove(0)) }
        };
        let table = match take("DATA")? {
            SqlExpr::Function(f) if f.name.to_string() == TABLE_ARGUMENT => {
                let FunctionArguments::List(list) = f.args else { return plan_err!("'{function}' needs TABLE name") };
                let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::CompoundIdentifier(parts)))) =
                    list.args.into_iter().next()
                else {
                    return plan_err!("'{function}' needs TABLE name");
                };
                table_factor(ObjectName::from(parts))
            }
            SqlExpr::Subquery(query) => TableFactor::Derived { lateral: false, subquery: query, alias: None, sample: None },
            other => return plan_err!("the first argument of '{function}' is TABLE name or (SELECT ...), not {other}"),
        };
        let rowtime = match take("TIMECOL")? {
            SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") => match f.args {
                FunctionArguments::List(list) => match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Identifier(name)))] => name.value.clone(),
                    _ => return plan_err!("DESCRIPTOR takes one column name"),
                },
                _ => return plan_err!("DESCRIPTOR takes one column name"),
            },
            other => return plan_err!("the second argument of '{function}' is DESCRIPTOR(rowtime), not {other}"),
        };
        Ok(Arguments { function: function.to_string(), table, rowtime, positional, named })
    }

    /// The intervals in ms. The first `required` must be there.
    fn intervals<const N: usize>(
        &self,
        names: [&str; N],
        required: usize,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<[Option<i64>; N]> {
        if self.positional.len() > N {
            return plan_err!("'{}' takes at most {N} intervals", self.function);
        }
        if let Some((unknown, _)) = self.named.iter().find(|(n, _)| !names.contains(&n.as_str())) {
            return plan_err!("'{}' has no argument '{unknown}'", self.function);
        }
        let mut out = [None; N];
        for (i, name) in names.iter().enumerate() {
            let named = self.named.iter().find(|(n, _)| n == name).map(|(_, e)| e);
            if let Some(expression) = named.or(self.positional.get(i)) {
                let expression = context.sql_to_expr(expression.clone(), &DFSchema::empty())?;
                out[i] = Some(
                    interval_ms(&expression)
                        .map_err(|reason| DataFusionError::Plan(format!("{name} of '{}': {reason}", self.function)))?,
                );
            } else if i < required {
                return plan_err!("'{}' needs {name} as an INTERVAL", self.function);
            }
        }
        Ok(out)
    }
}

fn table_factor(name: ObjectName) -> TableFactor {
    TableFactor::Table {
        name,
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

fn positive(function: &str, what: &str, value: Option<i64>) -> Result<i64> {
    match value {
        Some(ms) if ms > 0 => Ok(ms),
        _ => plan_err!("the {what} of '{function}' must be positive"),
    }
}

/// A constant interval of days and smaller units, in ms.
pub fn interval_ms(expression: &Expr) -> std::result::Result<i64, String> {
    match expression {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => {
            if v.months != 0 {
                return Err("months and years have no fixed length; use days".into());
            }
            if v.nanoseconds % 1_000_000 != 0 {
                return Err("intervals are in whole milliseconds".into());
            }
            Ok(i64::from(v.days) * 86_400_000 + v.nanoseconds / 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(v)), _) => Ok(i64::from(v.days) * 86_400_000 + i64::from(v.milliseconds)),
        Expr::Negative(inner) => interval_ms(inner).map(|ms| -ms),
        Expr::BinaryExpr(e) if e.op == Operator::Plus => Ok(interval_ms(&e.left)? + interval_ms(&e.right)?),
        other => Err(format!("expected a constant INTERVAL, found {other}")),
    }
}
