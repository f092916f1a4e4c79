-- LAG drops rows at and behind the watermark
-- surprising: a row at the watermark is dropped
SET 'table.local-time-zone' = 'Australia/Lord_Howe';
CREATE TABLE t2 (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' MINUTE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/t2.jsonl');
CREATE TABLE res (`id` BIGINT, `k` STRING, `j` INT, `v` BIGINT, `b` BOOLEAN, `ts` TIMESTAMP(3), `a0` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/res');
INSERT INTO `res` SELECT id, k, j, v, b, ts, LAG(s) OVER (PARTITION BY j, b ORDER BY ts) AS a0 FROM t2;
SELECT COUNT(*) AS c FROM t2;
