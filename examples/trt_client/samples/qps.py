#!/usr/bin/env python3
"""The tutorial's loop: 2,048 requests at a time, ten times, and what that makes a second."""

import argparse
import time

import numpy as np
from trt_client import client

usage = argparse.ArgumentParser(description=__doc__)
usage.add_argument("--url", default="localhost:8001")
usage.add_argument("--model-name", default="detection")
usage.add_argument("--model-version", type=int, default=1)
usage.add_argument("--image", required=True, help="the picture that every request has")
usage.add_argument("--protocol", default="gRPC", help="gRPC or HTTP for V1, v2 or v2-HTTP")
usage.add_argument("--requests", type=int, default=2048)
usage.add_argument("--loops", type=int, default=10)
args = usage.parse_args()

runner = client.Inference(args.url, args.model_name, args.model_version, args.protocol)
with open(args.image, "rb") as f:
    raw_image = np.array([f.read()], dtype=bytes)

for _ in range(args.loops):
    begin = time.time()
    for number in range(args.requests):
        runner.async_run(input={"raw_image": raw_image}, input_id=number)
    answered = set()
    for _ in range(args.requests):
        input_id, results = runner.get(block=True)
        answered.add(input_id)
    took = time.time() - begin
    assert len(answered) == args.requests, f"{len(answered)} of {args.requests} requests were answered"
    print("QPS: %5d" % (args.requests / took))
    print("TIME/PER-IMG: %5.3f(ms)" % (1000 * took / args.requests))
print("; ".join(f"{name} {value:.3f}" for name, value in runner.get_time().items()))
