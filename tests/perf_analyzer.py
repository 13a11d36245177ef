"""perf_analyzer as scripts/fetch brings it: how to call it, and what it reports."""

import csv
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, ".cache", "perf_analyzer")


def call(version, model, address, options, timeout=120, cwd=None):
    """Runs it to its end, whatever comes of it. It leaves files where it runs."""
    command = [os.path.join(FOLDER, version, "perf_analyzer"), "-m", model, "-u", address, *options]
    environment = dict(os.environ, LD_LIBRARY_PATH=os.path.join(FOLDER, "lib"))
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, cwd=cwd
    )


def analyze(version, model, address, options, folder, timeout=120):
    """The rows of its report, one for each concurrency. `folder` is for what it leaves behind."""
    report = os.path.join(folder, "report.csv")
    done = call(version, model, address, [*options, "-f", report], timeout, folder)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    with open(report, encoding="utf-8") as f:
        return list(csv.DictReader(f))
