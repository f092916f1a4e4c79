-- windows over a deduplicated stream (keep first by rowtime), and over one that updates
-- surprising: windows accept an updating input
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW f AS SELECT id, k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts ASC) AS rn FROM src) WHERE rn = 1;
CREATE VIEW g AS SELECT id, k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
CREATE TABLE `first` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/first');
CREATE TABLE `last` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/last');
CREATE TABLE `hopl` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mx` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hopl');
CREATE TABLE `cuml` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `c` BIGINT, `s` BIGINT, `mx` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cuml');
CREATE TABLE `legl` (`ws` TIMESTAMP(3), `k` STRING, `c` BIGINT, `s` BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/legl');
INSERT INTO `first` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `last` SELECT window_start AS ws, window_end AS we, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hopl` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s, MAX(v) AS mx FROM TABLE(HOP(TABLE g, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `cuml` SELECT window_start AS ws, window_end AS we, COUNT(*) AS c, SUM(v) AS s, AVG(v) AS mx FROM TABLE(CUMULATE(TABLE g, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO `legl` SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS ws, k, COUNT(*) AS c, SUM(v) AS s FROM g GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), k;
