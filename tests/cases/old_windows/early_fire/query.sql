-- table.exec.emit.early-fire with delay 0 (every row) on the old windows: a changelog
-- surprising: TVF and SESSION refuse early fire
SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 ms';
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS ws, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND);
