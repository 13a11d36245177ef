"""Asks the model that a request names, and returns what that returned."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        name = pb_utils.get_input_tensor_by_name(request, "MODEL").as_numpy()[0].decode()
        inputs = [pb_utils.get_input_tensor_by_name(request, key) for key in ("INPUT0", "INPUT1")]
        names = ["OUTPUT0", "OUTPUT1"]
        if name == "ens":
            inputs = [pb_utils.Tensor(key, tensor.as_numpy()) for key, tensor in zip("AB", inputs)]
            names = ["SUM", "DIFF"]
        asked = pb_utils.InferenceRequest(
            model_name=name,
            requested_output_names=names,
            inputs=inputs,
            request_id=request.request_id(),
        )
        answer = asked.exec()
        if answer.has_error():
            return pb_utils.InferenceResponse(error=answer.error())
        found = [pb_utils.get_output_tensor_by_name(answer, key).as_numpy() for key in names]
        outputs = [pb_utils.Tensor(f"OUTPUT{n}", values) for n, values in enumerate(found)]
        return pb_utils.InferenceResponse(outputs)
