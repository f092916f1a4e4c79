-- INTERSECT and EXCEPT, with ALL and without: NULLs are equal, duplicates
-- agrees as a table: select_2: the rows of two files meet in any order
-- agrees as a table: select_3: the rows of two files meet in any order
-- agrees as a table: select_4: the rows of two files meet in any order
-- agrees as a table: select_5: the rows of two files meet in any order
-- agrees as a table: select_6: the rows of two files meet in any order
-- agrees as a table: select_7: the rows of two files meet in any order
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
SELECT k, j FROM l INTERSECT SELECT k, j FROM r;
SELECT k, j FROM l EXCEPT SELECT k, j FROM r;
SELECT k, j FROM l INTERSECT ALL SELECT k, j FROM r;
SELECT k, j FROM l EXCEPT ALL SELECT k, j FROM r;
SELECT k FROM l UNION SELECT k FROM r EXCEPT SELECT k FROM r WHERE v > 30;
SELECT COUNT(*) AS n FROM (SELECT s FROM l INTERSECT ALL SELECT s FROM r);
SELECT k, c FROM (SELECT k, COUNT(*) AS c FROM l GROUP BY k) EXCEPT ALL SELECT k, COUNT(*) AS c FROM r GROUP BY k;
