-- the older windows over a Top-N of rows that change, whose filter stands in WHERE
CREATE TABLE o (id INT, k INT, v INT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem','format'='json','path'='${DIR}/o.jsonl');
CREATE VIEW g AS SELECT k, id, v, rt FROM o GROUP BY k, id, v, rt;
CREATE VIEW top AS SELECT k, id, v, rt, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id DESC) AS rn FROM g;
SELECT k, LISTAGG(CAST(id AS STRING), ',') AS ids, TUMBLE_END(rt, INTERVAL '10' SECOND) AS e FROM top WHERE rn <= 2 GROUP BY k, TUMBLE(rt, INTERVAL '10' SECOND);
