"""A process that asks in all ways at once, until its time is over: `python3 -m benches.soak.worker HTTP GRPC SEED SECONDS`.

Prints JSON: how many steps of each way were right, and what was not.
"""

import json
import sys
import threading
import time

from ..compare.repository import PACKAGES

sys.path.insert(0, PACKAGES)

import numpy as np  # noqa: E402

from .ways import WAYS, Mlp, Wrong  # noqa: E402

KEPT = 5


class Asking(threading.Thread):
    """One way over one protocol."""

    def __init__(self, kind, protocol, address, seed, end):
        super().__init__(daemon=True)
        self.label, self.end = f"{kind.__name__} {protocol}", end
        self.kind, self.arguments = kind, (protocol, address, np.random.default_rng(seed))
        self.right = self.wrong = self.failed = 0
        self.texts = []

    def run(self):
        try:
            way = self.kind(*self.arguments)
        except Exception as e:  # noqa: BLE001
            self.failed, self.texts = 1, [f"{self.label}: {e!r}"]
            return
        while time.monotonic() < self.end:
            try:
                way.step()
                self.right += 1
            except Wrong as e:
                self.wrong += 1
                self.texts.append(f"{self.label}: {e}")
            except Exception as e:  # noqa: BLE001
                self.failed += 1
                self.texts.append(f"{self.label}: {e!r}")
            if len(self.texts) >= KEPT:
                break
        way.close()


def work(http, grpc, seed, seconds):
    Mlp.learn(grpc)
    end = time.monotonic() + seconds
    addresses = {"http": http, "grpc": grpc}
    threads = [Asking(kind, p, addresses[p], [seed, n], end) for n, (kind, p) in enumerate(WAYS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 180)
    return {
        "right": {thread.label: thread.right for thread in threads},
        "wrong": sum(thread.wrong for thread in threads),
        "failed": sum(thread.failed for thread in threads),
        "hanging": [thread.label for thread in threads if thread.is_alive()],
        "texts": [text for thread in threads for text in thread.texts],
    }


if __name__ == "__main__":
    print(json.dumps(work(*sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4]))))
    sys.stdout.flush()
