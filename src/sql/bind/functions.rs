//! What becomes of CREATE FUNCTION?
//!
//! A function with a SQL body is one of those that queries may call. One that names code for Flink's
//! JVM or Python is noted: only who calls it is refused, with its class, unless the program that runs
//! the job brings a function of its name. What always holds: no function takes the place of one of
//! Flink's.

use arrow::datatypes::DataType;
use datafusion_expr::ExprSchemable;
use sqlparser::ast::{DataType as SqlType, Expr as SqlExpr, Ident};

use super::Binder;
use super::names::{Names, OfFile};
use crate::sql::error::{Source, SqlError, TextPlace};
use crate::sql::flink_types::implicit_cast;
use crate::sql::functions::sql_bodied::SqlFunction;
use crate::sql::planned_cast::CAST;
use crate::sql::statement::{CreateFunction, FunctionBody, place_of};
use crate::sql::syntax::cast;
use crate::sql::types::arrow_field;
use crate::suggest::nearest;
use crate::types::common::common_type;
use crate::types::sql_name;

impl Binder {
    pub(super) fn create_function(
        &mut self,
        function: &CreateFunction,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        let CreateFunction { name, if_not_exists, is_replaced, body } = function;
        let key = name.value.to_lowercase();
        match self.names.of_file.get(&key) {
            Some(_) if *if_not_exists => return Ok(()),
            Some(_) if !is_replaced => {
                let error = SqlError::new(format!("function '{}' is declared twice", name.value));
                return Err(error.at(place_of(name)));
            }
            _ => {}
        }
        let line = place_of(name).map_or(source.start.line, |place| place.line);
        match body {
            FunctionBody::Code { class } => {
                let is_brought =
                    self.names.functions.knows(&key) && !self.names.of_file.contains_key(&key);
                let then = if is_brought {
                    "calls are of the one of this name that is here"
                } else {
                    "a query that calls it is refused"
                };
                self.notes.push(format!(
                    "line {line}: function {} is '{class}', code for Flink's JVM or Python, which does not run here: {then}",
                    name.value
                ));
                if !is_brought {
                    self.names.functions.forget(&key);
                    self.names.of_file.insert(key, OfFile::Code(class.clone()));
                }
            }
            FunctionBody::Sql { parameters, returns, body, place } => {
                let is_ours = self.names.of_file.get(&key) == Some(&OfFile::Sql);
                if self.names.functions.knows(&key) && !is_ours {
                    let message = format!("there is a function '{}' already", key.to_uppercase());
                    return Err(SqlError::new(message).at(place_of(name)));
                }
                // It is not known to its own body.
                self.names.functions.forget(&key);
                self.names.of_file.remove(&key);
                let declared = Declared { name, parameters, returns, body, place: *place };
                let function = declared.bind(&self.names, source)?;
                self.names.functions.add(function.udf());
                self.names.of_file.insert(key, OfFile::Sql);
                self.notes.push(format!(
                    "line {line}: function {} has a body of SQL, which Flink does not take: there it is written in Java or Python",
                    name.value
                ));
            }
        }
        Ok(())
    }

    pub(super) fn drop_function(&mut self, name: &Ident, if_exists: bool) -> Result<(), SqlError> {
        let key = name.value.to_lowercase();
        if self.names.of_file.remove(&key).is_some() {
            self.names.functions.forget(&key);
            return Ok(());
        }
        if if_exists {
            return Ok(());
        }
        let error = SqlError::new(format!("function '{}' is not declared", name.value));
        let error = error.at(place_of(name));
        Err(match nearest(&key, self.names.of_file.keys().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean '{near}'?")),
            None => error.help("write DROP FUNCTION IF EXISTS"),
        })
    }
}

/// A function with a SQL body that is being bound.
struct Declared<'a> {
    name: &'a Ident,
    parameters: &'a [(Ident, SqlType)],
    returns: &'a SqlType,
    body: &'a SqlExpr,
    place: TextPlace,
}

impl Declared<'_> {
    fn bind(&self, names: &Names, source: &Source<'_>) -> Result<SqlFunction, SqlError> {
        let mut parameters: Vec<(String, DataType)> = Vec::new();
        for (name, sql_type) in self.parameters {
            if parameters.iter().any(|(known, _)| *known == name.value) {
                let message = format!("parameter '{}' is declared twice", name.value);
                return Err(SqlError::new(message).at(place_of(name)));
            }
            let field = arrow_field(sql_type).map_err(|e| {
                SqlError::new(format!("parameter '{}': {e}", name.value)).at(place_of(name))
            })?;
            parameters.push((name.value.clone(), field.data_type().clone()));
        }
        let of_plan = |e| SqlError::from_plan(&e, source);
        let returns = arrow_field(self.returns)
            .map_err(|e| SqlError::new(format!("RETURNS: {e}")).at(place_of(self.name)))?;
        let returns = returns.data_type().clone();
        let schema = SqlFunction::schema(&parameters).map_err(of_plan)?;
        // Its body may be anywhere in the statement: parameters have the names of columns.
        let body_source = Source { start: self.place, ..*source };
        let body = names
            .expression(self.body, &schema, None, &body_source)
            .map_err(|e| self.or_recursion(e))?;
        super::create_table::of_one_row(&body).map_err(|e| e.at(Some(self.place)))?;
        let gives = body.get_type(&schema).map_err(of_plan)?;
        if common_type(&gives, &returns).as_ref() != Some(&returns) {
            let message = format!(
                "function {} gives {}, and RETURNS says {}",
                self.name.value,
                sql_name(&gives),
                sql_name(&returns)
            );
            let error = SqlError::new(message).at(Some(self.place));
            return Err(error.help("write the type that it gives, or a CAST"));
        }
        // The length or the precision that RETURNS names is known to a cast alone.
        let body = match is_exact(self.returns) {
            true => names
                .expression(
                    &cast(CAST, self.body.clone(), self.returns),
                    &schema,
                    None,
                    &body_source,
                )
                .map_err(|e| self.or_recursion(e))?,
            false => implicit_cast(body, &returns, &schema).map_err(of_plan)?,
        };
        Ok(SqlFunction::new(self.name.value.clone(), parameters, body, returns))
    }

    /// A function that calls itself is not known yet.
    fn or_recursion(&self, error: SqlError) -> SqlError {
        let own = format!("function '{}' is not known", self.name.value.to_uppercase());
        if error.message != own {
            return error;
        }
        SqlError::new(format!("function {} calls itself", self.name.value))
            .at(error.place)
            .help("a body names functions that are declared before it")
    }
}

/// Whether a type has a length or a precision.
fn is_exact(sql_type: &SqlType) -> bool {
    sql_type.to_string().contains('(')
}

#[cfg(test)]
mod tests {
    use crate::sql::bind::bind;

    const TABLE: &str = "CREATE TABLE t (a INT, b BIGINT, s STRING, d DOUBLE, ts TIMESTAMP(3)) WITH ('connector' = 'datagen');\n";

    fn error(sql: &str) -> String {
        let error = bind(&format!("{TABLE}{sql}")).err().unwrap_or_else(|| panic!("binds: {sql}"));
        assert!(error.place.is_some(), "{sql}: {error:?}");
        format!("{} / {}", error.message, error.help.unwrap_or_default())
    }

    fn plans(sql: &str) -> Vec<String> {
        let script = bind(&format!("{TABLE}{sql}")).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        script.queries.iter().map(|query| query.plan.display_indent().to_string()).collect()
    }

    #[test]
    fn a_call_is_what_its_body_says() {
        let found = plans(
            "CREATE FUNCTION plus(x BIGINT, y BIGINT) RETURNS BIGINT RETURN x + y;
             CREATE TEMPORARY FUNCTION twice(x BIGINT) RETURNS BIGINT LANGUAGE SQL RETURN plus(x, x);
             SELECT Twice(b + 1) AS r FROM t;
             SELECT (b + 1) + (b + 1) AS r FROM t;
             SELECT s FROM t WHERE twice(a) > 4 GROUP BY s HAVING plus(COUNT(*), 1) > 2;
             SELECT s FROM t WHERE CAST(a AS BIGINT) + CAST(a AS BIGINT) > 4 GROUP BY s HAVING COUNT(*) + 1 > 2;",
        );
        assert_eq!(found[0], found[1]);
        assert_eq!(found[2], found[3]);
    }

    #[test]
    fn the_length_of_a_result_is_kept() {
        let found = plans(
            "CREATE FUNCTION f(x STRING) RETURNS VARCHAR(3) RETURN x || 'y';
             CREATE FUNCTION g(x TIMESTAMP(3)) RETURNS TIMESTAMP(0) RETURN x;
             SELECT f(s) AS r FROM t; SELECT CAST(s || 'y' AS VARCHAR(3)) AS r FROM t;
             SELECT g(ts) AS r FROM t; SELECT CAST(ts AS TIMESTAMP(0)) AS r FROM t;",
        );
        assert_eq!(found[0], found[1]);
        assert_eq!(found[2], found[3]);
    }

    #[test]
    fn a_body_may_stand_in_quotes() {
        let found = plans(
            "CREATE TEMPORARY FUNCTION f(x DOUBLE)\nRETURNS STRING\nLANGUAGE SQL\nAS $$\n CASE WHEN x > 0.5 THEN 'high' ELSE 'low' END\n$$;
             CREATE FUNCTION g(x BIGINT) RETURNS BIGINT LANGUAGE SQL AS 'x + 1';
             SELECT f(d) AS r, g(b) AS q FROM t;
             SELECT CASE WHEN d > 0.5 THEN 'high' ELSE 'low' END AS r, b + 1 AS q FROM t;",
        );
        assert_eq!(found[0], found[1]);
        let sql = "CREATE FUNCTION f(x INT) RETURNS INT AS $$\n  x +\n  y $$;";
        let place = bind(sql).err().and_then(|e| e.place).expect("a place");
        assert_eq!((place.line, place.column), (3, 3));
    }

    #[test]
    fn parameters_are_not_columns_of_the_query() {
        let found = plans(
            "CREATE FUNCTION f(a STRING, s STRING) RETURNS STRING RETURN a || s;
             SELECT f(s, 'x') AS r FROM t; SELECT s || 'x' AS r FROM t;",
        );
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        for (sql, part) in [
            (
                "CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN f(x) + 1;",
                "function f calls itself",
            ),
            ("CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN x || 'a';", "'||'"),
            ("CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN y;", "column 'y' does not exist"),
            (
                "CREATE FUNCTION f(x BIGINT) RETURNS INT RETURN x;",
                "gives BIGINT, and RETURNS says INT",
            ),
            ("CREATE FUNCTION f(x BIGINT, x INT) RETURNS INT RETURN 1;", "'x' is declared twice"),
            (
                "CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN SUM(x);",
                "without aggregate functions",
            ),
            (
                "CREATE FUNCTION upper(x STRING) RETURNS STRING RETURN x;",
                "there is a function 'UPPER' already",
            ),
            ("CREATE FUNCTION f(x WRONG) RETURNS INT RETURN 1;", "parameter 'x'"),
            (
                "CREATE FUNCTION f() RETURNS INT RETURN 1; CREATE FUNCTION f() RETURNS INT RETURN 2;",
                "declared twice",
            ),
            (
                "CREATE FUNCTION f(x INT) RETURNS INT RETURN x; SELECT f(s) FROM t;",
                "'f' gets STRING for x, which is INT: it is f(x INT); write a CAST",
            ),
            (
                "CREATE FUNCTION f(x INT) RETURNS INT RETURN x; SELECT f() FROM t;",
                "'f' is called with 0 values",
            ),
            (
                "CREATE FUNCTION f(x DOUBLE) RETURNS DOUBLE RETURN x * x; SELECT f(RAND()) FROM t;",
                "another random value",
            ),
            (
                "CREATE FUNCTION f AS 'com.x.F'; SELECT f(a) FROM t;",
                "function f is 'com.x.F', code for Flink's JVM or Python",
            ),
            ("CREATE FUNCTION f AS 'com.x.F'; SELECT f(a) FROM t;", "CREATE FUNCTION f(x BIGINT)"),
            (
                "CREATE FUNCTION f() RETURNS INT RETURN 1; DROP FUNCTION f; SELECT f() FROM t;",
                "function 'F' is not known",
            ),
            ("DROP FUNCTION f;", "function 'f' is not declared"),
            ("CREATE FUNCTION f(x INT) RETURN x;", "RETURNS and a type"),
        ] {
            let found = error(sql);
            assert!(found.contains(part), "{sql}\n{found}");
        }
    }

    #[test]
    fn functions_that_grow_without_end_are_refused() {
        let mut sql = "CREATE FUNCTION f0(x BIGINT) RETURNS BIGINT RETURN x + x;\n".to_string();
        for i in 1..20 {
            let before = i - 1;
            sql += &format!(
                "CREATE FUNCTION f{i}(x BIGINT) RETURNS BIGINT RETURN f{before}(f{before}(x));\n"
            );
        }
        assert!(error(&sql).contains("operations once it is written out"));
    }

    #[test]
    fn code_that_is_only_declared_is_a_note() {
        let sql = "CREATE TEMPORARY SYSTEM FUNCTION IF NOT EXISTS f AS 'com.x.F' LANGUAGE JAVA USING JAR 'x.jar', JAR 'y.jar';
            CREATE FUNCTION db.g AS 'a.g' LANGUAGE PYTHON; ALTER FUNCTION g AS 'a.h'; DROP FUNCTION IF EXISTS h;";
        let script = bind(sql).expect("it is only declared");
        assert!(script.only_declares() && script.notes.len() == 3, "{:?}", script.notes);
        // Names of Flink's own functions are theirs.
        let script =
            bind(&format!("{TABLE}CREATE FUNCTION upper AS 'com.x.F'; SELECT upper(s) FROM t;"));
        assert_eq!(script.expect("Flink's own").queries.len(), 1);
    }
}
