-- batch mode: results that a stream would update come once, as new rows, also in a sink that takes nothing else
-- surprising: an un-windowed GROUP BY goes into a file; COUNT of no rows is 0, where a stream has no result
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, m DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `sums` (`k` STRING, `n` BIGINT, `s` BIGINT, `am` DECIMAL(38,6)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sums');
CREATE TABLE `pairs` (`a` BIGINT, `b` BIGINT, `v` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/pairs');
INSERT INTO `sums` SELECT k, COUNT(*), SUM(v), AVG(m) FROM src GROUP BY k;
INSERT INTO `pairs` SELECT l.id, r.id, r.v FROM (SELECT id, SUM(v) AS s FROM src GROUP BY id) l LEFT JOIN (SELECT DISTINCT id, v FROM src WHERE v > 10) r ON l.id = r.id AND r.v < l.s;
SELECT k, COUNT(*) AS n, SUM(v) AS s, MAX(ts) AS t FROM src GROUP BY k;
SELECT c, COUNT(*) AS n FROM (SELECT id, COUNT(*) AS c FROM src GROUP BY id) GROUP BY c HAVING COUNT(*) > 1;
SELECT id, k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id, m) AS rn FROM src WHERE v IS NOT NULL) WHERE rn <= 2;
SELECT id, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC, m) AS rn FROM src) WHERE rn = 1;
SELECT DISTINCT k, v FROM src;
SELECT l.k, l.v, r.m FROM src l FULL JOIN (SELECT * FROM src WHERE v > 20) r ON l.id = r.v;
SELECT id, v, SUM(v) OVER (PARTITION BY k ORDER BY v) AS s FROM src WHERE v IS NOT NULL;
SELECT k FROM src EXCEPT SELECT k FROM src WHERE v > 25;
SELECT id FROM src WHERE v > (SELECT AVG(v) FROM src) AND id NOT IN (SELECT id FROM src WHERE v < -6);
SELECT COUNT(*) AS n, SUM(v) AS s, COUNT(DISTINCT k) AS d FROM src WHERE v = 424242;
SELECT COUNT(*) AS n FROM (SELECT SUM(v) AS s FROM src WHERE v = 424242 HAVING COUNT(*) = 0);
