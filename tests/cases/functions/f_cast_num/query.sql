-- CAST between numeric types, BOOLEAN and text: wrap-around, truncation, rounding
-- surprising: wraps, saturates for DOUBLE (F5)
-- digits: 6: FLOAT has 7 digits
CREATE TABLE src (id BIGINT, t TINYINT, si SMALLINT, i INT, l BIGINT, d DOUBLE, f FLOAT, m DECIMAL(10,2), b BOOLEAN, c BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `toint` (`id` BIGINT, `c1` TINYINT, `c2` SMALLINT, `c3` INT, `c4` TINYINT, `c5` INT, `c6` BIGINT, `c7` INT, `c8` BIGINT, `c9` TINYINT, `c10` SMALLINT, `c11` INT, `c12` TINYINT, `c13` INT, `c14` INT, `c15` TINYINT, `c16` BIGINT, `c17` BOOLEAN, `c18` BOOLEAN, `c19` BOOLEAN, `c20` INT, `c21` INT, `c22` TINYINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/toint');
CREATE TABLE `toflt` (`id` BIGINT, `c1` FLOAT, `c2` FLOAT, `c3` DOUBLE, `c4` FLOAT, `c5` DOUBLE, `c6` FLOAT, `c7` DOUBLE, `c8` DOUBLE, `c9` FLOAT, `c10` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/toflt');
CREATE TABLE `todec` (`id` BIGINT, `c1` DECIMAL(10, 2), `c2` DECIMAL(5, 0), `c3` DECIMAL(19, 0), `c4` DECIMAL(38, 10), `c5` DECIMAL(10, 2), `c6` DECIMAL(38, 0), `c7` DECIMAL(10, 3), `c8` DECIMAL(3, 1), `c9` DECIMAL(20, 5), `c10` DECIMAL(3, 1), `c11` DECIMAL(5, 2), `c12` DECIMAL(10, 0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/todec');
CREATE TABLE `tostr` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` STRING, `c4` STRING, `c5` STRING, `c6` STRING, `c7` STRING, `c8` CHAR(3), `c9` CHAR(12), `c10` VARCHAR(4), `c11` CHAR(2), `c12` VARCHAR(10), `c13` VARCHAR(3), `c14` STRING, `c15` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tostr');
INSERT INTO `toint` SELECT id, CAST(i AS TINYINT) AS c1,
  CAST(i AS SMALLINT) AS c2,
  CAST(l AS INT) AS c3,
  CAST(l AS TINYINT) AS c4,
  CAST(t AS INT) AS c5,
  CAST(t AS BIGINT) AS c6,
  CAST(d AS INT) AS c7,
  CAST(d AS BIGINT) AS c8,
  CAST(d AS TINYINT) AS c9,
  CAST(d AS SMALLINT) AS c10,
  CAST(f AS INT) AS c11,
  CAST(f AS TINYINT) AS c12,
  CAST(m AS INT) AS c13,
  CAST(b AS INT) AS c14,
  CAST(b AS TINYINT) AS c15,
  CAST(b AS BIGINT) AS c16,
  CAST(i AS BOOLEAN) AS c17,
  CAST(d AS BOOLEAN) AS c18,
  CAST(m AS BOOLEAN) AS c19,
  TRY_CAST(l AS INT) AS c20,
  TRY_CAST(d AS INT) AS c21,
  TRY_CAST(l AS TINYINT) AS c22
 FROM src;
INSERT INTO `toflt` SELECT id, CAST(i AS FLOAT) AS c1,
  CAST(l AS FLOAT) AS c2,
  CAST(l AS DOUBLE) AS c3,
  CAST(d AS FLOAT) AS c4,
  CAST(f AS DOUBLE) AS c5,
  CAST(m AS FLOAT) AS c6,
  CAST(m AS DOUBLE) AS c7,
  CAST(b AS DOUBLE) AS c8,
  CAST(b AS FLOAT) AS c9,
  CAST(i AS DOUBLE) AS c10
 FROM src;
INSERT INTO `todec` SELECT id, CAST(i AS DECIMAL(10,2)) AS c1,
  CAST(i AS DECIMAL(5,0)) AS c2,
  CAST(l AS DECIMAL(19,0)) AS c3,
  CAST(l AS DECIMAL(38,10)) AS c4,
  CAST(d AS DECIMAL(10,2)) AS c5,
  CAST(d AS DECIMAL(38,0)) AS c6,
  CAST(f AS DECIMAL(10,3)) AS c7,
  CAST(m AS DECIMAL(3,1)) AS c8,
  CAST(m AS DECIMAL(20,5)) AS c9,
  CAST(b AS DECIMAL(3,1)) AS c10,
  TRY_CAST(d AS DECIMAL(5,2)) AS c11,
  CAST(m AS DECIMAL) AS c12
 FROM src;
INSERT INTO `tostr` SELECT id, CAST(t AS STRING) AS c1,
  CAST(i AS STRING) AS c2,
  CAST(l AS STRING) AS c3,
  CAST(d AS STRING) AS c4,
  CAST(f AS STRING) AS c5,
  CAST(m AS STRING) AS c6,
  CAST(b AS STRING) AS c7,
  CAST(i AS CHAR(3)) AS c8,
  CAST(i AS CHAR(12)) AS c9,
  CAST(d AS VARCHAR(4)) AS c10,
  CAST(b AS CHAR(2)) AS c11,
  CAST(b AS VARCHAR(10)) AS c12,
  CAST(m AS VARCHAR(3)) AS c13,
  CAST(CAST(m AS DECIMAL(20,8)) AS STRING) AS c14,
  CAST(CAST(b AS STRING) AS BOOLEAN) AS c15
 FROM src;
