-- UNION ALL of two sources, and of two projections of one, before windows
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE VIEW u AS SELECT id, k, v, ts FROM l UNION ALL SELECT id + 1000, k, v * 2, ts FROM r;
CREATE VIEW u1 AS SELECT k, v, ts FROM l WHERE v > 0 UNION ALL SELECT 'x', -v, ts FROM l WHERE v <= 0;
CREATE TABLE `t` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t');
CREATE TABLE `one` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/one');
CREATE TABLE `onehop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/onehop');
CREATE TABLE `after` (`src` CHAR(1), `ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/after');
CREATE TABLE `plain` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/plain');
INSERT INTO `t` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `one` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE u1, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `onehop` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE u1, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `after` SELECT 'a' AS src, window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end UNION ALL SELECT 'b', window_start, window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `plain` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts FROM u;
