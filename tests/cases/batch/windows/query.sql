-- batch mode: windows, joins in time, patterns and deduplication count rows that a stream would drop as late
-- surprising: no row is late, whatever the watermark
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, m DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT window_start AS ws, k, COUNT(*) AS n, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
SELECT window_start AS ws, window_end AS we, COUNT(*) AS n FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
SELECT window_start AS ws, window_end AS we, COUNT(*) AS n FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, COUNT(*) AS n FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
SELECT l.id, r.v, r.ts FROM src l JOIN src r ON l.id = r.id AND r.ts BETWEEN l.ts - INTERVAL '1' SECOND AND l.ts;
SELECT TUMBLE_START(a.ts, INTERVAL '10' SECOND) AS w, COUNT(*) AS n FROM src a JOIN src b ON a.id = b.v GROUP BY TUMBLE(a.ts, INTERVAL '10' SECOND);
