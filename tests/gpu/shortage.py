"""What happens where memory of the GPU is short: a limit that is too small, and a GPU that others have filled."""

import numpy as np

from .client import Client, Refused
from .models import CENTERFACE, MAGIKA, SIDE

MIB = 1 << 20


def check(table, run):
    if not {"minilm", "centerface"} <= run.files.keys() or not run.on_gpu:
        table.skip("shortage", "", "a network is not there, or no GPU was asked for")
        return
    repository = run.repository("shortage")
    # Memory for a size is taken when the first batch of it comes.
    repository.add("open", "centerface", CENTERFACE.replace(f"{SIDE}, {SIDE}", "-1, -1"), run.kind, batch=1)
    repository.add("limited", "minilm", MAGIKA, run.kind, batch=64, parameters={"gpu_mem_limit": str(80 * MIB)})
    with run.server(repository, "--model-control-mode=explicit", "--cuda-memory-pool-byte-size=0:0") as server:
        client = Client(server.http)
        try:
            limited(table, client)
            full(table, client)
        except Exception as error:
            table.add("shortage", "", "failed", False, f"{type(error).__name__}: {error}"[:500])
            run.show_log(server)


def limited(table, client):
    what, target = "a gpu_mem_limit that is too small", "fails the load"
    try:
        client.load("limited")
        table.add(what, target, "loaded", False)
    except Refused as error:
        table.add(what, target, "refused", "too small" in str(error), str(error)[:300])


def full(table, client):
    target = "503, and the instance lives on"
    try:
        import torch
    except ImportError as error:
        table.skip("a batch for which a full GPU has no room", target, f"torch, which fills the GPU, cannot be imported: {error}")
        return
    client.load("open")
    random = np.random.default_rng(2)
    picture = lambda side: {"input.1": (random.random((1, 3, side, side)) * 255).astype(np.float32)}
    small, large = picture(320), picture(1024)
    expected = client.infer("open", small)["537"]
    difference = lambda: float(np.abs(client.infer("open", small)["537"] - expected).max())
    filling, size = [], 4096 * MIB
    while size >= 2 * MIB:
        try:
            filling.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.cuda.OutOfMemoryError:
            size //= 2
    try:
        client.infer("open", large)
        table.add("a batch for which a full GPU has no room", target, "answered", False)
    except Refused as error:
        status, text = error.args
        table.add("a batch for which a full GPU has no room", target, str(status), status == 503, text[:300])
    table.add("a small batch on the full GPU", "answered as before", f"differs by {difference():.2g}", difference() == 0.0)
    filling.clear()
    torch.cuda.empty_cache()
    shape = client.infer("open", large)["537"].shape
    table.add("the large batch once there is room", "answered", str(shape), shape == (1, 1, 256, 256))
    table.add("a small batch after that", "answered as before", f"differs by {difference():.2g}", difference() < 1e-3)
