"""Metrics of its own: a counter, a gauge, and a histogram."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        # The module has it only by now.
        Family = pb_utils.MetricFamily
        labels = {"model": args["model_name"], "odd": 'a "b"\\c'}
        self.counted = Family(name="py_values_total", description="Values that came", kind=Family.COUNTER)
        self.last = Family(name="py_last_value", description="The last value", kind=Family.GAUGE)
        self.sizes = Family(name="py_value_sizes", description="How large they were", kind=Family.HISTOGRAM)
        self.count, self.gauge = self.counted.Metric(labels=labels), self.last.Metric(labels=labels)
        self.histogram = self.sizes.Metric(labels=labels, buckets=[1, 10, 100])

    def execute(self, requests):
        responses = []
        for request in requests:
            value = float(pb_utils.get_input_tensor_by_name(request, "VALUE").as_numpy()[0])
            self.count.increment(value)
            self.gauge.set(value)
            self.histogram.observe(value)
            seen = np.array([self.count.value(), self.gauge.value()])
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("SEEN", seen)]))
        return responses
