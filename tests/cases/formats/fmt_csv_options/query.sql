-- csv options: field-delimiter, quote-character, null-literal, array-element-delimiter, escape-character, allow-comments, disable-quote-character
CREATE TABLE src (id BIGINT, s STRING, d DOUBLE, ta ARRAY<STRING>, na ARRAY<INT>) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/in.csv', 'csv.field-delimiter'=';', 'csv.quote-character'='''', 'csv.null-literal'='NULL', 'csv.array-element-delimiter'='|', 'csv.escape-character'='\', 'csv.allow-comments'='true');
CREATE TABLE `json1` (`id` BIGINT, `s` STRING, `d` DOUBLE, `ta` ARRAY<STRING>, `na` ARRAY<INT>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/json1');
INSERT INTO `json1` SELECT * FROM src;
CREATE TABLE tabbed (id BIGINT, s STRING, d DOUBLE, ta ARRAY<STRING>, na ARRAY<INT>) WITH ('connector'='filesystem','format'='csv','path'='${OUT}/tabbed', 'csv.field-delimiter'='\t', 'csv.null-literal'='-', 'csv.array-element-delimiter'='+');
INSERT INTO tabbed SELECT * FROM src;
CREATE TABLE noquote (id BIGINT, s STRING) WITH ('connector'='filesystem','format'='csv','path'='${OUT}/noquote', 'csv.disable-quote-character'='true', 'csv.field-delimiter'='|');
INSERT INTO noquote SELECT id, s FROM src WHERE s IS NULL OR s NOT LIKE '%|%';
