-- Top-N with ORDER BY and LIMIT, RANK, OFFSET
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, v FROM src ORDER BY v DESC, id LIMIT 3;
SELECT id, v FROM src ORDER BY v DESC, id LIMIT 2 OFFSET 2;
SELECT k, s FROM (SELECT k, SUM(v) AS s FROM src GROUP BY k) ORDER BY s DESC, k LIMIT 2;
