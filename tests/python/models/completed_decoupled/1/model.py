"""Reads the config that it completes, and becomes decoupled by it."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        given = config.as_dict()
        assert given["parameters"]["factor"]["string_value"] == "3"
        config.set_max_batch_size(0)
        config.add_input({"name": "IN", "data_type": "TYPE_INT64", "dims": [1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_INT64", "dims": [1]})
        config.set_model_transaction_policy({"decoupled": True})
        return config

    def initialize(self, args):
        self.config = json.loads(args["model_config"])
        self.factor = int(self.config["parameters"]["factor"]["string_value"])

    def execute(self, requests):
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            sender = request.get_response_sender()
            for factor in range(self.factor):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", (value * factor).astype(np.int64))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
