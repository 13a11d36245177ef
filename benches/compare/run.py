"""The order of it all."""

import os
import shlex
import sys
import tempfile

from .. import ROOT
from . import chart, limit, measure, report
from .rows import ROWS
from .servers import BINARY, Ours, Triton

OUTPUT = os.path.join(ROOT, "target", "bench-compare.json")


def say(result):
    print(
        "  {server:10} {row:10} {protocol:4} at {concurrency:<3} "
        "{cpu_s_per_1000:8.4f} CPU s per 1,000, {requests_per_s:8.0f} a s, "
        "p50 {p50_us:.0f} us, p99 {p99_us:.0f} us, queue {queue_us:.1f} us, "
        "{connections} connections".format(**result),
        flush=True,
    )


def chosen(only):
    keys = [row.key for row in ROWS]
    unknown = set(only) - set(keys)
    if unknown:
        sys.exit(f"bench: no row is called {unknown.pop()!r}; there are {', '.join(keys)}")
    return [row for row in ROWS if not only or row.key in only]


def compare(only, seconds, rounds, ours_only, output, picture=""):
    """Measures, prints the table, writes the JSON, and draws a picture of it if there is a place for it."""
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    rows, results = chosen(only), []
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as work:
        servers = [Ours()] if ours_only else [Ours(), Triton(work)]
        about = {
            "command": shlex.join(sys.argv),
            "servers": {server.name: server.version for server in servers},
            "note": getattr(servers[-1], "note", ""),
            "perf_analyzer": measure.VERSION,
            "seconds": seconds,
            "rounds": rounds,
        }
        program = limit.build() if any(row.limit for row in rows) else None
        for turn in range(rounds):
            for row in rows:
                print(f"{row.title}, round {turn + 1} of {rounds}", flush=True)
                # Who comes first changes from round to round.
                for server in servers if turn % 2 == 0 else reversed(servers):
                    if server.serves(row.model) and (row.compared or server is servers[0]):
                        results += measure.row(server, row, seconds, work, say)
                if row.limit:
                    results.append(limit.measure(program, row, seconds, work))
    print(f"\n{report.machine()}; {', '.join(about['servers'].values())}; {about['note']}")
    print(f"perf_analyzer {measure.VERSION}, medians, {rounds} rounds of {seconds} s each\n")
    print(report.table(rows, results))
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    with open(output, "w", encoding="utf-8") as f:
        f.write(report.document(rows, results, about))
    print(f"\nAll numbers are in {output}")
    if picture:
        with open(picture, "w", encoding="utf-8") as f:
            f.write(chart.draw(report.lines(rows, results), report.machine()))
        print(f"A picture of it is in {picture}")
