"""What a small HTTP request costs the server at concurrency 1, and what it costs a process that does no
more than read and write the same bytes.
"""

import contextlib
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

from .compare import repository
from .compare.servers import HERE, Ours, Triton, cpu_seconds

FLOATS = 16


def build(folder):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        sys.exit("bench: a C compiler is needed")
    program = os.path.join(folder, "socket")
    source = os.path.join(HERE, "socket.c")
    subprocess.run(
        [compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", source, "-o", program], check=True
    )
    return program


def request():
    """As perf_analyzer sends it."""
    data = struct.pack(f"{FLOATS}f", *range(FLOATS))
    binary = {"binary_data_size": len(data)}
    tensor = {"name": "INPUT0", "shape": [FLOATS], "datatype": "FP32", "parameters": binary}
    output = {"name": "OUTPUT0", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
    lines = [
        "POST /v2/models/identity/infer HTTP/1.1",
        "Host: localhost",
        "Accept: */*",
        f"Inference-Header-Content-Length: {len(head)}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {len(head) + len(data)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + head + data


def answer(port, sent):
    """The bytes of one answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"bench: the server says {got!r}")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def bare(program, path):
    """(pid, port) of a process that answers with the bytes of that file."""
    process = subprocess.Popen([program, "serve", path], stdout=subprocess.PIPE, text=True)
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def measure(program, pid, port, sent, size, seconds):
    """(CPU microseconds of a request, requests a second)"""

    def load(duration):
        command = [program, "load", str(port), sent, str(size), str(duration)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    load(min(1, seconds))
    before = cpu_seconds(pid)
    count = load(seconds)
    return (cpu_seconds(pid) - before) / count * 1e6, count / seconds


def sockets(seconds, rounds, ours_only):
    with tempfile.TemporaryDirectory(prefix="bench-socket-") as work, contextlib.ExitStack() as open_:
        program = build(work)
        sent, answered = (os.path.join(work, name) for name in ("request", "answer"))
        with open(sent, "wb") as f:
            f.write(request())
        subjects = {}
        for server in [Ours()] if ours_only else [Ours(), Triton(work)]:
            folder = os.path.join(work, f"models of {server.name}")
            repository.write(folder, "identity", server.identity_backend)
            process = open_.enter_context(server.process(folder))
            got = answer(process.http_port, request())
            subjects[server.name] = (process.process.pid, process.http_port, len(got))
            if server.name == Ours.name:
                with open(answered, "wb") as f:
                    f.write(got)
        pid, port = open_.enter_context(bare(program, answered))
        subjects["reads and writes, nothing else"] = pid, port, os.path.getsize(answered)
        results = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, (pid, port, size) in subjects.items():
                results[name].append(measure(program, pid, port, sent, size, seconds))
    print(f"medians of {rounds} rounds of {seconds} s, one client that sends when it was answered\n")
    print(f"{'':32} {'CPU of a request, us':>22} {'requests a second':>18}")
    for name, numbers in results.items():
        used, rate = (statistics.median(column) for column in zip(*numbers))
        print(f"{name:32} {used:22.1f} {rate:18,.0f}")
    return 0
