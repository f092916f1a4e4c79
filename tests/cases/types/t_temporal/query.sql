-- DATE, TIME, TIMESTAMP(0..9), TIMESTAMP_LTZ(0..9): read, kept, cast, compared, aggregated
-- differs from Flink: same: a TIMESTAMP(n) keeps n digits; Flink's JSON reader keeps as many as the text has
-- differs from Flink: iso: a TIMESTAMP(n) keeps n digits; Flink's JSON reader keeps as many as the text has
-- differs from Flink: casts: a TIMESTAMP(n) keeps n digits; Flink's JSON reader keeps as many as the text has
-- differs from Flink: cmp: a TIMESTAMP(n) keeps n digits; Flink's JSON reader keeps as many as the text has
-- differs from Flink: select_2: a TIMESTAMP(n) keeps n digits; Flink's JSON reader keeps as many as the text has
-- differs from Flink: select_1: TIME is printed with its seconds; recorded is Java's text, which leaves 00 out
CREATE TABLE src (id BIGINT, t0 TIMESTAMP(0), t1 TIMESTAMP(1), t3 TIMESTAMP(3), t6 TIMESTAMP(6), t9 TIMESTAMP(9), z TIMESTAMP_LTZ(9), dt DATE, tm TIME) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `same` (`id` BIGINT, `t0` TIMESTAMP(0), `t1` TIMESTAMP(1), `t3` TIMESTAMP(3), `t6` TIMESTAMP(6), `t9` TIMESTAMP(9), `z` TIMESTAMP(9) WITH LOCAL TIME ZONE, `dt` DATE, `tm` TIME(0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/same');
CREATE TABLE `casts` (`id` BIGINT, `a` TIMESTAMP(3), `b` TIMESTAMP(0), `c` TIMESTAMP(6), `e` TIMESTAMP(9), `f` TIMESTAMP(3) WITH LOCAL TIME ZONE, `g` TIMESTAMP(6), `h` TIMESTAMP(0) WITH LOCAL TIME ZONE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/casts');
CREATE TABLE `text` (`id` BIGINT, `a` STRING, `b` STRING, `c` STRING, `e` STRING, `f` STRING, `g` STRING, `h` STRING, `l` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/text');
CREATE TABLE `cmp` (`id` BIGINT, `a` BOOLEAN, `b` BOOLEAN, `c` BOOLEAN, `e` TIMESTAMP(9), `f` BIGINT, `g` BIGINT, `h` TIMESTAMP(9), `l` INT, `n` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cmp');
CREATE TABLE `iso` (`id` BIGINT, `t0` TIMESTAMP(0), `t1` TIMESTAMP(1), `t3` TIMESTAMP(3), `t6` TIMESTAMP(6), `t9` TIMESTAMP(9), `z` TIMESTAMP(9) WITH LOCAL TIME ZONE, `dt` DATE, `tm` TIME(0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/iso', 'json.timestamp-format.standard'='ISO-8601');
INSERT INTO `same` SELECT * FROM src;
INSERT INTO `casts` SELECT id, CAST(t9 AS TIMESTAMP(3)) AS a, CAST(t9 AS TIMESTAMP(0)) AS b, CAST(t9 AS TIMESTAMP(6)) AS c, CAST(t0 AS TIMESTAMP(9)) AS e, CAST(z AS TIMESTAMP_LTZ(3)) AS f, CAST(z AS TIMESTAMP(6)) AS g, CAST(t9 AS TIMESTAMP_LTZ(0)) AS h FROM src;
INSERT INTO `text` SELECT id, CAST(t0 AS STRING) AS a, CAST(t1 AS STRING) AS b, CAST(t3 AS STRING) AS c, CAST(t6 AS STRING) AS e, CAST(t9 AS STRING) AS f, CAST(z AS STRING) AS g, CAST(dt AS STRING) AS h, CAST(tm AS STRING) AS l FROM src;
INSERT INTO `cmp` SELECT id, t9 = t3 AS a, t9 > t6 AS b, t0 < t9 AS c, t9 + INTERVAL '0.001' SECOND AS e, EXTRACT(MICROSECOND FROM t9) AS f, EXTRACT(NANOSECOND FROM t9) AS g, FLOOR(t9 TO SECOND) AS h, TIMESTAMPDIFF(SECOND, t0, t9) AS l, t6 = TIMESTAMP '2024-02-29 12:34:56.123456' AS n FROM src;
INSERT INTO `iso` SELECT * FROM src;
SELECT MIN(t9) AS a, MAX(t9) AS b, MIN(z) AS c, MAX(dt) AS e, MIN(tm) AS f, COUNT(DISTINCT t3) AS g FROM src WHERE id < 30;
SELECT DISTINCT t1, t6 FROM src WHERE id < 30;
