#!/usr/bin/env python3
"""Makes TensorFlow models with real TensorFlow, and records what its Python gives for inputs to each.

    PYTHONPATH=.cache/python/tensorflow tests/tensorflow/make_models.py FOLDER

FOLDER/models is a repository, FOLDER/cases/MODEL.npz has the inputs (i/NAME) and outputs (o/NAME) of each model. Each model
runs on one thread, here and in the server, so that the same additions are made in the same order.
"""

import os
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import kinds  # noqa: E402
import usual  # noqa: E402
from pictures import pictures  # noqa: E402
from repository import RANDOM, Repository, floats, placeholder, texts, v1  # noqa: E402

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples")
sys.path.append(os.path.join(EXAMPLES, "tutorial"))
import preprocess as tutorial  # noqa: E402

# As the tutorial's tool writes it.
TUTORIAL = """
name: "detection-preprocess"
platform: "tensorflow_graphdef"
version_policy: { all { } }
max_batch_size: 0
input [
    { name: "raw_image", data_type: TYPE_STRING, dims: [1] }
]
output [
    { name: "process_img", data_type: TYPE_FP32, dims: [1, 3, 512, 512] },
    { name: "affine_trans_mat", data_type: TYPE_FP32, dims: [2, 3] }
]
instance_group [ { count: 16  kind: KIND_GPU  gpus: [0, 1, 2, 3] } ]
"""
# ----------------------------------------------------------------------------------- graphs


def perceptron():
    x = placeholder("x", tf.float32, None, 64)
    for width in (128, 32):
        weights = tf.constant(floats(x.shape[-1], width))
        x = tf.nn.relu(tf.matmul(x, weights) + tf.constant(floats(width)))
    return {"probabilities": tf.nn.softmax(x)}


def convolution(layout):
    def build():
        first = layout == "NCHW"
        x = placeholder("image", tf.float32, None, *((3, 40, 56) if first else (40, 56, 3)))
        strides = [1, 1, 2, 2] if first else [1, 2, 2, 1]
        x = tf.nn.conv2d(x, tf.constant(floats(3, 3, 3, 16)), strides, "SAME", data_format=layout)
        x = tf.nn.relu(tf.nn.bias_add(x, tf.constant(floats(16)), data_format=layout))
        x = tf.nn.conv2d(x, tf.constant(floats(3, 3, 16, 8)), 1, "VALID", data_format=layout)
        sizes = [1, 1, 2, 2] if first else [1, 2, 2, 1]
        return {"features": tf.nn.max_pool2d(x, sizes, sizes, "VALID", data_format=layout)}

    return build


def depthwise():
    x = placeholder("image", tf.float32, None, None, None, 8)
    x = tf.nn.depthwise_conv2d(x, tf.constant(floats(3, 3, 8, 1)), [1, 1, 1, 1], "SAME")
    mean, variance = tf.constant(floats(8)), tf.constant(np.abs(floats(8)))
    x = tf.nn.batch_normalization(x, mean, variance, tf.constant(floats(8)), tf.constant(floats(8)), 1e-3)
    return {"features": tf.nn.relu6(x), "averages": tf.reduce_mean(x, [1, 2])}


def attention():
    x = placeholder("tokens", tf.float32, None, None, 32)
    query, key, value = (tf.matmul(x, tf.constant(floats(1, 32, 32))) for _ in range(3))
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / np.float32(np.sqrt(32)))
    return {"context": tf.matmul(weights, value), "weights": weights}


def recurrence():
    x = placeholder("x", tf.float32, None, 8)
    weights = tf.constant(floats(16, 8) * np.float32(0.3))

    def step(index, state, all_states):
        joined = tf.concat([x[index : index + 1], state], 1)
        state = tf.tanh(tf.matmul(joined, weights))
        return index + 1, state, all_states.write(index, state)

    count = tf.shape(x)[0]
    start = (tf.constant(0), tf.zeros([1, 8]), tf.TensorArray(tf.float32, size=count))
    _, last, states = tf.while_loop(lambda index, *_: index < count, step, start)
    return {"last": last, "states": states.stack()}


def integers():
    a, b = placeholder("a", tf.int32, None, 4), placeholder("b", tf.int32, None, 4)
    return {"sum": a + b, "quotient": a // b, "largest": tf.cast(tf.argmax(a, 1), tf.int64), "same": tf.equal(a, b)}


def types():
    half, double = placeholder("half", tf.float16, None), placeholder("double", tf.float64, None)
    byte, flag = placeholder("byte", tf.uint8, None), placeholder("flag", tf.bool, None)
    wide = tf.where(flag, double, tf.cast(half, tf.float64))
    return {"wide": wide, "bytes": tf.bitwise.invert(byte), "nots": tf.logical_not(flag), "halves": half * half}


def words():
    text = placeholder("text", tf.string, None)
    parts = tf.strings.split(text, " ").to_tensor(default_value="")
    return {
        "parts": parts,
        "upper": tf.strings.upper(text),
        "length": tf.strings.length(text, unit="UTF8_CHAR"),
        "bucket": tf.strings.to_hash_bucket_fast(text, 1000),
        "joined": tf.strings.reduce_join(text, separator="|"),
    }


def scalars():
    x, factor = placeholder("x", tf.float32, None, 3), placeholder("factor", tf.float32)
    return {"scaled": x * factor, "total": tf.reduce_sum(x * factor)}


def tops():
    scores = placeholder("scores", tf.float32, None)
    boxes = placeholder("boxes", tf.float32, None, 4)
    kept = tf.image.non_max_suppression(boxes, scores, 10, 0.5)
    values, places = tf.nn.top_k(scores, 5)
    return {"kept": kept, "values": values, "places": places, "picked": tf.gather(boxes, kept)}


def branches():
    x, flag = placeholder("x", tf.float32, None), placeholder("flag", tf.bool)
    return {"y": tf.cond(flag, lambda: tf.cumsum(x), lambda: tf.sort(x))}


def spectrum():
    sound = placeholder("sound", tf.float32, None)
    frames = tf.signal.stft(sound, 256, 128, 256)
    mel = tf.signal.linear_to_mel_weight_matrix(20, 129, 16000, 80.0, 7600.0)
    return {"mel": tf.math.log(tf.matmul(tf.abs(frames), mel) + 1e-6)}


def solved():
    a, b = placeholder("a", tf.float32, None, 3, 3), placeholder("b", tf.float32, None, 3, 2)
    return {"x": tf.linalg.solve(a, b), "determinant": tf.linalg.det(a)}


def preprocess(size):
    """The first step of the tutorial's ensemble: the file of a picture to a network's input, and the map back."""

    def build():
        picture, matrix = tutorial.preprocess(placeholder("raw_image", tf.string, 1), size, size)
        return {"process_img": picture, "affine_trans_mat": matrix}

    return build


# ------------------------------------------------------------------------------ SavedModels


class Dense(tf.Module):
    """Weights in variables."""

    def __init__(self):
        super().__init__()
        self.weights, self.bias = tf.Variable(floats(16, 4)), tf.Variable(floats(4))

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.float32, name="x")])
    def serve(self, x):
        return {"y": tf.matmul(x, self.weights) + self.bias}

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.float32, name="x")])
    def double(self, x):
        return {"twice": 2 * (tf.matmul(x, self.weights) + self.bias)}


class Vocabulary(tf.Module):
    """A table in a file beside the model, read when it is loaded."""

    def __init__(self, file):
        super().__init__()
        initializer = tf.lookup.TextFileInitializer(
            file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initializer, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def serve(self, words):
        return {"ids": self.table.lookup(words), "count": tf.shape(words)}


def keras_classifier():
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((28, 28, 1), name="image"),
            tf.keras.layers.Conv2D(8, 3, activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(16, 3, activation="relu"),
            tf.keras.layers.GlobalAveragePooling2D(),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )


def keras_recurrent():
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((None, 6), name="steps"),
            tf.keras.layers.LSTM(12, return_sequences=True),
            tf.keras.layers.GRU(8),
            tf.keras.layers.Dense(3),
        ]
    )


def make_graphs(repository):
    graph = repository.graph
    graph("perceptron", perceptron, [{"x": floats(n, 64)} for n in (1, 3)], max_batch_size=8)
    graph("convolution_nhwc", convolution("NHWC"), [{"image": floats(n, 40, 56, 3)} for n in (1, 2)], 4)
    graph("convolution_nchw", convolution("NCHW"), [{"image": floats(n, 3, 40, 56)} for n in (1, 2)], 4)
    graph("depthwise", depthwise, [{"image": floats(1, 17, 23, 8)}, {"image": floats(2, 9, 31, 8)}])
    graph("attention", attention, [{"tokens": floats(2, 7, 32)}], max_batch_size=4)
    graph("recurrence", recurrence, [{"x": floats(5, 8)}, {"x": floats(1, 8)}])
    numbers = [RANDOM.integers(1, 100, (2, 4)).astype(np.int32) for _ in range(2)]
    graph("integers", integers, [dict(zip("ab", numbers))], max_batch_size=4)
    graph(
        "types",
        types,
        [
            {
                "half": np.array([1.5, -2.25], np.float16),
                "double": np.array([1e300, 2.0]),
                "byte": np.array([0, 200], np.uint8),
                "flag": np.array([True, False]),
            }
        ],
    )
    graph("words", words, [{"text": texts(b"one two three", "für Élise".encode(), b"")}])
    graph("scalars", scalars, [{"x": floats(2, 3), "factor": np.float32(2.5)}], config=False)
    boxes = np.abs(floats(20, 4))
    boxes[:, 2:] += boxes[:, :2]
    graph("tops", tops, [{"scores": floats(20), "boxes": boxes}])
    graph("branches", branches, [{"x": floats(9), "flag": np.bool_(flag)} for flag in (True, False)], config=False)
    graph("spectrum", spectrum, [{"sound": floats(4000)}])
    graph("solved", solved, [{"a": floats(4, 3, 3), "b": floats(4, 3, 2)}], max_batch_size=8)
    files = [{"raw_image": texts(content)} for content in pictures()]
    graph("detection-preprocess", preprocess(512), files)
    repository.config("detection-preprocess", TUTORIAL)
    graph("detection-preprocess-320", preprocess(320), files[:2])


def make_saved_models(repository, folder):
    saved = repository.saved
    dense = Dense()
    rows = [{"x": floats(n, 16)} for n in (1, 3)]
    both = {"serving_default": dense.serve, "serving2": dense.double}

    def save_both(folder):
        tf.saved_model.save(dense, folder, signatures=both)

    saved("dense", save_both, rows, max_batch_size=4)
    chosen = 'parameters { key: "TF_SIGNATURE_DEF" value { string_value: "serving2" } }'
    saved("dense_twice", save_both, rows, extra=chosen, max_batch_size=4, signatures=both)
    file = os.path.join(folder, "words.txt")
    with open(file, "w", encoding="utf-8") as f:
        f.write("alpha\nbeta\ngamma\n")
    vocabulary = Vocabulary(file)
    words = [{"words": texts(b"gamma", b"delta", b"alpha")}]
    saved("vocabulary", lambda folder: tf.saved_model.save(vocabulary, folder, signatures=vocabulary.serve), words)
    os.remove(file)
    tf.keras.utils.set_random_seed(15)
    images = [{"image": floats(n, 28, 28, 1)} for n in (1, 2)]
    saved("keras_classifier", lambda folder: keras_classifier().export(folder, verbose=False), images, max_batch_size=4)
    steps = [{"steps": floats(2, 9, 6)}, {"steps": floats(1, 4, 6)}]
    saved("keras_recurrent", lambda folder: keras_recurrent().export(folder, verbose=False), steps, max_batch_size=4)


def main():
    (folder,) = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    repository = Repository(folder)
    make_graphs(repository)
    make_saved_models(repository, folder)
    kinds.make(repository)
    usual.make(repository)
    print(len(os.listdir(repository.models)), "models")


if __name__ == "__main__":
    main()
