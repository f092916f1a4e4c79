-- ROW, ARRAY, MAP nested in each other: read, accessed, compared, constructed, written
CREATE TABLE src (id BIGINT, k STRING, r ROW<p INT, q ROW<x STRING, y ARRAY<INT>>>, ar ARRAY<ROW<p INT, q STRING>>, mp MAP<STRING, ROW<p INT, q STRING>>, aa ARRAY<ARRAY<INT>>, ma MAP<STRING, ARRAY<INT>>, tags ARRAY<STRING>, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `same` (`id` BIGINT, `r` ROW<`p` INT, `q` ROW<`x` STRING, `y` ARRAY<INT>>>, `ar` ARRAY<ROW<`p` INT, `q` STRING>>, `mp` MAP<STRING, ROW<`p` INT, `q` STRING>>, `aa` ARRAY<ARRAY<INT>>, `ma` MAP<STRING, ARRAY<INT>>, `tags` ARRAY<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/same');
CREATE TABLE `acc` (`id` BIGINT, `a` INT, `b` STRING, `c` ARRAY<INT>, `e` INT, `f` INT, `g` STRING, `h` INT, `l` ARRAY<INT>, `n` INT, `o1` INT, `p1` INT, `q1` STRING, `s1` BOOLEAN, `t1` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/acc');
CREATE TABLE `cons` (`id` BIGINT, `a` ROW<`EXPR$0` BIGINT, `EXPR$1` ROW<`p` INT, `q` ROW<`x` STRING, `y` ARRAY<INT>>>>, `b` ARRAY<INT>, `c` MAP<STRING, ROW<`x` STRING, `y` ARRAY<INT>>>, `e` ARRAY<ROW<`EXPR$0` INT, `EXPR$1` STRING>>, `f` ROW<`EXPR$0` BIGINT, `EXPR$1` STRING>, `g` ROW<`i` STRING, `j` STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cons');
CREATE TABLE `star` (`id` BIGINT, `p` INT, `q` ROW<`x` STRING, `y` ARRAY<INT>>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/star');
CREATE TABLE `cmp` (`id` BIGINT, `a` BOOLEAN, `b` BOOLEAN, `c` STRING, `e` STRING, `f` STRING, `g` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cmp');
INSERT INTO `same` SELECT id, r, ar, mp, aa, ma, tags FROM src;
INSERT INTO `acc` SELECT id, r.p AS a, r.q.x AS b, src.r.q.y AS c, r.q.y[1] AS e, ar[1].p AS f, ar[2].q AS g, mp['x'].p AS h, aa[1] AS l, aa[1][2] AS n, ma['a'][1] AS o1, CARDINALITY(ar) AS p1, tags[1] AS q1, r.q IS NULL AS s1, r IS NULL AS t1 FROM src;
INSERT INTO `cons` SELECT id, ROW(id, r) AS a, ARRAY[r.p, 1] AS b, MAP[k, r.q] AS c, ARRAY[ROW(1, k), ROW(2, 'z')] AS e, (id, k) AS f, CAST(ROW(id, k) AS ROW<i STRING, j STRING>) AS g FROM src;
INSERT INTO `star` SELECT id, r.* FROM src;
INSERT INTO `cmp` SELECT id, tags = ARRAY['red'] AS a, r.q.y = ARRAY[1, NULL, 2] AS b, CAST(r AS STRING) AS c, CAST(ar AS STRING) AS e, CAST(mp AS STRING) AS f, CAST(aa AS STRING) AS g FROM src;
SELECT r.q.x AS x, COUNT(*) AS c, SUM(r.p) AS s FROM src WHERE id < 40 GROUP BY r.q.x;
SELECT tags, COUNT(*) AS c FROM src WHERE id < 40 GROUP BY tags;
