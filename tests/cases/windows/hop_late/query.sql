-- HOP with much disorder beyond the watermark: rows late for some windows only
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `h20_2` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mi` BIGINT, `ma` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h20_2');
CREATE TABLE `h12_4` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` DECIMAL(38, 2), `mi` DOUBLE, `ma` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h12_4');
CREATE TABLE `distinct` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `cv` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/distinct');
CREATE TABLE `tumble` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tumble');
CREATE TABLE `cumul` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cumul');
INSERT INTO `h20_2` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS mi, MAX(id) AS ma FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `h12_4` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(m) AS s, MIN(d) AS mi, MAX(d) AS ma FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '4' SECOND, INTERVAL '12' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `distinct` SELECT window_start AS ws, window_end AS we, COUNT(DISTINCT s) AS c, COUNT(DISTINCT v) AS cv FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '4' SECOND, INTERVAL '12' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `tumble` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cumul` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '4' SECOND, INTERVAL '12' SECOND)) GROUP BY window_start, window_end, k;
