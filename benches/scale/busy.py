"""Small requests beside a busy loop on each core of the server, against the same in a calm machine, in turns."""

import contextlib
import datetime
import itertools
import json
import statistics
import time

from . import cores, load, report

TITLES = ("work", "over", "cores", "at", "CPU s for 1,000, calm", "busy", "busy / calm", "ratio to Triton, busy / calm")
# What a request may cost beside busy loops, where it costs 1 without.
AT_MOST = 1.15


def turn(server, row, protocol, count, concurrency, options, work):
    """(calm, busy) on one server that stays the same."""
    found = []
    server_cores, client_cores = cores.divide(count)
    with server.started(row, server_cores, work) as process:
        for loops in ([], server_cores):
            with cores.busy(loops) if loops else contextlib.nullcontext():
                setting = 1, concurrency
                places = server_cores, client_cores
                result = load.one(server, process, row, protocol, places, setting, options.seconds, options.generator, work)
            found.append({**result, "busy": bool(loops)})
    return found


def say(found):
    calm, beside = (each["cpu_s_per_1000"] for each in found)
    print(
        "  {server:12} {row:8} {protocol:4} {cores} cores at {concurrency:<3}".format(**found[0]),
        f"calm {calm:.4f}, busy {beside:.4f} CPU s for 1,000: {beside / calm:.2f}",
        flush=True,
    )


def run(options, rows, subjects, work, facts):
    """Measures and prints. One perf_analyzer, at each of the concurrencies."""
    results, begin = [], time.monotonic()
    cases = itertools.product(rows, options.cores, options.protocols, options.concurrencies)
    for number, case in enumerate(list(cases) * options.rounds):
        if options.budget and time.monotonic() - begin > options.budget:
            print("the budget is spent", flush=True)
            break
        row, count, protocol, concurrency = case
        for server in subjects if number % 2 == 0 else subjects[::-1]:
            found = turn(server, row, protocol, count, concurrency, options, work)
            results += found
            say(found)
    print("\n" + table(rows, results, options))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            date = datetime.date.today().isoformat()
            json.dump({**facts, "machine": cores.machine(), "date": date, "results": results}, f, indent=1)
        print(f"\nAll numbers are in {options.json}")
    return 0


def table(rows, results, options):
    groups = {}
    for r in results:
        key = r["row"], r["protocol"], r["cores"], r["concurrency"], r["server"], r["busy"]
        groups.setdefault(key, []).append(r["cpu_s_per_1000"])
    of = {key: statistics.median(values) for key, values in groups.items()}
    order = ("hippocamp", "build", "triton", "echo")
    names = sorted({r["server"] for r in results}, key=lambda name: (order.index(name.split()[0]), name))
    body = [list(TITLES)]
    for row, count, protocol, concurrency in itertools.product(
        rows, options.cores, options.protocols, options.concurrencies
    ):
        key = row.key, protocol, count, concurrency
        if all((*key, name, True) in of for name in names):
            body.append([row.title, protocol, str(count), str(concurrency), *numbers(of, key, names)])
    return f"Several numbers in a cell: {' / '.join(names)}. At most {AT_MOST} is aimed at.\n\n" + report.aligned(body)


def numbers(of, key, names):
    calm, beside = ([of[(*key, name, is_busy)] for name in names] for is_busy in (False, True))
    ratio = [b / c for b, c in zip(beside, calm)]
    missed = " **missed**" if ratio[0] > AT_MOST else ""
    peer = "-"
    if "triton" in names:
        n = names.index("triton")
        before, after = calm[0] / calm[n], beside[0] / beside[n]
        peer = f"{before:.2f} to {after:.2f}: {after / before:.2f}"
    return [
        " / ".join(f"{x:.4f}" for x in calm),
        " / ".join(f"{x:.4f}" for x in beside),
        " / ".join(f"{x:.2f}" for x in ratio) + missed,
        peer,
    ]
