"""The clients of the first of the two systems that people come from, run as they are: its script, its measurement, and a client as it is
written in Go."""

import http.client
import json
import os
import re
import subprocess
import sys

import pytest
from server_process import BINARY, LIBRARY, ROOT, ServerProcess, free_ports
from test_torchserve import FLAGS, PICTURE, TorchServe, make_mar

EXAMPLES = os.path.join(ROOT, "examples")
LINE = re.compile(r"^batchsize:(\d+), time:(\d+\.\d{3}), serverQPS:([\d.]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    make_mar(store, "trt_fd1", "centerface", "centerface.py", more={"centerface.py": b"# only its name counts\n"})
    config = store / "config.properties"
    config.write_text("enable_model_api=true\ndisable_token_authorization=true\n")
    with ServerProcess(store, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served = TorchServe(process)
        query = "url=trt_fd1.mar&batch_size=1&max_batch_delay=2&initial_workers=4&model_name=fd1"
        status, done = served.json("management", "POST", f"/models?{query}")
        assert (status, done["status"]) == (200, 'Model "fd1" Version: 1.0 registered with 4 initial workers')
        yield served


def run(name, *arguments):
    command = [sys.executable, os.path.join(EXAMPLES, name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


def test_the_measurement_prints_its_lines(served):
    lines = LINE.findall(run("torchserve_qps.py", "--url", f"127.0.0.1:{served.ports['gRPC inference']}"))
    assert [int(count) for count, _, _ in lines] == [1, 1, 1, 1, 4, 16, 32, 64, 128]
    for count, seconds, rate in lines:
        # The seconds are rounded to three digits.
        assert abs(int(count) / float(rate) - float(seconds)) <= 0.0006


def test_the_measurement_draws_faces(served, tmp_path):
    url, output = f"127.0.0.1:{served.ports['gRPC inference']}", tmp_path / "result.jpg"
    shown = run("torchserve_qps.py", "--vis", "--url", url, "--image", PICTURE, "--output", str(output))
    assert shown == "det size: 1\norgimg.shape: (512, 512, 3)\n"
    assert output.read_bytes()[:3] == b"\xff\xd8\xff"


def test_a_client_as_it_is_written_in_go(served):
    """It takes any answer to an empty PUT for a sign of life, and keeps its connection; a body of unknown length comes in chunks."""
    headers = {"Content-Type": "application/octet-stream", "User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
    connection = http.client.HTTPConnection("127.0.0.1", served.ports["inference"], timeout=60)
    connection.request("PUT", "/predictions/fd1", b"", headers)
    alive = connection.getresponse()
    assert (alive.status, json.loads(alive.read())) == (200, [])
    with open(PICTURE, "rb") as f:
        picture = f.read()
    answers = []
    for body in (picture, iter([picture[:1000], picture[1000:]])):
        connection.request("PUT", "/predictions/fd1", body, headers, encode_chunked=body is not picture)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.getheader("content-encoding") is None
        answers.append(json.loads(answer.read()))
    (face,) = answers[0]
    assert answers[1] == [face] and len(face["landmarks_ratio"]) == 10


def test_curl_sends_a_file(served):
    url = f"127.0.0.1:{served.ports['inference']}/predictions/fd1"
    shown = subprocess.run(["curl", "--silent", "--fail", url, "-T", PICTURE], capture_output=True, check=True, timeout=60).stdout
    assert len(json.loads(shown)) == 1


def test_the_script_serves_from_the_archive_to_the_faces():
    ports = " ".join(map(str, free_ports(5)))
    variables = {"HIPPOCAMP": BINARY, "PORTS": ports, "HIPPOCAMP_ONNXRUNTIME_LIBRARY": LIBRARY}
    command = ["sh", os.path.join(EXAMPLES, "torchserve.sh"), PICTURE]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=200)
    assert done.returncode == 0, done.stderr[-4000:]
    assert 'Model \\"fd1\\" Version: 1.0 registered with 4 initial workers' in done.stdout
    assert re.search(r'"xywh_ratio"', done.stdout) and len(LINE.findall(done.stdout)) == 9, done.stdout[-3000:]
