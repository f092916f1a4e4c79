-- rows exactly at window ends and at the lateness limit, watermark ts
-- surprising: watermark = ts
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `t` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/t');
CREATE TABLE `h` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/h');
CREATE TABLE `cu` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cu');
CREATE TABLE `se` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/se');
CREATE TABLE `wm` (`ts` TIMESTAMP(3), `v` BIGINT, `wm` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wm');
INSERT INTO `t` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `h` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `cu` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `se` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `wm` SELECT CAST(ts AS TIMESTAMP(3)) AS ts, v, CURRENT_WATERMARK(ts) AS wm FROM src;
