-- EXECUTE STATEMENT SET with several INSERTs into the same and different sinks; quoted identifiers, comments, escapes
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE TABLE `a b` (`select` BIGINT, `Über` STRING, `it''s` STRING) WITH ('connector'='filesystem','format'='json','path'='${OUT}/quoted');
CREATE TABLE two (ws TIMESTAMP(3), tag STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='${OUT}/two');
/* a comment; with a semicolon */
EXECUTE STATEMENT SET BEGIN
INSERT INTO `a b` SELECT id AS `select`, k, 'it''s -- no comment; here' FROM src; -- a comment; too
INSERT INTO two SELECT window_start, 'ten', COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
INSERT INTO two SELECT window_start, 'five', COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end;
END;
