-- TUMBLE_ROWTIME and HOP_ROWTIME feed another old window, and a TVF
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW t1 AS SELECT TUMBLE_ROWTIME(ts, INTERVAL '2' SECOND) AS rt, k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY TUMBLE(ts, INTERVAL '2' SECOND), k;
CREATE VIEW h1 AS SELECT HOP_ROWTIME(ts, INTERVAL '2' SECOND, INTERVAL '4' SECOND) AS rt, k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY HOP(ts, INTERVAL '2' SECOND, INTERVAL '4' SECOND), k;
CREATE TABLE `tt` (`ws` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tt');
CREATE TABLE `ht` (`ws` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ht');
CREATE TABLE `ts` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ts');
CREATE TABLE `tvf` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tvf');
INSERT INTO `tt` SELECT TUMBLE_START(rt, INTERVAL '10' SECOND) AS ws, SUM(c) AS c, SUM(s) AS s, COUNT(*) AS n FROM t1 GROUP BY TUMBLE(rt, INTERVAL '10' SECOND);
INSERT INTO `ht` SELECT TUMBLE_START(rt, INTERVAL '10' SECOND) AS ws, k, SUM(c) AS c, SUM(s) AS s, COUNT(*) AS n FROM h1 GROUP BY TUMBLE(rt, INTERVAL '10' SECOND), k;
INSERT INTO `ts` SELECT SESSION_START(rt, INTERVAL '3' SECOND) AS ws, SESSION_END(rt, INTERVAL '3' SECOND) AS we, k, SUM(c) AS c FROM t1 GROUP BY SESSION(rt, INTERVAL '3' SECOND), k;
INSERT INTO `tvf` SELECT window_start AS ws, window_end AS we, k, SUM(c) AS c FROM TABLE(HOP(TABLE t1, DESCRIPTOR(rt), INTERVAL '4' SECOND, INTERVAL '12' SECOND)) GROUP BY window_start, window_end, k;
CREATE VIEW of_windows AS SELECT window_start, window_end, window_time, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, window_time, k;
SELECT TUMBLE_START(window_time, INTERVAL '20' SECOND) AS ws, MIN(window_start) AS f, SUM(c) AS c FROM of_windows GROUP BY TUMBLE(window_time, INTERVAL '20' SECOND);
