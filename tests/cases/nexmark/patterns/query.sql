-- Nexmark's falling, cheap, cheap_from_each, dropped over events of our generator: prices that fall and then rise and so on.
CREATE TABLE events (
    event_type INT,
    person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
        `dateTime` TIMESTAMP(3), extra STRING>,
    auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,
        `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
    bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), extra STRING>,
    `dateTime` AS CASE event_type WHEN 0 THEN person.`dateTime` WHEN 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
    WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH (
    'connector' = 'filesystem',
    'path' = '${DIR}/in.jsonl',
    'format' = 'json'
);

CREATE VIEW bids AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
FROM events WHERE event_type = 2;

-- falling: prices that fall and then rise
CREATE TABLE falling (
    auction BIGINT,
    bidder BIGINT,
    start_time TIMESTAMP(3),
    bottom_time TIMESTAMP(3),
    end_time TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/falling', 'format' = 'json');

INSERT INTO falling
SELECT *
FROM bids
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        S.`dateTime` AS start_time,
        LAST(D.`dateTime`) AS bottom_time,
        LAST(U.`dateTime`) AS end_time
    ONE ROW PER MATCH
    AFTER MATCH SKIP TO LAST U
    PATTERN (S D+ U)
    DEFINE
        D AS (LAST(D.price, 1) IS NULL AND D.price < S.price) OR D.price < LAST(D.price, 1),
        U AS U.price > LAST(D.price, 1)
) AS m;

-- cheap: times in which the average stayed low
CREATE TABLE cheap (
    auction BIGINT,
    bidder BIGINT,
    start_time TIMESTAMP(3),
    end_time TIMESTAMP(3),
    average BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/cheap', 'format' = 'json');

INSERT INTO cheap
SELECT *
FROM bids
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        FIRST(A.`dateTime`) AS start_time,
        LAST(A.`dateTime`) AS end_time,
        AVG(A.price) AS average
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (A+ B)
    DEFINE
        A AS AVG(A.price) < 10000
) AS m WHERE average < 5000;

-- cheap_from_each: the same from each bid on
CREATE TABLE cheap_from_each (
    auction BIGINT,
    bidder BIGINT,
    start_time TIMESTAMP(3),
    end_time TIMESTAMP(3),
    average BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/cheap_from_each', 'format' = 'json');

INSERT INTO cheap_from_each
SELECT *
FROM bids
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        FIRST(A.`dateTime`) AS start_time,
        LAST(A.`dateTime`) AS end_time,
        AVG(A.price) AS average
    ONE ROW PER MATCH
    AFTER MATCH SKIP TO NEXT ROW
    PATTERN (A+ B)
    DEFINE
        A AS AVG(A.price) < 10000
) AS m WHERE average < 2000;

-- dropped: a fall by more than 50 within five seconds
CREATE TABLE dropped (
    auction BIGINT,
    bidder BIGINT,
    drop_time TIMESTAMP(3),
    drop_by BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/dropped', 'format' = 'json');

INSERT INTO dropped
SELECT *
FROM bids
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        C.`dateTime` AS drop_time,
        A.price - C.price AS drop_by
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (A B* C) WITHIN INTERVAL '5' SECOND
    DEFINE
        B AS B.price > A.price - 50,
        C AS C.price < A.price - 50
) AS m WHERE drop_by > 300000;
