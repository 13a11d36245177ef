"""A model that executes until it is told to go on: what a test wants to see of requests that run and wait lasts until the test has seen it."""

import os

import pytest
from models import write_model
from server_process import ROOT

BACKENDS = os.path.join(ROOT, ".cache", "triton-backends")
FLAG = f"--backend-directory={BACKENDS}"

CONFIG = """
backend: "python"
input [ {{ name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] }} ]
output [ {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
parameters {{ key: "folder" value {{ string_value: "{folder}" }} }}
"""

CODE = '''"""Answers with what it is given, once there is a file `open`; a file `entered` tells that it executes."""

import json
import os
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.folder = json.loads(args["model_config"])["parameters"]["folder"]["string_value"]

    def execute(self, requests):
        open(os.path.join(self.folder, "entered"), "w").close()
        while not os.path.exists(os.path.join(self.folder, "open")):
            time.sleep(0.005)
        given = [pb_utils.get_input_tensor_by_name(request, "INPUT0") for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", one.as_numpy())]) for one in given]
'''


class Gate:
    """The model `gate` in a repository, which executes one request after another. Shut at first."""

    def __init__(self, repository, folder):
        if not os.path.isdir(BACKENDS) and os.uname().machine != "x86_64":
            pytest.skip("Triton's Python backend is there for x86-64 only")
        self.folder = str(folder)
        model = write_model(str(repository), "gate", CONFIG.format(folder=self.folder))
        with open(os.path.join(model, "1", "model.py"), "w", encoding="utf-8") as f:
            f.write(CODE)

    def entered(self):
        """Whether a request executes, or has."""
        return os.path.exists(os.path.join(self.folder, "entered"))

    def open(self):
        with open(os.path.join(self.folder, "open"), "w", encoding="utf-8"):
            pass
