-- COLLECT gives a MULTISET (written as an object of counts); its cardinality
-- surprising: object of counts
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `filt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/filt');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, COLLECT(s) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, COLLECT(s) AS a FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, COLLECT(s) AS a FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, COLLECT(s) AS a FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, COLLECT(s) AS a FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `filt` SELECT window_start AS ws, window_end AS we, k, COLLECT(s) FILTER (WHERE v > 20) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
