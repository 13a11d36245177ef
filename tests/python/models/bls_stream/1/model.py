"""Reads all responses of a decoupled model, and returns them as one; errors among them as texts."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = [pb_utils.get_input_tensor_by_name(request, name) for name in ("COUNT", "HOW")]
        asked = pb_utils.InferenceRequest(model_name="countdown", requested_output_names=["OUT"], inputs=inputs)
        found, told = [], []
        for answer in asked.exec(decoupled=True):
            if answer.has_error():
                told.append(answer.error().message())
            elif len(answer.output_tensors()) > 0:
                found += pb_utils.get_output_tensor_by_name(answer, "OUT").as_numpy().tolist()
        found = pb_utils.Tensor("ALL", np.array(found, dtype=np.int32))
        told = pb_utils.Tensor("TOLD", np.array(told, dtype=np.object_))
        return pb_utils.InferenceResponse([found, told])
