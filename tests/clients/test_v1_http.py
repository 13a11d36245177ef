"""V1 over HTTP as curl and scripts use it: paths, methods, statuses, headers and the forms of bodies, byte for byte."""

import http.client
import json
import re
import socket

import numpy as np
import pytest

ROW = np.arange(16, dtype=np.int32)
BOTH = 'input { name: "INPUT0" } input { name: "INPUT1" }'


@pytest.fixture
def ask(v1_server):
    """ask(method, path, body, **headers): (status, headers with small names, body)"""

    def call(method, path, body=b"", **headers):
        link = http.client.HTTPConnection("127.0.0.1", v1_server.http_port, timeout=30)
        try:
            link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            reply = link.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            link.close()

    return call


def infer(ask, header, *tensors, path="/api/infer/simple"):
    body = b"".join(tensor if isinstance(tensor, bytes) else tensor.tobytes() for tensor in tensors)
    return ask("POST", path, body, NV_InferRequest=header, Content_Type="application/octet-stream")


def status_of(headers):
    """(code, text) of NV-Status, which has to be one line in the form that C++ writes."""
    found = re.fullmatch(
        r'code: (\w+)(?: msg: "((?:[^"\\]|\\.)*)")? server_id: "inference:0" request_id: \d+', headers["nv-status"]
    )
    assert found, headers["nv-status"]
    return found[1], (found[2] or "").replace("\\'", "'").replace('\\"', '"')


def test_health(ask):
    for which in ("live", "ready"):
        status, headers, body = ask("GET", f"/api/health/{which}")
        assert (status, status_of(headers), body) == (200, ("SUCCESS", ""), b"")
    status, headers, body = ask("GET", "/api/health/other")
    assert (status, body, "nv-status" in headers) == (400, b"", False)


@pytest.mark.parametrize(
    "method, path, expected",
    [
        ("POST", "/api/health/live", 405),
        ("POST", "/api/status", 405),
        ("GET", "/api/infer/simple", 405),
        ("GET", "/api/modelcontrol/load/simple", 405),
        ("PUT", "/api/repository/index", 405),
        ("GET", "/api/profile", 400),
        ("GET", "/api/", 400),
        ("GET", "/api/status/simple/1", 400),
        ("POST", "/api/infer/simple/latest", 400),
        ("POST", "/api/modelcontrol/reload/simple", 400),
        ("POST", "/api/sharedmemorycontrol/register/r/k/0/8", 400),
        ("GET", "/api", 404),
    ],
)
def test_what_is_no_call(ask, method, path, expected):
    status, headers, body = ask(method, path)
    assert (status, "nv-status" in headers) == (expected, False)
    assert body == b"" or expected == 404


def test_the_three_forms_of_a_status(ask):
    status, headers, body = ask("GET", "/api/status/simple")
    assert (status, status_of(headers)[0]) == (200, "SUCCESS")
    text = body.decode()
    assert text.startswith('id: "inference:0"\nversion: "')
    assert 'model_status {\n  key: "simple"\n  value {\n    config {\n      name: "simple"\n' in text
    assert "ready_state: SERVER_READY\n" in text and "ready_state: MODEL_READY\n" in text
    for path, headers in (
        ("/api/status/simple?format=json", {}),
        ("/api/status/simple", {"Accept": "application/json"}),
    ):
        _, headers, body = ask("GET", path, **headers)
        assert headers["content-type"] == "application/json"
        answer = json.loads(body)
        model = answer["modelStatus"]["simple"]
        assert (answer["readyState"], model["config"]["maxBatchSize"]) == ("SERVER_READY", 8)
        assert model["versionStatus"]["1"]["readyState"] == "MODEL_READY"
        assert isinstance(answer["uptimeNs"], str) and int(answer["uptimeNs"]) > 0
    _, headers, body = ask("GET", "/api/status/?format=binary")
    assert headers["content-type"] == "application/octet-stream"
    assert body.startswith(b"\x0a\x0binference:0")


def test_an_unknown_model_has_no_status(ask):
    status, headers, body = ask("GET", "/api/status/nope")
    assert (status, status_of(headers), body) == (
        400,
        ("INVALID_ARG", "no status available for unknown model 'nope'"),
        b"",
    )
    assert r"\'nope\'" in headers["nv-status"]


def test_the_index(ask):
    _, _, text = ask("GET", "/api/repository/index")
    assert b'models {\n  name: "simple"\n}\n' in text


def test_a_request_as_people_write_it(ask):
    header = f'batch_size: 2 {BOTH} output {{ name: "OUTPUT1" }} output: <name: \'OUTPUT0\'>, # all of it'
    status, headers, body = infer(ask, header, ROW, ROW, ROW, ROW + 1)
    assert (status, status_of(headers)[0]) == (200, "SUCCESS")
    # In the request's order.
    line = (
        'model_name: "simple" model_version: 1 batch_size: 2'
        ' output { name: "OUTPUT1" raw { dims: 16 batch_byte_size: 128 } }'
        ' output { name: "OUTPUT0" raw { dims: 16 batch_byte_size: 128 } }'
    )
    assert headers["nv-inferresponse"] == line
    assert headers["content-type"] == "application/octet-stream"
    values = np.frombuffer(body[:256], np.int32).reshape(2, 2, 16)
    # The first input is both rows of it, and then comes the second.
    assert (values[0] == [ROW - ROW, ROW - ROW - 1]).all() and (values[1] == [2 * ROW, 2 * ROW + 1]).all()
    tail = body[256:].decode()
    assert tail.startswith('model_name: "simple"\nmodel_version: 1\nbatch_size: 2\noutput {\n  name: "OUTPUT1"\n')
    assert " ".join(tail.split()) == line
    assert infer(ask, header, ROW, ROW, ROW, ROW + 1, path="/api/infer/simple/1?format=binary")[2][256:264] == b"\x0a\x06simple"


def test_classes_are_in_the_header_as_well(ask):
    header = f'batch_size: 1 id: 5 {BOTH} output {{ name: "OUTPUT0" cls {{ count: 2 }} }}'
    _, headers, body = infer(ask, header, ROW, ROW)
    assert headers["nv-inferresponse"] == (
        'model_name: "simple" model_version: 1 batch_size: 1 output { name: "OUTPUT0" batch_classes { '
        "cls { idx: 15 value: 30 } cls { idx: 14 value: 28 } } } id: 5"
    )
    assert b"idx: 15" in body


def test_nothing_is_returned_that_was_not_asked_for(ask):
    status, headers, body = infer(ask, f"batch_size: 1 {BOTH}", ROW, ROW)
    assert (status, headers["nv-inferresponse"]) == (200, 'model_name: "simple" model_version: 1 batch_size: 1')
    assert body == b'model_name: "simple"\nmodel_version: 1\nbatch_size: 1\n'


OUT = 'output { name: "OUTPUT0" }'


@pytest.mark.parametrize(
    "header, size, code, text",
    [
        (f"{BOTH} {OUT}", 128, "INVALID_ARG", "inference request batch-size must be >= 1 for 'simple'"),
        (f"batch_size: 9 {BOTH} {OUT}", 1152, "INVALID_ARG", "inference request batch-size must be <= 8 for 'simple'"),
        (
            f'batch_size: 1 input {{ name: "INPUT0" }} {OUT}',
            64,
            "INVALID_ARG",
            "expected 2 inputs but got 1 inputs for model 'simple'",
        ),
        (
            f'batch_size: 1 input {{ name: "INPUT0" }} input {{ name: "X" }} {OUT}',
            128,
            "INVALID_ARG",
            "unexpected inference input 'X' for model 'simple'",
        ),
        (
            f'batch_size: 1 input {{ name: "INPUT0" dims: 15 }} input {{ name: "INPUT1" }} {OUT}',
            128,
            "INVALID_ARG",
            "unexpected shape for input 'INPUT0' for model 'simple'. Expected [16], got [15]",
        ),
        (
            f'batch_size: 1 input {{ name: "INPUT0" dims: -1 }} input {{ name: "INPUT1" }} {OUT}',
            128,
            "INVALID_ARG",
            "unexpected shape for input 'INPUT0' for model 'simple'. Expected [16], got [-1]",
        ),
        (
            f'batch_size: 1 input {{ name: "INPUT0" batch_byte_size: 60 }} input {{ name: "INPUT1" }} {OUT}',
            128,
            "INVALID_ARG",
            "specific batch-byte-size for input 'INPUT0' does not match expected byte-size calculated from shape and "
            "datatype for model 'simple'",
        ),
        (
            f"batch_size: 1 {BOTH} {OUT}",
            100,
            "INVALID_ARG",
            "unexpected size for input 'INPUT1', expecting 28 bytes for model 'simple'",
        ),
        (
            f"batch_size: 1 {BOTH} {OUT}",
            129,
            "INVALID_ARG",
            "unexpected additional input data for model 'simple'",
        ),
        (
            f'batch_size: 1 {BOTH} output {{ name: "X" }}',
            128,
            "INVALID_ARG",
            "unexpected inference output 'X' for model 'simple'",
        ),
        (
            'batch_size: 1 input { name: "INPUT0" shared_memory { name: "gone" byte_size: 64 } } '
            f'input {{ name: "INPUT1" }} {OUT}',
            64,
            "NOT_FOUND",
            "Unable to find shared memory region: 'gone'",
        ),
        (
            'batch_size: 1 input { name: "INPUT0" shared_memory { name: "gone" byte_size: 60 } } '
            f'input {{ name: "INPUT1" }} {OUT}',
            64,
            "INVALID_ARG",
            "unexpected shared-memory size 60 for input 'INPUT0', expecting 64 for model 'simple'",
        ),
    ],
)
def test_errors_have_their_texts(ask, header, size, code, text):
    status, headers, body = infer(ask, f"{header} id: 3", bytes(size))
    assert (status, status_of(headers), body) == (400, (code, text), b"")
    assert headers["nv-inferresponse"] == "id: 3"


def test_errors_of_models(ask):
    for path in ("/api/infer/nope", "/api/infer/simple/7", "/api/infer/simple/0", "/api/infer/broken"):
        status, headers, _ = infer(ask, f"batch_size: 1 {BOTH}", ROW, ROW, path=path)
        model = path.split("/")[3]
        assert status == 400
        assert status_of(headers) == ("UNAVAILABLE", f"Inference request for unknown model '{model}'")
        assert headers["nv-inferresponse"] == ""
    sizes = 'batch_size: 1 input { name: "INPUT0" } output { name: "OUTPUT0" }'
    _, headers, _ = infer(ask, sizes, ROW, path="/api/infer/any_fp32")
    assert status_of(headers)[1] == (
        "model supports variable-size for input 'INPUT0', request must specify input shape for model 'any_fp32'"
    )
    _, headers, _ = infer(ask, "batch_size: 2 " + sizes[14:], ROW, path="/api/infer/any_fp32")
    assert status_of(headers)[1] == "inference request batch-size must be <= 0 for 'any_fp32'"


def test_a_header_that_is_none(ask):
    status, headers, body = infer(ask, "batch_size: x", ROW)
    assert (status, "nv-status" in headers) == (400, False)
    assert b"at byte 12: expected an integer" in body
    status, headers, _ = ask("POST", "/api/infer/simple", b"")
    assert (status, status_of(headers)[0]) == (400, "INVALID_ARG")


def test_headers_of_many_kilobytes(ask):
    comment = "#" + "x" * 60_000
    # A comment ends with its line, and a header has one.
    status, headers, _ = infer(ask, f"batch_size: 1 {BOTH} {comment}", ROW, ROW)
    assert (status, status_of(headers)[0]) == (200, "SUCCESS")


def test_shared_memory_by_hand(ask):
    status, headers, _ = ask("POST", "/api/sharedmemorycontrol/register/r//no_such_object/0/8")
    assert (status, status_of(headers)) == (
        400,
        ("INTERNAL", "Unable to open shared memory region: '/no_such_object'"),
    )
    status, headers, _ = ask("POST", "/api/sharedmemorycontrol/cudaregister/r/8/0", b"short")
    assert status_of(headers) == (
        "INVALID_ARG",
        "unexpected size for CUDA shared-memory handle, expecting 64 bytes",
    )
    status, headers, _ = ask("POST", "/api/sharedmemorycontrol/cudaregister/r/8/0", bytes(64))
    assert (status, status_of(headers)) == (
        400,
        ("INVALID_ARG", "failed to register CUDA shared memory region: 'r', GPUs not supported"),
    )
    for path in ("unregister/r", "unregisterall"):
        status, headers, _ = ask("POST", f"/api/sharedmemorycontrol/{path}")
        assert (status, status_of(headers)[0]) == (200, "SUCCESS")


def test_a_connection_is_kept_after_errors(v1_server):
    with socket.create_connection(("127.0.0.1", v1_server.http_port), timeout=30) as link:
        replies = link.makefile("rb")
        for header, expected in (("batch_size: x", b"400"), (f"batch_size: 1 {BOTH}", b"200"), ("id: 1", b"400")):
            link.sendall(
                f"POST /api/infer/simple HTTP/1.1\r\nHost: x\r\nNV-InferRequest:{header}\r\n"
                "Content-Length: 128\r\n\r\n".encode()
                + bytes(128)
            )
            assert replies.readline().split()[1] == expected
            length = 0
            while (line := replies.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            replies.read(length)
