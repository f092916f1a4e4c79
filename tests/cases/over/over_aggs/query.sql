-- OVER with DISTINCT, FIRST_VALUE, LAST_VALUE, STDDEV, LISTAGG, LAG, LEAD, COLLECT, filters, expressions
-- differs from Flink: sd: VAR_POP(BIGINT) over a frame: Flink adds and takes back DOUBLEs, and what rounding leaves tips whole numbers
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `dst` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `a` BIGINT, `b` BIGINT, `e` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
CREATE TABLE `fl` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `a` BIGINT, `b` BIGINT, `e` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fl');
CREATE TABLE `flr` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `a` BIGINT, `b` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/flr');
CREATE TABLE `sd` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `a` DOUBLE, `b` DOUBLE, `e` BIGINT, `f` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sd');
CREATE TABLE `la` (`id` BIGINT, `k` STRING, `v` BIGINT, `ts` TIMESTAMP(3), `a` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/la');
CREATE TABLE `lag` (`id` BIGINT, `k` STRING, `v` BIGINT, `a` BIGINT, `b` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lag');
CREATE TABLE `expr` (`id` BIGINT, `a` BIGINT, `b` CHAR(2), `e` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/expr');
CREATE TABLE `wher` (`id` BIGINT, `k` STRING, `s3` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wher');
INSERT INTO `dst` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, COUNT(DISTINCT s) OVER w AS a, COUNT(DISTINCT v) OVER w AS b, SUM(DISTINCT j) OVER w AS e FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 6 PRECEDING AND CURRENT ROW);
INSERT INTO `fl` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, FIRST_VALUE(v) OVER w AS a, LAST_VALUE(v) OVER w AS b, FIRST_VALUE(s) OVER w AS e FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW);
INSERT INTO `flr` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, FIRST_VALUE(v) OVER w AS a, LAST_VALUE(v) OVER w AS b FROM src WINDOW w AS (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW);
INSERT INTO `sd` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, STDDEV_POP(d) OVER w AS a, VAR_SAMP(d) OVER w AS b, STDDEV_SAMP(v) OVER w AS e, VAR_POP(v) OVER w AS f FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW);
INSERT INTO `la` SELECT id, k, v, CAST(ts AS TIMESTAMP(3)) AS ts, LISTAGG(s) OVER w AS a FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW);
INSERT INTO `lag` SELECT id, k, v, LAG(v) OVER (PARTITION BY k ORDER BY ts) AS a, LAG(v, 2, CAST(-1 AS BIGINT)) OVER (PARTITION BY k ORDER BY ts) AS b FROM src;
INSERT INTO `expr` SELECT id, v - AVG(v) OVER w AS a, CASE WHEN SUM(v) OVER w > 50 THEN 'hi' ELSE 'lo' END AS b, v * 100 / NULLIF(SUM(v) OVER w, 0) AS e FROM src WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW);
INSERT INTO `wher` SELECT id, k, s3 FROM (SELECT id, k, SUM(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW) AS s3 FROM src WHERE b) WHERE s3 > 50;
