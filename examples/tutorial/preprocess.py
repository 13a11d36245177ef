"""The first model: a TensorFlow graph from the file of a picture to the input of the network, as the tutorial has it."""

import os

# Nothing is computed here: what the library says of its kernels is not of interest.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

MEAN, DEVIATION = (0.408, 0.447, 0.470), (0.274, 0.274, 0.274)


def preprocess(raw, height, width, stride=4):
    """(picture [1,3,height,width], matrix [2,3] from cells of the heat map to pixels of the picture) of a file's bytes.

    The picture keeps its ratio, with black around it; it is resized by the kernel of TensorFlow 1. The matrix takes the longer
    side of both, the picture and the heat map.
    """
    v1 = tf.compat.v1
    picture = tf.io.decode_image(raw[0], channels=None, dtype=tf.uint8, expand_animations=False)
    picture.set_shape([None, None, 3])
    resized = v1.image.resize_image_with_pad(tf.expand_dims(picture, 0), height, width)
    planes = tf.transpose(tf.cast(resized, tf.float32), [0, 3, 1, 2]) / 255.0
    mean, deviation = (
        tf.constant(np.array(each, np.float32).reshape(1, 3, 1, 1)) for each in (MEAN, DEVIATION)
    )
    sides = [tf.cast(tf.shape(picture)[side], tf.float32) for side in (1, 0)]
    x, y = (side / 2.0 for side in sides)
    reach = tf.maximum(x, y)
    source = tf.stack([tf.stack([x, y]), tf.stack([x, y - reach]), tf.stack([x - reach, y])])
    u, v = width / stride / 2, height / stride / 2
    far = max(u, v)
    target = tf.constant([[u, v, 1.0], [u, v - far, 1.0], [u - far, v, 1.0]], tf.float32)
    matrix = tf.transpose(tf.linalg.solve(target, source))
    return (planes - mean) / deviation, matrix


def graph(height, width):
    """The frozen graph, serialized."""
    made = tf.Graph()
    with made.as_default():
        raw = tf.compat.v1.placeholder(tf.string, [1], name="raw_image")
        picture, matrix = preprocess(raw, height, width)
        tf.identity(picture, name="process_img")
        tf.identity(matrix, name="affine_trans_mat")
    # There are no variables to freeze.
    return made.as_graph_def().SerializeToString()
