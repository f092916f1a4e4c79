-- Nexmark's q3, q20, q23 over events of our generator: who sells what in some states and so on.
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

-- q3: who sells what in some states
CREATE TABLE q3 (
    name STRING,
    city STRING,
    state STRING,
    id BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q3', 'format' = 'json');

INSERT INTO q3
SELECT p.name, p.city, p.state, a.id
FROM auctions AS a JOIN persons AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');

-- q20: bids with their auctions, in one category
CREATE TABLE q20 (
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    channel STRING,
    bid_time TIMESTAMP(3),
    itemName STRING,
    initialBid BIGINT,
    auction_time TIMESTAMP(3),
    seller BIGINT,
    category BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q20', 'format' = 'json');

INSERT INTO q20
SELECT b.auction, b.bidder, b.price, b.channel, b.`dateTime`, a.itemName, a.initialBid, a.`dateTime`, a.seller, a.category
FROM bids AS b JOIN auctions AS a ON b.auction = a.id
WHERE a.category = 10 AND price > 100000;

-- q23: bids of those who sell too, with what they sell
CREATE TABLE q23 (
    bidder BIGINT,
    price BIGINT,
    channel STRING,
    name STRING,
    city STRING,
    itemName STRING,
    seller BIGINT,
    category BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${OUT}/q23', 'format' = 'json');

INSERT INTO q23
SELECT b.bidder, b.price, b.channel, p.name, p.city, a.itemName, a.seller, a.category
FROM bids AS b
JOIN persons AS p ON p.id = b.bidder
JOIN auctions AS a ON a.seller = b.bidder
WHERE b.price > 3000000;
