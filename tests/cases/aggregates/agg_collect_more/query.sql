-- COLLECT of distinct values, of numbers, as text; COLLECT over NULLs
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `dst` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/dst');
CREATE TABLE `txt` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` MULTISET<STRING>, `b2` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/txt');
CREATE TABLE `hopd` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `a` MULTISET<STRING>) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hopd');
INSERT INTO `dst` SELECT window_start AS ws, window_end AS we, k, COLLECT(DISTINCT s) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `txt` SELECT window_start AS ws, window_end AS we, k, COLLECT(CAST(j AS STRING)) AS a, COLLECT(s) FILTER (WHERE j = 7) AS b2 FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hopd` SELECT window_start AS ws, window_end AS we, COLLECT(DISTINCT k) AS a FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
