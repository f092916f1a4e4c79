#!/usr/bin/env python3
"""Do random queries give the rows that real Flink gives?

    queries.py --binary PACELINE --flink HOME [--seed N] [--count N] [--batch N] [--keep DIR] [--log FILE]

Each batch has fresh tables, a time zone, a unit of time and up to --batch queries of its own. Flink plans every query (what it
refuses is dropped), then runs all that only insert as one job with a sink each, and every changelog as a SELECT. Ours runs every
query alone, on one to four workers. Rows are compared as multisets: numbers by value, fractions to 9 digits, a changelog by the
table it leads to. A differing query is cut down by halving its rows and printed with them. Exit 1 if any query differs.
Flink is found as by tests/cases/record.py. The README beside this file says what is not compared.
"""
import argparse, collections, json, pathlib, random, re, shutil, signal, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cases")]
sys.dont_write_bytecode = True
from forms import Forms  # noqa: E402
from grammar import ZONES, tables  # noqa: E402
from record import Flink, flink_home  # noqa: E402

TIMEOUT_S = 120  # ours, per query: far above the second one takes; a hang must not stop the run
REDUCING_RUNS = 40  # Flink runs spent on cutting one query's rows down


def number(text):
    """Integers exactly, fractions to 9 digits."""
    value = float(text)
    if text.lstrip("-").isdigit():
        return int(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else float("%.9g" % value)


def parse(line):
    return json.loads(line, parse_float=number, parse_int=number)


def frozen(row):
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def table_of(lines):
    """The multiset that a changelog, or a list of rows, leads to."""
    counts = collections.Counter()
    for line in lines:
        row = parse(line)
        counts[frozen({k: v for k, v in row.items() if k != "op"})] += -1 if row.get("op", "+I") in ("-D", "-U") else 1
    return counts


def near(a, b):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool) and not isinstance(b, bool):
        return abs(a - b) <= 2e-9 * max(abs(a), abs(b)) + 1e-7 * (isinstance(a, float) or isinstance(b, float))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(near(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(near, a, b))
    return a == b


def difference(want, got):
    """Rows missing and rows too many; pairs that differ only by rounding are taken out."""
    missing, extra = [], []
    for row in want.keys() | got.keys():
        delta = want[row] - got[row]
        (missing if delta > 0 else extra).extend([json.loads(row)] * abs(delta))
    for row in list(missing):
        for other in extra:
            if near(row, other):
                missing.remove(row)
                extra.remove(other)
                break
    return missing, extra


class Batch:
    """The tables that a group of queries reads, and the scripts over them."""

    def __init__(self, rng, work):
        self.unit, unit_ms = rng.choice([("SECOND", 1000), ("SECOND", 1000), ("MINUTE", 60000)])
        self.zone, self.delay = rng.choice(ZONES), rng.choice([2, 4, 5])
        self.rows = tables(rng, unit_ms, self.delay)
        self.work = work

    def write(self, rows=None):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        for name, lines in (rows or self.rows).items():
            zoned = name[0] == "z"
            with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
                for row in lines:
                    row = dict(row)
                    if not zoned:
                        ms = row.pop("ms")
                        seconds, rest = divmod(ms, 1000)
                        row["ts"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + (f".{rest:03}" if rest else "")
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return folder

    def script(self, queries, sinks):
        """queries: [(name, Query)]; sinks: {name: [(column, type)]} of those that insert."""
        used = sorted({source for _, query in queries for source in query.sources})
        out = [f"SET 'table.local-time-zone' = '{self.zone}';"]
        for name in used:
            time_column = "ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3)" if name[0] == "z" else "ts TIMESTAMP(3)"
            out.append(f"CREATE TABLE {name} (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, {time_column}, "
                       f"WATERMARK FOR ts AS ts - INTERVAL '{self.delay}' {self.unit}) "
                       f"WITH ('connector'='filesystem','format'='json','path'='${{DIR}}/{name}.jsonl');")
        for name, query in queries:
            out += [view + ";" for view in query.views]
        for name, query in queries:
            if name in sinks:
                columns = ", ".join(f"`{column}` {kind}" for column, kind in sinks[name])
                out.append(f"CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem','format'='json','path'='${{OUT}}/{name}');")
        for name, query in queries:
            out.append((f"INSERT INTO {name} " if name in sinks else "") + query.select + ";")
        return "\n".join(out) + "\n"


class Runs:
    def __init__(self, flink, binary, work):
        self.flink, self.binary, self.work = flink, binary, work

    def file(self, text, folder):
        path = pathlib.Path(tempfile.mkdtemp(dir=self.work)) / "q.sql"
        path.write_text(text.replace("${DIR}", str(folder)), encoding="utf-8")
        return path

    def plan(self, batch, folder, query):
        """-> the sink's columns ([] for a changelog), or None and Flink's reason"""
        lines, failure = self.flink.ask("plan", str(self.file(batch.script([("q", query)], {}), folder)))
        bad = failure or next((rest for word, rest in lines if word == "refused"), None)
        if bad or not lines:
            return None, bad or "no plan"
        columns = []
        for column in lines[-1][1].split("\x02"):
            name, kind = column.split("\x01")
            columns.append((name, re.sub(r" NOT NULL|VARCHAR\(2147483647\)", lambda m: "" if m[0][0] == " " else "STRING", kind)))
        if query.updating:
            return [], None
        lines, failure = self.flink.ask("plan", str(self.file(batch.script([("q", query)], {"q": columns}), folder).resolve()))
        bad = failure or next((rest for word, rest in lines if word == "refused"), None)
        if bad and ("doesn't support consuming update" in bad or "more than one rowtime" in bad):
            return [], None
        return (None, bad) if bad else (columns, None)

    def theirs(self, batch, folder, queries, sinks):
        """-> {name: lines or the failure as a text}"""
        if not queries:
            return {}
        found, failure = self.flink.run(self.file(batch.script(queries, sinks), folder), folder)
        if failure and len(queries) > 1:
            half = len(queries) // 2
            return self.theirs(batch, folder, queries[:half], sinks) | self.theirs(batch, folder, queries[half:], sinks)
        if failure:
            return {queries[0][0]: failure}
        return {name: found.get(name if name in sinks else "select_1.changelog", []) for name, _ in queries}

    def ours(self, batch, folder, name, query, sinks):
        """-> exit code, lines or what it said"""
        out = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        path = self.file(batch.script([(name, query)], sinks).replace("${OUT}", str(out / "sinks")), folder)
        try:
            done = subprocess.run([self.binary, "run", str(path), "--state-dir", str(out / "state"), "--output", "json", "--parallelism", str(query.workers)],
                                  capture_output=True, text=True, encoding="utf-8", cwd=out, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return -1, [f"no end after {TIMEOUT_S} s"]
        if done.returncode:
            return done.returncode, [line for line in done.stderr.splitlines() if line.strip()]
        if name not in sinks:
            return 0, [line for line in done.stdout.splitlines() if line.startswith("{")]
        lines = [line for file in sorted((out / "sinks").rglob("*")) if file.is_file() and not file.name.startswith(("_", "."))
                 for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n") if line]
        shutil.rmtree(out)
        return 0, lines

    def differs(self, batch, rows, name, query, sinks):
        folder = batch.write(rows)
        theirs = self.theirs(batch, folder, [(name, query)], sinks)[name]
        code, ours = self.ours(batch, folder, name, query, sinks)
        shutil.rmtree(folder)
        if isinstance(theirs, str) or code == 2:
            return None
        if code:
            return ["ours failed"], ours[-3:]
        missing, extra = difference(table_of(theirs), table_of(ours))
        return (missing, extra) if missing or extra else None

    def reduce(self, batch, name, query, sinks):
        """Halves the rows of each table, then smaller parts, while the difference stays."""
        rows = {table: list(batch.rows[table]) for table in query.sources}
        last, runs = self.differs(batch, rows, name, query, sinks), 0
        if last is None:
            return rows, None  # it depends on the other queries of the job, or on timing
        part = max(map(len, rows.values())) // 2
        while part >= 1 and runs < REDUCING_RUNS:
            cut = False
            for table in rows:
                at = 0
                while at < len(rows[table]) and runs < REDUCING_RUNS:
                    fewer = rows | {table: rows[table][:at] + rows[table][at + part:]}
                    found = self.differs(batch, fewer, name, query, sinks) if any(fewer.values()) else None
                    runs += 1
                    if found:
                        rows, last, cut = fewer, found, True
                    else:
                        at += part
            part = part // 2 if not cut or part > 1 else part
        return rows, last


def report(out, batch, name, query, sinks, rows, found, folder):
    text = batch.script([(name, query)], sinks)
    print(f"\nDIFFERS {name} on {query.workers} workers: {', '.join(sorted(query.features))}\n{text}", file=out)
    for table, lines in rows.items():
        if sum(map(len, rows.values())) <= 40:
            print(f"-- {table}", *(json.dumps(row, ensure_ascii=False) for row in lines), sep="\n", file=out)
    if found is None:
        print("alone it agrees", file=out)
    else:
        print("Flink only:", *found[0][:8], "ours only:", *found[1][:8], sep="\n  ", file=out)
    out.flush()
    if folder:
        kept = pathlib.Path(folder) / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(batch.write(rows), kept)
        (kept / "query.sql").write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--flink", metavar="HOME")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300, help="queries that Flink must accept")
    parser.add_argument("--batch", type=int, default=30)
    parser.add_argument("--reduce", type=int, default=20, help="differing queries to cut down")
    parser.add_argument("--keep", metavar="DIR", help="keep differing queries and their rows here")
    parser.add_argument("--log", metavar="FILE", help="every query with its outcome, as JSON lines")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="paceline-generate-"))
    log = open(options.log, "w", encoding="utf-8") if options.log else None
    flink = Flink(flink_home(options.flink))
    runs = Runs(flink, str(pathlib.Path(options.binary).resolve()), work)
    outcomes, features, reasons, refused, made = collections.Counter(), {}, collections.Counter(), collections.Counter(), 0
    number_of_batch = accepted = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a time limit still prints its counts
    try:
        while accepted < options.count:
            rng = random.Random(f"{options.seed}/{number_of_batch}")
            batch = Batch(rng, work)
            folder = batch.write()
            planned, sinks = [], {}
            for n in range(min(options.batch, options.count - accepted)):
                query = Forms(rng, batch.unit, batch.delay, n).query()
                name = f"s{options.seed}b{number_of_batch}q{n}"
                made += 1
                columns, why = runs.plan(batch, folder, query)
                if columns is None:
                    refused[re.sub(r".*<- ", "", why)[:110]] += 1
                    if log:
                        print(json.dumps({"name": name, "outcome": "Flink refuses", "sql": query.select, "why": why[:600]}), file=log, flush=True)
                    continue
                planned.append((name, query))
                if columns:
                    sinks[name] = columns
            theirs = runs.theirs(batch, folder, [p for p in planned if p[0] in sinks], sinks)
            for pair in planned:
                if pair[0] not in sinks:
                    theirs |= runs.theirs(batch, folder, [pair], {})
            for name, query in planned:
                own = {name: sinks[name]} if name in sinks else {}
                if isinstance(theirs[name], str):
                    refused["fails: " + re.sub(r".*<- ", "", theirs[name])[:100]] += 1
                    continue
                accepted += 1
                code, ours = runs.ours(batch, folder, name, query, own)
                if code == 2:
                    outcome = "not supported"
                    reasons[next((line for line in ours if line.startswith("error")), ours[0] if ours else "")[:160]] += 1
                elif code:
                    outcome = "failed"
                else:
                    missing, extra = difference(table_of(theirs[name]), table_of(ours))
                    outcome = "differs" if missing or extra else "agrees"
                rows = len(theirs[name])
                outcomes[outcome] += 1
                outcomes["empty"] += rows == 0
                outcomes["mixed"] += len(query.features) > 1
                for feature in query.features:
                    features.setdefault(feature, collections.Counter())[outcome] += 1
                if log:
                    print(json.dumps({"name": name, "outcome": outcome, "rows": rows, "features": sorted(query.features), "views": query.views,
                                      "sql": query.select, "workers": query.workers, "said": ours[:3] if code else None}), file=log, flush=True)
                if outcome in ("differs", "failed"):
                    least, found = {t: batch.rows[t] for t in query.sources}, (["ours failed"], ours[-3:]) if code else (missing, extra)
                    if options.reduce > 0:
                        options.reduce -= 1
                        least, found = runs.reduce(batch, name, query, own)
                    report(sys.stdout, batch, name, query, own, least, found, options.keep)
            print(f"batch {number_of_batch}: {accepted} of {made} accepted, {dict(outcomes)}", file=sys.stderr, flush=True)
            number_of_batch += 1
            for path in work.iterdir():
                shutil.rmtree(path, ignore_errors=True)
    except KeyboardInterrupt:
        print("\ninterrupted: the counts so far", file=sys.stderr)
    finally:
        flink.close()
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{made} made, {accepted} accepted by Flink: " + ", ".join(f"{n} {what}" for what, n in outcomes.most_common()))
    print("\n| feature | queries | agree | differ | not supported |\n|---|---|---|---|---|")
    for feature, counts in sorted(features.items(), key=lambda pair: -sum(pair[1].values())):
        print(f"| {feature} | {sum(counts.values())} | {counts['agrees']} | {counts['differs'] + counts['failed']} | {counts['not supported']} |")
    for title, counter in (("Not supported by ours:", reasons), ("Refused by Flink:", refused)):
        print(f"\n{title}")
        for text, count in counter.most_common(40):
            print(f"{count:4} {text}")
    return 1 if outcomes["differs"] + outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
