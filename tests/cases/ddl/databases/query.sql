-- Names with database and catalog: USE, two and three parts in FROM, INSERT, views, columns and window functions
-- surprising: a table's columns are called by its own name, and by database and name
CREATE CATALOG other WITH ('type' = 'generic_in_memory');
CREATE DATABASE shop;
CREATE DATABASE IF NOT EXISTS shop;
CREATE DATABASE other.store;
USE shop;
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW big AS SELECT * FROM src WHERE v > 20;
USE default_catalog.default_database;
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE shop.a (id BIGINT, k STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/a');
USE CATALOG other;
USE store;
CREATE TABLE b (id BIGINT, n BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/b');
CREATE TABLE c (w TIMESTAMP(3), n BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/c');
INSERT INTO default_catalog.shop.a SELECT src.id, default_catalog.shop.src.k FROM default_catalog.shop.src WHERE src.id < 20 UNION ALL SELECT big.id, k FROM default_catalog.shop.big;
INSERT INTO b SELECT s.id, s.v FROM default_catalog.default_database.src AS s WHERE s.id < 10 UNION ALL SELECT default_catalog.default_database.src.id, v FROM default_catalog.default_database.src WHERE id = 11;
INSERT INTO other.store.c SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE default_catalog.default_database.src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
