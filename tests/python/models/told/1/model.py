"""What a model is told of itself and of a request, as JSON."""

import json
import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.args = {key: value for key, value in args.items() if key != "model_config"}
        config = json.loads(args["model_config"])
        # Where the model lies is another folder each time.
        self.args["model_repository"] = os.path.basename(self.args["model_repository"])
        self.args["config"] = {key: config[key] for key in ("name", "backend", "max_batch_size", "parameters", "input", "output")}
        self.args["paths"] = [os.path.basename(path) for path in sys.path[-3:]]
        pb_utils.Logger.log_info("the model `told` is there")

    def execute(self, requests):
        responses = []
        for request in requests:
            told = {
                "args": self.args,
                "id": request.request_id(),
                "correlation": request.correlation_id(),
                "flags": request.flags(),
                "timeout": request.timeout(),
                "parameters": json.loads(request.parameters()),
                "requested": sorted(request.requested_output_names()),
                "inputs": [tensor.name() for tensor in request.inputs()],
                "cancelled": request.is_cancelled(),
            }
            text = np.array([json.dumps(told, sort_keys=True)], dtype=np.object_)
            outputs = [pb_utils.Tensor("TOLD", text), pb_utils.Tensor("OTHER", np.array([7], dtype=np.int32))]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
