-- Which machines got hotter with every reading, three times or more, and stayed too hot to the end?
--
-- MATCH_RECOGNIZE looks at the readings of a machine in order: each RISING one is warmer than the one before it
-- (LAST(RISING.celsius, 1) is the reading before the last of RISING), and the match ends with the first that is not.
--
-- On your machine, with the readings in machine-overheating.samples/machine_reading.jsonl and no account:
--
--     paceline run --local queries/machine-overheating.sql
--
-- On AWS: put your stream into 'stream.arn', and run the same file; it prints what it finds:
--
--     paceline run queries/machine-overheating.sql --state-dir overheating-state

CREATE TABLE machine_reading (
    machine STRING,
    celsius DOUBLE,
    measured_at TIMESTAMP(3),
    WATERMARK FOR measured_at AS measured_at - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/machine-readings',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

SELECT machine, since, until, readings, ROUND(hottest, 1) AS hottest, ROUND(hottest - first_celsius, 1) AS rise
FROM machine_reading
MATCH_RECOGNIZE (
    PARTITION BY machine
    ORDER BY measured_at
    MEASURES
        CAST(FIRST(RISING.measured_at) AS TIMESTAMP(3)) AS since,
        CAST(LAST(RISING.measured_at) AS TIMESTAMP(3)) AS until,
        COUNT(RISING.celsius) AS readings,
        FIRST(RISING.celsius) AS first_celsius,
        LAST(RISING.celsius) AS hottest
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (RISING{3,} ENDED) WITHIN INTERVAL '30' MINUTE
    DEFINE
        RISING AS LAST(RISING.celsius, 1) IS NULL OR RISING.celsius > LAST(RISING.celsius, 1),
        ENDED AS LAST(RISING.celsius) > 80 AND ENDED.celsius <= LAST(RISING.celsius)
);
