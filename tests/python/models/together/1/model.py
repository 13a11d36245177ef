"""Says how many requests are executed together; what one of them asks for may be an error, of itself or of all."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        asked = [pb_utils.get_input_tensor_by_name(request, "WHAT").as_numpy().reshape(-1)[0].decode() for request in requests]
        responses = [self.answer(what, len(requests)) for what in asked]
        if "raise" in asked:
            raise ValueError("one of them is too bad")
        if "too few" in asked:
            responses.pop()
        if "too many" in asked:
            responses.append(responses[0])
        return responses

    def answer(self, what, count):
        if what == "error":
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("that one", pb_utils.TritonError.INVALID_ARG))
        rows = 2 if what == "two rows" else 1
        return pb_utils.InferenceResponse([pb_utils.Tensor("MET", np.array([[count]] * rows, dtype=np.int32))])
