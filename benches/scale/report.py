"""From single results to medians, growth over one core, ratios, a table and JSON."""

import datetime
import json
import statistics

from . import cores

NUMBERS = (
    "requests_per_s",
    "cpu_s_per_1000",
    "client_cpu_s_per_1000",
    "server_cores_used",
    "client_cores_used",
    "client_cores",
    "p50_us",
    "p99_us",
)
TITLES = (
    "work",
    "over",
    "cores",
    "requests a second",
    "x 1 core",
    "/ Triton",
    "of the echo's",
    "CPU s for 1,000",
    "p50, us",
    "p99, us",
    "clients' cores",
)
# From this part of the bare echo's rate on, the load generator is what limits.
OF_ECHO = 0.9
# From so many cores on Triton is compared.
FULL = 8
# CPU of a request at the most cores, over that at one.
CPU_GROWTH = 1.25


def medians(results):
    """{(server, row, protocol, cores): medians}"""
    groups = {}
    for result in results:
        key = (result["server"], result["row"], result["protocol"], result["cores"])
        groups.setdefault(key, []).append(result)
    return {
        key: {name: statistics.median(result[name] for result in group) for name in NUMBERS}
        for key, group in groups.items()
    }


def lines(rows, results, options):
    """One dict a line of the table."""
    found = medians(results)
    named = {result["server"] for result in results} - {"hippocamp", "triton", "echo"}
    names = ["hippocamp", *sorted(named), "triton", "echo"]
    for row in rows:
        for protocol in options.protocols:
            for count in options.cores:
                of = {name: found.get((name, row.key, protocol, count)) for name in names}
                one = {name: found.get((name, row.key, protocol, 1)) for name in of}
                ours = of.get("hippocamp")
                if ours is None:
                    continue
                yield {
                    "row": row.key,
                    "title": row.title,
                    "protocol": protocol,
                    "cores": count,
                    "of": {name: numbers for name, numbers in of.items() if numbers},
                    "growth": {
                        name: numbers["requests_per_s"] / one[name]["requests_per_s"]
                        for name, numbers in of.items()
                        if numbers and one[name]
                    },
                    "over_triton": over(of, "triton", ours),
                    "of_echo": over(of, "echo", ours),
                }


def over(of, name, ours):
    return ours["requests_per_s"] / of[name]["requests_per_s"] if of.get(name) else None


def several(line, name, form):
    """The number of each server, ours first."""
    return " / ".join(f"{numbers[name]:{form}}" for server, numbers in line["of"].items() if server != "echo")


def cells(line):
    growth = [f"{grown:.2f}" for name, grown in line["growth"].items() if name != "echo"]
    part = line["of_echo"]
    ours = line["of"]["hippocamp"]
    return [
        line["title"],
        line["protocol"],
        str(line["cores"]),
        several(line, "requests_per_s", ",.0f"),
        " / ".join(growth) or "-",
        f"{line['over_triton']:.2f}" if line["over_triton"] else "-",
        f"{part:.2f} of {line['of']['echo']['requests_per_s']:,.0f}{' (limit)' if part >= OF_ECHO else ''}" if part else "-",
        several(line, "cpu_s_per_1000", ".4f"),
        several(line, "p50_us", ",.0f"),
        several(line, "p99_us", ",.0f"),
        f"{ours['client_cores_used']:.1f} of {ours['client_cores']:.0f}",
    ]


def aligned(body):
    """Markdown, with its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*body)]
    body.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in body
    )


def table(rows, results, options):
    body = [cells(line) for line in lines(rows, results, options)]
    return aligned([list(TITLES), *body]) if body else "nothing was measured"


def heading(facts):
    names = " / ".join(name for name in facts["servers"] if name != "echo")
    return (
        f"{cores.machine()}; {facts['clients']} processes of {facts['generator']} of concurrency "
        f"{facts['concurrency']}, medians of {facts['rounds']} rounds. Several numbers in a cell: {names}."
    )


def judged(row, found):
    """(text, whether it is reached) of each target of one protocol of a row. `found` has its lines by cores."""
    most = max(found)
    for count, aim in row.growth:
        if count in found and "hippocamp" in found[count]["growth"]:
            line = found[count]
            grown, part = line["growth"]["hippocamp"], line["of_echo"] or 0
            limited = f", but {part:.2f} of what the load generator reaches against the echo" if part >= OF_ECHO else ""
            yield f"{count} cores: {grown:.2f}x of 1 core, aimed at {aim}x{limited}", grown >= aim or part >= OF_ECHO
    line = found[most]
    if line["over_triton"] and most >= FULL:
        ratio, part = line["over_triton"], line["of_echo"] or 0
        limited = f", but {part:.2f} of the echo's" if part >= OF_ECHO else ""
        aim = row.over_triton
        yield f"{most} cores {ratio:.2f}x of Triton, aimed at {aim}x{limited}", ratio >= aim or part >= OF_ECHO
        ours, peer = line["of"]["hippocamp"]["p99_us"], line["of"]["triton"]["p99_us"]
        yield f"{most} cores p99 {ours:,.0f} us, Triton's {peer:,.0f} us", ours <= peer
    if 1 in found and most > 1:
        ratio = line["of"]["hippocamp"]["cpu_s_per_1000"] / found[1]["of"]["hippocamp"]["cpu_s_per_1000"]
        apart = found[most]["of"].get("apart")
        beside = apart and apart["cpu_s_per_1000"] / found[1]["of"]["hippocamp"]["cpu_s_per_1000"]
        beside = f"; of {most} servers of one core each {beside:.2f}x" if beside else ""
        yield f"{most} cores {ratio:.2f}x the CPU of a request on 1, aimed at {CPU_GROWTH}x{beside}", ratio <= CPU_GROWTH


def verdicts(rows, results, options):
    """Each target, and whether it is reached."""
    texts, all_lines = [], list(lines(rows, results, options))
    for row in rows:
        for protocol in options.protocols:
            found = {x["cores"]: x for x in all_lines if x["row"] == row.key and x["protocol"] == protocol}
            for text, reached in judged(row, found) if found else ():
                texts.append(f"- {row.title}, {protocol}: {text}: {'reached' if reached else '**missed**'}")
    return "\n" + "\n".join(texts)


def document(rows, results, facts, options):
    """What the JSON holds: the medians line by line, and every single result."""
    content = {
        **facts,
        "machine": cores.machine(),
        "date": datetime.date.today().isoformat(),
        "lines": list(lines(rows, results, options)),
        "results": results,
    }
    return json.dumps(content, indent=1)
