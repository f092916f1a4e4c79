-- OVER with UNBOUNDED PRECEDING, RANGE and ROWS, and the default frame
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `ru` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ru');
CREATE TABLE `rou` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rou');
CREATE TABLE `dflt` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dflt');
CREATE TABLE `np` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mn` BIGINT, `mx` BIGINT, `av` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/np');
CREATE TABLE `rn` (`id` BIGINT, `k` STRING, `rn` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rn');
CREATE TABLE `rank` (`id` BIGINT, `k` STRING, `rn` BIGINT, `dr` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rank');
INSERT INTO `ru` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, COUNT(*) OVER w AS c, SUM(v) OVER w AS s, MIN(v) OVER w AS mn, MAX(v) OVER w AS mx, AVG(v) OVER w AS av FROM src WINDOW w AS (PARTITION BY k ORDER BY ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
INSERT INTO `rou` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, COUNT(*) OVER w AS c, SUM(v) OVER w AS s, MIN(v) OVER w AS mn, MAX(v) OVER w AS mx, AVG(v) OVER w AS av FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
INSERT INTO `dflt` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, COUNT(*) OVER w AS c, SUM(v) OVER w AS s, MIN(v) OVER w AS mn, MAX(v) OVER w AS mx, AVG(v) OVER w AS av FROM src WINDOW w AS (PARTITION BY k ORDER BY ts);
INSERT INTO `np` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, COUNT(*) OVER w AS c, SUM(v) OVER w AS s, MIN(v) OVER w AS mn, MAX(v) OVER w AS mx, AVG(v) OVER w AS av FROM src WINDOW w AS (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
INSERT INTO `rn` SELECT id, k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rn FROM src;
INSERT INTO `rank` SELECT id, k, RANK() OVER (PARTITION BY k ORDER BY ts) AS rn, DENSE_RANK() OVER (PARTITION BY k ORDER BY ts) AS dr FROM src;
