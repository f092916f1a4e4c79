-- intervals of several units in expressions, in a watermark and as the sizes of windows
CREATE TABLE src (id BIGINT, ts TIMESTAMP(3), dt DATE, tm TIME, n INT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE ev (id BIGINT, k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '00:05' MINUTE TO SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/ev.jsonl');
CREATE TABLE `tum` (ws TIMESTAMP(3), we TIMESTAMP(3), k STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (ws TIMESTAMP(3), we TIMESTAMP(3), c BIGINT, s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (ws TIMESTAMP(3), we TIMESTAMP(3), c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `old` (ws TIMESTAMP(3), k STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/old');
CREATE TABLE `ses` (ws TIMESTAMP(3), we TIMESTAMP(3), k STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `ovr` (id BIGINT, k STRING, s BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ovr');
INSERT INTO `tum` SELECT window_start, window_end, k, COUNT(*) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '0 00:00:10' DAY TO SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start, window_end, COUNT(*), SUM(v) FROM TABLE(HOP(TABLE ev, DESCRIPTOR(ts), INTERVAL '00:00:05.5' HOUR TO SECOND, INTERVAL '00:11' MINUTE TO SECOND)) GROUP BY window_start, window_end;
INSERT INTO `cum` SELECT window_start, window_end, COUNT(*) FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '00:10' MINUTE TO SECOND, INTERVAL '00:01' HOUR TO MINUTE)) GROUP BY window_start, window_end;
INSERT INTO `old` SELECT TUMBLE_START(ts, INTERVAL '00:10' MINUTE TO SECOND), k, COUNT(*) FROM ev GROUP BY k, TUMBLE(ts, INTERVAL '00:10' MINUTE TO SECOND);
INSERT INTO `ses` SELECT window_start, window_end, k, COUNT(*) FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '00:03' MINUTE TO SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ovr` SELECT id, k, SUM(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '00:04' MINUTE TO SECOND PRECEDING AND CURRENT ROW) FROM ev;
SELECT id, ts + INTERVAL '1 02:03:04' DAY TO SECOND AS a, ts + INTERVAL '1 02:03:04.567' DAY TO SECOND(3) AS b, ts - INTERVAL '1 02' DAY TO HOUR AS c, ts + INTERVAL '1 02:03' DAY TO MINUTE AS d, ts + INTERVAL '02:03' HOUR TO MINUTE AS e, ts + INTERVAL '02:03:04.5' HOUR TO SECOND AS f, ts + INTERVAL '03:04' MINUTE TO SECOND AS g FROM src;
SELECT id, ts + INTERVAL '-1 02:03:04' DAY TO SECOND AS a, ts + INTERVAL -'1 02:03:04' DAY TO SECOND AS b, ts + INTERVAL '1-2' YEAR TO MONTH AS c, ts - INTERVAL '-1-2' YEAR TO MONTH AS d, dt + INTERVAL '1 02' DAY TO HOUR AS e, dt + INTERVAL '1-1' YEAR TO MONTH AS f, CAST(tm + INTERVAL '02:03' HOUR TO MINUTE AS STRING) AS g, CAST(tm - INTERVAL '25:03' HOUR TO MINUTE AS STRING) AS h FROM src;
SELECT id, ts + INTERVAL '400' DAY(3) AS a, ts + INTERVAL '2' QUARTER AS b, ts + INTERVAL '2' WEEK AS c, ts + INTERVAL '1' DAY + INTERVAL '00:02' HOUR TO MINUTE AS d, ts + n * INTERVAL '0 01:00' DAY TO MINUTE AS e, ts BETWEEN TIMESTAMP '2024-01-01 00:00:00' - INTERVAL '31 12' DAY TO HOUR AND TIMESTAMP '2024-01-01 00:00:00' + INTERVAL '90 00:00' DAY(2) TO MINUTE AS h FROM src;
