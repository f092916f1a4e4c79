-- batch mode: the older windows over an outer join, windows of a function joined behind
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE o (id INT, k INT, v INT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem','format'='json','path'='${DIR}/o.jsonl');
CREATE TABLE t (k INT, n STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/t.jsonl');
SELECT n, s, c, v FROM (SELECT t.n, TUMBLE_START(o.rt, INTERVAL '10' SECOND) AS s, COUNT(*) AS c, SUM(v) AS v FROM o LEFT JOIN t ON o.k = t.k GROUP BY t.n, TUMBLE(o.rt, INTERVAL '10' SECOND)) ORDER BY n, s;
SELECT n, window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE o, DESCRIPTOR(rt), INTERVAL '10' SECOND)) w LEFT JOIN t ON w.k = t.k GROUP BY n, window_start, window_end;
