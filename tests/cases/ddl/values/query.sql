-- VALUES as a source: types found over the rows, NULL, in SELECT, in aggregates, ordered
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `joined` (`id` BIGINT, `k` STRING, `v` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/joined');
CREATE TABLE `vals` (`a` INT, `b` VARCHAR(3), `c` DECIMAL(7, 3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/vals');
INSERT INTO `joined` SELECT id, k, v FROM src WHERE id > 10;
INSERT INTO `vals` SELECT * FROM (VALUES (1, 'a', 1.5), (20, 'bcd', 2.25), (-3, 'x', 1000.125)) AS t (a, b, c);
SELECT a, b FROM (VALUES (1, 'x'), (2, 'yy'), (1, CAST(NULL AS STRING))) AS t (a, b);
SELECT a, COUNT(*) AS c, MAX(b) AS mb FROM (VALUES (1, 10), (2, 20), (1, 5)) AS t (a, b) GROUP BY a;
SELECT 1 + 1 AS a, 'x' AS b, CAST(NULL AS INT) AS c, 1.5 AS e, 1e0 AS f;
SELECT * FROM (VALUES (1), (2.5)) AS t (a);
