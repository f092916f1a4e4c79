-- FLOOR and CEIL of TIMESTAMP, DATE, TIME to every unit
-- surprising: WEEK starts on Sunday here (F7)
-- differs from Flink: ce: dates before 1582-10-15: Flink's calendar is the Julian one there, ours is not
-- differs from Flink: fl: dates before 1582-10-15: Flink's calendar is the Julian one there, ours is not
CREATE TABLE src (id BIGINT, ts TIMESTAMP(3), t2 TIMESTAMP(3), dt DATE, tm TIME, n INT, ms BIGINT, sec BIGINT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `fl` (`id` BIGINT, `c1` TIMESTAMP(3), `c2` TIMESTAMP(3), `c3` TIMESTAMP(3), `c4` TIMESTAMP(3), `c5` TIMESTAMP(3), `c6` TIMESTAMP(3), `c7` TIMESTAMP(3), `c8` TIMESTAMP(3), `c9` TIMESTAMP(3), `c10` TIMESTAMP(3), `c11` TIMESTAMP(3), `c12` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fl');
CREATE TABLE `ce` (`id` BIGINT, `c1` TIMESTAMP(3), `c2` TIMESTAMP(3), `c3` TIMESTAMP(3), `c4` TIMESTAMP(3), `c5` TIMESTAMP(3), `c6` TIMESTAMP(3), `c7` TIMESTAMP(3), `c8` TIMESTAMP(3), `c9` TIMESTAMP(3), `c10` TIMESTAMP(3), `c11` TIMESTAMP(3), `c12` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ce');
CREATE TABLE `fd` (`id` BIGINT, `c1` DATE, `c2` DATE, `c3` DATE, `c4` DATE, `c5` DATE, `c6` DATE, `c7` DATE, `c8` DATE, `c9` DATE, `c10` DATE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fd');
CREATE TABLE `ft` (`id` BIGINT, `c1` TIME(0), `c2` TIME(0), `c3` TIME(0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ft');
INSERT INTO `fl` SELECT id, FLOOR(ts TO YEAR) AS c1,
  FLOOR(ts TO QUARTER) AS c2,
  FLOOR(ts TO MONTH) AS c3,
  FLOOR(ts TO WEEK) AS c4,
  FLOOR(ts TO DAY) AS c5,
  FLOOR(ts TO HOUR) AS c6,
  FLOOR(ts TO MINUTE) AS c7,
  FLOOR(ts TO SECOND) AS c8,
  FLOOR(ts TO DECADE) AS c9,
  FLOOR(ts TO CENTURY) AS c10,
  FLOOR(ts TO MILLENNIUM) AS c11,
  FLOOR(ts TO MILLISECOND) AS c12
 FROM src;
INSERT INTO `ce` SELECT id, CEIL(ts TO YEAR) AS c1,
  CEIL(ts TO QUARTER) AS c2,
  CEIL(ts TO MONTH) AS c3,
  CEIL(ts TO WEEK) AS c4,
  CEIL(ts TO DAY) AS c5,
  CEIL(ts TO HOUR) AS c6,
  CEIL(ts TO MINUTE) AS c7,
  CEIL(ts TO SECOND) AS c8,
  CEIL(ts TO DECADE) AS c9,
  CEIL(ts TO CENTURY) AS c10,
  CEIL(ts TO MILLENNIUM) AS c11,
  CEIL(ts TO MILLISECOND) AS c12
 FROM src;
INSERT INTO `fd` SELECT id, FLOOR(dt TO YEAR) AS c1,
  FLOOR(dt TO QUARTER) AS c2,
  FLOOR(dt TO MONTH) AS c3,
  FLOOR(dt TO WEEK) AS c4,
  FLOOR(dt TO DAY) AS c5,
  CEIL(dt TO YEAR) AS c6,
  CEIL(dt TO QUARTER) AS c7,
  CEIL(dt TO MONTH) AS c8,
  CEIL(dt TO WEEK) AS c9,
  CEIL(dt TO DAY) AS c10
 FROM src;
INSERT INTO `ft` SELECT id, FLOOR(tm TO HOUR) AS c1,
  FLOOR(tm TO MINUTE) AS c2,
  FLOOR(tm TO SECOND) AS c3
 FROM src;
