"""The dashboard, read by Grafana's own classes of its schema."""

import copy
import json
import os
import sys

import pytest
from clean import ROOT

sys.path.append(os.path.join(ROOT, ".cache", "python", "package-tests"))

from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: E402
from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: E402
from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: E402

# Queries of variables are what their data source makes of them: the schema leaves them open.
OPEN = {"query"}


@pytest.fixture(scope="module")
def dashboard():
    register_default_plugins()
    with open(os.path.join(ROOT, "deploy", "grafana", "hippocamp.json"), encoding="utf-8") as f:
        return json.load(f)


def lost(before, after, path="dashboard"):
    """What Grafana's classes do not keep: fields that the schema does not have, in panels by their types too."""
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r}, {after!r}"


def read(dashboard):
    return json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(dashboard))))


def test_grafanas_schema_has_every_field(dashboard):
    assert list(lost(dashboard, read(dashboard))) == []


def places(value, path=()):
    """The path of every field, one of each kind."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def test_a_field_of_another_name_is_noticed(dashboard):
    kinds = {}
    for path in places(dashboard):
        kinds.setdefault(tuple("*" if isinstance(step, int) else step for step in path), path)
    assert len(kinds) > 50
    missed = set()
    for kind, (*way, key) in kinds.items():
        wrong = copy.deepcopy(dashboard)
        inner = wrong
        for step in way:
            inner = inner[step]
        inner[f"{key}Other"] = inner.pop(key)
        try:
            if not list(lost(wrong, read(wrong))):
                missed.add(kind[-2])
        except (KeyError, AttributeError, TypeError):
            continue
    assert missed <= OPEN
