"""The measurements behind `scripts/bench`, which says what each of them does."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What starts and drives servers is shared with the tests.
sys.path.insert(0, os.path.join(ROOT, "tests"))
