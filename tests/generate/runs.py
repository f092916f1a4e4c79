"""How does a query run on Flink and on ours, and do the rows agree? Called by queries.py alone.

A batch has fresh tables, a time zone and a unit of time of its own. What always holds: rows are compared as multisets, numbers by
value, fractions to 9 digits, a changelog by the table it leads to.
"""
import collections, json, pathlib, re, shutil, subprocess, tempfile, time

from grammar import ZONES, tables

TIMEOUT_S = 120  # ours, per query: far above the second one takes; a hang must not stop the run
REDUCING_RUNS = 40  # Flink runs spent on cutting one query's rows down


def number(text):
    value = float(text)
    if text.lstrip("-").isdigit():
        return int(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


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
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b)) + 1e-7 * (isinstance(a, float) or isinstance(b, float))
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


def by_settings(queries):
    groups = {}
    for pair in queries:
        groups.setdefault(tuple(sorted(pair[1].settings.items())), []).append(pair)
    return groups.values()


def cells(row):
    """A row as the cells of a printed table: NULL and the empty text look the same there."""
    return frozen({k: "" if v is None else cell(v.strip()) if isinstance(v, str) else v for k, v in row.items()})


def board(text, columns):
    """The rows of the table that `run --local` prints, as `cells`."""
    rows = []
    for line in text.splitlines():
        if "┆" in line or line.startswith("│"):
            found = [cell.strip() for cell in line.strip().strip("│").split("┆")]
            rows.append(found)
    return [frozen(dict(zip(columns, map(cell, row)))) for row in rows[1:]]


def cell(text):
    try:
        return {"true": True, "false": False}[text] if text in ("true", "false") else number(text)
    except ValueError:
        return text


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

    def script(self, queries, sinks, keyed=None):
        """queries: [(name, Query)], all with the same settings; sinks: {name: [(column, type)]} of those that insert; keyed: the
        same for those that go into tables with a key."""
        keyed = keyed or {}
        used = sorted({source for _, query in queries for source in query.sources})
        out = [f"SET '{key}' = '{value}';" for key, value in {"table.local-time-zone": self.zone, **queries[0][1].settings}.items()]
        for name in used:
            time_column = "ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3)" if name[0] == "z" else "ts TIMESTAMP(3)"
            out.append(f"CREATE TABLE {name} (id BIGINT, k STRING, j INT, v BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, o BIGINT, {time_column}, "
                       f"WATERMARK FOR ts AS ts - INTERVAL '{self.delay}' {self.unit}) "
                       f"WITH ('connector'='filesystem','format'='json','path'='${{DIR}}/{name}.jsonl');")
        for name, query in queries:
            out += [view + ";" for view in query.views]
        for name, query in queries:
            if name in sinks:
                columns = ", ".join(f"`{column}` {kind}" for column, kind in sinks[name])
                out.append(f"CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem','format'='json','path'='${{OUT}}/{name}');")
        for name, query in queries:
            if name in keyed:
                columns = ", ".join(f"`{column}` {kind}{' NOT NULL' * (column in query.upsert)}" for column, kind in keyed[name])
                out.append(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({', '.join(query.upsert)}) NOT ENFORCED) "
                           f"WITH ('connector'='dynamodb','table-name'='{name}','aws.region'='us-east-1');")
        for name, query in queries:
            out.append((f"INSERT INTO {name} " if name in sinks or name in keyed else "") + query.select + ";")
        return "\n".join(out) + "\n"


class Runs:
    def __init__(self, flink, binary, work):
        self.flink, self.binary, self.work = flink, binary, work

    def file(self, text, folder):
        path = pathlib.Path(tempfile.mkdtemp(dir=self.work)) / "q.sql"
        path.write_text(text.replace("${DIR}", str(folder)), encoding="utf-8")
        return path

    def plan(self, batch, folder, queries):
        """-> {name: (whether rows are only added, [(column, type)])}, {name: why Flink refuses}"""
        planned, refused = {}, {}
        for same in by_settings(queries):
            lines, failure = self.flink.ask("plan", str(self.file(batch.script(same, {}), folder)))
            if failure or len(lines) != len(same):
                raise SystemExit(f"Flink planned {len(lines)} of {len(same)}: {failure}")
            for (name, _), (word, rest) in zip(same, lines):
                if word == "refused":
                    refused[name] = rest
                    continue
                changes, columns, times = rest.split("\t")
                columns = [column.split("\x01") for column in columns.split("\x02")]
                columns = [(column, re.sub(r" NOT NULL|VARCHAR\(2147483647\)", lambda m: "" if m[0][0] == " " else "STRING", kind))
                           for column, kind in columns]
                planned[name] = (changes == "I" and int(times) < 2, columns)
        return planned, refused

    def theirs(self, batch, folder, queries, sinks):
        """-> {name: lines or the failure as a text}; one job for all with the same settings that insert, and one for the others"""
        found = {}
        for same in by_settings(queries):
            found |= self.job(batch, folder, [pair for pair in same if pair[0] in sinks], sinks)
            found |= self.job(batch, folder, [pair for pair in same if pair[0] not in sinks], {})
        return found

    def job(self, batch, folder, queries, sinks):
        if not queries:
            return {}
        one = len(queries) == 1 and not sinks
        found, failure = self.flink.run(self.file(batch.script(queries, sinks), folder), folder, "run" if sinks or one else "together")
        if failure and len(queries) > 1:
            half = len(queries) // 2
            return self.job(batch, folder, queries[:half], sinks) | self.job(batch, folder, queries[half:], sinks)
        if failure:
            return {queries[0][0]: failure}
        return {name: found.get(name if sinks else f"select_{n}.changelog", []) for n, (name, _) in enumerate(queries, 1)}

    def ours(self, batch, folder, name, query, columns, inserts):
        """-> exit code, lines or what it said"""
        out = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        kept = {name: columns}
        script = batch.script([(name, query)], kept if inserts and not query.upsert else {}, kept if query.upsert else {})
        path = self.file(script.replace("${OUT}", str(out / "sinks")), folder)
        command = [self.binary, "run", str(path), "--state-dir", str(out / "state"), "--output", "json", "--parallelism", str(query.workers)]
        try:
            done = subprocess.run(command + ["--local"] * bool(query.upsert), capture_output=True, text=True, encoding="utf-8", cwd=out,
                                  timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return -1, [f"no end after {TIMEOUT_S} s"]
        if done.returncode:
            return done.returncode, [line for line in done.stderr.splitlines() if line.strip()]
        if query.upsert:
            lines = board(done.stdout, [column for column, _ in columns])
        elif not inserts:
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        else:
            lines = [line for file in sorted((out / "sinks").rglob("*")) if file.is_file() and not file.name.startswith(("_", "."))
                     for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n") if line]
        shutil.rmtree(out)
        return 0, lines

    def compare(self, query, theirs, ours):
        """-> rows only of theirs, rows only of ours"""
        if query.upsert:
            table = {}
            for row in map(parse, theirs):  # by the key: a Top-1 of Flink sends +U without the -U
                key = tuple(row[column] for column in query.upsert)
                if row.pop("op") in ("+I", "+U"):
                    table[key] = cells(row)
                else:
                    table.pop(key, None)
            return difference(collections.Counter(table.values()), collections.Counter(ours))
        return difference(table_of(theirs), table_of(ours))

    def differs(self, batch, rows, name, query, columns, inserts):
        folder = batch.write(rows)
        theirs = self.job(batch, folder, [(name, query)], {name: columns} if inserts else {})[name]
        code, ours = self.ours(batch, folder, name, query, columns, inserts)
        shutil.rmtree(folder)
        if isinstance(theirs, str) or code == 2:
            return None
        if code:
            return ["ours failed"], ours[-3:]
        missing, extra = self.compare(query, theirs, ours)
        return (missing, extra) if missing or extra else None

    def reduce(self, batch, name, query, columns, inserts):
        """Halves the rows of each table, then smaller parts, while the difference stays."""
        rows = {table: list(batch.rows[table]) for table in query.sources}
        last, runs = self.differs(batch, rows, name, query, columns, inserts), 0
        if last is None:
            return rows, None  # it depends on the other queries of the job, or on timing
        part = max(map(len, rows.values())) // 2
        while part >= 1 and runs < REDUCING_RUNS:
            cut = False
            for table in rows:
                at = 0
                while at < len(rows[table]) and runs < REDUCING_RUNS:
                    fewer = rows | {table: rows[table][:at] + rows[table][at + part:]}
                    found = self.differs(batch, fewer, name, query, columns, inserts) if any(fewer.values()) else None
                    runs += 1
                    if found:
                        rows, last, cut = fewer, found, True
                    else:
                        at += part
            part = part // 2 if not cut or part > 1 else part
        return rows, last
