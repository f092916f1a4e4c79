//! Which of Flink's functions are there? `queries/FUNCTIONS.md`, written from the planner itself.
//!
//! Each function has an example; it is supported if the example is planned. The test fails when the
//! file says something else: `PACELINE_WRITE_LISTS=1 cargo test function_list` writes it again.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::job::planned;

const TABLE: &str = "CREATE TABLE t (i INT, l BIGINT, f FLOAT, d DOUBLE, m DECIMAL(10, 2), s STRING, b BOOLEAN, y BYTES, dt DATE, tm TIME, \
    ts TIMESTAMP(3), tz TIMESTAMP_LTZ(3), a ARRAY<INT>, sa ARRAY<STRING>, mp MAP<STRING, INT>, r ROW<p INT, q STRING>, \
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem', 'format'='json', 'path'='in');\n";

/// Chapters of Flink's list of functions: the name of each function and an example.
const SCALARS: &[(&str, &[(&str, &str)])] = &[
    (
        "Comparison and logic",
        &[
            ("=, <>, <, <=, >, >=", "i = 1 AND l <> 2 AND d < 1 AND d <= 1 AND m > 1 AND s >= 'a'"),
            ("IS [NOT] NULL", "i IS NULL OR s IS NOT NULL"),
            ("IS [NOT] DISTINCT FROM", "i IS DISTINCT FROM 1 AND i IS NOT DISTINCT FROM l"),
            ("[NOT] BETWEEN", "i BETWEEN 1 AND 2 AND i NOT BETWEEN SYMMETRIC 2 AND 1"),
            ("[NOT] LIKE", "s LIKE '%a!_' ESCAPE '!' OR s NOT LIKE 'b'"),
            ("[NOT] SIMILAR TO", "s SIMILAR TO '(a|b)%'"),
            ("[NOT] IN (list)", "i IN (1, 2) AND s NOT IN ('a')"),
            ("AND, OR, NOT", "b AND NOT b OR b"),
            ("IS [NOT] TRUE, FALSE, UNKNOWN", "b IS TRUE AND b IS NOT FALSE AND b IS UNKNOWN"),
        ],
    ),
    (
        "Arithmetic",
        &[
            ("+, -, *, /, %", "-i + l - d * m / 2 + i % 2"),
            ("ABS", "ABS(i)"),
            ("ACOS", "ACOS(d)"),
            ("ASIN", "ASIN(d)"),
            ("ATAN", "ATAN(d)"),
            ("ATAN2", "ATAN2(d, d)"),
            ("BIN", "BIN(i)"),
            ("CEIL, CEILING", "CEIL(d) + CEILING(m)"),
            ("COS", "COS(d)"),
            ("COSH", "COSH(d)"),
            ("COT", "COT(d)"),
            ("DEGREES", "DEGREES(d)"),
            ("E", "E()"),
            ("EXP", "EXP(d)"),
            ("FLOOR", "FLOOR(m)"),
            ("HEX", "HEX(s)"),
            ("LN", "LN(d)"),
            ("LOG", "LOG(2, d)"),
            ("LOG10", "LOG10(d)"),
            ("LOG2", "LOG2(d)"),
            ("MOD", "MOD(i, 2)"),
            ("PI", "PI()"),
            ("POWER", "POWER(d, 2)"),
            ("RADIANS", "RADIANS(d)"),
            ("RAND", "RAND()"),
            ("RAND_INTEGER", "RAND_INTEGER(10)"),
            ("ROUND", "ROUND(m, 1)"),
            ("SIGN", "SIGN(m)"),
            ("SIN", "SIN(d)"),
            ("SINH", "SINH(d)"),
            ("SQRT", "SQRT(d)"),
            ("TAN", "TAN(d)"),
            ("TANH", "TANH(d)"),
            ("TRUNCATE", "TRUNCATE(m, 1)"),
            ("UNHEX", "UNHEX(s)"),
            ("UUID", "UUID()"),
        ],
    ),
    (
        "Text",
        &[
            ("||", "s || 'a'"),
            ("ASCII", "ASCII(s)"),
            ("BTRIM", "BTRIM(s)"),
            ("CHAR_LENGTH, CHARACTER_LENGTH", "CHAR_LENGTH(s) + CHARACTER_LENGTH(s)"),
            ("CHR", "CHR(65)"),
            ("CONCAT", "CONCAT(s, 'a')"),
            ("CONCAT_WS", "CONCAT_WS(',', s, 'a')"),
            ("DECODE", "DECODE(y, 'UTF-8')"),
            ("ELT", "ELT(1, s, 'a')"),
            ("ENCODE", "ENCODE(s, 'UTF-8')"),
            ("ENDSWITH", "ENDSWITH(s, 'a')"),
            ("FROM_BASE64", "FROM_BASE64(s)"),
            ("INITCAP", "INITCAP(s)"),
            ("INSTR", "INSTR(s, 'a')"),
            ("IS_ALPHA", "IS_ALPHA(s)"),
            ("IS_DECIMAL", "IS_DECIMAL(s)"),
            ("IS_DIGIT", "IS_DIGIT(s)"),
            ("LEFT", "LEFT(s, 1)"),
            ("LOCATE", "LOCATE('a', s)"),
            ("LOWER", "LOWER(s)"),
            ("LPAD", "LPAD(s, 5, ' ')"),
            ("LTRIM", "LTRIM(s)"),
            ("OVERLAY", "OVERLAY(s PLACING 'a' FROM 1 FOR 2)"),
            ("PARSE_URL", "PARSE_URL(s, 'HOST')"),
            ("POSITION", "POSITION('a' IN s)"),
            ("PRINTF", "PRINTF('%s', s)"),
            ("REGEXP", "REGEXP(s, 'a+')"),
            ("REGEXP_COUNT", "REGEXP_COUNT(s, 'a+')"),
            ("REGEXP_EXTRACT", "REGEXP_EXTRACT(s, '(a+)', 1)"),
            ("REGEXP_EXTRACT_ALL", "REGEXP_EXTRACT_ALL(s, '(a+)', 1)"),
            ("REGEXP_INSTR", "REGEXP_INSTR(s, 'a+')"),
            ("REGEXP_REPLACE", "REGEXP_REPLACE(s, 'a+', 'b')"),
            ("REGEXP_SUBSTR", "REGEXP_SUBSTR(s, 'a+')"),
            ("REPEAT", "REPEAT(s, 2)"),
            ("REPLACE", "REPLACE(s, 'a', 'b')"),
            ("REVERSE", "REVERSE(s)"),
            ("RIGHT", "RIGHT(s, 1)"),
            ("RPAD", "RPAD(s, 5, ' ')"),
            ("RTRIM", "RTRIM(s)"),
            ("SPLIT", "SPLIT(s, ',')"),
            ("SPLIT_INDEX", "SPLIT_INDEX(s, ',', 0)"),
            ("STARTSWITH", "STARTSWITH(s, 'a')"),
            ("STR_TO_MAP", "STR_TO_MAP(s, ',', '=')"),
            ("SUBSTR", "SUBSTR(s, 1, 2)"),
            ("SUBSTRING", "SUBSTRING(s FROM 1 FOR 2)"),
            ("TO_BASE64", "TO_BASE64(y)"),
            ("TRANSLATE", "TRANSLATE(s, 'ab', 'c')"),
            ("TRIM", "TRIM(BOTH 'a' FROM s)"),
            ("UPPER", "UPPER(s)"),
            ("URL_DECODE", "URL_DECODE(s)"),
            ("URL_ENCODE", "URL_ENCODE(s)"),
        ],
    ),
    (
        "Dates and times",
        &[
            (
                "DATE, TIME, TIMESTAMP, INTERVAL (constants)",
                "TIMESTAMP '2024-02-29 00:00:00' + INTERVAL '1' DAY",
            ),
            ("CEIL(x TO unit)", "CEIL(ts TO DAY)"),
            ("CONVERT_TZ", "CONVERT_TZ(s, 'UTC', 'Asia/Kolkata')"),
            ("CURRENT_DATE", "CURRENT_DATE"),
            ("CURRENT_ROW_TIMESTAMP", "CURRENT_ROW_TIMESTAMP()"),
            ("CURRENT_TIME", "CURRENT_TIME"),
            ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
            ("CURRENT_WATERMARK", "CURRENT_WATERMARK(ts)"),
            ("DATE_FORMAT", "DATE_FORMAT(ts, 'yyyy-MM-dd')"),
            ("DAYOFMONTH", "DAYOFMONTH(dt)"),
            ("DAYOFWEEK", "DAYOFWEEK(dt)"),
            ("DAYOFYEAR", "DAYOFYEAR(dt)"),
            ("EXTRACT", "EXTRACT(YEAR FROM ts)"),
            ("FLOOR(x TO unit)", "FLOOR(ts TO DAY)"),
            ("FROM_UNIXTIME", "FROM_UNIXTIME(l)"),
            ("HOUR", "HOUR(ts)"),
            ("LOCALTIME", "LOCALTIME"),
            ("LOCALTIMESTAMP", "LOCALTIMESTAMP"),
            ("MINUTE", "MINUTE(ts)"),
            ("MONTH", "MONTH(dt)"),
            ("NOW", "NOW()"),
            ("OVERLAPS", "(ts, INTERVAL '1' DAY) OVERLAPS (ts, INTERVAL '1' DAY)"),
            ("PROCTIME", "PROCTIME()"),
            ("QUARTER", "QUARTER(dt)"),
            ("SECOND", "SECOND(ts)"),
            ("TIMESTAMPADD", "TIMESTAMPADD(DAY, 1, ts)"),
            ("TIMESTAMPDIFF", "TIMESTAMPDIFF(DAY, ts, ts)"),
            ("TO_DATE", "TO_DATE(s, 'yyyy-MM-dd')"),
            ("TO_TIMESTAMP", "TO_TIMESTAMP(s, 'yyyy-MM-dd')"),
            ("TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_LTZ(l, 3)"),
            ("UNIX_TIMESTAMP", "UNIX_TIMESTAMP(s)"),
            ("WEEK", "WEEK(dt)"),
            ("YEAR", "YEAR(dt)"),
        ],
    ),
    (
        "Conditions and types",
        &[
            ("CASE", "CASE i WHEN 1 THEN 'a' ELSE 'b' END"),
            ("CAST", "CAST(s AS INT)"),
            ("COALESCE", "COALESCE(i, 1)"),
            ("GREATEST", "GREATEST(i, 1)"),
            ("IF", "IF(b, 1, 2)"),
            ("IFNULL", "IFNULL(i, 1)"),
            ("LEAST", "LEAST(i, 1)"),
            ("NULLIF", "NULLIF(i, 1)"),
            ("TRY_CAST", "TRY_CAST(s AS INT)"),
            ("TYPEOF", "TYPEOF(i)"),
        ],
    ),
    (
        "ARRAY, MAP, ROW",
        &[
            ("ARRAY[...]", "ARRAY[i, 1]"),
            ("MAP[...]", "MAP['a', i]"),
            ("ROW(...), (a, b)", "ROW(i, (s, 1))"),
            ("array[i]", "a[1]"),
            ("map[key]", "mp['a']"),
            ("row.field", "r.p"),
            ("ARRAY_APPEND", "ARRAY_APPEND(a, 1)"),
            ("ARRAY_CONCAT", "ARRAY_CONCAT(a, a)"),
            ("ARRAY_CONTAINS", "ARRAY_CONTAINS(a, 1)"),
            ("ARRAY_DISTINCT", "ARRAY_DISTINCT(a)"),
            ("ARRAY_EXCEPT", "ARRAY_EXCEPT(a, a)"),
            ("ARRAY_INTERSECT", "ARRAY_INTERSECT(a, a)"),
            ("ARRAY_JOIN", "ARRAY_JOIN(sa, ',')"),
            ("ARRAY_MAX", "ARRAY_MAX(a)"),
            ("ARRAY_MIN", "ARRAY_MIN(a)"),
            ("ARRAY_POSITION", "ARRAY_POSITION(a, 1)"),
            ("ARRAY_PREPEND", "ARRAY_PREPEND(a, 1)"),
            ("ARRAY_REMOVE", "ARRAY_REMOVE(a, 1)"),
            ("ARRAY_REVERSE", "ARRAY_REVERSE(a)"),
            ("ARRAY_SLICE", "ARRAY_SLICE(a, 1, 2)"),
            ("ARRAY_SORT", "ARRAY_SORT(a, TRUE, FALSE)"),
            ("ARRAY_UNION", "ARRAY_UNION(a, a)"),
            ("CARDINALITY", "CARDINALITY(a)"),
            ("ELEMENT", "ELEMENT(a)"),
            ("MAP_ENTRIES", "MAP_ENTRIES(mp)"),
            ("MAP_FROM_ARRAYS", "MAP_FROM_ARRAYS(sa, a)"),
            ("MAP_KEYS", "MAP_KEYS(mp)"),
            ("MAP_UNION", "MAP_UNION(mp, mp)"),
            ("MAP_VALUES", "MAP_VALUES(mp)"),
        ],
    ),
    (
        "JSON",
        &[
            ("IS [NOT] JSON", "s IS JSON OR s IS NOT JSON OBJECT"),
            ("JSON", "JSON_ARRAY(JSON('{}'))"),
            ("JSON_ARRAY", "JSON_ARRAY(i, s NULL ON NULL)"),
            ("JSON_EXISTS", "JSON_EXISTS(s, '$.a' TRUE ON ERROR)"),
            ("JSON_OBJECT", "JSON_OBJECT(KEY 'a' VALUE i ABSENT ON NULL)"),
            ("JSON_QUERY", "JSON_QUERY(s, '$.a' WITH WRAPPER EMPTY ARRAY ON ERROR)"),
            ("JSON_QUOTE", "JSON_QUOTE(s)"),
            ("JSON_STRING", "JSON_STRING(r)"),
            ("JSON_UNQUOTE", "JSON_UNQUOTE(s)"),
            ("JSON_VALUE", "JSON_VALUE(s, 'lax $.a' RETURNING INTEGER DEFAULT 1 ON EMPTY)"),
            ("PARSE_JSON", "CAST(PARSE_JSON(s) AS STRING)"),
            ("TRY_PARSE_JSON", "CAST(TRY_PARSE_JSON(s) AS STRING)"),
        ],
    ),
    (
        "Hashes",
        &[
            ("MD5", "MD5(s)"),
            ("SHA1", "SHA1(s)"),
            ("SHA2", "SHA2(s, 256)"),
            ("SHA224", "SHA224(s)"),
            ("SHA256", "SHA256(s)"),
            ("SHA384", "SHA384(s)"),
            ("SHA512", "SHA512(s)"),
        ],
    ),
];

/// Aggregates, planned over a window.
const AGGREGATES: &[(&str, &str)] = &[
    ("ARRAY_AGG", "ARRAY_AGG(i)"),
    ("AVG", "AVG(i)"),
    ("COLLECT", "COLLECT(s)"),
    ("COUNT", "COUNT(*) + COUNT(i)"),
    ("COUNT(DISTINCT)", "COUNT(DISTINCT i)"),
    ("FILTER (WHERE ...)", "COUNT(*) FILTER (WHERE b)"),
    ("FIRST_VALUE", "FIRST_VALUE(i)"),
    ("JSON_ARRAYAGG", "JSON_ARRAYAGG(i)"),
    ("JSON_OBJECTAGG", "JSON_OBJECTAGG(KEY s VALUE i)"),
    ("LAST_VALUE", "LAST_VALUE(i)"),
    ("LISTAGG", "LISTAGG(s, ',')"),
    ("MAX", "MAX(i)"),
    ("MIN", "MIN(i)"),
    ("PERCENTILE", "PERCENTILE(i, 0.5)"),
    ("STDDEV_POP", "STDDEV_POP(d)"),
    ("STDDEV_SAMP, STDDEV", "STDDEV_SAMP(d) + STDDEV(d)"),
    ("SUM", "SUM(i)"),
    ("VAR_POP", "VAR_POP(d)"),
    ("VAR_SAMP, VARIANCE", "VAR_SAMP(d) + VARIANCE(d)"),
];

fn chapter(
    out: &mut String,
    title: &str,
    functions: &[(&str, &str)],
    query: impl Fn(&str) -> String,
) {
    let _ = writeln!(out, "\n## {title}\n\n| function | status | example |\n| --- | --- | --- |");
    for (name, example) in functions {
        let status = if planned(&format!("{TABLE}{}", query(example))).is_ok() {
            "supported"
        } else {
            "refused"
        };
        let escape = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(out, "| {} | {status} | `{}` |", escape(name), escape(example));
    }
}

fn list() -> String {
    let mut out = String::from(
        "# Functions of Flink SQL\n\nWhich of the functions of Apache Flink 2.3 Paceline has. A function that is refused is an error \
         when the query is planned,\nwith its place in the text. Written by the test `function_list` from the planner: see there.\n",
    );
    for (title, functions) in SCALARS {
        chapter(&mut out, title, functions, |example| format!("SELECT {example} AS x FROM t;"));
    }
    chapter(&mut out, "Aggregates", AGGREGATES, |example| {
        format!(
            "SELECT window_start, {example} AS x FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
             GROUP BY window_start, window_end;"
        )
    });
    out
}

#[test]
fn the_list_of_functions_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/FUNCTIONS.md");
    let list = list();
    if std::env::var_os("PACELINE_WRITE_LISTS").is_some() {
        fs::write(&path, &list).expect("writes");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = list.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(
        list == written,
        "queries/FUNCTIONS.md is stale, write it with PACELINE_WRITE_LISTS=1: {differs:?}"
    );
}
