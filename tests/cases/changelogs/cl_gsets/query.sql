-- GROUPING SETS, ROLLUP, CUBE without a window: a changelog
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, j, COUNT(*) AS c, GROUPING(k) AS gk, GROUPING_ID(k, j) AS g FROM src GROUP BY ROLLUP (k, j);
SELECT k, b, SUM(v) AS s FROM src GROUP BY CUBE (k, b);
SELECT k, j, COUNT(DISTINCT s) AS c FROM src GROUP BY GROUPING SETS ((k), (j));
