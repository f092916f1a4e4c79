#!/usr/bin/env python3
"""Re-record the conformance cases on a real Apache Flink 2.3.

    record.py [--flink HOME] [--check] [CASE ...]

CASE: folders that hold a query.sql, or FAMILY/NAME of some beside this file (default: all of these). Flink is HOME, else
$FLINK_HOME: an unpacked distribution or any folder whose lib/ holds Flink's jars (pip's pyflink folder will do). If there
is none, Flink 2.3.0 is downloaded from the Apache archive into $XDG_CACHE_HOME/paceline-flink. Needs Java 11 or newer
with its compiler (the runner below is started as a source file), and nothing else but Python's standard library.

One JVM runs all the cases, each in a table environment of its own. ${DIR} in a query is the case's folder, ${OUT} a fresh
folder whose sub-folders are the sinks. All INSERTs of a file form one job. Every bare SELECT is collected with its
changelog and its column types. Sinks are written sorted bytewise, changelogs in arrival order, into CASE/expected/.
--check compares instead of writing, and exits with 1 if anything differs.
"""
import argparse, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, time, urllib.request

VERSION = "2.3.0"
ARCHIVE = f"https://archive.apache.org/dist/flink/flink-{VERSION}/flink-{VERSION}-bin-scala_2.12.tgz"
HERE = pathlib.Path(__file__).resolve().parent

RUNNER = r'''
import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.*;
import java.time.format.*;
import java.time.temporal.ChronoField;
import java.util.*;
import java.util.stream.*;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.*;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** Reads commands from standard input, one a line with tabs between its words, and answers each with one line. */
public class Recorder {
    static final String[][] DEFAULTS = {
        {"execution.runtime-mode", "STREAMING"},          // the changelog semantics, though the files end
        {"parallelism.default", "1"},
        {"pipeline.auto-watermark-interval", "0 ms"},     // a watermark after every record: late rows are then deterministic
        {"table.local-time-zone", "UTC"},
        {"table.exec.resource.default-parallelism", "1"},
    };
    static final DateTimeFormatter TIME = new DateTimeFormatterBuilder().appendPattern("uuuu-MM-dd HH:mm:ss")
        .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true).toFormatter();

    /** Cuts a script at its semicolons; drops comments, but not hints. */
    static List<String> statements(String text) {
        List<String> found = new ArrayList<>();
        StringBuilder one = new StringBuilder();
        for (int at = 0; at < text.length(); ) {
            char c = text.charAt(at);
            if (text.startsWith("--", at)) {
                int end = text.indexOf('\n', at);
                at = end < 0 ? text.length() : end;
            } else if (text.startsWith("/*", at) && !text.startsWith("/*+", at)) {
                int end = text.indexOf("*/", at + 2);
                at = end < 0 ? text.length() : end + 2;
            } else if (c == '\'' || c == '`' || c == '"') {
                int end = text.indexOf(c, at + 1);
                end = end < 0 ? text.length() - 1 : end;
                one.append(text, at, end + 1);
                at = end + 1;
            } else if (c == ';') {
                found.add(one.toString().trim());
                one.setLength(0);
                at++;
            } else {
                one.append(c);
                at++;
            }
        }
        found.add(one.toString().trim());
        found.removeIf(String::isEmpty);
        return found;
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    static String json(Object value) {
        if (value == null) return "null";
        if (value instanceof BigDecimal) return ((BigDecimal) value).toPlainString();
        if (value instanceof Number || value instanceof Boolean) return value.toString();
        if (value instanceof LocalDateTime) return quoted(TIME.format((LocalDateTime) value));
        if (value instanceof Instant) return quoted(TIME.format(((Instant) value).atOffset(ZoneOffset.UTC)) + "Z");
        if (value instanceof Object[])
            return Arrays.stream((Object[]) value).map(Recorder::json).collect(Collectors.joining(",", "[", "]"));
        if (value instanceof Map)
            return ((Map<?, ?>) value).entrySet().stream().map(e -> quoted(String.valueOf(e.getKey())) + ":" + json(e.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
        return quoted(value.toString());
    }

    static boolean starts(String statement, String... words) {
        String[] have = statement.trim().split("\\s+", words.length + 1);
        if (have.length < words.length) return false;
        for (int i = 0; i < words.length; i++) if (!have[i].equalsIgnoreCase(words[i])) return false;
        return true;
    }

    static class Script {
        final Configuration settings = new Configuration();
        final List<String> rest = new ArrayList<>();

        Script(String file) throws IOException {
            for (String[] pair : DEFAULTS) settings.setString(pair[0], pair[1]);
            for (String statement : statements(Files.readString(Path.of(file)))) {
                if (starts(statement, "SET")) {
                    String[] sides = statement.substring(3).split("=", 2);
                    settings.setString(bare(sides[0]), bare(sides[1]));
                } else if (starts(statement, "EXECUTE", "STATEMENT", "SET") || starts(statement, "BEGIN", "STATEMENT", "SET")) {
                    String body = statement.split("(?i)\\sSET", 2)[1].trim();
                    rest.add(starts(body, "BEGIN") ? body.substring(5).trim() : body);
                } else if (!starts(statement, "END")) {
                    rest.add(statement);
                }
            }
            rest.removeIf(String::isEmpty);
        }

        static String bare(String side) {
            side = side.trim();
            return side.startsWith("'") ? side.substring(1, side.length() - 1) : side;
        }

        TableEnvironment environment() {
            return TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(settings).build());
        }
    }

    static void run(String file, Path out) throws Exception {
        Script script = new Script(file);
        TableEnvironment env = script.environment();
        StatementSet inserts = env.createStatementSet();
        List<String> queries = new ArrayList<>();
        boolean any = false;
        for (String statement : script.rest) {
            if (starts(statement, "INSERT")) {
                inserts.addInsertSql(statement);
                any = true;
            } else if (starts(statement, "SELECT") || starts(statement, "WITH")) {
                queries.add(statement);
            } else {
                env.executeSql(statement);
            }
        }
        if (any) inserts.execute().await();
        for (int n = 1; n <= queries.size(); n++) {
            TableResult result = env.executeSql(queries.get(n - 1));
            var columns = result.getResolvedSchema().getColumns();
            List<String> lines = new ArrayList<>();
            for (var column : columns)
                lines.add("{\"col\":" + quoted(column.getName()) + ",\"type\":"
                    + quoted(column.getDataType().getLogicalType().asSummaryString()) + "}");
            Files.write(out.resolve("select_" + n + ".schema.jsonl"), lines);
            write(out, n, columns, result.collect());
        }
    }

    static void write(Path out, int n, List<Column> columns, CloseableIterator<Row> found) throws Exception {
        List<String> lines = new ArrayList<>();
        try (CloseableIterator<Row> rows = found) {
            while (rows.hasNext()) {
                Row row = rows.next();
                StringBuilder line = new StringBuilder("{\"op\":").append(quoted(row.getKind().shortString()));
                for (int i = 0; i < columns.size(); i++)
                    line.append(',').append(quoted(columns.get(i).getName())).append(':').append(json(row.getField(i)));
                lines.add(line.append('}').toString());
            }
        }
        Files.write(out.resolve("select_" + n + ".changelog.jsonl"), lines);
    }

    /** Runs all SELECTs of a script as one job. */
    static void together(String file, Path out) throws Exception {
        Script script = new Script(file);
        var env = StreamExecutionEnvironment.getExecutionEnvironment(script.settings);
        var tables = StreamTableEnvironment.create(env, EnvironmentSettings.newInstance().withConfiguration(script.settings).build());
        List<List<Column>> columns = new ArrayList<>();
        List<CloseableIterator<Row>> found = new ArrayList<>();
        for (String statement : script.rest) {
            if (starts(statement, "SELECT")) {
                Table table = tables.sqlQuery(statement);
                columns.add(table.getResolvedSchema().getColumns());
                found.add(tables.toChangelogStream(table).collectAsync());
            } else {
                tables.executeSql(statement);
            }
        }
        var job = env.executeAsync();
        for (int n = 1; n <= found.size(); n++) write(out, n, columns.get(n - 1), found.get(n - 1));
        job.getJobExecutionResult().get();
    }

    /** Plans every SELECT of a script alone: its changes and its columns' types, or why it is refused. */
    static void plan(String file, PrintStream answer) throws Exception {
        Script script = new Script(file);
        TableEnvironment env = script.environment();
        String before = "";
        for (String statement : script.rest) {
            boolean select = starts(statement, "SELECT");
            try {
                if (select) {
                    Table table = env.sqlQuery(statement);
                    String plan = env.explainSql(statement, ExplainDetail.CHANGELOG_MODE);
                    String changes = plan.substring(plan.indexOf("changelogMode=[") + 15);
                    answer.println("planned\t" + changes.substring(0, changes.indexOf(']')) + "\t"
                        + table.getResolvedSchema().getColumns().stream()
                            .map(c -> c.getName() + "\u0001" + c.getDataType().getLogicalType().asSerializableString())
                            .collect(Collectors.joining("\u0002"))
                        + "\t" + table.getResolvedSchema().getColumns().stream()
                            .filter(c -> c.getDataType().getLogicalType().asSummaryString().contains("*ROWTIME*")).count());
                } else {
                    env.executeSql(statement);
                }
            } catch (Throwable problem) {
                if (select) answer.println("refused\t" + reason(problem) + before);
                else before = " <- " + reason(problem);
            }
        }
    }

    static String reason(Throwable problem) {
        List<String> texts = new ArrayList<>();
        for (Throwable t = problem; t != null; t = t.getCause())
            texts.add(t.getClass().getSimpleName() + ": " + t.getMessage());
        return String.join(" <- ", texts).replaceAll("[\\s]+", " ");
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answer = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err); // Flink's own prints must not mix with the answers
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = commands.readLine()) != null; ) {
            String[] words = line.split("\t");
            try {
                if (words[0].equals("run")) run(words[1], Path.of(words[2]));
                else if (words[0].equals("together")) together(words[1], Path.of(words[2]));
                else plan(words[1], answer);
                answer.println("done");
            } catch (Throwable problem) {
                answer.println("failed\t" + reason(problem));
            }
        }
        System.exit(0);
    }
}
'''

OPENED = ["java.base/" + package for package in (
    "java.util java.lang java.net java.io java.nio java.lang.reflect java.text java.time java.util.concurrent "
    "java.util.concurrent.atomic java.util.concurrent.locks sun.nio.ch sun.net.util").split()]


def flink_home(given):
    """The folder whose lib/ holds Flink's jars."""
    for home in filter(None, [given, os.environ.get("FLINK_HOME")]):
        home = pathlib.Path(home)
        for candidate in [home, *sorted(home.glob("venv/lib/python3*/site-packages/pyflink"))]:
            if list(candidate.glob("lib/flink-dist-*.jar")):
                if not list(candidate.glob("lib/flink-dist-2.3.*.jar")):
                    print(f"warning: {candidate} is not Flink 2.3", file=sys.stderr)
                return candidate
        sys.exit(f"record.py: no lib/flink-dist-*.jar in {home}")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "paceline-flink"
    home = cache / f"flink-{VERSION}"
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        print(f"downloading {ARCHIVE}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            packed = pathlib.Path(fresh) / "flink.tgz"
            with urllib.request.urlopen(ARCHIVE) as source, open(packed, "wb") as target:
                shutil.copyfileobj(source, target)
            with tarfile.open(packed) as archive:
                archive.extractall(fresh)
            os.rename(pathlib.Path(fresh) / f"flink-{VERSION}", home)  # last: a folder that exists is whole
    return home


def lines_of(file):
    text = file.read_text(encoding="utf-8")  # not splitlines(): a row may hold U+2028
    return text.removesuffix("\n").split("\n") if text else []


class Flink:
    """A JVM that runs scripts one after the other."""

    def __init__(self, home, log=subprocess.DEVNULL):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="paceline-record-"))
        source = self.work / "Recorder.java"
        source.write_text(RUNNER, encoding="utf-8")
        settings = self.work / "log4j2.properties"
        settings.write_text("rootLogger.level=ERROR\nrootLogger.appenderRef.e.ref=E\nappender.e.name=E\nappender.e.type=CONSOLE\n"
                            "appender.e.target=SYSTEM_ERR\nappender.e.layout.type=PatternLayout\nappender.e.layout.pattern=%p %c{1} %m%n%ex{short}\n")
        command = ["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC", f"-Dlog4j2.configurationFile={settings}"]
        command += [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
        command += ["-cp", f"{home}/lib/*", str(source)]
        self.jvm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                    text=True, encoding="utf-8", cwd=self.work)

    def ask(self, *words):
        """-> the lines of the answer and None, or the failure."""
        self.jvm.stdin.write("\t".join(words) + "\n")
        self.jvm.stdin.flush()
        lines = []
        for line in self.jvm.stdout:
            word, _, rest = line.rstrip("\n").partition("\t")
            if word == "done":
                return lines, None
            if word == "failed":
                return lines, rest
            lines.append((word, rest))
        raise SystemExit("record.py: the JVM ended (is Java 11 or newer, with its compiler, on the PATH?)")

    def run(self, query, folder, command="run"):
        """-> {sink: lines}, failure. "together" makes one job of a script's SELECTs, "run" of its INSERTs."""
        out = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        script = out.with_suffix(".sql")
        text = pathlib.Path(query).read_text(encoding="utf-8")
        script.write_text(text.replace("${DIR}", str(folder)).replace("${OUT}", str(out)), encoding="utf-8")
        _, failure = self.ask(command, str(script), str(out))
        sinks = {}
        for file in sorted(path for path in out.rglob("*") if path.is_file()):
            # a bounded job leaves no open parts, but the part of a very short one may keep its hidden name
            if file.name.startswith("_") or (file.name.startswith(".") and ".inprogress" not in file.name):
                continue
            below = file.relative_to(out).parts
            name = below[0] if len(below) > 1 else file.name[:-len(".jsonl")]
            sinks.setdefault(name, []).extend(lines_of(file))
        for name, rows in sinks.items():
            if not name.startswith("select_"):
                rows.sort()
        shutil.rmtree(out)
        return sinks, failure

    def close(self):
        self.jvm.stdin.close()
        self.jvm.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flink", metavar="HOME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--log", metavar="FILE", help="what Flink logs (default: dropped)")
    parser.add_argument("cases", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    cases = [case if case.exists() else HERE / case for case in options.cases] or sorted(
        path.parent for path in HERE.glob("*/*/query.sql"))
    flink = Flink(flink_home(options.flink), open(options.log, "w") if options.log else subprocess.DEVNULL)
    wrong = 0
    try:
        for case in map(pathlib.Path.resolve, cases):
            began = time.time()
            sinks, failure = flink.run(case / "query.sql", case)
            took = f"{time.time() - began:.1f} s"
            title = f"{case.parent.name}/{case.name}"
            expected = case / "expected"
            if failure:
                wrong += 1
                print(f"FAILED {title}: {failure}", flush=True)
            elif options.check:
                want = {file.name[:-len(".jsonl")]: lines_of(file) for file in expected.glob("*.jsonl")}
                differing = [name for name in sorted(want.keys() | sinks.keys()) if want.get(name) != sinks.get(name)]
                wrong += bool(differing)
                print(f"{'DIFFERS' if differing else 'same'} {title} {' '.join(differing)} ({took})", flush=True)
            else:
                fresh = case / ".expected"
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir()
                for name, rows in sinks.items():
                    (fresh / f"{name}.jsonl").write_text("".join(row + "\n" for row in rows), encoding="utf-8")
                shutil.rmtree(expected, ignore_errors=True)
                fresh.rename(expected)
                print(f"recorded {title}: {', '.join(f'{name} {len(rows)}' for name, rows in sinks.items())} ({took})", flush=True)
    finally:
        flink.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
