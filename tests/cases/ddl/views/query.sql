-- views over views, projections and filters before and after windows, CASE keys, computed columns
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), v2 AS COALESCE(v, 0) * 2, hot AS CASE WHEN v > 50 THEN 'hot' WHEN v > 0 THEN 'warm' ELSE 'cold' END, t2 AS ts + INTERVAL '3' SECOND, WATERMARK FOR t2 AS t2 - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW a1 AS SELECT id, hot, v2, UPPER(COALESCE(k, 'none')) AS kk, s, t2 AS t FROM src WHERE j IS NOT NULL;
CREATE TEMPORARY VIEW a2 (i, h, w, q, u, t) AS SELECT * FROM a1 WHERE v2 <> 4;
CREATE VIEW a3 AS SELECT window_start, window_end, h, q, SUM(w) AS sw, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE a2, DESCRIPTOR(t), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, h, q;
CREATE VIEW a4 AS SELECT window_start AS ws, window_end AS we, h, sw / c AS av, CONCAT(h, '-', q) AS hq FROM a3 WHERE c > 1;
CREATE TABLE `v4` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `hq` STRING, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/v4');
CREATE TABLE `v3` (`ws` TIMESTAMP(3), `h` VARCHAR(4), `sw` BIGINT, `mc` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/v3');
CREATE TABLE `v2` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `h` VARCHAR(4), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/v2');
CREATE TABLE `cte` (`ws` TIMESTAMP(3), `k` STRING, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cte');
CREATE TABLE `subq` (`ws` TIMESTAMP(3), `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/subq');
INSERT INTO `v4` SELECT ws, we, hq, av FROM a4 WHERE av > 10;
INSERT INTO `v3` SELECT window_start AS ws, h, SUM(sw) AS sw, MAX(c) AS mc FROM a3 GROUP BY window_start, window_end, h;
INSERT INTO `v2` SELECT window_start AS ws, window_end AS we, h, COUNT(DISTINCT q) AS c FROM TABLE(HOP(TABLE a2, DESCRIPTOR(t), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, h;
INSERT INTO `cte` WITH x AS (SELECT k, v2, t2 FROM src WHERE b), y AS (SELECT window_start, window_end, k, SUM(v2) AS s FROM TABLE(TUMBLE(TABLE x, DESCRIPTOR(t2), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k) SELECT window_start AS ws, k, s FROM y WHERE s > 0;
INSERT INTO `subq` SELECT ws, COUNT(*) AS n FROM (SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(TUMBLE((SELECT k, t2 FROM src WHERE k IN ('a','b')), DESCRIPTOR(t2), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k) GROUP BY ws, we;
