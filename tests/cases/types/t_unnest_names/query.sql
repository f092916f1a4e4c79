-- UNNEST without names for its columns, and with a condition
-- surprising: an element that is no row is called as the table of the UNNEST, and EXPR$0 where that has no name
CREATE TABLE src (id BIGINT, arr ARRAY<INT>, rws ARRAY<ROW<x INT, y STRING>>, m MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, u FROM src CROSS JOIN UNNEST(arr) AS u;
SELECT id, u.u + 1 AS n FROM src, UNNEST(arr) AS u;
SELECT * FROM (SELECT id, arr FROM src) q CROSS JOIN UNNEST(arr);
SELECT u.* FROM src AS q CROSS JOIN UNNEST(rws) AS u;
SELECT id, x, y FROM src CROSS JOIN UNNEST(rws);
SELECT id, u.x, u.y FROM src CROSS JOIN UNNEST(rws) AS u WHERE u.x > 1;
SELECT * FROM (SELECT id, m FROM src WHERE id = 1) q CROSS JOIN UNNEST(m) AS u;
SELECT id, u.`KEY`, u.`VALUE` FROM src CROSS JOIN UNNEST(m) AS u WHERE id = 2;
SELECT * FROM (SELECT id, arr FROM src) q CROSS JOIN UNNEST(arr) WITH ORDINALITY AS u;
SELECT u.* FROM src AS q CROSS JOIN UNNEST(rws) WITH ORDINALITY AS u;
SELECT * FROM (SELECT id, m FROM src WHERE id = 1) q CROSS JOIN UNNEST(m) WITH ORDINALITY AS u;
SELECT id, x FROM src JOIN UNNEST(arr) AS u (x) ON x > 1;
SELECT id, x FROM src CROSS JOIN LATERAL UNNEST(arr) AS u (x);
SELECT * FROM UNNEST(ARRAY[1, 2]) AS u (x);
SELECT * FROM UNNEST(ARRAY[1, 2]) WITH ORDINALITY;
SELECT u, COUNT(*) AS n FROM src CROSS JOIN UNNEST(arr) AS u GROUP BY u;
