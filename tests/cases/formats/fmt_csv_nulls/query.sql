-- csv with an empty null-literal: empty fields are NULL, also in text
CREATE TABLE src (id BIGINT, s STRING, m DECIMAL(10,2), b BOOLEAN, ts TIMESTAMP(3), dt DATE, tm TIME) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/in.csv', 'csv.null-literal'='');
CREATE TABLE `json1` (`id` BIGINT, `s` STRING, `m` DECIMAL(10, 2), `b` BOOLEAN, `ts` TIMESTAMP(3), `dt` DATE, `tm` TIME(0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/json1');
INSERT INTO `json1` SELECT * FROM src;
CREATE TABLE csv1 (id BIGINT, s STRING, m DECIMAL(10,2), b BOOLEAN, ts TIMESTAMP(3), dt DATE, tm TIME) WITH ('connector'='filesystem','format'='csv','path'='${OUT}/csv1', 'csv.null-literal'='NIL');
INSERT INTO csv1 SELECT * FROM src;
