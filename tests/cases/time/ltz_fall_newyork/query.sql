-- TIMESTAMP_LTZ rowtime in America/New_York over a daylight saving change: every window kind
SET 'table.local-time-zone' = 'America/New_York';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `t1h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t1h');
CREATE TABLE `t1d` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `a` TIMESTAMP(3) WITH LOCAL TIME ZONE, `b` TIMESTAMP(3) WITH LOCAL TIME ZONE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t1d');
CREATE TABLE `t6h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t6h');
CREATE TABLE `h3h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h3h');
CREATE TABLE `cu` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cu');
CREATE TABLE `se` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/se');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `rt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `rows` (`id` BIGINT, `ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3) WITH LOCAL TIME ZONE, `l` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rows');
INSERT INTO `t1h` SELECT window_start AS ws, window_end AS we, window_time AS wt, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time;
INSERT INTO `t1d` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s, MIN(ts) AS a, MAX(ts) AS b FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end;
INSERT INTO `t6h` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '6' HOUR, INTERVAL '1' HOUR)) GROUP BY window_start, window_end, k;
INSERT INTO `h3h` SELECT window_start AS ws, window_end AS we, window_time AS wt, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '3' HOUR)) GROUP BY window_start, window_end, window_time;
INSERT INTO `cu` SELECT window_start AS ws, window_end AS we, window_time AS wt, COUNT(*) AS c, SUM(v) AS s FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '6' HOUR)) GROUP BY window_start, window_end, window_time;
INSERT INTO `se` SELECT window_start AS ws, window_end AS we, window_time AS wt, k, COUNT(*) AS c FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '40' MINUTE)) GROUP BY window_start, window_end, window_time, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) AS ws, TUMBLE_END(ts, INTERVAL '1' HOUR) AS we, TUMBLE_ROWTIME(ts, INTERVAL '1' HOUR) AS rt, COUNT(*) AS c FROM src GROUP BY TUMBLE(ts, INTERVAL '1' HOUR);
INSERT INTO `rows` SELECT id, window_start AS ws, window_end AS we, window_time AS wt, CAST(ts AS TIMESTAMP(3)) AS l FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR));
