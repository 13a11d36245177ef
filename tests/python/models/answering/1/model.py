"""Answers by senders of responses, though it is not decoupled, in right ways and in wrong ones."""

import threading

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def response(value):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], dtype=np.int32))])


class TritonPythonModel:
    def initialize(self, args):
        self.threads = []

    def execute(self, requests):
        (request,) = requests
        sender = request.get_response_sender()
        how = pb_utils.get_input_tensor_by_name(request, "HOW").as_numpy()[0].decode()
        if how == "sent":
            sender.send(response(1), flags=FINAL)
            return None
        if how == "sent, None in the list":
            sender.send(response(2), flags=FINAL)
            return [None]
        if how == "sent, then ended":
            sender.send(response(3))
            sender.send(flags=FINAL)
            return None
        if how == "error":
            error = pb_utils.TritonError("sent as an error", pb_utils.TritonError.UNAVAILABLE)
            sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)
            return None
        if how == "sent twice":
            sender.send(response(4))
            sender.send(response(5), flags=FINAL)
            return None
        if how == "sent and returned":
            sender.send(response(6), flags=FINAL)
            return [response(7)]
        if how == "sent after the end":
            sender.send(response(8), flags=FINAL)
            sender.send(response(9))
            return None
        if how == "sent, then raised":
            sender.send(response(10), flags=FINAL)
            raise ValueError("after the answer")
        if how == "other flags":
            sender.send(response(11), flags=7)
            return None
        if how == "no response":
            sender.send(12, flags=FINAL)
            return None
        if how == "later":
            self.threads.append(threading.Timer(0.05, sender.send, (response(13),), {"flags": FINAL}))
            self.threads[-1].start()
            return None
        return [response(0)]

    def finalize(self):
        for thread in self.threads:
            thread.join()
