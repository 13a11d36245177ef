"""The real thing: the example client finds the reference's faces in a real picture."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from server_process import ROOT, ServerProcess

REFERENCES = os.path.join(ROOT, "tests", "references")
PICTURE = os.path.join(REFERENCES, "images", "astronaut.png")

sys.path.insert(0, os.path.join(ROOT, "examples"))
import faces  # noqa: E402


@pytest.fixture(scope="module")
def face_server(tmp_path_factory):
    """A server on a copy of the repository that scripts/serve serves."""
    folder = tmp_path_factory.mktemp("shipped") / "models"
    shutil.copytree(os.path.join(ROOT, "model_repository"), folder)
    with ServerProcess(folder) as server:
        yield server


@pytest.fixture(scope="module")
def reference():
    path = os.path.join(REFERENCES, "centerface", "reference.json")
    with open(path, encoding="utf-8") as f:
        return json.load(f)["images"]["astronaut.png"]


def test_the_picture_is_the_one_of_the_reference(reference):
    with open(PICTURE, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == reference["sha256"]


def test_the_example_finds_the_faces_of_the_reference(face_server, reference):
    found = faces.find_faces(
        faces.triton.InferenceServerClient(face_server.http), faces.Image.open(PICTURE)
    )
    assert len(found) == len(reference["faces"])
    for (score, box, landmarks), want in zip(found, reference["faces"]):
        assert score == pytest.approx(want["score"], abs=0.001)
        assert box == pytest.approx(want["box_xyxy"], abs=0.1)
        flat = [coordinate for point in landmarks for coordinate in point]
        assert flat == pytest.approx(want["landmarks_xy"], abs=0.1)


def test_the_example_prints_a_table(face_server):
    script = os.path.join(ROOT, "examples", "faces.py")
    done = subprocess.run(
        [sys.executable, script, "--url", face_server.http, PICTURE],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "1 found" in done.stdout
    assert "score 0.909" in done.stdout


def test_a_batch_gives_what_single_pictures_give(face_server):
    """Pictures that share a batch must not change each other."""
    import numpy as np
    from PIL import Image

    client = faces.triton.InferenceServerClient(face_server.http, concurrency=4)
    picture = Image.open(PICTURE)
    turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tensors = [faces.letterbox(image)[0] for image in (picture, turned)]

    def heat(batch):
        tensor = faces.triton.InferInput("input.1", batch.shape, "FP32")
        tensor.set_data_from_numpy(batch)
        return client.infer("centerface", [tensor]).as_numpy("537")

    together = heat(np.concatenate(tensors))
    for row, tensor in enumerate(tensors):
        assert np.abs(together[row] - heat(tensor)[0]).max() < 1e-5


def test_magika_tells_a_png_from_a_python_script(face_server):
    import numpy as np

    client = faces.triton.InferenceServerClient(face_server.http)
    for path, name in ((PICTURE, b"png"), (os.path.join(ROOT, "examples", "faces.py"), b"python")):
        with open(path, "rb") as f:
            content = f.read()
        first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        padded = [*first, *[256] * (1024 - len(first)), *[256] * (1024 - len(last)), *last]
        tensor = faces.triton.InferInput("bytes", [1, 2048], "INT32")
        tensor.set_data_from_numpy(np.array([padded], np.int32))
        best = faces.triton.InferRequestedOutput("target_label", class_count=1)
        reply = client.infer("magika", [tensor], outputs=[best])
        score, _, label = reply.as_numpy("target_label")[0][0].split(b":")
        assert label == name
        assert float(score) > 0.9
