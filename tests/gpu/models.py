"""The model repositories of the acceptance: each network on the CPU, and on the GPU in several ways."""

import os
import shutil

SIDE = 320
CENTERFACE = f"""
max_batch_size: {{batch}}
dynamic_batching {{{{ }}}}
input {{{{ name: "input.1" data_type: TYPE_FP32 dims: [ 3, {SIDE}, {SIDE} ] }}}}
output [
  {{{{ name: "537" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] }}}},
  {{{{ name: "538" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] }}}},
  {{{{ name: "539" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] }}}},
  {{{{ name: "540" data_type: TYPE_FP32 dims: [ 10, -1, -1 ] }}}}
]
"""
MAGIKA = """
max_batch_size: {batch}
dynamic_batching {{ }}
"""


# Exact products instead of TF32's, which have 10 bits behind the point.
WITHOUT_TF32 = """
optimization { execution_accelerators { gpu_execution_accelerator {
  name: "cuda" parameters { key: "use_tf32" value: "0" } } } }
"""


class Repository:
    """A folder of models, made of ONNX files that are linked, not copied."""

    def __init__(self, folder, files):
        self.folder, self.files = folder, files
        os.makedirs(folder, exist_ok=True)

    def add(self, name, file, body, kind, count=1, batch=32, parameters=(), more=""):
        """A model of the file, with `count` instances of that kind."""
        version = os.path.join(self.folder, name, "1")
        os.makedirs(version, exist_ok=True)
        target = os.path.join(version, "model.onnx")
        if not os.path.exists(target):
            try:
                os.link(self.files[file], target)
            except OSError:
                shutil.copyfile(self.files[file], target)
        text = f'name: "{name}"\nbackend: "onnxruntime"\n{body.format(batch=batch)}\n'
        text += f"instance_group {{ kind: {kind} count: {count} }}\n"
        for key, value in dict(parameters).items():
            text += f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        with open(os.path.join(self.folder, name, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(text + more)
        return name


def find_files(folder):
    """The ONNX files of the acceptance by name, those that are there."""
    places = {
        "centerface": ["centerface/1/model.onnx", "centerface.onnx"],
        "magika": ["magika/1/model.onnx", "magika.onnx"],
        "minilm": ["minilm/1/model.onnx", "minilm.onnx"],
    }
    found = {}
    for name, paths in places.items():
        for path in paths:
            full = os.path.join(folder, path)
            if os.path.isfile(full):
                found.setdefault(name, full)
    return found


def make_transformer(path, layers=6, width=384, heads=12, length=128, words=30522):
    """A transformer of MiniLM's measures with random weights: what there is where no weights can be fetched. Its numbers are of
    the size that those of a trained one have, as each layer is normalised."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random, nodes, weights = np.random.default_rng(0), [], []

    def weight(name, *shape):
        array = (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(name, value, dtype):
        weights.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def dense(x, name, a, b):
        product = node("MatMul", [x, weight(name + "_w", a, b)], name + "_p")
        zeros = constant(name + "_b", np.zeros(b), np.float32)
        return node("Add", [product, zeros], name)

    def normalised(x, name):
        scale, bias = (
            constant(name + "_s", np.ones(width), np.float32),
            constant(name + "_c", np.zeros(width), np.float32),
        )
        return node("LayerNormalization", [x, scale, bias], name, axis=-1)

    size = width // heads
    split = constant("split", [0, length, heads, size], np.int64)
    join = constant("join", [0, length, width], np.int64)
    scale = constant("scale", np.sqrt(size), np.float32)
    x = normalised(node("Gather", [weight("words", words, width), "input_ids"], "embedded"), "n")
    for layer in range(layers):
        parts = {}
        for part in "qkv":
            flat = dense(x, f"{part}{layer}", width, width)
            shaped = node("Reshape", [flat, split], f"{part}r{layer}")
            order = [0, 2, 3, 1] if part == "k" else [0, 2, 1, 3]
            parts[part] = node("Transpose", [shaped], f"{part}t{layer}", perm=order)
        scores = node("MatMul", [parts["q"], parts["k"]], f"scores{layer}")
        share = node("Softmax", [node("Div", [scores, scale], f"d{layer}")], f"share{layer}", axis=-1)
        mixed = node("MatMul", [share, parts["v"]], f"mixed{layer}")
        mixed = node("Transpose", [mixed], f"back{layer}", perm=[0, 2, 1, 3])
        mixed = dense(node("Reshape", [mixed, join], f"joined{layer}"), f"o{layer}", width, width)
        x = normalised(node("Add", [x, mixed], f"a{layer}"), f"n1_{layer}")
        inner = dense(x, f"up{layer}", width, 4 * width)
        sigmoid = node("Sigmoid", [inner], f"sigmoid{layer}")
        inner = node("Mul", [inner, sigmoid], f"gelu{layer}")
        x = normalised(
            node("Add", [x, dense(inner, f"down{layer}", 4 * width, width)], f"b{layer}"), f"n2_{layer}"
        )
    node("ReduceMean", [x, constant("axis", [1], np.int64)], "embedding", keepdims=0)
    graph = helper.make_graph(
        nodes,
        "transformer",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", length])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
