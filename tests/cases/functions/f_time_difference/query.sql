-- the difference of two times with its unit: as text, added, compared, taken apart, in subqueries
-- surprising: only the kind of the unit counts (F7)
CREATE TABLE src (id BIGINT, ts TIMESTAMP(3), t2 TIMESTAMP(3), dt DATE, tm TIME, n INT, ms BIGINT, sec BIGINT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `txt` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` STRING, `c4` STRING, `c5` STRING, `c6` STRING, `c7` STRING, `c8` VARCHAR(5), `c9` CHAR(25), `c10` STRING, `c11` STRING, `c12` STRING, `c13` STRING, `c14` STRING, `c15` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/txt');
CREATE TABLE `val` (`id` BIGINT, `c1` TIMESTAMP(3), `c2` TIMESTAMP(3), `c3` BOOLEAN, `c4` BOOLEAN, `c5` BOOLEAN, `c6` BOOLEAN, `c7` BOOLEAN, `c8` BOOLEAN, `c9` STRING, `c10` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/val');
CREATE TABLE `ext` (`id` BIGINT, `c1` BIGINT, `c2` BIGINT, `c3` BIGINT, `c4` BIGINT, `c5` BIGINT, `c6` BIGINT, `c7` BIGINT, `c8` BIGINT, `c9` BIGINT, `c10` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ext');
INSERT INTO `txt` SELECT id, CAST((ts - t2) HOUR AS STRING) AS c1,
  CAST((ts - t2) MONTH AS STRING) AS c2,
  CAST((ts - t2) YEAR TO MONTH AS STRING) AS c3,
  CAST((dt - DATE '2024-01-01') DAY AS STRING) AS c4,
  CAST((dt - DATE '2024-01-01') MONTH AS STRING) AS c5,
  CAST((tm - TIME '01:00:00') MINUTE AS STRING) AS c6,
  CAST((TO_TIMESTAMP_LTZ(ms, 3) - TO_TIMESTAMP_LTZ(0, 3)) DAY(3) TO SECOND(3) AS STRING) AS c7,
  CAST((ts - t2) DAY TO SECOND AS VARCHAR(5)) AS c8,
  CAST((ts - t2) DAY TO SECOND AS CHAR(25)) AS c9,
  CAST(-(ts - t2) DAY AS STRING) AS c10,
  CAST((ts - t2) DAY + INTERVAL '1' DAY AS STRING) AS c11,
  CAST(2 * (ts - t2) DAY AS STRING) AS c12,
  CAST(INTERVAL '0' MONTH AS STRING) AS c13,
  CAST(INTERVAL '-1' SECOND AS STRING) AS c14,
  CAST((ts + INTERVAL '1' DAY - t2) WEEK AS STRING) AS c15
 FROM src;
INSERT INTO `val` SELECT id, t2 + h AS c1, ts - h AS c2,
  h > INTERVAL '1' DAY AS c3,
  h < INTERVAL '0' SECOND AS c4,
  m >= INTERVAL '1' YEAR AS c5,
  h = INTERVAL '0' DAY AS c6,
  h BETWEEN INTERVAL '-30' DAY AND INTERVAL '24' HOUR AS c7,
  m NOT BETWEEN INTERVAL '-1' YEAR AND INTERVAL '12' MONTH AS c8,
  CAST(h AS STRING) AS c9, CAST(m AS STRING) AS c10
 FROM (SELECT id, ts, t2, (ts - t2) DAY TO SECOND AS h, (ts - t2) MONTH AS m FROM src);
INSERT INTO `ext` SELECT id, EXTRACT(DAY FROM (ts - t2) DAY TO SECOND) AS c1,
  EXTRACT(HOUR FROM (ts - t2) DAY) AS c2,
  EXTRACT(MINUTE FROM (ts - t2) DAY) AS c3,
  EXTRACT(SECOND FROM (ts - t2) HOUR) AS c4,
  EXTRACT(MILLISECOND FROM (ts - t2) SECOND) AS c5,
  EXTRACT(YEAR FROM (ts - t2) MONTH) AS c6,
  EXTRACT(QUARTER FROM (ts - t2) MONTH) AS c7,
  EXTRACT(MONTH FROM (ts - t2) YEAR) AS c8,
  EXTRACT(DAY FROM INTERVAL '50' HOUR) AS c9,
  EXTRACT(MONTH FROM INTERVAL '13' MONTH) AS c10
 FROM src;
