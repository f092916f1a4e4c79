-- retraction of DOUBLE, FLOAT, DECIMAL sums and averages, LAST_VALUE and FIRST_VALUE over a changelog
-- surprising: a global aggregate that falls to no rows sends -D (C1)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, COUNT(*) AS c, SUM(d) AS sd, SUM(m) AS sm, MAX(s) AS ms FROM src GROUP BY k;
SELECT SUM(sm) AS a, AVG(sm) AS b, MAX(sd) AS c FROM q;
SELECT SUM(sd) AS a, AVG(sd) AS b FROM q;
SELECT MIN(ms) AS a, MAX(ms) AS b, COUNT(ms) AS c FROM q;
SELECT MOD(c, 2) AS p, AVG(sm) AS am, COUNT(*) AS n FROM q GROUP BY MOD(c, 2);
SELECT FIRST_VALUE(ms) AS a, LAST_VALUE(ms) AS b FROM q;
