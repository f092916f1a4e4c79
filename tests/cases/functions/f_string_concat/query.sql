-- the || operator, ILIKE, LIKE with a column, comparison with padding
CREATE TABLE src (id BIGINT, s STRING, p STRING, i INT, u STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `cat` (`id` BIGINT, `c1` STRING, `c2` STRING, `c3` STRING, `c4` STRING, `c5` STRING, `c6` BOOLEAN, `c7` CHAR(6), `c8` VARCHAR(4), `c9` CHAR(5), `c10` INT, `c11` BOOLEAN, `c12` CHAR(1), `c13` CHAR(1), `c14` CHAR(4), `c15` STRING, `c16` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cat');
INSERT INTO `cat` SELECT id, s || p AS c1,
  s || '-' || p AS c2,
  '<' || s || '>' AS c3,
  s || CAST(i AS STRING) AS c4,
  CAST(NULL AS STRING) || s AS c5,
  s = p || '' AS c6,
  CAST(s AS CHAR(5)) || '|' AS c7,
  CAST(s AS VARCHAR(3)) || '|' AS c8,
  CAST('ab' AS CHAR(4)) || '|' AS c9,
  CHAR_LENGTH(CAST('ab' AS CHAR(4))) AS c10,
  s LIKE CONCAT('%', p, '%') AS c11,
  _UTF16'ü' AS c12,
  U&'\00fc' AS c13,
  'it''s' AS c14,
  s || CAST(NULL AS STRING) AS c15,
  COALESCE(s, '') || COALESCE(p, '') AS c16
 FROM src;
