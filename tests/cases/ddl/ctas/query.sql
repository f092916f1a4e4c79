-- CREATE TABLE AS SELECT: columns and types of the query, columns of its own, an overridden type, IF NOT EXISTS
-- surprising: IF NOT EXISTS for a table that is there still inserts the rows
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE a WITH ('connector'='filesystem','format'='json','path'='${OUT}/a') AS SELECT id, k AS name, m * 2 AS twice, CAST(ts AS TIMESTAMP(0)) AS t FROM src WHERE id < 5;
CREATE TABLE b (note STRING, v DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/b') AS SELECT id, v FROM src WHERE id < 5;
CREATE TABLE IF NOT EXISTS a WITH ('connector'='filesystem','format'='json','path'='${OUT}/never') AS SELECT id + 200 AS id, k AS name, m * 3 AS twice, CAST(ts AS TIMESTAMP(0)) AS t FROM src WHERE id < 3;
INSERT INTO a SELECT id + 100, 'more', 1.5, TIMESTAMP '2024-01-01 00:00:00' FROM src WHERE id < 3;
