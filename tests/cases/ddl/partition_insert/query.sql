-- INSERT INTO t PARTITION (k = v): columns that are the same in all rows, beside those of the query and named ones
-- surprising: a number is written into a STRING column, and text into an INT one
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE a (id BIGINT, k STRING, dy STRING, n INT) PARTITIONED BY (dy, n) WITH ('connector'='filesystem','format'='json','path'='${OUT}/a');
CREATE TABLE b (dy STRING, id BIGINT, k STRING) PARTITIONED BY (dy) WITH ('connector'='filesystem','format'='json','path'='${OUT}/b');
INSERT INTO a PARTITION (dy = '2024-01-01', n = 7) SELECT id, k FROM src WHERE id < 4;
INSERT INTO a PARTITION (n = 8) SELECT id, k, 'x' FROM src WHERE id < 4;
INSERT INTO b PARTITION (dy = 'y') (id) SELECT id FROM src WHERE id < 4;
INSERT INTO b PARTITION (dy = 'z') SELECT id, k FROM src WHERE id < 4;
