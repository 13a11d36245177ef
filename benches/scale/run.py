"""The order of it all."""

import dataclasses
import json
import os
import shlex
import sys
import tempfile
import time

from server_process import BINARY

from .. import ROOT
from . import busy, chart, cores, load, pack, prebuilt, report
from .rows import PROTOCOLS, ROWS
from .servers import Apart, Echo, Ours, Triton

OUTPUT = os.path.join(ROOT, "target", "bench-scale.json")
# What a measurement takes beside its seconds, before it is known: starts, first requests, last ones.
AROUND = 1.5
SHORTEST = 0.6


class Budget:
    """How long each measurement may be, so that all of them end in time."""

    def __init__(self, total, seconds, steps):
        self.total, self.seconds, self.left = total, seconds, steps
        self.begin, self.around, self.started = time.monotonic(), AROUND, None

    def remaining(self):
        return self.total - (time.monotonic() - self.begin) if self.total else float("inf")

    def next(self):
        """Seconds for the next measurement, or None if there is no time for one."""
        each = self.remaining() / max(1, self.left) - self.around
        if self.remaining() < SHORTEST + self.around:
            return None
        return min(self.seconds, max(SHORTEST, each))

    def took(self, elapsed, seconds):
        self.left -= 1
        self.around += ((elapsed - seconds) - self.around) * 0.1


def say(result):
    print(
        "  {server:12} {row:8} {protocol:4} {cores:2} cores {requests_per_s:9,.0f} a s, {cpu_s_per_1000:8.4f} CPU s for 1,000, "
        "p50 {p50_us:,.0f} us, p99 {p99_us:,.0f} us, cores used {server_cores_used:.1f}, by clients "
        "{client_cores_used:.1f} of {client_cores}".format(**result),
        flush=True,
    )


def chosen(only):
    keys = [row.key for row in ROWS]
    unknown = set(only) - set(keys)
    if unknown:
        sys.exit(f"bench: no row is called {unknown.pop()!r}; there are {', '.join(keys)}")
    return [row for row in ROWS if not only or row.key in only]


def servers(options, built):
    """All that are measured, ours first."""
    binaries = options.server or [BINARY]
    labels = ["hippocamp", *(f"build {n}" for n in range(2, len(binaries) + 1))]
    found = [Ours(built, os.path.abspath(binary), label) for binary, label in zip(binaries, labels)]
    if not options.ours_only and Triton.is_there():
        found.append(Triton(built))
    if options.apart:
        found.insert(1, Apart(built, os.path.abspath(binaries[0])))
    # Asynchronous clients tell answers by the id of the request, and `hippocamp bench` writes paths in Huffman's code: the echo
    # knows of neither.
    knows = "--async" not in options.client_options and options.generator == "perf_analyzer"
    return [*found, Echo(built)] if knows else found


def measure(row, count, subjects, options, budget, work, results):
    """One row on `count` cores: each server is started once. False when there is no time left."""
    places = cores.divide(count)
    for server in subjects:
        if count == 1 and isinstance(server, Apart):
            # It is what is measured anyway.
            continue
        for protocol in options.protocols:
            seconds = budget.next()
            if seconds is None:
                return False
            begin = time.monotonic()
            # A server for each protocol: none finds what the other left.
            try:
                with server.started(row, places[0], work) as process:
                    setting = options.clients, options.concurrency
                    result = load.one(server, process, row, protocol, places, setting, seconds, options.generator, work)
                results.append(result)
                say(result)
            except RuntimeError as e:
                print(f"  {server.name} {row.key} {protocol} on {count} cores failed: {str(e)[-500:]}", flush=True)
            budget.took(time.monotonic() - begin, seconds)
    return True


def rounds(options, rows, subjects, budget, work, results, keep):
    """Who comes first changes from round to round. Repeats are what is left out where time is short. After each row what
    there is so far is printed and kept.
    """
    for turn in range(options.rounds):
        if turn and budget.remaining() < budget.total * turn / options.rounds * 0.5:
            print(f"no time for round {turn + 1} of {options.rounds}", flush=True)
            return
        for row in rows:
            for count in options.cores:
                print(f"{row.title}, {count} cores, round {turn + 1} of {options.rounds}", flush=True)
                order = subjects if turn % 2 == 0 else subjects[::-1]
                if not measure(row, count, order, options, budget, work, results):
                    print("the budget is spent", flush=True)
                    return
            print(report.table([row], results, options), flush=True)
            keep()


def about(options, subjects, kept):
    return {
        "command": shlex.join(sys.argv),
        "servers": {server.name: server.version for server in subjects},
        "generator": f"perf_analyzer {load.VERSION}" if options.generator == "perf_analyzer" else "hippocamp bench",
        "clients": options.clients,
        "concurrency": options.concurrency,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "kept_on_cores": kept,
    }


def prepared(options):
    """The options as they are used: no more cores than there are, and protocols in the order of the table."""
    there = len(cores.ALL)
    wanted = options.cores or [n for n in (1, 2, 4, 8) if n < there] or [1]
    options.cores = [n for n in wanted if n <= there]
    if options.cores != wanted:
        print(f"NOTE: there are only {there} cores", flush=True)
    if there in options.cores:
        print(f"NOTE: a server on {there} cores shares them with its clients", flush=True)
    options.protocols = [p for p in PROTOCOLS if p in (options.protocols or ",".join(PROTOCOLS)).split(",")]
    return options


def write(path, text):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def draw(options):
    """A picture of what was measured before."""
    with open(options.draw, encoding="utf-8") as f:
        content = json.load(f)
    write(options.chart, chart.draw(content["lines"], f"{content['machine']}; {content['date']}"))
    return 0


def scale(options):
    """Does what the command line says."""
    if options.pack:
        return pack.pack(options.pack, (options.server or [BINARY])[0], options.pack_again)
    if options.draw:
        return draw(options)
    return run(prepared(options))


def run(options):
    """Measures, prints the table as it grows, and writes the JSON and a picture of it."""
    rows, results = chosen(list(filter(None, options.only.split(",")))), []
    further = tuple(shlex.split(options.client_options))
    rows = [dataclasses.replace(row, options=row.options + further) for row in rows if row.small or not options.busy]
    kept = cores.kept()
    print(cores.machine(), flush=True)
    if not kept:
        print("NOTE: this kernel does not keep processes on their cores; only the number of threads follows", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as work:
        first = (options.server or [BINARY])[0]
        built = prebuilt.build(os.path.join(work, "built"), first, work, Triton.is_there())
        subjects = servers(options, built)
        facts = about(options, subjects, kept)
        for name, version in facts["servers"].items():
            print(f"{name}: {version}", flush=True)
        if options.busy:
            return busy.run(options, rows, subjects, work, facts)
        steps = options.rounds * len(rows) * len(options.cores) * len(subjects) * len(options.protocols)
        budget = Budget(options.budget, options.seconds, steps)
        output = options.json or OUTPUT

        def keep():
            write(output, report.document(rows, results, facts, options))

        rounds(options, rows, subjects, budget, work, results, keep)
    print(f"\n{report.heading(facts)}\n\n{report.table(rows, results, options)}")
    print(report.verdicts(rows, results, options))
    keep()
    print(f"\nAll numbers are in {output}")
    if options.chart:
        write(options.chart, chart.draw(list(report.lines(rows, results, options)), cores.machine()))
        print(f"A picture of it is in {options.chart}")
    return 0
