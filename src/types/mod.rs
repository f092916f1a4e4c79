//! What are the types of columns, what are they called, and how do they meet?
//!
//! Types are Arrow's; the rules are those of Flink SQL. Known to every floor that has columns;
//! knows no parser and no function.

pub mod common;
pub mod decimal;
pub mod nested;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Field metadata with the SQL type, for types that Arrow does not tell apart.
pub(crate) const EXACT: &str = "paceline.sql_type";
/// Field metadata of a column that its table lets be NULL. Arrow's own flag is set for all columns.
pub(crate) const NULLABLE: &str = "paceline.nullable";

/// The SQL name of a field's type.
pub(crate) fn field_sql_name(field: &Field) -> String {
    field.metadata().get(EXACT).cloned().unwrap_or_else(|| sql_name(field.data_type()))
}

/// The SQL name of a type, for messages and plans.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Interval(_) => "INTERVAL".into(),
        DataType::Null => "NULL".into(),
        DataType::Time32(_) => "TIME".into(),
        DataType::Timestamp(u, None) => format!("TIMESTAMP({})", digits(u)),
        DataType::Timestamp(u, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(u)),
        other => nested::name(other, &sql_name).unwrap_or_else(|| other.to_string()),
    }
}
