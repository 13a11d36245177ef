"""Pictures that cannot be read, and pipelines that cannot be served: who is told what, and who is not harmed."""

import threading

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from pictures import encode, jpeg, load
from server_process import ServerProcess
from test_vision import LETTERBOX, pixels_of, write_model
from tritonclient.utils import InferenceServerException

GOOD = jpeg(load("chelsea"))


def animated_png():
    from io import BytesIO

    from PIL import Image

    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    out = BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def animated_webp():
    from io import BytesIO

    from PIL import Image

    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    out = BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def huge_jpeg():
    """100 bytes that begin a JPEG of 30000 x 30000."""
    header = b"\xff\xd8\xff\xc0\0\x11\x08\x75\x30\x75\x30\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    return (header + b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0").ljust(100, b"\0")


def huge_png():
    import struct
    import zlib

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    return data + chunk(b"IDAT", zlib.compress(b"\0" * 40))


def huge_bmp():
    data = bytearray(encode(load("chelsea")[:4, :4], ".bmp"))
    data[18:22] = data[22:26] = (30000).to_bytes(4, "little")
    return bytes(data[:100])


def two_colors():
    """A JPEG that says that it has two components."""
    data = bytearray(GOOD)
    at = data.index(b"\xff\xc0")
    data[at + 9] = 2
    return bytes(data)


# what it is -> the bytes, a part of the message
BAD = {
    "truncated JPEG": (GOOD[: len(GOOD) // 2], "JPEG: "),
    "JPEG without its last row": (GOOD[:-200], "JPEG: "),
    "truncated PNG": (encode(load("chelsea"), ".png")[:5000], "PNG: "),
    "truncated WebP": (encode(load("chelsea"), ".webp")[:3000], "WebP: "),
    "truncated BMP": (encode(load("chelsea"), ".bmp")[:9000], "BMP: "),
    "no picture": (b"%PDF-1.7 and so on", "JPEG, PNG, WebP or BMP was expected, got 18 bytes"),
    "nothing": (b"", "the picture is empty, it has 0 bytes"),
    "huge JPEG": (huge_jpeg(), "30000x30000 pixels, 67108864 are allowed"),
    "huge PNG": (huge_png(), "30000x30000 pixels, 67108864 are allowed"),
    "huge BMP": (huge_bmp(), "30000x30000 pixels, 67108864 are allowed"),
    "animated PNG": (animated_png(), "PNG: it is an animation"),
    "animated WebP": (animated_webp(), "WebP: it is an animation"),
    "two colours": (two_colors(), "JPEG: "),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("vision")
    write_model(repository, "letterbox", LETTERBOX, "max_batch_size: 16")
    own_size = pixels_of()
    write_model(repository, "own_size", own_size, "")
    typo = LETTERBOX.replace("pad = [114]", "pda = [114]").replace('op = "tensor"', 'op = "tesnor"')
    write_model(repository, "typo", typo, "")
    wrong = 'output { name: "image" data_type: TYPE_FP16 dims: [ 3, 320, 320 ] }'
    write_model(repository, "contradiction", LETTERBOX, wrong)
    flags = ["--exit-on-error=false", "--strict-readiness=false"]
    with ServerProcess(repository, flags=flags) as process:
        yield process
        assert process.alive(), process.log()[-4000:]


@pytest.fixture
def client(server):
    with grpc.InferenceServerClient(server.grpc) as client:
        yield client


def infer(client, model, *pictures):
    tensor = grpc.InferInput("raw", [len(pictures), 1], "BYTES")
    tensor.set_data_from_numpy(np.array(pictures, object).reshape(-1, 1))
    return client.infer(model, [tensor])


@pytest.mark.parametrize("what", BAD)
def test_a_bad_picture_is_told_with_model_and_step(client, what):
    data, text = BAD[what]
    with pytest.raises(InferenceServerException) as refused:
        infer(client, "letterbox", data)
    message = str(refused.value)
    assert "INVALID_ARGUMENT" in message and text in message, message
    assert "model 'letterbox', step 1 'decode': " in message, message


def test_one_pixel_is_a_picture(client):
    for extension in (".png", ".jpg", ".bmp"):
        image = infer(client, "letterbox", encode(load("chelsea")[:1, :1], extension)).as_numpy("image")
        assert image.shape == (1, 3, 640, 640)


def test_a_bad_picture_of_a_request_is_numbered(client):
    with pytest.raises(InferenceServerException, match="model 'letterbox', picture 2 of 3, step 1 'decode': "):
        infer(client, "letterbox", GOOD, b"bad", GOOD)


def test_the_rest_of_a_batch_is_unharmed(server):
    """Many at once, which the batcher puts together: each good one gets its answer, each bad one its error."""
    with http.InferenceServerClient(server.http, concurrency=24) as client:
        alone = http_infer(client, GOOD).get_result().as_numpy("to_raw")
        bad = [data for data, _ in BAD.values() if data]
        asked = [http_infer(client, bad[n // 2 % len(bad)] if n % 2 else GOOD) for n in range(48)]
        for n, pending in enumerate(asked):
            if n % 2:
                with pytest.raises(InferenceServerException, match="step 1 'decode'"):
                    pending.get_result()
            else:
                assert np.array_equal(pending.get_result().as_numpy("to_raw"), alone)


def http_infer(client, data):
    tensor = http.InferInput("raw", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[data]], object))
    return client.async_infer("letterbox", [tensor], outputs=[http.InferRequestedOutput("to_raw")])


def test_no_memory_is_taken_for_a_claim(server, client):
    before = server.status_kib("VmHWM")
    for _ in range(5):
        for what in ("huge JPEG", "huge PNG", "huge BMP"):
            with pytest.raises(InferenceServerException, match="are allowed"):
                infer(client, "letterbox", BAD[what][0])
    # 30000 x 30000 in RGB are 2.5 GiB.
    assert server.status_kib("VmHWM") - before < 64 * 1024


def test_pictures_that_keep_their_size_have_to_agree(client):
    small, large = encode(load("chelsea")[:10, :20], ".png"), encode(load("chelsea")[:30, :20], ".png")
    assert infer(client, "own_size", small, small).as_numpy("pixels").shape == (2, 10, 20, 3)
    with pytest.raises(InferenceServerException, match=r"same shape, got \[10,20,3\] and \[30,20,3\]"):
        infer(client, "own_size", small, large)
    # Requests of their own may share a batch.
    results = {}

    def ask(name, data):
        results[name] = infer(client, "own_size", data).as_numpy("pixels").shape

    threads = [threading.Thread(target=ask, args=pair) for pair in [("small", small), ("large", large)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"small": (1, 10, 20, 3), "large": (1, 30, 20, 3)}


def test_failures_are_counted_apart_from_successes(client):
    def counts():
        stats = client.get_inference_statistics("own_size").model_stats[0].inference_stats
        return stats.success.count, stats.fail.count

    before = counts()
    infer(client, "own_size", GOOD)
    with pytest.raises(InferenceServerException, match="decode"):
        infer(client, "own_size", b"bad")
    assert counts() == (before[0] + 1, before[1] + 1)


def reason(server, model):
    with http.InferenceServerClient(server.http) as client:
        index = client.get_model_repository_index()
    return " ".join(entry.get("reason", "") for entry in index if entry["name"] == model)


def test_a_pipeline_is_refused_with_every_fault_and_its_line(server):
    text = reason(server, "typo")
    assert "1/pipeline.toml:14: step 2 'letterbox': unknown field `pda`, expected one of `input`" in text
    assert "1/pipeline.toml:18: step 3: there is no op 'tesnor'; there are: decode, " in text


def test_a_config_that_contradicts_the_pipeline_is_refused(server):
    text = reason(server, "contradiction")
    assert "unable to load model 'contradiction', " in text
    assert "TYPE_FP16" in text and "TYPE_FP32" in text and "[-1,3,320,320]" in text, text


def test_the_config_is_completed_from_the_pipeline(client):
    config = client.get_model_config("letterbox", as_json=True)["config"]
    assert [tensor["name"] for tensor in config["output"]] == ["size", "to_raw", "image"]
    assert config["output"][2]["dims"] == ["3", "640", "640"]
    assert config["input"][0]["data_type"] == "TYPE_STRING"
