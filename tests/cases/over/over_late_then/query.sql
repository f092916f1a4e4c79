-- late rows that OVER gives out are late for the windows behind it
SET 'table.local-time-zone' = 'Europe/London';
CREATE TABLE z0 (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '5' MINUTE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/z0.jsonl');
CREATE VIEW q19v0 AS SELECT id, k, j, v, b, ts, MIN(s) OVER (PARTITION BY s ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS a0, SUM(m) OVER (PARTITION BY s ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS a1 FROM z0;
CREATE TABLE res (`window_start` TIMESTAMP(3), `window_end` TIMESTAMP(3), `k` STRING, `c` BIGINT, `x` STRING, `y` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/res');
INSERT INTO `res` SELECT window_start, window_end, k, COUNT(a0) AS c, MAX(a0) AS x, MIN(v) AS y FROM TABLE(HOP(TABLE q19v0, DESCRIPTOR(ts), INTERVAL '5' MINUTE, INTERVAL '15' MINUTE)) GROUP BY window_start, window_end, k;
