-- json.timestamp-format.standard ISO-8601 in and out, plain decimals, null fields left out
CREATE TABLE src (id BIGINT, s STRING, m DECIMAL(20,5), ts TIMESTAMP(3), z TIMESTAMP_LTZ(3), mp MAP<STRING, INT>, o STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl', 'json.timestamp-format.standard'='ISO-8601');
CREATE TABLE `sql1` (`id` BIGINT, `s` STRING, `m` DECIMAL(20, 5), `ts` TIMESTAMP(3), `z` TIMESTAMP(3) WITH LOCAL TIME ZONE, `mp` MAP<STRING, INT>, `o` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sql1');
CREATE TABLE `iso` (`id` BIGINT, `s` STRING, `m` DECIMAL(20, 5), `ts` TIMESTAMP(3), `z` TIMESTAMP(3) WITH LOCAL TIME ZONE, `mp` MAP<STRING, INT>, `o` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/iso', 'json.timestamp-format.standard'='ISO-8601');
CREATE TABLE `plain` (`id` BIGINT, `m` DECIMAL(20, 5), `m2` DECIMAL(31, 5)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/plain', 'json.encode.decimal-as-plain-number'='true');
CREATE TABLE `nonull` (`id` BIGINT, `s` STRING, `m` DECIMAL(20, 5), `ts` TIMESTAMP(3), `z` TIMESTAMP(3) WITH LOCAL TIME ZONE, `mp` MAP<STRING, INT>, `o` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nonull', 'json.encode.ignore-null-fields'='true');
CREATE TABLE `nullmap` (`id` BIGINT, `mp` MAP<STRING, BIGINT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nullmap', 'json.map-null-key.mode'='LITERAL', 'json.map-null-key.literal'='none');
CREATE TABLE `dropmap` (`id` BIGINT, `mp` MAP<STRING, BIGINT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dropmap', 'json.map-null-key.mode'='DROP');
INSERT INTO `sql1` SELECT * FROM src;
INSERT INTO `iso` SELECT * FROM src;
INSERT INTO `plain` SELECT id, m, m * 1000000 AS m2 FROM src;
INSERT INTO `nonull` SELECT * FROM src;
INSERT INTO `nullmap` SELECT id, MAP[s, id] AS mp FROM src;
INSERT INTO `dropmap` SELECT id, MAP[s, id] AS mp FROM src;
