-- mini-batch by size (5 rows): fewer updates, the same end
-- surprising: result per bundle of 5 input rows
-- agrees as a table: select_1: with mini-batches Flink aggregates in two steps, each with bundles of its own
-- agrees as a table: select_2: with mini-batches Flink aggregates in two steps, each with bundles of its own
-- agrees as a table: select_3: with mini-batches Flink aggregates in two steps, each with bundles of its own
SET 'table.exec.mini-batch.enabled' = 'true';
SET 'table.exec.mini-batch.allow-latency' = '1000 h';
SET 'table.exec.mini-batch.size' = '5';
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM src GROUP BY k;
SELECT k, COUNT(DISTINCT s) AS a, SUM(m) AS sm FROM src GROUP BY k;
SELECT c, COUNT(*) AS n FROM (SELECT k, COUNT(*) AS c FROM src GROUP BY k) GROUP BY c;
