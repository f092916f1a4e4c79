-- table.exec.emit.late-fire with delay 0 and allow-lateness on the old windows: a changelog
-- surprising: a late row re-fires: -U/+U
SET 'table.exec.emit.late-fire.enabled' = 'true';
SET 'table.exec.emit.late-fire.delay' = '0 ms';
SET 'table.exec.emit.allow-lateness' = '20 s';
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT TUMBLE_START(ts, INTERVAL '5' SECOND) AS ws, k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY TUMBLE(ts, INTERVAL '5' SECOND), k;
SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS ws, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND);
