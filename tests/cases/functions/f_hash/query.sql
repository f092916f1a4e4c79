-- hash functions of text and of bytes
CREATE TABLE src (id BIGINT, s STRING, n INT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `hash` (`id` BIGINT, `c1` CHAR(32), `c2` CHAR(40), `c3` CHAR(56), `c4` CHAR(64), `c5` CHAR(96), `c6` CHAR(128), `c7` VARCHAR(128), `c8` VARCHAR(128), `c9` VARCHAR(128), `c10` VARCHAR(128), `c11` CHAR(32), `c12` CHAR(32), `c13` CHAR(32)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hash');
INSERT INTO `hash` SELECT id, MD5(s) AS c1,
  SHA1(s) AS c2,
  SHA224(s) AS c3,
  SHA256(s) AS c4,
  SHA384(s) AS c5,
  SHA512(s) AS c6,
  SHA2(s, 256) AS c7,
  SHA2(s, 512) AS c8,
  SHA2(s, 224) AS c9,
  SHA2(s, 384) AS c10,
  MD5(CAST(n AS STRING)) AS c11,
  MD5(CAST(s AS BYTES)) AS c12,
  MD5(ENCODE(s, 'UTF-8')) AS c13
 FROM src;
