-- rows that bridge two open sessions: gap of exactly 10 s joins, 10.001 s does not
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '15' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `s` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT, `mi` BIGINT, `ma` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/s');
CREATE TABLE `g` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/g');
CREATE TABLE `legacy` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/legacy');
INSERT INTO `s` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS mi, MAX(id) AS ma FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `g` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(SESSION(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `legacy` SELECT SESSION_START(ts, INTERVAL '10' SECOND) AS ws, SESSION_END(ts, INTERVAL '10' SECOND) AS we, k, COUNT(*) AS c, SUM(v) AS s FROM src GROUP BY k, SESSION(ts, INTERVAL '10' SECOND);
