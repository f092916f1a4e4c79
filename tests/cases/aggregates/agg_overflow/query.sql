-- SUM, AVG, MIN, MAX at the limits of every numeric type: wrap-around, infinity, DECIMAL(38) overflow to NULL
-- surprising: DECIMAL(38) SUM restarts after an overflow (A1)
-- differs from Flink: cnts: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: decs: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: flts: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: hopi: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: ints: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: m38: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
-- differs from Flink: select_1: SUM(DECIMAL) beyond 38 digits is NULL whatever the order; Flink's begins again with the next row
CREATE TABLE src (id BIGINT, k STRING, t TINYINT, si SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, m5 DECIMAL(5,2), m38 DECIMAL(38,0), m18 DECIMAL(38,18), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `ints` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` TINYINT, `b` TINYINT, `c` SMALLINT, `e` SMALLINT, `f` INT, `g` INT, `h` BIGINT, `l` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ints');
CREATE TABLE `decs` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DECIMAL(38, 2), `b` DECIMAL(38, 6), `e` DECIMAL(38, 18), `f` DECIMAL(38, 18), `g` DECIMAL(38, 0), `h` DECIMAL(38, 18)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/decs');
CREATE TABLE `m38` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` DECIMAL(38, 0), `b` DECIMAL(38, 6)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/m38');
CREATE TABLE `hopi` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` TINYINT, `b` SMALLINT, `c` INT, `e` BIGINT, `f` BIGINT, `g` DECIMAL(38, 2), `h` DECIMAL(38, 0)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hopi');
CREATE TABLE `flts` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` FLOAT, `b` FLOAT, `c` DOUBLE, `e` DOUBLE, `g` FLOAT, `h` DOUBLE, `i` DOUBLE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/flts');
CREATE TABLE `cnts` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `a` BIGINT, `b` BIGINT, `c` BIGINT, `e` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cnts');
INSERT INTO `ints` SELECT window_start AS ws, window_end AS we, k, SUM(t) AS a, AVG(t) AS b, SUM(si) AS c, AVG(si) AS e, SUM(i) AS f, AVG(i) AS g, SUM(l) AS h, AVG(l) AS l FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `decs` SELECT window_start AS ws, window_end AS we, k, SUM(m5) AS a, AVG(m5) AS b, SUM(m18) AS e, AVG(m18) AS f, MIN(m38) AS g, MAX(m18) AS h FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `m38` SELECT window_start AS ws, window_end AS we, k, SUM(m38) AS a, AVG(m38) AS b FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hopi` SELECT window_start AS ws, window_end AS we, k, SUM(t) AS a, AVG(si) AS b, SUM(i) AS c, SUM(l) AS e, AVG(l) AS f, SUM(m5) AS g, SUM(m38) AS h FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `flts` SELECT window_start AS ws, window_end AS we, k, MIN(f) AS a, MAX(f) AS b, MIN(d) AS c, MAX(d) AS e, SUM(f) AS g, SUM(d) AS h, AVG(d) AS i FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cnts` SELECT window_start AS ws, window_end AS we, COUNT(DISTINCT d) AS a, COUNT(DISTINCT m5) AS b, COUNT(DISTINCT m38) AS c, COUNT(DISTINCT t) AS e FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end;
SELECT k, SUM(t) AS a, AVG(i) AS b, SUM(l) AS c, SUM(m38) AS e FROM src WHERE id < 24 GROUP BY k;
