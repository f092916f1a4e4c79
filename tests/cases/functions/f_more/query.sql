-- functions that fail in Flink on NULL or extreme values, over values that are neither: GREATEST and LEAST of decimals, TRUNCATE of doubles, CAST to TIME, CEIL of TIME
-- surprising: DEFAULT ON EMPTY never applies without lax (F12)
CREATE TABLE src (id BIGINT, d DOUBLE, f FLOAT, m DECIMAL(10,2), q DECIMAL(12,4), i INT, ts TIMESTAMP(3), tm TIME, s STRING, arr ARRAY<INT>) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `n` (`id` BIGINT, `c1` DOUBLE, `c2` DOUBLE, `c3` DOUBLE, `c4` FLOAT, `c5` INT, `c6` DECIMAL(12, 4), `c7` DECIMAL(12, 4), `c8` DECIMAL(10, 2), `c9` DOUBLE, `c10` DOUBLE, `c11` DECIMAL(12, 2), `c12` DOUBLE, `c13` FLOAT, `c14` FLOAT, `c15` FLOAT, `c16` DOUBLE, `c17` BOOLEAN, `c18` DECIMAL(10, 2), `c19` INT, `c20` DECIMAL(23, 13), `c21` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/n');
CREATE TABLE `t` (`id` BIGINT, `c1` TIME(0), `c2` TIME(0), `c3` TIME(0), `c4` BIGINT, `c5` DATE, `c6` TIMESTAMP(0), `c7` STRING, `c8` TIMESTAMP(3), `c9` STRING, `c10` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t');
CREATE TABLE `j` (`id` BIGINT, `c1` INT, `c2` INT, `c3` INT, `c4` STRING, `c5` STRING, `c6` STRING, `c7` INT, `c8` INT, `c9` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/j');
INSERT INTO `n` SELECT id, TRUNCATE(d, 1) AS c1,
  TRUNCATE(d) AS c2,
  TRUNCATE(d, -2) AS c3,
  TRUNCATE(f, 1) AS c4,
  TRUNCATE(i, -1) AS c5,
  GREATEST(m, q) AS c6,
  LEAST(m, q) AS c7,
  LEAST(m, CAST(1 AS DECIMAL(10,2))) AS c8,
  GREATEST(d, f) AS c9,
  LEAST(d, i) AS c10,
  GREATEST(i, m) AS c11,
  d + f AS c12,
  f + d AS c13,
  f * d AS c14,
  f - i AS c15,
  m * d AS c16,
  d > m AS c17,
  i % m AS c18,
  MOD(i, 3) AS c19,
  m / m AS c20,
  POWER(d, 0.5) AS c21
 FROM src;
INSERT INTO `t` SELECT id, CAST(ts AS TIME) AS c1,
  CEIL(tm TO HOUR) AS c2,
  CEIL(tm TO MINUTE) AS c3,
  EXTRACT(HOUR FROM ts) AS c4,
  CAST(ts AS DATE) AS c5,
  CAST(ts AS TIMESTAMP(0)) AS c6,
  CAST(tm AS STRING) AS c7,
  ts + INTERVAL '90' SECOND AS c8,
  CAST(CAST(ts AS TIME) AS STRING) AS c9,
  TIMESTAMPDIFF(MINUTE, ts, TIMESTAMP '2024-03-01 00:00:00') AS c10
 FROM src;
INSERT INTO `j` SELECT id, JSON_VALUE(s, '$.a' RETURNING INTEGER) AS c1,
  JSON_VALUE(s, '$.a' RETURNING INTEGER NULL ON EMPTY) AS c2,
  JSON_VALUE(s, '$.zz' RETURNING INTEGER DEFAULT 5 ON EMPTY) AS c3,
  JSON_VALUE(s, '$.a' DEFAULT 'x' ON EMPTY) AS c4,
  JSON_VALUE(s, 'lax $.zz' DEFAULT 'x' ON EMPTY) AS c5,
  JSON_VALUE(s, '$.b' DEFAULT 'e' ON ERROR) AS c6,
  arr[1] + i AS c7,
  CARDINALITY(arr) * i AS c8,
  arr[i] AS c9
 FROM src;
