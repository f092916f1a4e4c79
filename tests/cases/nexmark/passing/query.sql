-- Nexmark's q0, q1, q2, q10, q14, q21, q22 over events of our generator: all bids, as they are and so on.
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

-- q0: all bids, as they are
CREATE TABLE q0 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    `dateTime` TIMESTAMP(3),
    extra STRING
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q0', 'format' = 'json');

INSERT INTO q0
SELECT auction, bidder, price, `dateTime`, extra FROM bids WHERE price > 30000000;

-- q1: prices in another currency
CREATE TABLE q1 (
    auction BIGINT,
    bidder BIGINT,
    price DECIMAL(23, 3),
    `dateTime` TIMESTAMP(3),
    extra STRING
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q1', 'format' = 'json');

INSERT INTO q1
SELECT auction, bidder, 0.908 * price, `dateTime`, extra FROM bids WHERE price > 30000000;

-- q2: bids for some auctions
CREATE TABLE q2 (
    auction BIGINT,
    price BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q2', 'format' = 'json');

INSERT INTO q2
SELECT auction, price FROM bids WHERE MOD(auction, 12) = 0;

-- q10: bids by day and minute
CREATE TABLE q10 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    `dateTime` TIMESTAMP(3),
    extra STRING,
    dt STRING,
    hm STRING
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q10', 'format' = 'json');

INSERT INTO q10
SELECT auction, bidder, price, `dateTime`, extra, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd'), DATE_FORMAT(`dateTime`, 'HH:mm') FROM bids WHERE price > 30000000;

-- q14: the time of day of the larger bids, and how often they say c
CREATE TABLE q14 (
    auction BIGINT,
    bidder BIGINT,
    price DECIMAL(23, 3),
    bid_time STRING,
    `dateTime` TIMESTAMP(3),
    c_counts BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q14', 'format' = 'json');

INSERT INTO q14
SELECT auction, bidder, 0.908 * price,
    CASE WHEN HOUR(`dateTime`) BETWEEN 8 AND 18 THEN 'dayTime'
        WHEN HOUR(`dateTime`) <= 6 OR HOUR(`dateTime`) >= 20 THEN 'nightTime'
        ELSE 'otherTime' END,
    `dateTime`, CAST(CHAR_LENGTH(url) - CHAR_LENGTH(REPLACE(url, 'c', '')) AS BIGINT)
FROM bids WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000 AND price > 10000000;

-- q21: the id of the channel
CREATE TABLE q21 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    channel STRING,
    channel_id STRING
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q21', 'format' = 'json');

INSERT INTO q21
SELECT auction, bidder, price, channel,
    CASE LOWER(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
        ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END
FROM bids
WHERE (REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) IS NOT NULL OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')) AND price > 20000000;

-- q22: the folders of the page
CREATE TABLE q22 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    channel STRING,
    dir1 STRING,
    dir2 STRING,
    dir3 STRING
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q22', 'format' = 'json');

INSERT INTO q22
SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3), SPLIT_INDEX(url, '/', 4), SPLIT_INDEX(url, '/', 5) FROM bids WHERE price > 30000000;
