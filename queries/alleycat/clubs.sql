-- Which club rides hardest, minute by minute?
--
-- The race's records name riders by number only; their clubs are in a DynamoDB table that somebody else keeps. Each record is
-- joined with its rider's row as the table has it when the record is processed; riders without a row ride for no club. What was
-- looked up is kept for ten minutes, so the table is asked once for each rider and not for each record.
--
-- On your machine, with a made-up crowd and the riders in clubs.samples/rider.jsonl, without an account:
--
--     paceline run --local queries/alleycat/clubs.sql
--
-- On AWS: put your stream into 'stream.arn', create two DynamoDB tables, `alleycat-riders` with the partition key `racerId`
-- (Number) and `alleycat-clubs` with the partition key `club` (String) and the sort key `minute` (String), and run the same file:
--
--     paceline run queries/alleycat/clubs.sql --state-dir clubs-state

SET 'paceline.race.sample' = 'alleycat:pace=fast,seconds=300,races=1,racers=20';
SET 'table.local-time-zone' = 'UTC';

CREATE TABLE race (
    event STRING,
    deviceTimestamp BIGINT,
    racerId BIGINT,
    cadence DOUBLE,
    resistance DOUBLE,
    ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3),
    pt AS PROCTIME(),
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/alleycat',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE rider (
    racerId BIGINT,
    club STRING,
    PRIMARY KEY (racerId) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-riders',
    'aws.region' = 'us-east-1',
    'lookup.cache' = 'PARTIAL',
    'lookup.partial-cache.max-rows' = '10000',
    'lookup.partial-cache.expire-after-write' = '10 min'
);

CREATE TABLE clubs (
    club STRING,
    `minute` TIMESTAMP(3),
    riders BIGINT,
    cadence DOUBLE,
    PRIMARY KEY (club, `minute`) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'alleycat-clubs',
    'aws.region' = 'us-east-1'
);

CREATE VIEW rides AS
SELECT r.racerId, COALESCE(rider.club, 'no club') AS club, r.cadence, r.ts
FROM race AS r
LEFT JOIN rider FOR SYSTEM_TIME AS OF r.pt ON r.racerId = rider.racerId;

INSERT INTO clubs
SELECT club, window_start, COUNT(DISTINCT racerId), ROUND(AVG(cadence), 1)
FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, club;
