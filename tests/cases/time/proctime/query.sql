-- processing time: windows that the clock has not ended give no rows; rows are taken one by one, in the order in which they come
-- surprising: windows give nothing when the input ends (P1)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW named AS SELECT id, k, v, PROCTIME() AS p FROM src WHERE v IS NOT NULL;
CREATE TABLE `first_in` (`id` BIGINT, `k` STRING, `v` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/first_in');
INSERT INTO first_in SELECT id, k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY j ORDER BY pt ASC) AS rn FROM src) WHERE rn = 1;
SELECT k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(pt), INTERVAL '10' DAY)) GROUP BY window_start, window_end, k;
SELECT k, COUNT(*) AS c FROM src GROUP BY TUMBLE(pt, INTERVAL '10' DAY), k;
SELECT k, COUNT(*) AS c FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(pt), INTERVAL '1' DAY)) GROUP BY window_start, window_end, k;
SELECT id, k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt ASC) AS rn FROM src) WHERE rn = 1;
SELECT id, k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt DESC) AS rn FROM src) WHERE rn = 1;
SELECT id, k, v, SUM(v) OVER (PARTITION BY k ORDER BY pt) AS s FROM src;
SELECT id, k, v, SUM(v) OVER (PARTITION BY k ORDER BY pt ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM src;
SELECT id, k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS s FROM named;
SELECT a.id, b.id AS bid FROM src AS a JOIN src AS b ON a.id = b.id AND a.pt BETWEEN b.pt - INTERVAL '1' DAY AND b.pt + INTERVAL '1' DAY;
SELECT id, pt IS NULL AS a, EXTRACT(YEAR FROM pt) > 2020 AS b, CURRENT_TIMESTAMP > TO_TIMESTAMP_LTZ(0, 3) AS c, LOCALTIMESTAMP > ts AS d, CURRENT_DATE > DATE '2020-01-01' AS e, NOW() > TO_TIMESTAMP_LTZ(0, 3) AS f, UNIX_TIMESTAMP() > 1600000000 AS g, CURRENT_ROW_TIMESTAMP() IS NULL AS h FROM src WHERE CURRENT_TIMESTAMP > TO_TIMESTAMP_LTZ(0, 3);
SELECT k, window_time IS NULL AS wt, COUNT(*) AS c FROM TABLE(CUMULATE(TABLE named, DESCRIPTOR(p), INTERVAL '1' DAY, INTERVAL '10' DAY)) GROUP BY window_start, window_end, window_time, k;
SELECT id, window_end > window_start AS w FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(pt), INTERVAL '10' DAY));
SELECT id, k, v, LAG(v) OVER (PARTITION BY k ORDER BY pt) AS l, LAG(id, 2) OVER (PARTITION BY k ORDER BY pt) AS l2 FROM src;
SELECT CURRENT_DATE > DATE '2020-01-01' AS d, k, COUNT(*) AS c, MAX(UNIX_TIMESTAMP()) > 5 AS m FROM src GROUP BY CURRENT_DATE > DATE '2020-01-01', k;
SELECT window_start, COUNT(*) FILTER (WHERE NOW() > TO_TIMESTAMP_LTZ(0, 3)) AS c, COUNT(DISTINCT CURRENT_TIMESTAMP > TO_TIMESTAMP_LTZ(0, 3)) AS n FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
