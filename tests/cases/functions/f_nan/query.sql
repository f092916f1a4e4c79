-- NaN and -0.0 in comparisons, of columns and constants: =, <, BETWEEN, IN, CASE, NULLIF, IS DISTINCT FROM, in filters, joins and inside nested values
-- surprising: only <> holds (F18)
CREATE TABLE src (id BIGINT, d DOUBLE, e DOUBLE, f FLOAT, g FLOAT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `cmp` (id BIGINT, c1 BOOLEAN, c2 BOOLEAN, c3 BOOLEAN, c4 BOOLEAN, c5 BOOLEAN, c6 BOOLEAN, c7 BOOLEAN, c8 BOOLEAN, c9 BOOLEAN, c10 BOOLEAN, c11 BOOLEAN, c12 BOOLEAN, c13 BOOLEAN, c14 BOOLEAN, c15 BOOLEAN, c16 BOOLEAN, c17 BOOLEAN, c18 BOOLEAN, c19 BOOLEAN, c20 BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cmp');
CREATE TABLE `cst` (id BIGINT, c1 BOOLEAN, c2 BOOLEAN, c3 BOOLEAN, c4 BOOLEAN, c5 BOOLEAN, c6 BOOLEAN, c7 BOOLEAN, c8 BOOLEAN, c9 BOOLEAN, c10 BOOLEAN, c11 BOOLEAN, c12 BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cst');
CREATE TABLE `oth` (id BIGINT, c1 BOOLEAN, c2 BOOLEAN, c3 BOOLEAN, c4 BOOLEAN, c5 BOOLEAN, c6 STRING, c7 STRING, c8 DOUBLE, c9 DOUBLE, c10 DOUBLE, c11 STRING, c12 BOOLEAN, c13 BOOLEAN, c14 BOOLEAN, c15 BOOLEAN, c16 BOOLEAN, c17 BOOLEAN, c18 BOOLEAN, c19 BOOLEAN, c20 BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/oth');
CREATE TABLE `flt` (id BIGINT, w STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/flt');
INSERT INTO `cmp` SELECT id, d = e AS c1, d <> e AS c2, d < e AS c3, d <= e AS c4, d > e AS c5, d >= e AS c6, d IS DISTINCT FROM e AS c7, d IS NOT DISTINCT FROM e AS c8,
  f = g AS c9, f <> g AS c10, f < g AS c11, f <= g AS c12, f > g AS c13, f >= g AS c14, f IS DISTINCT FROM g AS c15, d = g AS c16, d > g AS c17, g <= d AS c18, d > id - 25 AS c19, d <> 2.5e0 AS c20
 FROM src;
INSERT INTO `cst` SELECT id, d = CAST('NaN' AS DOUBLE) AS c1, d <> CAST('NaN' AS DOUBLE) AS c2, d > 100 AS c3, d < 100 AS c4, d > CAST('NaN' AS DOUBLE) AS c5, d IS DISTINCT FROM CAST('NaN' AS DOUBLE) AS c6, d = 0 AS c7, d >= 0e0 AS c8, f = CAST('-0.0' AS FLOAT) AS c9, CAST('NaN' AS DOUBLE) > 1 AS c10, CAST('NaN' AS DOUBLE) <> 1e0 AS c11, CAST('-0.0' AS DOUBLE) = 0e0 AS c12
 FROM src;
INSERT INTO `oth` SELECT id, d BETWEEN e AND 2 AS c1, d NOT BETWEEN e AND 2 AS c2, 1.5e0 BETWEEN d AND e AS c3, d IN (1.5e0, e) AS c4, d NOT IN (1.5e0, e) AS c5,
  CASE d WHEN e THEN 'same' ELSE 'other' END AS c6,
  CASE d WHEN 0 THEN 'zero' WHEN CAST('NaN' AS DOUBLE) THEN 'nan' ELSE 'other' END AS c7,
  NULLIF(d, e) AS c8, GREATEST(d, e) AS c9, LEAST(d, e) AS c10, IF(d > e, 'y', 'n') AS c11, NOT (d > e) AS c12, (d > e) IS NOT TRUE AS c13, NOT (d = e) AS c14, NOT (d > e OR d = e) AS c15,
  ARRAY[COALESCE(d, 7e0)] = ARRAY[COALESCE(e, 8e0)] AS c16, ROW(d, 1) = ROW(e, 1) AS c17, ARRAY_CONTAINS(ARRAY[d], e) AS c18, ARRAY_POSITION(ARRAY[d], e) > 0 AS c19, d / e > 1 OR d / e <= 1 AS c20
 FROM src;
INSERT INTO `flt` SELECT id, '>' AS w FROM src WHERE d > 100 UNION ALL SELECT id, '<>' AS w FROM src WHERE d <> e UNION ALL SELECT id, 'not' AS w FROM src WHERE NOT (d <= e)
  UNION ALL SELECT id, 'not in' AS w FROM src WHERE d NOT IN (CAST('NaN' AS DOUBLE), 7);
