-- (without Top-N over raw rows, which is not supported yet)
-- window Top-N over a window aggregate; nulls: ORDER BY x DESC puts NULL last, ASC puts NULL first
CREATE TABLE src (raceId BIGINT, racerId BIGINT, p BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE out1 (ws TIMESTAMP(3), we TIMESTAMP(3), raceId BIGINT, racerId BIGINT, total BIGINT, rn BIGINT)
WITH ('connector'='filesystem','format'='json','path'='${OUT}/out1');
CREATE TABLE out2 (ws TIMESTAMP(3), we TIMESTAMP(3), raceId BIGINT, racerId BIGINT, total BIGINT)
WITH ('connector'='filesystem','format'='json','path'='${OUT}/asc_no_rank');
CREATE VIEW agg AS SELECT window_start, window_end, raceId, racerId, SUM(p) AS total
FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, raceId, racerId;
INSERT INTO out1 SELECT window_start, window_end, raceId, racerId, total, rn FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, raceId ORDER BY total DESC, racerId ASC) AS rn FROM agg) WHERE rn <= 3;
INSERT INTO out2 SELECT window_start, window_end, raceId, racerId, total FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, raceId ORDER BY total ASC, racerId DESC) AS rn FROM agg) WHERE rn <= 2;
