-- FOR SYSTEM_TIME AS OF a rowtime: a table with a key, a view of the newest rows, further conditions, windows and sums behind it
-- agrees as a table: select_6: the rows of two files meet in any order
CREATE TABLE o (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/o.jsonl');
CREATE TABLE r (id BIGINT, k STRING NOT NULL, j INT, v BIGINT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE TABLE p (id BIGINT, k STRING, j INT, v BIGINT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE VIEW newest AS SELECT k, v, s, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS rn FROM p) WHERE rn = 1 AND k IS NOT NULL;
SELECT o.id, o.k, r.v, r.id AS rid FROM o JOIN r FOR SYSTEM_TIME AS OF o.ts ON o.k = r.k;
SELECT o.id, o.k, r.v, r.id AS rid FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.ts AS r ON o.k = r.k;
SELECT o.id, o.k, n.v FROM o LEFT JOIN newest FOR SYSTEM_TIME AS OF o.ts AS n ON o.k = n.k AND n.v > 30;
SELECT o.id, n.v FROM o JOIN newest FOR SYSTEM_TIME AS OF o.ts AS n ON o.k = n.k WHERE n.s = 'x';
SELECT TUMBLE_START(o.ts, INTERVAL '10' SECOND) AS ws, COUNT(*) AS n, SUM(o.v * r.v) AS s FROM o JOIN r FOR SYSTEM_TIME AS OF o.ts ON o.k = r.k GROUP BY TUMBLE(o.ts, INTERVAL '10' SECOND);
SELECT o.k, SUM(r.v) AS s FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.ts ON o.k = r.k GROUP BY o.k;
