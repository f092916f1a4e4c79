//! SQL types to Arrow types: which column holds which values?
//!
//! TIMESTAMP(p) and TIMESTAMP_LTZ(p) have the coarsest unit that keeps p digits: ms up to 3, µs up
//! to 6, else ns; LTZ has the zone UTC. STRING, CHAR and VARCHAR are text without a length check.
//! What Arrow's type does not hold (the length of a CHAR(n), a precision of 1) travels as field
//! metadata under [`EXACT`], for casts.

pub mod nested;

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, TimeUnit};
use sqlparser::ast::{
    BinaryLength, CharacterLength, DataType as SqlType, ExactNumberInfo, TimezoneInfo,
};
use sqlparser::parser::{Parser, ParserError};

use crate::sql::dialect::FlinkDialect;
use crate::types::EXACT;

/// A nullable field without a name of a SQL type.
pub(crate) fn arrow_field(sql: &SqlType) -> Result<Field, String> {
    let field = Field::new("", arrow_type(sql)?, true);
    let exact = match sql {
        SqlType::Char(length) | SqlType::Character(length) => {
            Some(format!("CHAR({})", character_length(*length, 1)?))
        }
        SqlType::Varchar(Some(length))
        | SqlType::CharacterVarying(Some(length))
        | SqlType::CharVarying(Some(length)) => {
            Some(format!("VARCHAR({})", character_length(Some(*length), 1)?))
        }
        SqlType::Binary(length) => Some(format!("BINARY({})", length.unwrap_or(1))),
        SqlType::Varbinary(length) => Some(match length {
            Some(BinaryLength::IntegerLength { length }) => format!("VARBINARY({length})"),
            Some(BinaryLength::Max) => "VARBINARY(2147483647)".into(),
            // Without a length it is BYTES, as VARCHAR is STRING.
            None => return Ok(field),
        }),
        SqlType::Timestamp(Some(p), _) if !matches!(p, 3 | 6 | 9) => {
            Some(format!("TIMESTAMP({p})"))
        }
        SqlType::Custom(_, modifiers)
            if !modifiers.is_empty() && !matches!(modifiers[0].as_str(), "3" | "6" | "9") =>
        {
            Some(format!("TIMESTAMP_LTZ({})", modifiers[0]))
        }
        _ => None,
    };
    Ok(match exact {
        Some(exact) => field.with_metadata(HashMap::from([(EXACT.to_string(), exact)])),
        None => field,
    })
}

fn character_length(length: Option<CharacterLength>, default: u64) -> Result<u64, String> {
    match length {
        None => Ok(default),
        Some(CharacterLength::IntegerLength { length: 0, .. }) => {
            Err("a text type has a length of at least 1".into())
        }
        Some(CharacterLength::IntegerLength { length, .. }) => Ok(length),
        Some(CharacterLength::Max) => Ok(i32::MAX as u64),
    }
}

/// The Arrow type of a SQL type, or a message that says what is not supported.
pub(crate) fn arrow_type(sql: &SqlType) -> Result<DataType, String> {
    Ok(match sql {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) => DataType::Int32,
        SqlType::BigInt(_) => DataType::Int64,
        SqlType::Float(_) | SqlType::Real => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => decimal(*info)?,
        SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::Varchar(_)
        | SqlType::CharacterVarying(_)
        | SqlType::CharVarying(_)
        | SqlType::String(_) => DataType::Utf8,
        SqlType::Bytes(_) | SqlType::Binary(_) | SqlType::Varbinary(_) => DataType::Binary,
        SqlType::Date => DataType::Date32,
        SqlType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time32(TimeUnit::Millisecond)
        }
        SqlType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp(unit(*p)?, None)
        }
        SqlType::Custom(name, modifiers)
            if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") =>
        {
            let precision = modifiers.first().map(|m| {
                m.parse::<u64>().map_err(|_| "TIMESTAMP_LTZ takes a precision from 0 to 9")
            });
            DataType::Timestamp(unit(precision.transpose()?)?, Some("UTC".into()))
        }
        SqlType::Custom(name, _) => match name.0.as_slice() {
            [part] if part.as_ident().is_some_and(|n| nested::is_nested(&n.value)) => {
                nested::parse(part.as_ident().map_or("", |n| &n.value))?
            }
            _ => return Err(format!("type '{name}' is not known")),
        },
        other => return Err(format!("type '{other}' is not supported")),
    })
}

/// The precision of a TIMESTAMP without one is 6.
fn unit(precision: Option<u64>) -> Result<TimeUnit, String> {
    match precision.unwrap_or(6) {
        0..=3 => Ok(TimeUnit::Millisecond),
        4..=6 => Ok(TimeUnit::Microsecond),
        7..=9 => Ok(TimeUnit::Nanosecond),
        p => Err(format!("a timestamp has a precision from 0 to 9, not {p}")),
    }
}

fn decimal(info: ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(p) => (p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (p, s),
    };
    if !(1..=38).contains(&precision) || scale < 0 || scale > precision as i64 {
        return Err(format!(
            "DECIMAL({precision}, {scale}) is out of range: precision 1 to 38, scale 0 to the precision"
        ));
    }
    Ok(DataType::Decimal128(precision as u8, scale as i8))
}

/// A SQL type alone.
pub fn data_type(text: &str) -> Result<SqlType, ParserError> {
    Parser::new(&FlinkDialect).try_with_sql(text)?.parse_data_type()
}
