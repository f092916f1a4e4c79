-- OVER ordered by values: ties under RANGE and ROWS, NULLs first and last, ranks, every aggregate that Flink takes there
-- surprising: RANK and DENSE_RANK count ties (C4)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, k, j, COUNT(*) OVER w AS n, COUNT(v) OVER w AS c, SUM(v) OVER w AS s, AVG(d) OVER w AS a, MIN(s) OVER w AS mi, MAX(m) OVER w AS ma FROM src WINDOW w AS (PARTITION BY k ORDER BY j);
SELECT id, k, j, COUNT(*) OVER w AS n, SUM(m) OVER w AS s, AVG(v) OVER w AS a, MIN(s) OVER w AS mi, MAX(s) OVER w AS ma FROM src WINDOW w AS (PARTITION BY k ORDER BY j ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
SELECT id, s, SUM(v) OVER (ORDER BY s NULLS LAST) AS t FROM src;
SELECT id, k, j, ROW_NUMBER() OVER (PARTITION BY k ORDER BY j) AS rn FROM src;
SELECT id, k, s, RANK() OVER (PARTITION BY k ORDER BY s) AS r, DENSE_RANK() OVER (PARTITION BY k ORDER BY s) AS dr, COUNT(*) OVER (PARTITION BY k ORDER BY s) AS n FROM src;
SELECT id, k, d, STDDEV_POP(v) OVER (PARTITION BY k ORDER BY d) AS sp, VAR_SAMP(d) OVER (PARTITION BY k ORDER BY d) AS vs FROM src;
SELECT id, k, MIN(v) OVER (PARTITION BY k, b ORDER BY id + v) AS mi, SUM(MOD(v, 2)) OVER (PARTITION BY k, b ORDER BY id + v) AS o FROM src WHERE v IS NOT NULL;
SELECT id, k, j, LISTAGG(s, '/') OVER (PARTITION BY k ORDER BY j) AS l FROM src WHERE id < 16;
SELECT id, b, ROW_NUMBER() OVER (PARTITION BY k ORDER BY b) AS rn, SUM(j) OVER (PARTITION BY k ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM src WHERE id > 30;
