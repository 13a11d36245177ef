"""Archives that are bad, and archives that are fetched: clear errors, the others served, and nothing left on the disk."""

import functools
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest
from server_process import BINARY, ServerProcess
from test_torchserve import FLAGS, MODELS, TorchServe, make_mar, manifest

BODY = json.dumps({"INPUT0": [2] * 16, "INPUT1": [1] * 16})
JSON = {"Content-Type": "application/json"}
# More than what may be taken for a well-packed model.
LARGE = 300 << 20


def network():
    with open(os.path.join(MODELS, "simple", "1", "model.onnx"), "rb") as f:
        return f.read()


def entries(**more):
    """The files of an archive that is fine, by their names, with others instead; `None` leaves one out."""
    files = {"MAR-INF/MANIFEST.json": manifest("bad", "model.onnx", "base_handler").encode(), "model.onnx": network()}
    files.update({name.replace("__", "/"): content for name, content in more.items()})
    return {name: content for name, content in files.items() if content is not None}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tarred(path, files):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def unpacked(path, files):
    for name, content in files.items():
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        with open(os.path.join(path, name), "wb") as f:
            f.write(content)


WRITERS = {".mar": zipped, ".tar.gz": tarred, "": unpacked}

# name: the files, and what the error says of them
BAD = {
    "no_manifest": (entries(**{"MAR-INF__MANIFEST.json": None}), "MAR-INF/MANIFEST.json"),
    "manifest_no_json": (entries(**{"MAR-INF__MANIFEST.json": b"{"}), "MANIFEST.json"),
    "manifest_without_model": (entries(**{"MAR-INF__MANIFEST.json": b"{}"}), "model"),
    "manifest_too_large": (entries(**{"MAR-INF__MANIFEST.json": b"[" * (8 << 20)}), "MANIFEST.json"),
    "payload_missing": (entries(**{"model.onnx": None}), "model.onnx"),
    "payload_wrong": (entries(**{"model.onnx": b"\x89PNG no network"}), "model.onnx"),
    "payload_empty": (entries(**{"model.onnx": b""}), "model.onnx"),
    "payload_truncated": (entries(**{"model.onnx": network()[: len(network()) // 2]}), ""),
}
# These need a container: a folder has neither.
PACKED = {
    "leads_out": (entries(**{"..__evil.txt": b"evil"}), "evil"),
    "leads_to_the_root": (entries(**{"__tmp__evil.txt": b"evil"}), "evil"),
    "bomb": ({**entries(), "zeros.bin": bytes(LARGE)}, "more than 100 times"),
}


def make_all(store):
    """The bad archives in a store, by the names of their files, with what the error says."""
    made = {}
    for ending, write in WRITERS.items():
        for name, (files, text) in {**BAD, **(PACKED if ending else {})}.items():
            # A folder without a manifest is none.
            if ending or "MAR-INF/MANIFEST.json" in files:
                write(os.path.join(store, name + ending), files)
                made[name + ending] = text
    for ending in (".mar", ".tar.gz"):
        path = os.path.join(store, f"cut{ending}")
        WRITERS[ending](path, entries())
        os.truncate(path, os.path.getsize(path) // 2)
        made[f"cut{ending}"] = ""
    for name, content in {"text.mar": b"no archive", "nothing.mar": b""}.items():
        with open(os.path.join(store, name), "wb") as f:
            f.write(content)
        made[name] = ""
    os.mkfifo(os.path.join(store, "fifo.mar"))
    made["fifo.mar"] = ""
    with tarfile.open(os.path.join(store, "link.tar.gz"), "w:gz") as archive:
        link = tarfile.TarInfo("model.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    made["link.tar.gz"] = ""
    return made


def files_of(folder):
    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)


def wait_until_healthy(process, served):
    end = time.monotonic() + 60
    while served.json("inference", "GET", "/ping") != (200, {"status": "Healthy"}):
        assert process.alive() and time.monotonic() < end, process.log()[-4000:]
        time.sleep(0.02)


def test_a_store_with_bad_archives_serves_the_others(tmp_path):
    store, temporary = tmp_path / "store", tmp_path / "temporary"
    store.mkdir()
    temporary.mkdir()
    bad = make_all(store)
    make_mar(store, "simple", "simple", "base_handler")
    before = files_of(tmp_path)
    flags = [*FLAGS, "--enable-model-api"]
    with ServerProcess(store, flags=flags, ready=False, variables={"TMPDIR": str(temporary)}) as process:
        served = TorchServe(process)
        # As TorchServe, which does not know what it could not load.
        wait_until_healthy(process, served)
        status, answer = served.json("inference", "POST", "/predictions/simple", BODY, JSON)
        assert (status, answer["OUTPUT0"]) == (200, [3] * 16)
        models = served.json("management", "GET", "/models")[1]["models"]
        assert [model["modelName"] for model in models] == ["simple"]
        for name, text in bad.items():
            status, refused = served.json("management", "POST", f"/models?url={name}&model_name=other&initial_workers=1")
            assert status in (400, 404, 500) and text in refused["message"], (name, refused)
            assert refused["message"].strip(), name
        assert served.json("management", "GET", "/models/other")[0] == 404
        log = process.log()
        assert "no_manifest.mar" in log and "panicked" not in log, log[-4000:]
        left = [path for path in files_of(temporary) if "evil" in path or "zeros" in path]
        assert not left, left
    assert files_of(tmp_path) == before
    assert not os.path.exists("/tmp/evil.txt")


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def host(tmp_path):
    """A folder, and the URL under which its files are."""
    folder = tmp_path / "files"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_archives_are_fetched(host, tmp_path):
    folder, url = host
    make_mar(folder, "far", "simple", "base_handler")
    (folder / "broken.mar").write_text("no archive")
    store = tmp_path / "store"
    store.mkdir()
    config = tmp_path / "config.properties"
    config.write_text(f"enable_model_api=true\nload_models=none\nallowed_urls=https://models.example/.*,{url}/.*\n")
    with ServerProcess(store, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served = TorchServe(process)
        status, done = served.json("management", "POST", f"/models?url={url}/far.mar&model_name=near&initial_workers=1")
        assert (status, done["status"]) == (200, 'Model "near" Version: 1.0 registered with 1 initial workers')
        assert os.listdir(store) == ["far.mar"]
        assert served.json("inference", "POST", "/predictions/near", BODY, JSON)[1]["OUTPUT0"] == [3] * 16
        assert served.json("management", "GET", "/models/near")[1][0]["modelUrl"] == f"{url}/far.mar"
        status, refused = served.json("management", "POST", f"/models?url={url}/far.mar&model_name=again")
        assert (status, refused["message"]) == (500, "Model file already exists far.mar")
        for path in ("broken.mar", "nope.mar"):
            assert served.json("management", "POST", f"/models?url={url}/{path}")[0] == 400
        status, refused = served.json("management", "POST", "/models?url=http://127.0.0.1:1/a.mar")
        assert (status, refused["type"]) == (404, "ModelNotFoundException")
        assert os.listdir(store) == ["far.mar"]
        assert served.json("management", "DELETE", "/models/near")[0] == 200
        assert os.listdir(store) == []


def test_without_allowed_urls_this_machine_is_not_asked(host, tmp_path):
    folder, url = host
    make_mar(folder, "far", "simple", "base_handler")
    store = tmp_path / "store"
    store.mkdir()
    with ServerProcess(store, flags=[*FLAGS, "--enable-model-api"]) as process:
        served = TorchServe(process)
        for own in (url, url.replace("127.0.0.1", "localhost")):
            status, refused = served.json("management", "POST", f"/models?url={own}/far.mar")
            assert status in (400, 404) and ("allowed" in refused["message"]), refused
        assert os.listdir(store) == []


def test_steps_do_not_take_the_names_of_other_models(tmp_path):
    make_mar(tmp_path, "face", "centerface", "centerface.py", more={"centerface.py": b""})
    make_mar(tmp_path, "step", "simple", "base_handler", modelname="face-network")
    config = tmp_path / "config.properties"
    config.write_text("enable_model_api=true\nload_models=none\n")
    (tmp_path / "other-preprocess" / "1").mkdir(parents=True)
    (tmp_path / "other-preprocess" / "1" / "model.onnx").write_bytes(network())
    with ServerProcess(tmp_path, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served = TorchServe(process)
        assert served.json("management", "POST", "/models?url=step.mar&initial_workers=1")[0] == 200
        for name, other in (("face", "archive 'step.mar' has"), ("other", "a model of a repository has")):
            status, refused = served.json("management", "POST", f"/models?url=face.mar&model_name={name}&initial_workers=1")
            assert (status, refused["type"]) == (409, "ConflictStatusException") and other in refused["message"], refused
        # Both serve on, and another name will do.
        for model in ("face-network", "other-preprocess"):
            assert served.json("inference", "POST", f"/predictions/{model}", BODY, JSON)[0] == 200
        assert served.json("management", "POST", "/models?url=face.mar&model_name=third&initial_workers=1")[0] == 200


SETTINGS = b"""minWorkers: 2
batchSize: 4
deviceIds: [0, 1]
jobQueueSize: 7
clientTimeoutInMills: 5000
responseTimeout: 9
batch_size: 8
handler:
  profile: true
"""
WITHOUT_EFFECT = [
    "'responseTimeout' has no effect: no execution is ended for its time",
    "'batch_size' has no effect: was 'batchSize' meant?",
    "'handler' has no effect: it is no setting of TorchServe's own",
]


def test_settings_without_effect_are_told_and_the_others_hold(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    named = json.loads(manifest("simple", "model.onnx", "base_handler"))
    named["model"]["configFile"] = "model-config.yaml"
    files = {"MAR-INF/MANIFEST.json": json.dumps(named).encode(), "model.onnx": network(), "model-config.yaml": SETTINGS}
    zipped(store / "simple.mar", files)
    done = subprocess.run([BINARY, "archive", store / "simple.mar"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for text in WITHOUT_EFFECT:
        assert f"# warning: in its model-config.yaml, {text}" in done.stdout, done.stdout
    # Settings of config.properties hold where the archive says nothing.
    models = {"simple": {"1.0": {"marName": "simple.mar", "minWorkers": 5, "maxBatchDelay": 11, "parallelType": "tp"}}}
    config = tmp_path / "config.properties"
    config.write_text(f"load_models=simple.mar\nenable_model_api=true\nmodels={json.dumps(models)}\n")
    with ServerProcess(store, flags=[*FLAGS, f"--ts-config={config}"]) as process:
        served, log = TorchServe(process), process.log()
        for text in WITHOUT_EFFECT:
            assert log.count(f"archive 'simple.mar': in its model-config.yaml, {text}") == 1, log[-4000:]
        assert "models: 'simple' version 1.0: 'parallelType' has no effect: " in log
        status, answer = served.json("inference", "POST", "/predictions/simple", BODY, JSON)
        assert (status, answer["OUTPUT0"]) == (200, [3] * 16)
        described = served.json("management", "GET", "/models/simple")[1][0]
        assert (described["minWorkers"], len(described["workers"]), described["batchSize"]) == (2, 2, 4)
        config = json.loads(process.get("/v2/models/simple/config")[1])
        batching = config["dynamic_batching"]
        assert batching["max_queue_delay_microseconds"] == 11000
        policy = batching["default_queue_policy"]
        assert (policy["max_queue_size"], policy["default_timeout_microseconds"]) == (7, 5_000_000)
        # A registration is told, too, whether or not it is loaded.
        assert served.json("management", "POST", "/models?url=simple.mar&model_name=second")[0] == 200
        assert process.log().count(f"{WITHOUT_EFFECT[0]}") == 2
    with ServerProcess(store) as process:
        assert process.log().count(WITHOUT_EFFECT[1]) == 1, "of an archive that lies in a store"


def test_a_folder_that_is_nested_too_deep_is_named(tmp_path):
    unpacked(tmp_path / "deep", {**entries(), "/".join(["a"] * 40) + "/file.txt": b"a"})
    done = subprocess.run([BINARY, "archive", tmp_path / "deep"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "is nested deeper than 32 folders" in done.stderr, done
