-- three tables and more in one JOIN, self joins, conditions in WHERE, cross joins, USING
-- agrees as a table: select_3: the rows of two files meet in any order
-- agrees as a table: select_5: the rows of two files meet in any order
-- agrees as a table: select_7: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE TABLE t (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/t.jsonl');
SELECT l.id, r.id AS rid, t.id AS tid FROM l JOIN r ON l.k = r.k JOIN t ON r.j = t.j AND t.v > 50;
SELECT l.id, r.id AS rid, t.id AS tid FROM l, r, t WHERE l.k = r.k AND r.k = t.k AND l.v > 70 AND t.s = 'x';
SELECT l.id, r.id AS rid, t.id AS tid FROM l LEFT JOIN r ON l.k = r.k AND r.v > 60 LEFT JOIN t ON r.k = t.k AND t.v < 30;
SELECT a.id, b.id AS bid FROM t a JOIN t b ON a.k = b.k AND a.id < b.id;
SELECT COUNT(*) AS n, SUM(a.v * b.v) AS s FROM t a CROSS JOIN (SELECT v FROM r WHERE id < 4) b;
SELECT k, COUNT(*) AS n FROM l JOIN r USING (k) GROUP BY k;
SELECT x.k, x.n, y.m FROM (SELECT k, COUNT(*) AS n FROM l GROUP BY k) x JOIN (SELECT l.k, MAX(r.v) AS m FROM l JOIN r ON l.k = r.k GROUP BY l.k) y ON x.k = y.k WHERE x.n > 3;
SELECT l.id, t.id AS tid FROM l JOIN t ON l.k = t.k WHERE EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.v > 80);
