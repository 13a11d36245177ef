"""Servers of installed packages: each runs in a root of its own, with nothing of this clone but the models and the picture."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from server_process import ServerProcess  # noqa: E402

PICTURE = os.path.join(TESTS, "references", "images", "astronaut.png")
MODELS = ("detection", "detection-network", "detection-preprocess", "detection-postprocess")


def copy_models(folder):
    for model in MODELS:
        shutil.copytree(os.path.join(ROOT, "model_repository", model), os.path.join(folder, model))
    return folder


class Installed(ServerProcess):
    """A server of an installed package: `within` is what the command is run by, such as chroot; the environment is empty."""

    def __init__(self, binary, *repositories, within=(), flags=(), path="/usr/sbin:/usr/bin:/sbin:/bin"):
        super().__init__(*repositories, library=None, flags=flags)
        self.installed, self.within, self.path = binary, list(within), path

    def command(self):
        command = super().command()
        command[0] = self.installed
        return ["env", "-i", f"PATH={self.path}", *self.within, *command]

    def launch(self):
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=subprocess.STDOUT, cwd="/"
        )
        return self


def in_root(root, *mounts, read_only=False, user=None):
    """A command that runs another one in ROOT, with /proc and the folders of MOUNTS, which are (from, to), all gone at its end.

    USER is the number of a user without any right; None is root.
    """
    lines = ["set -e", f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
    lines += [f"mount --bind -o ro {source} {root}{target}" for source, target in mounts]
    if read_only:
        lines.append(f"mount -o remount,ro,bind {root}")
    # The namespace of mounts ends with the process, which stays the one that was started.
    rights = f"--userspec={user}:{user}" if user is not None else ""
    lines.append(f'exec chroot {rights} {root} "$@"')
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", "\n".join(lines), "in_root"]


def unpack(archive, folder):
    """Unpacks a tar that we have made, by every Python alike: newer ones want to be told that it is trusted."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))


def faces(server):
    """What the server's detection finds in the picture: (score, box) of what is above 0.5."""
    with open(PICTURE, "rb") as f:
        body = f.read()
    url = f"http://{server.http}/v2/models/detection/infer"
    request = urllib.request.Request(url, body, {"Inference-Header-Content-Length": "0"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        length = int(reply.headers["Inference-Header-Content-Length"])
        data = reply.read()
    import numpy

    tensors, offset = {}, length
    for output in json.loads(data[:length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        kind = {"FP32": "f4", "INT32": "i4"}[output["datatype"]]
        tensors[output["name"]] = numpy.frombuffer(data[offset : offset + size], kind).reshape(output["shape"])
        offset += size
    scores, boxes = tensors["score"][0], tensors["bbox"][0]
    return [(float(score), box.tolist()) for score, box in zip(scores, boxes) if score > 0.5]


def assert_the_face_is_found(server):
    path = os.path.join(TESTS, "references", "centerface", "reference.json")
    with open(path, encoding="utf-8") as f:
        (expected,) = json.load(f)["images"]["astronaut.png"]["faces"]
    ((score, box),) = faces(server)
    assert abs(score - expected["score"]) < 0.01
    assert max(abs(got - want) for got, want in zip(box, expected["box_xyxy"], strict=True)) < 1
