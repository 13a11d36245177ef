"""What may be done with metrics, and what the backend refuses itself: of other errors it could end."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        Family = pb_utils.MetricFamily
        self.counts = Family(name="py_m_total", description="A counter", kind=Family.COUNTER)
        self.values = Family(name="py_m_value", description="A gauge", kind=Family.GAUGE)
        self.sizes = Family(name="py_m_sizes", description="A histogram", kind=Family.HISTOGRAM)
        self.kept = {"count": self.counts.Metric(labels={"of": "all"}), "gauge": self.values.Metric(labels={"of": "all"})}
        self.kept["histogram"] = self.sizes.Metric(labels={"of": "all"}, buckets=[0.5, 1])

    def way(self, how):
        Family, kept = pb_utils.MetricFamily, self.kept
        if how == "again":
            # The same labels are the same metric.
            kept["same"] = self.counts.Metric(labels={"of": "all"})
            kept["same"].increment(2)
            return kept["count"].value()
        if how == "no labels":
            kept["bare"] = self.values.Metric()
            kept["bare"].set(-1.5)
            return kept["bare"].value()
        if how == "less":
            kept["gauge"].set(5)
            kept["gauge"].increment(-7)
            return kept["gauge"].value()
        if how == "a family again":
            kept["family"] = Family(name="py_m_total", description="A counter", kind=Family.COUNTER)
            kept["third"] = kept["family"].Metric(labels={"of": "the second family"})
            kept["third"].increment(1)
            return kept["third"].value()
        if how == "gone":
            gone = self.counts.Metric(labels={"of": "what is gone"})
            gone.increment(1)
            return gone.value()
        ways = {
            "no buckets": lambda: self.sizes.Metric(labels={"of": "no buckets"}),
            "buckets of a gauge": lambda: self.values.Metric(labels={"of": "gauge"}, buckets=[3, 1]),
        }
        kept[how] = ways[how]()
        return "done"

    def execute(self, requests):
        responses = []
        for request in requests:
            how = pb_utils.get_input_tensor_by_name(request, "HOW").as_numpy()[0].decode()
            try:
                told = str(self.way(how))
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("TOLD", np.array([told], dtype=np.object_))]))
        return responses
