"""Each text in capitals, and its length in bytes. Bytes that are no UTF-8 stay as they are."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
            upper = np.array([text.upper() for text in texts], dtype=np.object_)
            lengths = np.array([len(text) for text in texts], dtype=np.int64)
            outputs = [pb_utils.Tensor("UPPER", upper), pb_utils.Tensor("LENGTH", lengths)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
