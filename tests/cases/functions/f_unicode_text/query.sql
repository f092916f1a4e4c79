-- U&'...' with escapes of UTF-16, UESCAPE with another character, in comparisons and keys
-- surprising: escapes are UTF-16
CREATE TABLE src (id BIGINT, k STRING, s STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
SELECT id, U&'\0041b\00e9' AS a, U&'!0041b' UESCAPE '!' AS b, U&'it''s \\ ok' AS c, U&'\d83d\de00' AS d, U&'a''!0041\b' UESCAPE '!' AS e, u&'x\0041' AS f, U&'x\00e9\\0041' AS g, U&'!!' UESCAPE '!' AS h FROM src WHERE id < 3;
SELECT id, s = U&'\65e5\672c' AS a, CHAR_LENGTH(U&'\0041b\00e9') AS b, s || U&'\002d' AS c, s LIKE U&'\0047%' AS d, CASE WHEN s IN (U&'Gr\00fcn', 'red') THEN U&'#2713' UESCAPE '#' ELSE U&'' END AS e FROM src;
