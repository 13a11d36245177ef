#!/usr/bin/env python3
"""Simulates a proxy in front of many servers, for docs/scale.md.

    PYTHONPATH=.cache/python/tests python3 benches/scale/simulate.py [--requests 200000] [--seed 1]

What a request costs is measured (docs/performance.md, scripts/bench compare); how requests meet is simulated: they come at random (Poisson), each server
has two cores that take them in their order, and the proxy decides by what it knows when one comes. Prints Markdown.
"""

import argparse
import heapq

import numpy

CORES = 2
# Seconds of CPU of a request (docs/performance.md, HTTP at concurrency 4).
WORK = {"add/sub ONNX": 19.2e-6, "CenterFace 320x320": 11.0635e-3, "CenterFace 640x640": 50.8791e-3}
# How much the time of a request varies, as the deviation of its logarithm: p99 over p50 of CenterFace under load is 1.3.
SPREAD = 0.12
# Four requests of five are for the smaller CenterFace, the others for the larger one.
SMALL = 0.8
SERVERS = (1, 2, 10, 100, 1000)
LOADS = (0.5, 0.7, 0.9)


class Cluster:
    """Servers of CORES cores each. A request takes the core of its server that is free first."""

    def __init__(self, servers):
        self.free = [[0.0] * CORES for _ in range(servers)]
        self.open = numpy.zeros(servers, dtype=numpy.int64)
        self.ends = []

    def until(self, now):
        """Lets end what has ended by now."""
        while self.ends and self.ends[0][0] <= now:
            self.open[heapq.heappop(self.ends)[1]] -= 1

    def take(self, server, now, work):
        """When the request is answered."""
        cores = self.free[server]
        end = max(now, cores[0]) + work
        heapq.heapreplace(cores, end)
        self.open[server] += 1
        heapq.heappush(self.ends, (end, server))
        return end


def works(draw, count):
    """The work of each request, in units of the mean."""
    sizes = numpy.where(draw.random(count) < SMALL, WORK["CenterFace 320x320"], WORK["CenterFace 640x640"])
    mean = SMALL * WORK["CenterFace 320x320"] + (1 - SMALL) * WORK["CenterFace 640x640"]
    return sizes / mean * draw.lognormal(-SPREAD * SPREAD / 2, SPREAD, count)


def random_one(cluster, draw, _):
    return int(draw.integers(len(cluster.free)))


def in_turns(cluster, _, number):
    return number % len(cluster.free)


def better_of_two(cluster, draw, _):
    one, other = draw.integers(len(cluster.free), size=2)
    return int(one if cluster.open[one] <= cluster.open[other] else other)


def least(cluster, draw, _):
    # Ties by chance, as otherwise the first server would have most of what comes.
    fewest = numpy.flatnonzero(cluster.open == cluster.open.min())
    return int(fewest[draw.integers(len(fewest))])


POLICIES = {"at random": random_one, "in turns": in_turns, "better of two": better_of_two, "least open": least}


def latencies(servers, load, policy, count, seed):
    """Latencies in units of the mean work, without the first fifth."""
    draw, count = numpy.random.default_rng(seed), max(count, 300 * servers)
    work = works(draw, count)
    times = numpy.cumsum(draw.exponential(1 / (servers * CORES * load), count))
    cluster, taken = Cluster(servers), numpy.empty(count)
    for number, (now, need) in enumerate(zip(times, work)):
        cluster.until(now)
        taken[number] = cluster.take(policy(cluster, draw, number), now, need) - now
    return taken[count // 5 :]


def by_policy(count, seed):
    print("| servers | load | " + " | ".join(POLICIES) + " |\n|---|---|" + "---|" * len(POLICIES))
    for servers in SERVERS:
        for load in LOADS:
            cells = [numpy.percentile(latencies(servers, load, policy, count, seed), [50, 99]) for policy in POLICIES.values()]
            print(f"| {servers:,} | {load:.0%} | " + " | ".join(f"{p50:.2f}, {p99:.2f}" for p50, p99 in cells) + " |")


def sequences(count, seed, length=50):
    """Sequences stay at the server that has their state: by a hash of their id, or where the fewest were when they began."""
    print("\n| servers | load | hash of the id: busiest server, p99 | fewest sequences when it begins: busiest server, p99 |\n|---|---|---|---|")
    for servers in SERVERS[1:]:
        for load in LOADS[:2]:
            cells, count = [], max(count, 300 * servers)
            for by_hash in (True, False):
                draw = numpy.random.default_rng(seed)
                work = works(draw, count)
                # So many at a time that each waits nine times as long as it works between its requests.
                alive = int(servers * CORES * load * 10)
                home, left = numpy.empty(alive, dtype=numpy.int64), numpy.zeros(alive, dtype=numpy.int64)
                held = numpy.zeros(servers, dtype=numpy.int64)
                cluster, taken, sent, now = Cluster(servers), [], numpy.zeros(servers), 0.0
                for need in work:
                    now += draw.exponential(1 / (servers * CORES * load))
                    cluster.until(now)
                    which = int(draw.integers(alive))
                    if left[which] == 0:
                        target = int(draw.integers(servers)) if by_hash else int(numpy.argmin(held))
                        home[which], left[which] = target, draw.integers(1, 2 * length)
                        held[target] += 1
                    server = int(home[which])
                    taken.append(cluster.take(server, now, need) - now)
                    sent[server] += 1
                    left[which] -= 1
                    if left[which] == 0:
                        held[server] -= 1
                cells.append(f"{sent.max() / sent.mean():.2f}, {numpy.percentile(taken[count // 5:], 99):.2f}")
            print(f"| {servers:,} | {load:.0%} | {cells[0]} | {cells[1]} |")


def cost():
    print("\n| work | CPU s for a million | core hours at 70 % load | requests a second of a server of two cores |\n|---|---|---|---|")
    for name, work in WORK.items():
        print(f"| {name} | {work * 1e6:,.0f} | {work * 1e6 / 3600 / 0.7:.3g} | {CORES * 0.7 / work:,.0f} |")


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--requests", type=int, default=200_000)
    usage.add_argument("--seed", type=int, default=1)
    arguments = usage.parse_args()
    by_policy(arguments.requests, arguments.seed)
    sequences(arguments.requests, arguments.seed)
    cost()


if __name__ == "__main__":
    main()
