-- ARRAY_AGG in every window kind, with DISTINCT and FILTER, of numbers, text and rows
-- surprising: keeps NULLs; empty = NULL (A3)
-- differs from Flink: opt: ARRAY_AGG(DISTINCT) is in order of arrival, Flink's in that of a hash map
-- differs from Flink: ses: where a late row joins two sessions, Flink puts the rows of one before those of the other
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>, `b2` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>, `b2` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>, `b2` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>, `b2` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>, `b2` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `opt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<INT>, `b2` ARRAY<BIGINT>, `c` INT, `e` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/opt');
CREATE TABLE `row` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<ROW<`EXPR$0` BIGINT, `EXPR$1` STRING>>, `b2` ARRAY<DECIMAL(10, 2)>, `c` ARRAY<TIMESTAMP(3)>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/row');
CREATE TABLE `nul` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nul');
CREATE TABLE `nn` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<BIGINT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nn');
CREATE TABLE `srt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/srt');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b2 FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b2 FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b2 FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b2 FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b2 FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `opt` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(DISTINCT j) AS a, ARRAY_AGG(v) FILTER (WHERE b) AS b2, CARDINALITY(ARRAY_AGG(id)) AS c, ARRAY_AGG(id)[1] AS e FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `row` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(ROW(id, s)) AS a, ARRAY_AGG(m) AS b2, ARRAY_AGG(ts) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `nul` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v) FILTER (WHERE j = 7) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `nn` SELECT window_start AS ws, window_end AS we, k, ARRAY_AGG(v IGNORE NULLS) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `srt` SELECT window_start AS ws, window_end AS we, k, ARRAY_SORT(ARRAY_AGG(DISTINCT s)) AS a FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
