-- PERCENTILE of numbers, several at once, with a frequency, FILTER, DISTINCT
-- surprising: DOUBLE, linear interpolation; ARRAY form
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `arr` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<DOUBLE>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/arr');
CREATE TABLE `freq` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/freq');
CREATE TABLE `filt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DOUBLE, `b2` DOUBLE, `c` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/filt');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, 0.9) AS b2 FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, 0.9) AS b2 FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, 0.9) AS b2 FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, 0.9) AS b2 FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, 0.9) AS b2 FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `arr` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, ARRAY[0, 0.25, 0.5, 1]) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `freq` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(v, 0.5, j) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `filt` SELECT window_start AS ws, window_end AS we, k, PERCENTILE(m, 0.25) FILTER (WHERE b) AS a, PERCENTILE(DISTINCT v, 0.5) AS b2, PERCENTILE(j, 0.3) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
SELECT k, PERCENTILE(v, 0.5) AS a, PERCENTILE(d, ARRAY[0.1, 0.9]) AS b2 FROM src WHERE id < 60 GROUP BY k;
