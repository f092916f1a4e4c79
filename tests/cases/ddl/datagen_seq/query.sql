-- datagen with sequences and a number of rows, computed columns over them
-- surprising: ends with the shortest sequence
CREATE TABLE g (n BIGINT, m INT, s STRING, ts AS TO_TIMESTAMP_LTZ(n * 500, 3), WATERMARK FOR ts AS ts) WITH ('connector'='datagen', 'fields.n.kind'='sequence', 'fields.n.start'='1', 'fields.n.end'='200', 'fields.m.kind'='sequence', 'fields.m.start'='-100', 'fields.m.end'='99', 'fields.s.kind'='sequence', 'fields.s.start'='1', 'fields.s.end'='500');
CREATE TABLE h (n INT, x INT, y BIGINT) WITH ('connector'='datagen', 'number-of-rows'='100', 'fields.n.kind'='sequence', 'fields.n.start'='1', 'fields.n.end'='1000', 'fields.x.min'='7', 'fields.x.max'='7', 'fields.y.null-rate'='1');
CREATE TABLE `rows` (`n` BIGINT, `m` INT, `s` STRING, `ts` TIMESTAMP(3) WITH LOCAL TIME ZONE) WITH ('connector'='filesystem','format'='json','path'='${OUT}/rows');
CREATE TABLE `win` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` INT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/win');
CREATE TABLE `lim` (`n` INT, `x` INT, `y` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/lim');
INSERT INTO `rows` SELECT n, m, s, ts FROM g;
INSERT INTO `win` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(m) AS s FROM TABLE(TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `lim` SELECT n, x, y FROM h;
