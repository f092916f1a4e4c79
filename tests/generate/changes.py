"""Which forms whose rows are updated, or look at the rows before them, does a random query take? Forms inherits it.

GROUP BY, retraction, Top-N, deduplication, windows that fire early or late or over rows that are updated, processing time, OVER.
What always holds: a form that goes by the order of changes runs on one worker of ours; mini-batches are used where no watermark
matters (in Flink they hold watermarks back, so other rows are late).
"""
from grammar import CLEAN, COLUMNS, Generator, Stream


class Changes(Generator):
    def direct(self):
        """A stream in the order of one file."""
        stream = self.table() if self.odds(0.5) else self.base()
        return stream if stream.arrival else self.table()

    def batches(self):
        """Mini-batches, perhaps."""
        if self.odds(0.35):
            self.features.add("mini-batch")
            self.settings |= {"table.exec.mini-batch.enabled": "true", "table.exec.mini-batch.allow-latency": "1000 h",
                              "table.exec.mini-batch.size": self.rng.choice(["5", "50"])}
            return True
        return False

    def into_table(self, keys):
        """Ours writes into a table with a key; it prints 20 rows of it, so the keys have few values."""
        self.features.add("upsert sink")
        self.upsert = keys

    def scalars(self, stream, where, most=4):
        """Aggregates whose results are plain values: what a table prints as one cell."""
        calls = []
        for _ in range(self.rng.randint(1, most)):
            kept = set(self.features)
            call = self.call(stream, where)
            while call.startswith(("COLLECT", "ARRAY_AGG")):
                self.features = set(kept)
                call = self.call(stream, where)
            calls.append(call)
        return calls

    def no_order(self, stream):
        """Without aggregates that go by the order of changes, or with one worker: it is the same only there."""
        stream.arrival = self.odds(0.3) and not self.settings
        self.one_worker = stream.arrival
        return stream

    # -- GROUP BY -----------------------------------------------------------------------------------------------------
    def group(self):
        batched = self.batches()
        stream = self.table() if batched else self.base()
        self.features.add("plain GROUP BY")
        if self.odds(0.35):
            key = self.rng.choice(["k", "j", "b"]) if stream.columns.keys() >= {"k", "j", "b"} else self.pick(stream.columns, "STRING")
            if key:
                self.into_table(["g"])
                listed = ", ".join(f"{call} AS a{n}" for n, call in enumerate(self.scalars(stream, "group")))
                return f"SELECT COALESCE(CAST({key} AS STRING), 'none') AS g, {listed} FROM {stream.name} GROUP BY COALESCE(CAST({key} AS STRING), 'none')"
        keys = self.keys(stream)
        if keys and self.odds(0.06):
            return f"SELECT DISTINCT {', '.join(keys)} FROM {stream.name}"
        if not batched and self.odds(0.2):
            return self.mismatched(stream)
        calls = [f"{self.call(stream, 'group')} AS a{n}" for n in range(self.rng.randint(1, 5))]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        if keys and self.odds(0.35):
            form = self.rng.choice(["ROLLUP", "CUBE", "GROUPING SETS"])
            self.features.add(form)
            inside = ", ".join(keys) if form != "GROUPING SETS" else ", ".join(f"({k})" for k in keys) + ", ()"
            grouped = f" GROUP BY {form} ({inside})"
        having = f" HAVING {self.having(stream, 'group')}" if keys and self.odds(0.3) else ""
        where = f" WHERE {self.condition({c: t for c, t in stream.columns.items() if c != stream.time})}" if self.odds(0.3) else ""
        return f"SELECT {', '.join(keys + calls)} FROM {stream.name}{where}{grouped}{having}"

    def mismatched(self, stream):
        """Windows grouped without their end, or sessions by other columns than their own: an ordinary GROUP BY (G2, G3)."""
        stream.arrival = False  # sessions send their rows on in an order of their own
        kind, item, parts = self.window(stream)
        keys = [k for k in self.keys(stream) if k not in (parts or [])]
        shown = self.rng.choice([["window_start"], ["window_end"]]) if kind != "SESSION" or not keys else ["window_start", "window_end"]
        calls = [f"{self.call(stream, 'group')} AS a{n}" for n in range(self.rng.randint(1, 3))]
        return f"SELECT {', '.join(shown + keys + calls)} FROM {item} GROUP BY {', '.join(shown + keys)}"

    def updated(self):
        """A relation whose rows are updated, by a GROUP BY, a Top-N, a deduplication or early fires."""
        self.features.add("retraction")
        kind = self.rng.choice(["group", "group", "topn", "last", "last", "fire"])
        if kind == "fire" and not self.settings:
            text, keys = self.fired("early")
            return Stream(f"({text})", dict.fromkeys(keys, "STRING") | {"n": "BIGINT", "x": "BIGINT"}, frozenset(), [], time="", updates=True)
        stream = self.table()
        if kind == "topn":
            self.features.add("continuous Top-N")
            inner = self.ranked(stream, self.keys(stream) or ["k"], self.rng.randint(2, 4))
        elif kind == "last":
            keys = self.rng.choice(["o", "o", "k, j", "v"])
            self.features.add("deduplication by an id" if keys == "o" else "last row")
            inner = (f"SELECT id, k, j, v, d, m, s, b, o FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY ts DESC) AS rn "
                     f"FROM {stream.name}) WHERE rn = 1")
        else:
            self.features.add("plain GROUP BY")
            keys = self.rng.choice([["k", "j"], ["s", "j"], ["o"], ["k", "s", "b"]])
            calls = "COUNT(*) AS n, SUM(v) AS x, MAX(d) AS y, MIN(s) AS z"
            where = f" HAVING {self.having(stream, 'group')}" if self.odds(0.3) else ""
            inner = f"SELECT {', '.join(keys)}, {calls} FROM {stream.name} GROUP BY {', '.join(keys)}{where}"
            columns = {k: stream.columns[k] for k in keys} | {"n": "BIGINT", "x": "BIGINT", "y": "DOUBLE", "z": "STRING"}
            return Stream(f"({inner})", columns, stream.sources, keys, time="", updates=True)
        return Stream(f"({inner})", {c: t for c, t in stream.columns.items() if c != "ts"}, stream.sources, ["id"], time="", updates=True)

    def nested(self):
        self.batches()
        stream = self.no_order(self.updated())
        keys = self.rng.sample(found := [c for c in ("k", "j", "s", "b", "x") if c in stream.columns], min(len(found), self.rng.choice([0, 1, 1, 1])))
        source = f"{stream.name} AS inside"
        if self.odds(0.3) and keys and keys[0] in ("k", "j", "b"):
            self.into_table(["g"])
            listed = ", ".join(f"{call} AS a{n}" for n, call in enumerate(self.scalars(stream, "group", 3)))
            return f"SELECT COALESCE(CAST({keys[0]} AS STRING), 'none') AS g, {listed} FROM {source} GROUP BY COALESCE(CAST({keys[0]} AS STRING), 'none')"
        calls = [f"{self.call(stream, 'group')} AS a{n}" for n in range(self.rng.randint(1, 4))]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        if keys and self.odds(0.2):
            self.features.add("ROLLUP")
            grouped = f" GROUP BY ROLLUP ({', '.join(keys)})"
        having = f" HAVING {self.having(stream, 'group')}" if keys and self.odds(0.2) else ""
        return f"SELECT {', '.join(keys + calls)} FROM {source}{grouped}{having}"

    # -- Top-N and deduplication --------------------------------------------------------------------------------------
    def ranked(self, stream, keys, count):
        """The rows of a Top-N, without their time."""
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        return (f"SELECT id, k, j, v, d, m, s, b, o FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {order}) AS rn "
                f"FROM {stream.name}) WHERE rn <= {count}")

    def direction(self):
        return self.rng.choice(["", " ASC", " DESC", " DESC"])

    def topn(self):
        """At least two rows each: a Top-1 of Flink leaves out the -U that goes with a +U."""
        self.features.add("continuous Top-N")
        batched = self.batches()
        stream = self.table() if batched else self.base()
        if self.odds(0.4):
            self.features |= {"plain GROUP BY", "retraction"}
            keys = [c for c in ("k", "j", "b") if c in stream.columns][:2] or [k for k in stream.key if k != stream.time] or ["c0"]
            call = self.rng.choice(["COUNT(*)", f"SUM({self.pick(stream.columns, 'BIGINT') or '1'})", f"MAX({self.pick(stream.columns, 'BIGINT') or '1'})"])
            inner = f"(SELECT {', '.join(keys)}, {call} AS a0 FROM {stream.name} GROUP BY {', '.join(keys)})"
            return self.rank(inner, keys[:1], ", ".join(["a0" + self.direction()] + keys[1:]), ", ".join(keys + ["a0"]), 2)
        column = self.pick(stream.columns, "BIGINT", "DOUBLE", "STRING", "DECIMAL(10,2)")
        order = ", ".join([column + self.direction()] + [k for k in stream.key if k != column])
        if self.odds(0.3):
            self.into_table(["rn"])
            listed = ", ".join(dict.fromkeys([column] + [k for k in stream.key if k != stream.time]))
            return f"SELECT {listed}, rn FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY {order}) AS rn FROM {stream.name}) WHERE rn <= {self.rng.randint(1, 9)}"
        keys = self.keys(stream) or ["k" if "k" in stream.columns else stream.key[0]]
        return self.rank(stream.name, keys, order, ", ".join(dict.fromkeys(keys + stream.key)), 2)

    def dedup(self):
        order = self.rng.choice(["ASC", "DESC"])
        stream = self.table() if order == "DESC" and self.batches() else self.direct()
        keys = ["o"] if "o" in stream.columns and self.odds(0.5) else self.keys(stream) or ["v"]
        self.features.add("deduplication by an id" if keys == ["o"] else "last row" if order == "DESC" else "first row")
        if order == "DESC" and self.odds(0.35):
            self.into_table(["g"])
            key = self.rng.choice(["k", "j", "b"])
            listed = ", ".join(c for c in ("id", "v", "s", "o") if c in stream.columns)
            return (f"SELECT g, {listed} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY g ORDER BY {stream.time} DESC) AS rn "
                    f"FROM (SELECT *, COALESCE(CAST({key} AS STRING), 'none') AS g FROM {stream.name})) WHERE rn = 1")
        inner = (f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {stream.time} {order}) AS rn "
                 f"FROM {stream.name}) WHERE rn = 1")
        if order == "ASC" and self.odds(0.4):
            self.features.add("cascade")
            stream.name, stream.arrival = self.view(inner), False
            return self.window_aggregate(stream, sets=False)[0]
        return inner

    # -- windows that are updated -------------------------------------------------------------------------------------
    def updated_window(self):
        """A window over the last row of each key."""
        stream = self.table()
        self.features |= {"window over updates", "last row"}
        keys = self.rng.choice(["o", "o", "o", "k, j, s", "v, k"])
        if keys == "o":
            self.features.add("deduplication by an id")
        stream.name = self.view("SELECT id, k, j, v, d, m, s, b, o, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY "
                                f"{keys} ORDER BY ts DESC) AS rn FROM {stream.name}) WHERE rn = 1")
        stream.updates = True
        self.no_order(stream)
        if self.odds(0.35):
            return self.old(stream, self.rng.choice(["TUMBLE", "HOP"]))
        text = self.window_aggregate(stream, kinds=("TUMBLE", "HOP", "CUMULATE"))[0]
        if self.odds(0.2):
            self.features.add("plain GROUP BY")
            return f"SELECT a0 IS NULL AS p, COUNT(*) AS c, MAX(window_end) AS x FROM ({text}) AS inside GROUP BY a0 IS NULL"
        return text

    def old(self, stream, kind):
        self.features.add("old " + kind)
        size = self.rng.choice([4, 5, 10, 12])
        extra = f"INTERVAL '{size}' {self.unit}"
        if kind == "HOP":
            extra = f"INTERVAL '{self.rng.choice([2, 3, 5])}' {self.unit}, {extra}"
        keys = self.keys(stream)
        calls = [f"{self.aggregate_of(stream, kind)} AS a{n}" for n in range(self.rng.randint(1, 4))]
        ends = ", ".join(f"{kind}_{side}({stream.time}, {extra}) AS w{side.lower()}" for side in self.rng.choice([["START", "END"], ["START"], ["START", "END", "ROWTIME"]]))
        having = f" HAVING {self.having(stream, 'old')}" if self.odds(0.25) and not self.settings else ""
        return f"SELECT {', '.join([ends] + keys + calls)} FROM {stream.name} GROUP BY {', '.join([f'{kind}({stream.time}, {extra})'] + keys)}{having}"

    def emit(self, pace):
        self.features.add(pace + " fire")
        self.settings |= {f"table.exec.emit.{pace}-fire.enabled": "true", f"table.exec.emit.{pace}-fire.delay": "0 ms"}
        if pace == "late":
            self.settings["table.exec.emit.allow-lateness"] = f"{self.rng.choice([3, 20])} {'s' if self.unit == 'SECOND' else 'min'}"

    def fire(self):
        for pace in self.rng.choice([["early"], ["late"], ["early", "late"]]):
            self.emit(pace)
        stream = self.table()
        if "late fire" in self.features and stream.name in CLEAN:
            stream = self.table()
        if self.odds(0.3):
            self.features.add("view")
            stream.name = self.view(f"SELECT * FROM {stream.name} WHERE {self.condition(dict(COLUMNS))}")
        return self.old(stream, self.rng.choice(["TUMBLE", "HOP"]))

    def fired(self, pace):
        """An old window that fires early -> its text, its keys"""
        self.emit(pace)
        self.features.add("old TUMBLE")
        stream = self.table()
        keys = self.rng.sample(["k", "s"], self.rng.randint(0, 2))
        tumble = f"TUMBLE(ts, {self.span(4, 5, 10)})"
        return f"SELECT {''.join(k + ', ' for k in keys)}COUNT(*) AS n, SUM(v) AS x FROM {stream.name} GROUP BY {', '.join([tumble] + keys)}", keys

    # -- processing time ----------------------------------------------------------------------------------------------
    def proctime(self):
        """By arrival: deduplication and OVER. Its windows stay open, and print nothing, as the rows end before they close."""
        self.features.add("PROCTIME")
        stream = self.table()
        source = self.view(f"SELECT *, PROCTIME() AS pt FROM {stream.name}" + (f" WHERE {self.condition(dict(COLUMNS))}" if self.odds(0.4) else ""))
        keys = self.keys(stream) or ["o"]
        self.one_worker = True
        roll = self.rng.random()
        if roll < 0.12:
            calls = self.call(stream, "TUMBLE")
            return f"SELECT k, {calls} AS c FROM TABLE(TUMBLE(TABLE {source}, DESCRIPTOR(pt), INTERVAL '10' DAY)) GROUP BY window_start, window_end, k"
        if roll < 0.5:
            frame = self.rng.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"])
            self.features |= {"OVER ROWS" if frame else "OVER RANGE"}
            self.features.add("OVER bounded" if "2" in frame else "OVER unbounded")
            listed = ", ".join(f"{self.call(stream, 'over')} OVER (PARTITION BY {', '.join(keys)} ORDER BY pt{frame}) AS a{n}" for n in range(self.rng.randint(1, 3)))
            return f"SELECT id, k, v, {listed} FROM {source}"
        order = self.rng.choice(["ASC", "DESC"])
        keys = ["o"] if self.odds(0.4) else keys
        self.features.add("deduplication by an id" if keys == ["o"] else "last row" if order == "DESC" else "first row")
        inner = (f"SELECT id, k, j, v, d, m, s, b, o, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY pt {order}) AS rn "
                 f"FROM {source}) WHERE rn = 1")
        if self.odds(0.4):
            self.features.add("retraction" if order == "DESC" else "plain GROUP BY")
            stream.updates, stream.arrival = order == "DESC", False
            return f"SELECT k, {self.call(stream, 'group')} AS a0, {self.call(stream, 'group')} AS a1 FROM ({inner}) AS inside GROUP BY k"
        return inner

    # -- OVER ---------------------------------------------------------------------------------------------------------
    def over(self):
        stream = self.base() if self.odds(0.6) else self.table()
        keys = self.keys(stream)
        frame = self.rng.choice(["", "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                                 "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                                 f"RANGE BETWEEN {self.span(2, 5, 10)} PRECEDING AND CURRENT ROW",
                                 f"RANGE BETWEEN {self.span(2, 5, 10)} PRECEDING AND CURRENT ROW"])
        if not stream.arrival and frame.startswith("ROWS"):
            frame = ""  # of equal times, which row comes first would decide
        window = f"({'PARTITION BY ' + ', '.join(keys) + ' ' if keys else ''}ORDER BY {stream.time}{' ' + frame if frame else ''})"
        if not frame and stream.arrival and self.odds(0.4):
            column = self.pick(stream.columns, "BIGINT", "STRING", "DOUBLE")
            calls = self.rng.sample([f"LAG({column})", f"LAG({column}, 2)", "ROW_NUMBER()"], self.rng.randint(1, 2))
            self.features.update(call.split("(")[0] for call in calls)
        else:
            calls = [self.call(stream, "over") for _ in range(self.rng.randint(1, 4))]
            self.features.add("OVER ROWS" if frame.startswith("ROWS") else "OVER RANGE")
            self.features.add("OVER unbounded" if not frame or "UNBOUNDED" in frame else "OVER bounded")
        if len(calls) > 1:
            self.features.add("OVER, several functions")
        over, named = f"OVER {window}", ""
        if self.odds(0.35):
            self.features.add("named WINDOW")
            over, named = "OVER w", f" WINDOW w AS {window}"
        listed = ", ".join(f"{call} {over} AS a{n}" for n, call in enumerate(calls))
        self.shown = "a0 IS NULL AS p"
        kept = {c: t for c, t in stream.columns.items() if c in ("id", "k", "j", "v", "b", "c0", "c2", "rid", stream.time)}
        inner = f"SELECT {', '.join(kept)}, {listed} FROM {stream.name}{named}"
        if self.odds(0.3) and {"k", "v"} <= kept.keys():
            self.features.add("cascade")
            over_stream = Stream(self.view(inner), kept, stream.sources, stream.key, stream.time, False)
            _, item, _ = self.window(over_stream, kinds=("TUMBLE", "HOP", "CUMULATE"))
            self.shown = "c + 1 AS p, COALESCE(k, 'none') || '.' AS q"
            return (f"SELECT window_start, window_end, k, COUNT(a0) AS c, MAX(a0) AS x, MIN(v) AS y0 FROM {item} "
                    "GROUP BY window_start, window_end, k")
        return inner

    def over_column(self):
        """Ordered by a column that is no time: a changelog, as an earlier value shifts the later ones."""
        self.features |= {"OVER by a column", "OVER unbounded"}
        stream = self.table()
        stream.arrival = False  # of equal values, the order of arrival in Flink's frames is that of its state
        keys = self.keys(stream)
        frame, column = self.rng.choice([("", "v"), ("", "id"), (" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "id"),
                                         (" RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "d")])
        self.features.add("OVER ROWS" if "ROWS" in frame else "OVER RANGE")
        over, named = f"OVER ({'PARTITION BY ' + ', '.join(keys) + ' ' if keys else ''}ORDER BY {column}{frame})", ""
        calls = [self.rng.choice(["COUNT(*)", "SUM(v)", "SUM(j)", "COUNT(s)", "AVG(d)", "MIN(v)", "MAX(s)"]) for _ in range(self.rng.randint(1, 2))]
        self.features.update(call.split("(")[0] for call in calls)
        if len(calls) > 1:
            self.features.add("OVER, several functions")
        if self.odds(0.4):
            self.features.add("named WINDOW")
            over, named = "OVER w", f" WINDOW w AS {over.removeprefix('OVER ')}"
        return f"SELECT id, k, v, {', '.join(f'{call} {over} AS a{n}' for n, call in enumerate(calls))} FROM {stream.name}{named}"
