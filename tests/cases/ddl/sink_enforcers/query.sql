-- NOT NULL sinks with DROP, text cut or padded to the length of the column
SET 'table.exec.sink.not-null-enforcer' = 'DROP';
SET 'table.exec.sink.type-length-enforcer' = 'TRIM_PAD';
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE nn (id BIGINT, k STRING NOT NULL, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nn');
CREATE TABLE nn2 (id BIGINT, k STRING NOT NULL, v BIGINT NOT NULL) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nn2');
CREATE TABLE len (id BIGINT, s CHAR(4), s2 VARCHAR(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/len');
INSERT INTO nn SELECT id, k, v FROM src;
INSERT INTO nn2 SELECT id, k, v FROM src;
INSERT INTO len SELECT id, CAST(s AS CHAR(6)), CAST(s AS VARCHAR(6)) FROM src;
