"""A hippocamp process for tests and benches: free ports, its own log, always stopped by its pid.

Knows how to start, watch and stop the built server; knows nothing of protocols or models.
"""

import contextlib
import http.client
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARY = os.path.join(ROOT, ".cache", "onnxruntime", "lib", "libonnxruntime.so")
BINARY = os.environ.get("HIPPOCAMP_SERVER") or os.path.join(
    os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "release", "hippocamp"
)


def free_ports(count):
    """Ports that nobody listens on now. They are held together, so that no two are the same."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def kept_ports(count):
    """Ports for what comes back on them, or cannot choose anew: the kernel gives none of them to anybody who wants any port."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        lowest = int(f.read().split()[0])
    if lowest < 12000:
        return free_ports(count)
    found = []
    while len(found) < count:
        port = random.randrange(10000, lowest)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


class ServerProcess:
    """The server on the given model repositories. Use it by `with`, or call start() and stop().

    flags      go to the server behind the standard ones
    ready      whether start() waits for /v2/health/ready, or only for the HTTP port to answer
    library    ONNX Runtime for the server; None: let the server find it
    variables  environment variables beside those of the test
    binary     another build than the usual one
    headers    what get() sends with its requests, for a server that wants a token
    context    an ssl.SSLContext for a server whose HTTP and metrics ports have TLS
    """

    def __init__(
        self,
        *repositories,
        flags=(),
        ready=True,
        library=LIBRARY,
        timeout=60,
        variables=None,
        binary=None,
        headers=None,
        context=None,
    ):
        self.headers, self.context = headers or {}, context
        self.variables, self.binary = variables or {}, binary or BINARY
        self.repositories, self.flags = [str(r) for r in repositories], list(flags)
        self.ready, self.library, self.timeout = ready, library, timeout
        self.http_port, self.grpc_port, self.metrics_port = free_ports(3)
        self.choices = 4
        self.log_file = tempfile.TemporaryFile()
        self.process = None

    @property
    def http(self):
        return f"127.0.0.1:{self.http_port}"

    @property
    def grpc(self):
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def metrics(self):
        return f"127.0.0.1:{self.metrics_port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        command = [self.binary, *(f"--model-repository={path}" for path in self.repositories)]
        for service in ("http", "grpc", "metrics"):
            command.append(f"--{service}-address=127.0.0.1")
            command.append(f"--{service}-port={getattr(self, service + '_port')}")
        if self.library is not None:
            command.append(f"--backend-config=onnxruntime,library={self.library}")
        return command + self.flags

    def launch(self):
        """Starts the process and does not wait for anything."""
        if not os.path.isfile(self.binary):
            raise RuntimeError(f"{self.binary} is missing: cargo build --release")
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=self.log_file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.variables},
        )
        return self

    def start(self):
        self.launch()
        path = "/v2/health/ready" if self.ready else "/v2/health/live"
        deadline = time.monotonic() + self.timeout
        while self.get(path)[0] != 200:
            status = self.process.poll()
            if status is not None and self.lost_its_ports():
                self.launch()
                continue
            if status is not None or time.monotonic() > deadline:
                self.stop()
                why = "did not get ready" if status is None else f"ended with status {status}"
                raise RuntimeError(f"the server {why}:\n{self.log()}")
            time.sleep(0.02)
        return self

    def lost_its_ports(self):
        """Whether somebody took a port between the choice and the start; chooses others then."""
        if "failed to listen on 127.0.0.1:" not in self.log() or self.choices == 0:
            return False
        self.choices -= 1
        self.http_port, self.grpc_port, self.metrics_port = free_ports(3)
        self.log_file.seek(0)
        self.log_file.truncate()
        return True

    def stop(self, grace=30):
        """SIGTERM, then SIGKILL after `grace` seconds. Returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        self.log_file.close()

    def get(self, path, port=None, timeout=10):
        """(status, body) of a GET; (None, b"") if nothing answers."""
        address = "127.0.0.1", port or self.http_port
        if self.context is None:
            link = http.client.HTTPConnection(*address, timeout=timeout)
        else:
            link = http.client.HTTPSConnection(*address, timeout=timeout, context=self.context)
        try:
            link.request("GET", path, headers=self.headers)
            reply = link.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            link.close()

    def metric(self, name, **labels):
        """Sum of the samples of a metric that carry these labels; 0 if there are none."""
        _, page = self.get("/metrics", self.metrics_port)
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        lines = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page.decode(), re.MULTILINE)
        return sum(float(value) for found, value in lines if wanted <= set(found.split(",")))

    def log(self):
        """All that the server has printed so far."""
        size = os.fstat(self.log_file.fileno()).st_size
        return os.pread(self.log_file.fileno(), size, 0).decode("utf-8", "replace")

    def alive(self):
        return self.process.poll() is None

    def status_kib(self, field):
        """A line of /proc/PID/status as a number: VmRSS, VmHWM and the like in KiB, or Threads."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"^{field}:\s+(\d+)", f.read(), re.MULTILINE)[1])

    def reset_peak(self):
        """Lets VmHWM, the highest memory use so far, start anew."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
