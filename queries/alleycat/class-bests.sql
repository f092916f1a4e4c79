-- Who holds the record of each class, and since which race?
--
-- The best final score that each rider has ever had in a class, with the race and the time it was set. A row changes only when a
-- rider does better; of two equal scores the older one stays. The table holds every rider's best: read it by `classId` and sort
-- by `score` for the class records.
--
-- On your machine, with a made-up crowd of two races and no account:
--
--     paceline run --local queries/alleycat/class-bests.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `alleycat-class-bests` with the partition key `classId`
-- (Number) and the sort key `racerId` (Number), and run the same file:
--
--     paceline run queries/alleycat/class-bests.sql --state-dir class-bests-state

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

CREATE TABLE class_bests (
    classId INT,
    racerId BIGINT,
    name STRING,
    score DOUBLE,
    raceId BIGINT,
    set_at TIMESTAMP_LTZ(3),
    PRIMARY KEY (classId, racerId) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-class-bests',
    'aws.region' = 'us-east-1'
);

CREATE VIEW finals AS
SELECT classId, racerId, name, ROUND(((cadence + 35) * (resistance + 65)) / 100, 4) AS score, raceId, ts
FROM race
WHERE event = 'final';

INSERT INTO class_bests
SELECT classId, racerId, name, score, raceId, ts
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY classId, racerId ORDER BY score DESC, ts, raceId) AS place
    FROM finals
)
WHERE place = 1;
