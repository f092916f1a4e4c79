-- NaN and -0.0 as keys of groups, of DISTINCT and of joins, and in MIN and MAX
-- surprising: NaN is one key, the zeros are two (F18)
CREATE TABLE src (id BIGINT, k STRING, d DOUBLE, f FLOAT, ts AS TO_TIMESTAMP_LTZ(id * 1000 + 1000, 3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT d, COUNT(*) AS n, COUNT(DISTINCT f) AS u FROM src GROUP BY d;
SELECT k, COUNT(DISTINCT d) AS u, COUNT(DISTINCT d - d) AS z FROM src GROUP BY k;
SELECT k, MIN(d) AS lo, MAX(d) AS hi, MIN(f) AS lf, MAX(f) AS hf FROM src WHERE k IN ('a', 'd', 'e') GROUP BY k;
SELECT a.id AS i, b.id AS j FROM src a JOIN src b ON a.d = b.d AND a.ts = b.ts;
SELECT a.id AS i, b.id AS j FROM src a JOIN src b ON a.d = b.d AND a.k = b.k AND a.ts BETWEEN b.ts - INTERVAL '1' MINUTE AND b.ts + INTERVAL '1' MINUTE;
SELECT a.id AS i, b.id AS j FROM src a JOIN src b ON a.k = b.k AND a.d < b.d AND a.ts BETWEEN b.ts - INTERVAL '1' MINUTE AND b.ts + INTERVAL '1' MINUTE;
SELECT window_start, d, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, d;
SELECT window_start, k, COUNT(DISTINCT d) AS u, MIN(d) FILTER (WHERE k IN ('a', 'd', 'e')) AS lo, MAX(d) FILTER (WHERE k IN ('a', 'd', 'e')) AS hi FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;
SELECT k, COUNT(*) FILTER (WHERE d > 1) AS n, SUM(CASE WHEN d <> 2.5e0 THEN 1 ELSE 0 END) AS m FROM src WHERE k <> 'b' GROUP BY k HAVING MAX(d) > 1 OR COUNT(*) > 2;
