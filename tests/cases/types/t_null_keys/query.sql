-- a MAP with NULL as a key: made by a view or below, measured, looked up, changed, kept in state, written as the table's options say
-- surprising: NULL is a key like others (J8)
CREATE TABLE src (id BIGINT, k STRING, v INT, g INT, ts AS TO_TIMESTAMP_LTZ(id * 1000, 3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW made AS SELECT id, g, k, ts, MAP[k, v] AS m, MAP[k, v, 'x', 1] AS m2, MAP[COALESCE(k, 'q'), v, CAST(NULL AS STRING), 7] AS m3 FROM src;
CREATE TABLE `lit` (id BIGINT, m MAP<STRING, INT>, m2 MAP<STRING, INT>, m3 MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lit','json.map-null-key.mode'='LITERAL','json.map-null-key.literal'='none');
CREATE TABLE `dflt` (id BIGINT, m MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dflt','json.map-null-key.mode'='literal');
CREATE TABLE `drp` (id BIGINT, m MAP<STRING, INT>, m2 MAP<STRING, INT>, m3 MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/drp','json.map-null-key.mode'='DROP');
CREATE TABLE `inside` (id BIGINT, a ARRAY<MAP<STRING, INT>>, r ROW<m MAP<STRING, INT>, n INT>, mm MAP<STRING, MAP<STRING, INT>>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/inside','json.map-null-key.mode'='LITERAL');
CREATE TABLE `asked` (id BIGINT, c1 INT, c2 INT, c3 INT, c4 INT, c5 ARRAY<STRING>, c6 ARRAY<INT>, c7 STRING, c8 INT, c9 BOOLEAN, c10 BOOLEAN, c11 STRING, c12 INT, c13 INT, c14 STRING, c15 INT, c16 ARRAY<STRING>, c17 INT, c18 INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/asked');
CREATE TABLE `fns` (id BIGINT, c1 MAP<STRING, INT>, c2 MAP<STRING, INT>, c3 MAP<STRING, INT>, c4 MAP<STRING, INT>, c5 MAP<STRING, INT>, c6 MAP<STRING, BIGINT>, c7 ARRAY<ROW<k STRING, v INT>>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fns','json.map-null-key.mode'='LITERAL');
CREATE TABLE `unn` (id BIGINT, k STRING, v INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/unn');
CREATE TABLE `both` (id BIGINT, m MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/both','json.map-null-key.mode'='DROP');
CREATE TABLE `kept` (id BIGINT, m MAP<STRING, INT>, rn BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/kept','json.map-null-key.mode'='LITERAL');
CREATE TABLE `safe` (id BIGINT, m MAP<STRING, INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/safe');
INSERT INTO `lit` SELECT id, m, m2, m3 FROM made;
INSERT INTO `dflt` SELECT id, m FROM (SELECT id, MAP[k, v] AS m FROM src WHERE v IS NULL OR v > 2);
INSERT INTO `drp` SELECT id, m, m2, m3 FROM made;
INSERT INTO `inside` SELECT id, ARRAY[m, m2], ROW(m, 1), MAP['a', m, 'b', m2] FROM made;
INSERT INTO `asked` SELECT id, CARDINALITY(m) AS c1,
  CARDINALITY(m2) AS c2,
  CARDINALITY(m3) AS c3,
  m[k] AS c4,
  MAP_KEYS(m) AS c5,
  MAP_VALUES(m) AS c6,
  CAST(m AS STRING) AS c7,
  m2['x'] AS c8,
  m = m2 AS c9,
  m = MAP[k, id] AS c10,
  CAST(m3 AS STRING) AS c11,
  CARDINALITY(MAP_UNION(m, m2)) AS c12,
  m3[CAST(NULL AS STRING)] AS c13,
  CAST(ARRAY[m] AS STRING) AS c14,
  CARDINALITY(MAP_FROM_ARRAYS(ARRAY[k, 'y'], ARRAY[1, 2])) AS c15,
  MAP_KEYS(MAP_FROM_ARRAYS(ARRAY[k, 'y'], ARRAY[1, 2])) AS c16,
  CARDINALITY(MAP_ENTRIES(m)) AS c17,
  CARDINALITY(COALESCE(m, m2)) AS c18
 FROM made;
INSERT INTO `fns` SELECT id, MAP_UNION(m, MAP['y', 2]) AS c1,
  MAP_UNION(m, MAP[CAST(NULL AS STRING), 9]) AS c2,
  MAP_FROM_ARRAYS(ARRAY[k, 'y'], ARRAY[1, 2]) AS c3,
  CASE WHEN g = 1 THEN m ELSE m2 END AS c4,
  COALESCE(m, m2) AS c5,
  CAST(m AS MAP<STRING, BIGINT>) AS c6,
  MAP_ENTRIES(m) AS c7
 FROM made;
INSERT INTO `unn` SELECT id, u.uk, u.uv FROM made CROSS JOIN UNNEST(made.m2) AS u (uk, uv);
INSERT INTO `both` SELECT id, m FROM made WHERE g = 1 UNION ALL SELECT id, m2 FROM made WHERE g = 2;
INSERT INTO `kept` SELECT id, m, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, g ORDER BY id DESC) AS rn
  FROM TABLE(TUMBLE(TABLE made, DESCRIPTOR(ts), INTERVAL '3' SECOND))) WHERE rn <= 1;
INSERT INTO `safe` SELECT id, m FROM made WHERE k IS NOT NULL;
SELECT id, m, m3 FROM made;
