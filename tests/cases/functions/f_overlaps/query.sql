-- OVERLAPS of spans with their ends in either order, with intervals, touching, with NULLs
-- surprising: spans that touch overlap
CREATE TABLE src (id BIGINT, ts TIMESTAMP(3), t2 TIMESTAMP(3), dt DATE, tm TIME, n INT, ms BIGINT, sec BIGINT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `out` (`id` BIGINT, `c1` BOOLEAN, `c2` BOOLEAN, `c3` BOOLEAN, `c4` BOOLEAN, `c5` BOOLEAN, `c6` BOOLEAN, `c7` BOOLEAN, `c8` BOOLEAN, `c9` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/out');
INSERT INTO `out` SELECT id, (ts, t2) OVERLAPS (t2, ts) AS c1,
  (ts, INTERVAL '1' DAY) OVERLAPS (t2, INTERVAL '1' DAY) AS c2,
  (ts, INTERVAL '-1' DAY) OVERLAPS (t2, TIMESTAMP '2000-01-01 00:00:00.000') AS c3,
  (dt, INTERVAL '1' DAY) OVERLAPS (DATE '2024-01-01', INTERVAL '1' YEAR) AS c4,
  (tm, INTERVAL '1' HOUR) OVERLAPS (TIME '01:00:00', INTERVAL '1' HOUR) AS c5,
  (TIME '12:00:00', INTERVAL '1' HOUR) OVERLAPS (tm, INTERVAL '15' HOUR) AS c6,
  (ts, CAST(NULL AS TIMESTAMP(3))) OVERLAPS (t2, TIMESTAMP '2000-01-01 00:00:00.000') AS c7,
  (ts, t2) OVERLAPS (t2, t2) AS c8,
  NOT (ts, ts) OVERLAPS (t2, t2) OR id = 3 AS c9
 FROM src;
