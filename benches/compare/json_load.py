"""Load that perf_analyzer cannot make: floats as JSON. Of those 2.40 sends the first value only."""

import http.client
import json
import random
import threading
import time


def body(floats):
    """A request whose numbers are written as clients write them: with some seven digits."""
    values = random.Random(1)
    data = [float(f"{values.uniform(-1, 1):.7g}") for _ in range(floats)]
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [floats], "data": data}
    outputs = [{"name": "OUTPUT0", "parameters": {"binary_data": False}}]
    return json.dumps({"inputs": [tensor], "outputs": outputs}).encode()


def client(port, model, content, until, latencies):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.perf_counter() < until:
        begin = time.perf_counter()
        link.request("POST", f"/v2/models/{model}/infer", content)
        reply = link.getresponse()
        answer = reply.read()
        if reply.status != 200:
            raise RuntimeError(answer[:300])
        latencies.append(time.perf_counter() - begin)
    link.close()


def run(port, model, floats, concurrency, seconds):
    """What perf_analyzer would report, from clients that never pause."""
    content, latencies = body(floats), []
    begin = time.perf_counter()
    arguments = (port, model, content, begin + seconds, latencies)
    threads = [threading.Thread(target=client, args=arguments) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    latencies.sort()
    if not latencies:
        raise RuntimeError("no request was answered")
    return {
        "Inferences/Second": len(latencies) / elapsed,
        "p50 latency": latencies[len(latencies) // 2] * 1e6,
        "p99 latency": latencies[len(latencies) * 99 // 100] * 1e6,
    }
