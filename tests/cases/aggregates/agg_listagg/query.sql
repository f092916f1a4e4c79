-- LISTAGG with the default and another separator, DISTINCT, FILTER, NULLs
-- surprising: NULLs skipped; empty = NULL; empty strings kept
-- differs from Flink: dst: LISTAGG(DISTINCT) is in order of arrival, Flink's in that of a hash map
-- differs from Flink: ses: where a late row joins two sessions, Flink puts the rows of one before those of the other
-- goes by arrival: select_2: changes of several groups meet in the order in which workers send them, and the list keeps it
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `filt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING, `b2` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/filt');
CREATE TABLE `dst` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, LISTAGG(s) AS a, LISTAGG(CAST(id AS STRING), '|') AS b2 FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, LISTAGG(s) AS a, LISTAGG(CAST(id AS STRING), '|') AS b2 FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, LISTAGG(s) AS a, LISTAGG(CAST(id AS STRING), '|') AS b2 FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, LISTAGG(s) AS a, LISTAGG(CAST(id AS STRING), '|') AS b2 FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, LISTAGG(s) AS a, LISTAGG(CAST(id AS STRING), '|') AS b2 FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `filt` SELECT window_start AS ws, window_end AS we, k, LISTAGG(s, ';') FILTER (WHERE v > 20) AS a, LISTAGG(CAST(v AS STRING)) FILTER (WHERE j = 7) AS b2 FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `dst` SELECT window_start AS ws, window_end AS we, k, LISTAGG(DISTINCT s) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
SELECT k, LISTAGG(s) AS a, LISTAGG(CAST(v AS STRING), '') AS b2 FROM src WHERE id < 60 GROUP BY k;
SELECT LISTAGG(k) AS a FROM (SELECT k, COUNT(*) AS c FROM src WHERE id < 40 GROUP BY k);
