#!/usr/bin/env python3
"""Asks the real Triton 2.51 what cases.py asks, and writes the answers to recorded.json.

    scripts/fetch triton tests onnxruntime python-backend && tests/python/record.py

Its ONNX Runtime backend is benches/compare/onnxruntime.c: the wheel has none.
"""

import json
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests"), os.path.join(ROOT, ".cache", "python", "tests")]

from benches.compare.servers import Triton  # noqa: E402

from cases import RECORDED, Peer, make_repository, run  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.join(work, "models")
        models = make_repository(folder)
        triton = Triton(work)
        process = triton.process(folder)
        process.flags += ["--model-control-mode=explicit", *(f"--load-model={name}" for name in models)]
        with process as server:
            peer = Peer(server, folder)
            try:
                found = run(peer, say=lambda name: print(name, flush=True))
            finally:
                peer.close()
                if "--log" in sys.argv:
                    print(server.log())
    with open(RECORDED, "w", encoding="utf-8") as f:
        json.dump(found, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
