"""What `scripts/bench engines` runs with TensorFlow's own Python: `make FOLDER` writes graphs, `loop ...` runs one in a bare loop."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from loop import loop  # noqa: E402

v1 = tf.compat.v1


def weights(*shape):
    return tf.constant(np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.05)


def convolution(x, out, stride=1, size=3):
    return tf.nn.conv2d(x, weights(size, size, x.shape[-1], out), stride, "SAME")


def convolutions(x):
    for out, stride in ((32, 2), (32, 1), (32, 2), (32, 1), (32, 2)):
        x = tf.nn.relu(convolution(x, out, stride))
    return tf.reduce_mean(x, [1, 2])


def residual(x):
    x = tf.nn.max_pool2d(tf.nn.relu(convolution(x, 64, 2, 7)), 3, 2, "SAME")
    for out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        short = convolution(x, out, stride, 1) if x.shape[-1] != out else x
        x = tf.nn.relu(convolution(tf.nn.relu(convolution(x, out, stride)), out) + short)
    return tf.linalg.matmul(tf.reduce_mean(x, [1, 2]), weights(512, 1000))


def dense(x):
    return tf.linalg.matmul(tf.nn.relu(tf.linalg.matmul(x, weights(64, 64))), weights(64, 8))


MODELS = {"convolutions": (convolutions, [96, 96, 3]), "residual": (residual, [224, 224, 3]), "dense": (dense, [64])}


def make(folder):
    for name, (model, dims) in MODELS.items():
        with tf.Graph().as_default() as graph:
            tf.identity(model(v1.placeholder(tf.float32, [None, *dims], "x")), "y")
        with open(os.path.join(folder, f"{name}.graphdef"), "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())


def main():
    if sys.argv[1] == "make":
        return make(sys.argv[2])
    for within in (0, 1):
        # The first session decides of the pools of its process.
        if os.fork() == 0:
            run_with(within, *sys.argv[2:])
            os._exit(0)
        os.wait()
    return 0


def run_with(within, path, shape, threads, seconds):
    content = v1.GraphDef()
    with open(path, "rb") as file:
        content.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(content, name="")
    config = v1.ConfigProto(intra_op_parallelism_threads=within, inter_op_parallelism_threads=within)
    session = v1.Session(graph=graph, config=config)
    # As fast as Python can: what to feed and to fetch is known beforehand.
    run = session.make_callable("y:0", ["x:0"])
    data = np.zeros([int(size) for size in shape.split(",")], np.float32)
    loop(lambda: run(data), int(threads), float(seconds))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
