-- csv.ignore-parse-errors over bad fields, missing and surplus columns
-- surprising: surplus columns drop the row, missing ones are NULL (J1)
CREATE TABLE src (id BIGINT, i INT, s STRING) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/in.csv', 'csv.ignore-parse-errors'='true');
CREATE TABLE `json1` (`id` BIGINT, `i` INT, `s` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/json1');
INSERT INTO `json1` SELECT * FROM src;
