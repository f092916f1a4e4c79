-- continuous Top-N over appended rows: with and without the rank, global, ranges, NULLs
-- surprising: without rn in the output: -D then +I; rn = 2 alone works (C2)
-- differs from Flink: select_8: a Top-1 without its number: Flink leaves out the -U that goes with a +U
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, k, v, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM src) WHERE rn <= 2;
SELECT id, k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v ASC, id) AS rn FROM src) WHERE rn <= 3;
SELECT id, m, rn FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY m DESC, id) AS rn FROM src) WHERE rn <= 4;
SELECT id, j, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY s DESC, id DESC) AS rn FROM src) WHERE rn <= 2;
SELECT id, k, v, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM src) WHERE rn BETWEEN 2 AND 3;
SELECT id, k, v, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC NULLS FIRST, id) AS rn FROM src) WHERE rn <= 2;
SELECT id, k, v, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM src) WHERE rn = 2;
SELECT id, k, j, d FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, j ORDER BY d, id) AS rn FROM src) WHERE rn <= 1;
