-- Aggregates of constants: with DISTINCT a constant is one value, in every kind of window, in OVER and without one.
-- surprising: with DISTINCT a constant counts once
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE tum (ws TIMESTAMP(3), k STRING, a BIGINT, b BIGINT, c BIGINT, d INT, e INT, f BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE cum (ws TIMESTAMP(3), we TIMESTAMP(3), a BIGINT, b BIGINT, c BIGINT, d BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE ses (ws TIMESTAMP(3), k STRING, a BIGINT, b BIGINT, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
INSERT INTO tum SELECT window_start, k, COUNT(DISTINCT 't'), COUNT(DISTINCT 1), COUNT(1), SUM(DISTINCT 2), MIN(3), COUNT(DISTINCT 7) FILTER (WHERE v > 0) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO cum SELECT window_start, window_end, COUNT(DISTINCT 't'), COUNT('t'), COUNT(DISTINCT v), COUNT(*) FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
INSERT INTO ses SELECT window_start, k, COUNT(DISTINCT 1.5), COUNT(TRUE), COUNT(DISTINCT k) FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
SELECT k, COUNT(DISTINCT 't') AS a, COUNT(DISTINCT 1) FILTER (WHERE v > 0) AS b, COUNT(1) AS c FROM src GROUP BY k;
