-- INSERT INTO t (columns): the others are NULL, order by name; VALUES; implicit casts; several INSERTs into one sink
-- surprising: missing columns NULL
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE a (id BIGINT, k STRING, v DOUBLE, note STRING, n INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/a');
CREATE TABLE b (x INT, y STRING, z DECIMAL(5,1)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/b');
CREATE TABLE c (id BIGINT, d DECIMAL(20,4), f DOUBLE, s STRING, t TIMESTAMP(6)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/c');
CREATE TABLE p (k STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/p');
INSERT INTO a (note, id, v) SELECT s, id, v FROM src;
INSERT INTO a (k, id) VALUES ('lit', 1), (CAST(NULL AS STRING), 2), ('third', 3);
INSERT INTO b VALUES (1, 'a', 1.25), (2, CAST(NULL AS STRING), -0.05), (CAST(NULL AS INT), 'long text', 9999.9);
INSERT INTO b (z, x) VALUES (7.77, 5);
INSERT INTO c SELECT id, m, v, k, ts FROM src;
INSERT INTO p SELECT 'v', x FROM (VALUES (1), (2), (3)) AS t (x);
INSERT INTO p SELECT t.n, t.x * 2 FROM (VALUES (1, 'a'), (2, 'b')) AS t (x, n);
