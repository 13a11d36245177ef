"""From single results to medians, ratios, a table and JSON."""

import datetime
import json
import os
import platform
import statistics

NUMBERS = (
    "cpu_s_per_1000",
    "client_cpu_s_per_1000",
    "requests_per_s",
    "p50_us",
    "p99_us",
    "queue_us",
    "connections",
)
# Two numbers in a cell are ours and Triton's.
TITLES = (
    "work",
    "over",
    "at",
    "CPU s for 1,000",
    "ratio",
    "a second",
    "p50, us",
    "p99, us",
    "queue, us",
    "connections",
    "aimed at",
)


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}"


def medians(results):
    """{(server, row, protocol, concurrency): medians}; the engine alone has no protocol."""
    groups = {}
    for result in results:
        key = (result["server"], result["row"], result.get("protocol"), result.get("concurrency"))
        groups.setdefault(key, []).append(result)
    return {
        key: {
            name: statistics.median(result[name] for result in group)
            for name in NUMBERS
            if name in group[0]
        }
        for key, group in groups.items()
    }


def judged(row, ours, peer, limit):
    """(ratio that counts, what is aimed at, whether it is reached), where there is something."""
    if row.of_limit and limit:
        ratio = ours["requests_per_s"] / limit["requests_per_s"]
        return ratio, f">= {row.of_limit} of the engine", ratio >= row.of_limit
    if row.ratio and peer:
        ratio = ours["cpu_s_per_1000"] / peer["cpu_s_per_1000"]
        return ratio, f"<= {row.ratio}", ratio <= row.ratio
    return None


def at_most(row, ours, limit):
    """What a server that takes no CPU would reach of the engine's requests a second: the client has its part of the
    same cores, all of which the engine uses when it is alone.
    """
    if not (row.of_limit and limit):
        return None
    engine = limit["cpu_s_per_1000"]
    return engine / (engine + ours["client_cpu_s_per_1000"])


def lines(rows, results):
    """One dict a line of the table."""
    found = medians(results)
    for row in rows:
        limit = found.get(("engine alone", row.key, None, None))
        for protocol in row.protocols:
            for concurrency in row.concurrencies:
                ours = found.get(("hippocamp", row.key, protocol, concurrency))
                if ours is None:
                    continue
                peer = found.get(("triton", row.key, protocol, concurrency))
                verdict = judged(row, ours, peer, limit)
                yield {
                    "row": row.key,
                    "title": row.title,
                    "protocol": protocol,
                    "concurrency": concurrency,
                    "ours": ours,
                    "triton": peer,
                    "engine": limit,
                    "ratio": verdict and verdict[0],
                    "target": verdict and verdict[1],
                    "reached": verdict and verdict[2],
                    "at_most": at_most(row, ours, limit),
                }


def aimed_at(line):
    """The last column: the target, how far it is if that is not the ratio, and the engine alone."""
    parts = []
    if line["target"]:
        got = f" {line['ratio']:.2f}," if line["engine"] else ""
        parts.append(f"{line['target']}:{got} {'reached' if line['reached'] else '**missed**'}")
    if line["at_most"]:
        parts.append(f"{line['at_most']:.2f} if a request took the engine's and the client's CPU alone")
    if limit := line["engine"]:
        share = limit["cpu_s_per_1000"] / line["ours"]["cpu_s_per_1000"]
        alone = f"{limit['cpu_s_per_1000']:.4f}, {limit['requests_per_s']:,.0f} a second"
        parts.append(f"engine alone {alone}, {share:.2f} of our CPU")
    return "; ".join(parts)


def cells(line):
    ours, peer = line["ours"], line["triton"]

    def both(name, form):
        theirs = f" / {peer[name]:{form}}" if peer else ""
        return f"{ours[name]:{form}}{theirs}"

    return [
        line["title"],
        line["protocol"],
        str(line["concurrency"]),
        both("cpu_s_per_1000", ".4f"),
        f"{ours['cpu_s_per_1000'] / peer['cpu_s_per_1000']:.2f}" if peer else "no peer",
        both("requests_per_s", ",.0f"),
        both("p50_us", ",.0f"),
        both("p99_us", ",.0f"),
        both("queue_us", ",.0f"),
        f"{ours['connections']:.0f}",
        aimed_at(line),
    ]


def table(rows, results):
    """Markdown, with its columns aligned."""
    body = [list(TITLES)] + [cells(line) for line in lines(rows, results)]
    widths = [max(map(len, column)) for column in zip(*body)]
    body.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in body
    )


def document(rows, results, about):
    """What the JSON holds: the medians line by line, and every single result."""
    return json.dumps(
        {
            **about,
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "lines": list(lines(rows, results)),
            "results": results,
        },
        indent=1,
    )
