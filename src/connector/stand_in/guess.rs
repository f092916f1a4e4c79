//! Which made-up values does a table's column get, so that queries have something to do?
//!
//! Called by `connect` for a table without a sample. What always holds: the rowtime goes forward,
//! also where it is computed from another column; a key is different in each row, unless the table
//! has a rowtime and so may have several versions of a row; what the query compares a column with
//! is among its values, and columns that it compares with one another have the same ones.

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Expr;

use arrow::datatypes::DataType;

use super::generate::{SampleColumn, TimeForm, Values, is_key_name, is_time_name, key_noun};
use crate::sql::catalog::{Column, ColumnKind, Table};
use crate::sql::compared::Compared;

/// Keys that rows of several tables meet by: so many that three joined tables stay small.
const JOINED_KEYS: u32 = 250;
/// Values of one column of a key that has several.
const DIGITS: u64 = 10;

/// The columns of the payload with their values.
pub(crate) fn columns(table: &Table, compared: &Compared) -> Vec<SampleColumn> {
    let payload = table.columns.iter().filter(|c| !matches!(c.kind, ColumnKind::Computed(_)));
    payload
        .map(|column| SampleColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            values: values(table, column, compared),
        })
        .collect()
}

fn values(table: &Table, column: &Column, compared: &Compared) -> Values {
    let name = &column.name;
    let is_number = column.data_type == DataType::Utf8 && compared.numbers.contains(name);
    match time(table, column) {
        // A text that is made a number on its way to a time.
        Some(TimeForm::Text(_)) if is_number => {
            let seconds = table.columns.iter().any(|c| match &c.kind {
                ColumnKind::Computed(e) => of_seconds(e, name),
                _ => false,
            });
            return Values::Time(TimeForm::Digits { seconds });
        }
        Some(form) => return Values::Time(form),
        None if is_number && !compared.literals.contains_key(name) => return Values::Digits,
        None => {}
    }
    let stands_for = compared.together.get(name);
    let noun = key_noun(stands_for.unwrap_or(name)).to_string();
    let may_be_key = matches!(
        column.data_type,
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Utf8
    );
    if let Some(at) = table.primary_key.iter().position(|key| key == name)
        && table.watermark.is_none()
        && may_be_key
    {
        let over = DIGITS.saturating_pow(u32::try_from(at).unwrap_or(u32::MAX));
        let is_last = at + 1 == table.primary_key.len();
        return Values::Distinct { noun, over, below: if is_last { 10_000 } else { DIGITS } };
    }
    if let Some(literals) = compared.literals.get(name) {
        return Values::Among(literals.clone());
    }
    // A column that is compared with a key has its values.
    let is_key = |name: &String| is_key_name(name) || compared.keys.contains(name);
    match stands_for {
        Some(group) if may_be_key => {
            let mut members = compared.together.iter().filter(|(_, g)| *g == group);
            if members.any(|(member, _)| is_key(member)) {
                return Values::Key { noun, keys: JOINED_KEYS };
            }
            Values::ByName
        }
        _ => Values::ByName,
    }
}

/// How the column holds the event time, if it does.
fn time(table: &Table, column: &Column) -> Option<TimeForm> {
    let is_rowtime = |c: &Column| {
        table.watermark.as_ref().is_some_and(|w| table.columns[w.rowtime].name == c.name)
    };
    for computed in &table.columns {
        let ColumnKind::Computed(expression) = &computed.kind else { continue };
        let is_time = matches!(computed.data_type, DataType::Timestamp(..));
        let reads = expression.column_refs().iter().any(|c| c.name == column.name);
        if is_time
            && reads
            && let Some(form) = computed_from(expression, column)
        {
            return Some(form);
        }
    }
    let is_time = is_rowtime(column) || is_time_name(&column.name);
    match column.data_type {
        DataType::Int64 if is_time => Some(TimeForm::Milliseconds),
        DataType::Utf8 if is_time => Some(TimeForm::Text("%Y-%m-%d %H:%M:%S%.3f".into())),
        _ => None,
    }
}

/// True if a time is made of the column's seconds.
fn of_seconds(expression: &Expr, column: &str) -> bool {
    let mut found = false;
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        if let Expr::ScalarFunction(call) = e {
            let name = call.func.name().to_lowercase();
            let reads = e.column_refs().iter().any(|c| c.name == column);
            let zero = |e: &Expr| e.to_string().contains("(0)");
            found |= reads
                && (name == "from_unixtime"
                    || name == "to_timestamp_ltz" && call.args.get(1).is_some_and(zero));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// What a column has to hold for the time that is computed from it.
fn computed_from(expression: &Expr, column: &Column) -> Option<TimeForm> {
    let (mut texts, mut seconds, mut divides) = (Vec::new(), false, false);
    // What a CASE looks at is no time.
    let mut converts = is_time_name(&column.name);
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        match e {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => texts.push(text.clone()),
            Expr::ScalarFunction(call) => {
                let name = call.func.name().to_lowercase();
                converts |= e.column_refs().iter().any(|c| c.name == column.name);
                let zero = |e: &Expr| e.to_string().contains("(0)");
                seconds |= name == "from_unixtime";
                seconds |= name == "to_timestamp_ltz" && call.args.get(1).is_some_and(zero);
                divides |= name.contains("div");
            }
            Expr::BinaryExpr(e) => {
                divides |= e.op == datafusion_expr::Operator::Divide;
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match column.data_type {
        _ if !converts => None,
        DataType::Int64 | DataType::Int32 if seconds && !divides => Some(TimeForm::Seconds),
        DataType::Int64 => Some(TimeForm::Milliseconds),
        DataType::Int32 => Some(TimeForm::Seconds),
        DataType::Utf8 => {
            let pattern = texts.iter().find(|t| t.contains('y') && t.contains('d'));
            let format = pattern.map_or("%Y-%m-%d %H:%M:%S%.3f".into(), |p| of_java(p));
            Some(TimeForm::Text(format))
        }
        _ => None,
    }
}

/// The format of chrono for a pattern of Java's; what it does not know stays as it is.
fn of_java(pattern: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = pattern.chars().collect();
    let (mut at, mut quoted) = (0, false);
    while at < letters.len() {
        let letter = letters[at];
        let run = letters[at..].iter().take_while(|l| **l == letter).count();
        at += run;
        if letter == '\'' {
            quoted = !quoted;
            continue;
        }
        match letter {
            _ if quoted => out.extend(std::iter::repeat_n(letter, run)),
            'y' | 'u' if run > 2 => out.push_str("%Y"),
            'y' | 'u' => out.push_str("%y"),
            'M' if run > 2 => out.push_str("%b"),
            'M' => out.push_str("%m"),
            'd' => out.push_str("%d"),
            'H' => out.push_str("%H"),
            'h' => out.push_str("%I"),
            'm' => out.push_str("%M"),
            's' => out.push_str("%S"),
            'S' if run > 3 => out.push_str("%6f"),
            'S' => out.push_str("%3f"),
            'a' => out.push_str("%p"),
            'Z' | 'X' | 'x' => out.push('Z'),
            other => out.extend(std::iter::repeat_n(other, run)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bind::bind;

    fn guessed(text: &str, table: &str) -> Vec<(String, Values)> {
        let script = bind(text).expect("binds");
        let mut compared = Compared::of(text);
        let tables = script.catalog.tables.values();
        compared.keys = tables.flat_map(|t| t.primary_key.iter().cloned()).collect();
        let columns = columns(&script.catalog.tables[table], &compared);
        columns.into_iter().map(|c| (c.name, c.values)).collect()
    }

    const TABLES: &str = "CREATE TABLE o (user_id BIGINT, kind STRING, at STRING, s BIGINT, n INT,
            ts AS TO_TIMESTAMP(at, 'yyyy-MM-dd''T''HH:mm:ss'), u AS TO_TIMESTAMP_LTZ(s, 0), WATERMARK FOR ts AS ts) WITH ('connector'='x');
        CREATE TABLE u (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='y');
        SELECT o.n FROM o WHERE kind = 'buy';
        SELECT u.name FROM u WHERE u.id IN (SELECT o.user_id FROM o);";

    #[test]
    fn times_keys_and_constants() {
        let text = format!("{TABLES} -- o.user_id = u.id");
        let time = |t: &str| Values::Time(TimeForm::Text(t.into()));
        let wanted = [
            ("user_id", Values::ByName),
            ("kind", Values::Among(vec![crate::sql::compared::Literal::Text("buy".into())])),
            ("at", time("%Y-%m-%dT%H:%M:%S")),
            ("s", Values::Time(TimeForm::Seconds)),
            ("n", Values::ByName),
        ];
        assert_eq!(guessed(&text, "o"), wanted.map(|(n, v)| (n.to_string(), v)));
        let id = Values::Distinct { noun: "id".into(), over: 1, below: 10_000 };
        assert_eq!(guessed(&text, "u")[0], ("id".to_string(), id));
    }
}
