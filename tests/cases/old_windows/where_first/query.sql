-- WHERE stands before the older windows: a session is made of the rows that it leaves
CREATE TABLE o (id INT, k INT, v INT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem','format'='json','path'='${DIR}/o.jsonl');
SELECT t.k, SESSION_START(rt, INTERVAL '5' SECOND) AS s, SESSION_END(rt, INTERVAL '5' SECOND) AS e, COUNT(*) AS c FROM o AS t WHERE t.v > 1 GROUP BY t.k, SESSION(rt, INTERVAL '5' SECOND);
SELECT k, TUMBLE_START(rt, INTERVAL '5' SECOND) AS s, COUNT(*) AS c FROM o WHERE v > 1 GROUP BY k, TUMBLE(rt, INTERVAL '5' SECOND);
