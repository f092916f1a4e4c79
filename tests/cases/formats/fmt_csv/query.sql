-- csv read and written with default options: quotes, empty fields, unicode, every scalar type
-- surprising: an empty field of a number fails without null-literal (J1)
CREATE TABLE src (id BIGINT, s STRING, m DECIMAL(10,2), b BOOLEAN, ts TIMESTAMP(3), dt DATE, tm TIME) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/in.csv');
CREATE TABLE `json1` (`id` BIGINT, `s` STRING, `m` DECIMAL(10, 2), `b` BOOLEAN, `ts` TIMESTAMP(3), `dt` DATE, `tm` TIME(0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/json1');
CREATE TABLE `agg` (`id` BIGINT, `s` STRING, `l` INT, `n` BOOLEAN, `mn` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/agg');
INSERT INTO `json1` SELECT * FROM src;
INSERT INTO `agg` SELECT id, s, CHAR_LENGTH(s) AS l, s IS NULL AS n, m IS NULL AS mn FROM src;
CREATE TABLE csv1 (id BIGINT, s STRING, m DECIMAL(10,2), b BOOLEAN, ts TIMESTAMP(3), dt DATE, tm TIME) WITH ('connector'='filesystem','format'='csv','path'='${OUT}/csv1');
INSERT INTO csv1 SELECT * FROM src;
