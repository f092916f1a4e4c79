-- LATERAL subqueries: conditions, aggregates without rows, outer joins, the first rows of each key
-- agrees as a table: select_3: the rows of two files meet in any order
-- agrees as a table: select_4: the rows of two files meet in any order
-- agrees as a table: select_5: the rows of two files meet in any order
-- differs from Flink: select_6: Flink makes one Top-N of the join, in which NULL is a key; k = o.k is not true of NULL
-- agrees as a table: select_7: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
SELECT l.id, t.v FROM l, LATERAL (SELECT v FROM r WHERE r.k = l.k AND r.v > l.v) AS t;
SELECT l.id, t.v FROM l LEFT JOIN LATERAL (SELECT v FROM r WHERE r.j = l.j AND r.s = 'none') AS t ON TRUE WHERE l.id < 15;
SELECT l.id, t.n, t.m FROM l CROSS JOIN LATERAL (SELECT COUNT(*) AS n, MAX(v) AS m FROM r WHERE r.k = l.k) AS t;
SELECT l.id, t.n FROM l LEFT JOIN LATERAL (SELECT COUNT(v) AS n FROM r WHERE r.j = l.j AND r.v > 50) AS t ON TRUE WHERE l.id < 15;
SELECT l.id, t.m FROM l, LATERAL (SELECT MAX(v) AS m FROM r) AS t WHERE l.id < 10;
SELECT o.k, t.id, t.v FROM (SELECT DISTINCT k FROM r) AS o, LATERAL (SELECT id, v FROM r WHERE k = o.k ORDER BY v DESC, id LIMIT 2) AS t;
SELECT l.id, t.k, t.n FROM l, LATERAL (SELECT k, COUNT(*) AS n FROM r WHERE r.j = l.j GROUP BY k) AS t WHERE l.id < 10;
