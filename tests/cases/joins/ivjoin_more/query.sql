-- interval joins with asymmetric, strict and negative bounds, two keys, further conditions, in WHERE
CREATE TABLE l (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/l.jsonl');
CREATE TABLE r (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/r.jsonl');
CREATE TABLE `after` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/after');
CREATE TABLE `before` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/before');
CREATE TABLE `eq` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/eq');
CREATE TABLE `wher` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wher');
CREATE TABLE `leftc` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/leftc');
CREATE TABLE `fullc` (`lid` BIGINT, `rid` BIGINT, `lk` STRING, `rk` STRING, `lts` TIMESTAMP(3), `rts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/fullc');
CREATE TABLE `proj` (`k` STRING, `t` BIGINT, `dt` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/proj');
INSERT INTO `after` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L JOIN r R ON L.k = R.k AND R.ts >= L.ts AND R.ts < L.ts + INTERVAL '5' SECOND;
INSERT INTO `before` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L JOIN r R ON L.k = R.k AND R.ts BETWEEN L.ts - INTERVAL '10' SECOND AND L.ts - INTERVAL '2' SECOND;
INSERT INTO `eq` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L JOIN r R ON L.k = R.k AND L.ts = R.ts;
INSERT INTO `wher` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L, r R WHERE L.k = R.k AND L.j = R.j AND L.ts > R.ts - INTERVAL '8' SECOND AND L.ts < R.ts + INTERVAL '8' SECOND AND L.v > R.v;
INSERT INTO `leftc` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L LEFT JOIN r R ON L.k = R.k AND L.ts BETWEEN R.ts - INTERVAL '4' SECOND AND R.ts + INTERVAL '6' SECOND AND R.v > 30;
INSERT INTO `fullc` SELECT L.id AS lid, R.id AS rid, L.k AS lk, R.k AS rk, CAST(L.ts AS TIMESTAMP(3)) AS lts, CAST(R.ts AS TIMESTAMP(3)) AS rts FROM l L FULL JOIN r R ON L.k = R.k AND L.ts BETWEEN R.ts - INTERVAL '4' SECOND AND R.ts + INTERVAL '6' SECOND AND L.v > R.v;
INSERT INTO `proj` SELECT UPPER(L.k) AS k, L.v + R.v AS t, TIMESTAMPDIFF(SECOND, L.ts, R.ts) AS dt FROM l L JOIN r R ON L.k = R.k AND L.ts BETWEEN R.ts - INTERVAL '4' SECOND AND R.ts + INTERVAL '6' SECOND WHERE L.b;
CREATE TABLE `nokey` (`k` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nokey');
INSERT INTO `nokey` SELECT L.k FROM l L JOIN r R ON L.ts BETWEEN R.ts AND R.ts + INTERVAL '1' SECOND;
