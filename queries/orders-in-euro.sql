-- What is each order worth in euro, by the rate that was in force when it was placed, and who has ordered most so far?
--
-- Two joins. FOR SYSTEM_TIME AS OF joins the version of a row that was in force at the order's time: rates change, an
-- order's worth does not. The second join has no bound in time: customers may arrive before or after their orders, and
-- what they are called may change; the table follows. Its rows are kept for a day after their last change
-- (table.exec.state.ttl).
--
-- On your machine, with the rows in orders-in-euro.samples and no account:
--
--     paceline run --local queries/orders-in-euro.sql
--
-- On AWS: put your streams into 'stream.arn', create a DynamoDB table `customer-orders` with the partition key
-- `customer_id` (Number), and run the same file:
--
--     paceline run queries/orders-in-euro.sql --state-dir orders-in-euro-state

SET 'table.exec.state.ttl' = '1 d';

CREATE TABLE placed_order (
    order_id BIGINT,
    customer_id BIGINT,
    amount DECIMAL(12, 2),
    currency STRING,
    placed_at TIMESTAMP(3),
    WATERMARK FOR placed_at AS placed_at - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/placed-orders',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

-- The rate of a currency from a time on, until the next one of the same currency.
CREATE TABLE rate (
    currency STRING,
    euro DECIMAL(10, 6),
    since TIMESTAMP(3),
    WATERMARK FOR since AS since,
    PRIMARY KEY (currency) NOT ENFORCED
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/rates',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE customer (
    customer_id BIGINT,
    name STRING,
    changed_at TIMESTAMP(3),
    WATERMARK FOR changed_at AS changed_at
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/customers',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE customer_orders (
    customer_id BIGINT,
    name STRING,
    orders BIGINT,
    euro DECIMAL(38, 2),
    PRIMARY KEY (customer_id) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'customer-orders',
    'aws.region' = 'us-east-1'
);

CREATE VIEW order_in_euro AS
SELECT o.order_id, o.customer_id, CAST(o.amount * r.euro AS DECIMAL(14, 2)) AS euro
FROM placed_order AS o
JOIN rate FOR SYSTEM_TIME AS OF o.placed_at AS r ON o.currency = r.currency;

-- The name that a customer has now.
CREATE VIEW named_customer AS
SELECT customer_id, name
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY changed_at DESC) AS newest FROM customer
)
WHERE newest = 1;

INSERT INTO customer_orders
SELECT t.customer_id, c.name, t.orders, t.euro
FROM (
    SELECT customer_id, COUNT(*) AS orders, SUM(euro) AS euro FROM order_in_euro GROUP BY customer_id
) AS t
LEFT JOIN named_customer AS c ON t.customer_id = c.customer_id;
