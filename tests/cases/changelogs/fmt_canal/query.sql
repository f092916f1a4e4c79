-- canal-json: several rows in a message, the members that an update has changed, and messages of other tables
-- surprising: a member that another row's changes name is NULL before the update (J9)
CREATE TABLE src (id INT, name STRING, weight DECIMAL(10, 2)) WITH ('connector'='filesystem','format'='canal-json','path'='${DIR}/in.jsonl');
CREATE TABLE ours (id INT, name STRING, weight DECIMAL(10, 2)) WITH ('connector'='filesystem','format'='canal-json','path'='${DIR}/in.jsonl', 'canal-json.database.include'='inv.*', 'canal-json.table.include'='prod.*|x');
CREATE TABLE bad (id INT, name STRING, weight DECIMAL(10, 2)) WITH ('connector'='filesystem','format'='canal-json','path'='${DIR}/bad.jsonl', 'canal-json.ignore-parse-errors'='true');
SELECT * FROM src;
SELECT * FROM ours;
SELECT COUNT(*) AS n, SUM(weight) AS w, COUNT(DISTINCT name) AS names FROM ours;
SELECT * FROM bad;
