CREATE TABLE t (id BIGINT, k STRING, i INT, d DOUBLE, m DECIMAL(10,2), b BOOLEAN, dt DATE, tm TIME, by BYTES, r ROW<a INT, q ROW<c STRING>>, ar ARRAY<INT>, mp MAP<STRING, INT>, ts TIMESTAMP(3), l TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE u (id BIGINT, k STRING, ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE s (id BIGINT, k STRING NOT NULL, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='out');
CREATE VIEW v AS SELECT id, k FROM t;
