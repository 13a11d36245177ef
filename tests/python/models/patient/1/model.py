"""`wait` answers when its client has gone; `seen` tells how many have begun to wait, and how many were cancelled."""

import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args):
        self.begun, self.cancelled, self.threads = 0, 0, []

    def wait(self, request, sender):
        end = time.monotonic() + 20
        while not request.is_cancelled() and time.monotonic() < end:
            time.sleep(0.01)
        if request.is_cancelled():
            self.cancelled += 1
        error = pb_utils.TritonError("the client has gone", pb_utils.TritonError.CANCELLED)
        sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            if pb_utils.get_input_tensor_by_name(request, "WHAT").as_numpy()[0] == b"wait":
                self.begun += 1
                self.threads.append(threading.Thread(target=self.wait, args=(request, sender)))
                self.threads[-1].start()
            else:
                seen = pb_utils.Tensor("SEEN", np.array([self.begun, self.cancelled], dtype=np.int32))
                sender.send(pb_utils.InferenceResponse([seen]), flags=FINAL)

    def finalize(self):
        for thread in self.threads:
            thread.join()
