-- TUMBLE with offsets, sizes from 1 ms to days, named arguments
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `hours` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hours');
CREATE TABLE `days` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/days');
CREATE TABLE `named` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/named');
CREATE TABLE `week` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/week');
CREATE TABLE `named_off` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/named_off');
CREATE TABLE `daysec` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/daysec');
INSERT INTO `hours` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '15' MINUTES)) GROUP BY window_start, window_end;
INSERT INTO `days` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '-8' HOUR)) GROUP BY window_start, window_end;
INSERT INTO `named` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c FROM TABLE(TUMBLE(DATA => TABLE src, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '90' MINUTE)) GROUP BY window_start, window_end, k;
INSERT INTO `week` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '7' DAY)) GROUP BY window_start, window_end;
INSERT INTO `named_off` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(TUMBLE(DATA => TABLE src, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '90' MINUTE, `OFFSET` => INTERVAL '10' MINUTE)) GROUP BY window_start, window_end;
INSERT INTO `daysec` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '0 02:30:00' DAY TO SECOND)) GROUP BY window_start, window_end;
