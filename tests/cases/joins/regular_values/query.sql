-- subqueries with one value: alone, beside columns, for each row; none, NULL
-- agrees as a table: select_9: the rows of two files meet in any order
-- agrees as a table: select_10: the rows of two files meet in any order
-- agrees as a table: select_11: the rows of two files meet in any order
-- agrees as a table: select_12: the rows of two files meet in any order
-- agrees as a table: select_13: the rows of two files meet in any order
-- agrees as a table: select_14: the rows of two files meet in any order
-- agrees as a table: select_15: the rows of two files meet in any order
-- agrees as a table: select_16: the rows of two files meet in any order
-- agrees as a table: select_17: the rows of two files meet in any order
-- agrees as a table: select_1: the rows of two files meet in any order
-- agrees as a table: select_2: the rows of two files meet in any order
-- agrees as a table: select_4: the rows of two files meet in any order
-- agrees as a table: select_5: the rows of two files meet in any order
-- agrees as a table: select_6: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
SELECT id, v FROM l WHERE v > (SELECT AVG(v) FROM r);
SELECT id, (SELECT MAX(v) FROM r) AS m FROM l WHERE j = 1;
SELECT id, v FROM l WHERE v = (SELECT MAX(v) FROM r WHERE r.k = l.k);
SELECT id, (SELECT COUNT(*) FROM r WHERE r.k = l.k) AS n FROM l WHERE id < 15;
SELECT k, SUM(v) AS s FROM l GROUP BY k HAVING SUM(v) > (SELECT SUM(v) / 5 FROM r);
SELECT id, v - (SELECT MIN(v) FROM r WHERE r.j = l.j) AS d FROM l WHERE id > 20;
SELECT COUNT(*) AS n FROM l WHERE v < (SELECT MAX(v) FROM r WHERE s = 'none');
SELECT id FROM l WHERE v = ANY (SELECT v FROM r WHERE j = 1);
SELECT id FROM l WHERE v > ALL (SELECT v FROM r WHERE j = 1 AND v < 70);
SELECT id FROM l WHERE v < SOME (SELECT v FROM r WHERE j = 1);
SELECT id FROM l WHERE v <> ALL (SELECT v FROM r WHERE j = 1 AND v IS NOT NULL);
SELECT id FROM l WHERE id < 5 OR k IN (SELECT k FROM r);
SELECT id FROM l WHERE id < 5 OR EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.v > 50);
SELECT id, k IN (SELECT k FROM r WHERE k IS NOT NULL) AS b FROM l;
SELECT id, k NOT IN (SELECT k FROM r) AS b FROM l WHERE id < 9;
SELECT id, CASE WHEN EXISTS (SELECT 1 FROM r WHERE r.k = l.k) THEN 1 ELSE 0 END AS b FROM l;
SELECT id FROM l WHERE NOT (k IN (SELECT k FROM r WHERE v > 90)) AND id < 20;
