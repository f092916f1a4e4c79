-- HAVING and WHERE over a changelog: rows that appear, change, disappear
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY k HAVING SUM(v) > 100;
SELECT k, COUNT(*) AS c FROM src GROUP BY k HAVING MOD(COUNT(*), 3) = 0;
SELECT k, s FROM (SELECT k, SUM(v) AS s FROM src GROUP BY k) WHERE s BETWEEN 0 AND 150;
SELECT s, n FROM (SELECT s, COUNT(*) AS n FROM (SELECT k, SUM(v) AS s FROM src GROUP BY k) GROUP BY s) WHERE n >= 1 AND s > 0;
SELECT k, MAX(v) AS mx FROM src GROUP BY k HAVING MAX(v) < 90;
SELECT k, MIN(m) AS mn FROM src GROUP BY k HAVING COUNT(DISTINCT j) > 2;
