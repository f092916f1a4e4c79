//! Which columns of which tables does a job read, and how?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, TableReference};
use datafusion_expr::{Expr, LogicalPlan, Operator};

use super::{PlanResult, physical, unsupported};
use crate::ingest::{IngestSpec, NOW, WatermarkExpression, WatermarkSpec};
use crate::plan::connectors::{Access, KnownConnectors};
use crate::plan::physical::SourcePlan;
use crate::sql::catalog::{ColumnKind, PlannedTable, Table};
use crate::sql::functions::{clock, random};
use crate::sql::hints;
use crate::sql::window_tvf::interval_ms;

/// Notes which columns of which tables a plan reads.
pub(super) fn collect_columns(
    plan: &LogicalPlan,
    connectors: &dyn KnownConnectors,
    used: &mut BTreeMap<String, (Arc<Table>, BTreeSet<usize>)>,
) -> PlanResult<()> {
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>()
        {
            if connectors.uses(table).access == Access::LookedUp {
                let name = hints::base_name(&table.name);
                return unsupported(format!(
                    "table '{name}' ({}) cannot be read, only looked up: JOIN {name} FOR SYSTEM_TIME AS OF l.pt AS r ON \
                     l.x = r.key, where pt is AS PROCTIME()",
                    table.connector()
                ));
            }
            if table.watermark.as_ref().is_some_and(|w| w.is_of_source)
                && !connectors.uses(table).has_watermarks
            {
                return unsupported(format!(
                    "SOURCE_WATERMARK() of table '{}': records of the connector '{}' have no watermarks of their own, in Flink too; \
                     write WATERMARK FOR ts AS ts - INTERVAL '5' SECOND",
                    hints::base_name(&table.name),
                    table.connector()
                ));
            }
            let (_, columns) = used.entry(table.name.clone()).or_insert_with(|| (table.clone(), BTreeSet::new()));
            match &scan.projection {
                Some(projection) => columns.extend(projection.iter().copied()),
                None => columns.extend(0..table.columns.len()),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// How a table is read when these of its columns are used. Columns that the watermark needs are
/// added.
pub(super) fn source_plan(
    table: &Arc<Table>,
    mut columns: BTreeSet<usize>,
) -> PlanResult<SourcePlan> {
    if let Some(watermark) = &table.watermark {
        columns.insert(watermark.rowtime);
        let names = watermark.expression.column_refs();
        columns.extend(
            table
                .columns
                .iter()
                .enumerate()
                .filter(|(_, c)| names.iter().any(|n| n.name == c.name))
                .map(|(i, _)| i),
        );
    }
    let mut decode: BTreeSet<usize> = BTreeSet::new();
    for &c in &columns {
        match &table.columns[c].kind {
            ColumnKind::Computed(expression) => {
                let names = expression.column_refs();
                decode.extend(
                    table
                        .columns
                        .iter()
                        .enumerate()
                        .filter(|(_, t)| names.iter().any(|n| n.name == t.name))
                        .map(|(i, _)| i),
                );
            }
            _ => {
                decode.insert(c);
            }
        }
    }
    let field =
        |i: &usize| Field::new(&table.columns[*i].name, table.columns[*i].data_type.clone(), true);
    let decode: Vec<usize> = decode.into_iter().collect();
    let decode_schema: SchemaRef =
        Arc::new(Schema::new(decode.iter().map(field).collect::<Vec<_>>()));
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let name = TableReference::bare(table.name.as_str());
    let decoded = DFSchema::try_from_qualified_schema(name.clone(), &decode_schema)?;
    // The time of day follows the decoded columns where a computed column asks for it.
    let now = Column::from_name(NOW);
    let with_clock = decoded.join(&DFSchema::try_from(Schema::new(vec![Field::new(
        NOW,
        clock::now_type(),
        false,
    )]))?)?;
    let mut reads_clock = false;
    let exprs = columns.iter().map(|&c| match &table.columns[c].kind {
        ColumnKind::Computed(expression) => {
            let drawn = expression.clone().transform_up(|e| {
                Ok(match random::draw_of(&e) {
                    Some(draw) => Transformed::yes(random::over(&e, random::drawn(draw))),
                    None => Transformed::no(e),
                })
            })?;
            let told = drawn.data.transform_up(|e| {
                Ok(clock::over(&e, Expr::Column(now.clone()))
                    .map_or_else(|| Transformed::no(e), Transformed::yes))
            })?;
            reads_clock |= told.transformed;
            physical(&told.data, if told.transformed { &with_clock } else { &decoded })
        }
        _ => physical(
            &Expr::Column(Column::new(Some(name.clone()), &table.columns[c].name)),
            &decoded,
        ),
    });
    let exprs = exprs.collect::<PlanResult<Vec<_>>>()?;
    let watermark = match &table.watermark {
        None => None,
        Some(watermark) => {
            let rowtime = columns.iter().position(|&c| c == watermark.rowtime).unwrap_or_default();
            let rowtime_name = &table.columns[watermark.rowtime].name;
            let expression = match delay_ms(&watermark.expression, rowtime_name) {
                Some(delay_ms) => WatermarkExpression::Delay { delay_ms },
                None => WatermarkExpression::General(physical(
                    &watermark.expression,
                    &DFSchema::try_from_qualified_schema(name, &schema)?,
                )?),
            };
            Some(WatermarkSpec { rowtime, expression })
        }
    };
    let ingest = IngestSpec {
        table: table.name.clone(),
        columns: exprs,
        schema,
        watermark,
        marks_arrival: false,
        reads_clock,
    };
    Ok(SourcePlan { table: table.clone(), decode, decode_schema, ingest, rows: None })
}

/// The constant of `rowtime - INTERVAL`, in ms.
pub(super) fn delay_ms(expression: &Expr, rowtime: &str) -> Option<i64> {
    let is_rowtime = |e: &Expr| matches!(e, Expr::Column(c) if c.name == rowtime);
    match expression {
        e if is_rowtime(e) => Some(0),
        Expr::BinaryExpr(e) if e.op == Operator::Minus && is_rowtime(&e.left) => {
            interval_ms(&e.right).ok()
        }
        _ => None,
    }
}
