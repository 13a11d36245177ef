"""A normal client beside 1,000 that send a byte a second and 5,000 that send nothing."""

import http.client
import json
import os
import resource
import subprocess
import sys
import time

import pytest
from server_process import ServerProcess

HERE = os.path.dirname(os.path.abspath(__file__))
BODY = json.dumps({"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [16], "data": [0.5] * 16}]})
SLOW, IDLE = 1000, 5000
MEMORY_KIB = 200 << 10

# What a slow client may take, in seconds, where the defaults are 30. The clock looks five times a second.
LIMIT = 6


def latencies(server, count):
    """Seconds of each of so many small requests on one connection, sorted. Each has to succeed."""
    link = http.client.HTTPConnection(server.http, timeout=30)
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        link.request("POST", "/v2/models/identity_fp32/infer", BODY)
        reply = link.getresponse()
        reply.read()
        taken.append(time.perf_counter() - begin)
        assert reply.status == 200
    link.close()
    return sorted(taken)


def p99(taken):
    return taken[len(taken) * 99 // 100]


def test_slow_and_idle_clients_cost_little_and_are_ended(repository, record_property, eventually):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < SLOW + IDLE + 200:
        pytest.skip(f"the limit of open files is {hard}")
    flags = [
        "--model-control-mode=explicit",
        "--load-model=identity_fp32",
        f"--max-connections={SLOW + IDLE + 100}",
        f"--header-timeout-secs={LIMIT}",
        f"--body-timeout-secs={LIMIT}",
    ]
    with ServerProcess(repository[0], flags=flags) as server:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        alone = latencies(server, 3000)
        before = server.status_kib("VmRSS")
        server.reset_peak()
        command = [sys.executable, os.path.join(HERE, "slow_clients.py"), server.http_port, server.grpc_port, SLOW, IDLE]
        clients = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert clients.stdout.readline() == "open\n"
            eventually(lambda: server.metric("nv_server_connections_accepted") >= SLOW + IDLE, "all connections")
            beside = latencies(server, 3000)
            report = json.loads(clients.stdout.readline())
        finally:
            clients.kill()
            clients.wait()
        memory = server.status_kib("VmHWM") - before
        # Times are told, and judged by who reads them: other work on the machine is in them.
        figures = {"p99 alone": p99(alone), "p99 beside": p99(beside), "KiB more": memory, **report}
        record_property("figures", json.dumps(figures))
        print(figures)
        for kind, (count, ended, _) in report["slow"].items():
            assert (kind, ended) == (kind, count)
        assert report["idle"] == IDLE, "an idle client may stay"
        assert memory < MEMORY_KIB
        assert server.metric("nv_server_connections_ended", reason="header") > 0
        assert server.metric("nv_server_connections_ended", reason="body") > 0
