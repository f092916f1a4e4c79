-- batch mode: grouping sets, and rows of which no column is wanted
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, m DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT k, COUNT(*) AS c FROM src GROUP BY ROLLUP(k);
SELECT k, id, COUNT(*) AS c, GROUPING(k) AS g, GROUPING_ID(k, id) AS gi FROM src GROUP BY CUBE(k, id);
SELECT k, id, SUM(v) AS s FROM src GROUP BY GROUPING SETS ((k), (id), ());
SELECT COUNT(*) AS n FROM (SELECT id FROM src LIMIT 5);
SELECT 1 AS x FROM src ORDER BY ts LIMIT 7 OFFSET 10;
SELECT id, v FROM src ORDER BY id, v, m, ts LIMIT 1000000 OFFSET 40;
