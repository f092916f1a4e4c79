-- MAP and ROW functions and access
-- surprising: ROW fields are EXPR$0, ...
CREATE TABLE src (id BIGINT, a ARRAY<INT>, a2 ARRAY<INT>, sa ARRAY<STRING>, mp MAP<STRING, INT>, mq MAP<STRING, INT>, i INT, s STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `map` (`id` BIGINT, `c1` INT, `c2` INT, `c3` INT, `c4` ARRAY<STRING>, `c5` INT, `c6` ARRAY<CHAR(1)>, `c7` ARRAY<INT>, `c8` ARRAY<ROW<`key` CHAR(1), `value` INT>>, `c9` MAP<CHAR(1), INT>, `c10` MAP<STRING, INT>, `c11` MAP<CHAR(1), INT>, `c12` MAP<CHAR(1), INT>, `c13` BOOLEAN, `c14` BOOLEAN, `c15` CHAR(1), `c16` INT, `c17` MAP<STRING, BIGINT>, `c18` INT, `c19` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/map');
CREATE TABLE `row` (`id` BIGINT, `c1` ROW<`EXPR$0` INT, `EXPR$1` STRING>, `c2` INT, `c3` ROW<`EXPR$0` INT, `EXPR$1` ROW<`EXPR$0` STRING, `EXPR$1` INT>>, `c4` BOOLEAN, `c5` ROW<`p` BIGINT, `q` STRING>, `c6` ROW<`EXPR$0` ARRAY<INT>, `EXPR$1` MAP<STRING, INT>>, `c7` INT, `c8` ROW<`EXPR$0` INT, `EXPR$1` STRING>, `c9` BOOLEAN, `c10` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/row');
INSERT INTO `map` SELECT id, mp['a'] AS c1,
  mp[s] AS c2,
  CARDINALITY(mp) AS c3,
  ARRAY_SORT(MAP_KEYS(mp)) AS c4,
  CARDINALITY(MAP_VALUES(mp)) AS c5,
  MAP_KEYS(MAP['q', 1]) AS c6,
  MAP_VALUES(MAP['q', i]) AS c7,
  MAP_ENTRIES(MAP['q', i]) AS c8,
  MAP_FROM_ARRAYS(ARRAY['x', 'y'], ARRAY[1, 2]) AS c9,
  MAP_UNION(mp, mq) AS c10,
  MAP['k', i] AS c11,
  MAP['k', i, 'l', 2] AS c12,
  mp = mq AS c13,
  mp IS NULL AS c14,
  MAP[1, 'a'][1] AS c15,
  MAP['k', ARRAY[i]]['k'][1] AS c16,
  CAST(mp AS MAP<STRING, BIGINT>) AS c17,
  CARDINALITY(MAP_ENTRIES(mp)) AS c18,
  mp = MAP['a', 1, 'b', 2] AS c19
 FROM src;
INSERT INTO `row` SELECT id, ROW(i, s) AS c1,
  CAST(ROW(i, s) AS ROW<p INT, q STRING>).p AS c2,
  ROW(i, ROW(s, 1)) AS c3,
  ROW(i, s) = ROW(1, 'a') AS c4,
  CAST(ROW(i, s) AS ROW<p BIGINT, q STRING>) AS c5,
  ROW(a, mp) AS c6,
  ROW(1, 'x').EXPR$0 AS c7,
  (i, s) AS c8,
  ROW(i, s) IS NULL AS c9,
  ROW(i, s) IS NOT NULL AS c10
 FROM src;
