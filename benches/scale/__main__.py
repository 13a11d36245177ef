"""`python3 -m benches.scale` in a packed folder: `scripts/bench scale` without what the other measurements need."""

import argparse
import sys

from .options import add
from .run import scale

parser = argparse.ArgumentParser(description=__doc__)
add(parser.add_subparsers(dest="what", required=True))
sys.exit(scale(parser.parse_args(["scale", *sys.argv[1:]])))
