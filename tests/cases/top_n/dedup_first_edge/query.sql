-- the first row of a key by rowtime, rows exactly at the watermark; then sessions
-- surprising: a row at the watermark is taken
SET 'table.local-time-zone' = 'Australia/Lord_Howe';
CREATE TABLE z1 (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '2' MINUTE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/z1.jsonl');
CREATE VIEW q2v0 AS SELECT id, k, j, v, d, m, s, b, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s, k ORDER BY ts ASC) AS rn FROM z1) WHERE rn = 1;
CREATE TABLE res (`window_start` TIMESTAMP(3), `window_end` TIMESTAMP(3), `k` STRING, `a0` VARCHAR(2000)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/res');
INSERT INTO `res` SELECT * FROM (SELECT window_start, window_end, k, JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE j) AS a0 FROM TABLE(SESSION(TABLE q2v0 PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' MINUTE)) GROUP BY window_start, window_end, k HAVING COUNT(j) >= 2 AND MIN(j) < 5) AS outermost;
