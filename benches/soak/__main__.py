"""`python3 -m benches.soak` in a packed folder."""

import argparse
import sys

from .options import add
from .run import soak

parser = argparse.ArgumentParser(description=__doc__)
add(parser.add_subparsers(dest="what", required=True))
sys.exit(soak(parser.parse_args(["soak", *sys.argv[1:]])))
