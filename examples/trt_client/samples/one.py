#!/usr/bin/env python3
"""The tutorial's first sample: one picture, and the results of it.

    one.py URL PICTURE [PROTOCOL]
"""

import sys

import numpy as np
from trt_client import client

url, picture, *protocol = sys.argv[1:]
raw_image = open(picture, "rb").read()
raw_image = np.array([raw_image], dtype=bytes)

runner = client.Inference(url, "detection", "1", *protocol)
results = runner.run(input={"raw_image": raw_image})
print(results)
