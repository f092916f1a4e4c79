-- FIRST_VALUE and LAST_VALUE in the old HOP and SESSION windows, where merging is needed
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` BIGINT, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` TIMESTAMP(3), `b2` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` TIMESTAMP(3), `b2` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` TIMESTAMP(3), `b2` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, FIRST_VALUE(v) AS a, LAST_VALUE(s) AS b2 FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, MAX(ts) AS a, MIN(ts) AS b2, COUNT(ts) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, MAX(ts) AS a, MIN(ts) AS b2, COUNT(ts) AS c FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, MAX(ts) AS a, MIN(ts) AS b2, COUNT(ts) AS c FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
