#!/usr/bin/env python3
"""Do random queries give the rows that real Flink gives?

    queries.py --binary PACELINE --flink HOME [--seed N] [--count N] [--batch N] [--keep DIR] [--log FILE]

Each batch has fresh tables, a time zone, a unit of time and up to --batch queries of its own. Flink plans every query (what it
refuses is dropped), then runs all that only insert as one job with a sink each, and all changelogs as another. Ours runs every
query alone, on one to four workers. A differing query is cut down by halving its rows and printed with them. Exit 1 if any query
differs. Flink is found as by tests/cases/record.py. The README beside this file says what is not compared.
"""
import argparse, collections, json, math, pathlib, random, re, shutil, signal, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cases")]
sys.dont_write_bytecode = True
from forms import Forms  # noqa: E402
from record import Flink, flink_home  # noqa: E402
from runs import Batch, Runs  # noqa: E402

# What a run must hold: each in at least 5 % of its queries.
FEATURES = {
    "windows and time": ["TUMBLE", "HOP", "CUMULATE", "SESSION", "offset", "old TUMBLE", "old HOP", "old SESSION", "zone", "PROCTIME",
                         "early fire", "late fire"],
    "around windows": ["GROUPING SETS", "ROLLUP", "CUBE", "window Top-N of aggregates", "window Top-N of rows",
                       "window deduplication first", "window deduplication last", "window join inner", "window join left",
                       "window join right", "window join full", "semi join", "anti join", "cascade", "UNION ALL", "projection", "view",
                       "view over view"],
    "changelogs": ["plain GROUP BY", "retraction", "continuous Top-N", "first row", "last row", "deduplication by an id", "mini-batch",
                   "upsert sink", "window over updates"],
    "rows before": ["OVER RANGE", "OVER ROWS", "OVER bounded", "OVER unbounded", "OVER, several functions", "named WINDOW",
                    "OVER by a column", "interval join"],
    "aggregates": ["COUNT", "SUM", "AVG", "MIN", "MAX", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP", "FIRST_VALUE", "LAST_VALUE",
                   "LISTAGG", "COLLECT", "ARRAY_AGG", "JSON_OBJECTAGG", "JSON_ARRAYAGG", "PERCENTILE", "DISTINCT", "FILTER"],
}
WANTED = [feature for part in FEATURES.values() for feature in part]
SHARE, AIM = 0.05, 0.065  # the aim is above the share: chance must not decide
DRAWS = 25  # queries drawn to choose one from: enough that the rarest feature is among them


def draw(rng, batch, n, have, count):
    """The one of several random queries that has the most of what is rare so far."""
    drawn = [Forms(rng, batch.unit, batch.delay, n).query() for _ in range(DRAWS)]
    lacking = {feature: max(0.0, AIM * (count + 10) - have[feature]) ** 3 for feature in WANTED}
    return max(drawn, key=lambda query: math.fsum(lacking.get(feature, 0) for feature in query.features))  # whatever the set's order


def report(out, batch, name, query, columns, inserts, rows, found, folder):
    text = batch.script([(name, query)], {name: columns} if inserts else {})
    into = f", into a table with the key {', '.join(query.upsert)}" if query.upsert else ""
    print(f"\nDIFFERS {name} on {query.workers} workers{into}: {', '.join(sorted(query.features))}\n{text}", file=out)
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


class Counts:
    def __init__(self, log):
        self.outcomes, self.features, self.reasons, self.refused = collections.Counter(), {}, collections.Counter(), collections.Counter()
        self.made = self.accepted = 0
        self.log = open(log, "w", encoding="utf-8") if log else None

    def have(self):
        return collections.Counter({feature: sum(counts.values()) for feature, counts in self.features.items()})

    def note(self, **what):
        if self.log:
            print(json.dumps(what), file=self.log, flush=True)

    def refuse(self, name, query, why):
        self.refused[re.sub(r".*<- ", "", why)[:110]] += 1
        self.note(name=name, outcome="Flink refuses", sql=query.select, views=query.views, why=why[:600])

    def accept(self, name, query, outcome, rows, said):
        self.accepted += 1
        self.outcomes[outcome] += 1
        self.outcomes["empty"] += rows == 0
        self.outcomes["with two features or more"] += len(query.features) > 1
        for feature in query.features:
            self.features.setdefault(feature, collections.Counter())[outcome] += 1
        if outcome == "not supported":
            self.reasons[next((line for line in said if line.startswith("error")), said[0] if said else "")[:160]] += 1
        self.note(name=name, outcome=outcome, rows=rows, features=sorted(query.features), views=query.views, sql=query.select,
                  settings=query.settings, upsert=query.upsert, workers=query.workers, said=said)

    def print(self):
        print(f"\n{self.made} made, {self.accepted} accepted by Flink: " + ", ".join(f"{n} {what}" for what, n in self.outcomes.most_common()))
        have, whole = self.have(), max(self.accepted, 1)
        rare = [feature for feature in WANTED if have[feature] < SHARE * whole]
        for part, features in [*FEATURES.items(), ("others", sorted(have.keys() - set(WANTED)))]:
            shares = (f"{feature}: {have[feature]} ({have[feature] / whole:.1%})" for feature in features)
            print(f"\n{part}: " + ", ".join(shares))
        print(f"\nbelow {SHARE:.0%}: " + (", ".join(rare) or "none"))
        for title, counter in (("Not supported by ours:", self.reasons), ("Refused by Flink:", self.refused)):
            print(f"\n{title}")
            for text, count in counter.most_common(40):
                print(f"{count:4} {text}")


def one_batch(options, runs, work, number, counts):
    rng = random.Random(f"{options.seed}/{number}")
    batch = Batch(rng, work)
    folder = batch.write()
    queries, have = {}, counts.have()
    for n in range(min(options.batch, options.count - counts.accepted)):
        query = draw(rng, batch, n, have, counts.accepted + n)
        queries[f"s{options.seed}b{number}q{n}"] = query
        have.update(query.features)
    counts.made += len(queries)
    planned, refused = runs.plan(batch, folder, list(queries.items()))
    for name, why in refused.items():
        counts.refuse(name, queries[name], why)
    # What goes into a table with a key is compared with the changelog.
    sinks = {name: columns for name, (appends, columns) in planned.items() if appends and not (queries[name].settings or queries[name].upsert)}
    theirs = runs.theirs(batch, folder, [(name, queries[name]) for name in planned], sinks)
    for name, (_, columns) in planned.items():
        query, inserts = queries[name], name in sinks
        if isinstance(theirs[name], str):
            counts.refuse(name, query, "fails: " + theirs[name])
            continue
        code, ours = runs.ours(batch, folder, name, query, columns, inserts)
        found = (["ours failed"], ours[-3:]) if code else runs.compare(query, theirs[name], ours)
        outcome = "not supported" if code == 2 else "failed" if code else "differs" if found[0] or found[1] else "agrees"
        counts.accept(name, query, outcome, len(theirs[name]), ours[:3] if code else None)
        if outcome in ("differs", "failed"):
            rows = {table: batch.rows[table] for table in query.sources}
            if options.reduce > 0:
                options.reduce -= 1
                rows, found = runs.reduce(batch, name, query, columns, inserts)
            report(sys.stdout, batch, name, query, columns, inserts, rows, found, options.keep)


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
    counts = Counts(options.log)
    flink = Flink(flink_home(options.flink))
    runs = Runs(flink, str(pathlib.Path(options.binary).resolve()), work)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a time limit still prints its counts
    try:
        number = 0
        while counts.accepted < options.count:
            one_batch(options, runs, work, number, counts)
            print(f"batch {number}: {counts.accepted} of {counts.made} accepted, {dict(counts.outcomes)}", file=sys.stderr, flush=True)
            number += 1
            for path in work.iterdir():
                shutil.rmtree(path, ignore_errors=True)
    except KeyboardInterrupt:
        print("\ninterrupted: the counts so far", file=sys.stderr)
    finally:
        flink.close()
        shutil.rmtree(work, ignore_errors=True)
    counts.print()
    return 1 if counts.outcomes["differs"] + counts.outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
