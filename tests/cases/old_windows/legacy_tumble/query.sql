-- GROUP BY TUMBLE with _START, _END, _ROWTIME, an alignment time, HAVING, DISTINCT, FILTER
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `base` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `rt` TIMESTAMP(3), `k` STRING, `c` BIGINT, `cv` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/base');
CREATE TABLE `nokey` (`ws` TIMESTAMP(3), `c` BIGINT, `cv` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nokey');
CREATE TABLE `dist` (`ws` TIMESTAMP(3), `k` STRING, `a` BIGINT, `b2` BIGINT, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dist');
CREATE TABLE `hav` (`we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hav');
CREATE TABLE `nostart` (`k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nostart');
CREATE TABLE `days` (`ws` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/days');
INSERT INTO `base` SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, TUMBLE_END(ts, INTERVAL '10' SECOND) AS we, TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND) AS rt, k, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
INSERT INTO `nokey` SELECT TUMBLE_START(ts, INTERVAL '7' SECOND) AS ws, COUNT(*) AS c, COUNT(v) AS cv, SUM(v) AS s, MIN(v) AS mn, MAX(v) AS mx, AVG(v) AS av FROM src GROUP BY TUMBLE(ts, INTERVAL '7' SECOND);
INSERT INTO `dist` SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, COUNT(DISTINCT s) AS a, SUM(v) FILTER (WHERE b) AS b2, COUNT(DISTINCT j) FILTER (WHERE v > 0) AS c FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
INSERT INTO `hav` SELECT TUMBLE_END(ts, INTERVAL '10' SECOND) AS we, k, COUNT(*) AS c FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k HAVING COUNT(*) > 3;
INSERT INTO `nostart` SELECT k, COUNT(*) AS c FROM src GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
INSERT INTO `days` SELECT TUMBLE_START(ts, INTERVAL '1' DAY) AS ws, COUNT(*) AS c FROM src GROUP BY TUMBLE(ts, INTERVAL '1' DAY);
