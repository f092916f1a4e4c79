-- Which log groups have errors, minute by minute?
--
-- A subscription of CloudWatch Logs sends gzip files to a Kinesis stream, each with many log events. The setting below opens
-- them: a log event is a row. A message that is a JSON object has its members as columns; any other is the column `message`.
-- The fields of the envelope are metadata: 'envelope.logGroup', 'envelope.logStream', 'envelope.owner', 'envelope.id',
-- 'envelope.timestamp', and the whole text as 'envelope.message'.
--
-- On your machine, with the log events in log-errors.samples/log.jsonl and no account:
--
--     paceline run --local queries/log-errors.sql
--
-- On AWS: subscribe your log groups to a stream and put it into 'stream.arn', create a DynamoDB table `log-errors` with the
-- partition key `log_group` (String) and the sort key `minute_end` (String), and run the same file:
--
--     paceline run queries/log-errors.sql --state-dir log-errors-state

SET 'table.local-time-zone' = 'UTC';
SET 'paceline.log.envelope' = 'cloudwatch-logs';

CREATE TABLE log (
    level STRING,
    message STRING,
    log_group STRING METADATA FROM 'envelope.logGroup' VIRTUAL,
    logged_at TIMESTAMP_LTZ(3) METADATA FROM 'envelope.timestamp' VIRTUAL,
    WATERMARK FOR logged_at AS logged_at - INTERVAL '30' SECOND
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/logs',
    'aws.region' = 'us-east-1',
    'source.init.position' = 'TRIM_HORIZON',
    'format' = 'json'
);

CREATE TABLE log_errors (
    log_group STRING,
    minute_end TIMESTAMP(3),
    events BIGINT,
    errors BIGINT,
    PRIMARY KEY (log_group, minute_end) NOT ENFORCED
) WITH (
    'connector' = 'dynamodb',
    'table-name' = 'log-errors',
    'aws.region' = 'us-east-1'
);

INSERT INTO log_errors
SELECT
    log_group,
    window_end,
    COUNT(*),
    COUNT(*) FILTER (WHERE level = 'ERROR' OR message LIKE '%ERROR%')
FROM TABLE(TUMBLE(TABLE log, DESCRIPTOR(logged_at), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, log_group;
