"""Which random queries and rows do we compare? Called by queries.py alone.

Everything comes from the one random.Random that is handed in, so a seed names its queries. What always holds: a query that
reads two sources reads only tables without late rows (which row is late would depend on timing in Flink); every Top-N has a
total order; aggregates that depend on arrival read one source directly; JSON_OBJECTAGG has unique keys. FACTS.md beside the
cases tells the known differences named here.
"""
from dataclasses import dataclass, field

LATE, CLEAN = ["t0", "z0"], ["t1", "t2", "z1", "z2"]  # z: TIMESTAMP_LTZ
COLUMNS = [("id", "BIGINT"), ("k", "STRING"), ("j", "INT"), ("v", "BIGINT"), ("d", "DOUBLE"), ("m", "DECIMAL(10,2)"),
           ("s", "STRING"), ("b", "BOOLEAN"), ("o", "BIGINT")]  # o: an id with deliveries that repeat it
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Europe/London", "Australia/Sydney", "Australia/Lord_Howe"]
STARTS_MS = [1709164800000, 1711843200000 + 1800000, 1729987200000, 1730606400000, 1704067080000]


@dataclass
class Stream:
    """A relation in FROM: the name of a table or view."""
    name: str
    columns: dict            # name -> type
    sources: frozenset
    key: list                # columns that name a row
    time: str = "ts"         # the rowtime attribute
    arrival: bool = True     # the order of rows is that of one file
    updates: bool = False    # rows are taken back


@dataclass
class Query:
    select: str
    views: list = field(default_factory=list)
    features: set = field(default_factory=set)
    sources: set = field(default_factory=set)
    workers: int = 1
    settings: dict = field(default_factory=dict)
    upsert: list = field(default_factory=list)  # ours writes into a table with this key; Flink's changelog leads to the same


def tables(rng, unit_ms, delay):
    """-> {table: rows}; times step by about one unit, late tables reach beyond the delay."""
    start = rng.choice(STARTS_MS)
    out = {}
    for number, name in enumerate(LATE + CLEAN):
        rows, top, orders = [], start, []
        for n in range(rng.randint(100, 300)):
            step = rng.choice([0, 0, 1, 1, 1, 2, 3]) * unit_ms
            if rng.random() < 0.03:
                step += rng.randint(5, 25) * unit_ms  # gaps, for sessions
            top += step
            back = min(rng.choice([0, 0, 0, 1, 2, delay - 1]), delay - 1) * unit_ms
            if name in LATE and rng.random() < 0.15:
                back = rng.randint(delay, 6 * delay) * unit_ms
            if rng.random() < 0.3:
                back += rng.randint(0, unit_ms - 1) if back < (delay - 1) * unit_ms or name in LATE else 0
            at = top - back
            orders.append(rng.choice(orders) if orders and rng.random() < 0.35 else number * 1000 + n)
            null = lambda value, share=0.12: None if rng.random() < share else value
            rows.append({
                "id": number * 1000 + n, "k": null(rng.choice("abcd"), 0.08), "j": null(rng.randint(0, 3)),
                "v": null(rng.choice([rng.randint(-9, 9), rng.randint(0, 3), rng.randint(-5000, 5000)])),
                "d": null(rng.randint(-4000, 4000) / 16), "m": null(rng.randint(-99999, 99999) / 100),
                "s": null(rng.choice(["", "x", "y", "Zz", "a b", "ünï", "42", "-7", "long text, with comma"])),
                "b": null(rng.random() < 0.5), "o": orders[-1], "ms": at})
        out[name] = rows
    return out


class Generator:
    def __init__(self, rng, unit, delay, number):
        self.rng, self.unit, self.delay, self.number = rng, unit, delay, number
        self.views, self.features = [], set()
        self.settings, self.upsert, self.one_worker = {}, [], False

    # -- pieces -------------------------------------------------------------------------------------------------------
    def odds(self, share):
        return self.rng.random() < share

    def span(self, *numbers):
        return f"INTERVAL '{self.rng.choice(numbers)}' {self.unit}"

    def view(self, text):
        name = f"q{self.number}v{len(self.views)}"
        self.views.append(f"CREATE VIEW {name} AS {text}")
        return name

    def pick(self, columns, *types):
        found = [c for c, t in columns.items() if t in types]
        return self.rng.choice(found) if found else None

    def number_of(self, columns, depth=0):
        rng = self.rng
        col = self.pick(columns, "BIGINT", "INT", "DOUBLE", "DECIMAL(10,2)") or "1"
        if depth > 1 or self.odds(0.4):
            return col
        self.features.add("projection")
        inner = lambda: self.number_of(columns, depth + 1)
        text = self.pick(columns, "STRING")
        forms = [f"({inner()} + {inner()})", f"({inner()} - {inner()})", f"ABS({inner()})", f"({col} * 2)",
                 f"COALESCE({inner()}, 0)", f"CASE WHEN {self.condition(columns, depth + 1)} THEN {inner()} ELSE -1 END",
                 f"CAST({inner()} AS BIGINT)", f"CAST({inner()} AS DOUBLE)", f"ROUND({inner()}, 1)", f"FLOOR({inner()})",
                 f"CEIL({inner()})", f"SIGN({inner()})", f"NULLIF({col}, 1)", f"({inner()} / 3)"]
        if text:
            forms += [f"CHAR_LENGTH({text})", f"TRY_CAST({text} AS INT)", f"ASCII({text})", f"POSITION('x' IN {text})"]
        integer = self.pick(columns, "BIGINT", "INT")
        if integer:
            forms += [f"MOD({integer}, 7)", f"({integer} % 5)"]
        return rng.choice(forms)

    def text_of(self, columns):
        col = self.pick(columns, "STRING")
        if not col:
            return "'none'"
        self.features.add("projection")
        return self.rng.choice([
            f"UPPER({col})", f"{col} || '-'", f"SUBSTRING({col}, 2)", f"COALESCE({col}, 'none')", f"CONCAT_WS('/', {col}, 'e')",
            f"LPAD({col}, 4, '*')", f"REPLACE({col}, 'x', 'yy')", f"TRIM({col})", f"REVERSE({col})", f"LEFT({col}, 1)",
            f"REGEXP_REPLACE({col}, '[a-z]', '_')", f"CAST({self.number_of(columns, 2)} AS STRING)",
            f"CASE {col} WHEN 'a' THEN 'first' WHEN 'x' THEN 'cross' END", f"IF({col} IS NULL, 'null', {col})", f"MD5({col})"])

    def condition(self, columns, depth=0):
        rng = self.rng
        forms = [f"{self.number_of(columns, depth + 1)} {rng.choice(['>', '<', '<>', '>=', '='])} {rng.randint(-3, 5)}"]
        text, truth = self.pick(columns, "STRING"), self.pick(columns, "BOOLEAN")
        integer = self.pick(columns, "BIGINT", "INT")
        if text:
            forms += [f"{text} IS NOT NULL", f"{text} LIKE '%x%'", f"{text} IN ('a', 'b', 'x')", f"{text} <> 'c'",
                      f"{text} IS DISTINCT FROM 'a'"]
        if truth:
            forms += [truth, f"{truth} IS NOT TRUE", f"NOT {truth}"]
        if integer:
            forms += [f"{integer} BETWEEN 0 AND 100", f"{integer} IS NULL", f"{integer} NOT IN (1, 2)"]
        one = rng.choice(forms)
        if depth == 0 and self.odds(0.3):
            one = f"({one} {rng.choice(['AND', 'OR'])} {rng.choice(forms)})"
        return one

    def call(self, stream, where):
        """An aggregate call; where: tvf kind, 'old', 'group' or 'over'."""
        rng, columns = self.rng, {c: t for c, t in stream.columns.items() if c not in (stream.time, "pt")}
        value = self.number_of(columns) if self.odds(0.4) else (self.pick(columns, "BIGINT", "INT", "DOUBLE", "DECIMAL(10,2)") or "1")
        double = f"CAST({value} AS DOUBLE)"
        text = self.pick(columns, "STRING") or "'t'"
        integer = self.pick(columns, "BIGINT", "INT") or "1"
        any_col = rng.choice([text, integer, value])
        # C9: Flink takes no values back from MAX(count) FILTER, so no FILTER where rows are taken back and counts are read.
        filtered = where != "over" and not (stream.updates and "n" in columns)
        forms = ["COUNT(*)", f"COUNT({any_col})", f"SUM({value})", f"AVG({value})", f"MIN({rng.choice([value, text])})",
                 f"MAX({rng.choice([value, text])})", f"SUM({integer})"]
        merged = stream.updates and (self.settings or where != "group")  # A7: Flink keeps keys that were taken back there
        if stream.time and self.odds(0.3):
            forms += [f"MIN(CAST({stream.time} AS TIMESTAMP(3)))", f"MAX({stream.time})"]
        # C7: where rows are taken back, rounding leaves Flink a sum of squares below 0, and it gives NULL or NaN. Frames of OVER take
        # rows back too: only whole numbers there. The sample variance of one row of a NOT NULL column is -1: none is NOT NULL.
        # A2: of a BIGINT, Flink cuts a DOUBLE that rounding left below the exact result: only DOUBLEs.
        if not stream.updates:
            exact = f"CAST(CAST({value} AS BIGINT) AS DOUBLE)" if where == "over" else double
            forms += [f"STDDEV_POP({exact})", f"STDDEV_SAMP(NULLIF({exact}, 0.3))", f"VAR_POP({exact})", f"VAR_SAMP(NULLIF({exact}, 0.3))"]
        forms += [f"COUNT(DISTINCT {any_col})", f"COUNT(DISTINCT {integer})"]
        if where != "over":
            if where not in ("HOP", "CUMULATE"):
                forms += [f"SUM(DISTINCT {integer})", f"AVG(DISTINCT {integer})"]
            forms += [f"PERCENTILE({value}, {rng.choice(['0.5', '0.25', '0.9'])})"]
            if stream.key == ["id"] and not merged and where in ("TUMBLE", "HOP", "CUMULATE", "SESSION", "group"):
                forms += [f"JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE {integer})"] * 2
        if not merged:
            forms.append(f"COLLECT({text})")
        # Over rows that are updated, Flink's HOP and CUMULATE put the rows of one slice before those of the next, ours do not.
        if stream.arrival and not (stream.updates and where in ("HOP", "CUMULATE")):
            if where in ("TUMBLE", "group", "over", "old"):
                forms += [f"FIRST_VALUE({any_col})", f"LAST_VALUE({any_col})"]
            if where in ("TUMBLE", "group"):  # A8: not in the old windows
                forms += [f"JSON_ARRAYAGG({text})", f"JSON_ARRAYAGG({text} NULL ON NULL)"]
            if where != "SESSION":  # where a late row joins two sessions, Flink puts the rows of one before those of the other
                forms += [f"LISTAGG({text})", f"LISTAGG({text}, '|')"]
                if where != "over":
                    forms.append(f"ARRAY_AGG({any_col})")
        call = rng.choice(forms)
        self.features.add(call.split("(")[0])
        if "DISTINCT" in call:
            self.features.add("DISTINCT")
        if filtered and not call.startswith("JSON") and self.odds(0.2):
            self.features.add("FILTER")
            call += f" FILTER (WHERE {self.condition(columns)})"
        return call

    # -- streams ------------------------------------------------------------------------------------------------------
    def table(self, several=False):
        name = self.rng.choice(CLEAN if several else LATE * 2 + CLEAN)
        if name[0] == "z":
            self.features.add("zone")
        columns = dict(COLUMNS)
        columns["ts"] = "LTZ" if name[0] == "z" else "TIME"
        return Stream(name, columns, frozenset([name]), ["id"])

    def twin(self, stream):
        """Another table with the same kind of time."""
        kind = stream.columns[stream.time]
        name = self.rng.choice([n for n in CLEAN if (n[0] == "z") == (kind == "LTZ")])
        return Stream(name, dict(COLUMNS) | {"ts": kind}, frozenset([name]), ["id"])

    def base(self, several=False, deep=True):
        """A stream with a rowtime: a table, or what a view makes of one."""
        roll = self.rng.random()
        if not deep or roll < 0.45:
            return self.table(several)
        if roll < 0.65:
            source = self.table(several)
            self.features.add("view")
            extra = {}
            if self.odds(0.5):
                extra["x1"] = self.number_of(dict(COLUMNS))
            if self.odds(0.5):
                extra["x2"] = self.text_of(dict(COLUMNS))
            listed = "".join(f", {e} AS {n}" for n, e in extra.items())
            where = f" WHERE {self.condition(dict(COLUMNS))}" if self.odds(0.7) else ""
            inner = source.name if self.odds(0.6) else f"(SELECT * FROM {source.name} WHERE {self.condition(dict(COLUMNS))})"
            source.name = self.view(f"SELECT *{listed} FROM {inner}{where}")
            if "x2" in extra:
                source.columns["x2"] = "STRING"
            if self.odds(0.4):
                self.features.add("view over view")
                source.name = self.view(f"SELECT * FROM {source.name} WHERE {self.condition(dict(COLUMNS))}")
            return source
        if roll < 0.78:
            a = self.table(True)
            b = self.twin(a)
            if a.name == b.name:
                return a
            self.features.add("UNION ALL")
            filtered = f" WHERE {self.condition(dict(COLUMNS))}" if self.odds(0.5) else ""
            a.name, a.sources, a.arrival = self.view(f"SELECT * FROM {a.name}{filtered} UNION ALL SELECT * FROM {b.name}"), a.sources | b.sources, False
            return a
        if roll < 0.84:
            source = self.table(several)
            self.features.add("first row")
            source.name = self.view("SELECT id, k, j, v, d, m, s, b, o, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY "
                                    f"{self.rng.choice(['k, j', 'v', 's, k', 'o'])} ORDER BY ts ASC) AS rn FROM {source.name}) WHERE rn = 1")
            source.arrival = False
            return source
        if roll < 0.9:
            return self.interval_view()
        return self.cascade_view(several)

    def interval_view(self):
        a = self.table(True)
        while a.columns["ts"] == "LTZ":  # O4: a window behind an interval join over local time fails in Flink
            a = self.table(True)
        b = self.twin(a)
        self.features.add("interval join")
        # An inner join: rows without a partner may be late for a window behind: in Flink that depends on timing
        low, high = self.rng.choice([(0, 3), (2, 2), (4, 0), (-1, 3)])
        self_columns = {"id": "BIGINT", "k": "STRING", "j": "INT", "v": "BIGINT", "rid": "BIGINT", "rv": "BIGINT", "ts": a.columns["ts"]}
        name = self.view(f"SELECT l.id, l.k, l.j, l.v, r.id AS rid, r.v AS rv, l.ts FROM {a.name} l JOIN {b.name} r ON l.k = r.k "
                         f"AND r.ts BETWEEN l.ts - INTERVAL '{low}' {self.unit} AND l.ts + INTERVAL '{high}' {self.unit}")
        return Stream(name, self_columns, a.sources | b.sources, ["id", "rid"], arrival=False)

    def cascade_view(self, several):
        source = self.table(several)
        self.features.add("cascade")
        window = self.window(source, small=True)
        keys = self.keys(source) or ["k"]
        if window[0] == "SESSION":
            keys = window[2] or []
        calls = [f"{self.rng.choice(['COUNT', 'SUM', 'MAX', 'MIN'])}(v) AS c0", "SUM(m) AS c1", "COUNT(*) AS c2"]
        name = self.view(f"SELECT {''.join(k + ', ' for k in keys)}{', '.join(calls)}, window_time AS ts FROM {window[1]} "
                         f"GROUP BY window_start, window_end, window_time{''.join(', ' + k for k in keys)}")
        columns = {k: source.columns[k] for k in keys} | {"c0": "BIGINT", "c1": "DOUBLE", "c2": "BIGINT", "ts": source.columns["ts"]}
        return Stream(name, columns, source.sources, keys + ["ts"], arrival=False)

    def keys(self, stream, most=2):
        found = [c for c in ("k", "j", "s", "b", "x2") if c in stream.columns]
        if "m" in stream.columns and self.odds(0.05):
            found = ["m"]
        return self.rng.sample(found, min(len(found), self.rng.choice([0, 1, 1, 1, 2][:most + 3])))

    def window(self, stream, small=False, kinds=("TUMBLE", "HOP", "CUMULATE", "SESSION"), spec=None):
        """-> kind, the FROM item, SESSION's partition columns"""
        kind, arguments, parts = spec or (self.rng.choice(kinds), None, None)
        self.features.add(kind)
        if arguments is None:
            step = self.rng.choice([2, 3, 5] if small else [4, 5, 7, 10])
            if kind == "TUMBLE":
                arguments = f"INTERVAL '{step * self.rng.choice([1, 2, 4])}' {self.unit}"
            elif kind == "SESSION":
                arguments = self.span(2, 3, 4, 6)
            else:
                arguments = f"INTERVAL '{step}' {self.unit}, INTERVAL '{step * self.rng.choice([2, 3, 4])}' {self.unit}"
            if kind != "SESSION" and self.odds(0.3):
                self.features.add("offset")
                arguments += f", INTERVAL '{self.rng.choice([1, 3, -2])}' {self.unit}"
            if kind == "SESSION":
                parts = self.keys(stream)
        partition = ""
        if kind == "SESSION" and parts:
            partition = " PARTITION BY " + (parts[0] if len(parts) == 1 else f"({', '.join(parts)})")
        self.spec = (kind, arguments, parts)
        return kind, f"TABLE({kind}(TABLE {stream.name}{partition}, DESCRIPTOR({stream.time}), {arguments}))", parts

    def window_aggregate(self, stream, least_keys=0, sets=True, kinds=("TUMBLE", "HOP", "CUMULATE", "SESSION")):
        """-> the text of a SELECT, its group keys, its columns"""
        kind, item, parts = self.window(stream, kinds=kinds)
        keys = parts if kind == "SESSION" else self.keys(stream)
        if len(keys) < least_keys:
            keys = [c for c in ("k", "j", "b", "s") if c in stream.columns][:least_keys]
        calls = [f"{self.call(stream, kind)} AS a{n}" for n in range(self.rng.randint(1, 4))]
        grouped, listed = ", ".join(["window_start", "window_end"] + keys), list(keys)
        if sets and kind != "SESSION" and keys and self.odds(0.45):
            form = self.rng.choice(["ROLLUP", "CUBE", "GROUPING SETS"])
            self.features.add(form)
            inside = ", ".join(keys) if form != "GROUPING SETS" else ", ".join(f"({k})" for k in keys) + ", ()"
            grouped = f"window_start, window_end, {form} ({inside})"
            if self.odds(0.5):
                calls.append(f"GROUPING({keys[0]}) AS g")
        having = f" HAVING {self.having(stream, kind)}" if self.odds(0.25) else ""
        where = f" WHERE {self.condition(stream.columns)}" if kind != "SESSION" and self.odds(0.2) else ""
        select = ", ".join(["window_start", "window_end"] + listed + calls)
        return f"SELECT {select} FROM {item}{where} GROUP BY {grouped}{having}", keys, calls

    def having(self, stream, where):
        self.features.add("HAVING")
        value = self.pick(stream.columns, "BIGINT", "INT") or "1"
        return self.rng.choice(["COUNT(*) > 2", f"SUM({value}) > 0", f"MAX({value}) IS NOT NULL", f"COUNT({value}) >= 2 AND MIN({value}) < 5"])
