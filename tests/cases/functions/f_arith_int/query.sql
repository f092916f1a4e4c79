-- integer arithmetic: wrap-around, promotion, division, MOD signs
-- surprising: ROUND(INT, -1) overflows (F3)
CREATE TABLE src (id BIGINT, t TINYINT, si SMALLINT, i INT, l BIGINT, d DOUBLE, f FLOAT, m DECIMAL(10,2), b BOOLEAN, c BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `ints` (`id` BIGINT, `c1` TINYINT, `c2` SMALLINT, `c3` INT, `c4` INT, `c5` INT, `c6` INT, `c7` INT, `c8` INT, `c9` BIGINT, `c10` BIGINT, `c11` BIGINT, `c12` BIGINT, `c13` INT, `c14` BIGINT, `c15` INT, `c16` TINYINT, `c17` TINYINT, `c18` SMALLINT, `c19` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ints');
CREATE TABLE `divs` (`id` BIGINT, `c1` INT, `c2` INT, `c3` INT, `c4` INT, `c5` BIGINT, `c6` INT, `c7` INT, `c8` INT, `c9` INT, `c10` INT, `c11` INT, `c12` INT, `c13` BIGINT, `c14` TINYINT, `c15` BIGINT, `c16` DECIMAL(10, 2), `c17` DECIMAL(3, 2), `c18` DECIMAL(17, 6), `c19` DOUBLE, `c20` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/divs');
CREATE TABLE `divz` (`id` BIGINT, `c1` DOUBLE, `c2` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/divz');
CREATE TABLE `funs` (`id` BIGINT, `c1` INT, `c2` TINYINT, `c3` BIGINT, `c4` DOUBLE, `c5` DECIMAL(10, 2), `c6` INT, `c7` DOUBLE, `c8` DECIMAL(10, 2), `c9` BIGINT, `c10` INT, `c11` BIGINT, `c12` INT, `c13` INT, `c14` INT, `c15` BIGINT, `c16` DOUBLE, `c17` DOUBLE, `c18` DOUBLE, `c19` STRING, `c20` STRING, `c21` STRING, `c22` STRING, `c23` STRING, `c24` BYTES, `c25` INT, `c26` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/funs');
INSERT INTO `ints` SELECT id, t + t AS c1,
  t + si AS c2,
  si + i AS c3,
  i + i AS c4,
  i + 1 AS c5,
  i - 1 AS c6,
  i * i AS c7,
  i * 2 AS c8,
  i + l AS c9,
  l + l AS c10,
  l + 1 AS c11,
  l * 2 AS c12,
  -i AS c13,
  -l AS c14,
  +i AS c15,
  -t AS c16,
  t * t AS c17,
  si * si AS c18,
  l - i AS c19
 FROM src;
INSERT INTO `divs` SELECT id, i / 2 AS c1,
  i / 3 AS c2,
  -7 / 2 AS c3,
  7 / -2 AS c4,
  l / 2 AS c5,
  t / 2 AS c6,
  i / NULLIF(t, 0) AS c7,
  MOD(i, 3) AS c8,
  MOD(-7, 3) AS c9,
  MOD(7, -3) AS c10,
  MOD(l, 7) AS c11,
  i % 3 AS c12,
  l % CAST(5 AS BIGINT) AS c13,
  MOD(i, NULLIF(t, 0)) AS c14,
  l / NULLIF(l, 0) AS c15,
  MOD(m, 1) AS c16,
  MOD(m, 0.3) AS c17,
  i / 2.0 AS c18,
  i / 2.0e0 AS c19,
  si / 4 AS c20
 FROM src;
INSERT INTO `divz` SELECT id, d / 0 AS c1,
  d / 0e0 AS c2
 FROM src;
INSERT INTO `funs` SELECT id, ABS(i) AS c1,
  ABS(t) AS c2,
  ABS(l) AS c3,
  ABS(d) AS c4,
  ABS(m) AS c5,
  SIGN(i) AS c6,
  SIGN(d) AS c7,
  SIGN(m) AS c8,
  SIGN(l) AS c9,
  FLOOR(i) AS c10,
  CEIL(l) AS c11,
  CEILING(i) AS c12,
  ROUND(i, 0) AS c13,
  ROUND(i, -1) AS c14,
  ROUND(l, -2) AS c15,
  POWER(i, 2) AS c16,
  POWER(2, t) AS c17,
  SQRT(ABS(t)) AS c18,
  HEX(i) AS c19,
  HEX(l) AS c20,
  BIN(i) AS c21,
  BIN(t) AS c22,
  CHR(65) AS c23,
  UNHEX('41') AS c24,
  TRUNCATE(i, -1) AS c25,
  TRUNCATE(i) AS c26
 FROM src;
