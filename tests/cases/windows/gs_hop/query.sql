-- GROUPING SETS, ROLLUP, CUBE over HOP, CUMULATE and SESSION
-- surprising: SESSION with CUBE is updating
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `hru` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `j` INT, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hru');
CREATE TABLE `hgs` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `b` BOOLEAN, `c` BIGINT, `s` BIGINT, `g1` BIGINT, `g2` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hgs');
CREATE TABLE `cgs` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `j` INT, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cgs');
CREATE TABLE `hgs0` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hgs0');
INSERT INTO `hru` SELECT window_start AS ws, window_end AS we, k, j, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, ROLLUP (k, j);
INSERT INTO `hgs` SELECT window_start AS ws, window_end AS we, k, b, COUNT(*) AS c, MAX(v) AS s, GROUPING(k) AS g1, GROUPING(b) AS g2 FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, GROUPING SETS ((k), (b));
INSERT INTO `cgs` SELECT window_start AS ws, window_end AS we, k, j, COUNT(*) AS c FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, CUBE (k, j);
INSERT INTO `hgs0` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, GROUPING SETS ((), ());
