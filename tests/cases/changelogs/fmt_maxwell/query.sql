-- maxwell-json: the members that an update has changed, and a delete
CREATE TABLE src (id BIGINT, name STRING, weight DOUBLE) WITH ('connector'='filesystem','format'='maxwell-json','path'='${DIR}/in.jsonl');
SELECT * FROM src;
SELECT name, COUNT(*) AS n, SUM(weight) AS w FROM src GROUP BY name;
