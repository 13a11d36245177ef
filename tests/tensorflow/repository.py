"""A repository of TensorFlow models, and what TensorFlow's own Python gives for inputs to each of them."""

import json
import os

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
TYPES = {
    tf.float32: "TYPE_FP32",
    tf.float64: "TYPE_FP64",
    tf.float16: "TYPE_FP16",
    tf.bfloat16: "TYPE_BF16",
    tf.int8: "TYPE_INT8",
    tf.int16: "TYPE_INT16",
    tf.uint16: "TYPE_UINT16",
    tf.uint32: "TYPE_UINT32",
    tf.uint64: "TYPE_UINT64",
    tf.int32: "TYPE_INT32",
    tf.int64: "TYPE_INT64",
    tf.uint8: "TYPE_UINT8",
    tf.bool: "TYPE_BOOL",
    tf.string: "TYPE_STRING",
}
ONE_THREAD = """
parameters { key: "TF_NUM_INTRA_THREADS" value { string_value: "1" } }
parameters { key: "TF_NUM_INTER_THREADS" value { string_value: "1" } }
"""
RANDOM = np.random.default_rng(15)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def config_tensor(name, dtype, dims):
    return f'{{ name: "{name}", data_type: {TYPES[dtype]}, dims: {[-1 if d is None else d for d in dims]} }}'


class Repository:
    def __init__(self, folder):
        self.models, self.cases = os.path.join(folder, "models"), os.path.join(folder, "cases")
        os.makedirs(self.models)
        os.makedirs(self.cases)

    def config(self, name, text):
        with open(os.path.join(self.models, name, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(text + ONE_THREAD)

    def record(self, name, inputs, outputs):
        """Several requests: a list of dictionaries of arrays for each side."""
        named = {}
        for index, (given, expected) in enumerate(zip(inputs, outputs)):
            named |= {f"{index}/i/{key}": value for key, value in given.items()}
            named |= {f"{index}/o/{key}": value for key, value in expected.items()}
        np.savez(os.path.join(self.cases, f"{name}.npz"), **named)

    def graph(self, name, build, inputs, max_batch_size=0, config=True, init_ops=()):
        """A frozen graph. build() makes it in the default graph and returns its outputs by name. Nodes of init_ops are run once, first."""
        graph = tf.Graph()
        with graph.as_default():
            made = build()
            outputs = {key: tf.identity(tensor, name=key) for key, tensor in made.items()}
            settings = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
            with v1.Session(graph=graph, config=settings) as session:
                session.run([v1.global_variables_initializer(), *init_ops])
                results = [
                    session.run(outputs, {f"{key}:0": value for key, value in given.items()}) for given in inputs
                ]
                frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [*outputs, *init_ops])
        folder = os.path.join(self.models, name, "1")
        os.makedirs(folder)
        with open(os.path.join(folder, "model.graphdef"), "wb") as f:
            f.write(frozen.SerializeToString())
        batched = 1 if max_batch_size else 0
        if config:
            shown = inputs[0] | results[0]
            shapes = {key: graph.get_tensor_by_name(f"{key}:0").shape for key in shown}
            types = {key: graph.get_tensor_by_name(f"{key}:0").dtype for key in shown}
            # What the graph does not know, the config has to say.
            dims = {key: [-1] * np.ndim(shown[key]) if shape.rank is None else shape.as_list() for key, shape in shapes.items()}
            lists = [
                f"{kind} [ " + ", ".join(config_tensor(key, types[key], dims[key][batched:]) for key in keys) + " ]"
                for kind, keys in (("input", inputs[0]), ("output", outputs))
            ]
            head = f'platform: "tensorflow_graphdef"\nmax_batch_size: {max_batch_size}\n'
            self.config(name, head + "\n".join(lists))
        else:
            self.config(name, f'platform: "tensorflow_graphdef"\nmax_batch_size: {max_batch_size}\n')
        if init_ops:
            with open(os.path.join(self.models, name, "init_ops.json"), "w", encoding="utf-8") as f:
                json.dump({"init_ops": list(init_ops)}, f)
            with open(os.path.join(self.models, name, "config.pbtxt"), "a", encoding="utf-8") as f:
                f.write('parameters { key: "TF_INIT_OPS_FILE" value { string_value: "init_ops.json" } }\n')
        self.record(name, inputs, results)

    def saved(self, name, save, inputs, extra="", max_batch_size=0, signatures=(), in_session=False):
        """What save() makes of a folder, with a config that leaves its tensors to the file. Of functions within functions the eager
        runtime rewrites more than a session, which changes last bits: in_session says to run it as the server does."""
        folder = os.path.join(self.models, name, "1", "model.savedmodel")
        save(folder)
        wanted = next((key for key in signatures if f'"{key}"' in extra), "serving_default")
        results = self.run_in_session(folder, inputs) if in_session else self.call(folder, wanted, inputs)
        self.config(name, f'platform: "tensorflow_savedmodel"\nmax_batch_size: {max_batch_size}\n{extra}')
        self.record(name, inputs, results)

    def call(self, folder, signature, inputs):
        call = tf.saved_model.load(folder).signatures[signature]
        results = [call(**{key: tf.constant(value) for key, value in given.items()}) for given in inputs]
        return [{key: value.numpy() for key, value in result.items()} for result in results]

    def run_in_session(self, folder, inputs):
        settings = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        with v1.Session(graph=tf.Graph(), config=settings) as session:
            signature = v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
            outputs = {key: info.name for key, info in signature.outputs.items()}
            feeds = [{signature.inputs[key].name: value for key, value in given.items()} for given in inputs]
            return [session.run(outputs, feed) for feed in feeds]


def placeholder(name, dtype, *shape):
    return v1.placeholder(dtype, shape, name=name)


def texts(*values):
    return np.array(values, dtype=object)
