#!/usr/bin/env python3
"""The tutorial's second sample: many pictures at a time, without waiting for one another.

    many.py URL PICTURE ... [--protocol PROTOCOL]
"""

import argparse

import numpy as np
from trt_client import client

usage = argparse.ArgumentParser()
usage.add_argument("url")
usage.add_argument("pictures", nargs="+")
usage.add_argument("--protocol", default="gRPC")
args = usage.parse_args()

runner = client.Inference(
    url=args.url,
    model_name="detection",
    model_version="1",
    protocol=args.protocol,
)

for i, picture in enumerate(args.pictures):
    raw_image = open(picture, "rb").read()
    raw_image = np.array([raw_image], dtype=bytes)
    results = runner.async_run(input={"raw_image": raw_image}, input_id="image_{}".format(i))
for _ in args.pictures:
    input_id, results = runner.get(block=True)
    print(input_id, results["score"][0].reshape(-1)[0], results["bbox"][0].reshape(-1, 4)[0])
