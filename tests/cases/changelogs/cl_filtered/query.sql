-- filters over changing rows: over GROUP BY, a COUNT in a subquery, deduplication, Top-N, OVER, and several of them
-- surprising: -U stands alone where its +U does not pass (C11)
CREATE TABLE src (id BIGINT, k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in.jsonl');
CREATE VIEW newest AS SELECT id, k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn FROM src) WHERE rn = 1;
SELECT k, SUM(v) AS s FROM src WHERE k IS NOT NULL GROUP BY k HAVING SUM(v) > 0;
SELECT id, c FROM (SELECT id, COUNT(*) AS c FROM src GROUP BY id) WHERE MOD(c, 3) <> 0;
SELECT id, k, v FROM newest WHERE v > 0;
SELECT k, rn, v FROM (SELECT k, v, id, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM src WHERE k IS NOT NULL) WHERE rn <= 3 AND MOD(v, 2) = 0;
SELECT id, s FROM (SELECT id, s, ROW_NUMBER() OVER (ORDER BY s DESC, id) AS rn FROM (SELECT id, SUM(v) AS s FROM src GROUP BY id)) WHERE rn <= 4 AND s <> 5;
SELECT v, n FROM (SELECT v, COUNT(*) AS n FROM newest GROUP BY v) WHERE n > 1;
SELECT id, s FROM (SELECT id, SUM(v) OVER (PARTITION BY k ORDER BY v) AS s FROM newest) WHERE s BETWEEN -5 AND 5;
SELECT k, MAX(s) AS mx, COUNT(*) AS n FROM (SELECT k, id, SUM(v) AS s FROM src WHERE k IS NOT NULL GROUP BY k, id HAVING SUM(v) > 1) GROUP BY k HAVING COUNT(*) < 3;
SELECT DISTINCT s FROM (SELECT id, SUM(v) AS s FROM src GROUP BY id HAVING SUM(v) > 0);
SELECT k, s, n FROM (SELECT k, SUM(v) AS s, COUNT(*) AS n FROM src WHERE k IS NOT NULL GROUP BY k) WHERE MOD(s, 2) = 0;
SELECT id, v FROM (SELECT id, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn FROM newest) WHERE rn <= 2 AND v < 6;
