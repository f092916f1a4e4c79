-- windowed rows without an aggregate: columns added, late rows kept; SELECT *, filters on the window
-- surprising: SESSION TVF without an aggregate drops late rows, the others do not (G4)
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `hoprows` (`id` BIGINT, `ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hoprows');
CREATE TABLE `cumrows` (`id` BIGINT, `k` STRING, `ws` TIMESTAMP(3), `we` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cumrows');
CREATE TABLE `tumrows` (`id` BIGINT, `k` STRING, `s` STRING, `ws` TIMESTAMP(3), `we` TIMESTAMP(3), `wt` TIMESTAMP(3), `ts` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tumrows');
CREATE TABLE `sesrows` (`id` BIGINT, `k` STRING, `ws` TIMESTAMP(3), `we` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/sesrows');
CREATE TABLE `nowend` (`id` BIGINT, `window_start` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/nowend');
INSERT INTO `hoprows` SELECT id, window_start AS ws, window_end AS we, window_time AS wt FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND));
INSERT INTO `cumrows` SELECT id, k, window_start AS ws, window_end AS we FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) WHERE v > 20;
INSERT INTO `tumrows` SELECT id, k, s, window_start AS ws, window_end AS we, CAST(window_time AS TIMESTAMP(3)) AS wt, ts FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE EXTRACT(SECOND FROM window_start) = 20;
INSERT INTO `sesrows` SELECT id, k, window_start AS ws, window_end AS we FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND));
INSERT INTO `nowend` SELECT id, window_start FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE k = 'a';
