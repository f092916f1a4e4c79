-- How warm was it at each site, minute by minute, and how many readings were out of range?
--
-- The readings carry their time as text without a zone: 2026-03-02 08:00:01.250.
--
-- On your machine, with the readings in sensors.samples/reading.jsonl and no account:
--
--     paceline run --local queries/sensors.sql
--
-- What comes of that sample is in sensors.expected, and this compares:
--
--     paceline test queries/sensors.sql --vary
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `site-minutes` with the partition key `site` (String) and
-- the sort key `minute_end` (String), and run the same file:
--
--     paceline run queries/sensors.sql --state-dir sensors-state

SET 'table.local-time-zone' = 'UTC';

CREATE TABLE reading (
    sensor_id STRING,
    site STRING,
    celsius DOUBLE,
    battery_percent INT,
    measured_at TIMESTAMP(3),
    WATERMARK FOR measured_at AS measured_at - INTERVAL '10' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/readings',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE site_minutes (
    site STRING,
    minute_end TIMESTAMP(3),
    readings BIGINT,
    sensors BIGINT,
    coldest DOUBLE,
    average DOUBLE,
    warmest DOUBLE,
    out_of_range BIGINT,
    lowest_battery_percent INT,
    PRIMARY KEY (site, minute_end) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'site-minutes',
    'aws.region' = 'us-east-1'
);

INSERT INTO site_minutes
SELECT
    site,
    window_end,
    COUNT(*),
    COUNT(DISTINCT sensor_id),
    MIN(celsius),
    ROUND(AVG(celsius), 2),
    MAX(celsius),
    COUNT(*) FILTER (WHERE celsius < 2 OR celsius > 8),
    MIN(battery_percent)
FROM TABLE(TUMBLE(TABLE reading, DESCRIPTOR(measured_at), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, site;
