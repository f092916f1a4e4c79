//! From a stream of changes to upserts: leaves out the old side of an update.
//!
//! Stands before a sink that replaces rows by the key that the changes have. Holds nothing.

use arrow::array::BooleanArray;
use arrow::datatypes::SchemaRef;

use crate::operator::{Context, Event, Op, Operator, OperatorError};

pub struct DropUpdateBefore {
    schema: SchemaRef,
}

impl DropUpdateBefore {
    pub fn new(schema: SchemaRef) -> DropUpdateBefore {
        DropUpdateBefore { schema }
    }
}

impl Operator for DropUpdateBefore {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.out.push(match event {
            Event::Rows(rows) if rows.ops.is_some() => {
                let stays: BooleanArray = (0..rows.len()).map(|i| Some(rows.op(i) != Op::UpdateBefore)).collect();
                let kept = rows.filter(&stays);
                Event::Rows(kept.map_err(|e| OperatorError::Kernel { operator: "upserts".into(), reason: e.to_string() })?)
            }
            other => other,
        });
        Ok(())
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
