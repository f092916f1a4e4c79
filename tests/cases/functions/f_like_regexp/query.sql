-- LIKE, SIMILAR TO and the REGEXP functions
-- surprising: LIKE crosses newlines; $1 is not a group (F9)
CREATE TABLE src (id BIGINT, s STRING, p STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `like` (`id` BIGINT, `c1` BOOLEAN, `c2` BOOLEAN, `c3` BOOLEAN, `c4` BOOLEAN, `c5` BOOLEAN, `c6` BOOLEAN, `c7` BOOLEAN, `c8` BOOLEAN, `c9` BOOLEAN, `c10` BOOLEAN, `c11` BOOLEAN, `c12` BOOLEAN, `c13` BOOLEAN, `c14` BOOLEAN, `c15` BOOLEAN, `c16` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/like');
CREATE TABLE `sim` (`id` BIGINT, `c1` BOOLEAN, `c2` BOOLEAN, `c3` BOOLEAN, `c4` BOOLEAN, `c5` BOOLEAN, `c6` BOOLEAN, `c7` BOOLEAN, `c8` BOOLEAN, `c9` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sim');
CREATE TABLE `regexp` (`id` BIGINT, `c1` BOOLEAN, `c2` BOOLEAN, `c3` BOOLEAN, `c4` STRING, `c5` STRING, `c6` STRING, `c7` STRING, `c8` STRING, `c9` STRING, `c10` STRING, `c11` STRING, `c12` STRING, `c13` INT, `c14` INT, `c15` INT, `c16` STRING, `c17` ARRAY<STRING>, `c18` ARRAY<STRING>, `c19` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/regexp');
INSERT INTO `like` SELECT id, s LIKE 'a%' AS c1,
  s LIKE '%c' AS c2,
  s LIKE '_b_' AS c3,
  s LIKE '%b%' AS c4,
  s LIKE 'abc' AS c5,
  s LIKE '' AS c6,
  s NOT LIKE 'a%' AS c7,
  s LIKE 'a!%c' ESCAPE '!' AS c8,
  s LIKE '%!%' ESCAPE '!' AS c9,
  s LIKE 'a\_c' ESCAPE '\' AS c10,
  s LIKE '%1%2%' AS c11,
  s LIKE 'line%' AS c12,
  s LIKE 'x.y' AS c13,
  s LIKE '%.%' AS c14,
  s LIKE '__' AS c15,
  s LIKE p AS c16
 FROM src;
INSERT INTO `sim` SELECT id, s SIMILAR TO 'a(b|c)c' AS c1,
  s SIMILAR TO '[a-z]+' AS c2,
  s SIMILAR TO '%b%' AS c3,
  s NOT SIMILAR TO 'a%' AS c4,
  s SIMILAR TO '(abc)+' AS c5,
  s SIMILAR TO 'a_c' AS c6,
  s SIMILAR TO 'a!_c' ESCAPE '!' AS c7,
  s SIMILAR TO '[0-9]{3}' AS c8,
  s SIMILAR TO 'x.y' AS c9
 FROM src;
INSERT INTO `regexp` SELECT id, REGEXP(s, 'b') AS c1,
  REGEXP(s, '^a') AS c2,
  REGEXP(s, p) AS c3,
  REGEXP_REPLACE(s, '[0-9]+', '#') AS c4,
  REGEXP_REPLACE(s, 'b', '') AS c5,
  REGEXP_REPLACE(s, '(a)(b)', '$2$1') AS c6,
  REGEXP_REPLACE(s, p, 'Z') AS c7,
  REGEXP_EXTRACT(s, '([a-z]+)([0-9]+)', 2) AS c8,
  REGEXP_EXTRACT(s, '([a-z]+)([0-9]+)', 0) AS c9,
  REGEXP_EXTRACT(s, '([a-z]+)([0-9]+)') AS c10,
  REGEXP_EXTRACT(s, 'zzz', 0) AS c11,
  REGEXP_EXTRACT(s, p, 1) AS c12,
  REGEXP_COUNT(s, 'a') AS c13,
  REGEXP_COUNT(s, p) AS c14,
  REGEXP_INSTR(s, 'b') AS c15,
  REGEXP_SUBSTR(s, '[0-9]+') AS c16,
  REGEXP_EXTRACT_ALL(s, '([a-z])([a-z])', 1) AS c17,
  REGEXP_EXTRACT_ALL(s, '[a-z]', 0) AS c18,
  REGEXP_REPLACE(s, '.', '*') AS c19
 FROM src;
