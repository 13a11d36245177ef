"""Bare loops over ONNX Runtime, as a process of their own: what served rates are held against.

    loops.py MODEL.onnx SESSIONS BATCH SECONDS graph|copies|naive

`graph`: each session has a CUDA graph and its buffers on the device, and is made, captured and run on its own thread. `copies`: the
same with inputs from host memory and outputs to it. `naive`: plain sessions, batches of random sizes up to BATCH as they come.
Prints rows a second as JSON.
"""

import json
import os
import random
import sys
import threading
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np

try:
    # Brings the CUDA libraries, where they are those of PyTorch.
    import torch  # noqa: F401
except ImportError:
    pass
import onnxruntime as ort

SIDE = 320


def session(path, graph):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    cuda = {"enable_cuda_graph": "1"} if graph else {}
    made = ort.InferenceSession(path, options, providers=[("CUDAExecutionProvider", cuda)])
    if made.get_providers()[0] != "CUDAExecutionProvider":
        raise RuntimeError("ONNX Runtime has no CUDA here")
    return made


class Loop:
    def __init__(self, path, batch, kind):
        self.kind, self.batch = kind, batch
        self.session = session(path, kind != "naive")
        self.input = self.session.get_inputs()[0].name
        self.pictures = (np.random.random((batch, 3, SIDE, SIDE)) * 255).astype(np.float32)
        if kind == "naive":
            return
        self.device = ort.OrtValue.ortvalue_from_numpy(self.pictures, "cuda", 0)
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(self.input, self.device)
        self.outputs = []
        for output, channels in zip(self.session.get_outputs(), (1, 2, 2, 10)):
            zeros = np.zeros((batch, channels, SIDE // 4, SIDE // 4), np.float32)
            value = ort.OrtValue.ortvalue_from_numpy(zeros, "cuda", 0)
            self.binding.bind_ortvalue_output(output.name, value)
            self.outputs.append(value)

    def run(self):
        if self.kind == "naive":
            rows = random.randint(1, self.batch)
            self.session.run(None, {self.input: self.pictures[:rows]})
            return rows
        if self.kind == "copies":
            self.device.update_inplace(self.pictures)
        self.session.run_with_iobinding(self.binding)
        if self.kind == "copies":
            for output in self.outputs:
                output.numpy()
        return self.batch


def main():
    path, sessions, batch, seconds, kind = (*sys.argv[1:2], *map(float, sys.argv[2:5]), sys.argv[5])
    sessions, batch = int(sessions), int(batch)
    counts, errors = [0] * sessions, []
    one_at_a_time, ready = threading.Lock(), threading.Barrier(sessions + 1)
    stop = threading.Event()

    def work(index):
        try:
            with one_at_a_time:
                loop = Loop(path, batch, kind)
                for _ in range(1 if kind == "naive" else 3):
                    loop.run()
            ready.wait(300)
            while not stop.is_set():
                counts[index] += loop.run()
        except Exception as error:
            errors.append(str(error)[:300])
            ready.abort()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(sessions)]
    for thread in threads:
        thread.start()
    try:
        ready.wait(300)
        begun = time.perf_counter()
        time.sleep(seconds)
        total, took = sum(counts), time.perf_counter() - begun
    except threading.BrokenBarrierError:
        total, took = 0, 1.0
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"rows_per_s": total / took, "errors": errors}))


if __name__ == "__main__":
    main()
