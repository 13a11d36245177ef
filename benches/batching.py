"""Items a second and latencies with and without dynamic batching, for scripts/bench batching."""

import os
import subprocess
import sys
import tempfile

from server_process import LIBRARY, ROOT

MLP_CONFIG = """
backend: "onnxruntime"
max_batch_size: 32
input {{ name: "x" data_type: TYPE_FP32 dims: {width} }}
output {{ name: "y" data_type: TYPE_FP32 dims: {width} }}
instance_group {{ count: 1 kind: KIND_CPU }}
{more}
"""

# For the model alone; without it all models share a pool as large as the machine.
THREADS = 'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}'

# Clients come back at once: an execution is worth to wait so long for.
BATCHED = "dynamic_batching { max_queue_delay_microseconds: 2000 }"


def batching(widths, threads):
    sys.path[:0] = [os.path.join(ROOT, "tests", "golden"), os.path.join(ROOT, ".cache", "python", "tests")]
    from make_models import mlp

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for width in widths:
            model = mlp(width=width, layers=3)
            own = THREADS.format(threads=threads) if threads else ""
            for name, more in ((f"mlp{width}", own), (f"mlp{width}_batched", BATCHED + own)):
                os.makedirs(os.path.join(folder, name, "1"))
                with open(os.path.join(folder, name, "1", "model.onnx"), "wb") as f:
                    f.write(model)
                with open(os.path.join(folder, name, "config.pbtxt"), "w", encoding="utf-8") as f:
                    f.write(MLP_CONFIG.format(width=width, more=more))
        command = ["cargo", "bench", "--locked", "-p", "hippocamp", "--bench", "batching", "--", folder]
        command += [f"mlp{width}" for width in widths]
        environment = dict(os.environ, HIPPOCAMP_ONNXRUNTIME_LIBRARY=LIBRARY)
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
