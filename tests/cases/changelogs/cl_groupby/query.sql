-- changelog GROUP BY: every simple aggregate, by key, by two keys, by expression, global, DISTINCT
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM src GROUP BY k;
SELECT k, j, SUM(m) AS sm, AVG(m) AS am, MIN(d) AS md, MAX(s) AS ms FROM src GROUP BY k, j;
SELECT COUNT(*) AS c, SUM(d) AS sd, AVG(v) AS av, COUNT(DISTINCT k) AS dk FROM src;
SELECT v > 0 AS pos, COUNT(*) FILTER (WHERE b) AS cb, COUNT(DISTINCT s) AS ds, SUM(DISTINCT j) AS sj FROM src GROUP BY v > 0;
SELECT DISTINCT k, j FROM src;
SELECT k FROM src GROUP BY k;
SELECT k, COUNT(DISTINCT j) FILTER (WHERE v > 0) AS a, AVG(DISTINCT v) AS e, MAX(ts) AS l FROM src GROUP BY k;
