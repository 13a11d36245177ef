"""The shared memory of cases: made before them, compared with what is expected, removed."""

import base64
import os

from comparing import Mismatch


def path(region):
    return os.path.join("/dev/shm", region["key"].strip("/"))


def make(regions):
    for region in regions:
        unit = base64.b64decode(region["b64"])
        data = unit * (region["size"] // len(unit))
        with open(path(region), "wb") as f:
            f.write(data)


def remove(regions):
    for region in regions:
        try:
            os.unlink(path(region))
        except FileNotFoundError:
            pass


def check(regions):
    for region in regions:
        want = base64.b64decode(region["b64"])
        with open(path(region), "rb") as f:
            f.seek(region["offset"])
            got = f.read(len(want))
        if got != want:
            raise Mismatch(f"shared memory {region['key']}+{region['offset']}: wrong content")
