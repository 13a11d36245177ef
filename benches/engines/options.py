"""The command line of `scripts/bench engines`."""

from ..scale.options import numbers


def add(what):
    alike = what.add_parser("engines")
    alike.add_argument("--only", default="", help="torch, tensorflow, or rows such as torch-dense, divided by commas")
    alike.add_argument("--apart", type=numbers, default=[], metavar="N,N", help="server and loop on so many cores, clients on all others")
    alike.add_argument("--concurrency", type=int, default=4, help="requests, or threads of the loop, at once; 4 by default")
    alike.add_argument("--config", default="", metavar="TEXT", help="is added to each config.pbtxt")
    alike.add_argument("--seconds", type=int, default=3, help="of each measurement, 3 by default")
    alike.add_argument("--rounds", type=int, default=3, help="3 by default; the best of each are reported")
    alike.add_argument("--json", default="", help="where to write all numbers")
