-- Nexmark's q4, q9 over events of our generator: the average winning price of a category and so on.
SET 'execution.runtime-mode' = 'batch';
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

-- q4: the average winning price of a category
SELECT category, AVG(final) AS final
FROM (
    SELECT MAX(b.price) AS final, a.category
    FROM auctions AS a JOIN bids AS b ON a.id = b.auction
    WHERE b.`dateTime` BETWEEN a.`dateTime` AND a.expires
    GROUP BY a.id, a.category
)
GROUP BY category;

-- q9: the winning bid of each auction
SELECT id, itemName, seller, category, expires, bidder, price, bid_time
FROM (
    SELECT a.*, b.bidder, b.price, b.`dateTime` AS bid_time,
        ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.`dateTime` ASC) AS place
    FROM auctions AS a JOIN bids AS b ON a.id = b.auction
    WHERE b.`dateTime` BETWEEN a.`dateTime` AND a.expires
)
WHERE place <= 1;
