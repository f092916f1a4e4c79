-- JOIN without a bound in time over rows that only grow: all kinds, NULL keys, duplicates, further conditions
-- agrees as a table: select_2: the rows of two files meet in any order
-- agrees as a table: select_3: the rows of two files meet in any order
-- agrees as a table: select_4: the rows of two files meet in any order
-- agrees as a table: select_6: the rows of two files meet in any order
-- agrees as a table: select_7: the rows of two files meet in any order
-- agrees as a table: select_9: the rows of two files meet in any order
-- agrees as a table: select_11: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
SELECT l.id, r.id AS rid, l.v, r.v AS rv FROM l JOIN r ON l.k = r.k;
SELECT l.id, r.id AS rid, l.v, r.v AS rv FROM l LEFT JOIN r ON l.k = r.k;
SELECT l.id, r.id AS rid, l.v, r.v AS rv FROM l RIGHT JOIN r ON l.k = r.k AND l.v < r.v;
SELECT l.id, r.id AS rid, l.v, r.v AS rv FROM l FULL JOIN r ON l.k = r.k AND l.j = r.j AND l.v + r.v > 60;
SELECT id, k FROM l WHERE k IN (SELECT k FROM r WHERE v > 20);
SELECT id, k FROM l WHERE k NOT IN (SELECT k FROM r WHERE v > 50 AND k IS NOT NULL);
SELECT id, k FROM l WHERE k NOT IN (SELECT k FROM r);
SELECT id, k FROM l WHERE EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.v > l.v);
SELECT id, k FROM l WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.j = l.j);
SELECT l.id, r.id AS rid FROM l JOIN r ON l.id < r.id AND l.v = r.v;
SELECT l.id, r.id AS rid FROM l LEFT JOIN r ON l.k = r.k AND l.s = 'x' AND r.s = 'y';
SELECT l.id, r.id AS rid FROM l JOIN r ON l.k IS NOT DISTINCT FROM r.k WHERE l.j = 1 AND r.j = 2;
