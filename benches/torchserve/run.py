"""Requests a second, CPU time and memory against the real TorchServe, in turns on the same cores."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from .. import ROOT
from .servers import NETWORK, SITE, TORCH, Hippocamp, TorchServe, ask

PICTURE = os.path.join(ROOT, "tests", "references", "images", "astronaut.png")
WORKERS = 2
CONCURRENCIES = (1, 4, 16)
SCRIPT = """wrk.method = "{method}"
{headers}
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
"""
# The engine alone: as many threads as cores, each with the network in a loop, and nothing else.
CEILING = """
import sys, threading, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, ["CPUExecutionProvider"])
image = {session.get_inputs()[0].name: np.zeros((1, 3, 640, 640), np.float32)}
end, counts = time.perf_counter() + float(sys.argv[2]), []
def loop():
    count = 0
    while time.perf_counter() < end:
        session.run(None, image)
        count += 1
    counts.append(count)
threads = [threading.Thread(target=loop) for _ in range(int(sys.argv[3]))]
begun, cpu = time.perf_counter(), time.process_time()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(counts) / (time.perf_counter() - begun), (time.process_time() - cpu) / sum(counts))
"""


def needed():
    wrk = os.environ.get("WRK") or shutil.which("wrk")
    if not wrk:
        sys.exit("bench: wrk is missing. On Debian and Ubuntu: apt-get install wrk, or name it by WRK")
    if not shutil.which("java"):
        sys.exit("bench: java is missing, of version 17: apt-get install openjdk-17-jre-headless")
    for folder, part in ((SITE, "torchserve"), (TORCH, "torch-python")):
        if not os.path.isdir(folder):
            sys.exit(f"bench: {folder} is missing: scripts/fetch {part}")
    return wrk


def children():
    """Seconds of CPU time of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Load:
    """wrk with a body."""

    def __init__(self, wrk, folder, name, body, headers=None, method="PUT", threads=1):
        self.wrk, self.script, self.threads = wrk, os.path.join(folder, f"{name}.lua"), threads
        path = os.path.join(folder, f"{name}.body")
        with open(path, "wb") as file:
            file.write(body)
        with open(self.script, "w", encoding="utf-8") as file:
            given = {"Content-Type": "application/octet-stream", **(headers or {})}
            lines = "\n".join(f'wrk.headers["{key}"] = "{value}"' for key, value in given.items())
            file.write(SCRIPT.format(body=path, headers=lines, method=method))

    def command(self, server, model, concurrency, seconds):
        return [self.wrk, f"-t{self.threads}", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "30s", "-s", self.script, server.url(model)]

    def run(self, server, model, concurrency, seconds):
        """Requests a second, and milliseconds of the server's CPU time for each."""
        begun, own = server.cpu(), children()
        command = self.command(server, model, concurrency, seconds)
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used, own = server.cpu() - begun, children() - own
        if "Non-2xx" in shown or "Socket errors" in shown:
            sys.exit(f"bench: requests failed\n{shown}")
        count = int(re.search(r"(\d+) requests in", shown).group(1))
        # What wrk itself takes of the same cores for a request, in milliseconds.
        if count == 0:
            sys.exit(f"bench: nothing was answered within {seconds} s: other programs have the machine\n{shown}")
        self.own = 1e3 * own / count
        return float(re.search(r"Requests/sec: +([\d.]+)", shown).group(1)), 1e3 * used / count


def settle(*servers):
    """Waits until nothing runs: TorchServe works on what clients that left had asked for."""
    for server in servers:
        used = server.cpu()
        while True:
            time.sleep(0.2)
            before, used = used, server.cpu()
            if used - before < 0.02:
                break


def picture(folder):
    """The picture as JPEG."""
    sys.path.insert(0, SITE)
    import cv2

    path = os.path.join(folder, "picture.jpg")
    cv2.imwrite(path, cv2.imread(PICTURE))
    with open(path, "rb") as file:
        return file.read()


def ceiling(seconds):
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-c", CEILING, NETWORK, str(seconds), str(cores)]
    variables = {**os.environ, "PYTHONPATH": SITE}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout.split()
    return float(shown[0]), 1e3 * float(shown[1])


def resident(folder, load, seconds):
    """Resident bytes of each, with CenterFace alone, under 16 requests at once: whole, and shared pages counted in parts."""
    sizes = []
    for server in (TorchServe, Hippocamp):
        own = os.path.join(folder, server.__name__)
        os.mkdir(own)
        with server(own, WORKERS, models=("faces",)) as running:
            load.run(running, "faces", CONCURRENCIES[-1], seconds)
            settle(running)
            rate = load.run(running, "faces", CONCURRENCIES[-1], seconds)[0]
            settle(running)
            # While the next load runs, as nothing is given back then; the most of some looks.
            begun = subprocess.Popen(load.command(running, "faces", CONCURRENCIES[-1], seconds), stdout=subprocess.DEVNULL)
            looks = []
            while begun.poll() is None:
                looks.append([running.memory(kind) for kind in ("Pss", "Rss")])
                time.sleep(0.2)
            sizes.append({"rate": rate, **{kind: max(look[at] for look in looks) for at, kind in enumerate(("Pss", "Rss"))}})
    return sizes


def torchserve(seconds, rounds, output, only=()):
    wrk = needed()
    with tempfile.TemporaryDirectory() as folder:
        jpeg = picture(folder)
        text = b"twenty-three bytes here"
        loads = {"echo": Load(wrk, folder, "echo", text), "faces": Load(wrk, folder, "faces", jpeg)}
        if not only or "memory" in only:
            sizes = resident(folder, loads["faces"], seconds)
            report_memory(sizes)
        else:
            sizes = []
        loads = {model: load for model, load in loads.items() if not only or model in only}
        if not loads:
            return 0
        theirs, ours = os.path.join(folder, "theirs"), os.path.join(folder, "ours")
        os.mkdir(theirs)
        os.mkdir(ours)
        with TorchServe(theirs, WORKERS) as their, Hippocamp(ours, WORKERS) as our:
            check(their, our, text, jpeg)
            rows = {}
            engine = []
            for round_number in range(rounds + 1):
                # The first round warms up.
                length = seconds if round_number else 1
                for model, load in loads.items():
                    for concurrency in CONCURRENCIES:
                        pair = []
                        for server in (their, our):
                            settle(their, our)
                            pair.append(load.run(server, model, concurrency, length))
                        if round_number:
                            rows.setdefault((model, concurrency), []).append(pair)
                if round_number and "faces" in loads:
                    engine.append(ceiling(seconds))
            report(rows, engine, rounds, sizes, output)
    return 0


def check(their, our, text, jpeg):
    """Both answer the same: the echo what it got, CenterFace the same faces."""
    for server in (their, our):
        assert ask(server.port, "PUT", "/predictions/echo", text) == (200, text)
    faces = [json.loads(ask(server.port, "PUT", "/predictions/faces", jpeg)[1]) for server in (their, our)]
    assert len(faces[0]) == len(faces[1]) > 0, faces
    for their_face, our_face in zip(*faces):
        assert abs(their_face["conf"] - our_face["conf"]) < 0.02, faces
        for name in ("xywh_ratio", "landmarks_ratio"):
            assert all(abs(a - b) < 0.01 for a, b in zip(their_face[name], our_face[name])), faces


def report_memory(sizes):
    their, our = sizes
    print("CenterFace alone, 16 at once, resident memory at most, with shared pages counted in parts and as a whole:")
    for kind in ("Pss", "Rss"):
        (workers, whole), own = their[kind], our[kind][0]
        print(
            f"  {kind}: TorchServe's two workers {workers / 1e6:.0f} MB, all of it {whole / 1e6:.0f} MB; hippocamp {own / 1e6:.0f} MB, "
            f"which is {own / workers:.3f} of the workers and {own / whole:.3f} of all"
        )
    print(f"  requests a second meanwhile: {their['rate']:.1f} and {our['rate']:.1f}\n", flush=True)


def report(rows, engine, rounds, sizes, output):
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {WORKERS} workers or instances, wrk on the same cores; the best of {rounds} rounds in turns, as other work only takes\n")
    print(f"{'':18} {'TorchServe':>22} {'hippocamp':>22} {'ratio':>7}  CPU time")
    result = {"cores": cores, "rows": [], "memory": sizes}
    for (model, concurrency), pairs in rows.items():
        rate = [max(pair[side][0] for pair in pairs) for side in (0, 1)]
        cost = [min(pair[side][1] for pair in pairs) for side in (0, 1)]
        ratio, cheaper = rate[1] / rate[0], cost[0] / cost[1]
        cells = [f"{rate[side]:9.1f}/s {cost[side]:8.3f} ms" for side in (0, 1)]
        print(f"{model:6} of {concurrency:2} at once {cells[0]:>22} {cells[1]:>22} {ratio:6.2f}x {cheaper:6.2f}x")
        row = {"model": model, "concurrency": concurrency, "theirs": rate[0], "ours": rate[1], "ratio": ratio}
        result["rows"].append({**row, "cpu_ms": cost, "cpu_ratio": cheaper})
    if engine:
        rate, cost = max(each[0] for each in engine), min(each[1] for each in engine)
        most = max(row["ours"] for row in result["rows"] if row["model"] == "faces")
        own = min(row["cpu_ms"][1] for row in result["rows"] if row["model"] == "faces")
        print(f"\nthe engine alone, in a loop on each core: {rate:.1f}/s, {cost:.1f} ms of CPU; hippocamp reaches {most / rate:.2f} of it")
        print(f"and spends {own / cost:.2f} times its CPU time, decoding and drawing up the picture included")
        result |= {"engine": rate, "engine_cpu_ms": cost}
    if output:
        with open(output, "w", encoding="utf-8") as file:
            json.dump({"when": time.strftime("%Y-%m-%d"), **result}, file, indent=1)
