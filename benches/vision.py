"""scripts/bench vision: what a picture costs before the network sees it, against OpenCV in the same run."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from . import ROOT

PICTURE = os.path.join(ROOT, "tests", "references", "images", "astronaut.png")
MEAN, STD, PAD, SIDE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 114, 640
WARM_UP = 10

PIPELINE = f"""
[[step]]
op = "decode"
input = "raw_image"
output = "picture"

[[step]]
op = "letterbox"
input = "picture"
output = "fitted"
width = {SIDE}
height = {SIDE}
pad = [{PAD}]

[[step]]
op = "tensor"
input = "fitted"
output = "image"
scale = "1/255"
mean = {list(MEAN)}
std = {list(STD)}
"""


def build():
    """The example that runs a pipeline as an instance does."""
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    command += ["--package", "hippocamp-backend-vision", "--example", "time_pipeline"]
    subprocess.run(command, check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    return os.path.join(target, "release", "examples", "time_pipeline")


def opencv(data):
    """name -> function: three ways to the same numbers, from the one in most examples to the fastest known."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    data = np.frombuffer(data, np.uint8)
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    # Of (x / 255 - mean) / std, as factor and summand.
    factors = [float(1 / (255 * s)) for s in STD]
    summands = [float(-m / s) for m, s in zip(MEAN, STD)]

    # What can be written again is, from picture to picture, as hippocamp does.
    small = np.empty((SIDE * 720 // 1280, SIDE, 3), np.uint8)
    box, out = np.empty((SIDE, SIDE, 3), np.uint8), np.empty((3, SIDE, SIDE), np.float32)
    planes = [np.empty((SIDE, SIDE), np.uint8) for _ in range(3)]

    def letterbox():
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        height, width = picture.shape[:2]
        scale = min(SIDE / width, SIDE / height)
        inner = round(width * scale), round(height * scale)
        left, top = (SIDE - inner[0]) // 2, (SIDE - inner[1]) // 2
        right, bottom = SIDE - inner[0] - left, SIDE - inner[1] - top
        cv2.resize(picture, inner, dst=small, interpolation=cv2.INTER_LINEAR)
        border = (top, bottom, left, right, cv2.BORDER_CONSTANT)
        return cv2.copyMakeBorder(small, *border, dst=box, value=(PAD, PAD, PAD))

    def with_numpy():
        image = cv2.cvtColor(letterbox(), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        return np.ascontiguousarray(((image - mean) / std).transpose(2, 0, 1))

    parameters = cv2.dnn.Image2BlobParams()
    parameters.swapRB = True
    # Of (x - mean) * factor.
    parameters.mean = tuple(255 * m for m in MEAN)
    parameters.scalefactor = tuple(factors)

    def with_blob():
        return cv2.dnn.blobFromImageWithParams(letterbox(), parameters)[0]

    def by_plane():
        cv2.split(letterbox(), planes)
        for plane, to, factor, summand in zip(planes[::-1], out, factors, summands):
            cv2.addWeighted(plane, factor, plane, 0, summand, dst=to, dtype=cv2.CV_32F)
        return out

    ways = {"numpy": with_numpy, "blobFromImage": with_blob, "plane by plane": by_plane}
    results = {name: way() for name, way in ways.items()}
    for name, result in results.items():
        if np.abs(result - results["numpy"]).max() > 1e-3:
            sys.exit(f"bench: {name} does not compute the same")
    return ways


def cpu_seconds(command):
    """What a process takes until it ends, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


def own(command, runs):
    """(CPU ms of a picture, least ms on the clock); what the process takes to start is taken off."""
    short, _ = cpu_seconds([*command, str(WARM_UP)])
    long, printed = cpu_seconds([*command, str(WARM_UP + runs)])
    return (long - short) / runs * 1e3, min(float(line) for line in printed.split())


def others(way, runs):
    for _ in range(WARM_UP):
        way()
    times, cpu = [], time.thread_time()
    for _ in range(runs):
        begun = time.perf_counter()
        way()
        times.append((time.perf_counter() - begun) * 1e3)
    return (time.thread_time() - cpu) / runs * 1e3, min(times)


def vision(rounds, runs):
    sys.path.insert(0, os.path.join(ROOT, ".cache", "python", "tests"))
    import cv2

    binary = build()
    picture = cv2.resize(cv2.imread(PICTURE), (1280, 720))
    print(f"JPEG of 1280x720 to [3,{SIDE},{SIDE}] FP32: decode, letterbox, normalise; one thread")
    print(f"OpenCV {cv2.__version__}; {rounds} rounds of {runs} pictures, all in turn\n")
    print(f"{'':28} {'CPU, ms':>8} {'ratio':>6}   {'least ms':>8} {'ratio':>6}")
    for quality in (75, 90, 95):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        print(f"quality {quality}, {len(data)} bytes")
        first = None
        for name, (cpu, least) in compare(binary, data, rounds, runs).items():
            first = first or (cpu, least)
            row = f"  {name:26} {cpu:8.2f} {cpu / first[0]:6.2f}   {least:8.2f} {least / first[1]:6.2f}"
            print(row, flush=True)


def compare(binary, data, rounds, runs):
    """name -> (median CPU ms, least ms on the clock). All take turns, so that what else runs meets all of them."""
    measured = {}
    ways = opencv(data)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = [os.path.join(folder, name) for name in ("pipeline.toml", "picture.jpg")]
        for path, content in zip(paths, (PIPELINE.encode(), data)):
            with open(path, "wb") as f:
                f.write(content)
        for _ in range(rounds):
            measured.setdefault("hippocamp", []).append(own([binary, *paths], runs))
            for name, way in ways.items():
                measured.setdefault(f"OpenCV, {name}", []).append(others(way, runs))
    return {
        name: (statistics.median(cpu for cpu, _ in turns), min(least for _, least in turns))
        for name, turns in measured.items()
    }
