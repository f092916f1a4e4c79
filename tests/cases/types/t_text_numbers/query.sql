-- text beside numbers: read as a BIGINT or what holds one where it is asked which is larger, in IN with constants one takes the other's type
-- surprising: '=' and '<>' do not take them, '<' does; '9.5' > 9 is false beside an INT, and '1000' > a TINYINT is true
CREATE TABLE src (id BIGINT, s STRING, c CHAR(2), t TINYINT, i INT, b BIGINT, f FLOAT, d DOUBLE, dc DECIMAL(10,2)) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `orders` (`id` BIGINT, `t` BOOLEAN, `i` BOOLEAN, `b` BOOLEAN, `f` BOOLEAN, `d` BOOLEAN, `dc` BOOLEAN, `c` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/orders');
CREATE TABLE `constants` (`id` BIGINT, `g` BOOLEAN, `h` BOOLEAN, `l` BOOLEAN, `n` BOOLEAN, `o` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/constants');
CREATE TABLE `ranges` (`id` BIGINT, `a` BOOLEAN, `e` BOOLEAN, `g` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ranges');
CREATE TABLE `lists` (`id` BIGINT, `a` BOOLEAN, `e` BOOLEAN, `g` BOOLEAN, `h` BOOLEAN, `l` BOOLEAN) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lists');
INSERT INTO `orders` SELECT id, s > t AS t, s > i AS i, b >= s AS b, s < f AS f, s <= d AS d, s >= dc AS dc, c > i AS c FROM src;
INSERT INTO `constants` SELECT id, s > 5 AS g, s > 5.5 AS h, s < 3000000000 AS l, i > '5' AS n, CAST('7' AS CHAR(1)) > i AS o FROM src;
INSERT INTO `ranges` SELECT id, s BETWEEN 1 AND 10 AS a, i BETWEEN '1' AND s AS e, s NOT BETWEEN i AND 5.5 AS g FROM src;
INSERT INTO `lists` SELECT id, s IN (1, 10) AS a, i IN ('1', '10.0', ' 2') AS e, s NOT IN (1, 10) AS g, s IN (9.5, 2.0) AS h, dc IN ('10', '9.50') AS l FROM src;
SELECT x.id, y.id AS other FROM src AS x JOIN src AS y ON x.s > y.i AND x.id = y.id;
SELECT COUNT(*) AS n FROM src GROUP BY t HAVING MAX(s) > 5;
SELECT id FROM src WHERE s >= 9;
