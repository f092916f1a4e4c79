-- ORDER BY the rowtime of a stream, without LIMIT: rows leave as the watermark passes
-- surprising: a row behind the watermark is dropped only if one of its time or later has left
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, m DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT ts, id, k, v FROM src ORDER BY ts;
SELECT ts, k, v, m FROM src ORDER BY ts, k DESC, v, m;
SELECT ws, k, n FROM (SELECT window_start AS ws, window_time AS wt, k, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, window_time, k) ORDER BY wt, k;
CREATE TABLE `sorted_rows` (`ts` TIMESTAMP(3), `id` BIGINT, `v` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sorted_rows');
INSERT INTO `sorted_rows` SELECT ts, id, v FROM src WHERE v > 3 ORDER BY ts, id DESC;
