-- DATE_FORMAT, TO_TIMESTAMP, TO_DATE, FROM_UNIXTIME, UNIX_TIMESTAMP, TO_TIMESTAMP_LTZ, CONVERT_TZ
-- surprising: bad text: NULL, Long.MIN or year 1705471 (F8)
CREATE TABLE src (id BIGINT, s STRING, ts TIMESTAMP(3), dt DATE, tm TIME, ms BIGINT, sec BIGINT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `fmt` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` STRING, `c4` STRING, `c5` STRING, `c6` STRING, `c7` STRING, `c8` STRING, `c9` STRING, `c10` STRING, `c11` STRING, `c12` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fmt');
CREATE TABLE `parse` (`id` BIGINT, `c1` TIMESTAMP(3), `c2` TIMESTAMP(3), `c3` TIMESTAMP(3), `c4` TIMESTAMP(3), `c5` TIMESTAMP(3), `c6` DATE, `c7` DATE, `c8` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c9` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c10` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c11` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c12` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c13` TIMESTAMP(6) WITH LOCAL TIME ZONE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/parse');
CREATE TABLE `unix` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` BIGINT, `c4` BIGINT, `c5` BIGINT, `c6` STRING, `c7` STRING, `c8` STRING, `c9` STRING, `c10` TIMESTAMP(3) WITH LOCAL TIME ZONE, `c11` DATE, `c12` TIME(0), `c13` TIMESTAMP(3), `c14` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/unix');
INSERT INTO `fmt` SELECT id, DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss') AS c1,
  DATE_FORMAT(ts, 'yyyy-MM-dd') AS c2,
  DATE_FORMAT(ts, 'HH:mm') AS c3,
  DATE_FORMAT(ts, 'yyyyMMddHHmmssSSS') AS c4,
  DATE_FORMAT(ts, 'dd/MM/yy hh:mm a') AS c5,
  DATE_FORMAT(ts, 'EEE d MMM yyyy') AS c6,
  DATE_FORMAT(ts, 'D') AS c7,
  DATE_FORMAT(ts, 'y QQQ') AS c8,
  DATE_FORMAT(ts, 'u') AS c9,
  DATE_FORMAT(ts, 'w') AS c10,
  DATE_FORMAT(s, 'yyyy/MM/dd') AS c11,
  DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss.SSSSSS') AS c12
 FROM src;
INSERT INTO `parse` SELECT id, TO_TIMESTAMP(s) AS c1,
  TO_TIMESTAMP(s, 'yyyy-MM-dd HH:mm:ss') AS c2,
  TO_TIMESTAMP(s, 'dd.MM.yyyy') AS c3,
  TO_TIMESTAMP(s, 'yyyy-MM-dd HH:mm:ss.SSS') AS c4,
  TO_TIMESTAMP(s, 'yyyy-MM-dd') AS c5,
  TO_DATE(s) AS c6,
  TO_DATE(s, 'dd.MM.yyyy') AS c7,
  TO_TIMESTAMP_LTZ(ms, 3) AS c8,
  TO_TIMESTAMP_LTZ(sec, 0) AS c9,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss') AS c10,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss', 'Europe/Berlin') AS c11,
  TO_TIMESTAMP_LTZ(ms) AS c12,
  TO_TIMESTAMP_LTZ(ms, 6) AS c13
 FROM src;
INSERT INTO `unix` SELECT id, FROM_UNIXTIME(sec) AS c1,
  FROM_UNIXTIME(sec, 'yyyy/MM/dd HH') AS c2,
  UNIX_TIMESTAMP(s) AS c3,
  UNIX_TIMESTAMP(s, 'yyyy-MM-dd HH:mm:ss') AS c4,
  UNIX_TIMESTAMP(CAST(ts AS STRING)) AS c5,
  CONVERT_TZ(s, 'UTC', 'America/Los_Angeles') AS c6,
  CONVERT_TZ(DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss'), 'Europe/Berlin', 'UTC') AS c7,
  CONVERT_TZ(s, 'nowhere', 'UTC') AS c8,
  CAST(TO_TIMESTAMP_LTZ(ms, 3) AS STRING) AS c9,
  CAST(ts AS TIMESTAMP_LTZ(3)) AS c10,
  DATE '2024-02-29' AS c11,
  TIME '12:34:56' AS c12,
  TIMESTAMP '2024-02-29 12:34:56.789' AS c13,
  CAST(TIMESTAMP '2024-02-29 12:34:56.123456789' AS STRING) AS c14
 FROM src;
