-- continuous Top-N over a changelog: Alleycat class bests; ranks move when sums change
-- agrees as a table: select_3: a Top-N of a COUNT or MAX, which only grow, takes an update as one change of place in Flink; ours takes a row back and adds one
-- agrees as a table: select_4: a Top-N of a COUNT or MAX, which only grow, takes an update as one change of place in Flink; ours takes a row back and adds one
-- agrees as a table: select_5: a Top-N of a COUNT or MAX, which only grow, takes an update as one change of place in Flink; ours takes a row back and adds one
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, j, SUM(v) AS s, COUNT(*) AS c, MAX(v) AS best FROM src GROUP BY k, j;
CREATE VIEW kb AS SELECT k, MAX(v) AS best, COUNT(*) AS n FROM src GROUP BY k;
SELECT j, k, s, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY s DESC, k) AS rn FROM q) WHERE rn <= 2;
SELECT j, k, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY s DESC, k) AS rn FROM q) WHERE rn <= 2;
SELECT k, best, rn FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY best DESC, k) AS rn FROM kb) WHERE rn <= 3;
SELECT k, n FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC, k) AS rn FROM kb) WHERE rn <= 2;
SELECT j, k, best FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY best DESC, k) AS rn FROM q) WHERE rn <= 1;
SELECT COUNT(*) AS n, SUM(s) AS t FROM (SELECT j, k, s, ROW_NUMBER() OVER (PARTITION BY j ORDER BY s DESC, k) AS rn FROM q) WHERE rn <= 2;
