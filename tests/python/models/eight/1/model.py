"""Eight instances, each of which says who it is."""

import os
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_instance_name"]

    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            time.sleep(0.005)
            outputs = [
                pb_utils.Tensor("OUT", value * 2),
                pb_utils.Tensor("WHO", np.array([self.name], dtype=np.object_)),
                pb_utils.Tensor("PID", np.array([os.getpid()], dtype=np.int64)),
            ]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
