"""The response cache as clients see it."""

import numpy as np
import pytest
from models import write_model
from server_process import ServerProcess

CONFIG = """
backend: "identity"
max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_STRING dims: 2 }
output { name: "OUTPUT0" data_type: TYPE_STRING dims: 2 }
response_cache { enable: true }
"""


@pytest.fixture(scope="module", params=["--cache-config=local,size=1048576", "--response-cache-byte-size=1048576"])
def cached(request, tmp_path_factory):
    repository = tmp_path_factory.mktemp("cached")
    write_model(repository, "cached", CONFIG)
    with ServerProcess(repository, flags=[request.param]) as server:
        yield server


def counts(client):
    (stats,) = client.json("get_inference_statistics", "cached")["model_stats"]
    durations = stats["inference_stats"]
    names = ["cache_hit", "cache_miss", "success", "queue", "compute_infer"]
    found = {name: int(durations[name].get("count", 0)) for name in names}
    return found | {"execution_count": int(stats.get("execution_count", 0))}


@pytest.mark.parametrize("kind", ["http", "http.aio", "grpc", "grpc.aio"])
def test_the_second_answer_comes_from_the_cache(cached, client_of, kind):
    client = client_of(kind, cached)
    assert client.json("get_model_config", "cached")
    words = np.array([[f"from {kind}", "ü"]], dtype=np.object_)
    before = counts(client)
    for _ in range(3):
        result = client.infer("cached", [client.input("INPUT0", words, "BYTES")])
        assert [word.decode() for word in result.as_numpy("OUTPUT0")[0]] == words[0].tolist()
    grown = {name: count - before[name] for name, count in counts(client).items()}
    assert grown == {
        "cache_hit": 2,
        "cache_miss": 1,
        "success": 3,
        "queue": 3,
        "compute_infer": 1,
        "execution_count": 1,
    }
