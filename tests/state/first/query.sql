-- A job of many operators, stopped in the middle: what a state directory holds of each of them.
CREATE TABLE clicks (who STRING, race BIGINT, v INT, price DECIMAL(10, 2), note STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'in/clicks');
CREATE TABLE orders (id BIGINT, who STRING, amount DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'in/orders');

-- Windows: one aggregate for each kind of partial.
CREATE TABLE tumbles (we TIMESTAMP(3), who STRING, n BIGINT, s INT, a DECIMAL(38, 6), lo INT, hi STRING, d BIGINT, f STRING, l STRING)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/tumbles');
CREATE TABLE hops (we TIMESTAMP(3), race BIGINT, rn BIGINT, who STRING, s DECIMAL(38, 2), m INT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/hops');
CREATE TABLE cumulates (ws TIMESTAMP(3), we TIMESTAMP(3), who STRING, n BIGINT, d BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/cumulates');
CREATE TABLE sessions (ws TIMESTAMP(3), we TIMESTAMP(3), who STRING, n BIGINT, s INT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/sessions');
CREATE TABLE olds (ws TIMESTAMP(3), race BIGINT, n BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/olds');
CREATE TABLE firsts (we TIMESTAMP(3), race BIGINT, who STRING, v INT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/firsts');
-- Joins.
CREATE TABLE pairs (we TIMESTAMP(3), who STRING, n BIGINT, amount DOUBLE)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/pairs');
CREATE TABLE soon (who STRING, v INT, id BIGINT, amount DOUBLE)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/soon');
-- Rows beside each other.
CREATE TABLE overs (ts TIMESTAMP(3), who STRING, v INT, s3 INT, n3 BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/overs');
CREATE TABLE ranges (ts TIMESTAMP(3), race BIGINT, hi DECIMAL(10, 2))
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/ranges');
CREATE TABLE lags (ts TIMESTAMP(3), who STRING, v INT, two_before INT)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'out/lags');

INSERT INTO tumbles SELECT window_end, who, COUNT(*), SUM(v), AVG(price), MIN(v), MAX(note), COUNT(DISTINCT race), FIRST_VALUE(note), LISTAGG(note)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end, who;
INSERT INTO hops SELECT window_end, race, rn, who, s, m FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, race ORDER BY s DESC, who) AS rn FROM (
    SELECT window_start, window_end, race, who, SUM(price) AS s, MAX(v) AS m
    FROM TABLE(HOP(TABLE clicks, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND))
    GROUP BY window_start, window_end, race, who)) WHERE rn <= 2;
INSERT INTO cumulates SELECT window_start, window_end, who, COUNT(*), COUNT(DISTINCT v)
FROM TABLE(CUMULATE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '120' SECOND)) GROUP BY window_start, window_end, who;
INSERT INTO sessions SELECT window_start, window_end, who, COUNT(*), SUM(v)
FROM TABLE(SESSION(TABLE clicks PARTITION BY who, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end, who;
INSERT INTO olds SELECT SESSION_START(ts, INTERVAL '5' SECOND), race, COUNT(*)
FROM clicks GROUP BY SESSION(ts, INTERVAL '5' SECOND), race;
INSERT INTO firsts SELECT window_end, race, who, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, race ORDER BY ts DESC) AS rn
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE rn <= 1;
INSERT INTO pairs SELECT L.window_end, L.who, L.n, R.amount FROM (
  SELECT window_start, window_end, who, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, who) L
JOIN (SELECT window_start, window_end, who, SUM(amount) AS amount
  FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, who) R
ON L.window_start = R.window_start AND L.window_end = R.window_end AND L.who = R.who;
INSERT INTO soon SELECT c.who, c.v, o.id, o.amount FROM clicks c JOIN orders o
ON c.who = o.who AND o.ts BETWEEN c.ts - INTERVAL '2' SECOND AND c.ts + INTERVAL '15' SECOND;
INSERT INTO overs SELECT ts, who, v,
  SUM(v) OVER (PARTITION BY who ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW),
  COUNT(*) OVER (PARTITION BY who ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
FROM clicks;
INSERT INTO ranges SELECT ts, race, MAX(price) OVER (PARTITION BY race ORDER BY ts RANGE BETWEEN INTERVAL '20' SECOND PRECEDING AND CURRENT ROW)
FROM clicks;
INSERT INTO lags SELECT ts, who, v, LAG(v, 2) OVER (PARTITION BY who ORDER BY ts) FROM clicks;
-- Changes of tables, printed.
SELECT 'group' AS q, who, COUNT(*) AS n, SUM(v) AS s, MAX(price) AS hi, COUNT(DISTINCT race) AS races FROM clicks GROUP BY who;
SELECT 'top' AS q, race, rn, who, v FROM (
  SELECT race, who, v, ROW_NUMBER() OVER (PARTITION BY race ORDER BY v DESC, ts) AS rn FROM clicks) WHERE rn <= 3;
SELECT 'of the last' AS q, race, COUNT(*) AS n, SUM(v) AS s, MIN(v) AS lo FROM (
  SELECT who, race, v, ROW_NUMBER() OVER (PARTITION BY who ORDER BY ts DESC) AS rn FROM clicks) WHERE rn = 1 GROUP BY race;
SELECT 'by value' AS q, who, v, SUM(v) OVER (PARTITION BY who ORDER BY v) AS upto FROM clicks WHERE race = 1;
