-- ARRAY_AGG, COLLECT, LISTAGG(DISTINCT), FIRST_VALUE and LAST_VALUE of distinct values that take rows back
-- surprising: an equal array with a NULL in it is sent again (C8)
-- goes by arrival: select_1: changes of several groups meet in the order in which workers send them, and the array keeps it
-- goes by arrival: select_2: changes of several groups meet in the order in which workers send them, and the array keeps it
-- goes by arrival: select_3: changes of several groups meet in the order in which workers send them, and the array keeps it
-- goes by arrival: select_7: changes of several groups meet in the order in which workers send them, and the list keeps it
-- goes by arrival: select_8: changes of several groups meet in the order in which workers send them, and the list keeps it
-- goes by arrival: select_9: changes of several groups meet in the order in which workers send them, which says what is first and last
-- goes by arrival: select_10: changes of several groups meet in the order in which workers send them, which says what is first and last
-- goes by arrival: select_11: changes of several groups meet in the order in which workers send them, which says what is first and last
CREATE TABLE src (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW q AS SELECT k, j, NULLIF(COUNT(*), 0) AS c, SUM(v) AS sv, SUM(d) AS sd, SUM(m) AS sm, MAX(s) AS ms FROM src GROUP BY k, j;
CREATE VIEW l AS SELECT id, k, j, v, d, m, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, j ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
SELECT k, ARRAY_AGG(c) AS a, ARRAY_AGG(ms) AS b, ARRAY_AGG(ms IGNORE NULLS) AS d FROM q GROUP BY k;
SELECT k, ARRAY_AGG(DISTINCT c) AS a, ARRAY_AGG(sv) FILTER (WHERE c > 1) AS b FROM q GROUP BY k;
SELECT k, ARRAY_AGG(DISTINCT s) AS a FROM l GROUP BY k;
SELECT k, e FROM (SELECT k, COLLECT(c) AS m FROM q GROUP BY k) CROSS JOIN UNNEST(m) AS t (e);
SELECT k, e FROM (SELECT k, COLLECT(DISTINCT ms) FILTER (WHERE c > 1) AS m FROM q GROUP BY k) CROSS JOIN UNNEST(m) AS t (e);
SELECT e FROM (SELECT COLLECT(s) AS m FROM l WHERE j = 1) CROSS JOIN UNNEST(m) AS t (e);
SELECT k, LISTAGG(DISTINCT ms) AS a, LISTAGG(DISTINCT CAST(c AS STRING)) AS b FROM q GROUP BY k;
SELECT LISTAGG(DISTINCT s) AS a FROM l;
SELECT k, LAST_VALUE(DISTINCT c) AS a, FIRST_VALUE(DISTINCT c) AS b, LAST_VALUE(c) AS d, FIRST_VALUE(c) AS e FROM q GROUP BY k;
SELECT LAST_VALUE(DISTINCT s) AS a, FIRST_VALUE(DISTINCT s) AS b FROM l;
SELECT k, LAST_VALUE(DISTINCT c) FILTER (WHERE c > 1) AS a, MAX(DISTINCT c) FILTER (WHERE c < 3) AS b FROM q GROUP BY k;
