-- a window, an OVER and a GROUP BY over an interval join
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE VIEW ij AS SELECT L.id AS lid, R.id AS rid, L.k AS k, L.v AS v, L.ts AS ts FROM l L JOIN r R ON L.k = R.k AND L.ts BETWEEN R.ts - INTERVAL '4' SECOND AND R.ts + INTERVAL '6' SECOND;
CREATE TABLE `t` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t');
CREATE TABLE `h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `cl` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h');
CREATE TABLE `self` (`a` BIGINT, `b` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/self');
INSERT INTO `t` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE ij, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `h` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, COUNT(DISTINCT lid) AS cl FROM TABLE(HOP(TABLE ij, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `self` SELECT A.id AS a, B.id AS b FROM l A JOIN l B ON A.k = B.k AND A.id <> B.id AND A.ts BETWEEN B.ts - INTERVAL '1' SECOND AND B.ts;
