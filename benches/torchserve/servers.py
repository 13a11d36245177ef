"""The real TorchServe and this server, each with an echo and with CenterFace, on the same cores."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

from .. import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))

from server_process import ServerProcess, free_ports  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SITE = os.path.join(ROOT, ".cache", "python", "torchserve")
TORCH = os.path.join(ROOT, ".cache", "python", "torch")
NETWORK = os.path.join(ROOT, "model_repository", "centerface", "1", "model.onnx")
ECHO = """backend: "identity"
max_batch_size: 0
input { name: "INPUT0" data_type: TYPE_STRING dims: 1 }
output { name: "OUTPUT0" data_type: TYPE_STRING dims: 1 }
"""
MODELS = ("echo", "faces")
PORTS = ("inference", "management", "metrics", "grpc_inference", "grpc_management")
# Python opens PyTorch's libraries so that what only CUDA has is looked for when it is used.
LAZY = "import os, sys\nsys.setdlopenflags(os.RTLD_LAZY)\n"


def archive(path, name, handler, network=None):
    model = {"modelName": name, "handler": os.path.basename(handler), "modelVersion": "1.0"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        if network:
            model["serializedFile"] = "model.onnx"
            file.write(network, "model.onnx")
        file.write(handler, os.path.basename(handler))
        manifest = {"createdOn": "29/11/2026 11:20:13", "runtime": "python", "model": model, "archiverVersion": "0.12.0"}
        file.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, {"Content-Type": "application/octet-stream"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def tree(pid):
    """A process and all below it that are there for longer: threads and helpers come and go."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                children = file.read().split()
            for child in children:
                found += tree(int(child))
    return found


def memory(pid, kind="Pss"):
    """Resident bytes of a process, of which files that others map too are counted in parts; as a whole with the kind "Rss"."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return 1024 * int(re.search(rf"^{kind}: +(\d+) kB", file.read(), re.MULTILINE).group(1))


def cpu(pid):
    """Seconds that a process has run."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


class Predicting:
    """A server that is asked by TorchServe's API."""

    def url(self, model):
        return f"http://127.0.0.1:{self.port}/predictions/{model}"


class TorchServe(Predicting):
    """The real one, with two workers for each model."""

    def __init__(self, folder, workers, models=MODELS):
        self.folder, self.workers, self.models = folder, workers, models
        self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.port = self.ports["inference"]

    def __enter__(self):
        store, lazy = os.path.join(self.folder, "store"), os.path.join(self.folder, "lazy")
        os.makedirs(store)
        os.makedirs(lazy)
        with open(os.path.join(lazy, "sitecustomize.py"), "w", encoding="utf-8") as file:
            file.write(LAZY)
        archive(os.path.join(store, "echo.mar"), "echo", os.path.join(HERE, "handlers", "echo.py"))
        archive(os.path.join(store, "faces.mar"), "faces", os.path.join(HERE, "handlers", "faces.py"), NETWORK)
        config = os.path.join(self.folder, "config.properties")
        with open(config, "w", encoding="utf-8") as file:
            for name in PORTS[:3]:
                file.write(f"{name}_address=http://127.0.0.1:{self.ports[name]}\n")
            for name in PORTS[3:]:
                file.write(f"{name}_port={self.ports[name]}\n")
            file.write("enable_model_api=true\ndisable_token_authorization=true\nasync_logging=true\n")
        path = os.pathsep.join([lazy, SITE, TORCH])
        variables = {**os.environ, "PYTHONPATH": path, "LOG_LOCATION": self.folder, "METRICS_LOCATION": self.folder}
        variables |= {"OMP_NUM_THREADS": "1", "TEMP": self.folder, "TMPDIR": self.folder}
        start = "import sys; from ts.model_server import start; sys.argv[0] = 'torchserve'; start()"
        flags = ["--start", "--foreground", "--ncs", "--ts-config", config, "--model-store", store]
        with open(os.path.join(self.folder, "log"), "wb") as log:
            command = [sys.executable, "-c", start, *flags]
            # In the session of this program, as the other: the kernel shares time among sessions.
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=variables, cwd=self.folder)
        self.wait()
        for model in self.models:
            query = f"url={model}.mar&batch_size=1&max_batch_delay=2&initial_workers={self.workers}&synchronous=true"
            status, text = ask(self.ports["management"], "POST", f"/models?{query}")
            assert status == 200, text
        return self

    def wait(self):
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if ask(self.port, "GET", "/ping")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            sys.exit(f"TorchServe does not start:\n{file.read()[-3000:]}")

    def __exit__(self, *_):
        for pid in reversed(tree(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.process.wait()

    def cpu(self):
        # Of Java and the workers: the process that collects the metrics of the machine comes and goes.
        lasting = (pid for pid in tree(self.process.pid) if b"metric_collector" not in command_of(pid))
        return sum(map(cpu, lasting))

    def memory(self, kind="Pss"):
        """Of the workers of a model that has been asked, and of all."""
        each = {pid: memory(pid, kind) for pid in tree(self.process.pid)}
        workers = sorted(size for pid, size in each.items() if b"model_service_worker" in command_of(pid))
        # Those of CenterFace are the larger ones.
        return sum(workers[-self.workers :]), sum(each.values())


def command_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


class Hippocamp(Predicting):
    """This server, with two instances of CenterFace out of an archive."""

    def __init__(self, folder, instances, models=MODELS):
        self.folder, self.instances, self.models = folder, instances, models

    def __enter__(self):
        store = os.path.join(self.folder, "store")
        os.makedirs(store)
        if "echo" in self.models:
            os.makedirs(os.path.join(store, "echo", "1"))
            with open(os.path.join(store, "echo", "config.pbtxt"), "w", encoding="utf-8") as file:
                file.write(ECHO)
        handler = os.path.join(self.folder, "centerface.py")
        with open(handler, "w", encoding="utf-8") as file:
            file.write("# served by pipelines\n")
        archive(os.path.join(store, "faces.mar"), "faces", handler, NETWORK)
        flags = ["--allow-torchserve", "--enable-model-api", *(f"--ts-{port.replace('_', '-')}-port=0" for port in PORTS)]
        flags.append("--backend-config=onnxruntime,intra-op-thread-count=1")
        self.server = ServerProcess(store, flags=flags)
        self.server.start()
        ports = dict(re.findall(r"TorchServe (\w+) on [\d.]+:(\d+)", self.server.log()))
        self.port, management = int(ports["inference"]), int(ports["management"])
        status, text = ask(management, "PUT", f"/models/faces?min_worker={self.instances}&synchronous=true")
        assert status == 200, text
        return self

    def __exit__(self, *_):
        self.server.stop()

    def cpu(self):
        return cpu(self.server.pid)

    def memory(self, kind="Pss"):
        whole = memory(self.server.pid, kind)
        return whole, whole
