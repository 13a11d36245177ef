"""Writes to the server's log at each level, in each of the ways there are."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        pb_utils.Logger.log_info("LOGGED by initialize")

    def execute(self, requests):
        responses = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()[0].decode()
            logger = pb_utils.Logger
            logger.log_info(f"LOGGED {text}, info")
            logger.log_warn(f"LOGGED {text}, warning")
            logger.log_error(f"LOGGED {text}, error")
            logger.log_verbose(f"LOGGED {text}, verbose")
            logger.log(f"LOGGED {text}, no level")
            for level in ("INFO", "WARNING", "ERROR", "VERBOSE"):
                logger.log(f"LOGGED {text}, {level}", getattr(logger, level))
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([9], dtype=np.int32))]))
        return responses

    def finalize(self):
        pb_utils.Logger.log_info("LOGGED by finalize")
