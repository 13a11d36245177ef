"""scripts/gpu-acceptance on this machine: what needs a GPU is skipped and says why, what does not is checked."""

import json
import os
import subprocess
import sys

from server_process import BINARY, LIBRARY, ROOT


def run(folder, *flags):
    table = folder / "table.json"
    command = [sys.executable, os.path.join(ROOT, "scripts", "gpu-acceptance"), "--server", BINARY]
    command += ["--onnxruntime-library", LIBRARY, "--json", str(table), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {row["what"]: row for row in json.loads(table.read_text())}, done.stdout


def test_what_needs_no_gpu_is_checked_and_the_rest_is_skipped_with_a_reason(tmp_path):
    rows, text = run(tmp_path, "--kind=KIND_CPU", "--only=placement,shm,two")
    assert rows["a GPU that is not there is refused"]["verdict"] == "ok"
    assert rows["metrics of the GPUs"]["verdict"] == "ok"
    shared = rows["CUDA shared memory by tritonclient"]
    assert (shared["verdict"], shared["note"]) == ("skipped", "no GPU was asked for")
    assert "nothing missed its target" in text
