"""More models for make_models.py, each of a kind of its own, in the order in which they are made."""

from files import KeptAttributes, LightFile, OneDnn
from language import Counter, DeepResults, Language, Seeded, Words
from layers import Attention, HalfConvolution, KindsOfConvolution, QuantizedEmbedding, Recurrent, Sampled, StaticQuantized
from tensors import Algebra, ComplexWithin, Empty, SmallIntegers, SparseWithin, TracedSizes
from usual import USUAL

KINDS = [
    StaticQuantized, QuantizedEmbedding, Counter, Recurrent, KindsOfConvolution, HalfConvolution, SmallIntegers, Empty, SparseWithin,
    ComplexWithin, Algebra, Attention, TracedSizes, Words, DeepResults, Language, Seeded, Sampled, LightFile, KeptAttributes, OneDnn, *USUAL,
]  # fmt: skip
