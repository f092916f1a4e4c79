-- SESSION with rows far out of order, merging chains of sessions, late after merging
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '6' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `s3` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mi` BIGINT, `ma` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/s3');
CREATE TABLE `s8` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mi` BIGINT, `ma` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/s8');
CREATE TABLE `g1` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mi` BIGINT, `ma` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/g1');
CREATE TABLE `dst` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `cj` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
INSERT INTO `s3` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS mi, MAX(id) AS ma FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '3' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `s8` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS mi, MAX(id) AS ma FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '8' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `g1` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS mi, MAX(id) AS ma FROM TABLE(SESSION(TABLE src, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `dst` SELECT window_start AS ws, window_end AS we, k, COUNT(DISTINCT s) AS c, COUNT(DISTINCT j) AS cj FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '3' SECOND)) GROUP BY window_start, window_end, k;
