-- FIRST_VALUE and LAST_VALUE by arrival, NULLs, FILTER; in every window kind
-- surprising: skips NULLs; HOP/CUMULATE/SESSION refuse it (A5)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` BIGINT, `b2` BIGINT, `c` STRING, `e` DECIMAL(10, 2), `f` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `leg` (`ws` TIMESTAMP(3), `k` STRING, `a` BIGINT, `b2` BIGINT, `c` STRING, `e` DECIMAL(10, 2), `f` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leg');
CREATE TABLE `filt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` BIGINT, `b2` STRING, `c` BOOLEAN, `e` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/filt');
CREATE TABLE `dst` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, FIRST_VALUE(v) AS a, LAST_VALUE(v) AS b2, FIRST_VALUE(s) AS c, LAST_VALUE(m) AS e, FIRST_VALUE(ts) AS f FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `leg` SELECT TUMBLE_START(ts, INTERVAL '20' SECOND) AS ws, k, FIRST_VALUE(v) AS a, LAST_VALUE(v) AS b2, FIRST_VALUE(s) AS c, LAST_VALUE(m) AS e, FIRST_VALUE(ts) AS f FROM src GROUP BY TUMBLE(ts, INTERVAL '20' SECOND), k;
INSERT INTO `filt` SELECT window_start AS ws, window_end AS we, k, FIRST_VALUE(v) FILTER (WHERE v > 20) AS a, LAST_VALUE(s) FILTER (WHERE b) AS b2, LAST_VALUE(b) AS c, FIRST_VALUE(d) AS e FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `dst` SELECT window_start AS ws, window_end AS we, k, FIRST_VALUE(DISTINCT v) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
SELECT k, FIRST_VALUE(v) AS a, LAST_VALUE(v) AS b2, LAST_VALUE(s) AS c FROM src WHERE id < 60 GROUP BY k;
