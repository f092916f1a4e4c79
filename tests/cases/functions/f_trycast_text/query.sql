-- TRY_CAST of text to every type
-- surprising: TRY_CAST('y' AS DECIMAL(10,2)) = 0 (F6)
-- digits: 6: FLOAT has 7 digits
CREATE TABLE src (id BIGINT, s STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `num` (`id` BIGINT, `c1` TINYINT, `c2` SMALLINT, `c3` INT, `c4` BIGINT, `c5` FLOAT, `c6` DOUBLE, `c7` DECIMAL(10, 2), `c8` DECIMAL(3, 0), `c9` DECIMAL(38, 18), `c10` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/num');
CREATE TABLE `tim` (`id` BIGINT, `c1` DATE, `c2` TIME(0), `c3` TIME(3), `c4` TIMESTAMP(3), `c5` TIMESTAMP(0), `c6` TIMESTAMP(9), `c7` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c8` STRING, `c9` CHAR(3), `c10` VARCHAR(3), `c11` BYTES, `c12` BINARY(2), `c13` VARBINARY(2)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tim');
CREATE TABLE `oth` (`id` BIGINT, `c1` INT, `c2` INT, `c3` BIGINT, `c4` DECIMAL(21, 2)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/oth');
INSERT INTO `num` SELECT id, TRY_CAST(s AS TINYINT) AS c1,
  TRY_CAST(s AS SMALLINT) AS c2,
  TRY_CAST(s AS INT) AS c3,
  TRY_CAST(s AS BIGINT) AS c4,
  TRY_CAST(s AS FLOAT) AS c5,
  TRY_CAST(s AS DOUBLE) AS c6,
  TRY_CAST(s AS DECIMAL(10,2)) AS c7,
  TRY_CAST(s AS DECIMAL(3,0)) AS c8,
  TRY_CAST(s AS DECIMAL(38,18)) AS c9,
  TRY_CAST(s AS BOOLEAN) AS c10
 FROM src;
INSERT INTO `tim` SELECT id, TRY_CAST(s AS DATE) AS c1,
  TRY_CAST(s AS TIME) AS c2,
  TRY_CAST(s AS TIME(3)) AS c3,
  TRY_CAST(s AS TIMESTAMP(3)) AS c4,
  TRY_CAST(s AS TIMESTAMP(0)) AS c5,
  TRY_CAST(s AS TIMESTAMP(9)) AS c6,
  TRY_CAST(s AS TIMESTAMP_LTZ(3)) AS c7,
  TRY_CAST(s AS STRING) AS c8,
  TRY_CAST(s AS CHAR(3)) AS c9,
  TRY_CAST(s AS VARCHAR(3)) AS c10,
  TRY_CAST(s AS BYTES) AS c11,
  TRY_CAST(s AS BINARY(2)) AS c12,
  TRY_CAST(s AS VARBINARY(2)) AS c13
 FROM src;
INSERT INTO `oth` SELECT id, TRY_CAST(s AS INT) + 1 AS c1,
  COALESCE(TRY_CAST(s AS INT), -1) AS c2,
  TRY_CAST(TRIM(s) AS BIGINT) AS c3,
  TRY_CAST(s AS DECIMAL(10,2)) * 2 AS c4
 FROM src;
