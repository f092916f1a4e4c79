-- cascades over window_time: 1 s, then 5 s, then 20 s; into HOP, CUMULATE, SESSION
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW sec AS SELECT window_start AS ws1, window_end AS we1, window_time AS rt, k, j, COUNT(*) AS c, SUM(v) AS s, MAX(d) AS mx FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, window_time, k, j;
CREATE VIEW five AS SELECT window_start AS ws5, window_time AS rt5, k, SUM(c) AS c, SUM(s) AS s, MAX(mx) AS mx FROM TABLE(TUMBLE(TABLE sec, DESCRIPTOR(rt), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, window_time, k;
CREATE TABLE `l2` (`ws5` TIMESTAMP(3), `rt5` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mx` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/l2');
CREATE TABLE `l3` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mx` DOUBLE, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/l3');
CREATE TABLE `hop1` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop1');
CREATE TABLE `cum1` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum1');
CREATE TABLE `ses1` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `n` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses1');
CREATE TABLE `over1` (`k` STRING, `ws5` TIMESTAMP(3), `c3` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/over1');
INSERT INTO `l2` SELECT ws5, CAST(rt5 AS TIMESTAMP(3)) AS rt5, k, c, s, mx FROM five;
INSERT INTO `l3` SELECT window_start AS ws, window_end AS we, k, SUM(c) AS c, SUM(s) AS s, MAX(mx) AS mx, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE five, DESCRIPTOR(rt5), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop1` SELECT window_start AS ws, window_end AS we, k, SUM(c) AS c, AVG(s) AS s, COUNT(*) AS n FROM TABLE(HOP(TABLE sec, DESCRIPTOR(rt), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum1` SELECT window_start AS ws, window_end AS we, SUM(c) AS c, COUNT(DISTINCT k) AS n FROM TABLE(CUMULATE(TABLE sec, DESCRIPTOR(rt), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `ses1` SELECT window_start AS ws, window_end AS we, k, SUM(c) AS c, COUNT(*) AS n FROM TABLE(SESSION(TABLE sec PARTITION BY k, DESCRIPTOR(rt), INTERVAL '3' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `over1` SELECT k, ws5, SUM(c) OVER (PARTITION BY k ORDER BY rt5 ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS c3 FROM five;
