"""What is measured over cores: one Row a line of the table."""

from dataclasses import dataclass

from ..compare.rows import FLOATS_4_9_MB, shape


@dataclass(frozen=True)
class Row:
    """One kind of work. `key` is what --only looks at."""

    key: str
    title: str
    model: str
    options: tuple = ()
    # What the names, types and shapes of a request's tensors are: for the answer that the echo gives.
    inputs: tuple = ()
    outputs: tuple = ("OUTPUT0",)
    # Cores over one core that are aimed at, by the number of cores; and over Triton at the most cores.
    growth: tuple = ((4, 3.4), (8, 6.0))
    over_triton: float = 3.0
    # Whether it is also measured beside busy loops.
    small: bool = True


ROWS = [
    Row(
        "identity",
        "identity, 16 floats",
        "identity",
        shape("INPUT0", 16),
        (("INPUT0", "FP32", (16,)),),
    ),
    Row(
        "addsub",
        "add/sub ONNX",
        "simple",
        (),
        (("INPUT0", "INT32", (1, 16)), ("INPUT1", "INT32", (1, 16))),
        ("OUTPUT0", "OUTPUT1"),
    ),
    Row(
        "mlp",
        "3-layer MLP, dynamic batching",
        "mlp",
        (),
        (("x", "FP32", (1, 256)),),
        ("y",),
    ),
    Row(
        "large",
        "identity, 4.9 MB in and out",
        "identity",
        shape("INPUT0", FLOATS_4_9_MB),
        (("INPUT0", "FP32", (FLOATS_4_9_MB,)),),
        growth=((8, 4.0),),
        over_triton=2.0,
        small=False,
    ),
]
PROTOCOLS = ("grpc", "http")
