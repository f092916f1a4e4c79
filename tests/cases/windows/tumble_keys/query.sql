-- TUMBLE grouped by keys of many types: DATE, DECIMAL, BOOLEAN, DOUBLE, ROW, expressions, constants
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `dec` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `km` DECIMAL(9, 0), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dec');
CREATE TABLE `bool` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `b` BOOLEAN, `kv` BOOLEAN, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/bool');
CREATE TABLE `dbl` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `kd` DOUBLE, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dbl');
CREATE TABLE `rowkey` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `kr` ROW<`EXPR$0` STRING, `EXPR$1` INT>, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rowkey');
CREATE TABLE `dat` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `kd` DATE, `kt` TIME(0), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dat');
CREATE TABLE `cst` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `cst` CHAR(1), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cst');
CREATE TABLE `keysonly` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `j` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/keysonly');
CREATE TABLE `dist` (`window_start` TIMESTAMP(3), `window_end` TIMESTAMP(3), `k` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dist');
INSERT INTO `dec` SELECT window_start AS ws, window_end AS we, ROUND(m, -2) AS km, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, ROUND(m, -2);
INSERT INTO `bool` SELECT window_start AS ws, window_end AS we, b, v > 20 AS kv, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, b, v > 20;
INSERT INTO `dbl` SELECT window_start AS ws, window_end AS we, FLOOR(d / 10) AS kd, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, FLOOR(d / 10);
INSERT INTO `rowkey` SELECT window_start AS ws, window_end AS we, ROW(k, j) AS kr, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, ROW(k, j);
INSERT INTO `dat` SELECT window_start AS ws, window_end AS we, CAST(ts AS DATE) AS kd, CAST(ts AS TIME) AS kt, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, CAST(ts AS DATE), CAST(ts AS TIME);
INSERT INTO `cst` SELECT window_start AS ws, window_end AS we, 'x' AS cst, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k, 'x';
INSERT INTO `keysonly` SELECT window_start AS ws, window_end AS we, k, j FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k, j;
INSERT INTO `dist` SELECT DISTINCT window_start, window_end, k FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND));
