"""Each of the ways in which execute may go wrong, as the request names it."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        what = pb_utils.get_input_tensor_by_name(requests[0], "WHAT").as_numpy()[0].decode()
        right = pb_utils.Tensor("OUT", np.array([1, 2], dtype=np.int32))
        fine = pb_utils.InferenceResponse([right])
        error = pb_utils.TritonError
        if what == "raise":
            raise ValueError("no good")
        if what == "raise unicode":
            raise ValueError("nicht möglich: \u2713")
        if what == "raise triton":
            raise pb_utils.TritonModelException("a model exception")
        codes = ["UNKNOWN", "INTERNAL", "NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"]
        if what in codes:
            return [pb_utils.InferenceResponse(error=error(f"an error of {what}", getattr(error, what)))]
        answers = {
            "right": lambda: [fine],
            "error": lambda: [pb_utils.InferenceResponse(error=error("an error of the response"))],
            "error and outputs": lambda: [pb_utils.InferenceResponse([right], error=error("both"))],
            "too few": lambda: [],
            "too many": lambda: [fine, fine],
            "no list": lambda: fine,
            "no response": lambda: [7],
            "no outputs": lambda: [pb_utils.InferenceResponse([])],
            "unknown output": lambda: [pb_utils.InferenceResponse([pb_utils.Tensor("OTHER", np.zeros(2, np.int32))])],
            "another type": lambda: [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.zeros(2, np.float32))])],
            "another shape": lambda: [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.zeros(3, np.int32))])],
            "strided": lambda: [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.arange(4, dtype=np.int32)[::2])])],
        }
        return answers[what]()
