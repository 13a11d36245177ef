"""`python3 -m benches.engines`: `scripts/bench engines` on a host that lacks what the other measurements need."""

import argparse
import sys

from .options import add
from .run import engines

parser = argparse.ArgumentParser(description=__doc__)
add(parser.add_subparsers(dest="what", required=True))
sys.exit(engines(parser.parse_args(["engines", *sys.argv[1:]])))
