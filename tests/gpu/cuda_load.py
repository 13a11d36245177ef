"""Loads a server with requests whose tensors stay on the device: CUDA shared memory, as tritonclient makes it.

    cuda_load.py HOST:PORT MODEL CONCURRENCY SECONDS

Several processes with threads send one picture each, over connections of their own, with requests that were encoded once. Prints
requests a second and latencies as JSON.
"""

import json
import multiprocessing
import os
import socket
import sys
import threading
import time

SIDE = 320
CHANNELS = {"537": 1, "538": 2, "539": 2, "540": 10}
PICTURE = 3 * SIDE * SIDE * 4
OUTPUTS = {name: channels * (SIDE // 4) ** 2 * 4 for name, channels in CHANNELS.items()}


def call(link, request):
    """Sends bytes and reads one answer; returns its status."""
    link.sendall(request)
    head = b""
    while b"\r\n\r\n" not in head:
        part = link.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        head += part
    head, body = head.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])
    missing = length - len(body)
    while missing > 0:
        part = link.recv(missing)
        missing -= len(part)
        body += part
    return int(head.split(b" ", 2)[1]), body


def post(path, body):
    text = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def connect(address):
    host, port = address.rsplit(":", 1)
    link = socket.create_connection((host, int(port)), timeout=60)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def process(number, address, model, threads, seconds, start, results):
    import numpy as np
    import tritonclient.utils.cuda_shared_memory as cudashm

    failures, latencies = [], []
    try:
        each = sum(OUTPUTS.values())
        names = f"in{number}", f"out{number}"
        source = cudashm.create_shared_memory_region(names[0], PICTURE, 0)
        target = cudashm.create_shared_memory_region(names[1], each * threads, 0)
        picture = (np.random.default_rng(number).random((1, 3, SIDE, SIDE)) * 255).astype(np.float32)
        cudashm.set_shared_memory_region(source, [picture])
        link = connect(address)
        for name, region, size in ((names[0], source, PICTURE), (names[1], target, each * threads)):
            raw = cudashm.get_raw_handle(region)
            handle = {"b64": raw.decode() if isinstance(raw, bytes) else raw}
            body = {"raw_handle": handle, "device_id": 0, "byte_size": size}
            status, text = call(link, post(f"/v2/cudasharedmemory/region/{name}/register", body))
            if status != 200:
                raise RuntimeError(text.decode("utf-8", "replace"))
    except Exception as error:
        results.put((0, 0.0, [], [f"{type(error).__name__}: {error}"[:300]]))
        start.abort()
        return
    stop, counted = threading.Event(), threading.Event()

    def work(index):
        place = {"shared_memory_region": names[0], "shared_memory_byte_size": PICTURE}
        shape = [1, 3, SIDE, SIDE]
        inputs = [{"name": "input.1", "datatype": "FP32", "shape": shape, "parameters": place}]
        outputs, offset = [], index * each
        for name, size in OUTPUTS.items():
            place = {"shared_memory_region": names[1], "shared_memory_byte_size": size}
            outputs.append({"name": name, "parameters": {**place, "shared_memory_offset": offset}})
            offset += size
        request = post(f"/v2/models/{model}/infer", {"inputs": inputs, "outputs": outputs})
        own, link = [], connect(address)
        while not stop.is_set():
            begun = time.perf_counter()
            status, body = call(link, request)
            if status != 200:
                failures.append(body.decode("utf-8", "replace")[:300])
                break
            if counted.is_set():
                own.append(time.perf_counter() - begun)
        latencies.extend(own)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    start.wait(60)
    for worker in workers:
        worker.start()
    time.sleep(1)
    counted.set()
    begun = time.perf_counter()
    time.sleep(seconds)
    counted.clear()
    took = time.perf_counter() - begun
    stop.set()
    for worker in workers:
        worker.join()
    for name in names:
        call(link, post(f"/v2/cudasharedmemory/region/{name}/unregister", {}))
    results.put((len(latencies), took, latencies, failures[:2]))


def main():
    address, model, concurrency, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    several = multiprocessing.get_context("spawn")
    processes = min(concurrency, max(1, (os.cpu_count() or 2) // 2), 6)
    shares = [concurrency // processes + (n < concurrency % processes) for n in range(processes)]
    start, results = several.Barrier(processes), several.Queue()
    made = [
        several.Process(target=process, args=(n, address, model, share, seconds, start, results))
        for n, share in enumerate(shares)
    ]
    for one in made:
        one.start()
    found = [results.get(timeout=120 + seconds) for _ in made]
    for one in made:
        one.join()
    latencies = sorted(value for result in found for value in result[2])
    failures = [text for result in found for text in result[3]]
    at = lambda share: latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1e6 if latencies else 0.0
    rate = sum(count / took for count, took, _, _ in found if took)
    latency = {"p50": at(0.5), "p99": at(0.99), "max": at(1.0)}
    print(
        json.dumps(
            {
                "concurrency": concurrency,
                "requests_per_s": rate,
                "latency_us": latency,
                "failed": len(failures),
                "failures": failures[:3],
            }
        )
    )


if __name__ == "__main__":
    main()
