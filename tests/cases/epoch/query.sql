-- (without HOP, which is not supported yet)
-- negative event times, window offset (positive, negative), windows not dividing an hour
CREATE TABLE src (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE o1 (ws TIMESTAMP(3), we TIMESTAMP(3), s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tumble10');
CREATE TABLE o2 (ws TIMESTAMP(3), we TIMESTAMP(3), s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tumble10_off3');
CREATE TABLE o3 (ws TIMESTAMP(3), we TIMESTAMP(3), s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tumble7_offneg2');
CREATE TABLE o5 (ws TIMESTAMP(3), we TIMESTAMP(3), s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cumulate5_10');
INSERT INTO o1 SELECT window_start, window_end, SUM(v) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO o2 SELECT window_start, window_end, SUM(v) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND)) GROUP BY window_start, window_end;
INSERT INTO o3 SELECT window_start, window_end, SUM(v) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '-2' SECOND)) GROUP BY window_start, window_end;
INSERT INTO o5 SELECT window_start, window_end, SUM(v) FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
