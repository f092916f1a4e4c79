#!/usr/bin/env python3
"""What does each query of queries/nexmark cost? CPU seconds per million events.

    python3 benches/nexmark.py [--events N] [--parallelism N] [q5 q9 ...]

Each query runs alone, as a user would run it: the release binary, state in RocksDB, the made-up auction house as the source and
blackhole as the sink. Making the events and reading them as JSON is part of the cost: q0 says how much that is. CPU seconds are user
and system time of the whole process; on a shared machine compare figures of one run only. Build it first: cargo build --release.
"""

import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def queries():
    """Name and text of each: what stands on top of its file, then its own statements."""
    for path in sorted((ROOT / "queries/nexmark").glob("*.sql")):
        top, *parts = re.split(r"^-- (\w+): .*\n", path.read_text(), flags=re.MULTILINE)
        for name, text in zip(parts[::2], parts[1::2]):
            yield name, top + text


def by_number(query):
    name = query[0]
    return (int(name[1:]), "") if re.fullmatch(r"q\d+", name) else (1000, name)


def measured(binary, text, events, parallelism):
    text = re.sub(r"'events.num' = '\d+'", f"'events.num' = '{events}'", text)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "query.sql"
        path.write_text(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [binary, "run", path, "--state-dir", path.parent / "state", "--parallelism", str(parallelism)]
        run = subprocess.run(command, env={**os.environ, "RUST_LOG": "error"}, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        return run.stderr.strip().splitlines()[0]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", nargs="*")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/paceline")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--parallelism", type=int, default=1)
    args = parser.parse_args()
    failed = False
    print("query            CPU s per million events")
    for name, text in sorted(queries(), key=by_number):
        if args.queries and name not in args.queries:
            continue
        result = measured(args.binary, text, args.events, args.parallelism)
        failed |= isinstance(result, str)
        shown = result if isinstance(result, str) else f"{result * 1e6 / args.events:10.2f}"
        print(f"{name:16} {shown}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
