-- MAP and nested MAP columns in rows that a join, a Top-N and an upsert keep
-- agrees as a table: select_2: which side of the join a row reaches first is not said
CREATE TABLE src (id BIGINT, k STRING, m MAP<STRING, INT>, n ROW<a INT, b MAP<STRING, ARRAY<STRING>>>, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT l.id, l.m['x'] AS x, CARDINALITY(l.m) AS c, r.n.b['1'][1] AS t FROM src l JOIN src r ON l.k = r.k AND l.v < r.v;
SELECT l.id, l.m['y'] AS y, r.m['x'] AS x FROM src l LEFT JOIN src r ON l.id = r.v;
SELECT k, m['x'] AS x, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM src) WHERE rn <= 2;
