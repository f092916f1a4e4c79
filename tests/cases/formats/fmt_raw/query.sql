-- raw format: one STRING or BYTES column a line; raw out
CREATE TABLE src (line STRING) WITH ('connector'='filesystem','format'='raw','path'='${DIR}/in.txt');
CREATE TABLE byt (line BYTES) WITH ('connector'='filesystem','format'='raw','path'='${DIR}/in.txt');
CREATE TABLE `lines` (`line` STRING, `n` INT, `num` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lines');
CREATE TABLE `bytes1` (`line` BYTES) WITH ('connector'='filesystem','format'='json','path'='${OUT}/bytes1');
CREATE TABLE `js` (`j` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/js');
INSERT INTO `lines` SELECT line, CHAR_LENGTH(line) AS n, REGEXP_EXTRACT(line, '([0-9]+)', 1) AS num FROM src;
INSERT INTO `bytes1` SELECT line FROM byt;
INSERT INTO `js` SELECT JSON_VALUE(line, '$.json') AS j FROM src WHERE line IS JSON OBJECT;
CREATE TABLE rawout (x STRING) WITH ('connector'='filesystem','format'='raw','path'='${OUT}/rawout');
INSERT INTO rawout SELECT CONCAT('<', line, '>') FROM src;
