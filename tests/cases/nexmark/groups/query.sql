-- Nexmark's q15, q16, q17, q18, q19 over events of our generator: bids, bidders and auctions of a day, by price and so on.
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

CREATE VIEW bids AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
FROM events WHERE event_type = 2;

-- q15: bids, bidders and auctions of a day, by price
SELECT
    DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`,
    COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS low_bids,
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bids,
    COUNT(*) FILTER (WHERE price >= 1000000) AS high_bids,
    COUNT(DISTINCT bidder) AS bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS low_bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS high_bidders,
    COUNT(DISTINCT auction) AS auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS low_auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS high_auctions
FROM bids
GROUP BY DATE_FORMAT(`dateTime`, 'yyyy-MM-dd');

-- q16: the same of a channel
SELECT
    channel,
    DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`,
    MAX(DATE_FORMAT(`dateTime`, 'HH:mm')) AS `minute`,
    COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS low_bids,
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bids,
    COUNT(*) FILTER (WHERE price >= 1000000) AS high_bids,
    COUNT(DISTINCT bidder) AS bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS low_bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS high_bidders,
    COUNT(DISTINCT auction) AS auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS low_auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS high_auctions
FROM bids
WHERE channel NOT LIKE 'channel-%' OR price > 30000000
GROUP BY channel, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd');

-- q17: the prices of an auction on a day
SELECT
    auction,
    DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`,
    COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS low_bids,
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bids,
    COUNT(*) FILTER (WHERE price >= 1000000) AS high_bids,
    MIN(price) AS lowest,
    MAX(price) AS highest,
    AVG(price) AS average,
    SUM(price) AS total
FROM bids
GROUP BY auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd');

-- q18: the last bid of each bidder in each auction
SELECT auction, bidder, price, channel, `dateTime`
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY `dateTime` DESC) AS place FROM bids)
WHERE place <= 1;

-- q19: the ten highest bids of each auction
SELECT auction, bidder, price, `dateTime`, place
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, `dateTime` ASC) AS place FROM bids)
WHERE place <= 10;
