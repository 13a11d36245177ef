"""Has a request executed again until it was executed COUNT times."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.runs = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy().reshape(-1)[0])
            who = request.correlation_id()
            self.runs[who] = self.runs.get(who, 0) + 1
            if self.runs[who] < count:
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
                responses.append(None)
            else:
                runs = np.array([[self.runs.pop(who)]], dtype=np.int32)
                responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("RUNS", runs)]))
        return responses
