"""Compares a value with the recorded one; the first difference is a Mismatch."""

import json
import math
import re
import struct


def brief(value, limit=160):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Mismatch(Exception):
    """The answer is wrong. soft: only the wording of an error or reason differs."""

    def __init__(self, text, soft=False):
        super().__init__(text)
        self.soft = soft


def neutral(text):
    """Takes out of an error text what depends on where the repository lies."""
    return re.sub(r"/[^\s'\";,]*/(\d+/model\.onnx)", r"<path>/\1", text).strip()


def parse_json(data):
    """JSON as a value; NaN and Infinity are allowed, bad UTF-8 is kept byte by byte."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        return json.loads(data.decode("latin-1"))


def same_number(want, got, dtype=None, tol=0.0):
    if isinstance(want, bool) or isinstance(got, bool):
        return want is got
    if want == got:
        return True
    if not (isinstance(want, float) or isinstance(got, float)):
        return False
    try:
        a, b = float(want), float(got)
    except OverflowError:
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if dtype == "FP32":
        try:
            if struct.pack("<f", a) == struct.pack("<f", b):
                return True
        except OverflowError:
            return False
    return abs(a - b) <= tol * max(abs(a), abs(b))


def sort_named(items):
    return sorted(items, key=lambda x: json.dumps(x.get("name", x), sort_keys=True))


def diff(want, got, rules, where="", dtype=None):
    """Raises Mismatch at the first difference of two JSON values."""
    spot = where or "body"
    if isinstance(want, dict) and isinstance(got, dict):
        lost, more = want.keys() - got.keys(), got.keys() - want.keys()
        if lost:
            raise Mismatch(f"{spot}: lacks {', '.join(sorted(lost))}")
        if more:
            raise Mismatch(f"{spot}: has unexpected {', '.join(sorted(more))}")
        for key in want:
            inner = want.get("datatype") if key == "data" else dtype
            diff(want[key], got[key], rules, f"{where}.{key}" if where else key, inner)
    elif isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            raise Mismatch(f"{spot}: {len(got)} elements instead of {len(want)}")
        if spot.rpartition(".")[2] in rules.get("unordered", ()):
            want, got = sort_named(want), sort_named(got)
        for i, (a, b) in enumerate(zip(want, got)):
            diff(a, b, rules, f"{where}[{i}]", dtype)
    elif isinstance(want, (int, float)) and isinstance(got, (int, float)):
        if not same_number(want, got, dtype, rules.get("tol", 0.0)):
            raise Mismatch(f"{spot}: {brief(got)} instead of {brief(want)}")
    elif isinstance(want, str) and isinstance(got, str):
        if neutral(want) != neutral(got):
            raise Mismatch(f"{spot}: {brief(got)!r} instead of {brief(want)!r}")
    elif type(want) is not type(got) or want != got:
        raise Mismatch(f"{spot}: {brief(got)} instead of {brief(want)}")


def check_text(want, got):
    if not isinstance(got, str) or not got:
        raise Mismatch("no error text")
    if want is not None and neutral(want) != neutral(got):
        raise Mismatch(f"text {brief(got, 300)!r} instead of {brief(want, 300)!r}", soft=True)
