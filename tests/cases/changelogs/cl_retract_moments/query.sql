-- STDDEV, VARIANCE and PERCENTILE that take rows back: over a GROUP BY and over keep-last deduplication, DISTINCT, FILTER
-- surprising: equal deviations are sent again; rounding leaves NULL (C7)
-- differs from Flink: select_1: of equal values: rounding leaves Flink a sum of squares below 0, and it gives NULL; ours is 0
-- differs from Flink: select_2: of equal values: rounding leaves Flink a sum of squares below 0, and it gives NULL; ours is 0
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, j, NULLIF(COUNT(*), 0) AS c, SUM(v) AS sv, SUM(d) AS sd, SUM(m) AS sm, MAX(s) AS ms FROM src GROUP BY k, j;
CREATE VIEW l AS SELECT id, k, j, v, d, m, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, j ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
SELECT k, STDDEV_POP(c) AS a, STDDEV_SAMP(c) AS b, VAR_POP(c) AS d, VAR_SAMP(c) AS e FROM q GROUP BY k;
SELECT k, STDDEV_POP(CAST(c AS DOUBLE)) AS a, STDDEV_SAMP(CAST(c AS DOUBLE)) AS b, VAR_POP(CAST(c AS DOUBLE)) AS d, VAR_SAMP(CAST(c AS DOUBLE)) AS e FROM q GROUP BY k;
SELECT k, STDDEV_POP(sm) AS a, VAR_SAMP(sm) AS b FROM q GROUP BY k;
SELECT k, VAR_POP(DISTINCT c) AS a, STDDEV_SAMP(sv) FILTER (WHERE c > 1) AS b FROM q GROUP BY k;
SELECT STDDEV_POP(v) AS a, VAR_POP(m) AS b FROM l;
SELECT MOD(c, 2) AS p, VAR_SAMP(sd) AS a FROM q GROUP BY MOD(c, 2);
SELECT k, PERCENTILE(c, 0.5) AS a, PERCENTILE(sv, ARRAY[0.25, 0.75]) AS b, PERCENTILE(sm, 0.9) FILTER (WHERE c > 1) AS d FROM q GROUP BY k;
SELECT PERCENTILE(DISTINCT v, 0.5) AS a, PERCENTILE(d, 0.3) AS b FROM l;
SELECT k, PERCENTILE(sv, 0.5, c) AS a FROM q GROUP BY k;
