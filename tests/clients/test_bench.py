"""`hippocamp bench` as a user runs it: what it reports is what the server counted."""

import csv
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
import xml.dom.minidom

import numpy as np
import pytest
from PIL import Image
from server_process import BINARY, ROOT, ServerProcess

IDENTITY = """
backend: "identity"
max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
SMALL = ("--shape", "INPUT0:16")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "echo" / "1").mkdir(parents=True)
    (folder / "echo" / "config.pbtxt").write_text(IDENTITY)
    return folder


@pytest.fixture(scope="module")
def server(repository):
    with ServerProcess(repository, flags=["--allow-client-shm=true"]) as process:
        yield process


def command(*arguments):
    return [BINARY, "bench", "echo", *map(str, arguments)]


def bench(*arguments, status=0):
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def results(tmp_path, *arguments):
    """What it reports, and what it prints."""
    file = tmp_path / "results.json"
    done = bench(*arguments, "--json", file)
    return json.loads(file.read_text())["results"], done.stdout


def served(server):
    """(requests, executed items) by the server's statistics."""
    status, body = server.get("/v2/models/echo/stats")
    assert status == 200
    (of,) = json.loads(body)["model_stats"]
    assert of["inference_stats"]["fail"]["count"] == 0
    return of["inference_stats"]["success"]["count"], of["inference_count"]


def address(server, protocol):
    return ["--url", f"{protocol}://{getattr(server, protocol)}"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    "load, before",
    [
        (["--concurrency", "1,4,16"], 1),
        (["--rate", "100,300", "--poisson"], 1),
        (["--concurrency", "1:5:2", "--shared-memory", "system"], 2),
    ],
)
def test_the_server_counts_the_same_requests(server, tmp_path, protocol, load, before):
    requests, items = served(server)
    levels, _ = results(
        tmp_path, *address(server, protocol), *SMALL, *load, "--batch", 2, "--seconds", 0.5, "--warm-up", 0.2
    )
    assert all(level["failed"] == 0 and level["requests"] > 0 for level in levels)
    sent = before + sum(level["requests"] + level["warm_up_requests"] for level in levels)
    now = served(server)
    assert (now[0] - requests, now[1] - items) == (sent, 2 * sent)


def test_streams_are_counted_too(server, tmp_path):
    requests, _ = served(server)
    (level,), _ = results(
        tmp_path, *address(server, "grpc"), *SMALL, "--stream", "-c", 4, "--requests", 300, "--warm-up", 0
    )
    assert (level["requests"], level["responses"], level["protocol"]) == (300, 300, "grpc_stream")
    assert served(server)[0] - requests == 301


def test_the_table_and_the_files_say_the_same(server, tmp_path):
    table, picture = tmp_path / "results.csv", tmp_path / "latencies.svg"
    levels, text = results(
        tmp_path, *address(server, "http"), *SMALL, "-c", "1,3", "--requests", 500, "--csv", table, "--svg", picture
    )
    with open(table, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    for level, row in zip(levels, rows, strict=True):
        assert row["protocol"] == level["protocol"] == "http"
        assert int(row["requests"]) == level["requests"] == 500
        assert float(row["p99_us"]) == pytest.approx(level["latency_us"]["p99"], abs=0.1)
        assert re.search(rf"^HTTP, concurrency {level['concurrency']} .* 500 ", text, re.MULTILINE), text
    curves = xml.dom.minidom.parse(str(picture)).getElementsByTagName("path")
    assert sum(path.getAttribute("class").startswith("curve") for path in curves) == 2 * len(levels)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_what_there_is(server, number):
    requests, _ = served(server)
    arguments = command(*address(server, "http"), *SMALL, "--seconds", 600, "--warm-up", 0)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while served(server)[0] < requests + 100:
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(number)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "interrupted; these are the requests until then" in text
    counted = int(re.search(r"^HTTP, concurrency 1 +1 +([\d,]+) ", text, re.MULTILINE)[1].replace(",", ""))
    assert served(server)[0] - requests == counted + 1


def test_a_file_that_cannot_be_written_loses_nothing_else(server, tmp_path):
    nowhere, table = tmp_path / "a folder", tmp_path / "results.csv"
    nowhere.mkdir()
    arguments = command(*address(server, "http"), *SMALL, "--requests", 20, "--json", nowhere, "--csv", table)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"failed: {nowhere} cannot be written" in done.stdout
    assert re.search(r"^HTTP, concurrency 1 +1 +20 ", done.stdout, re.MULTILINE), done.stdout
    assert len(table.read_text().splitlines()) == 2


@pytest.mark.parametrize("flag", ["--json", "--csv", "--svg"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_measured(server, tmp_path, flag):
    before = served(server)
    arguments = command(*address(server, "http"), *SMALL, "--seconds", 600, flag, tmp_path / "none" / "results")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"{flag}: there is no folder {tmp_path / 'none'}" in done.stderr
    assert served(server) == before


def test_a_server_that_dies_ends_it_with_status_1(repository):
    with ServerProcess(repository) as mortal:
        arguments = command(*address(mortal, "grpc"), *SMALL, "--seconds", 600, "--warm-up", 0, "-c", 4)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while served(mortal)[0] < 100:
            assert time.monotonic() < deadline and process.poll() is None
        mortal.process.kill()
        text, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the server cannot be reached any more" in text


def test_local_stands_beside_served(repository, tmp_path):
    levels, text = results(
        tmp_path, "--local", "--model-repository", repository, *SMALL, "-c", "1,2", "--requests", 200
    )
    assert [level["protocol"] for level in levels] == ["local"] * 2 + ["http"] * 2 + ["grpc"] * 2
    assert all(level["requests"] == 200 and level["failed"] == 0 for level in levels)
    assert "in process, concurrency 2" in text and "gRPC, concurrency 2" in text


def test_one_answer_is_drawn(tmp_path):
    picture, drawn = os.path.join(ROOT, "tests", "references", "images", "astronaut.png"), tmp_path / "found.png"
    models = os.path.join(ROOT, "model_repository")
    with ServerProcess(models, flags=["--model-control-mode=explicit", "--load-model=detection"]) as process:
        given = ["detection", *address(process, "http"), "--input", f"raw_image=@{picture}", "--requests", 3]
        command = [BINARY, "bench", *map(str, given), "--draw", str(drawn)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    before, after = np.asarray(Image.open(picture).convert("RGB")), np.asarray(Image.open(drawn).convert("RGB"))
    assert before.shape == after.shape
    rows, columns = np.nonzero((before != after).any(axis=2))
    # The face is where the reference says.
    assert abs(rows.min() - 58) < 25 and abs(columns.min() - 180) < 10


def test_mistakes_say_what_to_do(server, repository):
    unknown = bench(*address(server, "http"), "--batch", 9, *SMALL, status=1).stderr
    assert "batch" in unknown
    nobody = bench("--url", "127.0.0.1:1", status=1).stderr
    assert "no server answers at 127.0.0.1:1" in nobody and "--url HOST:PORT" in nobody
    open_size = bench(*address(server, "grpc"), status=1).stderr
    assert "--shape INPUT0:16" in open_size
    assert "Examples:" in bench("--help").stdout


class JsonOnly(http.server.BaseHTTPRequestHandler):
    """A peer that takes JSON alone, as MLServer does: our server, but for its binary tensors."""

    protocol_version = "HTTP/1.1"
    target, hides = None, False

    def log_message(self, *_):
        pass

    def forward(self, method, body=None):
        link = http.client.HTTPConnection(self.target, timeout=60)
        link.request(method, self.path, body, {"Content-Type": "application/json"})
        reply = link.getresponse()
        status, data = reply.status, reply.read()
        link.close()
        if self.path == "/v2":
            data = json.dumps({**json.loads(data), "extensions": []}).encode()
        elif self.hides and method == "GET":
            data = json.dumps({**json.loads(data), "inputs": [], "outputs": []}).encode()
        self.answer(status, data)

    def answer(self, status, data):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.forward("GET")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "inference-header-content-length" in self.headers or b"binary" in body:
            return self.answer(422, b'{"detail": "binary tensors are not taken"}')
        return self.forward("POST", body)


@pytest.fixture
def json_only(server):
    handler = type("Handler", (JsonOnly,), {"target": server.http})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as peer:
        # Handlers of connections that stay open do not hold up the end.
        peer.daemon_threads = True
        thread = threading.Thread(target=peer.serve_forever)
        thread.start()
        yield handler, f"http://127.0.0.1:{peer.server_port}"
        peer.shutdown()
        thread.join()


def test_a_server_that_takes_json_alone(server, json_only, tmp_path):
    handler, url = json_only
    before = served(server)[0]
    (level,), _ = results(tmp_path, "--url", url, *SMALL, "--requests", 20, "--warm-up", 0, "-c", 2)
    assert (level["requests"], level["failed"]) == (20, 0)
    # One before, as always.
    assert served(server)[0] - before == 21
    done = bench("--url", url, "-i", "INPUT0=1,nan", status=1)
    assert "input 'INPUT0' holds what is no number, and the server takes JSON alone" in done.stderr
    # One that does not name its inputs either.
    handler.hides = True
    (level,), _ = results(tmp_path, "--url", url, "-i", "INPUT0=1.5,2.5", "--requests", 10, "--warm-up", 0)
    assert (level["requests"], level["failed"]) == (10, 0)
    done = bench("--url", url, status=1)
    assert "the server does not name the model's inputs: give each by --input NAME=VALUE" in done.stderr
