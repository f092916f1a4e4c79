"""Which forms of windows and joins does a random query take? One method a form; called by queries.py alone.

Rules that keep two right answers from differing are in grammar.py; forms whose rows are updated are in changes.py.
"""
import re

from changes import Changes
from grammar import CLEAN, Generator, Query


class Forms(Changes):
    SHARES = [("aggregate", 14), ("old_window", 8), ("topn_aggregate", 10), ("topn_rows", 8), ("window_dedup", 9), ("window_join", 24),
              ("semi_join", 18), ("cascade_same", 5), ("union_top", 8), ("interval", 8), ("projected", 5), ("group", 12), ("nested", 12),
              ("topn", 9), ("dedup", 12), ("updated_window", 12), ("fire", 12), ("proctime", 10), ("over", 20), ("over_column", 9)]

    def query(self):
        form = self.rng.choices([n for n, _ in self.SHARES], [w for _, w in self.SHARES])[0]
        select = getattr(self, form)()
        if form in ("aggregate", "window_join", "semi_join", "topn_rows", "window_dedup", "over") and self.odds(0.3):
            self.features.add("projection")
            select = f"SELECT {'*, ' if self.odds(0.7) else ''}{self.after(form)} FROM ({select}) AS outermost"
        sources = set(re.findall(r"\b[tz][012]\b", " ".join([select, *self.views])))
        workers = 1 if self.one_worker else self.rng.choice([1, 1, 2, 4])
        return Query(select, self.views, self.features, sources, workers, self.settings, self.upsert)

    def after(self, form):
        """Columns computed from those of a form."""
        if form == "window_join":
            return "CAST(ws AS STRING) || '/' || COALESCE(l_k, r_k, '-') AS p" if "c" not in self.shown else "c * 2 + 1 AS p, COALESCE(x, 0) AS q"
        if form == "over":
            return self.shown
        return self.rng.choice(["DATE_FORMAT(window_end, 'HH:mm:ss') AS p", "CAST(window_start AS STRING) AS p, window_end > window_start AS q",
                                "EXTRACT(MINUTE FROM window_end) AS p"])

    def aggregate(self):
        return self.window_aggregate(self.base())[0]

    def old_window(self):
        return self.old(self.base(), self.rng.choice(["TUMBLE", "HOP", "SESSION"]))

    def aggregate_of(self, stream, kind):
        arrival, stream.arrival = stream.arrival, stream.arrival and kind == "TUMBLE"
        call = Generator.call(self, stream, "old")
        stream.arrival = arrival
        return call

    def rank(self, inner, partition, order, columns="*", least=1):
        count = self.rng.randint(least, 3)
        shown = self.rng.choice(["*", columns])
        return f"SELECT {shown} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(partition)} ORDER BY {order}) AS rn FROM {inner}) WHERE rn <= {count}"

    def topn_aggregate(self):
        stream = self.base()
        self.features.add("window Top-N of aggregates")
        for _ in range(20):
            text, keys, calls = self.window_aggregate(stream, sets=False)
            if "ARRAY_AGG" not in calls[0] and "COLLECT" not in calls[0]:
                break
        partition = ["window_start", "window_end"] + (keys[:1] if len(keys) > 1 and self.odds(0.5) else [])
        order = ", ".join(["a0" + self.direction()] + [k for k in keys if k not in partition])
        return self.rank(f"({text})", partition, order, ", ".join(["window_start", "a0"] + keys))

    def topn_rows(self):
        stream = self.base()
        self.features.add("window Top-N of rows")
        kind, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE", "TUMBLE", "HOP", "CUMULATE", "SESSION"))
        keys = self.keys(stream)[:1]
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        inner = item if self.odds(0.6) else f"(SELECT * FROM {item} WHERE {self.condition(stream.columns)})"
        return self.rank(inner, ["window_start", "window_end"] + keys, order, ", ".join(["window_start", "window_end", *stream.key]))

    def window_dedup(self):
        stream = self.direct()
        _, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
        keys = self.keys(stream)
        order = self.rng.choice(["ASC", "DESC"])
        self.features.add("window deduplication " + ("first" if order == "ASC" else "last"))
        return (f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(['window_start', 'window_end'] + keys)} "
                f"ORDER BY {stream.time} {order}) AS rn FROM {item}) WHERE rn = 1")

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
                number = self.pick(stream.columns, "BIGINT") or "k"
                listed = list(dict.fromkeys(["k", number] + [c for c in stream.key if c != stream.time]))
                found.append((f"(SELECT * FROM {self.chosen(stream, item)})", listed, number))
        return found

    def chosen(self, stream, item):
        """Rows of windows: all, some, or those of a Top-N or a deduplication, as an item of FROM."""
        if self.spec[0] == "SESSION" or self.odds(0.35):
            return item + (f" WHERE {self.condition(stream.columns)}" if self.odds(0.5) else "")
        partition, last = "window_start, window_end, " + self.rng.choice(["k", "k", "k, v"]), self.rng.choice(["ASC", "DESC"])
        if "v" not in stream.columns:
            partition = "window_start, window_end, k"
        if stream.arrival and self.odds(0.6):
            self.features.add("window deduplication " + ("first" if last == "ASC" else "last"))
            return f"(SELECT *, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {stream.time} {last}) AS rn FROM {item}) WHERE rn = 1"
        self.features.add("window Top-N of rows")
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        return f"(SELECT *, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {order}) AS rn FROM {item}) WHERE rn <= {self.rng.randint(1, 3)}"

    def window_join(self):
        (left, lcols, lnum), (right, rcols, rnum) = self.sides()
        kind = self.rng.choice(["", "INNER ", "LEFT ", "RIGHT ", "FULL "])
        self.features.add("window join " + (kind.strip().lower() or "inner"))
        on = "L.window_start = R.window_start AND L.window_end = R.window_end"
        on = self.rng.choice([f"L.k = R.k AND {on}", f"{on} AND L.k = R.k"])
        if self.odds(0.3) and lnum != "k" and rnum != "k":
            on += f" AND L.{lnum} {self.rng.choice(['<', '>=', '<>'])} R.{rnum}"
        source, self.shown = f"FROM {left} L {kind}JOIN {right} R ON {on}", []
        if kind in ("", "INNER ") and self.odds(0.3):
            self.features.add("cascade")
            self.shown = ["c"]
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
        arms, form = [], self.rng.choice(["", "ROLLUP", "CUBE", "GROUPING SETS"])
        if form:
            self.features.add(form)
        key = {"": "k", "GROUPING SETS": "GROUPING SETS ((k), ())"}.get(form, f"{form} (k)")
        for stream in (a, b):
            _, item, _ = self.window(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
            arms.append(f"SELECT window_start, window_end, k, COUNT(*) AS c, MAX({self.pick(stream.columns, 'BIGINT')}) AS x FROM {item} "
                        f"GROUP BY window_start, window_end, {key}")
        return " UNION ALL ".join(arms)

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

    def projected(self):
        stream = self.base()
        columns = {c: t for c, t in stream.columns.items() if c != stream.time}
        listed = [f"{self.number_of(columns)} AS n{n}" for n in range(3)] + [f"{self.text_of(columns)} AS t{n}" for n in range(2)]
        time = self.rng.choice([f"FLOOR({stream.time} TO MINUTE)", f"DATE_FORMAT({stream.time}, 'yyyy-MM-dd HH:mm')", f"EXTRACT(HOUR FROM {stream.time})",
                                f"CAST({stream.time} AS DATE)", f"{stream.time} + {self.span(1, 2)}", f"CAST({stream.time} AS STRING)",
                                f"DAYOFWEEK(CAST({stream.time} AS DATE))", f"TIMESTAMPADD(HOUR, 1, {stream.time})"])
        self.features.add("projection")
        source = stream.name
        if self.odds(0.4):  # the rows of windows, with columns for them
            _, source, _ = self.window(stream)
            listed += ["window_start", "window_end"]
        return f"SELECT {', '.join(stream.key)}, {', '.join(listed)}, {time} AS x FROM {source} WHERE {self.condition(columns)}"
