-- ARRAY and ROW as keys of windows, DISTINCT over them, a Top-N whose rows hold nested values
CREATE TABLE src (id BIGINT, k STRING, r ROW<p INT, q ROW<x STRING, y ARRAY<INT>>>, ar ARRAY<ROW<p INT, q STRING>>, mp MAP<STRING, ROW<p INT, q STRING>>, aa ARRAY<ARRAY<INT>>, tags ARRAY<STRING>, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TEMPORARY VIEW v AS SELECT r.q AS q, aa, ts FROM src;
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `tags` ARRAY<STRING>, `c` BIGINT, `s` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hops` (`ws` TIMESTAMP(3), `q` ROW<`x` STRING, `y` ARRAY<INT>>, `aa` ARRAY<ARRAY<INT>>, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hops');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `ar` ARRAY<ROW<`p` INT, `q` STRING>>, `c` BIGINT, `mi` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `dst` (`ws` TIMESTAMP(3), `k` STRING, `dt` BIGINT, `dr` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
CREATE TABLE `top` (`ws` TIMESTAMP(3), `k` STRING, `tags` ARRAY<STRING>, `aa` ARRAY<ARRAY<INT>>, `c` BIGINT, `mi` BIGINT, `m` MAP<STRING, BIGINT>, `rn` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/top');
INSERT INTO `tum` SELECT window_start AS ws, tags, COUNT(*) AS c, SUM(r.p) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, tags;
INSERT INTO `hops` SELECT window_start AS ws, q, aa, COUNT(*) AS c FROM TABLE(HOP(TABLE v, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, q, aa;
INSERT INTO `ses` SELECT window_start AS ws, ar, COUNT(*) AS c, MIN(id) AS mi FROM TABLE(SESSION(TABLE src PARTITION BY ar, DESCRIPTOR(ts), INTERVAL '2' SECOND)) GROUP BY window_start, window_end, ar;
INSERT INTO `dst` SELECT window_start AS ws, k, COUNT(DISTINCT tags) AS dt, COUNT(DISTINCT r.q.y) AS dr FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `top` SELECT ws, k, tags, aa, c, mi, m, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY c DESC, mi) AS rn FROM (SELECT window_start AS ws, window_start, window_end, k, tags, aa, COUNT(*) AS c, MIN(id) AS mi, MAP['c', COUNT(*), k, MIN(id)] AS m FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k, tags, aa)) WHERE rn <= 5;
