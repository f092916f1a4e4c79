-- a top-level array gives a row for each element; what ends it, with and without json.ignore-parse-errors; text behind an object
-- surprising: rows before broken text stay (J7)
CREATE TABLE loose (id BIGINT, s STRING, n ROW<x INT>) WITH ('connector'='filesystem','format'='json','json.ignore-parse-errors'='true','path'='${DIR}/in.jsonl');
CREATE TABLE strict (id BIGINT, s STRING, n ROW<x INT>) WITH ('connector'='filesystem','format'='json','path'='${DIR}/strict.jsonl');
CREATE TABLE `lo` (id BIGINT, s STRING, n ROW<x INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lo');
CREATE TABLE `st` (id BIGINT, s STRING, n ROW<x INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/st');
INSERT INTO `lo` SELECT * FROM loose;
INSERT INTO `st` SELECT * FROM strict;
SELECT id FROM loose;
