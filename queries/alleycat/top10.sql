-- Who were the ten strongest riders of all races, in each ten seconds?
--
-- Unlike the leaderboard this one keeps its history: the end of the window is part of the key, so every ten seconds add ten
-- rows and nothing is ever replaced.
--
-- On your machine, with a made-up crowd of three races and no account:
--
--     paceline run --local queries/alleycat/top10.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `alleycat-top10` with the partition key `window_end`
-- (String) and the sort key `rank` (Number), and run the same file:
--
--     paceline run queries/alleycat/top10.sql --state-dir top10-state

SET 'paceline.race.sample' = 'alleycat:pace=fast,seconds=300,races=3,racers=20';
SET 'table.local-time-zone' = 'UTC';

CREATE TABLE race (
    event STRING,
    deviceTimestamp BIGINT,
    `second` INT,
    raceId BIGINT,
    name STRING,
    racerId BIGINT,
    classId INT,
    cadence DOUBLE,
    resistance DOUBLE,
    ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3),
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/alleycat',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE top10 (
    window_end TIMESTAMP(3),
    `rank` BIGINT,
    raceId BIGINT,
    racerId BIGINT,
    name STRING,
    best DOUBLE,
    average_cadence DOUBLE,
    PRIMARY KEY (window_end, `rank`) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-top10',
    'aws.region' = 'us-east-1'
);

INSERT INTO top10
SELECT window_end, `rank`, raceId, racerId, name, best, average_cadence
FROM (
    SELECT
        *,
        -- Equal scores go by race and rider, so that two runs agree on the order.
        ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY best DESC, raceId, racerId) AS `rank`
    FROM (
        SELECT
            window_start,
            window_end,
            raceId,
            racerId,
            MAX(name) AS name,
            MAX(ROUND(((cadence + 35) * (resistance + 65)) / 100, 4)) AS best,
            ROUND(AVG(cadence), 1) AS average_cadence
        FROM TABLE(TUMBLE(TABLE race, DESCRIPTOR(ts), INTERVAL '10' SECOND))
        GROUP BY window_start, window_end, raceId, racerId
    )
)
WHERE `rank` <= 10;
