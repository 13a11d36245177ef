"""Sums the values of each sequence, which it knows by the control inputs."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            value, start, end, who = (
                pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)[0]
                for name in ("IN", "START", "END", "WHO")
            )
            assert who == request.correlation_id()
            # Places of a batch that have no sequence are filled up by requests of sequence 0.
            total = (0 if start or who == 0 else self.sums[who]) + value
            self.sums[who] = total
            if end:
                del self.sums[who]
            output = pb_utils.Tensor("SUM", np.array([[total]], dtype=np.int32))
            responses.append(pb_utils.InferenceResponse([output]))
        return responses
