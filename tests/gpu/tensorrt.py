"""TensorRT: the layout of its interfaces, the backend by the double on this GPU, and plans that are built here and served."""

import os
import re
import shutil
import subprocess
import tempfile

import numpy as np

from .client import Client
from .models import CENTERFACE, SIDE
from .results import SIZES, requests

HEADERS = (
    "/usr/include/x86_64-linux-gnu",
    "/usr/include/aarch64-linux-gnu",
    "/usr/include",
    "/usr/local/tensorrt/include",
    "/opt/tensorrt/include",
)
BATCH = 32
# The largest difference of CenterFace's outputs from ONNX Runtime's on the CPU: FP32 with TF32 off, and half precision.
TOLERANCES = {"planned": 2e-3, "graphs": 2e-3, "compatible": 2e-3, "half": 0.1}


def check(table, run):
    layout(table, run)
    double(table, run)
    plans(table, run)


def layout(table, run):
    """The places of methods in the headers that are here, by a C++ program that crates/tensorrt-sys/examples/layout.rs prints."""
    what, target = "TensorRT's interfaces are as tensorrt-sys says", "0 facts differ"
    folders = [*filter(None, [os.environ.get("TENSORRT_INCLUDE")]), *HEADERS]
    headers = next((folder for folder in folders if os.path.isfile(f"{folder}/NvInfer.h")), None)
    compiler = shutil.which("g++") or shutil.which("c++")
    if not (run.tensorrt_layout and headers and compiler):
        missing = "--tensorrt-layout" if not run.tensorrt_layout else "NvInfer.h" if not headers else "a C++ compiler"
        table.skip(what, target, f"{missing} is not there")
        return
    with open(f"{headers}/NvInferVersion.h", encoding="utf-8") as file:
        text = file.read()
    is_rtx = "_RTX" in text
    major = re.search(r"#define \w*_MAJOR\w* (\d+)", text)
    version = "rtx" if is_rtx else major.group(1) if major else "?"
    with tempfile.TemporaryDirectory() as folder:
        source, program = f"{folder}/layout.cpp", f"{folder}/layout"
        with open(source, "w", encoding="utf-8") as file:
            subprocess.run([run.tensorrt_layout, version], stdout=file, check=False)
        flags = ["-std=c++17", "-w", f"-I{headers}", "-I/usr/local/cuda/include"]
        built = subprocess.run([compiler, *flags, source, "-o", program], capture_output=True, text=True, check=False)
        if built.returncode != 0:
            table.add(what, target, "does not compile", False, built.stderr[-600:])
            return
        done = subprocess.run([program], capture_output=True, text=True, check=False)
    table.add(what, target, done.stdout.splitlines()[-1], done.returncode == 0, f"{headers}, version {version}")


def double(table, run):
    """The backend on this GPU's memory, streams and graphs, by crates/backend-tensorrt/examples/on_gpu.rs."""
    what = "the backend by the double, on this GPU"
    if not run.tensorrt_check:
        table.skip(what, "exit status 0", "no --tensorrt-check was given")
        return
    done = subprocess.run([run.tensorrt_check], capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout[-6000:], done.stderr[-2000:])
    last = done.stdout.splitlines()[-1:] or [str(done.returncode)]
    table.add(what, "exit status 0", last[0], done.returncode == 0)


def plans(table, run):
    """Plans of CenterFace that are built here, against ONNX Runtime on the CPU, and against trtexec."""
    what = "TensorRT plans, built and served"
    if not run.on_gpu or "centerface" not in run.files:
        table.skip(what, "as on the CPU", "no GPU was asked for, or the ONNX file is not there")
        return
    repository = run.repository("plans")
    repository.add("cpu", "centerface", CENTERFACE, "KIND_CPU", batch=BATCH)
    models = []
    for name, flags, config in (
        ("planned", ["--no-tf32"], ""),
        ("graphs", ["--no-tf32"], "optimization { cuda { graphs: true graph_spec { batch_size: 8 } } }"),
        ("compatible", ["--no-tf32", "--version-compatible"], ""),
        ("half", ["--fp16"], ""),
    ):
        try:
            if add(table, run, repository, name, flags, config):
                models.append(name)
        except subprocess.TimeoutExpired:
            table.add(f"hippocamp plan, {name}", "builds", "takes more than 20 minutes", False)
        if not models:
            return
    flags = ["--model-control-mode=explicit", "--backend-config=tensorrt,version-compatible=true"]
    with run.server(repository, *flags) as server:
        client = Client(server.http)
        client.load("cpu")
        for name in models:
            results(table, run, server, client, name)
        speed(table, run, server, client, repository)


def add(table, run, repository, name, flags, config):
    """Builds a plan and writes its model; False if that is not possible here."""
    what = f"hippocamp plan, {name}"
    version = os.path.join(repository.folder, name, "1")
    os.makedirs(version, exist_ok=True)
    shape = f"3x{SIDE}x{SIDE}"
    cache = os.path.join(repository.folder, "..", "timing.cache")
    command = [run.binary, "plan", run.files["centerface"], "-o", os.path.join(version, "model.plan")]
    command += ["--shapes", f"input.1:1x{shape}..8x{shape}..{BATCH}x{shape}", "--timing-cache", cache]
    command += [*flags, *run.plan_flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        is_missing = "was found" in why[0] or "only runs plans" in why[0] or "has no meaning" in why[0]
        (table.skip(what, "builds", why[0]) if is_missing else table.add(what, "builds", "failed", False, why[0]))
        shutil.rmtree(os.path.dirname(version))
        return False
    table.add(what, "builds", done.stdout.strip().rsplit("/", 1)[-1], True)
    with open(os.path.join(repository.folder, name, "config.pbtxt"), "w", encoding="utf-8") as file:
        dims = f"dims: [ 3, {SIDE}, {SIDE} ]"
        file.write(f'name: "{name}"\nplatform: "tensorrt_plan"\nmax_batch_size: {BATCH}\ndynamic_batching {{ }}\n')
        outputs = ", ".join(
            f'{{ name: "{output}" data_type: TYPE_FP32 dims: [ {channels}, -1, -1 ] }}'
            for output, channels in (("537", 1), ("538", 2), ("539", 2), ("540", 10))
        )
        file.write(f'input {{ name: "input.1" data_type: TYPE_FP32 {dims} }}\noutput [ {outputs} ]\n')
        file.write(f"instance_group {{ kind: KIND_GPU count: 4 }}\n{config}\n")
    return True


def results(table, run, server, client, name):
    what, target = f"results of a plan, {name}", f"<= {TOLERANCES[name]:g}"
    try:
        client.load(name)
        random, worst = np.random.default_rng(7), 0.0
        for size in SIZES:
            inputs = requests("centerface", random, size)
            expected, got = client.infer("cpu", inputs), client.infer(name, inputs)
            for output, array in expected.items():
                if got[output].shape != array.shape or not np.isfinite(got[output]).all():
                    table.add(what, target, f"{output}: {got[output].shape}", False, f"batch {size}")
                    return
                worst = max(worst, float(np.abs(got[output] - array).max()))
        table.add(what, target, f"{worst:.2g}", worst <= TOLERANCES[name])
    except Exception as error:
        table.add(what, target, "failed", False, str(error)[:500])
        run.show_log(server)


def speed(table, run, server, client, repository):
    """The served rate of the plan against that of trtexec with copies, in one run."""
    from .speed import served

    what, target = "served plans against trtexec", ">= 0.9x"
    if not shutil.which("trtexec"):
        table.skip(what, target, "there is no trtexec")
        return
    plan = os.path.join(repository.folder, "planned", "1", "model.plan")
    command = ["trtexec", f"--loadEngine={plan}", f"--shapes=input.1:{BATCH}x3x{SIDE}x{SIDE}", "--infStreams=4"]
    done = subprocess.run([*command, f"--duration={run.seconds}"], capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"Throughput: ([\d.]+) qps", done.stdout)
    if not found:
        table.skip(what, target, f"trtexec says no rate: {done.stdout[-200:]}")
        return
    bare = float(found.group(1)) * BATCH
    if not client.is_ready("planned"):
        client.load("planned")
    rate = max(result["requests_per_s"] for result in served(run, server, "planned", "64,128", "system"))
    table.add(what, target, f"{rate / bare:.2f}x", rate >= 0.9 * bare, f"{rate:.0f} against {bare:.0f} pictures a second")
