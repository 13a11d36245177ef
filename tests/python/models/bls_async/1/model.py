"""Eight requests to another model at once; row n is INPUT0 + n times INPUT1."""

import asyncio

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        return await asyncio.gather(*map(self.answer, requests))

    async def answer(self, request):
        a, b = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("INPUT0", "INPUT1"))
        asked = []
        for n in range(8):
            inputs = [pb_utils.Tensor("INPUT0", a), pb_utils.Tensor("INPUT1", (b * n).astype(np.int32))]
            asked.append(
                pb_utils.InferenceRequest(model_name="simple", requested_output_names=["OUTPUT0"], inputs=inputs).async_exec()
            )
        answers = await asyncio.gather(*asked)
        for answer in answers:
            if answer.has_error():
                return pb_utils.InferenceResponse(error=answer.error())
        rows = [pb_utils.get_output_tensor_by_name(answer, "OUTPUT0").as_numpy() for answer in answers]
        return pb_utils.InferenceResponse([pb_utils.Tensor("SUMS", np.concatenate(rows))])
