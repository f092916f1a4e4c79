//! What an aggregation reads: the rowtime of a window, the keys, then arguments and filters.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::Expr;
use datafusion_expr::expr::AggregateFunction;
use datafusion_physical_expr::PhysicalExpr;

use super::{Fragment, PlanResult, physical};
use crate::operator::aggregate::Aggregate;
use crate::plan::calls::Call;
use crate::sql::window_tvf::TvfWindow;

/// The input of an aggregation: the rowtime of a window, the keys, then arguments and filters.
pub(super) struct AggregateInput<'a> {
    schema: &'a DFSchema,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<Field>,
    /// Columns that come before the arguments in what the aggregation reads, and not here.
    shifted: usize,
    /// Columns before this one are not shared with arguments: grouping sets put NULLs into them.
    first_shared: usize,
}

impl<'a> AggregateInput<'a> {
    pub(super) fn new(schema: &'a DFSchema, rowtime: usize) -> PlanResult<AggregateInput<'a>> {
        let (qualifier, field) = schema.qualified_field(rowtime);
        let expr = physical(&Expr::Column(Column::new(qualifier.cloned(), field.name())), schema)?;
        let field = Field::new("rowtime", field.data_type().clone(), true);
        Ok(AggregateInput {
            schema,
            exprs: vec![expr],
            fields: vec![field],
            shifted: 0,
            first_shared: 0,
        })
    }

    /// Without a rowtime.
    pub(super) fn keyed(schema: &'a DFSchema) -> AggregateInput<'a> {
        AggregateInput { schema, exprs: vec![], fields: vec![], shifted: 0, first_shared: 0 }
    }

    /// Behind the keys comes a column that is not computed here.
    pub(super) fn shift(&mut self) {
        self.shifted = 1;
        self.first_shared = self.exprs.len();
    }

    pub(super) fn finish(self) -> (Vec<Arc<dyn PhysicalExpr>>, SchemaRef) {
        (self.exprs, Arc::new(Schema::new(self.fields)))
    }

    pub(super) fn add(&mut self, expression: &Expr, name: &str) -> PlanResult<(usize, DataType)> {
        let expr = physical(expression, self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        // The same column may serve several aggregates.
        let known = (self.first_shared..self.exprs.len())
            .find(|&i| self.exprs[i].to_string() == expr.to_string());
        if let Some(known) = known {
            return Ok((known + self.shifted, data_type));
        }
        self.exprs.push(expr);
        self.fields.push(Field::new(
            format!("{name}{}", self.fields.len()),
            data_type.clone(),
            true,
        ));
        Ok((self.fields.len() - 1 + self.shifted, data_type))
    }

    /// Keys have their own places, also where one repeats another column.
    pub(super) fn add_key(&mut self, expression: &Expr) -> PlanResult<DataType> {
        let expr = physical(expression, self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        self.exprs.push(expr);
        self.fields.push(Field::new(format!("key{}", self.fields.len()), data_type.clone(), true));
        Ok(data_type)
    }
}

pub(super) fn aggregate_call(
    fragment: &Fragment,
    call: &AggregateFunction,
    window: Option<&TvfWindow>,
    input: &mut AggregateInput<'_>,
) -> PlanResult<Aggregate> {
    let call = Call::new(call)?;
    if let Some(window) = window {
        call.check_window(window)?;
    }
    let mut column = |expression: Option<&Expr>, name| match expression {
        Some(expression) => {
            fragment.refuse_virtual(expression)?;
            input.add(expression, name).map(Some)
        }
        None => Ok(None),
    };
    let filter = column(call.filter, "filter")?.map(|(column, _)| column);
    let argument = column(call.argument.as_deref(), "argument")?;
    let second = column(call.second.as_deref(), "argument")?;
    call.over(argument, second, filter)
}
