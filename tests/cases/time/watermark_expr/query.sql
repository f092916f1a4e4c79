-- watermark expressions of other shapes: another column, CASE, a computed rowtime, milliseconds
CREATE TABLE a (id BIGINT, k STRING, v BIGINT, et BIGINT, ts AS CAST(TO_TIMESTAMP_LTZ(et, 3) AS TIMESTAMP(3)), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE b (id BIGINT, v BIGINT, ts TIMESTAMP(3), lg INT, WATERMARK FOR ts AS ts - CASE WHEN lg > 3 THEN INTERVAL '10' SECOND ELSE INTERVAL '1' SECOND END) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE c (id BIGINT, v BIGINT, nest ROW<q INT>, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1 00:00:05' DAY TO SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `wa` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wa');
CREATE TABLE `wb` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wb');
CREATE TABLE `wc` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/wc');
CREATE TABLE `cw` (`id` BIGINT, `wm` TIMESTAMP(3)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cw');
INSERT INTO `wa` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `wb` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `wc` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `cw` SELECT id, CURRENT_WATERMARK(ts) AS wm FROM b;
