"""The command line of `scripts/bench scale`."""


def numbers(text):
    return [int(n) for n in text.split(",")]


def add(what):
    scaled = what.add_parser("scale")
    scaled.add_argument("--cores", type=numbers, default=[], help="of the server, 1,2,4,8 by default; clients get all others")
    scaled.add_argument("--clients", type=int, default=4, help="processes of the load generator, 4 by default")
    generator = scaled.add_argument("--generator", choices=("perf_analyzer", "hippocamp"), default="perf_analyzer")
    generator.help = "perf_analyzer by default; `hippocamp bench` takes less of the clients' cores, and has no echo"
    scaled.add_argument("--concurrency", type=int, default=32, help="of each, 32 by default")
    scaled.add_argument("--client-options", default="", help='further ones of perf_analyzer, such as "--async", which has no echo')
    scaled.add_argument("--seconds", type=float, default=2, help="of each measurement, 2 by default")
    scaled.add_argument("--rounds", type=int, default=1, help="1 by default; medians are reported")
    scaled.add_argument("--only", default="", help="rows, divided by commas: identity, addsub, mlp, large")
    scaled.add_argument("--protocols", default="", help="grpc,http by default")
    scaled.add_argument("--server", action="append", help="a build of this server; several are compared in turns")
    scaled.add_argument("--ours-only", action="store_true", help="without tritonserver")
    scaled.add_argument("--apart", action="store_true", help="beside as many servers of one core each, which share nothing")
    scaled.add_argument("--budget", type=float, default=0, help="seconds for all of it; repeats are left out first")
    scaled.add_argument("--json", default="", help="where to write all numbers")
    scaled.add_argument("--chart", default="", help="where to draw it, as SVG")
    scaled.add_argument("--draw", default="", metavar="JSON", help="only draws what was measured before")
    scaled.add_argument("--busy", action="store_true", help="small rows beside a busy loop on each core of the server")
    scaled.add_argument("--concurrencies", type=numbers, default=[1, 4, 16], help="with --busy, 1,4,16 by default")
    scaled.add_argument("--pack", default="", metavar="DIR", help="only writes all that it needs into a folder")
    scaled.add_argument("--pack-again", action="store_true", help="with --pack, only our binary and the scripts anew")
