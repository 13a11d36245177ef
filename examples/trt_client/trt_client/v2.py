"""v2, by the package tritonclient."""

import concurrent.futures
import importlib
import threading
import time

import numpy as np

# Requests over HTTP that are under way at a time, each on a thread and a connection of its own.
THREADS = 16


class Engine:
    def __init__(self, url, model, version, is_http):
        self.url, self.model, self.version = url, model, "" if version is None else str(version)
        self.module = importlib.import_module("tritonclient.http" if is_http else "tritonclient.grpc")
        self.threads = concurrent.futures.ThreadPoolExecutor(THREADS) if is_http else None
        self.local, self.clients, self.lock = threading.local(), [], threading.Lock()
        self.counts = [0, 0, 0, 0]
        if not is_http:
            # One channel for all threads.
            self.shared = self.connected()
        named = {} if is_http else {"as_json": True}
        metadata = self.client().get_model_metadata(model, self.version, **named)
        config = self.client().get_model_config(model, self.version, **named)
        self.types = {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]}
        self.outputs = [tensor["name"] for tensor in metadata["outputs"]]
        self.has_batch = int(config.get("config", config).get("max_batch_size", 0)) > 0

    def connected(self):
        client = self.module.InferenceServerClient(self.url)
        with self.lock:
            self.clients.append(client)
        return client

    def client(self):
        if self.threads is None:
            return self.shared
        if not hasattr(self.local, "client"):
            self.local.client = self.connected()
        return self.local.client

    def run(self, inputs, batch_size):
        begin = time.perf_counter_ns()
        tensors = self.tensors(inputs, batch_size)
        sent = time.perf_counter_ns()
        reply = self.client().infer(self.model, tensors, self.version, outputs=self.wanted())
        return self.finish(reply, begin, sent, time.perf_counter_ns())

    def start(self, inputs, batch_size, done):
        if self.threads is not None:
            task = self.threads.submit(self.run, inputs, batch_size)
            task.add_done_callback(lambda task: done(task.result))
            return
        begin = time.perf_counter_ns()
        tensors = self.tensors(inputs, batch_size)
        sent = time.perf_counter_ns()

        def ended(result, error):
            came = time.perf_counter_ns()

            def finish():
                if error is not None:
                    raise error
                return self.finish(result, begin, sent, came)

            done(finish)

        self.client().async_infer(self.model, tensors, ended, self.version, outputs=self.wanted())

    def wanted(self):
        return [self.module.InferRequestedOutput(name) for name in self.outputs]

    def tensors(self, inputs, batch_size):
        return [self.tensor(name, value, batch_size) for name, value in inputs.items()]

    def tensor(self, name, value, batch_size):
        if name not in self.types:
            raise ValueError(f"model '{self.model}' has no input '{name}', only {sorted(self.types)}")
        if not self.has_batch and batch_size != 1:
            raise ValueError(f"model '{self.model}' takes one entry at a time, got {batch_size}")
        array = np.stack(value) if self.has_batch else value[0]
        if self.types[name] == "BYTES":
            array = array.astype(object)
        tensor = self.module.InferInput(name, list(array.shape), self.types[name])
        tensor.set_data_from_numpy(array)
        return tensor

    def finish(self, reply, begin, sent, came):
        results = {}
        for name in self.outputs:
            array = reply.as_numpy(name)
            results[name] = list(array) if self.has_batch else [array]
        end = time.perf_counter_ns()
        with self.lock:
            for place, more in enumerate((1, end - begin, sent - begin, end - came)):
                self.counts[place] += more
        return results

    def times(self):
        with self.lock:
            return tuple(self.counts)

    def close(self):
        if self.threads is not None:
            self.threads.shutdown()
        for client in self.clients:
            client.close()
