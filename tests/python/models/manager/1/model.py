"""Loads and unloads other models, and says whether they are ready."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils

# What a load with a config and files of its own is made of.
CONFIG = {"backend": "python", "max_batch_size": 0, "instance_group": [{"kind": "KIND_CPU"}]}
CONFIG |= {"input": [{"name": "IN", "data_type": "TYPE_INT32", "dims": [1]}]}
CONFIG |= {"output": [{"name": "OUT", "data_type": "TYPE_INT32", "dims": [1]}]}
CODE = b"""
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "IN").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor + 1)]) for tensor in tensors]
"""


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        what, name = (text.decode() for text in pb_utils.get_input_tensor_by_name(request, "WHAT").as_numpy())
        if what == "load":
            pb_utils.load_model(model_name=name)
        elif what == "load given":
            pb_utils.load_model(model_name=name, config=json.dumps(CONFIG), files={"file:1/model.py": CODE})
        elif what == "unload":
            pb_utils.unload_model(model_name=name)
        told = str(pb_utils.is_model_ready(model_name=name))
        return pb_utils.InferenceResponse([pb_utils.Tensor("TOLD", np.array([told], dtype=np.object_))])
