"""The model repository of the client tests: the models of tests/golden and a few more."""

import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(TESTS, "golden")

# Not loaded at start: they fail to load, tests load them, or they need what is not served yet.
NOT_LOADED = {"badcfg", "broken", "nofile", "mlp_auto"}

# protocol name of a data type -> its name in an ONNX file
ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def onnx_bytes(graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def add_sub():
    """The ONNX file of `simple`: sum and difference of two INT32 [N, 16]."""
    rows = [
        helper.make_tensor_value_info(name, TensorProto.INT32, ["N", 16])
        for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")
    ]
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    return onnx_bytes(helper.make_graph(nodes, "add_sub", rows[:2], rows[2:]))


ADD_SUB_CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
        { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
         { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
"""


def onnx_identity(element):
    """OUTPUT = INPUT, [N, M] of any type."""
    shape = ["N", "M"]
    return onnx_bytes(
        helper.make_graph(
            [helper.make_node("Identity", ["INPUT"], ["OUTPUT"])],
            "identity",
            [helper.make_tensor_value_info("INPUT", element, shape)],
            [helper.make_tensor_value_info("OUTPUT", element, shape)],
        )
    )


def onnx_scaled():
    """y = x * factor * weight: factor is a scalar, weight an initializer listed as an input."""
    floats = TensorProto.FLOAT
    weight = numpy_helper.from_array(np.array([10.0], np.float32), "weight")
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "weight"], ["y"]),
    ]
    inputs = [("x", ["M"]), ("factor", []), ("weight", [1])]
    return onnx_bytes(
        helper.make_graph(
            nodes,
            "scaled",
            [helper.make_tensor_value_info(name, floats, shape) for name, shape in inputs],
            [helper.make_tensor_value_info("y", floats, ["M"])],
            [weight],
        )
    )


def onnx_sum():
    """Running sum of a sequence: OUTPUT = OUTPUT_STATE = INPUT + (START ? 0 : INPUT_STATE)."""
    ints = TensorProto.INT32
    one = numpy_helper.from_array(np.array([1], np.int32), "one")
    nodes = [
        helper.make_node("Sub", ["one", "START"], ["goes_on"]),
        helper.make_node("Mul", ["goes_on", "INPUT_STATE"], ["before"]),
        helper.make_node("Add", ["before", "INPUT"], ["OUTPUT"]),
        helper.make_node("Identity", ["OUTPUT"], ["OUTPUT_STATE"]),
    ]
    rows = ["N", 1]
    inputs = [
        helper.make_tensor_value_info(name, ints, rows) for name in ("INPUT", "INPUT_STATE", "START")
    ]
    outputs = [helper.make_tensor_value_info(name, ints, rows) for name in ("OUTPUT", "OUTPUT_STATE")]
    return onnx_bytes(helper.make_graph(nodes, "sum", inputs, outputs, [one]))


def onnx_history():
    """OUTPUT = OUTPUT_STATE = INPUT_STATE and behind it INPUT: a state that grows."""
    ints = TensorProto.INT32
    nodes = [
        helper.make_node("Concat", ["INPUT_STATE", "INPUT"], ["OUTPUT"], axis=1),
        helper.make_node("Identity", ["OUTPUT"], ["OUTPUT_STATE"]),
    ]
    shapes = {"INPUT": ["N", 1], "INPUT_STATE": ["N", "before"]}
    inputs = [helper.make_tensor_value_info(n, ints, shape) for n, shape in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(name, ints, ["N", "after"]) for name in ("OUTPUT", "OUTPUT_STATE")
    ]
    return onnx_bytes(helper.make_graph(nodes, "history", inputs, outputs))


def control(name, kind):
    """A control input that is 0 or 1."""
    flag = f"kind: CONTROL_SEQUENCE_{kind} int32_false_true: [ 0, 1 ]"
    return f'control_input {{ name: "{name}" control {{ {flag} }} }}\n'


def sum_config(backend, batching, instances=1):
    """A model of the built-in backends that sums up what a sequence sends."""
    return f"""
backend: "{backend}"
max_batch_size: 4
input [ {{ name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] }} ]
output [ {{ name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] }} ]
sequence_batching {{
  {batching}
  {control("START", "START")} {control("READY", "READY")}
}}
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
"""


def by_id(data_type):
    """Controls for a model that tells sequences by their id."""
    corrid = f"kind: CONTROL_SEQUENCE_CORRID data_type: {data_type}"
    return control("END", "END") + f'control_input {{ name: "CORRID" control {{ {corrid} }} }}'


# Inputs and outputs come from the file; those that the server fills are left out.
ONNX_SUM_CONFIG = f"""
backend: "onnxruntime"
max_batch_size: 4
sequence_batching {{
  direct {{ }}
  {control("START", "START")}
  state [
    {{ input_name: "INPUT_STATE" output_name: "OUTPUT_STATE" data_type: TYPE_INT32 dims: [ 1 ] }}
  ]
}}
"""

# The state is an output for clients as well, and begins with what a file says.
ONNX_HISTORY_CONFIG = """
backend: "onnxruntime"
max_batch_size: 4
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [
  { name: "OUTPUT" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "OUTPUT_STATE" data_type: TYPE_INT32 dims: [ -1 ] }
]
sequence_batching {
  oldest { max_candidate_sequences: 8 }
  state [
    {
      input_name: "INPUT_STATE"
      output_name: "OUTPUT_STATE"
      data_type: TYPE_INT32
      dims: [ -1 ]
      initial_state { name: "i" data_type: TYPE_INT32 dims: [ 2 ] data_file: "begins" }
    }
  ]
}
"""

SCALED_CONFIG = """
backend: "onnxruntime"
input [
  { name: "x" data_type: TYPE_FP32 dims: [ -1 ] },
  { name: "factor" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }
]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""

# One file, taken as it is.
PICTURE_CONFIG = """
backend: "identity"
input [ { name: "INPUT0" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_STRING dims: [ 1 ] } ]
"""

# The decoupled backend with delays, so that a test can stop in the middle of the answers.
REPEAT_CONFIG = """
backend: "repeat"
input [
  { name: "IN" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "DELAY" data_type: TYPE_UINT32 dims: [ -1 ] },
  { name: "WAIT" data_type: TYPE_UINT32 dims: [ 1 ] }
]
output [
  { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] },
  { name: "IDX" data_type: TYPE_UINT32 dims: [ 1 ] }
]
model_transaction_policy { decoupled: true }
"""


# The decoupled backend in an ensemble, behind it a model that answers once. It has no version folder.
STREAMED_CONFIG = """
platform: "ensemble"
input [ { name: "IN" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
ensemble_scheduling {
  max_inflight_requests: 2
  step [
    { model_name: "repeat_py" model_version: -1
      input_map { key: "IN" value: "IN" } output_map { key: "OUT" value: "number" } },
    { model_name: "identity_int32" model_version: -1
      input_map { key: "INPUT0" value: "number" } output_map { key: "OUTPUT0" value: "OUT" } }
  ]
}
"""

# Twice through a model that batches; the first result goes to the client, too.
ROWS_CONFIG = """
platform: "ensemble"
max_batch_size: 4
input [ { name: "ROW" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [ { name: "TWICE" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "ONCE" data_type: TYPE_FP32 dims: [ 2 ] } ]
ensemble_scheduling {
  step [
    { model_name: "identity_batch" model_version: -1
      input_map { key: "INPUT0" value: "ROW" } output_map { key: "OUTPUT0" value: "ONCE" } },
    { model_name: "identity_batch" model_version: 1
      input_map { key: "INPUT0" value: "ONCE" } output_map { key: "OUTPUT0" value: "TWICE" } }
  ]
}
"""


def write_model(repository, name, config=None, onnx_file=None, version=1):
    """A model folder; without `config` the server has to find everything out by itself."""
    folder = os.path.join(repository, name)
    os.makedirs(os.path.join(folder, str(version)), exist_ok=True)
    if config is not None:
        with open(os.path.join(folder, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(config)
    if onnx_file is not None:
        with open(os.path.join(folder, str(version), "model.onnx"), "wb") as f:
            f.write(onnx_file)
    return folder


def make_with(packages, script, *arguments):
    """Runs a script that makes models, with packages that are others than those of these tests."""
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    settings |= {"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, script, *arguments]
    run = subprocess.run(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, run.stdout[-4000:]


def make_sequence_models(folder):
    oldest = "oldest { max_candidate_sequences: 4 }"
    write_model(folder, "sum_by_slot", sum_config("sequence", "direct { }"))
    by_number = f"{oldest} {by_id('TYPE_UINT64')}"
    write_model(folder, "sum_by_id", sum_config("dyna_sequence", by_number, instances=2))
    by_text = f"{oldest} {by_id('TYPE_STRING')}"
    write_model(folder, "sum_by_text", sum_config("dyna_sequence", by_text))
    write_model(folder, "onnx_sum", ONNX_SUM_CONFIG, onnx_sum())
    history = write_model(folder, "onnx_history", ONNX_HISTORY_CONFIG, onnx_history())
    os.makedirs(os.path.join(history, "initial_state"), exist_ok=True)
    np.array([-2, -1], np.int32).tofile(os.path.join(history, "initial_state", "begins"))


def make_repository(folder):
    """Writes all models; returns the names of those that a server is to load at start."""
    maker = os.path.join(GOLDEN, "make_models.py")
    subprocess.run([sys.executable, maker, folder], check=True, stdout=subprocess.DEVNULL)
    for datatype, element in ONNX_TYPES.items():
        write_model(folder, f"onnx_{datatype.lower()}", onnx_file=onnx_identity(element))
    write_model(folder, "scaled", SCALED_CONFIG, onnx_scaled())
    write_model(folder, "picture", PICTURE_CONFIG)
    write_model(folder, "repeat", REPEAT_CONFIG)
    make_sequence_models(folder)
    write_model(folder, "rows", ROWS_CONFIG)
    os.rmdir(os.path.join(write_model(folder, "streamed", STREAMED_CONFIG), "1"))
    # For the tests that load, unload and override: nobody else uses these.
    shutil.copytree(os.path.join(folder, "simple_v2"), os.path.join(folder, "changing"))
    with open(os.path.join(folder, "changing", "config.pbtxt"), "r+", encoding="utf-8") as f:
        text = f.read().replace('"simple_v2"', '"changing"')
        f.seek(0)
        f.truncate()
        f.write(text)
    return sorted(set(os.listdir(folder)) - NOT_LOADED - {"changing"})
