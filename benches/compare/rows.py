"""What is measured, and what is aimed at: the table of the issue, one Row a line of it."""

from dataclasses import dataclass

FLOATS_4_9_MB = 1_228_800
FLOATS_150_KB = 37_632
SHARED = ["--shared-memory=system"]


@dataclass(frozen=True)
class Row:
    """One line. `key` is what --only looks at."""

    key: str
    title: str
    model: str
    protocols: tuple = ("grpc", "http")
    concurrencies: tuple = (1, 4, 16)
    options: tuple = ()
    # Our CPU seconds for 1,000 requests over Triton's are to be at most this.
    ratio: float = None
    # Our requests a second over those of the engine alone are to be at least this. On a machine that
    # does other things as well, the engine's share of our CPU time tells more.
    of_limit: float = None
    # How the engine alone is run: shape of each input, threads of the model at once.
    limit: tuple = None
    # What lies beside the load: connections without a request, models that nobody asks for.
    idle_connections: int = 0
    extra_models: int = 0
    # So many floats are sent as JSON, which perf_analyzer cannot do.
    json_floats: int = 0
    # An input that gets what the engine alone gets, and how many floats that are. Over what perf_analyzer
    # makes up the first convolution takes longer, probably because some of these numbers are denormal.
    given: tuple = None
    # Whether Triton is asked, too.
    compared: bool = True


def shape(name, *dims):
    return ("--shape", f"{name}:{','.join(map(str, dims))}")


def shared(size):
    return (*SHARED, "--output-shared-memory-size", str(size))


def face(size, **others):
    """CenterFace on two instances of one thread each."""
    return {
        "model": "centerface",
        "concurrencies": (4,),
        "limit": ((1, 3, size, size), 2),
        "given": ("input.1", 3 * size * size),
        **others,
    }


SMALL = shape("INPUT0", 16)
LARGE = shape("INPUT0", FLOATS_4_9_MB)
# The largest output of CenterFace: ten landmarks for each 4x4 pixels.
FACE_MAPS = {size: 10 * (size // 4) ** 2 * 4 for size in (320, 640)}

ROWS = [
    Row("small", "identity, 16 floats", "identity", options=SMALL, ratio=0.5),
    Row("addsub", "add/sub ONNX", "simple", ratio=0.5, limit=((1, 16), 1)),
    Row("large", "identity, 4.9 MB in and out", "identity", options=LARGE, ratio=0.6),
    Row(
        "shm",
        "identity, 4.9 MB in system shared memory",
        "identity",
        options=LARGE + shared(FLOATS_4_9_MB * 4),
        ratio=0.9,
    ),
    Row(
        "mlp",
        "3-layer MLP, dynamic batching",
        "mlp",
        concurrencies=(64,),
        options=("--async",),
        ratio=0.5,
        limit=((64, 256), 1),
    ),
    Row(
        "face320",
        "CenterFace 320x320",
        options=shape("input.1", 3, 320, 320),
        **face(320, of_limit=0.95),
    ),
    Row(
        "face640",
        "CenterFace 640x640",
        options=shape("input.1", 3, 640, 640),
        **face(640, of_limit=0.95),
    ),
    Row(
        "faceshm320",
        "CenterFace 320x320, shared memory",
        protocols=("grpc",),
        options=shape("input.1", 3, 320, 320) + shared(FACE_MAPS[320]),
        **face(320, of_limit=0.98),
    ),
    Row(
        "faceshm640",
        "CenterFace 640x640, shared memory",
        protocols=("grpc",),
        options=shape("input.1", 3, 640, 640) + shared(FACE_MAPS[640]),
        **face(640, of_limit=0.98),
    ),
    Row(
        "json",
        "identity, 150 kB of FP32 as JSON",
        "identity",
        protocols=("http",),
        json_floats=FLOATS_150_KB,
        ratio=0.3,
    ),
    Row(
        "idle",
        "identity, 16 floats, beside 1,000 idle connections",
        "identity",
        options=SMALL,
        idle_connections=1000,
        compared=False,
    ),
    Row(
        "many",
        "identity, 16 floats, beside 1,000 loaded models",
        "identity",
        options=SMALL,
        extra_models=1000,
        compared=False,
    ),
]
