-- BYTES, BINARY(4), VARBINARY(4): JSON as base64, casts to and from text, comparison, functions, as keys
-- surprising: BINARY(4) from JSON keeps its length
CREATE TABLE src (id BIGINT, y BYTES, b4 BINARY(4), s STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `same` (`id` BIGINT, `y` BYTES, `b4` BINARY(4), `s` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/same');
CREATE TABLE `casts` (`id` BIGINT, `a` BYTES, `b` BINARY(4), `c` VARBINARY(3), `e` VARBINARY(3), `f` BINARY(6), `g` BYTES, `h` BINARY(2)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/casts');
CREATE TABLE `fn` (`id` BIGINT, `a` STRING, `b` BOOLEAN, `c` STRING, `e` BYTES, `f` BOOLEAN, `g` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fn');
CREATE TABLE `fn3` (`id` BIGINT, `a` STRING, `b` BYTES) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fn3');
CREATE TABLE `fn4` (`id` BIGINT, `a` CHAR(32), `b` CHAR(64)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fn4');
CREATE TABLE `fn5` (`id` BIGINT, `a` INT, `b` STRING, `c` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fn5');
INSERT INTO `same` SELECT * FROM src;
INSERT INTO `casts` SELECT id, CAST(s AS BYTES) AS a, CAST(s AS BINARY(4)) AS b, CAST(s AS VARBINARY(3)) AS c, CAST(y AS VARBINARY(3)) AS e, CAST(y AS BINARY(6)) AS f, CAST(b4 AS BYTES) AS g, X'00FF' AS h FROM src;
INSERT INTO `fn` SELECT id, TO_BASE64(y) AS a, y = CAST('hello' AS BYTES) AS b, DECODE(CAST(s AS BYTES), 'UTF-8') AS c, ENCODE(s, 'UTF-16') AS e, y IS NULL AS f, CAST(CAST(s AS BYTES) AS STRING) AS g FROM src;
INSERT INTO `fn3` SELECT id, HEX(s) AS a, UNHEX(HEX(s)) AS b FROM src;
INSERT INTO `fn4` SELECT id, MD5(y) AS a, SHA256(y) AS b FROM src;
INSERT INTO `fn5` SELECT id, CHAR_LENGTH(CAST(s AS STRING)) AS a, SUBSTRING(s, 1, 2) AS b, y > b4 AS c FROM src;
SELECT TO_BASE64(y) AS y64, COUNT(*) AS c FROM src WHERE id < 30 GROUP BY y;
