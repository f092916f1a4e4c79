-- Which cards were tried with small amounts and then charged a large one within ten minutes, in other countries?
--
-- MATCH_RECOGNIZE finds rows of a card that follow each other in a pattern: one payment or more below 5, then one of
-- 500 or more from another country than the first. WITHIN bounds what is kept: rows of a match that has begun are
-- forgotten ten minutes after its first row.
--
-- On your machine, with the payments in card-fraud.samples/payment.jsonl and no account:
--
--     paceline run --local queries/card-fraud.sql
--
-- On AWS: put your stream into 'stream.arn', create a DynamoDB table `card-alerts` with the partition key `card` (String)
-- and the sort key `charged_at` (String), and run the same file:
--
--     paceline run queries/card-fraud.sql --state-dir card-fraud-state

CREATE TABLE payment (
    card STRING,
    amount DECIMAL(10, 2),
    country STRING,
    paid_at TIMESTAMP(3),
    WATERMARK FOR paid_at AS paid_at - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/payments',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE card_alerts (
    card STRING,
    charged_at TIMESTAMP(3),
    tries BIGINT,
    tried DECIMAL(38, 2),
    charged DECIMAL(10, 2),
    tried_in STRING,
    charged_in STRING,
    PRIMARY KEY (card, charged_at) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'card-alerts',
    'aws.region' = 'us-east-1'
);

INSERT INTO card_alerts
SELECT card, charged_at, tries, tried, charged, tried_in, charged_in
FROM payment
MATCH_RECOGNIZE (
    PARTITION BY card
    ORDER BY paid_at
    MEASURES
        CAST(CHARGE.paid_at AS TIMESTAMP(3)) AS charged_at,
        COUNT(SMALL.amount) AS tries,
        SUM(SMALL.amount) AS tried,
        CHARGE.amount AS charged,
        FIRST(SMALL.country) AS tried_in,
        CHARGE.country AS charged_in
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (SMALL+ CHARGE) WITHIN INTERVAL '10' MINUTE
    DEFINE
        SMALL AS SMALL.amount < 5,
        CHARGE AS CHARGE.amount >= 500 AND CHARGE.country <> FIRST(SMALL.country)
);
