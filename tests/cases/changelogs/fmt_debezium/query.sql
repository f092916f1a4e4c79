-- debezium-json: changes of a table with their images before and after, with the schema around them, and ones that cannot be read
CREATE TABLE src (id BIGINT, name STRING, w DOUBLE, `at` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='debezium-json','path'='${DIR}/in.jsonl');
CREATE TABLE with_schema (id BIGINT, name STRING, w DOUBLE, `at` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='debezium-json','path'='${DIR}/schema.jsonl', 'debezium-json.schema-include'='true', 'debezium-json.timestamp-format.standard'='ISO-8601');
CREATE TABLE bad (id BIGINT, name STRING, w DOUBLE) WITH ('connector'='filesystem','format'='debezium-json','path'='${DIR}/bad.jsonl', 'debezium-json.ignore-parse-errors'='true');
SELECT * FROM src;
SELECT name, COUNT(*) AS n, SUM(w) AS w, MAX(id) AS id FROM src GROUP BY name;
SELECT id, w * 2 AS w2 FROM src WHERE w > 1;
SELECT * FROM with_schema;
SELECT * FROM bad;
