"""Inference by all four clients: data types, forms of tensors, parameters, errors."""

import http.client

import ml_dtypes
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

VALUES = {
    "BOOL": np.array([True, False, True, True], bool),
    "UINT8": np.array([0, 1, 254, 255], np.uint8),
    "UINT16": np.array([0, 1, 65534, 65535], np.uint16),
    "UINT32": np.array([0, 1, 2**32 - 2, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 1, 2**64 - 2, 2**64 - 1], np.uint64),
    "INT8": np.array([0, 1, -128, 127], np.int8),
    "INT16": np.array([0, 1, -(2**15), 2**15 - 1], np.int16),
    "INT32": np.array([0, 1, -(2**31), 2**31 - 1], np.int32),
    "INT64": np.array([0, 1, -(2**63), 2**63 - 1], np.int64),
    "FP16": np.array([0, -1.5, 65504, 6e-8], np.float16),
    "BF16": np.array([0, -1.5, 3e38, 1e-38], ml_dtypes.bfloat16),
    "FP32": np.array([0, -1.5, 3e38, 0.1], np.float32),
    "FP64": np.array([0, -1.5, 1e308, 0.1], np.float64),
    "BYTES": np.array([b"", b"hippocamp", "Größe".encode(), b"\x00\x01\xff"], object),
}
# What JSON cannot carry: refused by the protocol, or no text.
BINARY_ONLY = {"FP16", "BF16", "BYTES"}

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.ones((1, 16), np.int32)


def simple_inputs(client, a=A, b=B, binary=True):
    return [client.input("INPUT0", a, "INT32", binary), client.input("INPUT1", b, "INT32", binary)]


def same(want, got):
    assert want.shape == got.shape
    if want.dtype == object:
        assert want.tolist() == got.tolist()
    else:
        assert want.dtype == got.dtype
        assert want.tobytes() == got.tobytes()


# --------------------------------------------------------------------------- data types


@pytest.mark.parametrize("datatype", VALUES)
def test_every_type_comes_back_from_the_identity_backend(client, datatype):
    values = VALUES[datatype]
    model = f"identity_{datatype.lower()}"
    reply = client.infer(model, [client.input("INPUT0", values, datatype)])
    same(values, reply.as_numpy("OUTPUT0"))


@pytest.mark.parametrize("datatype", VALUES)
def test_every_type_comes_back_from_onnx_runtime(client, datatype):
    values = VALUES[datatype].reshape(2, 2)
    model = f"onnx_{datatype.lower()}"
    reply = client.infer(model, [client.input("INPUT", values, datatype)])
    same(values, reply.as_numpy("OUTPUT"))


@pytest.mark.parametrize("kind", ["http", "http.aio"])
@pytest.mark.parametrize("binary_in, binary_out", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("datatype", [d for d in VALUES if d not in BINARY_ONLY])
def test_every_type_in_json(client_of, kind, datatype, binary_in, binary_out):
    client, values = client_of(kind), VALUES[datatype]
    reply = client.infer(
        f"identity_{datatype.lower()}",
        [client.input("INPUT0", values, datatype, binary_in)],
        outputs=[client.output("OUTPUT0", binary_out)],
    )
    same(values, reply.as_numpy("OUTPUT0"))


def test_text_in_json(client_of):
    client, values = (
        client_of("http"),
        np.array(["", "Größe", 'quote " and \\', "\n\t\u2028"], object),
    )
    reply = client.infer(
        "identity_bytes",
        [client.input("INPUT0", values, "BYTES", binary=False)],
        outputs=[client.output("OUTPUT0", binary=False)],
    )
    assert [
        value.decode() if isinstance(value, bytes) else value for value in reply.as_numpy("OUTPUT0")
    ] == values.tolist()


@pytest.mark.parametrize("datatype", ["FP32", "BYTES", "BOOL", "BF16"])
def test_tensors_without_elements(client, datatype):
    empty = VALUES[datatype][:0]
    reply = client.infer(f"identity_{datatype.lower()}", [client.input("INPUT0", empty, datatype)])
    assert reply.as_numpy("OUTPUT0").shape == (0,)


def test_a_large_tensor(client):
    values = np.random.default_rng(1).random(8 << 20, np.float32)
    reply = client.infer("identity_fp32", [client.input("INPUT0", values, "FP32")])
    same(values, reply.as_numpy("OUTPUT0"))


def test_scalars_and_weights_that_are_listed_as_inputs(client):
    x, factor = np.array([1, 2, 3], np.float32), np.array([2], np.float32)
    inputs = [client.input("x", x, "FP32"), client.input("factor", factor, "FP32")]
    reply = client.infer("scaled", inputs)
    assert reply.as_numpy("y").tolist() == [20, 40, 60]


def test_optional_inputs(client):
    given = np.array([1, 2], np.float32)
    reply = client.infer("optional", [client.input("INPUT1", given, "FP32")])
    assert reply.as_numpy("OUTPUT0").tolist() == [0, 0]
    assert reply.as_numpy("OUTPUT1").tolist() == [1, 2]


# ------------------------------------------------------------- requests and their answers


def test_all_outputs_when_none_is_asked_for(client):
    reply = client.infer("simple", simple_inputs(client))
    same(A + B, reply.as_numpy("OUTPUT0"))
    same(A - B, reply.as_numpy("OUTPUT1"))


def test_only_the_outputs_asked_for(client):
    reply = client.infer("simple", simple_inputs(client), outputs=[client.output("OUTPUT1")])
    assert reply.as_numpy("OUTPUT0") is None
    same(A - B, reply.as_numpy("OUTPUT1"))


def test_a_whole_batch(client):
    a = np.arange(128, dtype=np.int32).reshape(8, 16)
    reply = client.infer("simple", simple_inputs(client, a, a))
    same(a + a, reply.as_numpy("OUTPUT0"))


def fields(client, reply):
    response = reply.get_response()
    if client.protocol == "http":
        return response.get("id", ""), response["model_name"], response["model_version"]
    return response.id, response.model_name, response.model_version


def test_ids_come_back(client):
    reply = client.infer("simple", simple_inputs(client), request_id="call 7")
    assert fields(client, reply) == ("call 7", "simple", "1")


@pytest.mark.parametrize("asked, answered", [("", "3"), ("1", "1"), ("3", "3")])
def test_versions(client, asked, answered):
    reply = client.infer("simple_v2", simple_inputs(client), model_version=asked)
    assert fields(client, reply)[1:] == ("simple_v2", answered)


def test_request_parameters_are_accepted(client):
    parameters = {"text": "t", "number": 3, "flag": True}
    reply = client.infer(
        "simple", simple_inputs(client), priority=1, timeout=10_000_000, parameters=parameters
    )
    same(A + B, reply.as_numpy("OUTPUT0"))


def test_response_parameters_come_back(client):
    values = VALUES["FP32"]
    reply = client.infer("identity_fp32", [client.input("INPUT0", values, "FP32")]).get_response()
    if client.protocol == "http":
        got = reply["parameters"]
    else:
        got = {k: getattr(v, v.WhichOneof("parameter_choice")) for k, v in reply.parameters.items()}
    assert got["param0"] == "an example string parameter"
    assert got["param1"] == 42
    assert got["param2"] is False


def test_classification(client):
    x = np.array([[1, 2, 3, 4], [8, 0, 0, 0]], np.float32)
    reply = client.infer(
        "cls", [client.input("x", x, "FP32")], outputs=[client.output("scores", class_count=2)]
    )
    classes = reply.as_numpy("scores")
    assert classes.shape == (2, 2)
    assert [value.split(b":")[1:] for value in classes.flatten()] == [
        [b"3", b"fish"],
        [b"2", b"bird"],
        [b"0", b"cat"],
        [b"1", b"dog"],
    ]
    assert classes[0, 0] == b"0.643914:3:fish"


@pytest.mark.parametrize("kind", ["http", "http.aio"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("request_by", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_by", [None, "gzip", "deflate"])
def test_compression_over_http(client_of, kind, request_by, response_by, binary):
    client = client_of(kind)
    reply = client.infer(
        "simple",
        simple_inputs(client, binary=binary),
        outputs=[client.output("OUTPUT0", binary), client.output("OUTPUT1", binary)],
        request_compression_algorithm=request_by,
        response_compression_algorithm=response_by,
    )
    same(A + B, reply.as_numpy("OUTPUT0"))
    same(A - B, reply.as_numpy("OUTPUT1"))


@pytest.mark.parametrize("kind", ["grpc", "grpc.aio"])
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_over_grpc(client_of, kind, algorithm):
    client = client_of(kind)
    values = np.zeros(1 << 20, np.float32)
    inputs = [client.input("INPUT0", values, "FP32")]
    reply = client.infer("identity_fp32", inputs, compression_algorithm=algorithm)
    same(values, reply.as_numpy("OUTPUT0"))


def test_headers_and_query_parameters_do_no_harm(client_of):
    client = client_of("http")
    reply = client.infer(
        "simple", simple_inputs(client), headers={"X-Trace": "1"}, query_params={"a": "b c"}
    )
    same(A + B, reply.as_numpy("OUTPUT0"))
    grpc = client_of("grpc")
    reply = grpc.infer("simple", simple_inputs(grpc), headers={"x-trace": "1"})
    same(A + B, reply.as_numpy("OUTPUT0"))


def test_request_bodies_made_and_parsed_by_hand(server, client_of):
    client = client_of("http")
    kind = client.module.InferenceServerClient
    body, json_size = kind.generate_request_body(simple_inputs(client), request_id="by hand")
    link = http.client.HTTPConnection(server.http)
    headers = {"Inference-Header-Content-Length": str(json_size)}
    link.request("POST", "/v2/models/simple/infer", body, headers)
    reply = link.getresponse()
    size = int(reply.headers["Inference-Header-Content-Length"])
    result = kind.parse_response_body(reply.read(), header_length=size)
    link.close()
    assert fields(client, result)[0] == "by hand"
    same(A + B, result.as_numpy("OUTPUT0"))


# -------------------------------------------------------------------------------- errors

UNEXPECTED_SHAPE = (
    "[request id: <id_unknown>] unexpected shape for input 'INPUT0' for model 'simple'."
    " Expected [-1,16], got [1,15]."
)


def fails(client, status, text, *arguments, **named):
    """The call fails with the status of the client's protocol, and a text that starts like this."""
    with pytest.raises(InferenceServerException) as error:
        client.infer(*arguments, **named)
    assert error.value.message().startswith(text)
    http_status, grpc_status = status
    wanted = http_status if client.protocol == "http" else f"StatusCode.{grpc_status}"
    assert error.value.status() == wanted


INVALID = ("400", "INVALID_ARGUMENT")


def test_errors_name_what_was_expected_and_what_came(client):
    inputs = simple_inputs(client)
    short = np.ones((1, 15), np.int32)
    floats = A.astype(np.float32)
    unknown = "[request id: <id_unknown>] "
    cases = [
        (
            ("404", "NOT_FOUND"),
            "Request for unknown model: 'nobody' is not found",
            "nobody",
            inputs,
        ),
        (INVALID, UNEXPECTED_SHAPE, "simple", simple_inputs(client, short, short)),
        (
            INVALID,
            unknown + "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects",
            "simple",
            [client.input("INPUT0", floats, "FP32"), inputs[1]],
        ),
        (
            INVALID,
            unknown + "expected 2 inputs but got 1 inputs for model 'simple'."
            " Got input(s) ['INPUT0'], but missing required input(s) ['INPUT1'].",
            "simple",
            inputs[:1],
        ),
        (
            INVALID,
            unknown + "expected 2 inputs but got 3 inputs for model 'simple'",
            "simple",
            [*inputs, client.input("OTHER", A, "INT32")],
        ),
        (
            INVALID,
            unknown + "inference request batch-size must be <= 8 for 'simple'",
            "simple",
            simple_inputs(client, np.zeros((9, 16), np.int32), np.zeros((9, 16), np.int32)),
        ),
        (INVALID, "boom from the model", "err_py", [client.input("IN", A[0, :1], "INT32")]),
    ]
    for status, text, model, tensors in cases:
        fails(client, status, text, model, tensors)
    # ... and none of them has done the server any harm.
    same(A + B, client.infer("simple", inputs).as_numpy("OUTPUT0"))


def test_errors_about_outputs_versions_and_parameters(client):
    inputs = simple_inputs(client)
    text = "unexpected inference output 'OTHER' for model 'simple'"
    fails(client, INVALID, text, "simple", inputs, outputs=[client.output("OTHER")])
    text = "Request for unknown model: 'simple' version 9 is not found"
    fails(client, ("404", "NOT_FOUND"), text, "simple", inputs, model_version="9")
    text = "[request id: number 5] inference request batch-size must be <= 8"
    big = np.zeros((9, 16), np.int32)
    fails(client, INVALID, text, "simple", simple_inputs(client, big, big), request_id="number 5")


def test_unready_models_say_so(client):
    x = np.zeros((1, 256), np.float32)
    fails(
        client,
        ("404", "NOT_FOUND"),
        "Request for unknown model: 'mlp_auto'",
        "mlp_auto",
        [client.input("x", x, "FP32")],
    )


def test_decoupled_models_want_a_stream(client):
    text = {
        "http": "HTTP end point doesn't support models with decoupled transaction policy",
        "grpc": "ModelInfer RPC doesn't support models with decoupled transaction policy",
    }[client.protocol]
    inputs = [client.input("IN", np.array([1], np.int32), "INT32")]
    fails(client, ("501", "UNIMPLEMENTED"), text, "repeat_py", inputs)


def test_half_precision_has_no_json_form(client_of):
    client = client_of("http")
    tensor = client.input("INPUT0", VALUES["FP16"], "FP16")
    fails(
        client,
        INVALID,
        "sending FP16 data via JSON is not supported",
        "identity_fp16",
        [tensor],
        outputs=[client.output("OUTPUT0", binary=False)],
    )
