-- aggregates over a changelog: SUM, COUNT, AVG, MIN, MAX, COUNT DISTINCT that take rows back
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, COUNT(*) AS c, SUM(v) AS s, MAX(m) AS mx FROM src GROUP BY k;
SELECT SUM(c) AS sc, SUM(s) AS ss, COUNT(*) AS n, COUNT(s) AS ns FROM q;
SELECT AVG(s) AS a, MIN(s) AS mn, MAX(s) AS mx, COUNT(DISTINCT c) AS dc FROM q;
SELECT c, COUNT(*) AS n, MIN(k) AS mk, SUM(mx) AS sm FROM q GROUP BY c;
SELECT MOD(c, 3) AS r, MAX(c) AS a, MIN(mx) AS b FROM q GROUP BY MOD(c, 3);
SELECT COUNT(*) FILTER (WHERE s > 50) AS hi, SUM(s) FILTER (WHERE s > 50) AS si, SUM(DISTINCT c) AS sd FROM q;
SELECT n, COUNT(*) AS nn FROM (SELECT c, COUNT(*) AS n FROM q GROUP BY c) GROUP BY n;
SELECT DISTINCT c FROM q;
