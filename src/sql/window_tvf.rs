//! TUMBLE, HOP, CUMULATE and SESSION in FROM: from `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL
//! ...))` to a node of the logical plan.
//!
//! The node adds window_start, window_end and window_time to its input's columns. It is never run
//! as such: `plan::lower` joins it with the aggregation above it.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{
    Column, DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue, TableReference, plan_err,
};
use datafusion_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion_expr::{Expr, Extension, LogicalPlan, Operator, UserDefinedLogicalNodeCore};
use sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Query,
    TableFactor,
};

use super::catalog::{ROWTIME, is_proctime, is_rowtime};
use super::dialect::TABLE_ARGUMENT;
use super::group_windows::GROUP_PREFIX;
use crate::operator::window::slice::{WindowKind, Windows};
use crate::operator::window::window_bound_type;
use crate::sql::functions::clock::PROCTIME;
use crate::sql::group_windows::GROUP_WINDOW_COLUMNS;
use crate::time::MS_PER_DAY;

/// Columns that the node adds, in this order.
pub(crate) const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// The window of a window function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TvfWindow {
    Sliced(Windows),
    Session { gap_ms: i64, partition: Vec<Column> },
}

/// How a query writes its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowForm {
    /// `TABLE(TUMBLE(...))` in FROM.
    TableFunction,
    /// The older form, `GROUP BY TUMBLE(...)`.
    GroupBy,
}

impl WindowForm {
    /// The columns that the window adds.
    fn columns(self) -> [&'static str; 3] {
        match self {
            WindowForm::TableFunction => WINDOW_COLUMNS,
            WindowForm::GroupBy => GROUP_WINDOW_COLUMNS,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct WindowTvf {
    pub window: TvfWindow,
    pub rowtime: Column,
    /// The time attribute is one of processing time.
    pub on_clock: bool,
    pub form: WindowForm,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl WindowTvf {
    pub fn try_new(
        window: TvfWindow,
        rowtime: Column,
        form: WindowForm,
        input: LogicalPlan,
    ) -> Result<WindowTvf> {
        let mut fields: Vec<_> =
            input.schema().iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
        let qualifier = fields.first().and_then(|(q, _)| q.clone());
        let time = input.schema().field(input.schema().index_of_column(&rowtime)?);
        let (zone, on_clock) = match time.data_type() {
            DataType::Timestamp(_, zone) => (zone.clone(), is_proctime(time)),
            _ => (None, false),
        };
        let attribute = if on_clock { PROCTIME } else { ROWTIME };
        let names = form.columns();
        for name in names {
            let field = if name == names[2] {
                Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), false)
                    .with_metadata(HashMap::from([(attribute.into(), "true".into())]))
            } else {
                Field::new(name, window_bound_type(), false)
            };
            fields.push((qualifier.clone(), Arc::new(field)));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(WindowTvf { window, rowtime, on_clock, form, input, schema })
    }
}

impl PartialEq for WindowTvf {
    fn eq(&self, other: &Self) -> bool {
        self.window == other.window
            && self.rowtime == other.rowtime
            && self.form == other.form
            && self.input == other.input
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
        self.window.hash(state);
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
        let partition = match &self.window {
            TvfWindow::Session { partition, .. } => partition.as_slice(),
            TvfWindow::Sliced(_) => &[],
        };
        std::iter::once(&self.rowtime).chain(partition).cloned().map(Expr::Column).collect()
    }
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        WINDOW_COLUMNS.iter().chain(&GROUP_WINDOW_COLUMNS).map(ToString::to_string).collect()
    }
    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Window: {:?} on {}", self.window, self.rowtime.name)
    }
    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut columns = exprs
            .into_iter()
            .map(|e| if let Expr::Column(column) = e { Some(column) } else { None });
        let (Some(Some(rowtime)), Some(input)) = (columns.next(), inputs.into_iter().next()) else {
            return plan_err!("a window needs one input and one rowtime");
        };
        let window = match &self.window {
            TvfWindow::Session { gap_ms, .. } => {
                TvfWindow::Session { gap_ms: *gap_ms, partition: columns.flatten().collect() }
            }
            sliced => sliced.clone(),
        };
        WindowTvf::try_new(window, rowtime, self.form, input)
    }
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|&c| c < input.fields().len()).collect();
        needed.extend(
            self.expressions()
                .iter()
                .flat_map(Expr::column_refs)
                .filter_map(|c| input.maybe_index_of_column(c)),
        );
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Plans the window functions in FROM.
#[derive(Debug)]
pub(crate) struct WindowPlanner;

impl RelationPlanner for WindowPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::TableFunction { expr, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let SqlExpr::Function(function) = expr else {
            return plan_err!(
                "TABLE(...) takes a window function: TUMBLE, HOP, CUMULATE or SESSION"
            );
        };
        let name = function.name.to_string().to_uppercase();
        let (name, form) = match name.strip_prefix(GROUP_PREFIX) {
            Some(name) => (name.to_string(), WindowForm::GroupBy),
            None => (name, WindowForm::TableFunction),
        };
        let FunctionArguments::List(list) = function.args else {
            return plan_err!("'{name}' needs arguments");
        };
        let arguments = Arguments::new(&name, list.args)?;
        let shape = arguments.shape(form, context)?;
        if matches!(shape, Shape::Sliced(_)) && !arguments.partition.is_empty() {
            return plan_err!("'{name}' takes no PARTITION BY; group by the columns in the query");
        }
        let Arguments { table, rowtime, partition, .. } = arguments;
        let input = context.plan(table)?;
        let rowtime = rowtime_column(&rowtime, input.schema())?;
        let window = match shape {
            Shape::Sliced(windows) => TvfWindow::Sliced(windows),
            Shape::Session { gap_ms } => TvfWindow::Session {
                gap_ms,
                partition: partition_columns(&partition, input.schema())?,
            },
        };
        let node = WindowTvf::try_new(window, rowtime, form, input)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The time attribute that DESCRIPTOR names.
fn rowtime_column(name: &ColumnName, schema: &DFSchema) -> Result<Column> {
    let Some((qualifier, field)) = name.find(schema)? else {
        return plan_err!("DESCRIPTOR names no column of the table: '{}'", name.name);
    };
    let name = &name.name;
    if !is_rowtime(field) && !is_proctime(field) {
        return plan_err!("'{name}' is not a rowtime: its table needs WATERMARK FOR {name} AS ...");
    }
    Ok(Column::new(qualifier.cloned(), field.name()))
}

/// The columns that PARTITION BY names.
fn partition_columns(names: &[ColumnName], schema: &DFSchema) -> Result<Vec<Column>> {
    let column = |name: &ColumnName| match name.find(schema)? {
        Some((qualifier, field)) => Ok(Column::new(qualifier.cloned(), field.name())),
        None => plan_err!("PARTITION BY names no column of the table: '{}'", name.name),
    };
    names.iter().map(column).collect()
}

/// A column as an argument names it, of the table that it says, if it does.
struct ColumnName {
    table: Option<String>,
    name: String,
}

impl ColumnName {
    fn of(expression: &SqlExpr) -> Option<ColumnName> {
        match expression {
            SqlExpr::Identifier(name) => Some(ColumnName { table: None, name: name.value.clone() }),
            SqlExpr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] => {
                    Some(ColumnName { table: Some(table.value.clone()), name: name.value.clone() })
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn find<'a>(
        &self,
        schema: &'a DFSchema,
    ) -> Result<Option<(Option<&'a TableReference>, &'a FieldRef)>> {
        let is_it = |qualifier: Option<&TableReference>| match (&self.table, qualifier) {
            (Some(table), Some(qualifier)) => qualifier.table() == table,
            _ => true,
        };
        let mut found = schema.iter().filter(|(q, f)| *f.name() == self.name && is_it(*q));
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => plan_err!("column '{}' is ambiguous: say of which table", self.name),
        }
    }
}

/// How windows lie, before the table under them is known.
enum Shape {
    Sliced(Windows),
    Session { gap_ms: i64 },
}

/// The arguments of a window function, by position or by name.
struct Arguments {
    function: String,
    table: TableFactor,
    /// PARTITION BY of the table, for SESSION.
    partition: Vec<ColumnName>,
    rowtime: ColumnName,
    positional: Vec<SqlExpr>,
    named: Vec<(String, SqlExpr)>,
}

impl Arguments {
    fn new(function: &str, arguments: Vec<FunctionArg>) -> Result<Arguments> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => positional.push(e),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => {
                    named.push((name.value.to_uppercase(), e))
                }
                FunctionArg::ExprNamed {
                    name: SqlExpr::Identifier(name),
                    arg: FunctionArgExpr::Expr(e),
                    ..
                } => {
                    named.push((name.value.to_uppercase(), e));
                }
                other => return plan_err!("'{function}' does not take the argument {other}"),
            }
        }
        let mut take = |name: &str| -> Result<SqlExpr> {
            if let Some(at) = named.iter().position(|(n, _)| n == name) {
                return Ok(named.remove(at).1);
            }
            if positional.is_empty() {
                plan_err!("'{function}' needs {name}")
            } else {
                Ok(positional.remove(0))
            }
        };
        let mut partition = Vec::new();
        let table = match take("DATA")? {
            SqlExpr::Function(f) if f.name.to_string() == TABLE_ARGUMENT => {
                let FunctionArguments::List(list) = f.args else {
                    return plan_err!("'{function}' needs TABLE name");
                };
                let mut parts = list.args.into_iter();
                let table = match parts.next() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(
                        SqlExpr::CompoundIdentifier(name),
                    ))) => table_factor(ObjectName::from(name)),
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Subquery(query)))) => {
                        derived(query)
                    }
                    _ => return plan_err!("'{function}' needs TABLE name"),
                };
                for part in parts {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) = part {
                        partition.extend(ColumnName::of(&column));
                    }
                }
                table
            }
            SqlExpr::Subquery(query) => derived(query),
            other => {
                return plan_err!(
                    "the first argument of '{function}' is TABLE name or (SELECT ...), not {other}"
                );
            }
        };
        let rowtime = match take("TIMECOL")? {
            SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") => {
                match f.args {
                    FunctionArguments::List(list) => match list.args.as_slice() {
                        [FunctionArg::Unnamed(FunctionArgExpr::Expr(column))] => {
                            match ColumnName::of(column) {
                                Some(name) => name,
                                None => return plan_err!("DESCRIPTOR takes one column name"),
                            }
                        }
                        _ => return plan_err!("DESCRIPTOR takes one column name"),
                    },
                    _ => return plan_err!("DESCRIPTOR takes one column name"),
                }
            }
            other => {
                return plan_err!(
                    "the second argument of '{function}' is DESCRIPTOR(rowtime), not {other}"
                );
            }
        };
        Ok(Arguments {
            function: function.to_string(),
            table,
            partition,
            rowtime,
            positional,
            named,
        })
    }

    /// How the windows of this function lie.
    fn shape(&self, form: WindowForm, context: &mut dyn RelationPlannerContext) -> Result<Shape> {
        let name = self.function.as_str();
        let (kind, offset_ms) = match name {
            "TUMBLE" => {
                let [size, offset] = self.intervals(["SIZE", "OFFSET"], 1, context)?;
                (WindowKind::Tumble { size_ms: positive(name, "size", size)? }, offset)
            }
            "HOP" => {
                let [slide, size, offset] =
                    self.intervals(["SLIDE", "SIZE", "OFFSET"], 2, context)?;
                let (slide_ms, size_ms) =
                    (positive(name, "slide", slide)?, positive(name, "size", size)?);
                if size_ms % slide_ms != 0 && form == WindowForm::TableFunction {
                    return plan_err!(
                        "'HOP' requires size to be an integral multiple of slide, but got size {size_ms} ms and slide {slide_ms} ms"
                    );
                }
                (WindowKind::Hop { slide_ms, size_ms }, offset)
            }
            "CUMULATE" => {
                let [step, size, offset] =
                    self.intervals(["STEP", "SIZE", "OFFSET"], 2, context)?;
                let (step_ms, size_ms) =
                    (positive(name, "step", step)?, positive(name, "size", size)?);
                if size_ms % step_ms != 0 {
                    return plan_err!(
                        "'CUMULATE' requires maxSize to be an integral multiple of step, but got maxSize {size_ms} ms and step {step_ms} ms"
                    );
                }
                (WindowKind::Cumulate { step_ms, size_ms }, offset)
            }
            "SESSION" => {
                let [gap] = self.intervals(["GAP"], 1, context)?;
                return Ok(Shape::Session { gap_ms: positive(name, "gap", gap)? });
            }
            _ => {
                return plan_err!(
                    "'{name}' is not a window function; TUMBLE, HOP, CUMULATE and SESSION are"
                );
            }
        };
        Ok(Shape::Sliced(Windows { kind, offset_ms: offset_ms.unwrap_or(0) }))
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
                out[i] = Some(interval_ms(&expression).map_err(|reason| {
                    DataFusionError::Plan(format!("{name} of '{}': {reason}", self.function))
                })?);
            } else if i < required {
                return plan_err!("'{}' needs {name} as an INTERVAL", self.function);
            }
        }
        Ok(out)
    }
}

fn derived(subquery: Box<Query>) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }
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
pub(crate) fn interval_ms(expression: &Expr) -> std::result::Result<i64, String> {
    match expression {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => {
            if v.months != 0 {
                return Err("months and years have no fixed length; use days".into());
            }
            if v.nanoseconds % 1_000_000 != 0 {
                return Err("intervals are in whole milliseconds".into());
            }
            Ok(i64::from(v.days) * MS_PER_DAY + v.nanoseconds / 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(v)), _) => {
            Ok(i64::from(v.days) * MS_PER_DAY + i64::from(v.milliseconds))
        }
        Expr::Negative(inner) => interval_ms(inner).map(|ms| -ms),
        Expr::BinaryExpr(e) if e.op == Operator::Plus => {
            Ok(interval_ms(&e.left)? + interval_ms(&e.right)?)
        }
        other => Err(format!("expected a constant INTERVAL, found {other}")),
    }
}
