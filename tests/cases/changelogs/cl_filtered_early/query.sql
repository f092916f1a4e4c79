-- filters over windows with early fires, and over such windows of rows that are updated
SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 ms';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW newest AS SELECT id, k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, SUM(v) AS s FROM src WHERE k IS NOT NULL GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k HAVING SUM(v) > 0;
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, COUNT(*) AS n FROM newest WHERE k IS NOT NULL GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k HAVING COUNT(*) > 1;
