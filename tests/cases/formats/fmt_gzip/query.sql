-- a gzip file read by its name
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl.gz');
CREATE TABLE `t` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `cv` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t');
CREATE TABLE `h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h');
INSERT INTO `t` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `h` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
