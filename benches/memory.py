"""Memory and CPU time by the number of instances, for scripts/bench memory."""

import os
import subprocess

from . import ROOT


def memory(rounds):
    command = ["cargo", "bench", "--locked", "-p", "hippocamp-backend-onnxruntime", "--bench", "memory", "--"]
    command += [str(rounds)]
    models = [[], ["centerface", "1,3,640,640", "8"], ["magika", "1,2048", "64"]]
    for model in models:
        if model:
            model[0] = os.path.join(ROOT, "model_repository", model[0], "1", "model.onnx")
        code = subprocess.run(command + model, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0
