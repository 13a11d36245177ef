"""Hands each response of a decoupled model on, in a coroutine."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            inputs = [pb_utils.get_input_tensor_by_name(request, "COUNT")]
            asked = pb_utils.InferenceRequest(model_name="countdown", requested_output_names=["OUT"], inputs=inputs)
            for answer in await asked.async_exec(decoupled=True):
                if answer.has_error():
                    sender.send(pb_utils.InferenceResponse(error=answer.error()))
                elif len(answer.output_tensors()) > 0:
                    sender.send(pb_utils.InferenceResponse([pb_utils.get_output_tensor_by_name(answer, "OUT")]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
