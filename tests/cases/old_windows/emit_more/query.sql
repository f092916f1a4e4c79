-- early and late fires together: by key of an upsert sink, HAVING, DISTINCT, a changelog behind them
-- surprising: the latest window of a row changes first (P4)
SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 ms';
SET 'table.exec.emit.late-fire.enabled' = 'true';
SET 'table.exec.emit.late-fire.delay' = '0 ms';
SET 'table.exec.emit.allow-lateness' = '10 s';
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW h AS SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS ws, HOP_END(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS we, k, COUNT(*) AS c, SUM(v) AS sv FROM src GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND), k;
SELECT TUMBLE_START(ts, INTERVAL '5' SECOND) AS ws, k, COUNT(DISTINCT s) AS cd, SUM(v) FILTER (WHERE b) AS sf, MIN(v) AS mi, MAX(s) AS mx FROM src GROUP BY TUMBLE(ts, INTERVAL '5' SECOND), k;
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, COUNT(*) AS c, AVG(v) AS a FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND) HAVING COUNT(*) > 2;
SELECT ws, we, k, c, sv FROM h;
SELECT k, COUNT(*) AS n, SUM(c) AS t, MAX(sv) AS mx FROM h GROUP BY k;
SELECT k, ws, c FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC, ws) AS rn FROM h) WHERE rn <= 2;
SELECT TUMBLE_START(ts, INTERVAL '5' SECOND) AS ws, TUMBLE_ROWTIME(ts, INTERVAL '5' SECOND) AS rt, b, COUNT(v) AS c FROM src WHERE j > 1 GROUP BY TUMBLE(ts, INTERVAL '5' SECOND), b;
