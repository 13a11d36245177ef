"""Starting and stopping the two servers, and what a process has used."""

import contextlib
import os
import shutil
import subprocess
import tempfile

from server_process import BINARY, LIBRARY, ServerProcess

from .. import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))

WHEEL = os.path.join(ROOT, ".cache", "triton")
TRITON = os.path.join(WHEEL, "pytriton", "tritonserver")
PYTHON_BACKENDS = os.path.join(ROOT, ".cache", "triton-backends")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                found += map(int, f.read().split())
    return found


def connections(port):
    """Connections that clients have to a port of this machine."""
    count = 0
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as f:
            for line in list(f)[1:]:
                _, local, _, state, *_ = line.split()
                count += state == "01" and int(local.rpartition(":")[2], 16) == port
    return count


class Ours:
    name = "hippocamp"
    identity_backend = "identity"

    def __init__(self, kept=None):
        self.version = subprocess.run(
            [BINARY, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def serves(self, model):
        return True

    def process(self, repository):
        return ServerProcess(repository, flags=["--allow-client-shm=true", "--log-warning=false"])


class TritonProcess(ServerProcess):
    """tritonserver with the same standard flags as ours."""

    def __init__(self, repository, backends):
        super().__init__(repository)
        self.backends = backends

    def command(self):
        command = super().command()
        own = [flag for flag in command[1:] if not flag.startswith("--backend-config=")]
        binary = os.path.join(TRITON, "bin", "tritonserver")
        return [binary, *own, f"--backend-directory={self.backends}"]

    def launch(self):
        paths = [os.path.join(WHEEL, "nvidia_pytriton.libs"), os.environ.get("LD_LIBRARY_PATH", "")]
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(filter(None, paths)),
            "ORT_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": os.path.join(ROOT, ".cache", "python", "tests"),
        }
        self.process = subprocess.Popen(
            self.command(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log_file,
            stderr=subprocess.STDOUT,
        )
        return self


class Triton:
    """The wheel's tritonserver, with its Python backend, those of TRITON_BACKENDS, and ours in C."""

    name = "triton"

    def __init__(self, kept):
        """`kept` is a folder for the backends, to be there as long as this is used."""
        subprocess.run([os.path.join(ROOT, "scripts", "fetch"), "triton", "tests", "python-backend"], check=True)
        self.backends = tempfile.mkdtemp(prefix="backends-", dir=kept)
        self.version = "tritonserver 2.51.0 (nvidia-pytriton 0.7.0)"
        given = os.environ.get("TRITON_BACKENDS")
        for name in os.listdir(given) if given else ():
            os.symlink(
                os.path.join(os.path.abspath(given), name), os.path.join(self.backends, name)
            )
        self.add_python()
        have = set(os.listdir(self.backends))
        self.identity_backend, identity = "identity", self.backend("identity", have)
        if not identity:
            self.identity_backend, identity = "python", "a model of the Python backend"
        onnx = self.backend("onnxruntime", have, LIBRARY)
        self.onnx = bool(onnx)
        self.note = f"identity: {identity}; onnxruntime: {onnx or 'none'}"

    def backend(self, name, have, library=None):
        """Says whose it is: a given one, or ours, which is built. None if there is neither."""
        if name in have:
            return "Triton's, of TRITON_BACKENDS"
        return f"benches/compare/{name}.c" if self.build(name, library) else None

    def add_python(self):
        """The Python backend with an environment of its own: that of the wheel finds neither libpython nor NumPy."""
        target = os.path.join(self.backends, "python")
        if not os.path.exists(target):
            os.symlink(os.path.realpath(os.path.join(PYTHON_BACKENDS, "python")), target)

    def build(self, name, library):
        """Whether there is a C compiler, and it did. The backend runs on the library that ours runs on."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            return False
        folder = os.path.join(self.backends, name)
        os.mkdir(folder)
        command = [compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC"]
        command += [os.path.join(HERE, f"{name}.c")]
        if library:
            soname = os.path.join(folder, os.path.basename(library) + ".1")
            os.symlink(library, soname)
            command += [soname, "-Wl,-rpath,$ORIGIN"]
        command += ["-o", os.path.join(folder, f"libtriton_{name}.so")]
        return subprocess.run(command, check=False).returncode == 0

    def serves(self, model):
        return model == "identity" or self.onnx

    def process(self, repository):
        return TritonProcess(repository, self.backends)
