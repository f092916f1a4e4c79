-- times before the year 1 and beyond the year 9999: from numbers and text, in json and csv, and moved there
-- surprising: numbers beyond are NULL, text with a sign is not (F17)
CREATE TABLE numbers (id BIGINT, n BIGINT, x DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/numbers.jsonl');
CREATE TABLE texts (id BIGINT, s STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/texts.jsonl');
CREATE TABLE times (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE, m TIME) WITH ('connector'='filesystem','format'='json','json.ignore-parse-errors'='true','path'='${DIR}/times.jsonl');
CREATE TABLE iso (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE) WITH ('connector'='filesystem','format'='json','json.ignore-parse-errors'='true','json.timestamp-format.standard'='ISO-8601','path'='${DIR}/iso.jsonl');
CREATE TABLE csv (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE) WITH ('connector'='filesystem','format'='csv','csv.ignore-parse-errors'='true','path'='${DIR}/times.csv');
CREATE TABLE `num` (id BIGINT, c1 TIMESTAMP_LTZ(3), c2 TIMESTAMP_LTZ(3), c3 TIMESTAMP_LTZ(3), c4 TIMESTAMP_LTZ(3), c5 TIMESTAMP_LTZ(3), c6 TIMESTAMP_LTZ(6), c7 TIMESTAMP_LTZ(9), c8 TIMESTAMP_LTZ(3), c9 TIMESTAMP_LTZ(3), c10 STRING, c11 TIMESTAMP(3), c12 TIMESTAMP_LTZ(3), c13 TIMESTAMP_LTZ(3), c14 TIMESTAMP_LTZ(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/num');
CREATE TABLE `txt` (id BIGINT, c1 TIMESTAMP(3), c2 TIMESTAMP_LTZ(3), c3 DATE, c4 TIMESTAMP(3), c5 TIMESTAMP(3), c6 TIMESTAMP(3), c7 TIMESTAMP(3), c8 TIMESTAMP(3), c9 TIMESTAMP_LTZ(3), c10 TIMESTAMP_LTZ(3), c11 TIMESTAMP_LTZ(3), c12 DATE, c13 BIGINT, c14 BIGINT, c15 STRING, c16 STRING, c17 TIMESTAMP(3), c18 STRING, c19 BIGINT, c20 TIME) WITH ('connector'='filesystem','format'='json','path'='${OUT}/txt');
CREATE TABLE `same` (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE, m TIME) WITH ('connector'='filesystem','format'='json','path'='${OUT}/same');
CREATE TABLE `same_iso` (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE) WITH ('connector'='filesystem','format'='json','json.timestamp-format.standard'='ISO-8601','path'='${OUT}/same_iso');
CREATE TABLE `same_csv` (id BIGINT, t TIMESTAMP(3), l TIMESTAMP_LTZ(3), d DATE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/same_csv');
CREATE TABLE `moved` (id BIGINT, c1 TIMESTAMP(3), c2 TIMESTAMP(3), c3 TIMESTAMP(3), c4 TIMESTAMP(3), c5 TIMESTAMP_LTZ(3), c6 DATE, c7 DATE, c8 DATE, c9 TIMESTAMP(3), c10 TIMESTAMP(3), c11 TIMESTAMP(3), c12 DATE, c13 STRING, c14 STRING, c15 STRING, c16 STRING, c17 STRING, c18 STRING, c19 INT, c20 INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/moved');
INSERT INTO `num` SELECT id, TO_TIMESTAMP_LTZ(n) AS c1,
  TO_TIMESTAMP_LTZ(n, 3) AS c2,
  TO_TIMESTAMP_LTZ(n, 0) AS c3,
  TO_TIMESTAMP_LTZ(n, 1) AS c4,
  TO_TIMESTAMP_LTZ(n, 2) AS c5,
  TO_TIMESTAMP_LTZ(n, 6) AS c6,
  TO_TIMESTAMP_LTZ(n, 9) AS c7,
  TO_TIMESTAMP_LTZ(CAST(n AS INT), 0) AS c8,
  TO_TIMESTAMP_LTZ(CAST(n AS DECIMAL(20, 0)), 3) AS c9,
  CAST(TO_TIMESTAMP_LTZ(n, 3) AS STRING) AS c10,
  CAST(TO_TIMESTAMP_LTZ(n, 0) AS TIMESTAMP(3)) AS c11,
  TO_TIMESTAMP_LTZ(x, 0) AS c12,
  TO_TIMESTAMP_LTZ(x) AS c13,
  TO_TIMESTAMP_LTZ(CAST(id AS DECIMAL(20, 6)) * -1.7, 0) AS c14
 FROM numbers;
INSERT INTO `txt` SELECT id, TRY_CAST(s AS TIMESTAMP(3)) AS c1,
  TRY_CAST(s AS TIMESTAMP_LTZ(3)) AS c2,
  TRY_CAST(s AS DATE) AS c3,
  TO_TIMESTAMP(s) AS c4,
  TO_TIMESTAMP(s, 'yyyy-MM-dd HH:mm:ss') AS c5,
  TO_TIMESTAMP(s, 'uuuu-MM-dd') AS c6,
  TO_TIMESTAMP(s, 'y-M-d') AS c7,
  TO_TIMESTAMP(s, 'yyyyMMdd') AS c8,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss') AS c9,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss', 'Europe/Berlin') AS c10,
  TO_TIMESTAMP_LTZ(s, 'yyyy-MM-dd HH:mm:ss', '-10:00') AS c11,
  TO_DATE(s) AS c12,
  UNIX_TIMESTAMP(s) AS c13,
  UNIX_TIMESTAMP(s, 'yyyy-MM-dd') AS c14,
  DATE_FORMAT(s, 'yyyy-MM-dd HH:mm:ss') AS c15,
  CONVERT_TZ(s, 'UTC', 'Europe/Berlin') AS c16,
  TO_TIMESTAMP(s) + INTERVAL '1' DAY AS c17,
  DATE_FORMAT(TO_TIMESTAMP(s), 'yyyy-MM-dd') AS c18,
  YEAR(TO_TIMESTAMP(s)) AS c19,
  TRY_CAST(s AS TIME) AS c20
 FROM texts;
INSERT INTO `same` SELECT id, t, l, d, m FROM times;
INSERT INTO `same_iso` SELECT id, t, l, d FROM iso;
INSERT INTO `same_csv` SELECT id, t, l, d FROM csv;
INSERT INTO `moved` SELECT id, TIMESTAMPADD(SECOND, 2147483647, t) AS c1,
  TIMESTAMPADD(HOUR, 2147483647, t) AS c2,
  TIMESTAMPADD(YEAR, 100000, t) AS c3,
  TIMESTAMPADD(WEEK, 100000, t) AS c4,
  TIMESTAMPADD(MONTH, 100000, l) AS c5,
  TIMESTAMPADD(DAY, 100000, d) AS c6,
  TIMESTAMPADD(YEAR, 100000, d) AS c7,
  TIMESTAMPADD(MONTH, 1, d) AS c8,
  t + INTERVAL '9999' YEAR(4) AS c9,
  t + 100000 * INTERVAL '1' DAY AS c10,
  t + 100000 * INTERVAL '1' YEAR AS c11,
  d + INTERVAL '9999' YEAR(4) AS c12,
  DATE_FORMAT(t, 'yyyy-MM-dd') AS c13,
  DATE_FORMAT(t, 'y yy yyyyy') AS c14,
  DATE_FORMAT(t, 'uuuu u uu') AS c15,
  DATE_FORMAT(FLOOR(t TO YEAR), 'uuuu-MM-dd') AS c16,
  DATE_FORMAT(CEIL(t TO DAY), 'uuuu-MM-dd') AS c17,
  DATE_FORMAT(TIMESTAMPADD(SECOND, -1, t), 'uuuu-MM-dd HH:mm:ss') AS c18,
  TIMESTAMPDIFF(DAY, t, TIMESTAMP '2024-05-01 08:00:00') AS c19,
  TIMESTAMPDIFF(YEAR, t, TIMESTAMP '2024-05-01 08:00:00') AS c20
 FROM times;
