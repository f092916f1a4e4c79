-- What was everyone's score at the end of the race?
--
-- A rider's last record of a race says `final`; its score goes to the table at once, without a window. A record that is sent
-- twice writes the same row again.
--
-- On your machine, with a made-up crowd of two races and no account:
--
--     paceline run --local queries/alleycat/final-scores.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `alleycat-final-scores` with the partition key `raceId`
-- (Number) and the sort key `racerId` (Number), and run the same file:
--
--     paceline run queries/alleycat/final-scores.sql --state-dir final-scores-state

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
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/alleycat',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE final_scores (
    raceId BIGINT,
    racerId BIGINT,
    name STRING,
    classId INT,
    score DOUBLE,
    finished_at TIMESTAMP_LTZ(3),
    PRIMARY KEY (raceId, racerId) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-final-scores',
    'aws.region' = 'us-east-1'
);

INSERT INTO final_scores
SELECT raceId, racerId, name, classId, ROUND(((cadence + 35) * (resistance + 65)) / 100, 4), ts
FROM race
WHERE event = 'final';
