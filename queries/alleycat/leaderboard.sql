-- Who leads each race, second by second?
--
-- Every rider sends cadence and resistance once a second. A rider's score is the best moment of the race so far; the ten
-- best of each race are on its board. Each second the board of every race is written again: the table has one row for each
-- race and rank, and it always shows the latest second.
--
-- On your machine, with a made-up crowd of two races and no account:
--
--     paceline run --local queries/alleycat/leaderboard.sql
--
-- The crowd is sent as fast as it is read, so the final board is there within seconds. To watch a race as it happens,
-- set 'pace=realtime' instead of 'pace=fast' below.
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `alleycat-leaderboard` with the partition key `raceId`
-- (Number) and the sort key `rank` (Number), send it a crowd, and run the same file:
--
--     paceline simulate --stream-arn arn:aws:kinesis:us-east-1:123456789012:stream/alleycat --races 2 --racers 20 --speed 1
--     paceline run queries/alleycat/leaderboard.sql --state-dir leaderboard-state

SET 'paceline.race.sample' = 'alleycat:pace=fast,seconds=300,races=2,racers=20';
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
    -- Records may come up to five seconds late; a later one no longer counts for the boards written before it.
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/alleycat',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE leaderboard (
    raceId BIGINT,
    `rank` BIGINT,
    racerId BIGINT,
    name STRING,
    classId INT,
    best DOUBLE,
    as_of TIMESTAMP(3),
    PRIMARY KEY (raceId, `rank`) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-leaderboard',
    'aws.region' = 'us-east-1'
);

-- Races start at full five minutes, as these windows do: each window is a race up to some second.
CREATE VIEW best_so_far AS
SELECT
    window_start,
    window_end,
    raceId,
    racerId,
    MAX(name) AS name,
    MAX(classId) AS classId,
    MAX(ROUND(((cadence + 35) * (resistance + 65)) / 100, 4)) AS best
FROM TABLE(CUMULATE(TABLE race, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '5' MINUTES))
GROUP BY window_start, window_end, raceId, racerId;

INSERT INTO leaderboard
SELECT raceId, `rank`, racerId, name, classId, best, window_end
FROM (
    SELECT
        *,
        -- Equal scores go by rider, so that two runs agree on the order.
        ROW_NUMBER() OVER (PARTITION BY window_start, window_end, raceId ORDER BY best DESC, racerId) AS `rank`
    FROM best_so_far
)
WHERE `rank` <= 10;
