//! Rows that stand in the query itself, evaluated: the source that gives them.
//!
//! Called by `lower` for VALUES and for a SELECT without FROM. What always holds: every cell is a constant of its column's
//! type, which `flink_types` saw to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_common::{DFSchema, DFSchemaRef, Result, ScalarValue};
use datafusion_expr::Expr;
use datafusion_physical_expr::expressions::Column;

use super::physical::SourcePlan;
use crate::ingest::IngestSpec;
use crate::sql::catalog::{self, ColumnKind, Table};
use crate::sql::error::TextPlace;

/// What stands for a connector in the table that is made here.
const CONNECTOR: &str = "values";

/// `number` tells the sources of a job apart. `evaluate` turns a cell into a physical expression.
pub fn source(
    number: usize,
    rows: &[Vec<Expr>],
    schema: &DFSchemaRef,
    evaluate: impl Fn(&Expr, &DFSchema) -> Result<Arc<dyn datafusion_physical_expr::PhysicalExpr>>,
) -> Result<SourcePlan> {
    let fields: Vec<Field> = schema.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
    let none =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &RecordBatchOptions::new().with_row_count(Some(1)))?;
    let empty = DFSchema::empty();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
    for column in 0..fields.len() {
        let cells = rows.iter().map(|row| {
            let value = evaluate(&row[column], &empty)?.evaluate(&none)?.into_array(1)?;
            ScalarValue::try_from_array(&value, 0)
        });
        let cells = cells.collect::<Result<Vec<_>>>()?;
        columns.push(ScalarValue::iter_to_array(cells)?);
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    let name = format!("VALUES {}", number + 1);
    let column = |f: &Arc<Field>| catalog::Column {
        name: f.name().clone(),
        data_type: f.data_type().clone(),
        not_null: false,
        exact: None,
        kind: ColumnKind::Physical,
    };
    let table = Table {
        name: name.clone(),
        columns: schema.fields().iter().map(column).collect(),
        watermark: None,
        primary_key: vec![],
        partitioned_by: vec![],
        options: BTreeMap::from([("connector".to_string(), CONNECTOR.to_string())]),
        place: TextPlace { line: 1, column: 1 },
    };
    let exprs = schema.fields().iter().enumerate().map(|(i, f)| Arc::new(Column::new(f.name(), i)) as _).collect();
    let ingest = IngestSpec {
        table: name,
        columns: exprs,
        schema: schema.clone(),
        watermark: None,
        marks_arrival: false,
        reads_clock: false,
    };
    let decode = (0..schema.fields().len()).collect();
    Ok(SourcePlan { table: Arc::new(table), decode, decode_schema: schema, ingest, rows: Some(batch) })
}
