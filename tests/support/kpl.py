"""Writes kpl.bin: an aggregate as `aws-kinesis-agg` for Python makes it (pip install aws-kinesis-agg).

    python3 tests/support/kpl.py
"""

import pathlib

from aws_kinesis_agg.aggregator import RecordAggregator

aggregator = RecordAggregator()
for id, (key, hash_key) in enumerate([("rider-0", None), ("rider-1", None), ("rider-2", "7"), ("rider-0", None), ("ümlaut", None)]):
    aggregator.add_user_record(key, b'{"id":%d}' % id, hash_key)
pathlib.Path(__file__).with_name("kpl.bin").write_bytes(aggregator.clear_and_get().get_contents()[2])
