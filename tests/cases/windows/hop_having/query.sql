-- HOP with HAVING, WHERE before the window, expressions over aggregates and over the window
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `hav` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hav');
CREATE TABLE `hav2` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hav2');
CREATE TABLE `expr` (`k` STRING, `x` BIGINT, `y` DOUBLE, `z` INT, `w1` TIMESTAMP(3), `fm` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/expr');
CREATE TABLE `wher` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `uk` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wher');
CREATE TABLE `wherewin` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wherewin');
CREATE TABLE `nosel` (`c` BIGINT, `mx` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nosel');
INSERT INTO `hav` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end, k HAVING COUNT(*) > 5;
INSERT INTO `hav2` SELECT window_start AS ws, window_end AS we, k, SUM(v) AS s FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end, k HAVING AVG(v) > 20 AND MAX(v) < 90 OR k IS NULL;
INSERT INTO `expr` SELECT k, SUM(v) * 2 + COUNT(*) AS x, CAST(SUM(v) AS DOUBLE) / NULLIF(COUNT(v), 0) AS y, TIMESTAMPDIFF(SECOND, window_start, window_end) AS z, window_start + INTERVAL '1' SECOND AS w1, DATE_FORMAT(window_end, 'HH:mm:ss') AS fm FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `wher` SELECT window_start AS ws, window_end AS we, UPPER(k) AS uk, COUNT(*) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) WHERE v > 0 AND s <> '' GROUP BY window_start, window_end, UPPER(k);
INSERT INTO `wherewin` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) WHERE window_start >= TIMESTAMP '2024-01-01 00:00:30' GROUP BY window_start, window_end;
INSERT INTO `nosel` SELECT COUNT(*) AS c, MAX(v) AS mx FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end, k;
