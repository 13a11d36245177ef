"""Time, memory and threads of a start, for scripts/bench startup."""

import ctypes
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from server_process import BINARY, LIBRARY, ROOT, ServerProcess

# name, models of model_repository/ in it, instances of each
REPOSITORIES = [
    ("empty", [], 0),
    ("simple", ["simple"], 1),
    ("centerface, 2 instances", ["centerface"], 2),
]


def make_repository(folder, models, instances):
    for name in models:
        target = os.path.join(folder, name)
        shutil.copytree(os.path.join(ROOT, "model_repository", name), target)
        path = os.path.join(target, "config.pbtxt")
        with open(path, encoding="utf-8") as f:
            config = re.sub(r"(?m)^instance_group \[.*?^\]\n", "", f.read(), flags=re.DOTALL)
        with open(path, "w", encoding="utf-8") as f:
            f.write(config + f"\ninstance_group [ {{ count: {instances} kind: KIND_CPU }} ]\n")


def measure_server(repository):
    """(ms to ready, MiB, threads, ms to the end) of one start."""
    server = ServerProcess(repository)
    started = time.perf_counter()
    server.launch()
    while server.get("/v2/health/ready")[0] != 200:
        if not server.alive() or time.perf_counter() - started > 60:
            server.stop()
            sys.exit(f"bench: the server does not get ready:\n{server.log()}")
        time.sleep(0.001)
    ready = time.perf_counter() - started
    time.sleep(0.5)  # what is freed or given back after the start is gone by now
    memory, threads = server.status_kib("VmRSS") / 1024, server.status_kib("Threads")
    stopped = time.perf_counter()
    server.stop()
    return ready * 1000, memory, threads, (time.perf_counter() - stopped) * 1000


# ------------------------------------------------- ONNX Runtime alone, by its C interface

# Places in the table of functions that OrtGetApiBase()->GetApi(version) returns; they never change.
CREATE_ENV, CREATE_SESSION, CREATE_OPTIONS, SET_INTRA_OP_THREADS = 3, 7, 10, 24
GET_ERROR_MESSAGE = 2
API_VERSION = 16


def resident_mib():
    with open("/proc/self/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024


def onnxruntime_alone(models):
    """Loads the library and makes a session for each path; prints the ms and MiB that took."""
    started, before = time.perf_counter(), resident_mib()
    if models:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        base = ctypes.CDLL(LIBRARY).OrtGetApiBase
        base.restype = ctypes.POINTER(ctypes.c_void_p)
        get_api = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)(base()[0])
        table = ctypes.cast(get_api(API_VERSION), ctypes.POINTER(ctypes.c_void_p))

        def call(place, *arguments):
            status = ctypes.CFUNCTYPE(ctypes.c_void_p, *[type(a) for a in arguments])(table[place])(
                *arguments
            )
            if status:
                text = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(table[GET_ERROR_MESSAGE])
                sys.exit(text(status).decode())

        def made(place, *arguments):
            handle = ctypes.c_void_p()
            call(place, *arguments, ctypes.pointer(handle))
            return handle

        env = made(CREATE_ENV, ctypes.c_int(2), ctypes.c_char_p(b"bench"))
        options = made(CREATE_OPTIONS)
        call(SET_INTRA_OP_THREADS, options, ctypes.c_int(1))
        for model in models:
            made(CREATE_SESSION, env, ctypes.c_char_p(model.encode()), options)
    print((time.perf_counter() - started) * 1000, resident_mib() - before)


def measure_onnxruntime(repository, models, instances):
    """(ms, MiB) that ONNX Runtime takes by itself for the sessions of a repository."""
    paths = [os.path.join(repository, name, "1", "model.onnx") for name in models] * instances
    command = [sys.executable, "-m", "benches.startup", *paths]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def startup(runs):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    titles = ("", "ready", "of that", "memory", "of that", "threads", "SIGTERM")
    units = ("repository", "ms", "ONNX Rt.", "MiB", "ONNX Rt.", "", "to end, ms")
    form = "{:24} {:>8} {:>9} {:>8} {:>9} {:>8} {:>11}"
    print(f"{BINARY}, {os.path.getsize(BINARY) / 1e6:.1f} MB, medians of {runs} runs\n")
    print(form.format(*titles))
    print(form.format(*units))
    for name, models, instances in REPOSITORIES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            make_repository(folder, models, instances)
            server = [measure_server(folder) for _ in range(runs)]
            library = [measure_onnxruntime(folder, models, instances) for _ in range(runs)]
        ready, memory, threads, end = (statistics.median(column) for column in zip(*server))
        own_time, own_memory = (statistics.median(column) for column in zip(*library))
        row = [name, f"{ready:.0f}", f"{own_time:.0f}", f"{memory:.1f}", f"{own_memory:.1f}"]
        print(form.format(*row, f"{threads:.0f}", f"{end:.0f}"), flush=True)
    return 0


if __name__ == "__main__":
    # A process of its own, for measure_onnxruntime().
    onnxruntime_alone(sys.argv[1:])
