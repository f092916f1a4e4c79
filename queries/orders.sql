-- What did each shop sell in the last ten seconds, and how much of it was paid?
--
-- The orders carry their time as a number: milliseconds since the epoch.
--
-- On your machine, without an account. There is no sample beside this file, so a thousand orders are made from the columns
-- of the table:
--
--     paceline run --local queries/orders.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `shop-sales` with the partition key `shop_id` (String)
-- and the sort key `window_end` (String), and run the same file:
--
--     paceline run queries/orders.sql --state-dir orders-state

SET 'table.local-time-zone' = 'UTC';

CREATE TABLE orders (
    order_number BIGINT,
    shop_id STRING,
    price DECIMAL(8, 2),
    quantity INT,
    paid BOOLEAN,
    event_time BIGINT,
    ordered_at AS TO_TIMESTAMP_LTZ(event_time, 3),
    WATERMARK FOR ordered_at AS ordered_at - INTERVAL '2' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/orders',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'LATEST',
    'format' = 'json'
);

CREATE TABLE shop_sales (
    shop_id STRING,
    window_end TIMESTAMP(3),
    orders BIGINT,
    items BIGINT,
    revenue DECIMAL(38, 2),
    paid_orders BIGINT,
    size STRING,
    PRIMARY KEY (shop_id, window_end) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'shop-sales',
    'aws.region' = 'us-east-1'
);

INSERT INTO shop_sales
SELECT
    shop_id,
    window_end,
    COUNT(*),
    SUM(quantity),
    SUM(price * quantity),
    COUNT(*) FILTER (WHERE paid),
    CASE WHEN COUNT(*) >= 10 THEN 'busy' WHEN COUNT(*) >= 5 THEN 'normal' ELSE 'quiet' END
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ordered_at), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, shop_id
HAVING COUNT(*) > 1;
