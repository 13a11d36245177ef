"""Bytes over gRPC that mean harm, from broken HTTP/2 up to messages that lie about their tensors."""

import gzip
import socket
import struct
import zlib

import grpc
import pytest
from tritonclient.grpc import service_pb2

MIB = 1024  # KiB
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.fixture
def unharmed(server, client_of):
    """As in test_hostile_http.py: the server serves on, and its memory is as it was."""
    assert client_of("grpc").is_server_ready()
    server.reset_peak()
    resident = server.status_kib("VmRSS")
    yield
    assert server.alive(), server.log()[-4000:]
    assert call(server, INFER, simple_request().SerializeToString()).outputs
    assert server.status_kib("VmHWM") - resident < 300 * MIB


pytestmark = pytest.mark.usefixtures("unharmed")


def request(model, *inputs, raw=()):
    """A ModelInferRequest of (name, datatype, shape) and raw contents."""
    message = service_pb2.ModelInferRequest(model_name=model, raw_input_contents=raw)
    for name, datatype, shape in inputs:
        message.inputs.add(name=name, datatype=datatype, shape=shape)
    return message


def simple_request():
    tensors = [(name, "INT32", [1, 16]) for name in ("INPUT0", "INPUT1")]
    return request("simple", *tensors, raw=[bytes(64)] * 2)


def call(server, path, data, **options):
    """Sends bytes as the message of a unary call."""
    with grpc.insecure_channel(server.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        method = channel.unary_unary(path, bytes, service_pb2.ModelInferResponse.FromString)
        return method(data, timeout=60, **options)


def refused(server, data, *codes, path=INFER, **options):
    with pytest.raises(grpc.RpcError) as error:
        call(server, path, data, **options)
    code = error.value.code().name
    assert code != "UNAVAILABLE", error.value
    assert not codes or code in codes, error.value
    # An unknown call has no text of ours: the library in front answers it.
    assert error.value.details() or code == "UNIMPLEMENTED"


# ------------------------------------------------------------------------ broken messages


def field(number, kind, payload=b""):
    """Tag of a protobuf field, and what comes behind it."""
    return bytes([number << 3 | kind]) + payload


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 100,
        b"\x00",
        field(1, 2, b"\xff\xff\xff\xff\x0f"),  # a name of 4 GiB
        field(1, 2, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),  # ... of 16 EiB
        field(7, 2, b"\xff\xff\xff\x7f") + b"abc",  # raw contents of 256 MiB
        field(5, 2, b"\x05") + field(3, 2, b"\xff\xff\xff\x7f"),  # a shape of 256 Mi elements
        field(1, 2, b"\x02\xff\xfe"),  # a name that is not UTF-8
        field(1, 3) * 100,  # groups within groups
        field(1, 7),  # a wire type that does not exist
        b"\x80" * 50,  # a number that does not end
    ],
    ids=lambda data: data[:12].hex(),
)
@pytest.mark.parametrize("path", [INFER, STREAM])
def test_malformed_protobuf(server, path, data):
    refused(server, data, "INVALID_ARGUMENT", path=path)


SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


@pytest.mark.parametrize("method", [method.name for method in SERVICE.methods])
def test_bytes_that_are_no_message_of_any_call(server, method):
    for data in (b"\xff" * 100, b"\x00", field(1, 7)):
        refused(server, data, "INVALID_ARGUMENT", path=f"/{SERVICE.full_name}/{method}")


def test_more_parameters_than_a_request_may_have(server):
    many = simple_request()
    for n in range(1025):
        many.parameters[f"parameter {n}"].int64_param = n
    refused(server, many.SerializeToString(), "INVALID_ARGUMENT")
    del many.parameters["parameter 0"]
    assert call(server, INFER, many.SerializeToString()).outputs
    for n in range(200_000):
        many.parameters[f"parameter {n}"].int64_param = n
    refused(server, many.SerializeToString(), "INVALID_ARGUMENT")


def test_the_same_output_twice(server):
    twice = simple_request()
    for _ in range(2):
        twice.outputs.add(name="OUTPUT0")
    refused(server, twice.SerializeToString(), "INVALID_ARGUMENT")


def test_a_batch_of_nothing(server):
    tensors = [(name, "INT32", [0, 16]) for name in ("INPUT0", "INPUT1")]
    nothing = request("simple", *tensors, raw=[b""] * 2)
    refused(server, nothing.SerializeToString(), "INVALID_ARGUMENT")


@pytest.mark.parametrize("size", [17_000, 40_000, 60_000])
@pytest.mark.parametrize("path", [INFER, "/inference.GRPCInferenceService/ServerLive", "/nvidia.inferenceserver.GRPCService/Status", "/a.B/C"])
def test_more_metadata_than_a_call_may_have(server, path, size):
    """As gRPC's C core answers, by a status; a status of HTTP would be an unknown error to clients."""
    for metadata in ([("x-a", "v" * size)], [(f"x-{number}", "v" * (size // 20)) for number in range(20)]):
        refused(server, b"", "RESOURCE_EXHAUSTED", path=path, metadata=metadata)
        with pytest.raises(grpc.RpcError, match=r"received metadata size exceeds hard limit \(\d+ vs. 16384\)"):
            call(server, path, b"", metadata=metadata)
    data = simple_request().SerializeToString()
    assert call(server, INFER, data, metadata=[("x-a", "v" * 15_000)]).outputs


def test_an_unknown_method_and_an_unknown_service(server):
    refused(server, b"", "UNIMPLEMENTED", path="/inference.GRPCInferenceService/Nothing")
    refused(server, b"", "UNIMPLEMENTED", path="/nothing.Service/Nothing")


# --------------------------------------------------------------------- lies about tensors

HUGE = [2**63 - 1, 2**62, 2**62 + 1, 2**61, -1, -(2**63)]


@pytest.mark.parametrize("dim", HUGE)
@pytest.mark.parametrize("raw", [b"", bytes(4)])
def test_shapes_that_overflow(server, dim, raw):
    one = request("identity_fp32", ("INPUT0", "FP32", [dim]), raw=[raw])
    refused(server, one.SerializeToString(), "INVALID_ARGUMENT")
    one = request("identity_bytes", ("INPUT0", "BYTES", [dim]), raw=[raw])
    refused(server, one.SerializeToString(), "INVALID_ARGUMENT")


@pytest.mark.parametrize("shape", [[2**32, 2**32], [2**62, 16], [0, 2**62], [1, 16, 2**60]])
def test_shapes_whose_product_overflows(server, shape):
    tensors = [(name, "INT32", shape) for name in ("INPUT0", "INPUT1")]
    refused(server, request("simple", *tensors, raw=[bytes(64)] * 2).SerializeToString())


def test_contents_with_a_shape_that_overflows(server):
    one = request("identity_fp32", ("INPUT0", "FP32", [2**62 + 1]))
    one.inputs[0].contents.fp32_contents.append(1)
    refused(server, one.SerializeToString(), "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "elements",
    [b"\xff\xff\xff\xffab", b"\x05\0\0\0ab", b"\x01\0\0", b"\0\0\0\x80", b"\x01\0\0\0a\0"],
)
def test_strings_with_lengths_that_lie(server, elements):
    one = request("identity_bytes", ("INPUT0", "BYTES", [1]), raw=[elements])
    refused(server, one.SerializeToString(), "INVALID_ARGUMENT")


def test_a_shape_of_a_million_dimensions(server):
    one = request("identity_fp32", ("INPUT0", "FP32", [1] * 1_000_000), raw=[bytes(4)])
    refused(server, one.SerializeToString(), "INVALID_ARGUMENT")


def test_the_same_input_twice(server):
    twice = request("simple", *[("INPUT0", "INT32", [1, 16])] * 2, raw=[bytes(64)] * 2)
    refused(server, twice.SerializeToString(), "INVALID_ARGUMENT")


def test_thousands_of_inputs_and_outputs(server):
    many = request("simple", *[(f"I{n}", "INT32", [1]) for n in range(20_000)], raw=[b""])
    for n in range(20_000):
        many.outputs.add(name=f"O{n}")
    refused(server, many.SerializeToString(), "INVALID_ARGUMENT")


@pytest.mark.parametrize("name", ["../simple", "..", "a/b", "\0", "x" * 100_000, "/etc"])
def test_names_that_want_out_of_the_repository(server, name):
    load = service_pb2.RepositoryModelLoadRequest(model_name=name).SerializeToString()
    refused(server, load, path="/inference.GRPCInferenceService/RepositoryModelLoad")


# ------------------------------------------------------------- broken HTTP/2, broken framing

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0x1,
    0x0,
    0x3,
    0x4,
    0x6,
    0x7,
    0x8,
    0x9,
)
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind, payload=b"", flags=0, stream=0, length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(path, **more):
    """A header block in its plainest form: literals without Huffman code and without table."""
    lines = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    } | {key.replace("_", "-"): value for key, value in more.items()}
    block = b""
    for name, value in lines.items():
        block += b"\x00" + bytes([len(name)]) + name.encode()
        block += bytes([len(value)]) + value.encode()
    return block


def opened(path=INFER, **more):
    """Everything up to the point at which the message of a call is sent."""
    start = PREFACE + frame(SETTINGS)
    return start + frame(HEADERS, headers(path, **more), END_HEADERS, stream=1)


def message(payload, length=None, packed=0):
    size = len(payload) if length is None else length
    return bytes([packed]) + struct.pack(">I", size) + payload


def exchange(server, data):
    """Sends bytes, hangs up, and reads what comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65536), b""))
        except OSError:
            # The server was quicker to hang up.
            return b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 5000,
        PREFACE[:-3] + b"x" * 100,
        PREFACE + b"\xff" * 5000,
        PREFACE + frame(SETTINGS, b"\x00" * 5),
        PREFACE + frame(SETTINGS) + frame(DATA, b"x", stream=1),
        PREFACE + frame(SETTINGS) + frame(HEADERS, b"\xff" * 100, END_HEADERS, stream=1),
        PREFACE + frame(SETTINGS) + frame(HEADERS, headers(INFER), END_HEADERS, stream=2),
        PREFACE + frame(SETTINGS) + frame(CONTINUATION, b"", stream=1),
        PREFACE + frame(SETTINGS) + frame(WINDOW_UPDATE, b"\x00" * 4),
        PREFACE + frame(SETTINGS) + frame(DATA, b"", stream=1, length=(1 << 24) - 1),
        PREFACE + frame(SETTINGS) + frame(PING, b"12345678") * 1000,
        PREFACE + frame(SETTINGS) * 1000,
        opened() + frame(RST_STREAM, b"\0\0\0\x08", stream=1),
        opened() + frame(DATA, b"", END_STREAM, stream=1),
        opened() + frame(DATA, message(b"", length=5), END_STREAM, stream=1),
        opened() + frame(DATA, message(b"abc", length=1 << 30), END_STREAM, stream=1),
        opened() + frame(DATA, message(b"abc", length=(1 << 32) - 1), END_STREAM, stream=1),
        opened() + frame(DATA, message(b"abc", length=1 << 30), stream=1),
        opened() + frame(DATA, message(b"abc", packed=1), END_STREAM, stream=1),
        opened() + frame(DATA, message(b"abc", packed=7), END_STREAM, stream=1),
        opened(grpc_encoding="gzip") + frame(DATA, message(b"abc", packed=1), END_STREAM, stream=1),
        opened(grpc_encoding="odd") + frame(DATA, message(b"abc", packed=1), END_STREAM, stream=1),
        opened(grpc_timeout="99999999999H") + frame(DATA, message(b""), END_STREAM, stream=1),
        opened(STREAM) + frame(DATA, message(b"abc", length=1 << 30), stream=1),
    ],
    ids=lambda data: data[-16:].hex(),
)
def test_broken_http2_and_broken_framing(server, data):
    exchange(server, data)


def test_streams_that_are_opened_and_reset_at_once(server):
    """A rapid reset: many calls that are given up before they are answered."""
    data = PREFACE + frame(SETTINGS)
    for number in range(1, 4000, 2):
        data += frame(HEADERS, headers(INFER), END_HEADERS, stream=number)
        data += frame(RST_STREAM, b"\0\0\0\x08", stream=number)
    exchange(server, data)


def test_headers_that_never_end(server):
    data = PREFACE + frame(SETTINGS) + frame(HEADERS, headers(INFER), 0, stream=1)
    block = b"\x00\x04name\x7f\x81\x7f" + b"v" * 16_000  # a value of 16 000 bytes
    exchange(server, data + frame(CONTINUATION, block[:16_000], stream=1) * 2000)


def test_many_streams_that_claim_a_gigabyte_each(server):
    data = PREFACE + frame(SETTINGS)
    for number in range(1, 200, 2):
        data += frame(HEADERS, headers(INFER), END_HEADERS, stream=number)
        data += frame(DATA, message(b"abc", length=1 << 30), stream=number)
    exchange(server, data)


@pytest.mark.parametrize("packer", [("gzip", 31), ("deflate", 15)], ids=lambda packer: packer[0])
def test_a_compressed_bomb_larger_than_any_message_may_be(server, packer):
    """3 GiB of zeros in 3 MiB: more than a message may have, so it must not be unpacked whole."""
    name, bits = packer
    pack = zlib.compressobj(1, wbits=bits)
    piece = bytes(1 << 20)
    data = b"".join(pack.compress(piece) for _ in range(3 << 10)) + pack.flush()
    body = message(data, packed=1)
    frames = b"".join(
        frame(DATA, body[at : at + 16_384], stream=1) for at in range(0, len(body), 16_384)
    )
    end = frame(DATA, b"", END_STREAM, stream=1)
    server.reset_peak()
    resident = server.status_kib("VmRSS")
    sent_with_windows(server, opened(grpc_encoding=name), frames + end)
    assert server.alive()
    assert server.status_kib("VmHWM") - resident < 2200 * MIB
    server.reset_peak()


def sent_with_windows(server, start, frames):
    """Sends DATA frames as far as the server's flow control lets them in, then hangs up."""
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=30) as link:
        link.sendall(start)
        link.settimeout(10)
        window = {0: 65_535, 1: 65_535}
        at, buffered = 0, b""
        while at < len(frames):
            size = 9 + int.from_bytes(frames[at : at + 3], "big")
            while min(window.values()) < size - 9:
                try:
                    got = link.recv(65536)
                except TimeoutError:
                    return
                if not got:
                    return
                buffered = grown(window, buffered + got)
            try:
                link.sendall(frames[at : at + size])
            except (BrokenPipeError, ConnectionResetError):
                return
            window = {stream: left - (size - 9) for stream, left in window.items()}
            at += size
        link.shutdown(socket.SHUT_WR)
        while link.recv(65536):
            pass


def grown(window, data):
    """Reads whole frames, adds what the server grants to `window`; the rest of the bytes."""
    while len(data) >= 9:
        size = 9 + int.from_bytes(data[:3], "big")
        if len(data) < size:
            break
        kind, stream, payload = data[3], int.from_bytes(data[5:9], "big"), data[9:size]
        if kind == WINDOW_UPDATE and stream in window:
            window[stream] += int.from_bytes(payload, "big") & 0x7FFFFFFF
        if kind == SETTINGS:
            for offset in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[offset : offset + 6])
                if key == 4:
                    window[1] += value - 65_535
        data = data[size:]
    return data


def test_a_cancelled_storm(server):
    """Calls that are given up at once, on one connection."""
    data = simple_request().SerializeToString()
    with grpc.insecure_channel(server.grpc) as channel:
        method = channel.unary_unary(INFER, bytes, bytes)
        for _ in range(500):
            method.future(data, timeout=20).cancel()


def test_a_message_packed_by_a_client_that_may(server):
    """The counterpart of the above: honest compression works on the same path."""
    data = gzip.compress(simple_request().SerializeToString())
    answer = exchange_open(server, opened(grpc_encoding="gzip"), message(data, packed=1))
    assert b"grpc-status" in answer or len(answer) > 60


def exchange_open(server, start, body):
    """As exchange(), but hangs up only when the server has ended the stream."""
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20) as link:
        link.sendall(start + frame(DATA, body, END_STREAM, stream=1))
        got = b""
        while True:
            piece = link.recv(65536)
            got += piece
            if not piece or ended(got):
                return got


def ended(data):
    """Whether a frame that ends stream 1 is among these."""
    while len(data) >= 9:
        size = 9 + int.from_bytes(data[:3], "big")
        if data[3] in (DATA, HEADERS) and data[4] & END_STREAM:
            return True
        data = data[size:]
    return False
