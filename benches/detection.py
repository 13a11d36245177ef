"""What the ensemble `detection` adds in CPU time, for scripts/bench detection."""

import http.client
import os
import subprocess
import sys
import time

from server_process import BINARY, LIBRARY, ROOT, ServerProcess

REPOSITORY = os.path.join(ROOT, "model_repository")
PICTURE = os.path.join(ROOT, "tests", "references", "images", "astronaut.png")


def in_process(rounds, runs):
    """CPU ms for a picture: the three models called one after the other, and the ensemble of them."""
    arguments = [REPOSITORY, PICTURE, LIBRARY, str(rounds), str(runs)]
    command = ["cargo", "bench", "--quiet", "--locked", "--package", "hippocamp"]
    command += ["--bench", "detection", "--", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()[-2:]]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over_http(count):
    """CPU ms that the server spends on a picture that comes as the body of a request, one at a time."""
    with open(PICTURE, "rb") as f:
        picture = f.read()
    headers = {"Inference-Header-Content-Length": "0"}
    flags = ["--model-control-mode=explicit", "--load-model=detection"]
    with ServerProcess(REPOSITORY, flags=flags) as server:
        link = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=600)

        def ask():
            link.request("POST", "/v2/models/detection/infer", picture, headers)
            reply = link.getresponse()
            body = reply.read()
            if reply.status != 200:
                sys.exit(f"bench: the server answers {reply.status}: {body[:200]}")

        for _ in range(count // 10 + 1):
            ask()
        before = cpu_seconds(server.pid)
        for _ in range(count):
            ask()
        # What goes on behind the last answer is part of it.
        time.sleep(0.1)
        return (cpu_seconds(server.pid) - before) * 1000 / count


def detection(rounds, runs):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    direct, ensemble = in_process(rounds, runs)
    served = over_http(rounds * runs)
    print(f"CPU time for a picture of {os.path.getsize(PICTURE) / 1000:.0f} kB, {rounds * runs} of each\n")
    rows = [
        ("decode, network and postprocess, called", direct),
        ("the ensemble of them, in process", ensemble),
        ("the ensemble behind HTTP, whole server", served),
    ]
    for name, spent in rows:
        print(f"{name:42} {spent:7.2f} ms  {(spent / direct - 1) * 100:+6.1f} %")
