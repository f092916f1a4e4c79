"""Writes rides to a Kinesis stream with boto3 until a file FOLDER/stop is there, or for ten minutes.

    python3 producer.py ENDPOINT STREAM FOLDER SEED RIDES_PER_SECOND

Every ride that the service has taken is a line of FOLDER/sent.jsonl, which is what the answer is computed from. Event times go up by a
tenth of a second from ride to ride, less a jitter of up to four seconds. A record that is refused is sent again before any other, and
nothing is sent again that may have been taken: the client has no retries of its own.
"""

import json
import pathlib
import random
import sys
import time

import boto3
from botocore.config import Config

START_MS = 1_700_000_100_000
BATCH = 20
SECONDS_MAX = 600


def main():
    endpoint, stream, folder, seed, per_second = sys.argv[1:]
    folder, per_second = pathlib.Path(folder), float(per_second)
    rng = random.Random(int(seed))
    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="someone",
        aws_secret_access_key="something",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
    )
    began, written = time.monotonic(), 0
    with open(folder / "sent.jsonl", "w") as sent:
        while time.monotonic() < began + SECONDS_MAX and not (folder / "stop").exists():
            batch = [ride(rng, written + i) for i in range(BATCH)]
            written += len(batch)
            while batch:
                batch = send(client, stream, batch, sent)
            sent.flush()
            time.sleep(max(0.0, began + written / per_second - time.monotonic()))
    print(f"boto3 {boto3.__version__} wrote {written} rides", flush=True)


def ride(rng, number):
    racer = rng.randrange(40)
    at_ms = START_MS + number * 100 - rng.randrange(4000)
    return {"racerId": racer, "raceId": racer % 2, "points": rng.randrange(1, 100), "deviceTimestamp": max(at_ms, START_MS)}


def send(client, stream, rides, sent):
    """Those that the service has refused."""
    records = [{"PartitionKey": str(r["racerId"]), "Data": json.dumps(r).encode()} for r in rides]
    try:
        answers = client.put_records(StreamName=stream, Records=records)["Records"]
    except (client.exceptions.ResourceInUseException, client.exceptions.ProvisionedThroughputExceededException):
        time.sleep(0.05)
        return rides
    refused = []
    for r, answer in zip(rides, answers):
        if "ErrorCode" in answer:
            refused.append(r)
        else:
            sent.write(json.dumps(r) + "\n")
    if refused:
        time.sleep(0.05)
    return refused


main()
