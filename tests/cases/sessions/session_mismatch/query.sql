-- SESSION grouped by other columns than it is partitioned by is an ordinary updating GROUP BY over the rows of fired sessions
-- surprising: updating; only rows of fired sessions arrive (G3)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT window_start AS ws, window_end AS we, k, j, COUNT(*) AS c FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end, k, j;
SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end;
SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(SESSION(TABLE src, DESCRIPTOR(ts), INTERVAL '2' SECOND)) GROUP BY window_start, window_end, k;
