"""More models for make_models.py, each of a kind of its own: old and new control flow, tables, strings, what is sparse, ragged, complex or
quantized within, small integers, shapes that nobody knows, variables in parts."""

import os

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from repository import RANDOM, floats, placeholder, texts, v1

# ----------------------------------------------------------------------------------- graphs


def old_loops():
    """A loop within a loop and branches, of the operations before functions: Enter, Switch, Merge, NextIteration, Exit."""
    x, count = placeholder("x", tf.float32, None, 4), placeholder("count", tf.int32)

    def inner(row, value):
        return row + 1, value + tf.cond(tf.equal(row % 2, 0), lambda: value * 0.5, lambda: tf.tanh(value))

    def outer(turn, value, history):
        _, value = v1.while_loop(lambda row, _: row < 3, inner, (tf.constant(0), value))
        return turn + 1, value, history.write(turn, tf.reduce_sum(value, 1))

    history = tf.TensorArray(tf.float32, size=count)
    start = (tf.constant(0), x, history)
    shapes = (tf.TensorShape([]), x.shape, tf.TensorShape(None))
    _, value, history = v1.while_loop(lambda turn, *_: turn < count, outer, start, shapes)
    return {"value": value, "history": history.stack()}


def lists():
    """Lists of tensors, which loops of functions push to and pop from, and a fold, a scan and a map over them."""
    x = placeholder("x", tf.float32, None, 3)
    running = tf.scan(lambda total, row: total * 0.9 + row, x)
    mapped = tf.map_fn(lambda row: (tf.sort(row), tf.argmax(row)), x, fn_output_signature=(tf.float32, tf.int64))
    folded = tf.foldl(lambda total, row: total + tf.math.exp(row), x, tf.zeros([3]))
    return {"running": running, "sorted": mapped[0], "best": mapped[1], "folded": folded}


def cases_of_three():
    which, x = placeholder("which", tf.int32), placeholder("x", tf.float32, None)
    return {"y": tf.switch_case(which, [lambda: tf.cumsum(x), lambda: tf.reverse(x, [0]), lambda: x * 2], default=lambda: -x)}


def initialised_tables():
    """Tables that a node fills once, which the config names; without it lookups fail."""
    words, ids = placeholder("words", tf.string, None), placeholder("ids", tf.int64, None)
    keys = tf.constant([b"alpha", b"beta", b"gamma"])
    forth = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.range(3, dtype=tf.int64)), -1)
    back = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), keys), b"unknown")
    tf.group(v1.tables_initializer(), name="fill")
    return {"found": forth.lookup(words), "names": back.lookup(ids)}


def texts_to_numbers():
    text, number = placeholder("text", tf.string, None), placeholder("number", tf.float32, None)
    points = tf.strings.unicode_decode(text, "UTF-8", errors="replace").to_tensor(default_value=-1)
    digits = tf.strings.regex_replace(text, "[^0-9]", "")
    return {
        "points": points,
        "value": tf.strings.to_number(tf.strings.join(["0", digits]), tf.int64),
        "is_number": tf.strings.regex_full_match(text, "[0-9]+"),
        "first": tf.strings.substr(text, 0, 2, unit="UTF8_CHAR"),
        "safe": tf.io.encode_base64(text),
        "again": tf.io.decode_base64(tf.io.encode_base64(text)),
        "shown": tf.strings.as_string(number, precision=3),
        "grams": tf.strings.ngrams(tf.strings.unicode_split(text, "UTF-8"), 2).to_tensor(default_value=b""),
    }


def example_records():
    """Records as training pipelines write them, parsed in the graph: dense, sparse and ragged features."""
    records = placeholder("records", tf.string, None)
    features = {
        "age": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
        "scores": tf.io.FixedLenFeature([2], tf.float32),
        "tags": tf.io.VarLenFeature(tf.string),
        "bits": tf.io.RaggedFeature(tf.int64),
    }
    parsed = tf.io.parse_example(records, features)
    return {
        "age": parsed["age"],
        "scores": parsed["scores"],
        "tags": tf.sparse.to_dense(parsed["tags"], default_value=b"-"),
        "bits": tf.reduce_sum(parsed["bits"], 1),
    }


def record(age, scores, tags, bits):
    def ints(*values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    feature = {
        "scores": tf.train.Feature(float_list=tf.train.FloatList(value=scores)),
        "tags": tf.train.Feature(bytes_list=tf.train.BytesList(value=tags)),
        "bits": ints(*bits),
    }
    if age is not None:
        feature["age"] = ints(age)
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def sparse_rows():
    """Numbers of words in rows of any length to weighted means of their vectors."""
    places = placeholder("places", tf.int64, None, 2)
    words, weights = placeholder("words", tf.int64, None), placeholder("weights", tf.float32, None)
    shape = tf.constant([4, 6], tf.int64)
    ids, importance = tf.SparseTensor(places, words, shape), tf.SparseTensor(places, weights, shape)
    vectors = tf.constant(floats(50, 8))
    means = tf.nn.safe_embedding_lookup_sparse(vectors, ids, importance, combiner="sqrtn")
    product = tf.sparse.sparse_dense_matmul(importance, tf.constant(floats(6, 3)))
    return {"means": means, "product": product, "dense": tf.sparse.to_dense(ids), "total": tf.sparse.reduce_sum(importance, 1)}


def ragged_rows():
    values, lengths = placeholder("values", tf.float32, None), placeholder("lengths", tf.int32, None)
    rows = tf.RaggedTensor.from_row_lengths(values, lengths)
    return {
        "padded": rows.to_tensor(-1.0),
        "means": tf.reduce_mean(rows, 1),
        "largest": tf.math.segment_max(values, rows.value_rowids()),
        "doubled": tf.concat([rows, rows * 2], 1).flat_values,
        "mask": tf.sequence_mask(lengths),
    }


def eight_bits():
    """Weights and activations of eight bits."""
    x = placeholder("x", tf.float32, None, 24)
    x = tf.quantization.fake_quant_with_min_max_args(x, -3, 3)
    quantized, low, high = tf.quantization.quantize(x, -3.0, 3.0, tf.quint8)
    weights, lowest, highest = tf.quantization.quantize(tf.constant(floats(24, 5)), -4.0, 4.0, tf.quint8)
    out, low, high = tf.raw_ops.QuantizedMatMul(
        a=quantized, b=weights, min_a=low, max_a=high, min_b=lowest, max_b=highest, Toutput=tf.qint32
    )
    return {"y": tf.quantization.dequantize(out, low, high), "rounded": x}


def small_integers():
    """Types that others leave out. Each comes back as itself."""
    kinds = {"i8": tf.int8, "i16": tf.int16, "u16": tf.uint16, "u32": tf.uint32, "u64": tf.uint64, "b16": tf.bfloat16}
    given = {key: placeholder(key, dtype, None) for key, dtype in kinds.items()}
    changed = {f"{key}_more": tensor + tf.cast(1, tensor.dtype) for key, tensor in given.items()}
    return {**changed, "sum": tf.add_n([tf.cast(tensor, tf.float64) for tensor in given.values()])}


def nothing():
    """Tensors without elements, in and out."""
    x, limit = placeholder("x", tf.float32, None, 4), placeholder("limit", tf.float32)
    kept = tf.boolean_mask(x, tf.reduce_max(tf.concat([x, tf.zeros_like(x)], 1), 1) > limit)
    return {"kept": kept, "places": tf.where(x > limit), "columns": x[:, 2:2], "total": tf.reduce_sum(kept, 0)}


def any_rank():
    """A tensor of which the graph knows nothing, not even how many dimensions it has."""
    x = v1.placeholder(tf.float32, None, name="x")
    return {"flat": tf.reshape(x, [-1]), "dimensions": tf.rank(x), "sizes": tf.shape(x), "twice": x * 2}


def convolutions_of_all_kinds():
    """In groups, transposed, with holes, in three dimensions, with a padding of its own for each side."""
    x = placeholder("image", tf.float32, None, 12, 16, 8)
    grouped = tf.nn.conv2d(x, tf.constant(floats(3, 3, 2, 16)), 1, "SAME")
    up = tf.nn.conv2d_transpose(x, tf.constant(floats(4, 4, 6, 8)), tf.stack([tf.shape(x)[0], 24, 32, 6]), 2, "SAME")
    holes = tf.nn.conv2d(x, tf.constant(floats(3, 3, 8, 4)), 1, [[0, 0], [1, 2], [0, 3], [0, 0]], dilations=2)
    cube = tf.nn.conv3d(tf.expand_dims(x, -1), tf.constant(floats(3, 3, 3, 1, 2)), [1, 2, 2, 2, 1], "VALID")
    pooled = tf.nn.avg_pool2d(grouped, 3, 2, "SAME")
    return {"grouped": pooled, "up": up, "holes": holes, "cube": cube}


def complex_numbers():
    x = placeholder("x", tf.float32, None, 16)
    spectrum = tf.signal.fft2d(tf.cast(x, tf.complex64))
    turned = spectrum * tf.exp(tf.complex(0.0, 0.3))
    product = tf.matmul(turned, turned, adjoint_b=True)
    back = tf.math.real(tf.signal.ifft2d(turned))
    return {"back": back, "turn": tf.math.angle(spectrum), "power": tf.abs(product), "irfft": tf.signal.irfft(tf.signal.rfft(x))}


def decompositions():
    a = placeholder("a", tf.float64, None, 4, 4)
    symmetric = tf.matmul(a, a, transpose_b=True) + 4 * tf.eye(4, dtype=tf.float64)
    values, sizes = tf.linalg.eigvalsh(symmetric), tf.linalg.svd(a, compute_uv=False)
    _, triangle = tf.linalg.qr(a)
    return {"lower": tf.linalg.cholesky(symmetric), "values": values, "sizes": sizes, "triangle": triangle, "inverse": tf.linalg.inv(symmetric)}


def labels_of_frames():
    """Speech: the best paths through the classes of each frame, and how far they are from a text."""
    frames, lengths = placeholder("frames", tf.float32, None, None, 6), placeholder("lengths", tf.int32, None)
    (best,), score = tf.nn.ctc_beam_search_decoder(frames, lengths, beam_width=8, top_paths=1)
    (greedy,), _ = tf.nn.ctc_greedy_decoder(frames, lengths)
    return {"best": tf.sparse.to_dense(best, default_value=-1), "score": score, "apart": tf.edit_distance(best, greedy, normalize=False)}


def pieces_of_pictures():
    """A picture's file in, pieces of the picture out, one as a file."""
    content, boxes = placeholder("content", tf.string), placeholder("boxes", tf.float32, None, 4)
    picture = tf.io.decode_png(content, 3)
    batch = tf.expand_dims(tf.cast(picture, tf.float32), 0)
    cut = tf.image.crop_and_resize(batch, boxes, tf.zeros(tf.shape(boxes)[:1], tf.int32), [7, 5])
    smooth = tf.image.resize(batch, [20, 30], tf.image.ResizeMethod.BICUBIC, antialias=True)
    patches = tf.image.extract_patches(batch, [1, 4, 4, 1], [1, 8, 8, 1], [1, 1, 1, 1], "VALID")
    small = tf.cast(tf.clip_by_value(tf.round(smooth[0]), 0, 255), tf.uint8)
    return {"cut": cut, "patches": patches, "file": tf.io.encode_png(small), "hue": tf.image.adjust_hue(picture, 0.2)}


def scattered():
    ids, values = placeholder("ids", tf.int32, None), placeholder("values", tf.float32, None)
    unique, place, counts = tf.unique_with_counts(ids)
    table = tf.tensor_scatter_nd_add(tf.zeros([10]), tf.expand_dims(ids, 1), values)
    sums = tf.math.unsorted_segment_sum(values, place, tf.size(unique))
    outer = tf.einsum("i,j,k->ijk", values, values, tf.constant(floats(2)))
    return {"unique": unique, "counts": counts, "table": table, "sums": sums, "outer": outer, "bins": tf.math.bincount(ids)}


def drawn():
    """Random numbers of a seed that the request gives: the same ones each time."""
    seed = placeholder("seed", tf.int32, 2)
    normal = tf.random.stateless_normal([3, 4], seed)
    return {"normal": normal, "places": tf.random.stateless_uniform([5], seed, 0, 100, tf.int32), "chosen": tf.random.stateless_categorical(normal, 2, seed)}


def passed_through():
    """Outputs that nothing is done for: an input, a constant, the same tensor twice."""
    x = placeholder("x", tf.float32, None, 2)
    return {"same": x, "again": x, "version": tf.constant(7), "name": tf.constant([b"net", b""])}


# ------------------------------------------------------------------------------ SavedModels


class Kept(tf.Module):
    """Variables that requests change, and a table that they write to: the order of requests counts."""

    def __init__(self):
        super().__init__()
        self.state, self.count = tf.Variable(tf.zeros([1, 6])), tf.Variable(0, dtype=tf.int64)
        self.weights = tf.Variable(floats(9, 6))
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)

    @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="words")])
    def serve(self, x, words):
        self.state.assign(tf.tanh(tf.matmul(tf.concat([x, self.state], 1), self.weights)))
        self.seen.insert(words, self.seen.lookup(words) + 1)
        return {"state": self.state.read_value(), "count": self.count.assign_add(1), "seen": self.seen.lookup(words)}


class Captured(tf.Module):
    """Functions within functions, over tensors from outside; gradients; one compiled by XLA; one that prints and checks."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(1.5)
        self.offsets = tf.constant(floats(5))

    @tf.function
    def inner(self, x):
        return x * self.scale + self.offsets

    @tf.function(jit_compile=True)
    def compiled(self, x):
        return tf.reduce_sum(tf.nn.softmax(x) * self.offsets, 1)

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32, name="x")])
    def serve(self, x):
        tf.debugging.assert_all_finite(x, "x has to be finite")
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(self.inner(x)) ** 2)
        return {"gradient": tape.gradient(loss, x), "loss": loss, "compiled": self.compiled(x)}


class Pipeline(tf.Module):
    """A data set within a function."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="numbers")])
    def serve(self, numbers):
        chosen = tf.data.Dataset.from_tensor_slices(numbers).filter(lambda n: n % 2 == 0).map(lambda n: n * n)
        return {"total": chosen.reduce(tf.constant(0, tf.int64), lambda total, n: total + n)}


def old_saved_model(folder):
    """As TensorFlow 1 wrote them: variables that are no resources, in three parts, a table, an asset, two signatures, one of which has
    an input that it does not use."""
    asset = os.path.join(os.path.dirname(folder), "names.txt")
    os.makedirs(os.path.dirname(folder))
    with open(asset, "w", encoding="utf-8") as f:
        f.write("zero\none\ntwo\n")
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        x, unused = placeholder("images", tf.float32, None, 12), placeholder("unused", tf.float32, None, 1)
        with v1.variable_scope("dense", partitioner=v1.fixed_size_partitioner(3), use_resource=False):
            kernel = v1.get_variable("kernel", [12, 3], initializer=v1.glorot_uniform_initializer(seed=15))
            bias = v1.get_variable("bias", [3], initializer=v1.random_uniform_initializer(seed=15))
        scores = tf.nn.softmax(tf.matmul(x, tf.convert_to_tensor(kernel)) + tf.convert_to_tensor(bias))
        path = tf.constant(asset)
        table = v1.lookup.StaticHashTable(
            v1.lookup.TextFileInitializer(path, tf.int64, v1.lookup.TextFileIndex.LINE_NUMBER, tf.string, v1.lookup.TextFileIndex.WHOLE_LINE),
            b"?",
        )
        names = table.lookup(tf.argmax(scores, 1))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def
        inputs = {"images": info(x), "unused": info(unused)}
        method = v1.saved_model.signature_constants.PREDICT_METHOD_NAME
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session,
            [v1.saved_model.tag_constants.SERVING],
            {
                "serving_default": signature(inputs, {"scores": info(scores), "classes": info(names)}, method),
                "only_names": signature({"images": info(x)}, {"classes": info(names)}, method),
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    os.remove(asset)


def as_text(save):
    """The same SavedModel with its graph as text, which TensorFlow takes as well."""

    def both(folder):
        save(folder)
        file = os.path.join(folder, "saved_model.pb")
        with open(file, "rb") as f:
            message = saved_model_pb2.SavedModel.FromString(f.read())
        with open(f"{file}txt", "w", encoding="utf-8") as f:
            f.write(text_format.MessageToString(message))
        os.remove(file)

    return both


def keras_columns():
    """Columns of a table, words among them, prepared by layers: several inputs of several types, two outputs."""
    layers = tf.keras.layers
    age, city = layers.Input((1,), name="age"), layers.Input((1,), dtype="string", name="city")
    text = layers.Input((1,), dtype="string", name="text")
    cities = layers.StringLookup(vocabulary=["berlin", "paris", "rome"], output_mode="one_hot")(city)
    words = layers.TextVectorization(vocabulary=["the", "a", "cat", "dog"], output_sequence_length=6)(text)
    vectors = layers.Embedding(10, 4, mask_zero=True)(words)
    read = layers.Bidirectional(layers.LSTM(5))(vectors)
    ages = layers.CategoryEncoding(4, output_mode="one_hot")(layers.Discretization([10.0, 30.0, 60.0])(age))
    joined = layers.Concatenate()([cities, ages, read])
    return tf.keras.Model([age, city, text], {"score": layers.Dense(1, activation="sigmoid")(joined), "words": words})


def make_graphs(repository):
    graph = repository.graph
    v1.disable_control_flow_v2()
    inputs = [{"x": floats(n, 4), "count": np.int32(count)} for n, count in ((2, 3), (1, 1), (3, 5))]
    graph("old_loops", old_loops, inputs, config=False)
    v1.enable_control_flow_v2()
    graph("lists", lists, [{"x": floats(n, 3)} for n in (1, 6)])
    graph("cases_of_three", cases_of_three, [{"which": np.int32(which), "x": floats(4)} for which in (0, 1, 2, 9)], config=False)
    tables = [{"words": texts(b"gamma", b"delta"), "ids": np.array([2, 7], np.int64)}]
    graph("initialised_tables", initialised_tables, tables, init_ops=["fill"])
    written = texts("für 12 Äpfel".encode(), b"007", b"")
    graph("texts_to_numbers", texts_to_numbers, [{"text": written, "number": np.array([1.0, -0.12345, 1e9], np.float32)}])
    records = texts(record(7, [0.5, 1.5], [b"a", b"bb"], [1, 2, 3]), record(None, [-1.0, 2.0], [], [4]))
    graph("example_records", example_records, [{"records": records}])
    rows = [{"places": np.array([[0, 0], [0, 2], [3, 1]]), "words": np.array([4, 49, 0]), "weights": floats(3)}]
    graph("sparse_rows", sparse_rows, rows)
    ragged = [{"values": floats(7), "lengths": np.array(lengths, np.int32)} for lengths in ([3, 0, 4], [7])]
    graph("ragged_rows", ragged_rows, ragged)
    graph("eight_bits", eight_bits, [{"x": floats(n, 24)} for n in (1, 4)], max_batch_size=8)
    small = {
        "i8": np.array([-128, 127], np.int8),
        "i16": np.array([-32768, 5], np.int16),
        "u16": np.array([65535, 1], np.uint16),
        "u32": np.array([2**32 - 1, 2], np.uint32),
        "u64": np.array([2**64 - 1, 3], np.uint64),
        "b16": tf.cast([1.5, -2.25], tf.bfloat16).numpy(),
    }
    graph("small_integers", small_integers, [small])
    graph("nothing", nothing, [{"x": floats(n, 4), "limit": np.float32(limit)} for n, limit in ((0, 0.0), (3, 1e6), (3, 0.1))], config=False)
    graph("any_rank", any_rank, [{"x": floats(*shape)} for shape in ((3, 1), (2, 4))])
    graph("convolutions_of_all_kinds", convolutions_of_all_kinds, [{"image": floats(n, 12, 16, 8)} for n in (1, 3)], 4)
    graph("complex_numbers", complex_numbers, [{"x": floats(8, 16)}])
    graph("decompositions", decompositions, [{"a": RANDOM.standard_normal((n, 4, 4))} for n in (1, 3)], max_batch_size=4)
    graph("labels_of_frames", labels_of_frames, [{"frames": floats(9, 2, 6), "lengths": np.array([9, 4], np.int32)}])
    png = tf.io.encode_png(RANDOM.integers(0, 255, (24, 40, 3)).astype(np.uint8)).numpy()
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.6, 0.5]], np.float32)
    graph("pieces_of_pictures", pieces_of_pictures, [{"content": np.array(png, object), "boxes": boxes}], config=False)
    graph("scattered", scattered, [{"ids": np.array([3, 1, 3, 9], np.int32), "values": floats(4)}])
    graph("drawn", drawn, [{"seed": np.array(seed, np.int32)} for seed in ([1, 2], [3, 4], [1, 2])])
    graph("passed_through", passed_through, [{"x": floats(n, 2)} for n in (1, 3)])


def make_saved_models(repository):
    saved = repository.saved
    kept = Kept()
    steps = [{"x": floats(1, 3), "words": texts(*words)} for words in ((b"a",), (b"a", b"b"), (b"b",))]
    saved("kept", lambda path: tf.saved_model.save(kept, path, signatures=kept.serve), steps, extra="instance_group { count: 1 }")
    captured = Captured()
    saved("captured", lambda path: tf.saved_model.save(captured, path, signatures=captured.serve), [{"x": floats(n, 5)} for n in (1, 4)], in_session=True)
    pipeline = Pipeline()
    numbers = [{"numbers": np.array(each, np.int64)} for each in ([1, 2, 3, 4], [])]
    saved("pipeline", lambda path: tf.saved_model.save(pipeline, path, signatures=pipeline.serve), numbers)
    images = [{"images": floats(n, 12), "unused": floats(n, 1)} for n in (1, 2)]
    saved("of_tensorflow_1", old_saved_model, images)
    saved("as_text", as_text(lambda path: tf.saved_model.save(captured, path, signatures=captured.serve)), [{"x": floats(2, 5)}], in_session=True)
    tf.keras.utils.set_random_seed(16)
    rows = {"age": np.array([[5.0], [40.0]], np.float32), "city": texts([b"rome"], [b"oslo"]), "text": texts([b"the Cat!"], [b"a dog, a bird"])}
    saved("keras_columns", lambda path: keras_columns().export(path, verbose=False), [rows], max_batch_size=4)


def make(repository):
    make_graphs(repository)
    make_saved_models(repository)
