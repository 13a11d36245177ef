"""More models as people have them: frozen functions with control flow, texts, sound, pictures, flags with a default, several signatures."""

import os
import struct

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from repository import RANDOM, config_tensor, floats, placeholder, texts, v1

WEIGHTS = floats(6, 6)


@tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x"), tf.TensorSpec([1], tf.int32, "n")])
def nested(x, n):
    def step(index, state):
        return index + 1, tf.cond(tf.reduce_sum(state) > 0, lambda: state @ WEIGHTS * 0.3, lambda: tf.sin(state) + 1.0)

    _, state = tf.while_loop(lambda index, _: index < n[0], step, (0, x))
    chosen = tf.switch_case(n[0] % 3, [lambda: tf.nn.softmax(state), lambda: tf.nn.log_softmax(state), lambda: -state])
    return chosen, tf.reduce_max(chosen, axis=1)


def frozen_functions(repository, name, function, inputs):
    """A function as TensorFlow 2 freezes it: what it calls, conditions and loops stay functions of the graph."""
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(), lower_control_flow=False)
    described = frozen.graph.as_graph_def()
    assert described.library.function
    folder = os.path.join(repository.models, name, "1")
    os.makedirs(folder)
    with open(os.path.join(folder, "model.graphdef"), "wb") as f:
        f.write(described.SerializeToString())
    settings = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    fetched = {tensor.name.removesuffix(":0"): tensor.name for tensor in frozen.outputs}
    with v1.Session(graph=tf.Graph(), config=settings) as session:
        tf.import_graph_def(described, name="")
        results = [session.run(fetched, {f"{key}:0": value for key, value in given.items()}) for given in inputs]
    lists = []
    for kind, tensors in (("input", frozen.inputs), ("output", frozen.outputs)):
        parts = [config_tensor(each.name.removesuffix(":0"), each.dtype, each.shape.as_list()) for each in tensors]
        lists.append(f"{kind} [ {', '.join(parts)} ]")
    repository.config(name, 'platform: "tensorflow_graphdef"\n' + "\n".join(lists))
    repository.record(name, inputs, results)


def text_shop():
    text = placeholder("s", tf.string, None)
    clean = tf.strings.regex_replace(tf.strings.lower(text), r"[^a-z0-9 ]+", "_")
    parts = tf.strings.split(clean, " ").to_tensor("")
    return {
        "joined": tf.strings.reduce_join(parts, axis=-1, separator="|"),
        "parts": parts,
        "utf16": tf.strings.unicode_transcode(text, "UTF-8", "UTF-16-BE"),
        "points": tf.strings.unicode_decode(text, "UTF-8").to_tensor(-1),
        "base64": tf.io.encode_base64(text),
        "bucket": tf.strings.to_hash_bucket_strong(text, 1000, [1, 2]),
        "matches": tf.strings.regex_full_match(text, "a.*"),
        "count": tf.strings.as_string(tf.strings.length(text, unit="UTF8_CHAR")),
        "written": tf.reshape(tf.strings.format("{} of {}", (text, tf.shape(text))), [1]),
    }


def training_flag():
    """As networks of TensorFlow 1 have it: names with scopes, and inputs that have values of their own."""
    x = placeholder("scope/in/x", tf.float32, None, 8)
    is_training = v1.placeholder_with_default(tf.constant(False), [], name="is_training")
    keep = v1.placeholder_with_default(tf.constant([0.5, 0.25]), [2], name="keep")
    with v1.variable_scope("net"):
        y = tf.matmul(x, v1.get_variable("w", initializer=tf.constant(floats(8, 4))))
        y = tf.cond(is_training, lambda: y * keep[0], lambda: y * keep[1])
    return {"net/out/y": y, "net/best": tf.argmax(y, 1)}


def pictures_of_many():
    x = placeholder("x", tf.float32, None, None, None, 3)
    boxes = tf.constant([[0.1, 0.1, 0.9, 0.8], [0, 0, 1, 1]], tf.float32)
    bounded = tf.clip_by_value(x, 0, 1)
    return {
        "cubic": tf.image.resize(x, [7, 9], "bicubic"),
        "lanczos": tf.image.resize(x, [5, 5], "lanczos3", antialias=True),
        "area": tf.image.resize(x, [4, 4], "area"),
        "crops": tf.image.crop_and_resize(x, boxes, [0, 0], [3, 3]),
        "hue": tf.image.adjust_hue(bounded, 0.2),
        "turned": tf.image.rot90(x),
        "edges": tf.image.sobel_edges(x),
        "kept": tf.image.non_max_suppression(boxes, [0.3, 0.9], 2, 0.3),
        "png": tf.reshape(tf.io.encode_png(tf.cast(bounded[0] * 255, tf.uint8)), [1]),
    }


def halves():
    x, y = placeholder("x", tf.float16, None, 32), placeholder("y", tf.bfloat16, None, 32)
    weights = RANDOM.standard_normal((32, 8))
    return {
        "half": tf.matmul(x, tf.constant(weights.astype(np.float16))),
        "brain": tf.nn.softmax(tf.matmul(y, tf.cast(tf.constant(weights), tf.bfloat16))),
        "unit": tf.nn.l2_normalize(x, 1),
    }


def drawn_by_seed():
    seed = placeholder("seed", tf.int32, 2)
    random = tf.random
    return {
        "even": random.stateless_uniform([5], seed),
        "normal": random.stateless_normal([2, 3], seed),
        "shuffled": random.experimental.stateless_shuffle(tf.range(9), seed),
        "classes": random.stateless_categorical([[0.1, 0.9]], 4, seed),
    }


def sound():
    audio, rate = tf.audio.decode_wav(placeholder("wav", tf.string, 1)[0], desired_channels=1)
    frames = tf.abs(tf.signal.stft(audio[:, 0], 128, 64))
    mel = tf.matmul(frames, tf.signal.linear_to_mel_weight_matrix(20, 65, 8000))
    return {"mfcc": tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(mel + 1e-6)), "rate": rate, "samples": audio}


def wav(count):
    samples = (np.sin(np.arange(count) / 7) * 9000).astype("<i2").tobytes()
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(samples)) + samples


def faked_quantization():
    x = placeholder("x", tf.float32, None, 6, 6, 3)
    weights = tf.quantization.fake_quant_with_min_max_args(tf.constant(floats(3, 3, 3, 4)), -2, 2)
    y = tf.nn.conv2d(tf.quantization.fake_quant_with_min_max_vars(x, -3.0, 3.0), weights, 1, "SAME")
    y = tf.nn.batch_normalization(y, 0.1, 1.2, 0.0, 1.0, 1e-3)
    return {"y": tf.nn.relu6(y), "spread": tf.nn.depth_to_space(y, 2), "local": tf.nn.local_response_normalization(y)}


class Several(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(floats(4, 4))
        known = tf.lookup.KeyValueTensorInitializer(["a", "b"], [0, 1], tf.string, tf.int64)
        self.table = tf.lookup.StaticVocabularyTable(known, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def serve(self, x):
        return {"y": x @ self.weights, "rows": tf.shape(x)[0]}

    @tf.function(input_signature=[tf.TensorSpec([2, None], tf.string, "words")])
    def ids(self, words):
        return {"ids": self.table.lookup(words), "unknown": self.table.lookup(words) > 1}

    @tf.function(input_signature=[])
    def nothing(self):
        return {"constant": tf.constant([1, 2, 3])}


def tagged(folder):
    """Three graphs in one file, of which two share their variables with the first."""
    builder = v1.saved_model.Builder(folder)
    for index, (tags, factor) in enumerate(((["train"], 3.0), (["serve", "tpu"], 5.0), (["mine"], 2.0))):
        with tf.Graph().as_default(), v1.Session() as session:
            x = placeholder("x", tf.float32, 2)
            y = tf.identity(x * factor + v1.Variable(0.5, name="v"), name="y")
            session.run(v1.global_variables_initializer())
            signatures = {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})}
            if index == 0:
                builder.add_meta_graph_and_variables(session, tags, signatures)
            else:
                builder.add_meta_graph(tags, signatures)
    builder.save()


def keras_attention():
    layers = tf.keras.layers
    steps, mask = layers.Input((None, 16), name="steps"), layers.Input((None,), dtype="bool", name="mask")
    attended = layers.MultiHeadAttention(2, 8)(steps, steps, attention_mask=mask[:, None, :])
    tokens = layers.Dense(4, activation="gelu")(layers.LayerNormalization()(steps + attended))
    return tf.keras.Model({"steps": steps, "mask": mask}, {"tokens": tokens, "pooled": layers.GlobalAveragePooling1D()(tokens)})


def keras_convolutions():
    layers = tf.keras.layers
    image = made = layers.Input((16, 16, 3), name="image")
    for channels in (8, 16):
        made = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False)(made)
        made = layers.MaxPool2D()(layers.Activation("swish")(layers.BatchNormalization()(made)))
    return tf.keras.Model(image, [layers.GlobalMaxPool2D()(made), layers.Conv2DTranspose(2, 2, strides=2)(made)])


def make(repository):
    steps = [{"x": floats(3, 6), "n": np.array([count], np.int32)} for count in (0, 1, 2, 5, 7)]
    frozen_functions(repository, "nested_functions", nested, steps)
    graph, saved = repository.graph, repository.saved
    graph("text_shop", text_shop, [{"s": texts("Grüße, Welt".encode(), b"a b  c", "日本".encode(), b"")}, {"s": texts(b"a")}])
    graph("training_flag", training_flag, [{"scope/in/x": floats(rows, 8)} for rows in (2, 5)], max_batch_size=8)
    graph("pictures_of_many", pictures_of_many, [{"x": np.abs(floats(*shape, 3))} for shape in ((1, 8, 6), (2, 13, 10))])
    rows = [{"x": floats(rows, 32).astype(np.float16), "y": tf.cast(floats(rows, 32), tf.bfloat16).numpy()} for rows in (1, 5)]
    graph("halves", halves, rows, max_batch_size=8)
    graph("drawn_by_seed", drawn_by_seed, [{"seed": np.array(seed, np.int32)} for seed in ((1, 2), (7, -3))])
    graph("sound", sound, [{"wav": texts(wav(count))} for count in (1000, 400)])
    graph("faked_quantization", faked_quantization, [{"x": floats(rows, 6, 6, 3)} for rows in (1, 4)], max_batch_size=4)
    several = Several()
    signatures = {"serving_default": several.serve, "ids": several.ids, "nothing": several.nothing}

    def save(folder):
        tf.saved_model.save(several, folder, signatures=signatures)

    def of_signature(name):
        return f'parameters {{ key: "TF_SIGNATURE_DEF" value {{ string_value: "{name}" }} }}\n'

    words = texts([b"a", b"b"], [b"zzz", "ä".encode()])
    saved("several_ids", save, [{"words": words}], extra=of_signature("ids"), signatures=signatures)
    saved("several_nothing", save, [{}], extra=of_signature("nothing"), signatures=signatures)
    folder = os.path.join(repository.models, "tagged", "1", "model.savedmodel")
    tagged(folder)
    repository.config("tagged", 'platform: "tensorflow_savedmodel"\nparameters { key: "TF_GRAPH_TAG" value { string_value: "mine" } }\n')
    repository.record("tagged", [{"x": np.array([1, 2], np.float32)}], [{"y": np.array([2.5, 4.5], np.float32)}])
    tf.keras.utils.set_random_seed(17)
    steps = [{"steps": floats(rows, count, 16), "mask": np.ones((rows, count), bool)} for rows, count in ((1, 3), (2, 7))]
    saved("keras_attention", lambda path: keras_attention().export(path, verbose=False), steps, in_session=True)
    images = [{"image": floats(rows, 16, 16, 3)} for rows in (1, 3)]
    saved("keras_convolutions", lambda path: keras_convolutions().export(path, verbose=False), images, max_batch_size=4, in_session=True)
