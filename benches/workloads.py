#!/usr/bin/env python3
"""What does a whole job cost? CPU seconds per million rows, peak memory, and whether the answer is right.

    python3 benches/workloads.py BENCH DATA [a b b2 c d e]

BENCH is the folder of the reference workloads: gen.rs, which makes the data, and sql/. DATA is where the rows
are, or will be made (4 GB). Every query runs as a user would run it: the release binary, state in RocksDB, a checkpoint every ten
seconds (--interval to change it), JSON files in and out. CPU seconds are user and system time of the whole process; on a shared
machine compare figures of one run only. The expected results belong to `gen KIND DIR ROWS 2 1`.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

MILLION = 1_000_000
# Query: kind of data, rows in, rows out, name of the check, its value, and how to compute it from one row.
QUERIES = {
    "a": ("race", 10 * MILLION, 1_029_583, "sum of c", 10_000_000, lambda r: r["c"]),
    "b": ("bid", MILLION, 161, "sum of num", 130_016, lambda r: r["num"]),
    "b2": ("bid", 10 * MILLION, 505, "sum of num", 404_911, lambda r: r["num"]),
    "c": ("bid", 10 * MILLION, 367_101, "sum of c", 10_000_000, lambda r: r["c"]),
    "d": ("bid", 10 * MILLION, 101, "sum of price", 10_098_450_818, lambda r: r["price"]),
    "e": ("race", 10 * MILLION, 15_720, "sum of racerId x rn", 43_068_965, lambda r: r["racerId"] * r["rn"]),
}


def data_folder(data, query):
    kind, rows = QUERIES[query][:2]
    return data / (kind if rows == 10 * MILLION else f"{kind}-{rows}")


def make_data(bench, data, query):
    kind, rows = QUERIES[query][:2]
    folder = data_folder(data, query)
    if folder.exists():
        return
    with tempfile.TemporaryDirectory() as tools:
        generator = pathlib.Path(tools) / "gen"
        subprocess.run(["rustc", "-C", "opt-level=3", "-o", generator, bench / "gen.rs"], check=True)
        data.mkdir(parents=True, exist_ok=True)
        subprocess.run([generator, kind, folder, str(rows), "2", "1"], check=True)


def statements(bench, data, query, out, interval):
    kind = QUERIES[query][0]
    text = (bench / "sql" / f"_{kind}.sql").read_text() + (bench / "sql" / f"{query}.sql").read_text()
    text = text.replace("${%s}" % kind.upper(), str(data_folder(data, query)))
    text = text.replace("${SINK}", f"'connector'='filesystem','format'='json','path'='{out}'")
    return f"SET 'execution.checkpointing.interval' = '{interval}';\n{text}"


def cpu_s(before, after):
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(binary, bench, data, query, interval, arguments):
    """One run in a process of its own, whose only child is the job: so the peak is the job's."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        out, sql = folder / "out", folder / f"{query}.sql"
        sql.write_text(statements(bench, data, query, out, interval))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [binary, "run", sql, "--state-dir", folder / "state", *arguments]
        subprocess.run(command, check=True, env={**os.environ, "RUST_LOG": "warn"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = total = 0
        for path in out.iterdir():
            with open(path) as lines:
                for line in lines:
                    rows += 1
                    total += QUERIES[query][5](json.loads(line))
    return {"cpu_s": cpu_s(before, after), "peak_mb": after.ru_maxrss / 1024, "rows": rows, "total": total}


def measured(binary, bench, data, query, interval, arguments):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "w") as end:
            json.dump(run(binary, bench, data, query, interval, arguments), end)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as end:
        text = end.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else sys.exit(f"query {query} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("queries", nargs="*", metavar="QUERY", help="of " + ", ".join(QUERIES) + "; all if none is named")
    parser.add_argument("--interval", default="10 s", help="between checkpoints")
    parser.add_argument("--runs", type=int, default=3, help="of each query; the median counts")
    parser.add_argument("--parallelism", help="workers of a job")
    options = parser.parse_args()
    unknown = set(options.queries) - set(QUERIES)
    if unknown:
        parser.error(f"no such query: {', '.join(sorted(unknown))}")
    root = pathlib.Path(__file__).resolve().parent.parent
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=root, check=True)
    arguments = ["--parallelism", options.parallelism] if options.parallelism else []
    bench, data = options.bench.resolve(), options.data.resolve()
    wrong = False
    print(f"{'query':5} {'CPU-s per 1M rows (min, median, max)':>38} {'peak MB':>8} {'rows out':>9}  check")
    for query in options.queries or QUERIES:
        _, rows_in, rows, name, value, _ = QUERIES[query]
        make_data(bench, data, query)
        figures = [measured(target / "release" / "paceline", bench, data, query, options.interval, arguments)
                   for _ in range(options.runs)]
        costs = sorted(f["cpu_s"] / (rows_in / MILLION) for f in figures)
        right = all(f["rows"] == rows and f["total"] == value for f in figures)
        wrong |= not right
        spread = f"{costs[0]:.3f}  {costs[len(costs) // 2]:.3f}  {costs[-1]:.3f}"
        verdict = f"{name} = {value}" if right else f"WRONG: {figures}, expected {rows} rows and {value}"
        print(f"{query:5} {spread:>38} {max(f['peak_mb'] for f in figures):8.0f} {rows:9}  {verdict}", flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
