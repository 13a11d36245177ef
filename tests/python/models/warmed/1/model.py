"""How many requests came before this one, and how many rows they had together."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.requests, self.rows = 0, 0

    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            seen = np.array([[self.requests, self.rows]] * len(value), dtype=np.int64)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("SEEN", seen)]))
            self.requests, self.rows = self.requests + 1, self.rows + len(value)
        return responses
