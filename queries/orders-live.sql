-- What is each shop selling right now? The sales of the current minute, while it runs.
--
-- An order that was sent twice counts once: the first one that arrives stays. The row of a shop's minute is written a second
-- after an order has changed it, and for the last time when the minute is over; an order up to half a minute late still changes it.
--
-- On your machine, without an account. There is no sample beside this file, so a thousand orders are made from the columns
-- of the table:
--
--     paceline run --local queries/orders-live.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `shop-minutes` with the partition key `shop_id` (String)
-- and the sort key `minute` (String), and run the same file:
--
--     paceline run queries/orders-live.sql --state-dir orders-live-state

SET 'table.local-time-zone' = 'UTC';
-- An order number is remembered for a day.
SET 'table.exec.state.ttl' = '1 d';
SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '1 s';
SET 'table.exec.emit.late-fire.enabled' = 'true';
SET 'table.exec.emit.late-fire.delay' = '1 s';
SET 'table.exec.emit.allow-lateness' = '30 s';

CREATE TABLE orders (
    order_number BIGINT,
    shop_id STRING,
    price DECIMAL(8, 2),
    quantity INT,
    event_time BIGINT,
    ordered_at AS TO_TIMESTAMP_LTZ(event_time, 3),
    arrived_at AS PROCTIME(),
    WATERMARK FOR ordered_at AS ordered_at - INTERVAL '2' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/orders',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'LATEST',
    'format' = 'json'
);

CREATE TABLE shop_minutes (
    shop_id STRING,
    `minute` TIMESTAMP(3),
    orders BIGINT,
    items BIGINT,
    revenue DECIMAL(38, 2),
    PRIMARY KEY (shop_id, `minute`) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'shop-minutes',
    'aws.region' = 'us-east-1'
);

CREATE VIEW once AS
SELECT order_number, shop_id, price, quantity, ordered_at
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY order_number ORDER BY arrived_at) AS copy
    FROM orders
)
WHERE copy = 1;

INSERT INTO shop_minutes
SELECT shop_id, TUMBLE_START(ordered_at, INTERVAL '1' MINUTE), COUNT(*), SUM(quantity), SUM(price * quantity)
FROM once
GROUP BY TUMBLE(ordered_at, INTERVAL '1' MINUTE), shop_id;
