-- JSON_OBJECTAGG in HOP, CUMULATE, SESSION: the results document
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), kk STRING, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `tum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` VARCHAR(2000)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/tum');
CREATE TABLE `hop` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` VARCHAR(2000)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/hop');
CREATE TABLE `cum` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` VARCHAR(2000)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/cum');
CREATE TABLE `ses` (`ws` TIMESTAMP(3), `we` TIMESTAMP(3), `k` STRING, `a` VARCHAR(2000)) WITH ('connector'='filesystem','format'='json','path'='${OUT}/ses');
CREATE TABLE `doc` (`id` STRING, `doc` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/doc');
INSERT INTO `tum` SELECT window_start AS ws, window_end AS we, k, JSON_OBJECTAGG(KEY kk VALUE v) AS a FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `hop` SELECT window_start AS ws, window_end AS we, k, JSON_OBJECTAGG(KEY kk VALUE v) AS a FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `cum` SELECT window_start AS ws, window_end AS we, k, JSON_OBJECTAGG(KEY kk VALUE v) AS a FROM TABLE(CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `ses` SELECT window_start AS ws, window_end AS we, k, JSON_OBJECTAGG(KEY kk VALUE v) AS a FROM TABLE(SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, k;
INSERT INTO `doc` SELECT CAST(window_start AS STRING) AS id, JSON_OBJECT(KEY 'race' VALUE k, KEY 'n' VALUE COUNT(*), KEY 'results' VALUE JSON_OBJECTAGG(KEY kk VALUE v)) AS doc FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
