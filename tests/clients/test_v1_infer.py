"""V1 with its own client, the wheel tensorrtserver 1.11.0: inference, over HTTP and gRPC."""

import os
import shutil

import numpy as np
import tritonclient.grpc as triton_grpc
from server_process import ROOT, ServerProcess
from v1 import by_v1

PICTURES = os.path.join(ROOT, "tests", "references", "images")


@by_v1()
def test_simple(at):
    np = at.np
    rows = [np.arange(16, dtype=np.int32) + n for n in range(8)]
    ones = [np.ones(16, np.int32)] * 8
    with at.context("simple", 1) as context:
        for size in (1, 8):
            inputs = {"INPUT0": rows[:size], "INPUT1": ones[:size]}
            results = context.run(inputs, {"OUTPUT0": at.RAW, "OUTPUT1": at.RAW}, size)
            assert len(results["OUTPUT0"]) == len(results["OUTPUT1"]) == size
            for n in range(size):
                assert results["OUTPUT0"][n].dtype == np.int32 and results["OUTPUT0"][n].shape == (16,)
                assert (results["OUTPUT0"][n] == rows[n] + 1).all()
                assert (results["OUTPUT1"][n] == rows[n] - 1).all()
        assert context.get_last_request_id() > 0
        assert (context.get_last_request_model_name(), context.get_last_request_model_version()) == ("simple", 1)
        # Only what is asked for.
        assert list(context.run({"INPUT0": rows[:1], "INPUT1": ones[:1]}, {"OUTPUT1": at.RAW})) == ["OUTPUT1"]


@by_v1()
def test_classes_are_the_best_of_each_entry(at):
    np = at.np
    shares = [(6, 3, 1), (1, 2, 7)]
    pictures = [np.stack([np.full((64, 64), c, np.float32) for c in share]) for share in shares]
    with at.context("colours") as context:
        results = context.run({"data": pictures}, {"prob": (at.CLASS, 2)}, 2)["prob"]
        first, second = results
        assert [(index, label) for index, _, label in first] == [(0, "red"), (1, 'green "leaf"')]
        assert [(index, label) for index, _, label in second] == [(2, "bleu é"), (1, 'green "leaf"')]
        assert np.allclose([value for _, value, _ in first], [0.6, 0.3])
        # More than there are means all.
        (all_of_them,) = context.run({"data": pictures[:1]}, {"prob": (at.CLASS, 10)})["prob"]
        assert [index for index, _, _ in all_of_them] == [0, 1, 2]
    # One output classified and one raw, of integers without labels.
    row = np.arange(16, dtype=np.int32)
    with at.context("simple") as context:
        inputs = {"INPUT0": [row], "INPUT1": [row]}
        results = context.run(inputs, {"OUTPUT0": (at.CLASS, 3), "OUTPUT1": at.RAW})
        assert results["OUTPUT0"][0] == [(15, 30.0, ""), (14, 28.0, ""), (13, 26.0, "")]
        assert not results["OUTPUT1"][0].any()


@by_v1()
def test_more_classes_than_fit_into_a_header(at):
    # Over HTTP the library reads no line of more than 100 KiB.
    count = 20_000
    with at.context("any_fp32") as context:
        inputs = {"INPUT0": [at.np.arange(count, dtype=at.np.float32)]}
        (found,) = context.run(inputs, {"OUTPUT0": (at.CLASS, count)})["OUTPUT0"]
    assert [index for index, _, _ in found] == list(range(count))[::-1]


@by_v1()
def test_an_ensemble_has_the_labels_of_its_model(at):
    np = at.np
    with at.context("ensemble") as context:
        config = at.status("ensemble").model_status["ensemble"].config
        assert [(i.name, list(i.dims)) for i in config.input] == [("raw", [1])]
        # A picture that is one blue pixel, as a BMP.
        head = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
        size = (1).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
        picture = head + size + bytes([255, 0, 0, 0])
        raw = np.array([picture[:-1] + b"\1"], dtype=np.bytes_)
        ((index, value, label),) = context.run({"raw": [raw]}, {"found": (at.CLASS, 1)})["found"][0]
        assert (index, value, label) == (2, 1.0, "bleu é")


@by_v1()
def test_strings(at):
    np = at.np
    left = [np.array([str(n) for n in range(k, k + 16)], dtype=object) for k in (0, 100)]
    right = [np.array(["1"] * 16, dtype=object)] * 2
    with at.context("simple_string") as context:
        results = context.run({"INPUT0": left, "INPUT1": right}, {"OUTPUT0": at.RAW, "OUTPUT1": at.RAW}, 2)
        for k, entry in zip((0, 100), results["OUTPUT0"]):
            assert [int(text) for text in entry] == [n + 1 for n in range(k, k + 16)]
        assert [int(text) for text in results["OUTPUT1"][0]] == [n - 1 for n in range(16)]
    with at.context("any_string") as context:
        texts = np.array(["", "é", "\n" * 5000], dtype=object)
        (back,) = context.run({"INPUT0": [texts]}, {"OUTPUT0": at.RAW})["OUTPUT0"]
        assert [text.decode() for text in back] == list(texts)


@by_v1()
def test_types_and_open_sizes(at):
    np = at.np
    for model, dtype in (("fp16", np.float16), ("fp32", np.float32), ("bool", np.bool_), ("int64", np.int64)):
        values = np.array([1, 0, 1, 1, 0], dtype)
        with at.context(f"any_{model}") as context:
            (back,) = context.run({"INPUT0": [values]}, {"OUTPUT0": at.RAW})["OUTPUT0"]
            assert back.dtype == dtype and (back == values).all()
            (nothing,) = context.run({"INPUT0": [values[:0]]}, {"OUTPUT0": at.RAW})["OUTPUT0"]
            assert nothing.shape == (0,)


@by_v1()
def test_a_reshaped_output_has_the_dims_of_the_config(at):
    np = at.np
    entries = [np.arange(6, dtype=np.float32).reshape(1, 2, 3) + n for n in range(2)]
    with at.context("reshaped") as context:
        results = context.run({"INPUT0": entries}, {"OUTPUT0": at.RAW}, 2)["OUTPUT0"]
    for entry, back in zip(entries, results):
        assert back.shape == (1, 2, 3) and (back == entry).all()


@by_v1()
def test_large_tensors(at):
    np = at.np
    values = np.arange(6_000_000, dtype=np.float32)
    with at.context("any_fp32") as context:
        (back,) = context.run({"INPUT0": [values]}, {"OUTPUT0": at.RAW})["OUTPUT0"]
    assert (back == values).all()


@by_v1()
def test_sequences(at):
    np = at.np

    def run(context, value, flags=0, **more):
        inputs = {"INPUT": [np.array([value], np.int32)]}
        return int(context.run(inputs, {"OUTPUT": at.RAW}, 1, flags, **more)["OUTPUT"][0][0])

    base = 1000 if at.is_http else 2000
    with at.context("simple_sequence", correlation_id=base + 1) as one:
        with at.context("simple_sequence", correlation_id=base + 2) as two:
            sums = []
            for n, value in enumerate((11, 7, 5, 3)):
                flags = at.START if n == 0 else at.END if n == 3 else 0
                sums.append((run(one, value, flags), run(two, -value, flags)))
            assert sums == [(11, -11), (18, -18), (23, -23), (26, -26)]
        assert one.correlation_id() == base + 1
        # Another sequence on the same context.
        assert run(one, 5, at.START, corr_id=base + 3) == 5
        assert run(one, 6, at.END) == 11
        with at.refused(
            f"inference request for sequence {base + 4} to model 'simple_sequence' must specify the START flag on the "
            "first request of the sequence"
        ):
            run(one, 1, corr_id=base + 4)
    with at.context("simple_sequence") as none:
        with at.refused("inference request to model 'simple_sequence' must specify a non-zero correlation ID"):
            run(none, 1, at.START)
        with at.refused(
            "inference request to model 'simple_sequence' must specify batch-size 1 due to requirements of sequence "
            "batcher"
        ):
            entries = [np.array([1], np.int32)] * 2
            none.run({"INPUT": entries}, {"OUTPUT": at.RAW}, 2, at.START, base + 5)


@by_v1()
def test_requests_run_at_the_same_time(at):
    np = at.np
    rows = [np.full(16, n, np.int32) for n in range(200)]
    with at.context("simple") as context:

        def start(callback, n):
            context.async_run(callback, {"INPUT0": [rows[n]], "INPUT1": [rows[0]]}, {"OUTPUT0": at.RAW})

        for n, results in enumerate(at.gather(context, 200, start)):
            assert (results["OUTPUT0"][0] == n).all()
        stat = context.get_stat()
        assert stat["completed_request_count"] == 200


@by_v1()
def test_an_asynchronous_request_that_fails(at):
    np = at.np
    with at.context("any_string") as context:

        def start(callback, n):
            texts = np.array(["a"], dtype=object) if n else np.array([], dtype=object)
            context.async_run(callback, {"INPUT0": [texts]}, {"OUTPUT0": (at.CLASS, 1)})

        with at.refused("class result not available for output 'OUTPUT0' due to unsupported type 'TYPE_STRING'"):
            at.gather(context, 1, start)


@by_v1("gRPC")
def test_a_stream_answers_in_order(at):
    np = at.np
    rows = [np.full(16, n, np.int32) for n in range(100)]
    with at.context("simple", streaming=True) as context:
        assert (context.run({"INPUT0": rows[:1], "INPUT1": rows[1:2]}, {"OUTPUT0": at.RAW})["OUTPUT0"][0] == 1).all()

        def start(callback, n):
            context.async_run(callback, {"INPUT0": [rows[n]], "INPUT1": [rows[1]]}, {"OUTPUT0": at.RAW})

        for n, results in enumerate(at.gather(context, 100, start)):
            assert (results["OUTPUT0"][0] == n + 1).all()
    with at.context("simple_sequence", streaming=True, correlation_id=77) as context:
        values = (1, 2, 3, 4)

        def step(callback, n):
            flags = (at.START if n == 0 else 0) | (at.END if n == 3 else 0)
            inputs = {"INPUT": [np.array([values[n]], np.int32)]}
            context.async_run(callback, inputs, {"OUTPUT": at.RAW}, 1, flags)

        sums = [int(results["OUTPUT"][0][0]) for results in at.gather(context, 4, step)]
        assert sums == [1, 3, 6, 10]
        # An error is an answer, and the stream goes on.
        with at.refused("must specify the START flag"):
            context.run({"INPUT": [np.array([1], np.int32)]}, {"OUTPUT": at.RAW}, 1, 0, 78)
        again = context.run({"INPUT": [np.array([9], np.int32)]}, {"OUTPUT": at.RAW}, 1, at.START | at.END, 79)
        assert int(again["OUTPUT"][0][0]) == 9


@by_v1("HTTP")
def test_streams_are_for_grpc(at):
    with at.refused("Streaming is only allowed with gRPC protocol"):
        at.context("simple", streaming=True)


@by_v1()
def test_errors(at):
    np = at.np
    row = np.arange(16, dtype=np.int32)
    with at.context("simple", 7) as context:
        with at.refused("Inference request for unknown model 'simple'"):
            context.run({"INPUT0": [row], "INPUT1": [row]}, {"OUTPUT0": at.RAW})
    with at.context("simple") as context:
        if at.is_http:
            # Over gRPC this takes the client down before it sends anything.
            with at.refused("unexpected size for input 'INPUT1', expecting 64 bytes for model 'simple'"):
                context.run({"INPUT0": [row]}, {"OUTPUT0": at.RAW})
        with at.refused("class result not available"):
            with at.context("any_fp16") as half:
                half.run({"INPUT0": [np.ones(2, np.float16)]}, {"OUTPUT0": (at.CLASS, 1)})
        # The context goes on.
        assert (context.run({"INPUT0": [row], "INPUT1": [row]}, {"OUTPUT0": at.RAW})["OUTPUT0"][0] == 2 * row).all()


@by_v1()
def test_shared_memory(at):
    np, shm = at.np, at.shm
    kind = "http" if at.is_http else "grpc"
    row, ones = np.arange(16, dtype=np.int32), np.ones(16, np.int32)

    def region(name, size):
        return shm.create_shared_memory_region(f"v1_{name}_{kind}", f"/v1_{name}_{kind}", size)

    given, taken, small = region("in", 64), region("out", 64), region("small", 32)
    shm.set_shared_memory_region(given, [row])
    control = at.other("SharedMemoryControlContext")
    try:
        with at.context("simple") as context:
            inputs = {"INPUT0": given, "INPUT1": [ones]}
            with at.refused(f"Unable to find shared memory region: 'v1_in_{kind}'"):
                context.run(inputs, {"OUTPUT0": at.RAW})
            for handle in (given, taken, small):
                control.register(handle)
            outputs = {"OUTPUT0": (at.RAW, taken), "OUTPUT1": at.RAW}
            results = context.run(inputs, outputs)
            assert (results["OUTPUT0"][0] == row + 1).all() and (results["OUTPUT1"][0] == row - 1).all()
            # The classes of an output are not written to memory.
            classes = context.run(inputs, {"OUTPUT0": (at.CLASS, 1), "OUTPUT1": at.RAW})["OUTPUT0"]
            assert classes == [[(15, 16.0, "")]]
            too_small = "at least 64 bytes but gets 32 bytes" if at.is_http else "at least64 bytes but got 32"
            with at.refused(too_small):
                context.run(inputs, {"OUTPUT0": (at.RAW, small)})
    finally:
        control.unregister_all()
        for handle in (given, taken, small):
            shm.destroy_shared_memory_region(handle)


@by_v1()
def test_strings_in_shared_memory(at):
    np, shm = at.np, at.shm
    kind = "http" if at.is_http else "grpc"
    texts = np.array([str(n) for n in range(16)], dtype=object)
    wire = b"".join(len(text).to_bytes(4, "little") + text.encode() for text in texts)
    handle = shm.create_shared_memory_region(f"v1_texts_{kind}", f"/v1_texts_{kind}", len(wire))
    control = at.other("SharedMemoryControlContext")
    try:
        shm.set_shared_memory_region(handle, [np.frombuffer(wire, np.uint8)])
        control.register(handle)
        with at.context("simple_string") as context:
            inputs = {"INPUT0": handle, "INPUT1": [np.array(["1"] * 16, dtype=object)]}
            (back,) = context.run(inputs, {"OUTPUT0": at.RAW})["OUTPUT0"]
        assert [int(text) for text in back] == [n + 1 for n in range(16)]
    finally:
        control.unregister_all()
        shm.destroy_shared_memory_region(handle)


# ------------------------------------------------------------------------------ V1 beside v2


def through_v1(at):
    """The outputs of a request with one file, as bytes in hexadecimal."""
    with open(at.more.file, "rb") as f:
        raw = at.np.array([f.read()], dtype=at.np.bytes_)
    with at.context(at.more.model) as context:
        outputs = {output.name: at.RAW for output in at.status(at.more.model).model_status[at.more.model].config.output}
        results = context.run({at.more.input: [raw]}, outputs)
    return {name: entries[0].tobytes().hex() for name, entries in results.items()}


def test_an_ensemble_is_the_same_through_both_protocols(v1, v1_server):
    for name in ("astronaut.png", "chelsea.png", "coffee.png"):
        file = os.path.join(PICTURES, name)
        with triton_grpc.InferenceServerClient(v1_server.grpc) as client, open(file, "rb") as f:
            raw = triton_grpc.InferInput("raw", [1, 1], "BYTES")
            raw.set_data_from_numpy(np.array([[f.read()]], dtype=object))
            expected = client.infer("ensemble", [raw]).as_numpy("found").tobytes().hex()
        for protocol in ("HTTP", "gRPC"):
            got = v1.run(through_v1, v1_server, protocol, file=file, model="ensemble", input="raw")
            assert got == {"found": expected}, (name, protocol)


def test_detection_is_the_same_through_both_protocols(v1, tmp_path):
    shutil.copytree(os.path.join(ROOT, "model_repository"), tmp_path / "models")
    file = os.path.join(PICTURES, "astronaut.png")
    with ServerProcess(tmp_path / "models") as server:
        with triton_grpc.InferenceServerClient(server.grpc) as client, open(file, "rb") as f:
            raw = triton_grpc.InferInput("raw_image", [1, 1], "BYTES")
            raw.set_data_from_numpy(np.array([[f.read()]], dtype=object))
            reply = client.infer("detection", [raw])
        expected = {name: reply.as_numpy(name).tobytes().hex() for name in ("score", "category", "bbox", "landmark")}
        assert reply.as_numpy("score")[0, 0] > 0.5
        for protocol in ("HTTP", "gRPC"):
            got = v1.run(through_v1, server, protocol, file=file, model="detection", input="raw_image")
            assert got == expected, protocol
