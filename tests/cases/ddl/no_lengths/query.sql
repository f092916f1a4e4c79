-- VARCHAR and VARBINARY without a length are STRING and BYTES, CHAR and BINARY have one character or byte
CREATE TABLE src (a VARCHAR, b CHAR, c VARBINARY, d BINARY, e ARRAY<VARCHAR>, f ROW<x VARCHAR, y CHAR>, g ROW<p INT ARRAY, q MAP<STRING, INT ARRAY>>) WITH ('connector'='datagen','number-of-rows'='2','fields.a.length'='7');
SELECT a, b, c, d, g FROM src WHERE FALSE;
SELECT CAST(12345 AS VARCHAR), CAST('abc' AS CHAR), CAST(TRUE AS VARCHAR), TRY_CAST(12345 AS CHAR), CHAR_LENGTH(a) FROM src;
