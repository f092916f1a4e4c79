-- json.ignore-parse-errors over many kinds of bad lines and fields
-- surprising: see J6
CREATE TABLE src (id BIGINT, i INT, s STRING, d DOUBLE, ts TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl', 'json.ignore-parse-errors'='true');
CREATE TABLE `all1` (`id` BIGINT, `i` INT, `s` STRING, `d` DOUBLE, `ts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/all1');
CREATE TABLE `cnt` (`id` BIGINT, `a` BOOLEAN, `b` BOOLEAN, `c` BOOLEAN, `e` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cnt');
INSERT INTO `all1` SELECT * FROM src;
INSERT INTO `cnt` SELECT id, i IS NULL AS a, s IS NULL AS b, d IS NULL AS c, ts IS NULL AS e FROM src WHERE id IS NOT NULL;
