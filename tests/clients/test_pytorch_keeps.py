"""Models that keep something from one request to the next, each in its own way, are told from those that do not."""

import os
import re

import numpy as np
import pytest
from conftest import Client
from test_pytorch import make, start

WHY = {
    "always_updates": "aten::batch_norm may update its statistics",
    "constant_frozen": "aten::add_ may write to what belongs to the module",
    "constant_scripted": "aten::add_ may write to what belongs to the module",
    "constant_traced": "aten::add_ may write to what belongs to the module",
    "dict_element": "aten::add_ may write to what belongs to the module",
    "dict_element_frozen": "aten::add_ may write to what belongs to the module",
    "dict_entry": "aten::_set_item may write to what belongs to the module",
    "fork": "it sets its attribute 'n'",
    "fork_writes": "aten::add_ may write to what belongs to the module",
    "list_element": "aten::add_ may write to what belongs to the module",
    "list_grows": "aten::append may write to what belongs to the module",
    "nested_list": "aten::add_ may write to what belongs to the module",
    "nested_list_frozen": "aten::add_ may write to what belongs to the module",
    "sets_mode": "aten::add_ may write to what belongs to the module",
    "training": "aten::add_ may write to what belongs to the module",
}
FREE = [
    "fork_reads",
    "input_in_place",
    "input_in_place_frozen",
    "normalized",
    "normalized_by_the_batch",
    "normalized_frozen",
    "normalized_traced",
]
# What they count grows by one in each run.
COUNTS = sorted(set(WHY) - {"always_updates", "sets_mode", "training"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("keepers"))
    make("make_keepers.py", folder)
    return folder


@pytest.fixture(scope="module")
def keeping(made):
    with start(os.path.join(made, "keeps"), "--model-control-mode=explicit", "--load-model=*") as server:
        yield server


def reasons(server):
    """What the log says of each model that keeps something."""
    log = re.sub(r"\x1b\[[0-9;]*m", "", server.log())
    lines = [line for line in log.splitlines() if "runs are not independent of each other: " in line]
    return {
        re.search(r'model="?(\w+)', line)[1]: re.search(r"each other: (.*?)(?: model=.*)?$", line)[1] for line in lines
    }


def ask(client, model):
    x = client.input("x", np.zeros(2, np.float32), "FP32")
    return client.infer(model, [x]).as_numpy("y")


def test_what_keeps_something_is_told_with_its_reason(made, keeping):
    assert sorted(os.listdir(os.path.join(made, "keeps"))) == sorted(WHY)
    assert reasons(keeping) == WHY


@pytest.mark.parametrize("model", COUNTS)
def test_each_instance_counts_by_itself(keeping, model):
    """Whichever of the two instances serves a request, it has seen all numbers below."""
    client = Client("http", keeping)
    seen = [ask(client, model) for _ in range(7)]
    client.close()
    counts = [int(y[0]) for y in seen]
    assert all((y == y[0]).all() for y in seen)
    assert max(counts.count(count) for count in counts) <= 2, counts
    # Tracing was a run as well.
    first = 2 if model == "constant_traced" else 1
    assert set(counts) == set(range(first, max(counts) + 1)), counts


def test_what_keeps_nothing_shares_its_weights(made):
    assert sorted(os.listdir(os.path.join(made, "free"))) == FREE
    with start(os.path.join(made, "free"), "--model-control-mode=explicit", "--load-model=*") as server:
        assert reasons(server) == {}
        client = Client("http", server)
        for model in FREE:
            first = ask(client, model)
            for _ in range(4):
                assert np.array_equal(ask(client, model), first), model
        client.close()
