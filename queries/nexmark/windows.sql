-- What happens in each window? Queries q5, q7, q8, q11, q12 of the Nexmark benchmark, in our own words.
--
-- The auction house is made up here, the same in every run; no account is needed:
--
--     paceline run queries/nexmark/windows.sql
--
-- Sinks keep nothing: write another connector for blackhole to see rows. `benches/nexmark.py` measures each query.

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
    'connector' = 'nexmark',
    'events.num' = '100000',
    'first-event.rate' = '10000',
    'next-event.rate' = '10000',
    'person.proportion' = '1',
    'auction.proportion' = '3',
    'bid.proportion' = '46'
);

CREATE VIEW persons AS
SELECT person.id, person.name, person.emailAddress, person.creditCard, person.city, person.state, `dateTime`, person.extra
FROM events WHERE event_type = 0;

CREATE VIEW auctions AS
SELECT auction.id, auction.itemName, auction.description, auction.initialBid, auction.reserve, `dateTime`, auction.expires,
    auction.seller, auction.category, auction.extra
FROM events WHERE event_type = 1;

CREATE VIEW bids AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
FROM events WHERE event_type = 2;

CREATE VIEW arrived AS SELECT *, PROCTIME() AS p_time FROM bids;

-- q5: the auctions with the most bids in the last ten seconds, every two
CREATE TABLE q5 (
    auction BIGINT,
    num BIGINT,
    window_end TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO q5
SELECT b.auction, b.num, b.window_end
FROM (
    SELECT auction, COUNT(*) AS num, window_start, window_end
    FROM TABLE(HOP(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end
) AS b
JOIN (
    SELECT MAX(num) AS most, window_start, window_end
    FROM (
        SELECT COUNT(*) AS num, window_start, window_end
        FROM TABLE(HOP(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
        GROUP BY auction, window_start, window_end
    )
    GROUP BY window_start, window_end
) AS m
ON b.window_start = m.window_start AND b.window_end = m.window_end AND b.num >= m.most;

-- q7: the highest bids of each ten seconds
CREATE TABLE q7 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    `dateTime` TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO q7
SELECT b.auction, b.bidder, b.price, b.`dateTime`
FROM bids AS b
JOIN (
    SELECT MAX(price) AS highest, window_end AS `until`
    FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end
) AS h
ON b.price = h.highest
WHERE b.`dateTime` BETWEEN h.`until` - INTERVAL '10' SECOND AND h.`until`;

-- q8: persons who came and sold within the same ten seconds
CREATE TABLE q8 (
    id BIGINT,
    name STRING,
    starttime TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO q8
SELECT p.id, p.name, p.window_start
FROM (
    SELECT id, name, window_start, window_end
    FROM TABLE(TUMBLE(TABLE persons, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
    GROUP BY id, name, window_start, window_end
) AS p
JOIN (
    SELECT seller, window_start, window_end
    FROM TABLE(TUMBLE(TABLE auctions, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
    GROUP BY seller, window_start, window_end
) AS a
ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;

-- q11: bids of a bidder without a pause of ten seconds
CREATE TABLE q11 (
    bidder BIGINT,
    bid_count BIGINT,
    starttime TIMESTAMP(3),
    endtime TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO q11
SELECT b.bidder, COUNT(*), SESSION_START(b.`dateTime`, INTERVAL '10' SECOND), SESSION_END(b.`dateTime`, INTERVAL '10' SECOND)
FROM bids AS b
GROUP BY b.bidder, SESSION(b.`dateTime`, INTERVAL '10' SECOND);

-- q12: bids of a bidder in ten seconds of the clock
CREATE TABLE q12 (
    bidder BIGINT,
    bid_count BIGINT,
    starttime TIMESTAMP(3),
    endtime TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO q12
SELECT bidder, COUNT(*), window_start, window_end
FROM TABLE(TUMBLE(TABLE arrived, DESCRIPTOR(p_time), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
