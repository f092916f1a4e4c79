-- batch mode: ORDER BY of anything, with and without LIMIT and OFFSET, of results that a stream would update
-- surprising: NULL is the smallest
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, m DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, v, id, m, ts FROM src ORDER BY k, v DESC, id, m, ts;
SELECT k, SUM(v) AS s FROM src GROUP BY k ORDER BY s DESC, k;
SELECT id, COUNT(*) AS n FROM src GROUP BY id ORDER BY COUNT(*) DESC, id LIMIT 3;
SELECT id, MAX(v) AS mx FROM src GROUP BY id ORDER BY id LIMIT 100 OFFSET 4;
SELECT id, MAX(v) AS mx FROM src GROUP BY id ORDER BY mx DESC, id LIMIT 3 OFFSET 2;
SELECT v, id, m FROM src ORDER BY ABS(v), v, id, m;
SELECT m FROM src ORDER BY ts DESC, m LIMIT 10;
SELECT DISTINCT v FROM src ORDER BY v DESC NULLS LAST;
SELECT DISTINCT v FROM src ORDER BY v NULLS LAST;
SELECT * FROM (SELECT k AS a FROM src UNION ALL SELECT CAST(v AS STRING) FROM src) ORDER BY a;
SELECT window_start AS ws, k, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k ORDER BY n DESC, ws, k;
