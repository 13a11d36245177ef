"""The command line of `scripts/bench soak`."""


def add(what):
    soaked = what.add_parser("soak")
    soaked.add_argument("--seconds", type=float, default=600, help="600 by default")
    soaked.add_argument("--cores", type=int, default=1, help="of the server, 1 by default; clients get all others")
    soaked.add_argument("--workers", type=int, default=0, help="processes; one for each core of the clients, 8 at most")
    soaked.add_argument("--pressures", type=int, default=2, help="perf_analyzers beside them, 2 by default")
    soaked.add_argument("--seed", type=int, default=0, help="another each time by default")
    soaked.add_argument("--server", default="", help="another build of this server")
