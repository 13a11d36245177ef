"""COUNT responses, in one of several ways: within execute, from a thread after it, with an error in the middle, with the
final flag on the last response, or with one more than that.
"""

import threading

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def response(n, count):
    one = pb_utils.Tensor("OUT", np.array([n], dtype=np.int32))
    left = pb_utils.Tensor("LEFT", np.arange(count - n - 1, dtype=np.int32))
    return pb_utils.InferenceResponse([one, left])


def send(sender, count, how):
    for n in range(count):
        if how == "error" and n == count // 2:
            sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("half way", pb_utils.TritonError.UNAVAILABLE)))
        elif how == "flag" and n == count - 1:
            sender.send(response(n, count), flags=FINAL)
            return
        else:
            sender.send(response(n, count))
    sender.send(flags=FINAL)


class TritonPythonModel:
    def initialize(self, args):
        self.threads = []

    def execute(self, requests):
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            given = pb_utils.get_input_tensor_by_name(request, "HOW")
            how = given.as_numpy()[0].decode() if given is not None else ""
            sender = request.get_response_sender()
            if how == "raise":
                sender.send(response(0, count))
                raise RuntimeError("after one response")
            if how == "thread":
                self.threads.append(threading.Thread(target=send, args=(sender, count, how)))
                self.threads[-1].start()
            else:
                send(sender, count, how)
            if how == "again":
                sender.send(response(0, count))
        return None

    def finalize(self):
        for thread in self.threads:
            thread.join()
