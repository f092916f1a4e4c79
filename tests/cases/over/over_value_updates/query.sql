-- OVER ordered by values over rows that change: rows that are taken back, equal rows, a filter on the result, a GROUP BY over it
-- surprising: a row taken back is -D, then +U (C4)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, j, c, SUM(c) OVER (PARTITION BY k ORDER BY c) AS sc FROM (SELECT k, j, COUNT(*) AS c FROM src GROUP BY k, j);
SELECT k, c, SUM(c) OVER (PARTITION BY k ORDER BY c) AS sc FROM (SELECT k, j, COUNT(*) AS c FROM src GROUP BY k, j);
SELECT k, j, c, x, SUM(c) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS sc, COUNT(*) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n FROM (SELECT * FROM (SELECT k, j, COUNT(*) AS c, MAX(id) AS x FROM src GROUP BY k, j) WHERE c < 5);
SELECT s, t, ROW_NUMBER() OVER (ORDER BY t) AS rn FROM (SELECT s, SUM(v) AS t FROM src GROUP BY s);
SELECT j, s, t, AVG(t) OVER (PARTITION BY j ORDER BY s) AS a, MAX(t) OVER (PARTITION BY j ORDER BY s) AS ma FROM (SELECT j, s, SUM(v) AS t FROM src GROUP BY j, s);
SELECT * FROM (SELECT id, k, v, SUM(v) OVER (PARTITION BY k ORDER BY v) AS t FROM src) WHERE t < 50;
SELECT k, COUNT(*) AS n, SUM(rn) AS sr FROM (SELECT k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) AS rn FROM src) GROUP BY k;
