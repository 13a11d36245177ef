"""Tensors handed over by DLPack, as frameworks do."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        how = pb_utils.get_input_tensor_by_name(request, "HOW").as_numpy()[0].decode()
        given = pb_utils.get_input_tensor_by_name(request, "IN")
        wanted = {
            "the input": lambda: given,
            "its capsule": lambda: given.to_dlpack(),
            "no tensor": lambda: 7,
        }[how]()
        output = pb_utils.Tensor.from_dlpack("OUT", wanted)
        told = {"cpu": output.is_cpu(), "shape": list(output.shape())}
        told |= {"name": output.name(), "device": list(given.__dlpack_device__())}
        told = pb_utils.Tensor("TOLD", np.array([json.dumps(told, default=str)], dtype=np.object_))
        return pb_utils.InferenceResponse([output, told])
