"""A picture in, faces out: the ensembles `detection` and `face`, and one as TensorRT Inference Server's tutorial writes it."""

import concurrent.futures
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from PIL import Image
from server_process import BINARY, ROOT, ServerProcess
from tutorial import make_tutorial_repository

PICTURE = os.path.join(ROOT, "tests", "references", "images", "astronaut.png")
SHIPPED = os.path.join(ROOT, "model_repository")


def reference(name):
    path = os.path.join(ROOT, "tests", "references", "centerface", name)
    with open(path, encoding="utf-8") as f:
        return json.load(f)


FACE = reference("reference.json")["images"]["astronaut.png"]["faces"][0]


@pytest.fixture(scope="module")
def detection_server(tmp_path_factory):
    """A server on a copy of the repository that scripts/serve serves."""
    folder = tmp_path_factory.mktemp("detection") / "models"
    shutil.copytree(SHIPPED, folder)
    with ServerProcess(folder) as server:
        yield server


def content(path=PICTURE):
    with open(path, "rb") as f:
        return f.read()


def files(*contents):
    """A BYTES tensor [N, 1] of files."""
    return np.array([[c] for c in contents], dtype=object)


def ask(module, client, model, name, array, **options):
    tensor = module.InferInput(name, list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array)
    return client.infer(model, [tensor], **options)


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def near(got, want, within):
    return np.abs(np.asarray(got, float) - np.asarray(want, float)).max() <= within


# ------------------------------------------------------------------------------- detection


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_faces_of_the_reference_are_found(detection_server, kind):
    module = triton_http if kind == "http" else triton_grpc
    with module.InferenceServerClient(getattr(detection_server, kind)) as client:
        reply = ask(module, client, "detection", "raw_image", files(content()))
    score, category = reply.as_numpy("score"), reply.as_numpy("category")
    bbox, landmark = reply.as_numpy("bbox"), reply.as_numpy("landmark")
    assert (score.shape, score.dtype) == ((1, 100), np.float32)
    assert (category.shape, category.dtype) == ((1, 100), np.int32)
    assert (bbox.shape, landmark.shape) == ((1, 100, 4), (1, 100, 10))
    assert (score[0] > 0.5).sum() == 1
    assert near(score[0, 0], FACE["score"], 0.01)
    assert near(bbox[0, 0], FACE["box_xyxy"], 1)
    assert near(landmark[0, 0], FACE["landmarks_xy"], 1)
    # Not only faces: the rows behind them as well.
    five = reference("reference_ensemble.json")["astronaut.png"]
    assert near(score[0, :5], five["top5_score"], 0.01)


def test_pictures_of_one_request_are_answered_in_their_order(detection_server):
    picture = Image.open(PICTURE)
    pictures = [picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture.resize((300, 300))]
    with triton_http.InferenceServerClient(detection_server.http) as client:
        reply = ask(
            triton_http, client, "detection", "raw_image", files(*(png(p) for p in pictures))
        )
    left, top, right, bottom = FACE["box_xyxy"]
    bbox = reply.as_numpy("bbox")[:, 0]
    assert near(bbox[0], [left, top, right, bottom], 1)
    assert near(bbox[1], [512 - right, top, 512 - left, bottom], 6)
    assert near(bbox[2], np.array(FACE["box_xyxy"]) * 300 / 512, 6)


def test_what_is_no_picture_is_refused_by_step(detection_server):
    with triton_http.InferenceServerClient(detection_server.http) as client:
        for bad in (b"", b"hello", content()[:1000]):
            with pytest.raises(triton_http.InferenceServerException) as refused:
                ask(triton_http, client, "detection", "raw_image", files(bad))
            assert "'detection-preprocess', step 1 'decode'" in str(refused.value)


def raw(server, model, body):
    """(status, JSON of the answer, bytes behind it) of a body that is nothing but a file."""
    command = ["curl", "--silent", "--show-error", "--include", "--data-binary", "@-"]
    command += ["-H", "Inference-Header-Content-Length: 0", "-H", "Expect:"]
    url = f"http://{server.http}/v2/models/{model}/infer"
    reply = subprocess.run([*command, url], input=body, capture_output=True, check=True).stdout
    head, body = reply.split(b"\r\n\r\n", 1)
    length = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"inference-header-content-length")
    ]
    end = length[0] if length else len(body)
    return int(head.split()[1]), json.loads(body[:end]), body[end:]


def test_curl_sends_the_picture_as_the_body(detection_server):
    status, answer, tensors = raw(detection_server, "detection", content())
    assert status == 200
    sizes = {o["name"]: o["parameters"]["binary_data_size"] for o in answer["outputs"]}
    assert sizes == {"score": 400, "category": 400, "bbox": 1600, "landmark": 4000}
    begin = 0
    for output in answer["outputs"]:
        if output["name"] == "bbox":
            break
        begin += output["parameters"]["binary_data_size"]
    assert near(np.frombuffer(tensors[begin : begin + 16], np.float32), FACE["box_xyxy"], 1)


@pytest.fixture
def eights_server(tmp_path):
    """The same, but the network executes eight pictures, or none: nobody waits for so long."""
    folder = tmp_path / "models"
    shutil.copytree(SHIPPED, folder, ignore=lambda path, names: [n for n in names if path == SHIPPED and n[:9] != "detection"])
    path = folder / "detection-network" / "config.pbtxt"
    text = path.read_text(encoding="utf-8")
    eights = "dynamic_batching { preferred_batch_size: 8 max_queue_delay_microseconds: 3600000000 }"
    assert "dynamic_batching {}" in text and "count: 1" in text
    path.write_text(text.replace("dynamic_batching {}", eights), encoding="utf-8")
    with ServerProcess(folder) as server:
        yield server


def test_every_result_belongs_to_its_own_picture(eights_server):
    """64 pictures of different sizes at once, batched in the middle: each has its face somewhere else."""
    picture = Image.open(PICTURE).convert("RGB")
    head = picture.crop((120, 20, 330, 230))
    left, top, right, bottom = (a - b for a, b in zip(FACE["box_xyxy"], (120, 20, 120, 20)))
    cases = []
    for number in range(64):
        # Wide and high by turns, so that the square's border differs as well.
        width, height = 300 + 10 * number, 930 - 10 * number
        x, y = (37 * number) % (width - 210), (53 * number) % (height - 210)
        canvas = Image.new("RGB", (width, height), (number * 3, 90, 120))
        canvas.paste(head, (x, y))
        cases.append((png(canvas), [(left + right) / 2 + x, (top + bottom) / 2 + y]))

    # The blocking HTTP client belongs to one thread; this one may be shared.
    client = triton_grpc.InferenceServerClient(eights_server.grpc)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        replies = pool.map(
            lambda case: ask(triton_grpc, client, "detection", "raw_image", files(case[0]), client_timeout=120), cases
        )
        for number, (reply, (_, middle)) in enumerate(zip(replies, cases)):
            got = reply.as_numpy("bbox")[0, 0].reshape(2, 2).mean(axis=0)
            assert reply.as_numpy("score")[0, 0] > 0.5, f"picture {number}"
            assert near(got, middle, 12), f"picture {number}: {got} instead of {middle}"
    client.close()
    assert eights_server.metric("nv_inference_exec_count", model="detection-network") == 64 / 8


# ------------------------------------------------------------------------------------ face


def test_a_face_as_json(detection_server):
    status, _, tensor = raw(detection_server, "face", content())
    assert status == 200
    (face,) = json.loads(tensor[4:])
    assert set(face) == {"xywh_ratio", "conf", "landmarks_ratio"}
    left, top, right, bottom = FACE["box_xyxy"]
    wanted = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    assert near(face["conf"], FACE["score"], 0.01)
    assert near(face["xywh_ratio"], np.array(wanted) / 512, 0.003)
    assert near(face["landmarks_ratio"], np.array(FACE["landmarks_xy"]) / 512, 0.003)
    for number in face["xywh_ratio"] + face["landmarks_ratio"]:
        assert number == round(number, 3)


def test_what_is_no_picture_has_no_faces_and_is_told(detection_server):
    """In the response and in the log; as the handler that `face` stands for answers, an error it is not."""
    for bad, why in ((b"hello", "5 bytes that begin with 'hello'"), (content()[:1000], "PNG: ")):
        status, header, tensor = raw(detection_server, "face", bad)
        assert (status, tensor[4:]) == (200, b"[]")
        assert header["parameters"]["replaced_pictures"] == "0"
        assert why in header["parameters"]["replaced_pictures_reason"]
    _, header, _ = raw(detection_server, "face", content())
    assert "replaced_pictures" not in header.get("parameters", {})
    log = detection_server.log()
    assert "model 'face-preprocess': a black picture stands in for what is none: " in log


# ------------------------------------------------- as TensorRT Inference Server's tutorial has it


@pytest.fixture(scope="module")
def tutorial_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    make_tutorial_repository(folder)
    with ServerProcess(folder) as server:
        yield server


def test_the_tutorial_s_ensemble_is_served_as_it_is(tutorial_server):
    with triton_grpc.InferenceServerClient(tutorial_server.grpc) as client:
        reply = ask(
            triton_grpc, client, "detection", "raw_image", np.array([content()], dtype=object)
        )
    assert reply.as_numpy("score").shape == (1, 100)
    assert reply.as_numpy("category").shape == (1, 100)
    assert reply.as_numpy("bbox").shape == (1, 100, 4)
    # The reference saw the picture at 640 pixels, this network sees it at 512.
    assert near(reply.as_numpy("score")[0, 0], FACE["score"], 0.05)
    assert near(reply.as_numpy("bbox")[0, 0], FACE["box_xyxy"], 6)


# ------------------------------------------------------------------------- hippocamp infer


def infer(*arguments):
    done = subprocess.run([BINARY, "infer", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_command_draws_what_was_found(detection_server, tmp_path, protocol):
    target = tmp_path / "out.png"
    url = ["--url", getattr(detection_server, protocol), "--protocol", protocol]
    code, out, err = infer("detection", "-i", f"raw_image=@{PICTURE}", "--draw", str(target), *url)
    assert (code, err) == (0, "")
    assert "1 found" in out and "0.909" in out
    before, after = (np.asarray(Image.open(p).convert("RGB"), int) for p in (PICTURE, target))
    changed = np.abs(before - after).max(axis=2) > 0
    left, top, right, bottom = (round(side) for side in FACE["box_xyxy"])
    # The lines of the box, the landmarks in it, the score above it, and nothing else.
    assert changed[top + 20 : bottom - 20, left - 2 : left + 3].any(axis=1).all()
    for x, y in np.reshape(FACE["landmarks_xy"], (5, 2)).round().astype(int):
        assert changed[y - 1 : y + 2, x - 1 : x + 2].any()
    changed[top - 15 : bottom + 4, left - 4 : right + 4] = False
    assert not changed.any()


def test_the_command_understands_the_json_of_face(detection_server, tmp_path):
    target = tmp_path / "out.jpg"
    url = ["--url", detection_server.http]
    code, out, err = infer("face", "-i", f"@{PICTURE}", "--draw", str(target), *url)
    assert (code, err) == (0, "")
    assert "0.909  0.352  0.113  0.529" in out
    assert Image.open(target).size == (512, 512)
    code, out, _ = infer("face", "-i", f"@{PICTURE}", "--json", *url)
    (output,) = json.loads(out)["outputs"]
    assert json.loads(output["data"][0])[0]["xywh_ratio"][0] == pytest.approx(0.44, abs=0.003)


def test_the_command_says_what_to_do(detection_server):
    url = ["--url", detection_server.http]
    code, out, err = infer("nothing", "-i", "@x", *url)
    assert (code, out) == (1, "")
    assert "detection, detection-network" in err
    assert "raw_image (BYTES [-1,1])" in infer("detection", *url)[2]
    code, out, _ = infer("--help")
    assert code == 0 and "hippocamp infer detection --input raw_image=@picture.jpg" in out
    # Without it everything is as it was.
    plain = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--model-repository" in plain and "infer" in plain


def test_the_examples_print_what_the_readme_says(detection_server, tmp_path):
    def example(name, **environment):
        script = os.path.join(ROOT, "examples", name)
        done = subprocess.run(
            ["sh", script, PICTURE, detection_server.http],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    *listed, drawn = example("detection.sh", HIPPOCAMP=os.path.abspath(BINARY)).splitlines()
    assert listed and all(line.strip() in readme for line in listed)
    assert drawn == "drawn into faces.png"
    assert (tmp_path / "faces.png").is_file()
    (face,) = json.loads(example("face.sh"))
    assert json.dumps(face["xywh_ratio"], separators=(",", ":")) in readme
