//! What does a table declared with LIKE take over from another one?
//!
//! Called by `bind` with both declarations; gives one that stands alone. By Flink's rules: columns
//! of the other table come first; without a list everything is included and options are
//! overwritten; what is in both is an error unless the list says EXCLUDING or OVERWRITING. What
//! always holds: columns that are part of the payload are always taken.

use sqlparser::ast::Ident;

use super::error::SqlError;
use crate::sql::statement::{
    ColumnDef, ColumnDefKind, CreateTable, Feature, Like, Strategy, place_of,
};

impl Like {
    fn strategy(&self, feature: Feature) -> Strategy {
        let of = |wanted| self.rules.iter().rev().find(|(_, f)| *f == wanted).map(|(s, _)| *s);
        let default =
            if feature == Feature::Options { Strategy::Overwriting } else { Strategy::Including };
        of(feature).or(of(Feature::All)).unwrap_or(default)
    }
}

/// `table` as it would be declared without its LIKE. `source` has none.
pub fn merge(
    table: &CreateTable,
    like: &Like,
    source: &CreateTable,
) -> Result<CreateTable, SqlError> {
    let place = place_of(&like.source);
    let refused = |message: String| SqlError::new(message).at(place);
    for (strategy, feature) in &like.rules {
        let overwritable =
            [Feature::Generated, Feature::Metadata, Feature::Options, Feature::Watermarks];
        if *strategy == Strategy::Overwriting && !overwritable.contains(feature) {
            return Err(refused(format!(
                "OVERWRITING {} is not possible",
                format!("{feature:?}").to_uppercase()
            )));
        }
    }
    let taken = |feature| like.strategy(feature) != Strategy::Excluding;
    let kept = |column: &&ColumnDef| match column.kind {
        ColumnDefKind::Physical { .. } => true,
        ColumnDefKind::Metadata { .. } => taken(Feature::Metadata),
        ColumnDefKind::Computed(_) => taken(Feature::Generated),
    };
    let mut columns: Vec<ColumnDef> = source.columns.iter().filter(kept).cloned().collect();
    for column in &table.columns {
        let Some(at) = columns.iter().position(|c| c.name.value == column.name.value) else {
            columns.push(column.clone());
            continue;
        };
        let feature = match (&columns[at].kind, &column.kind) {
            (ColumnDefKind::Computed(_), ColumnDefKind::Computed(_)) => Some(Feature::Generated),
            (ColumnDefKind::Metadata { .. }, ColumnDefKind::Metadata { .. }) => {
                Some(Feature::Metadata)
            }
            _ => None,
        };
        if !feature.is_some_and(|f| like.strategy(f) == Strategy::Overwriting) {
            let message =
                format!("column '{}' is in '{}' already", column.name.value, like.source.value);
            return Err(SqlError::new(message).at(place_of(&column.name)));
        }
        columns[at] = column.clone();
    }
    let watermark = match (
        &table.watermark,
        source.watermark.as_ref().filter(|_| taken(Feature::Watermarks)),
    ) {
        (Some(_), Some(_)) if like.strategy(Feature::Watermarks) != Strategy::Overwriting => {
            let error = refused(format!("'{}' has a WATERMARK already", like.source.value));
            return Err(error.help("write EXCLUDING WATERMARKS or OVERWRITING WATERMARKS"));
        }
        (own, other) => own.clone().or(other.cloned()),
    };
    let names = |own: &Vec<Ident>, other: &Vec<Ident>, feature, what: &str| {
        if own.is_empty() || other.is_empty() || !taken(feature) {
            return Ok(if own.is_empty() && taken(feature) { other.clone() } else { own.clone() });
        }
        let error = refused(format!("'{}' has {what} already", like.source.value));
        Err(error.help(format!("write EXCLUDING {}", format!("{feature:?}").to_uppercase())))
    };
    let mut options =
        if taken(Feature::Options) { source.options.clone() } else { Default::default() };
    for (key, value) in &table.options {
        if options.insert(key.clone(), value.clone()).is_some()
            && like.strategy(Feature::Options) != Strategy::Overwriting
        {
            let error = refused(format!("'{}' has the option '{key}' already", like.source.value));
            return Err(error.help("write EXCLUDING OPTIONS or OVERWRITING OPTIONS"));
        }
    }
    Ok(CreateTable {
        name: table.name.clone(),
        if_not_exists: table.if_not_exists,
        columns,
        watermark,
        primary_key: names(
            &table.primary_key,
            &source.primary_key,
            Feature::Constraints,
            "a PRIMARY KEY",
        )?,
        partitioned_by: names(
            &table.partitioned_by,
            &source.partitioned_by,
            Feature::Partitions,
            "PARTITIONED BY",
        )?,
        options,
        is_distributed: table.is_distributed,
        like: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use crate::sql::statement::Statement;

    /// The second table of the text, alone.
    fn merged(text: &str) -> Result<CreateTable, SqlError> {
        let mut tables = parse(text)?.statements.into_iter().filter_map(|p| match p.statement {
            Statement::CreateTable(table) => Some(table),
            _ => None,
        });
        let (source, table) =
            (tables.next().expect("two tables"), tables.next().expect("two tables"));
        merge(&table, table.like.as_ref().expect("LIKE"), &source)
    }

    const SOURCE: &str = "CREATE TABLE s (a INT, m STRING METADATA, c AS a + 1, ts TIMESTAMP(3), WATERMARK FOR ts AS ts,
        PRIMARY KEY (a) NOT ENFORCED) PARTITIONED BY (a) WITH ('x' = '1', 'y' = '2');";

    #[test]
    fn what_is_taken_over() {
        for (table, columns, watermark, keys, options) in [
            ("CREATE TABLE t LIKE s", "a m c ts", true, 2, "x=1 y=2"),
            (
                "CREATE TABLE t (b INT) WITH ('y'='3','z'='4') LIKE s",
                "a m c ts b",
                true,
                2,
                "x=1 y=3 z=4",
            ),
            ("CREATE TABLE t (b INT) LIKE s (EXCLUDING ALL)", "a ts b", false, 0, ""),
            ("CREATE TABLE t LIKE s (EXCLUDING ALL INCLUDING GENERATED)", "a c ts", false, 0, ""),
            (
                "CREATE TABLE t LIKE s (EXCLUDING OPTIONS, EXCLUDING CONSTRAINTS)",
                "a m c ts",
                true,
                1,
                "",
            ),
            (
                "CREATE TABLE t (c AS a * 2) LIKE s (OVERWRITING GENERATED)",
                "a m c ts",
                true,
                2,
                "x=1 y=2",
            ),
            (
                "CREATE TABLE t (WATERMARK FOR ts AS ts) LIKE s (INCLUDING ALL OVERWRITING WATERMARKS)",
                "a m c ts",
                true,
                2,
                "x=1 y=2",
            ),
        ] {
            let t =
                merged(&format!("{SOURCE}{table}")).unwrap_or_else(|e| panic!("{table}: {e:?}"));
            let names: Vec<&str> = t.columns.iter().map(|c| c.name.value.as_str()).collect();
            assert_eq!(names.join(" "), columns, "{table}");
            assert_eq!(t.watermark.is_some(), watermark, "{table}");
            assert_eq!(t.primary_key.len() + t.partitioned_by.len(), keys, "{table}");
            let given: Vec<String> = t.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(given.join(" "), options, "{table}");
        }
    }

    #[test]
    fn what_is_in_both_is_refused_with_its_place() {
        for (table, part) in [
            ("CREATE TABLE t (a INT) LIKE s", "column 'a' is in 's' already"),
            ("CREATE TABLE t (c AS a) LIKE s", "column 'c' is in 's' already"),
            (
                "CREATE TABLE t (a AS 1) LIKE s (OVERWRITING GENERATED)",
                "column 'a' is in 's' already",
            ),
            ("CREATE TABLE t (WATERMARK FOR ts AS ts) LIKE s", "has a WATERMARK already"),
            ("CREATE TABLE t (PRIMARY KEY (ts) NOT ENFORCED) LIKE s", "has a PRIMARY KEY already"),
            ("CREATE TABLE t WITH ('x'='2') LIKE s (INCLUDING ALL)", "has the option 'x' already"),
            (
                "CREATE TABLE t LIKE s (OVERWRITING CONSTRAINTS)",
                "OVERWRITING CONSTRAINTS is not possible",
            ),
            ("CREATE TABLE t LIKE s (INCLUDING EVERYTHING)", "ALL, CONSTRAINTS"),
        ] {
            let error = merged(&format!("{SOURCE}{table}")).expect_err(table);
            assert!(error.message.contains(part) && error.place.is_some(), "{table}: {error:?}");
        }
    }
}
