-- the older windows over a join without a bound: its watermark is the lower one of both sides
CREATE TABLE o (id INT, k INT, v INT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem','format'='json','path'='${DIR}/o.jsonl');
CREATE TABLE t (k INT, n STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/t.jsonl');
SELECT t.n, TUMBLE_START(o.rt, INTERVAL '10' SECOND) AS s, COUNT(*) AS c, SUM(v) AS v FROM o JOIN t ON o.k = t.k GROUP BY t.n, TUMBLE(o.rt, INTERVAL '10' SECOND);
SELECT t.n, TUMBLE_START(o.rt, INTERVAL '10' SECOND) AS s, COUNT(*) AS c, SUM(v) AS v FROM o LEFT JOIN t ON o.k = t.k GROUP BY t.n, TUMBLE(o.rt, INTERVAL '10' SECOND);
