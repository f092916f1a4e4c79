#!/usr/bin/env python3
"""Records a state directory, stopped in the middle of its job: record.py NAME [--binary PATH]

NAME is a folder beside this file that holds `query.sql` and `in/`; if it is new, both are copied from `first`. BINARY
(default: paceline on the PATH) runs the query with a checkpoint every few records and is stopped by SIGTERM when the
second checkpoint has been published. What it left behind is kept: `state/`, `out/` and, as `printed.jsonl`, what it printed.
"""
import argparse, os, pathlib, shutil, signal, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
SLOWLY = ["--parallelism", "1", "--set", "paceline.batch.rows=3", "--set", "paceline.checkpoint.records=30"]
ATTEMPTS = 50


def published(state):
    return any(int(manifest.parent.name) > 1 for manifest in state.glob("checkpoints/*/manifest"))


def attempt(binary, folder):
    """-> whether it was stopped before its end."""
    with open(folder / "printed.jsonl", "w") as out, open(folder / "log", "w") as log:
        command = [binary, "run", "query.sql", "--state-dir", "state", "--output", "json", *SLOWLY]
        job = subprocess.Popen(command, cwd=folder, stdout=out, stderr=log)
        while job.poll() is None and not published(folder / "state"):
            time.sleep(0.0005)
        job.send_signal(signal.SIGTERM)
        if job.wait() != 0:
            sys.exit((folder / "log").read_text())
    return "stopped" in (folder / "log").read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="paceline")
    parser.add_argument("name")
    options = parser.parse_args()
    target = HERE / options.name
    origin = target if target.exists() else HERE / "first"
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "job"
            folder.mkdir()
            shutil.copy(origin / "query.sql", folder)
            shutil.copytree(origin / "in", folder / "in")
            binary = os.path.abspath(options.binary) if os.sep in options.binary else options.binary
            if not attempt(binary, folder):
                continue
            # A start opens fresh links of a checkpoint, never the live folder.
            shutil.rmtree(folder / "state" / "live", ignore_errors=True)
            (folder / "state" / "lock").unlink(missing_ok=True)
            for older in sorted((folder / "state" / "checkpoints").iterdir())[:-1]:
                shutil.rmtree(older)
            (folder / "log").unlink()
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target)
            return
    sys.exit(f"record.py: it had finished before it was stopped, {ATTEMPTS} times: give it more input")


if __name__ == "__main__":
    main()
