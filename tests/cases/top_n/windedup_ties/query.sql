-- window deduplication, last row: of rows of the same time the one that came last
SET 'table.local-time-zone' = 'UTC';
CREATE TABLE z0 (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/z0.jsonl');
SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY ts DESC) AS rn FROM TABLE(TUMBLE(TABLE z0, DESCRIPTOR(ts), INTERVAL '8' SECOND))) WHERE rn = 1;
