"""The server, its workers, and the sum of what they saw."""

import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

from server_process import BINARY, ServerProcess

from .. import ROOT
from ..scale import cores, load, prebuilt
from ..scale.rows import PROTOCOLS, ROWS
from . import models

PROGRESS = 10


class Pressure(threading.Thread):
    """perf_analyzer at full rate, one row after the other. It fails if a request does."""

    # A window without an answer says how busy the clients are, not that one was wrong.
    SLOW = ("No valid requests recorded", "Failed to obtain stable measurement")

    def __init__(self, server, end, places, work):
        super().__init__(daemon=True)
        self.server, self.end, self.places, self.work = server, end, places, work
        self.requests, self.failures = 0, []

    def run(self):
        turns = [(row, protocol) for row in ROWS for protocol in PROTOCOLS]
        random.shuffle(turns)
        number = 0
        while (left := self.end - time.monotonic()) > 1:
            row, protocol = turns[number % len(turns)]
            number += 1
            port = self.server.grpc_port if protocol == "grpc" else self.server.http_port
            window, reports = int(min(4, left) * 1000 / load.WINDOWS), []
            load.client(port, row, protocol, 16, window, self.places, self.work, reports)
            if not isinstance(reports[0], Exception):
                self.requests += float(reports[0]["Inferences/Second"]) * window * load.WINDOWS / 1000
            elif not any(text in str(reports[0]) for text in self.SLOW):
                self.failures.append(f"perf_analyzer, {row.title} over {protocol}: {reports[0]!s:.500}")


def workers(server, count, seed, seconds, places):
    with cores.on(places):
        return [
            subprocess.Popen(
                [sys.executable, "-m", "benches.soak.worker", server.http, server.grpc, str(seed + n), str(seconds)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
            )
            for n in range(count)
        ]


def progress(server, begin):
    answered = sum(server.metric("nv_inference_request_success", model=name) for name in MODELS)
    print(
        f"  {time.monotonic() - begin:5.0f} s: {answered:12,.0f} answered, {server.status_kib('VmRSS') / 1024:6.0f} MiB, "
        f"{server.status_kib('Threads')} threads",
        flush=True,
    )


MODELS = ("identity", "simple", "mlp", "sums", "ordered")


def watch(server, running, begin, limit):
    """Until all workers ended, or hang."""
    told = 0
    while any(worker.poll() is None for worker in running) and time.monotonic() - begin < limit:
        if not server.alive():
            return
        if time.monotonic() - told > PROGRESS:
            told = time.monotonic()
            progress(server, begin)
        time.sleep(0.2)


def collect(running):
    """(steps by way, problems)"""
    right, problems = collections.Counter(), []
    for number, worker in enumerate(running):
        if worker.poll() is None:
            worker.kill()
            problems.append(f"worker {number} never ended")
        text = worker.communicate()[0]
        if worker.returncode != 0 or not text.strip():
            problems.append(f"worker {number} ended with status {worker.returncode}")
            continue
        told = json.loads(text)
        right.update(told["right"])
        problems += [f"{told['wrong']} wrong, {told['failed']} failed"] * bool(told["wrong"] or told["failed"])
        problems += told["texts"] + [f"{label} was never answered" for label in told["hanging"]]
    return right, problems


def soak(options):
    """Exit status 1 if one answer was wrong or missing."""
    server_cores, client_cores = cores.divide(options.cores)
    count = options.workers or max(1, min(8, len(client_cores)))
    seed = options.seed or random.randrange(1 << 30)
    print(f"{cores.machine()}; {len(server_cores)} for the server, {count} workers, --seed {seed}", flush=True)
    binary = os.path.abspath(options.server or BINARY)
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as work:
        built = prebuilt.build(os.path.join(work, "built"), binary, work, triton=False)
        folder = os.path.join(work, "models")
        models.write(folder, built)
        server = ServerProcess(folder, flags=["--allow-client-shm=true", "--log-warning=false"], binary=binary)
        with cores.on(server_cores):
            server.start()
        try:
            begin = time.monotonic()
            end = begin + options.seconds
            pressures = [Pressure(server, end, client_cores, work) for _ in range(options.pressures)]
            running = workers(server, count, seed, options.seconds, client_cores)
            for pressure in pressures:
                pressure.start()
            watch(server, running, begin, options.seconds + 240)
            right, problems = collect(running)
            for pressure in pressures:
                pressure.join(120)
                problems += pressure.failures
            if not server.alive():
                problems.append(f"the server ended:\n{server.log()[-3000:]}")
            elif server.get("/v2/health/ready")[0] != 200:
                problems.append("the server is not ready any more")
            else:
                progress(server, begin)
        finally:
            server.stop()
    print("\n" + "\n".join(f"{label:22} {steps:10,} right" for label, steps in sorted(right.items())))
    pressed = sum(pressure.requests for pressure in pressures)
    print(f"{sum(right.values()):,} steps were checked by value, some {pressed:,.0f} requests were made beside them")
    never = [label for label, steps in right.items() if steps == 0]
    problems += [f"{label} was never right" for label in never]
    print("\n".join(problems[:40]) if problems else "nothing failed, nothing was wrong", flush=True)
    return 1 if problems else 0
