"""HTTP as other clients than tritonclient speak it: curl, and requests written by hand."""

import gzip
import http.client
import json
import re
import os
import shutil
import struct
import subprocess
import zlib

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join(TESTS, "references", "images", "astronaut.png")
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")

INFER = "/v2/models/simple/infer"
BODY = json.dumps(
    {
        "inputs": [
            {"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], "data": list(range(16))},
            {"name": "INPUT1", "datatype": "INT32", "shape": [1, 16], "data": [1] * 16},
        ]
    }
).encode()
SUM = list(range(1, 17))


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    def sum(self):
        outputs = {output["name"]: output for output in json.loads(self.body)["outputs"]}
        return outputs["OUTPUT0"]["data"]


@pytest.fixture
def send(server):
    def request(method, path, body=None, headers=None):
        link = http.client.HTTPConnection(server.http, timeout=20)
        link.request(method, path, body, headers or {})
        reply = link.getresponse()
        found = Reply(reply.status, reply.getheaders(), reply.read())
        link.close()
        return found

    return request


@pytest.fixture
def curl(server, tmp_path):
    """curl(path, *options): the reply that curl got."""

    def run(path, *options):
        body, head = tmp_path / "body", tmp_path / "head"
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "--output", body]
        command += ["--dump-header", head, *options, f"http://{server.http}{path}"]
        subprocess.run(command, check=True)
        # Of several heads, as after 100 Continue, the last one is the answer's.
        lines = head.read_text().strip().split("\n\n")[-1].splitlines()
        headers = [line.split(": ", 1) for line in lines[1:]]
        data = body.read_bytes() if body.exists() else b""
        return Reply(int(lines[0].split()[1]), headers, data)

    return run


# ---------------------------------------------------------------------------------- curl


@needs_curl
def test_curl_asks_the_health(curl):
    reply = curl("/v2/health/ready")
    assert (reply.status, json.loads(reply.body)) == (200, {"ready": True})


@needs_curl
def test_curl_infers(curl):
    reply = curl(INFER, "--data", BODY.decode())
    assert (reply.status, reply.sum()) == (200, SUM)
    assert reply.headers["content-type"] == "application/json"


@needs_curl
def test_curl_sends_a_picture_as_it_is(curl):
    reply = curl(
        "/v2/models/picture/infer",
        "--data-binary",
        f"@{PICTURE}",
        "--header",
        "Inference-Header-Content-Length: 0",
    )
    assert reply.status == 200, reply.body
    size = int(reply.headers["inference-header-content-length"])
    [output] = json.loads(reply.body[:size])["outputs"]
    with open(PICTURE, "rb") as f:
        picture = f.read()
    # One element of BYTES: its length, then the picture.
    assert reply.body[size:] == struct.pack("<I", len(picture)) + picture
    assert output["shape"] == [1]
    assert output["datatype"] == "BYTES"
    assert output["parameters"]["binary_data_size"] == len(picture) + 4


@needs_curl
def test_curl_sends_chunks(curl):
    reply = curl(INFER, "--data", BODY.decode(), "--header", "Transfer-Encoding: chunked")
    assert (reply.status, reply.sum()) == (200, SUM)


@needs_curl
def test_curl_waits_for_100_continue(curl):
    reply = curl(INFER, "--data", BODY.decode(), "--header", "Expect: 100-continue")
    assert (reply.status, reply.sum()) == (200, SUM)


@needs_curl
def test_curl_packs_and_unpacks(curl, tmp_path):
    packed = tmp_path / "request.gz"
    packed.write_bytes(gzip.compress(BODY))
    reply = curl(
        INFER, "--data-binary", f"@{packed}", "--header", "Content-Encoding: gzip", "--compressed"
    )
    assert (reply.status, reply.sum()) == (200, SUM)
    assert reply.headers["content-encoding"] in ("gzip", "deflate")


@needs_curl
def test_the_first_request_of_the_examples(server):
    script = os.path.join(os.path.dirname(TESTS), "examples", "first_request.sh")
    done = subprocess.run([script, server.http], check=True, capture_output=True, text=True)
    assert Reply(200, [], done.stdout).sum() == SUM


# ------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2", "/v2/models/simple"])
def test_head_is_get_without_the_body(send, path):
    reply = send("HEAD", path)
    assert reply.body == b""
    assert reply.status in (200, 405)


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/v2/health/live"),
        ("POST", "/v2/models/simple"),
        ("GET", INFER),
        ("PUT", INFER),
        ("DELETE", INFER),
        ("GET", "/v2/repository/index"),
        ("GET", "/v2/repository/models/simple/load"),
    ],
)
def test_a_wrong_method_is_405(send, method, path):
    reply = send(method, path)
    assert reply.status == 405
    assert json.loads(reply.body) == {"error": "Method Not Allowed"}


@pytest.mark.parametrize(
    "path", ["/", "/v2/", "/v1/models", "/v2/models", "/v2/health", "/v2/models/simple/versions/x"]
)
def test_an_unknown_path_is_404(send, path):
    reply = send("GET", path)
    assert reply.status == 404
    assert json.loads(reply.body) == {"error": "Not Found"}


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_both_encodings_of_requests(send, pack):
    name = {gzip.compress: "gzip", zlib.compress: "deflate"}[pack]
    reply = send("POST", INFER, pack(BODY), {"Content-Encoding": name})
    assert (reply.status, reply.sum()) == (200, SUM)


def test_the_better_encoding_is_chosen_for_the_answer(send):
    reply = send("POST", INFER, BODY, {"Accept-Encoding": "gzip;q=0.5, deflate;q=1.0"})
    assert reply.headers["content-encoding"] == "deflate"
    assert Reply(200, [], zlib.decompress(reply.body)).sum() == SUM


def test_an_unknown_encoding_is_refused(send):
    reply = send("POST", INFER, BODY, {"Content-Encoding": "br"})
    assert reply.status == 501
    assert json.loads(reply.body)["error"] == "Unsupported compression type"


@pytest.mark.parametrize("size", ["9999", "-1", "x", "0x58", "12abc", "18446744073709551617", ""])
def test_a_wrong_size_of_the_json_part_is_refused(send, size):
    reply = send("POST", INFER, BODY, {"Inference-Header-Content-Length": size})
    assert reply.status == 400
    assert json.loads(reply.body)["error"]


@pytest.mark.parametrize(
    "path", ["/v2/health/live", "/v2/health/ready", "/v2/models/simple/ready"]
)
def test_kserves_client_reads_the_body_of_the_health(send, path):
    reply = send("GET", path)
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body).get(path.rpartition("/")[2]) is True


BINARY = json.dumps(dict(json.loads(BODY), parameters={"binary_data_output": True})).encode()


@pytest.mark.parametrize(
    "accept, of_json, of_tensors",
    [
        ("gzip", "gzip", "gzip"),
        ("deflate;q=0.5", "deflate", "deflate"),
        ("gzip, deflate, br", "gzip", None),  # aiohttp and httpx
        ("gzip, deflate", "gzip", None),  # requests
        ("identity", None, None),
    ],
)
def test_tensors_are_compressed_only_for_an_encoding_that_is_named_alone(
    send, accept, of_json, of_tensors
):
    for body, encoding in ((BODY, of_json), (BINARY, of_tensors)):
        reply = send("POST", INFER, body, {"Accept-Encoding": accept})
        assert reply.status == 200
        assert reply.headers.get("content-encoding") == encoding


def test_binary_data_output_counts_for_outputs_that_do_not_say_it_themselves(send):
    outputs = [{"name": "OUTPUT0"}, {"name": "OUTPUT1", "parameters": {"binary_data": False}}]
    reply = send("POST", INFER, json.dumps(dict(json.loads(BINARY), outputs=outputs)))
    size = int(reply.headers["inference-header-content-length"])
    assert struct.unpack("<16i", reply.body[size:]) == tuple(SUM)
    kinds = {o["name"]: "data" in o for o in json.loads(reply.body[:size])["outputs"]}
    assert kinds == {"OUTPUT0": False, "OUTPUT1": True}


def test_gzip_of_several_members(send):
    packed = gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])
    reply = send("POST", INFER, packed, {"Content-Encoding": "gzip"})
    assert (reply.status, reply.sum()) == (200, SUM)


@pytest.mark.parametrize("chunks, status", [(65_536, 200), (65_537, 400)])
def test_more_chunks_than_anybody_needs(server, chunks, status):
    body = BODY + b" " * (chunks - len(BODY))
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % INFER.encode()
    data = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    link = http.client.HTTPConnection(server.http, timeout=60)
    link.connect()
    link.sock.sendall(head + data + b"0\r\n\r\n")
    reply = http.client.HTTPResponse(link.sock, method="POST")
    reply.begin()
    answer = reply.read()
    link.close()
    assert reply.status == status, answer
    if status == 400:
        assert json.loads(answer)["error"] == (
            "Chunked request body exceeds maximum of 65536 non-empty chunks. "
            "Send fewer or larger HTTP chunks."
        )


def test_the_metadata_name_what_works(send):
    named = json.loads(send("GET", "/v2").body)["extensions"]
    assert "statistics" in named and "binary_tensor_data" in named
    works = {
        "trace": send("GET", "/v2/trace/setting"),
        "logging": send("GET", "/v2/logging"),
        "system_shared_memory": send(
            "POST",
            "/v2/systemsharedmemory/region/x/register",
            json.dumps({"key": "/nobody", "byte_size": 4}),
        ),
    }
    for extension, reply in works.items():
        assert (extension in named) == (reply.status != 501), extension


def test_one_connection_serves_many_requests(server):
    link = http.client.HTTPConnection(server.http, timeout=20)
    link.connect()
    socket = link.sock
    for body in (BODY, b"{", BODY, b'{"inputs": []}', BODY):
        link.request("POST", INFER, body)
        reply = link.getresponse()
        data = reply.read()
        if body == BODY:
            assert Reply(reply.status, [], data).sum() == SUM
        else:
            assert reply.status >= 400
        assert link.sock is socket
    link.close()


def test_requests_in_a_row_without_waiting_are_answered_in_order(server):
    import socket

    one = b"GET /v2/models/simple HTTP/1.1\r\nHost: x\r\n\r\n"
    two = b"GET /v2/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as link:
        link.sendall(one + one + two)
        got = b"".join(iter(lambda: link.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+) ", got) == [b"200", b"200", b"404"]


def test_percent_encoded_names(send):
    reply = send("GET", "/v2/models/s%69mple")
    assert json.loads(reply.body)["name"] == "simple"
