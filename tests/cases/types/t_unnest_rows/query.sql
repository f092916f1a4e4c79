-- UNNEST of rows of one column
-- surprising: a row of one column is called as the table of the UNNEST, if that has a name
CREATE TABLE src (id BIGINT, ones ARRAY<ROW<x INT>>, twos ARRAY<ROW<x INT, y STRING>>) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, u AS v FROM src CROSS JOIN UNNEST(ones) AS u;
SELECT id, u + 1 AS n FROM src CROSS JOIN UNNEST(ones) AS u;
SELECT id, x FROM src CROSS JOIN UNNEST(ones);
SELECT id, v FROM src CROSS JOIN UNNEST(ones) AS u (v);
SELECT u.* FROM src CROSS JOIN UNNEST(ones) WITH ORDINALITY AS u;
SELECT u.* FROM src CROSS JOIN UNNEST(twos) AS u;
SELECT * FROM UNNEST(ARRAY[ROW(1), ROW(2)]) AS u;
SELECT id, u FROM src LEFT JOIN UNNEST(ones) AS u ON TRUE;
