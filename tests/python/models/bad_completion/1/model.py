"""Completes its config in the way that its parameter says, right or wrong."""

import triton_python_backend_utils as pb_utils

IN, OUT = ({"name": name, "data_type": "TYPE_INT32", "dims": [1]} for name in ("IN", "OUT"))


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        how = config.as_dict()["parameters"]["how"]["string_value"]
        if how == "nothing":
            return config
        config.set_max_batch_size(2 if how != "batching_without" else 0)
        config.add_output(OUT)
        ways = {
            "given": lambda: [config.add_input(IN), config.add_input(IN)],
            "conflict": lambda: [config.add_input(IN), config.add_input({**IN, "dims": [2]})],
            "no_name": lambda: config.add_input({"data_type": "TYPE_INT32", "dims": [1]}),
            "no_type": lambda: config.add_input({"name": "IN", "dims": [1]}),
            "no_dims": lambda: config.add_input({"name": "IN", "data_type": "TYPE_INT32"}),
            "odd_key": lambda: config.add_input({**IN, "shape": [1]}),
            "odd_type": lambda: config.add_input({**IN, "data_type": "TYPE_FLOAT"}),
            "odd_policy": lambda: config.set_model_transaction_policy({"coupled": True}),
            "batch_less": lambda: config.set_max_batch_size(1),
            "batching_without": lambda: config.set_dynamic_batching(),
        }
        ways.get(how, lambda: None)()
        if how not in ("given", "no_name", "no_type", "no_dims", "odd_key", "odd_type"):
            config.add_input(IN)
        return {"none": None, "dict": config.as_dict()}.get(how, config)

    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "IN").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor)]) for tensor in tensors]
