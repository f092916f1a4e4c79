-- JSON_OBJECTAGG and JSON_ARRAYAGG that take rows back, with NULLs kept and left out, FILTER
-- goes by arrival: select_3: changes of several groups meet in the order in which workers send them, and the array keeps it
-- goes by arrival: select_4: changes of several groups meet in the order in which workers send them, and the array keeps it
-- goes by arrival: select_5: changes of several groups meet in the order in which workers send them, and the array keeps it
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, j, COUNT(*) AS c, SUM(v) AS sv, SUM(d) AS sd, SUM(m) AS sm, MAX(s) AS ms FROM src GROUP BY k, j;
CREATE VIEW l AS SELECT id, k, j, v, d, m, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, j ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
SELECT k, JSON_OBJECTAGG(KEY COALESCE(CAST(j AS STRING), 'none') VALUE c) AS a FROM q GROUP BY k;
SELECT k, JSON_OBJECTAGG(KEY COALESCE(CAST(j AS STRING), 'none') VALUE ms ABSENT ON NULL) AS a, JSON_OBJECTAGG(KEY COALESCE(CAST(j AS STRING), 'none') VALUE sv NULL ON NULL) AS b FROM q GROUP BY k;
SELECT k, JSON_ARRAYAGG(c) AS a, JSON_ARRAYAGG(ms NULL ON NULL) AS b, JSON_ARRAYAGG(sv ABSENT ON NULL) AS d FROM q GROUP BY k;
SELECT JSON_ARRAYAGG(s) AS a FROM l;
SELECT JSON_ARRAYAGG(JSON_OBJECT(KEY 'j' VALUE j, KEY 'v' VALUE v)) AS a FROM l;
SELECT JSON_OBJECTAGG(KEY CONCAT(COALESCE(k, 'none'), '-', COALESCE(CAST(j AS STRING), 'none')) VALUE v) AS a FROM l;
