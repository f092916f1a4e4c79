-- OVER ordered by a column that is no time: a changelog, as Flink 2 has it
-- surprising: accepted: a changelog (C4)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, k, v, SUM(v) OVER (PARTITION BY k ORDER BY id) AS s FROM src;
SELECT id, k, v, SUM(id) OVER (PARTITION BY k ORDER BY v) AS s FROM src;
SELECT id, k, v, COUNT(*) OVER (PARTITION BY k ORDER BY v ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS c FROM src;
