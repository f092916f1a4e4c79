-- SESSION partitioned by two columns and by none, grouped as partitioned
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `two` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `j` INT, `c` BIGINT, `cv` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/two');
CREATE TABLE `perm` (`j` INT, `c` BIGINT, `k` STRING, `ws` TIMESTAMP(3), `we` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/perm');
CREATE TABLE `bool` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `b` BOOLEAN, `c` BIGINT, `ck` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/bool');
INSERT INTO `two` SELECT window_start AS ws, window_end AS we, k, j, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM TABLE(SESSION(TABLE src PARTITION BY (k, j), DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k, j;
INSERT INTO `perm` SELECT j, COUNT(*) AS c, k, window_start AS ws, window_end AS we FROM TABLE(SESSION(TABLE src PARTITION BY (k, j), DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY j, window_end, k, window_start;
INSERT INTO `bool` SELECT window_start AS ws, window_end AS we, b, COUNT(*) AS c, COUNT(DISTINCT k) AS ck FROM TABLE(SESSION(TABLE src PARTITION BY b, DESCRIPTOR(ts), INTERVAL '3' SECOND)) GROUP BY window_start, window_end, b;
