"""Bytes over HTTP that mean harm: each is refused, and costs neither the server nor its memory."""

import errno
import gzip
import http.client
import json
import socket
import zlib

import pytest

MIB = 1024  # KiB
INFER = "/v2/models/{}/infer"


@pytest.fixture
def unharmed(server, client_of):
    """What runs between its two looks must leave the server serving, and its memory as it was.

    The bounds are far above what a refusal costs and far below what the requests claim to send.
    """
    assert client_of("http").is_server_ready()
    server.reset_peak()
    resident, virtual = server.status_kib("VmRSS"), server.status_kib("VmSize")
    yield
    assert server.alive(), server.log()[-4000:]
    assert client_of("http").is_model_ready("simple")
    reply = post(server, "simple", simple_body())
    assert reply[0] == 200, reply
    assert server.status_kib("VmHWM") - resident < 300 * MIB
    assert server.status_kib("VmSize") - virtual < 4096 * MIB


pytestmark = pytest.mark.usefixtures("unharmed")


def tensor(name, shape, **others):
    return {"name": name, "datatype": "INT32", "shape": shape, **others}


def simple_body():
    inputs = [tensor(name, [1, 16], data=[1] * 16) for name in ("INPUT0", "INPUT1")]
    return json.dumps({"inputs": inputs}).encode()


def post(server, model, body, headers=None):
    link = http.client.HTTPConnection(server.http, timeout=60)
    try:
        try:
            link.request("POST", INFER.format(model), body, headers or {})
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent: the answer may be there nevertheless
        reply = link.getresponse()
        return reply.status, reply.read()
    finally:
        link.close()


def refused(answer, *statuses):
    """The answer is an error with a text."""
    status, body = answer
    assert status in (statuses or range(400, 600)), answer
    assert json.loads(body)["error"]


# ------------------------------------------------------------------- raw bytes, no HTTP


def exchange(server, data, hang_up=True):
    """Sends bytes and reads until the server closes; b"" if it just closes."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as link:
        try:
            link.sendall(data)
            if hang_up:
                link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65536), b""))
        except OSError as gone:
            # Closed by the server before all was sent: what that looks like depends on how far the sending got.
            if gone.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                raise
            return b""


HEAD = b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 500,
        b"GET\r\n\r\n",
        b"GET /v2 HTTP/9.9\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /v2\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + b"/a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\n" + b"X-Y: z\r\n" * 10_000 + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Y: " + b"z" * 10_000_000 + b"\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ],
    ids=lambda data: repr(data[:24] + data[-24:])[:60],
)
def test_what_is_no_http_gets_a_400_or_a_closed_connection(server, data):
    answer = exchange(server, data)
    assert not answer or 400 <= int(answer[9:12]) < 600, answer[:200]


@pytest.mark.parametrize("claimed", [10_000, 1 << 30, (1 << 31) - 1, 1 << 40])
def test_a_body_shorter_than_announced(server, claimed):
    answer = exchange(server, HEAD + b"Content-Length: %d\r\n\r\n{" % claimed)
    assert not answer or 400 <= int(answer[9:12]) < 600, answer[:200]


def test_many_connections_that_never_say_anything(server):
    links = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(200)]
    try:
        for link in links:
            link.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        assert post(server, "simple", simple_body())[0] == 200
    finally:
        for link in links:
            link.close()


# ---------------------------------------------------------------------------- bombs


def bomb(size):
    """Zeros, a thousandth as long: made in pieces, so that only the server could trip over them."""
    packer = zlib.compressobj(9, wbits=31)
    piece = b" " * (1 << 20)
    return b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()


def test_a_compressed_bomb_is_stopped_on_the_way(server):
    refused(post(server, "simple", bomb(1 << 30), {"Content-Encoding": "gzip"}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [b"no archive", gzip.compress(simple_body())[:-9], b"\x1f\x8b"])
def test_a_body_that_does_not_unpack(server, encoding, body):
    refused(post(server, "simple", body, {"Content-Encoding": encoding}))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"inputs":' * 50_000,
        b'{"parameters":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b',"inputs":[]}',
        b'{"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","data":'
        + b"[" * 50_000
        + b"1"
        + b"]" * 50_000
        + b"}]}",
    ],
    ids=["lists", "objects", "parameters", "data"],
)
def test_deep_json(server, body):
    refused(post(server, "simple", body))


def test_json_beyond_the_limit_of_an_input(server):
    refused(post(server, "simple", b'{"inputs":[' + b" " * (80 << 20) + b"]}"))


# -------------------------------------------------------------------- lies about sizes

HUGE = [2**63 - 1, 2**62, 2**62 + 1, 2**64 - 1, 2**64, 2**32, 10**30]


@pytest.mark.parametrize("dim", HUGE)
@pytest.mark.parametrize("model, before", [("identity_fp32", []), ("simple", [1]), ("simple", [])])
def test_shapes_that_overflow(server, model, before, dim):
    name = "INPUT0"
    datatype = "FP32" if model == "identity_fp32" else "INT32"
    shape = [*before, dim] if before else ([dim] if model == "identity_fp32" else [dim, 16])
    one = tensor(name, shape, data=[1]) | {"datatype": datatype}
    refused(post(server, model, json.dumps({"inputs": [one]}).encode()))


@pytest.mark.parametrize("shape", [[2**32, 2**32], [2**21, 2**21, 2**22], [2**62, 4], [-1], [1.5]])
def test_products_that_overflow(server, shape):
    one = tensor("INPUT0", shape, data=[1])
    refused(post(server, "simple", json.dumps({"inputs": [one]}).encode()))


def binary(size, shape, model_type="FP32", data=b"\0\0\0\0", count=1):
    one = {"name": "INPUT0", "shape": shape, "datatype": model_type}
    one["parameters"] = {"binary_data_size": size}
    head = json.dumps({"inputs": [one] * count}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.parametrize("size", [5, 2**31, 2**40, 2**63, 2**64 - 1, 2**64, -4, "4", 4.5, None])
def test_binary_sizes_that_lie(server, size):
    refused(post(server, "identity_fp32", *binary(size, [1])))


@pytest.mark.parametrize("shape", [[2**62], [2**62 + 1], [2**63 - 1]])
def test_binary_data_with_a_shape_that_wraps_around_to_its_size(server, shape):
    refused(post(server, "identity_fp32", *binary(4, shape)))
    refused(post(server, "identity_fp32", *binary(0, shape, data=b"")))


@pytest.mark.parametrize(
    "elements",
    [
        b"\xff\xff\xff\xffab",
        b"\x05\x00\x00\x00ab",
        b"\x01\x00\x00",
        b"\x00\x00\x00\x80",
        b"\x01\x00\x00\x00a\x00",
    ],
)
def test_strings_with_lengths_that_lie(server, elements):
    body = binary(len(elements), [1], "BYTES", elements)
    refused(post(server, "identity_bytes", *body), 400)


def test_a_million_strings_that_are_not_there(server):
    refused(post(server, "identity_bytes", *binary(4, [1 << 40], "BYTES")))


# ------------------------------------------------------------------------ odd requests


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"inputs": 3}',
        b'{"inputs": [3]}',
        b'{"inputs": [{}]}',
        b'{"inputs": []}',
        b'{"inputs": [], "inputs": []}',
        b'{"inputs": [], "outputs": [{}]}',
        b'{"inputs": [], "parameters": []}',
        b'{"inputs": [], "id": 7}',
        b'{"inputs": [{"name": "INPUT0", "shape": [1, 16], "datatype": "NOTHING", "data": [1]}]}',
    ],
)
def test_malformed_requests(server, body):
    refused(post(server, "simple", body))


def test_the_same_input_twice(server):
    inputs = [tensor("INPUT0", [1, 16], data=[1] * 16)] * 2
    refused(post(server, "simple", json.dumps({"inputs": inputs}).encode()), 400)


def test_thousands_of_inputs(server):
    inputs = [tensor(f"I{n}", [1], data=[1]) for n in range(20_000)]
    refused(post(server, "simple", json.dumps({"inputs": inputs}).encode()))


@pytest.mark.parametrize("count", [0, -1, 2**31, 2**63, "2", 1.5])
def test_classification_of_odd_counts(server, count):
    x = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    output = {"name": "scores", "parameters": {"classification": count}}
    body = json.dumps({"inputs": [x], "outputs": [output]}).encode()
    status, answer = post(server, "cls", body)
    # 0 means none. More classes than there are may mean all of them, or be refused.
    assert status == 200 if count == 0 else status in (200, *range(400, 600)), answer


@pytest.mark.parametrize("name", ["../simple", "..", "%2e%2e", "a/b", "%00", "x" * 5000, "%ff"])
def test_names_that_want_out_of_the_repository(server, name):
    link = http.client.HTTPConnection(server.http, timeout=20)
    link.putrequest("POST", f"/v2/repository/models/{name}/load", skip_host=False)
    link.putheader("Content-Length", "0")
    link.endheaders()
    reply = link.getresponse()
    assert 400 <= reply.status < 600
    reply.read()
    link.close()


def test_hanging_up_in_the_middle_of_a_request(server):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as link:
            link.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 500)


def test_hanging_up_before_the_answer(server):
    body = simple_body()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as link:
            link.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
