"""examples/ocr: the text in pictures, and where it is, as RapidOCR's own Python reads it."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from server_process import ROOT, ServerProcess

EXAMPLE = os.path.join(ROOT, "examples", "ocr")
RECEIPT = os.path.join(EXAMPLE, "receipt.png")
RAPIDOCR = os.path.join(ROOT, ".cache", "python", "ocr")

sys.path.insert(0, EXAMPLE)
import prepare  # noqa: E402
import read  # noqa: E402

THEIRS = """
import json, sys
from rapidocr_onnxruntime import RapidOCR
engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
read = [engine(path)[0] or [] for path in sys.argv[1:]]
print(json.dumps([[[box, text, float(score)] for box, text, score in lines] for lines in read]))
"""


def written(size, lines):
    """A picture with lines of text: (x, y, text, height, angle)."""
    picture = Image.new("RGB", size, (236, 240, 244))
    for x, y, text, height, angle in lines:
        font = ImageFont.load_default(height)
        *_, right, bottom = font.getbbox(text)
        mask = Image.new("L", (int(right) + 8, int(bottom) + 8))
        ImageDraw.Draw(mask).text((4, 4), text, font=font, fill=255)
        mask = mask.rotate(angle, expand=True, resample=Image.BICUBIC)
        picture.paste((30, 30, 60), (x, y), mask)
    return picture


PICTURES = {
    "rotated": written((900, 800), [(40, 60, "Rotated by 25 degrees", 40, -25), (420, 80, "and by 40", 44, 40), (60, 600, "level", 60, 0)]),
    "small": written((420, 300), [(20, 20, "A small picture", 24, 0), (20, 90, "grows before it is read", 20, 0), (30, 180, "upside down", 26, 180)]),
    "many": written((1280, 960), [(40 + 420 * (n % 3), 30 + 90 * (n // 3), f"Item number {n} of 30", 28, 0) for n in range(30)]),
    "blank": written((800, 600), []),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """name -> path"""
    folder = tmp_path_factory.mktemp("pictures")
    paths = {"receipt": RECEIPT}
    for name, picture in PICTURES.items():
        paths[name] = str(folder / f"{name}.png")
        picture.save(paths[name])
    return paths


@pytest.fixture(scope="module")
def theirs(pictures):
    """name -> what RapidOCR reads"""
    if not (3, 11) <= sys.version_info < (3, 13):
        pytest.skip("RapidOCR's packages have wheels for Python 3.11 and 3.12")
    variables = dict(os.environ, PYTHONPATH=RAPIDOCR)
    command = [sys.executable, "-c", THEIRS, *pictures.values()]
    got = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert got.returncode == 0, got.stderr[-3000:]
    return dict(zip(pictures, json.loads(got.stdout)))


@pytest.fixture(scope="module")
def ocr_server(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("ocr") / "models")
    prepare.make(folder)
    # As many threads as RapidOCR has here: sums in another order may differ in the last bit, which decides of a pixel.
    for model in prepare.NETWORKS:
        with open(os.path.join(folder, model, "config.pbtxt"), "a", encoding="utf-8") as f:
            f.write('parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n')
    with ServerProcess(folder, timeout=120) as process:
        yield process
        assert process.alive(), process.log()[-4000:]


def content(path):
    with open(path, "rb") as f:
        return f.read()


def ours(client, path):
    data = client.input("raw_image", np.array([content(path)], dtype=object), "BYTES")
    reply = client.infer("ocr", [data])
    boxes, text, score = (reply.as_numpy(name) for name in ("boxes", "text", "score"))
    assert boxes.shape == (len(text), 4, 2) and score.shape == text.shape
    return [(box, word.decode(), mark) for box, word, mark in zip(boxes, text, score) if mark >= read.LEAST]


def shape(box):
    """Width by height of a line, by which lines are sorted before they are padded."""
    a, b, c, d = np.array(box, np.float32)
    width = int(max(np.linalg.norm(a - b), np.linalg.norm(c - d)))
    height = int(max(np.linalg.norm(a - d), np.linalg.norm(b - c)))
    return height / width if height / width >= 1.5 else width / height


@pytest.mark.parametrize("name", ["receipt", *PICTURES])
@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_reads_what_rapidocr_reads(client_of, ocr_server, pictures, theirs, name, kind):
    got, want = ours(client_of(kind, ocr_server), pictures[name]), theirs[name]
    assert [text for _, text, _ in got] == [text for _, text, _ in want]
    shapes = [shape(box) for box, _, _ in want]
    for (box, text, score), (their_box, _, their_score) in zip(got, want):
        assert np.abs(box - np.array(their_box)).max() == 0, (text, box.tolist(), their_box)
        # Of lines of the same shape, NumPy's sort puts any into the group that is padded to a wider line.
        bound = 0.05 if shapes.count(shape(their_box)) > 1 else 1e-3
        assert abs(score - their_score) < bound, text
    assert (name == "blank") == (not want)


def test_many_pictures_at_once_do_not_mix(client_of, ocr_server, pictures):
    alone = {name: ours(client_of("http", ocr_server), path) for name, path in pictures.items()}

    def work(worker):
        client = client_of("grpc", ocr_server)
        for name, path in list(pictures.items())[worker:] + list(pictures.items())[:worker]:
            got = ours(client, path)
            assert [text for _, text, _ in got] == [text for _, text, _ in alone[name]]
            assert all((a == b).all() for (a, _, _), (b, _, _) in zip(got, alone[name]))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_the_lines_of_a_picture_share_batches(client_of, pictures, tmp_path):
    folder = str(tmp_path / "models")
    prepare.make(folder)
    path = os.path.join(folder, "ocr-direction", "config.pbtxt")
    with open(path, encoding="utf-8") as f:
        config = f.read()
    # Executes fifteen lines, or none: nobody waits for so long.
    fifteens = "dynamic_batching { preferred_batch_size: 15 max_queue_delay_microseconds: 3600000000 }"
    assert "dynamic_batching { }" in config
    with open(path, "w", encoding="utf-8") as f:
        f.write(config.replace("dynamic_batching { }", fifteens).replace("max_batch_size: 16", "max_batch_size: 15"))
    with ServerProcess(folder, timeout=120) as server:
        client = client_of("grpc", server)
        data = client.input("raw_image", np.array([content(pictures["many"])], dtype=object), "BYTES")
        assert len(client.infer("ocr", [data], client_timeout=100).as_numpy("text")) == 30
        (entry,) = client.json("get_inference_statistics", "ocr-direction")["model_stats"]
        assert (int(entry["inference_count"]), int(entry["execution_count"])) == (30, 2)


def test_the_example_prints_and_draws(ocr_server, tmp_path):
    drawn = tmp_path / "drawn.png"
    command = [sys.executable, os.path.join(EXAMPLE, "read.py"), ocr_server.http, RECEIPT, str(drawn)]
    got = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert got.returncode == 0, got.stderr
    assert "Blueberry muffin" in got.stdout and "Thank you and come again soon" in got.stdout
    with Image.open(io.BytesIO(drawn.read_bytes())) as picture, Image.open(RECEIPT) as receipt:
        assert picture.size == (2 * receipt.width, receipt.height)
