//! Functions whose body is an expression of SQL: `CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN
//! x + 1`.
//!
//! A call is written out when types are known: `flink_types` asks for it, and nothing behind it knows
//! of the function. What always holds: the body has its types already, and its only columns are the
//! parameters; a body names no function that is declared behind it, so none calls itself.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result, exec_err, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use crate::types::common::common_type;
use crate::types::sql_name;

/// Operations that a call may stand for once all functions in it are written out.
const OPERATIONS_MAX: usize = 10_000;

/// What a function is declared as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SqlFunction {
    name: String,
    parameters: Vec<(String, DataType)>,
    /// Typed, over the parameters; of the type that is returned.
    body: Expr,
    returns: DataType,
    signature: Signature,
}

impl SqlFunction {
    pub fn new(
        name: String,
        parameters: Vec<(String, DataType)>,
        body: Expr,
        returns: DataType,
    ) -> SqlFunction {
        let takes = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(takes, Volatility::Immutable);
        SqlFunction { name, parameters, body, returns, signature }
    }

    pub fn udf(self) -> ScalarUDF {
        ScalarUDF::from(self)
    }

    /// The columns that a body sees.
    pub fn schema(parameters: &[(String, DataType)]) -> Result<DFSchema> {
        let fields = parameters.iter().map(|(name, t)| Field::new(name, t.clone(), true));
        DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The function as its declaration begins.
    fn form(&self) -> String {
        let parameters = self.parameters.iter().map(|(name, t)| format!("{name} {}", sql_name(t)));
        format!("{}({})", self.name, parameters.collect::<Vec<_>>().join(", "))
    }

    fn with_arguments(
        &self,
        given: &[Expr],
        schema: &DFSchema,
        cast: impl Fn(Expr, &DataType) -> Result<Expr>,
    ) -> Result<Expr> {
        let form = self.form();
        if given.len() != self.parameters.len() {
            return plan_err!(
                "'{}' is called with {} values: it is {form}",
                self.name,
                given.len()
            );
        }
        let mut arguments = Vec::with_capacity(given.len());
        for (argument, (name, wanted)) in given.iter().zip(&self.parameters) {
            let has = argument.get_type(schema)?;
            if common_type(&has, wanted).as_ref() != Some(wanted) {
                return plan_err!(
                    "'{}' gets {} for {name}, which is {}: it is {form}; write a CAST",
                    self.name,
                    sql_name(&has),
                    sql_name(wanted)
                );
            }
            arguments.push(cast(argument.clone(), wanted)?);
        }
        let mut uses = vec![0usize; arguments.len()];
        let mut put = |e: Expr| match &e {
            Expr::Column(column) if column.relation.is_none() => {
                let at = self.parameters.iter().position(|(name, _)| *name == column.name);
                Ok(at.map_or_else(
                    || Transformed::no(e.clone()),
                    |at| {
                        uses[at] += 1;
                        Transformed::yes(arguments[at].clone())
                    },
                ))
            }
            _ => Ok(Transformed::no(e)),
        };
        // Up, so that an argument is not looked into for parameters.
        let written = self.body.clone().transform_up(&mut put)?.data;
        for ((uses, argument), (name, _)) in uses.iter().zip(given).zip(&self.parameters) {
            if *uses > 1 && argument.is_volatile() {
                return plan_err!(
                    "'{}' uses {name} {uses} times, and each would be another random value: compute it in a subquery",
                    self.name
                );
            }
        }
        let mut operations = 0usize;
        written.apply(|_| {
            operations += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if operations > OPERATIONS_MAX {
            return plan_err!(
                "'{}' stands for {operations} operations once it is written out, of {OPERATIONS_MAX} at most",
                self.name
            );
        }
        Ok(written)
    }
}

pub(super) fn is_sql_bodied(udf: &ScalarUDF) -> bool {
    udf.inner().downcast_ref::<SqlFunction>().is_some()
}

/// What a call stands for; None if the function is another one. Its arguments have their types.
pub(crate) fn written_out(
    call: &ScalarFunction,
    schema: &DFSchema,
    cast: impl Fn(Expr, &DataType) -> Result<Expr>,
) -> Option<Result<Expr>> {
    let function = call.func.inner().downcast_ref::<SqlFunction>()?;
    Some(function.with_arguments(&call.args, schema, cast))
}

impl ScalarUDFImpl for SqlFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("'{}' in this place", self.name)
    }
}
