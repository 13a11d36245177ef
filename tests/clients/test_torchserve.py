"""TorchServe's API and archives: the recorded answers of a real TorchServe, and the faces of a picture out of an archive."""

import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest
from server_process import BINARY, ROOT, ServerProcess

MODELS = os.path.join(ROOT, "model_repository")
REFERENCES = os.path.join(ROOT, "tests", "references")
PICTURE = os.path.join(REFERENCES, "images", "astronaut.png")
FLAGS = ["--allow-torchserve", *(f"--ts-{port}-port=0" for port in ("inference", "management", "metrics", "grpc-inference", "grpc-management"))]


def manifest(name, file, handler, version="1.0"):
    model = {"modelName": name, "serializedFile": file, "handler": handler, "modelVersion": version}
    return json.dumps({"createdOn": "29/11/2026 11:20:13", "runtime": "python", "model": model, "archiverVersion": "0.12.0"})


def make_mar(folder, name, network, handler, version="1.0", more=None, kind="mar", modelname=None):
    """An archive as torch-model-archiver writes it: a .mar, or a tar.gz with a folder on top."""
    files = {"MAR-INF/MANIFEST.json": manifest(modelname or name, "model.onnx", handler, version).encode()}
    with open(os.path.join(MODELS, network, "1", "model.onnx"), "rb") as f:
        files["model.onnx"] = f.read()
    files.update(more or {})
    path = os.path.join(folder, f"{name}.{kind}")
    if kind == "mar":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for own, content in files.items():
                archive.writestr(own, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for own, content in files.items():
                info = tarfile.TarInfo(f"{name}/{own}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


class TorchServe:
    """The ports of a server that runs."""

    def __init__(self, process):
        self.process, self.ports = process, {}
        for what, port in re.findall(r"TorchServe ((?:gRPC )?\w+) on [\d.]+:(\d+)", process.log()):
            self.ports[what] = int(port)

    def ask(self, port, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=60)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def json(self, port, method, path, body=None, headers=None):
        status, text, _ = self.ask(port, method, path, body, headers)
        return status, json.loads(text)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    make_mar(store, "face", "centerface", "centerface.py", more={"centerface.py": b"# only its name counts\n"})
    make_mar(store, "simple", "simple", "base_handler", version="2.5", kind="tar.gz")
    with ServerProcess(store, flags=[*FLAGS, "--enable-model-api"]) as process:
        yield TorchServe(process)
        assert process.alive(), process.log()[-4000:]


def test_a_picture_goes_in_and_faces_come_out(served):
    with open(PICTURE, "rb") as f:
        status, answer, headers = served.ask("inference", "PUT", "/predictions/face", f.read())
    assert status == 200, answer
    assert "content-type" not in headers and headers["x-request-id"]
    (face,) = json.loads(answer)
    with open(os.path.join(REFERENCES, "centerface", "reference.json"), encoding="utf-8") as f:
        reference = json.load(f)["images"]["astronaut.png"]
    x, y, width, height = face["xywh_ratio"]
    left, top, right, bottom = reference["faces"][0]["box_xyxy"]
    for got, expected in ((x, (left + right) / 1024), (y, (top + bottom) / 1024), (width, (right - left) / 512), (height, (bottom - top) / 512)):
        assert abs(got - expected) < 0.01
    assert abs(face["conf"] - 0.909) < 0.02 and len(face["landmarks_ratio"]) == 10
    assert served.json("inference", "PUT", "/predictions/face", b"no picture") == (200, [])
    boundary = "b"
    with open(PICTURE, "rb") as f:
        form = b'--b\r\nContent-Disposition: form-data; name="data"; filename="a.png"\r\n\r\n' + f.read() + b"\r\n--b--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert served.json("inference", "POST", "/predictions/face/1.0", form, headers)[1] == [face]


def test_tensors_are_json(served):
    body = json.dumps({"INPUT0": list(range(16)), "INPUT1": [1] * 16})
    status, answer = served.json("inference", "POST", "/predictions/simple/2.5", body, {"Content-Type": "application/json"})
    assert status == 200, answer
    assert answer == {"OUTPUT0": [i + 1 for i in range(16)], "OUTPUT1": [i - 1 for i in range(16)]}
    assert served.json("inference", "POST", "/predictions/simple/1.0", body)[0] == 404


def test_versions_are_models_of_their_own(served, tmp_path):
    _, (described,) = served.json("management", "GET", "/models/simple")
    assert (described["modelVersion"], described["loadedAtStartup"]) == ("2.5", True)
    status, done = served.json("management", "POST", "/models?url=face.mar&model_name=simple&initial_workers=2&batch_size=2")
    assert (status, done["status"]) == (200, 'Model "simple" Version: 1.0 registered with 2 initial workers')
    _, both = served.json("management", "GET", "/models/simple/all")
    assert sorted(each["modelVersion"] for each in both) == ["1.0", "2.5"]
    (mine,) = served.json("management", "GET", "/models/simple/1.0")[1]
    assert (mine["batchSize"], len(mine["workers"])) == (2, 2)
    assert served.json("inference", "PUT", "/predictions/simple/1.0", b"no picture") == (200, [])
    assert served.json("management", "PUT", "/models/simple/1.0/set-default")[0] == 200
    assert served.json("inference", "PUT", "/predictions/simple", b"no picture") == (200, [])
    assert served.json("management", "DELETE", "/models/simple/1.0")[0] == 403
    assert served.json("management", "PUT", "/models/simple/2.5/set-default")[0] == 200
    assert served.json("management", "DELETE", "/models/simple/1.0")[0] == 200
    assert served.json("inference", "PUT", "/predictions/simple/1.0", b"x")[0] == 404


def test_answers_are_those_of_torchserve(tmp_path):
    with open(os.path.join(REFERENCES, "torchserve", "answers.json"), encoding="utf-8") as f:
        cases = json.load(f)
    make_mar(tmp_path, "echo", "simple", "base_handler")
    config = tmp_path / "config.properties"
    config.write_text("enable_model_api=true\ndisable_token_authorization=true\ndefault_workers_per_model=1\nload_models=none\n")
    # Whatever the store's folders are, TorchServe has none.
    with ServerProcess(tmp_path, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served = TorchServe(process)
        for case in cases:
            if case["path"] == "/v2":
                continue
            port, method, path = case["port"], case["method"], case["path"]
            status, body, headers = served.ask(port, method, path, case.get("sent"), case.get("sent_headers"))
            assert (status, body.decode()) == (case["status"], case["body"]), (method, path)
            for name, value in case["headers"].items():
                # A connection that stays needs no header in HTTP/1.1.
                if name != "connection" or value == "close":
                    assert headers.get(name) == value, (method, path, name)


def test_scaling_and_removing(served):
    status, done = served.json("management", "PUT", "/models/face?min_worker=2&synchronous=true")
    assert (status, done["status"]) == (200, "Workers scaled to 2 for model: face")
    (face,) = served.json("management", "GET", "/models/face")[1]
    assert (face["minWorkers"], len(face["workers"])) == (2, 2)
    # As many pictures are prepared as that many workers and the next requests take.
    for workers in (3, 2):
        served.json("management", "PUT", f"/models/face?min_worker={workers}&synchronous=true")
        _, config = served.process.get("/v2/models/face/config")
        assert json.loads(config)["ensemble_scheduling"]["max_inflight_requests"] == 2 * workers
        assert served.json("inference", "PUT", "/predictions/face", b"x") == (200, [])
    served.json("management", "PUT", "/models/face?min_worker=0&synchronous=true")
    status, refused = served.json("inference", "PUT", "/predictions/face", b"x")
    assert status == 503 and "has no worker" in refused["message"]
    served.json("management", "PUT", "/models/face?min_worker=1&synchronous=true")
    assert served.json("inference", "PUT", "/predictions/face", b"x") == (200, [])


def test_a_model_of_a_folder_is_scaled_and_unloaded(tmp_path):
    shutil.copytree(os.path.join(MODELS, "simple"), tmp_path / "simple")
    with ServerProcess(tmp_path, flags=[*FLAGS, "--enable-model-api"]) as process:
        served = TorchServe(process)
        # An answer to 0 waits until the model's memory is free, and the request itself must not hold it.
        for workers in (2, 0):
            status, done = served.json("management", "PUT", f"/models/simple?min_worker={workers}&synchronous=true")
            assert (status, done["status"]) == (200, f"Workers scaled to {workers} for model: simple")
        assert served.json("inference", "POST", "/predictions/simple", b"{}")[0] == 404
        for call in ("min_worker=-1", "max_worker=-2"):
            status, refused = served.json("management", "PUT", f"/models/simple?{call}")
            assert (status, refused["type"]) == (400, "BadRequestException"), refused


def test_operations_on_one_model_take_turns(tmp_path):
    """Clients register, scale and remove one name at once, with archives of further versions in the store: each answer is true, and
    the last removal leaves nothing that somebody did not register."""
    for number in ("1.0", "2.0", "10.0"):
        make_mar(tmp_path, f"id{number}", "simple", "base_handler", number, modelname="id")
    config = tmp_path / "config.properties"
    config.write_text("enable_model_api=true\nload_models=all\n")
    flags = [*FLAGS, f"--ts-config={config}", "--model-control-mode=explicit"]
    with ServerProcess(tmp_path, flags=flags) as process:
        served = TorchServe(process)
        answers = {"register": set(), "remove": set(), "scale": set()}
        is_over = threading.Event()

        def scale(workers):
            while not is_over.is_set():
                status, done = served.json("management", "PUT", f"/models/id?min_worker={workers}&synchronous=true")
                answers["scale"].add((status, done.get("status") or done["type"]))

        scaling = [threading.Thread(target=scale, args=(workers,)) for workers in (0, 1, 2)]
        for thread in scaling:
            thread.start()
        for _ in range(10):
            for what, method, path in (("register", "POST", "/models?url=id1.0.mar&initial_workers=1"), ("remove", "DELETE", "/models/id")):
                status, done = served.json("management", method, path)
                answers[what].add((status, done.get("status") or done["message"]))
        is_over.set()
        for thread in scaling:
            thread.join()
        assert answers["register"] == {(200, 'Model "id" Version: 1.0 registered with 1 initial workers')}
        assert answers["remove"] == {(200, 'Model "id" unregistered')}
        scaled = {(200, f"Workers scaled to {workers} for model: id") for workers in (0, 1, 2)}
        assert answers["scale"] <= {*scaled, (404, "ModelNotFoundException")}
        assert served.json("management", "GET", "/models") == (200, {"models": []})
        served.ports["v2"] = process.http_port
        _, index = served.json("v2", "POST", "/v2/repository/index")
        assert [each for each in index if each.get("state") == "READY"] == []


def test_workers_say_since_when_they_are_ready(served):
    def times():
        (described,) = served.json("management", "GET", "/models/simple/2.5")[1]
        return [worker["startTime"] for worker in described["workers"]]

    served.json("management", "PUT", "/models/simple/2.5?min_worker=1&synchronous=true")
    before = times()
    served.json("management", "PUT", "/models/simple/2.5?min_worker=0&synchronous=true")
    assert times() == []
    served.json("management", "PUT", "/models/simple/2.5?min_worker=1&synchronous=true")
    first = times()
    assert len(before) == len(first) == 1 and before < first
    served.json("management", "PUT", "/models/simple/2.5?min_worker=3&synchronous=true")
    more = times()
    # The one that was there may go on.
    assert len(more) == 3 and more[0] in (first[0], more[1]) and first[0] < more[1] == more[2]


def test_a_snapshot_of_torchserve_is_served(tmp_path):
    for number in ("1.0", "2.0", "10.0"):
        make_mar(tmp_path, f"id{number}", "simple", "base_handler", number, modelname="id")
    versions = {
        number: {"defaultVersion": number == "2.0", "marName": f"id{number}.mar", "minWorkers": workers, "maxWorkers": 2, "batchSize": 1}
        for number, workers in (("1.0", 1), ("2.0", 2), ("10.0", 0))
    }
    snapshot = json.dumps({"name": "startup.cfg", "modelCount": 3, "created": 1795952426, "models": {"id": versions}}, indent=2)
    # As Java's Properties.store writes it.
    escaped = snapshot.replace("\\", "\\\\").replace("\n", "\\n").replace(":", "\\:")
    config = tmp_path / "20261130.cfg"
    config.write_text(f"#Saving snapshot\nload_models=all\nversion=0.12.0\nvmargs=-Xmx1g\njob_queue_sise=9\nmodel_snapshot={escaped}\n")
    with ServerProcess(tmp_path, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served = TorchServe(process)
        (described,) = served.json("management", "GET", "/models/id")[1]
        assert (described["modelVersion"], len(described["workers"]), described["loadedAtStartup"]) == ("2.0", 2, True)
        all_of_it = served.json("management", "GET", "/models/id/all")[1]
        assert {each["modelVersion"]: len(each["workers"]) for each in all_of_it} == {"1.0": 1, "2.0": 2, "10.0": 0}
        status, refused = served.json("inference", "GET", "/explanations/id/1.0")
        assert (status, refused["type"]) == (400, "BadRequestException")
        log = process.log()
        assert "'vmargs' has no effect: it is about Java" in log
        assert "'job_queue_sise' has no effect: was 'job_queue_size' meant?" in log


def test_a_server_that_is_killed_leaves_no_files_behind_the_next_start(tmp_path):
    store, temporary = tmp_path / "store", tmp_path / "tmp"
    store.mkdir()
    temporary.mkdir()
    make_mar(store, "simple", "simple", "base_handler")
    variables = {"TMPDIR": str(temporary)}
    server = ServerProcess(store, flags=FLAGS, variables=variables).start()
    server.process.kill()
    server.process.wait()
    (left,) = os.listdir(temporary)
    with ServerProcess(store, flags=FLAGS, variables=variables) as again:
        (own,) = os.listdir(temporary)
        assert own != left and f"deleted {temporary / left}" in again.log()
    assert os.listdir(temporary) == []


def test_an_archive_that_is_not_served_leaves_nothing(served, tmp_path):
    temporary = set(os.listdir("/tmp"))
    for url in ("nope.mar", "face.mar&handler=text_classifier"):
        assert served.json("management", "POST", f"/models?url={url}&model_name=other")[0] in (400, 404)
    assert not [name for name in set(os.listdir("/tmp")) - temporary if name.startswith("hippocamp-")]
    assert served.json("management", "GET", "/models/other")[0] == 404


def test_the_command_shows_and_writes_a_repository(tmp_path):
    path = make_mar(tmp_path, "fd1", "centerface", "centerface.py", more={"centerface.py": b""})
    shown = subprocess.run([BINARY, "archive", path, "--output", tmp_path / "out"], capture_output=True, text=True, check=True).stdout
    assert 'platform: "ensemble"' in shown and 'op = "centernet_decode"' in shown
    with ServerProcess(tmp_path / "out"):
        pass
    path = make_mar(tmp_path, "own", "simple", "own.py", more={"own.py": b"def handle(data, context): ..."})
    refused = subprocess.run([BINARY, "archive", path], capture_output=True, text=True)
    assert refused.returncode == 2 and "preprocess.toml" in refused.stderr


@pytest.mark.parametrize("form", ["default", "tgz", "no-archive", "zip-store"])
def test_what_the_real_archiver_makes_is_served(tmp_path, form):
    network = os.path.join(MODELS, "simple", "1", "model.onnx")
    command = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name", "made", "--version", "1.0", "--serialized-file", network]
    subprocess.run([*command, "--handler", "base_handler", "--export-path", tmp_path, "--archive-format", form], check=True)
    with ServerProcess(tmp_path, flags=FLAGS) as process:
        body = json.dumps({"INPUT0": [2] * 16, "INPUT1": [1] * 16})
        status, answer = TorchServe(process).json("inference", "POST", "/predictions/made", body, {"Content-Type": "application/json"})
        assert (status, answer["OUTPUT0"]) == (200, [3] * 16)


def test_tokens(tmp_path):
    make_mar(tmp_path, "simple", "simple", "base_handler")
    keys = tmp_path / "key_file.json"
    with ServerProcess(tmp_path, flags=[*FLAGS, "--ts-token-auth", f"--ts-token-file={keys}"]) as process:
        served = TorchServe(process)
        status, refused = served.json("inference", "GET", "/ping")
        assert (status, refused["type"]) == (400, "InvalidKeyException")
        assert os.stat(keys).st_mode & 0o777 == 0o600
        key = json.loads(keys.read_text())["inference"]["key"]
        assert served.json("inference", "GET", "/ping", headers={"Authorization": f"Bearer {key}"})[0] == 200
    assert not keys.exists()
