-- JOIN without a bound in time over rows that are updated: sums, Top-N, both sides, and what is computed behind it
-- agrees as a table: select_1: the rows of two files meet in any order
-- agrees as a table: select_2: the rows of two files meet in any order
-- agrees as a table: select_3: the rows of two files meet in any order
-- agrees as a table: select_4: the rows of two files meet in any order
-- agrees as a table: select_6: the rows of two files meet in any order
-- agrees as a table: select_7: the rows of two files meet in any order
-- agrees as a table: select_8: the rows of two files meet in any order
-- agrees as a table: select_9: the rows of two files meet in any order
-- agrees as a table: select_10: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE VIEW ls AS SELECT k, COUNT(*) AS c, SUM(v) AS sv FROM l GROUP BY k;
CREATE VIEW rs AS SELECT k, COUNT(*) AS c, MAX(v) AS mv FROM r GROUP BY k;
CREATE VIEW best AS SELECT j, k, v, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY v DESC, id) AS rn FROM r) WHERE rn <= 3;
SELECT ls.k, ls.c, ls.sv, rs.c AS rc, rs.mv FROM ls JOIN rs ON ls.k = rs.k;
SELECT ls.k, ls.c, rs.k AS rk, rs.c AS rc FROM ls FULL JOIN rs ON ls.k = rs.k;
SELECT ls.k, ls.c, best.id FROM ls LEFT JOIN best ON ls.k = best.k;
SELECT l.id, best.id AS bid FROM l RIGHT JOIN best ON l.k = best.k AND l.v > best.v;
SELECT id FROM l WHERE k IN (SELECT k FROM best);
SELECT id FROM l WHERE NOT EXISTS (SELECT 1 FROM best WHERE best.k = l.k AND best.j = l.j);
SELECT k, c FROM ls WHERE c NOT IN (SELECT c FROM rs);
SELECT j, COUNT(*) AS c, SUM(sv) AS s FROM (SELECT best.j, ls.sv FROM best LEFT JOIN ls ON ls.k = best.k) GROUP BY j;
SELECT k, n FROM (SELECT k, n, ROW_NUMBER() OVER (ORDER BY n DESC, k) AS rn FROM (SELECT ls.k, ls.c * rs.c AS n FROM ls JOIN rs ON ls.k = rs.k)) WHERE rn <= 2;
SELECT a.c, COUNT(*) AS n FROM ls a JOIN ls b ON a.c = b.c AND a.k <> b.k GROUP BY a.c;
