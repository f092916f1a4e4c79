-- CONVERT_TZ with Java's zones; TO_TIMESTAMP_LTZ in a zone; old dates in what goes by SimpleDateFormat
-- surprising: Julian before 1582-10-15; GMT for no zone (F8)
CREATE TABLE src (id BIGINT, s STRING, z STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `out` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` STRING, `c4` TIMESTAMP_LTZ(3), `c5` TIMESTAMP_LTZ(3), `c6` STRING, `c7` BIGINT, `c8` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/out');
INSERT INTO `out` SELECT id, CONVERT_TZ(s, z, 'UTC') AS c1,
  CONVERT_TZ(s, 'UTC', z) AS c2,
  CONVERT_TZ(s, 'America/New_York', z) AS c3,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss', 'Europe/Berlin') AS c4,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss', '+02:00') AS c5,
  DATE_FORMAT(s, 'yyyy/MM/dd HH') AS c6,
  UNIX_TIMESTAMP(s) AS c7,
  FROM_UNIXTIME(UNIX_TIMESTAMP(s)) AS c8
 FROM src;
