"""NVIDIA's model_analyzer as scripts/fetch brings it: how to call it, and what it reports."""

import csv
import os
import subprocess
import sys

import perf_analyzer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = os.path.join(ROOT, ".cache", "python", "model-analyzer")
# Its own package of perf_analyzer is empty: this is the newest that an index has.
PERF_ANALYZER = os.path.join(perf_analyzer.FOLDER, "2.40.0", "perf_analyzer")
MAIN = "from model_analyzer.entrypoint import main; main()"


def profile(model, repository, folder, ports, options=(), flags=(), timeout=900):
    """Profiles a model, and returns the rows of its result and its log. `ports` are those of HTTP, gRPC and metrics; `folder` is for
    what it leaves behind; `flags` are lines about the model in its YAML, such as for perf_analyzer. On a remote server it would ask for
    instances on GPUs without `cpu_only`.
    """
    http, grpc, metrics = ports
    settings = os.path.join(folder, "analyzer.yaml")
    with open(settings, "w", encoding="utf-8") as f:
        f.write("\n".join(["profile_models:", f"  {model}:", "    cpu_only: true", *(f"    {line}" for line in flags)]))
    command = [sys.executable, "-c", MAIN, "profile", "-f", settings, f"--model-repository={repository}"]
    command += [f"--perf-analyzer-path={PERF_ANALYZER}", f"--output-model-repository-path={os.path.join(folder, 'variants')}"]
    command += [f"--checkpoint-directory={os.path.join(folder, 'checkpoints')}", f"--export-path={folder}", "--override-output-model-repository"]
    command += [f"--triton-http-endpoint=127.0.0.1:{http}", f"--triton-grpc-endpoint=127.0.0.1:{grpc}"]
    command += [f"--triton-metrics-url=http://127.0.0.1:{metrics}/metrics", "--skip-detailed-reports", *options]
    paths = {"PYTHONPATH": PACKAGES, "LD_LIBRARY_PATH": os.path.join(perf_analyzer.FOLDER, "lib"), "MPLCONFIGDIR": folder}
    done = subprocess.run(command, env={**os.environ, **paths}, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    log = done.stdout + done.stderr
    report = os.path.join(folder, "results", "metrics-model-inference.csv")
    if done.returncode != 0 or not os.path.isfile(report):
        raise RuntimeError(f"model_analyzer ended with status {done.returncode}:\n{log[-5000:]}")
    with open(report, encoding="utf-8") as f:
        return list(csv.DictReader(f)), log


def config(folder, row):
    """The config of a row of the result, as text."""
    with open(os.path.join(folder, "variants", row["Model Config Path"], "config.pbtxt"), encoding="utf-8") as f:
        return f.read()
