"""Which forms does a random query take? One method a form; called by queries.py alone.

Rules that keep two right answers from differing are in grammar.py.
"""
import re

from grammar import CLEAN, COLUMNS, Generator, Query


class Forms(Generator):
    SHARES = [("aggregate", 18), ("old_window", 10), ("topn_aggregate", 8), ("topn_rows", 8), ("window_dedup", 9), ("window_join", 24),
              ("semi_join", 18), ("cascade_same", 5), ("union_top", 5), ("group", 14), ("topn", 10), ("dedup", 8), ("over", 18),
              ("interval", 9), ("projection", 8)]

    def query(self):
        form = self.rng.choices([n for n, _ in self.SHARES], [w for _, w in self.SHARES])[0]
        self.updating = False
        select = getattr(self, form)()
        if form in ("aggregate", "window_join", "semi_join", "topn_rows", "over") and not self.updating and self.odds(0.15):
            self.features.add("view")
            select = f"SELECT * FROM ({select}) AS outermost"
        sources = set(re.findall(r"\b[tz][012]\b", " ".join([select, *self.views])))
        return Query(select, self.views, self.features, sources, self.updating, self.rng.choice([1, 1, 2, 4]))

    def aggregate(self):
        return self.window_aggregate(self.base())[0]

    def old_window(self):
        stream = self.base()
        self.features.add("old window")
        kind = self.rng.choice(["TUMBLE", "HOP", "SESSION"])
        self.features.add("old " + kind)
        size = self.rng.choice([4, 5, 10, 12])
        extra = f"INTERVAL '{size}' {self.unit}"
        if kind == "HOP":
            extra = f"INTERVAL '{self.rng.choice([2, 3, 5])}' {self.unit}, {extra}"
        window = f"{kind}({stream.time}, {extra})"
        keys = self.keys(stream)
        calls = [f"{self.aggregate_of(stream, kind)} AS a{n}" for n in range(self.rng.randint(1, 4))]
        ends = ", ".join(f"{kind}_{side}({stream.time}, {extra}) AS w{side.lower()}" for side in self.rng.choice([["START", "END"], ["START"], ["START", "END", "ROWTIME"]]))
        having = f" HAVING {self.having(stream, 'old')}" if self.odds(0.25) else ""
        return f"SELECT {', '.join([ends] + keys + calls)} FROM {stream.name} GROUP BY {', '.join([window] + keys)}{having}"

    def aggregate_of(self, stream, kind):
        arrival, stream.arrival = stream.arrival, stream.arrival and kind == "TUMBLE"
        call = Generator.call(self, stream, "old")
        stream.arrival = arrival
        return call

    def rank(self, inner, partition, order, columns="*"):
        count = self.rng.randint(1, 3)
        shown = self.rng.choice(["*", columns])
        return f"SELECT {shown} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(partition)} ORDER BY {order}) AS rn FROM {inner}) WHERE rn <= {count}"

    def direction(self):
        return self.rng.choice(["", " ASC", " DESC", " DESC"])

    def topn_aggregate(self):
        stream = self.base()
        self.features.add("window Top-N")
        for _ in range(20):
            text, keys, calls = self.window_aggregate(stream, sets=False)
            if "ARRAY_AGG" not in calls[0] and "COLLECT" not in calls[0]:
                break
        partition = ["window_start", "window_end"] + (keys[:1] if len(keys) > 1 and self.odds(0.5) else [])
        order = ", ".join(["a0" + self.direction()] + [k for k in keys if k not in partition])
        return self.rank(f"({text})", partition, order, ", ".join(["window_start", "a0"] + keys))

    def topn_rows(self):
        stream = self.base()
        self.features.add("window Top-N")
        kind, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE", "TUMBLE", "HOP", "CUMULATE", "SESSION"))
        keys = self.keys(stream)[:1]
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        inner = item if self.odds(0.6) else f"(SELECT * FROM {item} WHERE {self.condition(stream.columns)})"
        return self.rank(inner, ["window_start", "window_end"] + keys, order, ", ".join(["window_start", "window_end", *stream.key]))

    def window_dedup(self):
        stream = self.table() if self.odds(0.6) else self.base()
        self.features.add("window deduplication")
        if not stream.arrival:
            stream = self.table()
        _, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
        keys = self.keys(stream)
        return (f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(['window_start', 'window_end'] + keys)} "
                f"ORDER BY {stream.time}{self.rng.choice([' ASC', ' DESC'])}) AS rn FROM {item}) WHERE rn = 1")

    def pair(self):
        """Two streams without late rows and with the same kind of time."""
        a = self.base(True) if self.odds(0.4) else self.table(True)
        if any(source not in CLEAN for source in a.sources):
            a = self.table(True)
        b = self.twin(a)
        if a.columns[a.time] != b.columns[b.time] or "k" not in a.columns:
            a = self.table(True)
            b = self.twin(a)
        return a, b

    def sides(self):
        """The two sides of a window join over one window -> left, its columns, right, its columns."""
        a, b = self.pair()
        found, spec = [], None
        for stream in (a, b):
            if found:
                spec = self.spec if self.spec[0] != "SESSION" else ("SESSION", self.spec[1], ["k"])
            if self.odds(0.5):
                if not found:
                    self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
                    spec = self.spec
                kind, item, parts = self.window(stream, spec=spec)
                calls = [f"{self.call(stream, kind)} AS a{n}" for n in range(self.rng.randint(1, 2))]
                found.append((f"(SELECT window_start, window_end, k, COUNT(*) AS n, {', '.join(calls)} FROM {item} "
                              "GROUP BY window_start, window_end, k)", ["k", "n"] + [f"a{n}" for n in range(len(calls))], "n"))
            else:
                _, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"), spec=spec)
                where = f" WHERE {self.condition(stream.columns)}" if self.odds(0.3) else ""
                number = self.pick(stream.columns, "BIGINT") or "k"
                listed = list(dict.fromkeys(["k", number] + [c for c in stream.key if c != stream.time]))
                found.append((f"(SELECT * FROM {item}{where})", listed, number))
        return found

    def window_join(self):
        (left, lcols, lnum), (right, rcols, rnum) = self.sides()
        kind = self.rng.choice(["", "INNER ", "LEFT ", "RIGHT ", "FULL "])
        self.features.add("window join " + (kind.strip().lower() or "inner"))
        on = "L.window_start = R.window_start AND L.window_end = R.window_end"
        on = self.rng.choice([f"L.k = R.k AND {on}", f"{on} AND L.k = R.k"])
        if self.odds(0.3) and lnum != "k" and rnum != "k":
            on += f" AND L.{lnum} {self.rng.choice(['<', '>=', '<>'])} R.{rnum}"
        source = f"FROM {left} L {kind}JOIN {right} R ON {on}"
        if kind in ("", "INNER ") and self.odds(0.3):
            self.features.add("cascade")
            return (f"SELECT L.window_start, L.window_end, L.k, COUNT(*) AS c, MAX(L.{lnum}) AS x, COUNT(DISTINCT R.{rnum}) AS y {source} "
                    "GROUP BY L.window_start, L.window_end, L.k")
        if self.odds(0.4):
            times = "COALESCE(L.window_start, R.window_start) AS ws, COALESCE(L.window_end, R.window_end) AS we"
        else:
            times = "L.window_start AS ws, R.window_end AS we"
        listed = [f"L.{c} AS l_{c}" for c in lcols] + [f"R.{c} AS r_{c}" for c in rcols]
        return f"SELECT {times}, {', '.join(listed)} {source}"

    def semi_join(self):
        (left, lcols, lnum), (right, rcols, rnum) = self.sides()
        kind = self.rng.choice(["IN", "EXISTS", "NOT EXISTS", "NOT EXISTS", "NOT IN"])
        self.features.add({"IN": "semi join", "EXISTS": "semi join"}.get(kind, "anti join"))
        same = "L.window_start = R.window_start AND L.window_end = R.window_end"
        extra = f" AND R.{rnum} {self.rng.choice(['>', '<>'])} 1" if rnum != "k" and self.odds(0.4) else ""
        if kind.endswith("IN"):
            test = f"L.k {kind} (SELECT R.k FROM {right} R WHERE {same}{extra})"
        else:
            test = f"{kind} (SELECT * FROM {right} R WHERE {same} AND L.k = R.k{extra})"
        listed = ", ".join(f"L.{c}" for c in lcols)
        return f"SELECT L.window_start, L.window_end, {listed} FROM {left} L WHERE {test}"

    def cascade_same(self):
        """An aggregate over an aggregate's own windows."""
        stream = self.base()
        self.features.add("cascade")
        text, keys, _ = self.window_aggregate(stream, least_keys=1, sets=False)
        text = text.replace("SELECT window_start, window_end", "SELECT window_start, window_end, COUNT(*) AS n", 1)
        kept = keys[1:]
        return (f"SELECT {', '.join(['window_start', 'window_end'] + kept)}, COUNT(*) AS c, SUM(n) AS s, MAX(n) AS x FROM ({text}) "
                f"GROUP BY {', '.join(['window_start', 'window_end'] + kept)}")

    def union_top(self):
        a, b = self.pair()
        self.features.add("UNION ALL")
        arms = []
        for stream in (a, b):
            _, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
            arms.append(f"SELECT window_start, window_end, k, COUNT(*) AS c, MAX({self.pick(stream.columns, 'BIGINT')}) AS x FROM {item} "
                        f"GROUP BY window_start, window_end, k")
        return " UNION ALL ".join(arms)

    def group(self):
        stream = self.base()
        self.features.add("plain GROUP BY")
        self.updating = True
        keys = self.keys(stream)
        calls = [f"{self.call(stream, 'group')} AS a{n}" for n in range(self.rng.randint(1, 4))]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        if keys and self.odds(0.25):
            self.features.add("grouping sets")
            grouped = f" GROUP BY {self.rng.choice(['ROLLUP', 'CUBE'])} ({', '.join(keys)})"
        having = f" HAVING {self.having(stream, 'group')}" if keys and self.odds(0.3) else ""
        where = f" WHERE {self.condition(stream.columns)}" if self.odds(0.3) else ""
        text = f"SELECT {', '.join(keys + calls)} FROM {stream.name}{where}{grouped}{having}"
        if len(keys) == 2 and "CUBE" not in grouped and "ROLLUP" not in grouped and self.odds(0.4):
            self.features.add("view")
            text = text.replace("SELECT ", "SELECT COUNT(*) AS n, ", 1)
            return f"SELECT {keys[0]}, COUNT(*) AS c, SUM(n) AS s, MAX(n) AS x FROM ({text}) GROUP BY {keys[0]}"
        return text

    def topn(self):
        self.features.add("continuous Top-N")
        self.updating = True
        if self.odds(0.4):
            stream = self.base()
            self.features.add("plain GROUP BY")
            keys = [c for c in ("k", "j", "b") if c in stream.columns][:2] or stream.key
            call = self.rng.choice(["COUNT(*)", f"SUM({self.pick(stream.columns, 'BIGINT') or '1'})", f"MAX({self.pick(stream.columns, 'BIGINT') or '1'})"])
            inner = f"(SELECT {', '.join(keys)}, {call} AS a0 FROM {stream.name} GROUP BY {', '.join(keys)})"
            return self.rank(inner, keys[:1], ", ".join(["a0" + self.direction()] + keys[1:]), ", ".join(keys + ["a0"]))
        stream = self.base()
        keys = self.keys(stream) or ["k" if "k" in stream.columns else stream.key[0]]
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        return self.rank(stream.name, keys, order, ", ".join(dict.fromkeys(keys + stream.key)))

    def dedup(self):
        stream = self.table() if self.odds(0.6) else self.base()
        if not stream.arrival:
            stream = self.table()
        self.features.add("deduplication")
        order = self.rng.choice(["ASC", "DESC"])
        self.updating = order == "DESC"
        keys = self.keys(stream) or ["v"]
        inner = (f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {stream.time} {order}) AS rn "
                 f"FROM {stream.name}) WHERE rn = 1")
        if self.odds(0.4):
            self.features.add("cascade")
            stream.name, stream.arrival = self.view(inner), False
            return self.window_aggregate(stream, sets=False)[0]
        return inner

    def over(self):
        stream = self.table() if self.odds(0.5) else self.base()
        if not stream.arrival:
            stream = self.table()
        self.features.add("OVER")
        keys = self.keys(stream)
        frame = self.rng.choice(["", "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                                 "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                                 f"RANGE BETWEEN {self.span(2, 5, 10)} PRECEDING AND CURRENT ROW"])
        over = f"OVER ({'PARTITION BY ' + ', '.join(keys) + ' ' if keys else ''}ORDER BY {stream.time}{' ' + frame if frame else ''})"
        if not frame and self.odds(0.5):
            column = self.pick(stream.columns, "BIGINT", "STRING", "DOUBLE")
            calls = self.rng.sample([f"LAG({column})", f"LAG({column}, 2)", "ROW_NUMBER()"], self.rng.randint(1, 2))
            self.features.update(call.split("(")[0] for call in calls)
        else:
            calls = [self.call(stream, "over") for _ in range(self.rng.randint(1, 3))]
        listed = ", ".join(f"{call} {over} AS a{n}" for n, call in enumerate(calls))
        inner = f"SELECT id, k, j, v, b, {stream.time}, {listed} FROM {stream.name}"
        if self.odds(0.3):
            self.features.add("cascade")
            name = self.view(inner)
            over_stream = type(stream)(name, dict(COLUMNS[:4]) | {"b": "BOOLEAN", stream.time: stream.columns[stream.time]},
                                       stream.sources, ["id"], stream.time, False)
            _, item, _ = self.window(over_stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
            return (f"SELECT window_start, window_end, k, COUNT(a0) AS c, MAX(a0) AS x, MIN(v) AS y FROM {item} "
                    "GROUP BY window_start, window_end, k")
        return inner

    def interval(self):
        a = self.table(True)
        b = self.twin(a)
        self.features.add("interval join")
        kind = self.rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        low, high = self.rng.choice([(0, 3), (2, 2), (4, 0), (-1, 3), (0, 0)])
        extra = f" AND l.v {self.rng.choice(['<', '<>', '>='])} r.v" if self.odds(0.3) else ""
        key = self.rng.choice(["l.k = r.k", "l.k = r.k AND l.j = r.j"])
        where = f" WHERE {self.rng.choice(['l.j = 1', 'r.v > 0', 'l.b'])}" if self.odds(0.25) else ""
        shown = "l.ts AS lt, r.ts AS rt, " if self.odds(0.3) else "CAST(l.ts AS TIMESTAMP(3)) AS lt, "
        return (f"SELECT l.id AS lid, r.id AS rid, {shown}l.v AS lv, r.s AS rs, COALESCE(l.k, r.k) AS k FROM {a.name} l {kind} {b.name} r "
                f"ON {key} AND r.ts BETWEEN l.ts - INTERVAL '{low}' {self.unit} AND l.ts + INTERVAL '{high}' {self.unit}{extra}{where}")

    def projection(self):
        stream = self.base()
        self.features.add("projection")
        columns = {c: t for c, t in stream.columns.items() if c != stream.time}
        listed = [f"{self.number_of(columns)} AS n{n}" for n in range(3)] + [f"{self.text_of(columns)} AS t{n}" for n in range(2)]
        time = self.rng.choice([f"FLOOR({stream.time} TO MINUTE)", f"DATE_FORMAT({stream.time}, 'yyyy-MM-dd HH:mm')", f"EXTRACT(HOUR FROM {stream.time})",
                                f"CAST({stream.time} AS DATE)", f"{stream.time} + {self.span(1, 2)}", f"CAST({stream.time} AS STRING)",
                                f"DAYOFWEEK(CAST({stream.time} AS DATE))", f"TIMESTAMPADD(HOUR, 1, {stream.time})"])
        self.features.add("scalar")
        return f"SELECT {', '.join(stream.key)}, {', '.join(listed)}, {time} AS x FROM {stream.name} WHERE {self.condition(columns)}"
