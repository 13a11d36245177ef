"""Starting each of the servers on its cores."""

import contextlib
import os
import shutil
import subprocess
import urllib.request

from server_process import BINARY, ServerProcess

from ..compare.servers import TRITON, TritonProcess, cpu_seconds
from .cores import on


class Ours:
    """This server. `label` is what a second build is called in the table."""

    def __init__(self, built, binary=BINARY, label="hippocamp"):
        self.built, self.binary, self.name = built, binary, label
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        self.version = f"{done.stdout.strip()}, {os.path.basename(os.path.dirname(binary))}/{os.path.basename(binary)}"

    def new(self, folder):
        flags = ["--allow-client-shm=true", "--log-warning=false"]
        return ServerProcess(folder, flags=flags, binary=self.binary)

    @contextlib.contextmanager
    def started(self, row, cores, work):
        """The process, with the row's model. Its ports are `http_port` and `grpc_port`."""
        folder = os.path.join(work, f"models of {self.name}")
        self.built.repository(folder, row.model)
        process = self.new(folder)
        try:
            with on(cores):
                process.start()
            yield process
        finally:
            process.stop()
            process.log_file.close()
            shutil.rmtree(folder)

    def ports(self, process, protocol):
        """Those that clients use, in turns."""
        return [process.grpc_port if protocol == "grpc" else process.http_port]

    def cpu_seconds(self, process):
        return cpu_seconds(process.pid)

    def count(self, process, row):
        """Requests that were answered so far."""
        return process.metric("nv_inference_request_success", model=row.model)


class Apart(Ours):
    """A server on each of the cores. They share nothing, so what a request takes more than on one core is the machine's."""

    def __init__(self, built, binary=BINARY):
        super().__init__(built, binary, "apart")

    @contextlib.contextmanager
    def started(self, row, cores, work):
        """The processes."""
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(super(Apart, self).started(row, [core], os.path.join(work, str(core)))) for core in cores
            ]

    def ports(self, processes, protocol):
        return [port for process in processes for port in super(Apart, self).ports(process, protocol)]

    def cpu_seconds(self, processes):
        return sum(super(Apart, self).cpu_seconds(process) for process in processes)

    def count(self, processes, row):
        return sum(super(Apart, self).count(process, row) for process in processes)


class Triton(Ours):
    """The wheel's tritonserver, with the backends of benches/compare."""

    def __init__(self, built):
        self.built, self.name = built, "triton"
        self.version = "tritonserver 2.51.0 (nvidia-pytriton 0.7.0)"

    @staticmethod
    def is_there():
        return os.path.isfile(os.path.join(TRITON, "bin", "tritonserver"))

    def new(self, folder):
        return TritonProcess(folder, self.built.backends)


class EchoProcess:
    def __init__(self, program, folder, threads):
        self.process = subprocess.Popen(
            [program, folder, str(threads)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.http_port, self.grpc_port = (int(self.process.stdout.readline()) for _ in range(2))
        self.pid = self.process.pid


class Echo(Ours):
    """Not a server: it reads requests and answers what was recorded, on a thread for each core."""

    name, version = "echo", "benches/scale/echo.c"

    def __init__(self, built):
        self.built = built

    @contextlib.contextmanager
    def started(self, row, cores, work):
        with on(cores):
            echo = EchoProcess(self.built.echo, self.built.answers(row), len(cores))
        try:
            yield echo
        finally:
            echo.process.kill()
            echo.process.wait()
            echo.process.stdout.close()

    def count(self, process, row):
        with urllib.request.urlopen(f"http://127.0.0.1:{process.http_port}/count", timeout=10) as reply:
            return int(reply.read())
